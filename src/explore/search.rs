//! The search: schedule after schedule until one fails, none is left, or it is enough.
use super::chance::Chance;
use super::course::{Course, Mismatch, Pilot};
use super::depth::Depth;
use super::outcome::{Coverage, Ended, Failure, Outcome};
use super::verdict::{Verdict, judge};
use super::{Explorer, Manner};
use crate::report::{Recorder, Steps, meeting};
use crate::run::Repeat;
use crate::scheduler::policy::{Progress, Replay, Trail};
use crate::task::{drop_quietly, take_unprinted};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

/// Schedules between two looks at the clock.
const SCHEDULES_PER_LOOK: u64 = 64;

/// A program whose schedules are gone through.
pub(super) struct Search<'a, 'env> {
    explorer: &'a Explorer,
    program: &'a Repeat<'a, 'env>,
    course: Rc<RefCell<Course>>,
    depth: Option<Depth>,
    started: Instant,
    schedules: u64,
    cut: u64,
    /// Choices in all schedules.
    choices: u64,
    /// Schedules of the levels that are finished.
    of_finished_levels: u64,
}

impl<'a, 'env> Search<'a, 'env> {
    pub(super) fn new(explorer: &'a Explorer, program: &'a Repeat<'a, 'env>) -> Self {
        let (depth, chance) = match explorer.manner {
            Manner::Depth => (Some(Depth::new(explorer.forced)), None),
            Manner::Random(seed) => (None, Some(Chance::plain(seed))),
            Manner::Priorities(seed, depth) => (None, Some(Chance::priorities(seed, depth))),
        };
        Search {
            explorer,
            program,
            course: Course::new(chance),
            depth,
            started: crate::scheduler::now(),
            schedules: 0,
            cut: 0,
            choices: 0,
            of_finished_levels: 0,
        }
    }

    pub(super) fn go(mut self) -> Outcome {
        loop {
            self.begin();
            let verdict = self.run_once();
            let left = self.course.borrow_mut().end();
            if let Some(left) = left {
                let failure = self.unsteady(left);
                return self.outcome(Some(failure), Ended::ByItself);
            }
            self.schedules += 1;
            self.choices += self.course.borrow().path.len() as u64;
            match verdict {
                Verdict::Well => {}
                Verdict::Cut => self.cut += 1,
                Verdict::Failed => {
                    let failure = self.failure();
                    return self.outcome(Some(failure), Ended::ByItself);
                }
            }
            if self.schedules == 1
                && let Some(left) = self.differs_at_once(verdict)
            {
                let failure = self.unsteady(left);
                return self.outcome(Some(failure), Ended::ByItself);
            }
            if let Some(depth) = &mut self.depth {
                depth.note(&self.course.borrow().path);
            }
            if !self.advance() {
                return self.outcome(None, Ended::ByItself);
            }
            if self.is_enough() {
                return self.outcome(None, Ended::Stopped);
            }
        }
    }

    fn begin(&mut self) {
        let mut course = self.course.borrow_mut();
        match self.depth {
            Some(_) => course.begin(),
            None => course.begin_by_chance(self.schedules),
        }
    }

    fn run_once(&self) -> Verdict {
        let pilot = Pilot {
            course: self.course.clone(),
            switches: self.explorer.switches,
        };
        let ended = self.program.once(Box::new(pilot));
        let verdict = judge(&ended);
        drop_quietly(ended);
        verdict
    }

    /// Runs the schedule again: it must go the same way and end the same.
    fn differs_at_once(&self, before: Verdict) -> Option<Mismatch> {
        self.course.borrow_mut().begin_again();
        let again = self.run_once();
        let mut course = self.course.borrow_mut();
        let end = Mismatch {
            step: course.path.len() + 1,
            before: None,
            now: None,
        };
        course.end().or((again != before).then_some(end))
    }

    /// Turns to the next schedule; false when there is none.
    fn advance(&mut self) -> bool {
        let Some(depth) = &mut self.depth else {
            return true;
        };
        let level = depth.level();
        let more = depth.advance(&mut self.course.borrow_mut().path);
        if !more || depth.level() > level {
            self.of_finished_levels = self.schedules;
        }
        more
    }

    fn is_enough(&self) -> bool {
        if self.schedules >= self.explorer.schedules_at_most()
            || self.choices >= self.explorer.choices_at_most()
        {
            return true;
        }
        self.explorer.budget.is_some_and(|budget| {
            let spent = || crate::scheduler::now().saturating_duration_since(self.started);
            self.schedules.is_multiple_of(SCHEDULES_PER_LOOK) && spent() >= budget
        })
    }

    // ── failures ─────────────────────────────────────────────────────────────────────────────

    /// The schedule that was run last has failed: runs it once more, watched.
    fn failure(&self) -> Failure {
        let course = self.course.borrow();
        let trail = course.trail(self.explorer.switches);
        let forced = course.forced();
        drop(course);
        let watched = watch(self.program, &trail);
        let head = self.head(forced);
        match watched.failed {
            Some(text) => Failure::new(head, text, &trail, &watched.steps, forced),
            None => Failure::unsteady(format!(
                "{head}\n  the same schedule ran differently twice: it failed, and {}. {CAUSES}",
                match watched.left {
                    Some(left) => left,
                    None => "then it did not".to_string(),
                }
            )),
        }
    }

