//! The course of one schedule: what was asked, what was answered, and who answers next.
use super::chance::Chance;
use crate::scheduler::policy::{Choice, Kind, Meeting, Policy, Switches, Token, Trail};
use crate::scheduler::wait::{Wait, What};
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::ptr;
use std::rc::Rc;

/// One choice and its answer.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) asked: Asked,
    pub(super) answer: u32,
}

impl Point {
    /// Whether the answer is a forced switch.
    pub(super) fn is_forced(&self) -> bool {
        self.answer >= self.asked.free
    }
}

/// What was asked, as far as the same program asks it again.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    kind: Kind,
    pub(super) among: u32,
    pub(super) free: u32,
    task: u64,
    wait: Wait,
}

impl Asked {
    pub(super) fn of(choice: &Choice<'_>) -> Self {
        let count = |n: usize| u32::try_from(n).expect("fewer than 2^32 alternatives");
        Asked {
            kind: choice.kind,
            among: count(choice.among),
            free: count(choice.free),
            task: choice.task,
            wait: choice.wait,
        }
    }

    pub(super) fn met(&self) -> Meeting {
        Meeting {
            kind: self.kind,
            among: self.among as usize,
            task: self.task,
            wait: self.wait,
        }
    }
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        let same_wait = match (self.wait.what, other.wait.what) {
            // Its identity also names the run.
            (What::Join(left), What::Join(right)) => left.serial == right.serial,
            (left, right) => left == right,
        };
        same_wait
            && self.kind == other.kind
            && (self.among, self.free, self.task) == (other.among, other.free, other.task)
            && (ptr::eq(self.wait.at, other.wait.at) || self.wait.at == other.wait.at)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What tells nearly all of them apart.
        (self.among, self.free, self.task, self.wait.at.line()).hash(state);
    }
}

/// A schedule that is run: answers as given up to some point, then by the strategy.
pub(super) struct Course {
    pub(super) path: Vec<Point>,
    answered: usize,
    /// The path is a whole schedule, and nothing may come after it.
    whole: bool,
    /// The program asked something else than before.
    mismatch: Option<Mismatch>,
    chance: Option<Chance>,
}

/// Where the same answers led to something else.
pub(super) struct Mismatch {
    /// From 1.
    pub(super) step: usize,
    pub(super) before: Option<Asked>,
    pub(super) now: Option<Asked>,
}

impl Course {
    /// Answers 0 beyond its path, if not by chance.
    pub(super) fn new(chance: Option<Chance>) -> Rc<RefCell<Course>> {
        Rc::new(RefCell::new(Course {
            path: Vec::new(),
            answered: 0,
            whole: false,
            mismatch: None,
            chance,
        }))
    }

    /// Begins with the answers in the path.
    pub(super) fn begin(&mut self) {
        (self.answered, self.whole) = (0, false);
    }

    /// Begins the schedule that was run last once more.
    pub(super) fn begin_again(&mut self) {
        (self.answered, self.whole) = (0, true);
    }

    /// Begins with no answers, as schedule `nth` by chance.
    pub(super) fn begin_by_chance(&mut self, nth: u64) {
        self.begin();
        let steps = self.path.len();
        self.path.clear();
        if let Some(chance) = &mut self.chance {
            chance.begin(nth, steps);
        }
    }

    /// The run has ended by itself: tells whether it went another way than it was to go.
    pub(super) fn end(&mut self) -> Option<Mismatch> {
        if self.answered < self.path.len() && self.mismatch.is_none() {
            self.differ(Some(self.path[self.answered].asked), None);
        }
        self.mismatch.take()
    }

    fn differ(&mut self, before: Option<Asked>, now: Option<Asked>) {
        self.mismatch = Some(Mismatch {
            step: self.answered + 1,
            before,
            now,
        });
    }

    pub(super) fn forced(&self) -> usize {
        self.path.iter().filter(|point| point.is_forced()).count()
    }

    /// The schedule, for people.
    pub(super) fn trail(&self, switches: Switches) -> Trail {
        let token = |point: &Point| {
            let Asked { kind, wait, .. } = point.asked;
            Token::new(kind, wait, point.answer as usize)
        };
        Trail {
            switches,
            virtual_time: true,
            tokens: self.path.iter().map(token).collect(),
        }
    }

    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize> {
        let asked = Asked::of(choice);
        let Some(point) = self.path.get(self.answered) else {
            if self.whole {
                self.differ(None, Some(asked));
                return None;
            }
            let answer = match &mut self.chance {
                Some(chance) => chance.choose(choice),
                None => 0,
            };
            self.path.push(Point {
                asked,
                answer: answer as u32,
            });
            self.answered += 1;
            return Some(answer);
        };
        if point.asked != asked {
            self.differ(Some(point.asked), Some(asked));
            return None;
        }
        self.answered += 1;
        Some(point.answer as usize)
    }
}

/// Steers a run along a course.
pub(super) struct Pilot {
    pub(super) course: Rc<RefCell<Course>>,
    pub(super) switches: Switches,
}

impl Policy for Pilot {
    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize> {
        self.course.borrow_mut().choose(choice)
    }

    fn explores(&self) -> Option<Switches> {
        Some(self.switches)
    }
}