    /// `FAILED in schedule 4; it needs 1 forced switch (the 3 schedules without one passed)`.
    fn head(&self, forced: usize) -> String {
        let nth = self.schedules;
        let before = match (&self.depth, forced) {
            (None, _) => String::new(),
            (_, 0) => String::new(),
            (_, 1) => passed(self.of_finished_levels, "without one"),
            (_, _) => passed(self.of_finished_levels, "with fewer"),
        };
        let (verb, seed) = match self.explorer.manner {
            Manner::Depth => ("needs", String::new()),
            Manner::Random(seed) | Manner::Priorities(seed, _) => {
                ("has", format!(" (seed {seed})"))
            }
        };
        let switches = match forced {
            0 => "no forced switch".to_string(),
            1 => "1 forced switch".to_string(),
            more => format!("{more} forced switches"),
        };
        format!("maypole explore: FAILED in schedule {nth}{seed}; it {verb} {switches}{before}")
    }

    /// The program is not the same every time.
    fn unsteady(&self, left: Mismatch) -> Failure {
        let empty = Trail {
            tokens: Vec::new(),
            ..self.course.borrow().trail(self.explorer.switches)
        };
        // The names of its tasks, most likely.
        let watched = watch(self.program, &empty);
        let names = watched.steps.borrow();
        let say = |asked: Option<super::course::Asked>| match asked {
            Some(asked) => format!("'{}'", meeting(&asked.met(), &names)),
            None => "the end".to_string(),
        };
        let (before, now) = (say(left.before), say(left.now));
        let differs = match before == now {
            true => "it ended in another way".to_string(),
            false => format!("step {} was {before}, then {now}", left.step),
        };
        Failure::unsteady(format!(
            "maypole explore: FAILED in schedule {}\n  the same schedule ran differently twice: \
             {differs}. {CAUSES}",
            self.schedules.max(1)
        ))
    }

    fn outcome(self, failure: Option<Failure>, ended: Ended) -> Outcome {
        let finished = failure.is_none() && ended == Ended::ByItself;
        let bound = match &self.depth {
            Some(depth) if finished => Some(depth.level()),
            Some(depth) => depth.level().checked_sub(1),
            None => None,
        };
        // Of the levels after one that was too large, some schedules are missing.
        let whole = self.depth.as_ref().and_then(Depth::overfull);
        let bound = bound.map(|bound| whole.map_or(bound, |whole| bound.min(whole)));
        let pruned = self.depth.as_ref().is_none_or(Depth::has_pruned);
        Outcome {
            schedules: self.schedules,
            cut: self.cut,
            forced: bound,
            complete: finished && !pruned && self.cut == 0,
            coverage: Coverage {
                manner: self.explorer.manner,
                ended,
                pruned,
                of_finished_levels: self.of_finished_levels,
                estimate: self
                    .depth
                    .as_ref()
                    .map(|depth| depth.estimate(self.schedules)),
                turns: self.explorer.turns,
                took: crate::scheduler::now().saturating_duration_since(self.started),
            },
            failure,
        }
    }
}

fn passed(schedules: u64, which: &str) -> String {
    match schedules {
        1 => format!(" (the 1 schedule {which} passed)"),
        many => format!(" (the {many} schedules {which} passed)"),
    }
}

const CAUSES: &str = "A HashMap iterated in between is the usual cause: use BTreeMap, or sort; the \
                      clock, random numbers, real I/O and what is left of the schedule before are \
                      others.";

// ── once more, watched ───────────────────────────────────────────────────────────────────────

/// What a watched run of one trail came to.
pub(super) struct Watched {
    /// What failed.
    pub(super) failed: Option<String>,
    /// How the run left the trail.
    pub(super) left: Option<String>,
    pub(super) steps: Rc<RefCell<Steps>>,
}

pub(super) fn watch(program: &Repeat<'_, '_>, trail: &Trail) -> Watched {
    let steps = Rc::<RefCell<Steps>>::default();
    let progress = Rc::<Progress>::default();
    let replay = Replay::new(trail.clone(), progress.clone());
    let recorder = Recorder::new(steps.clone());
    drop(take_unprinted());
    let ended = program.once_watched(Box::new(replay), Box::new(recorder));
    let mut failed = match judge(&ended) {
        Verdict::Failed => Some(super::verdict::text(&ended, &steps.borrow())),
        Verdict::Well | Verdict::Cut => None,
    };
    drop_quietly(ended);
    let mut left = None;
    if progress.has_diverged() || failed.is_none() {
        left = progress.divergence(trail);
        failed = failed.filter(|_| left.is_none());
    }
    let left = left.map(|left| crate::report::divergence(&left, &steps.borrow()));
    Watched {
        failed,
        left,
        steps,
    }
}
