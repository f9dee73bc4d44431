//! What a policy that goes through schedules is asked: the candidates of each turn, and the
//! operations before which another task could come.
//!
//! ```text
//!   a task parks, yields, ends   Turn    any ready task; one that yielded is a forced switch away
//!                                        until it has come to the front of the line
//!   a call that may park         Switch  go on; any other ready task is a forced switch away
//!   a call that others can see   Switch  the same, where every operation is a switch
//! ```
//!
//! So no schedule without forced switches is unfair: a loop of `yield_now` ends when another ready
//! task does what it waits for.
use super::kernel::Kernel;
use super::observer::Event;
use super::policy::{Choice, END, Kind, Switches};
use super::ready::Entry;
use super::task::Flags;
use super::wait::{Wait, What};
use std::panic::Location;

/// More operations than this in one turn are those of a loop that waits for others and never lets
/// them go on.
const OPERATIONS_AT_MOST: u32 = 100_000;

/// What the kernel remembers for a policy that explores.
pub(super) struct Exploring {
    pub(super) switches: Switches,
    /// Slots of the tasks that yielded and have had no turn since.
    yielded: Vec<u32>,
    /// Serial number of the task that a forced switch has chosen for the next turn; 0 for none.
    next: u64,
    /// The running task is about to give way by a forced switch, which is no yield.
    forced: bool,
    /// Slots of those that wait nested under their running child, the innermost last.
    nests: Vec<u32>,
    /// Who gave way last, and in what.
    last: (u64, Wait),
    /// Operations in the present turn.
    operations: u32,
    /// The policy has ended the run.
    stopped: bool,
    /// Candidates: serial numbers, and places in the ready queue.
    tasks: Vec<u64>,
    places: Vec<usize>,
}

/// What the running task does at a possible switch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    GiveWay,
    /// It has done so many operations in this turn that it will never give way by itself.
    Spin,
}

impl Exploring {
    pub(super) fn new(switches: Switches) -> Self {
        const NOWHERE: &Location<'static> = Location::caller();
        let nothing = Wait {
            what: What::Turn,
            at: NOWHERE,
        };
        Exploring {
            switches,
            yielded: Vec::new(),
            next: 0,
            forced: false,
            nests: Vec::new(),
            last: (0, nothing),
            operations: 0,
            stopped: false,
            tasks: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Forgets the run before.
    pub(super) fn restart(&mut self, switches: Switches) {
        let fresh = Exploring::new(switches);
        let before = std::mem::replace(self, fresh);
        (self.yielded, self.nests) = (before.yielded, before.nests);
        (self.tasks, self.places) = (before.tasks, before.places);
        self.yielded.clear();
        self.nests.clear();
    }
}

impl Kernel {
    // ── turns ────────────────────────────────────────────────────────────────────────────────

    /// Takes the task that has the next turn; `None` if nobody is ready, or the policy has ended
    /// the run.
    pub(super) fn explore_turn(&mut self) -> Option<Entry> {
        self.hold_paused();
        let exploring = self.exploring.as_mut()?;
        exploring.operations = 0;
        exploring.forced = false;
        let chosen = std::mem::take(&mut exploring.next);
        if self.ready.is_empty() || self.has_stopped() {
            return None;
        }
        if self.killing {
            return self.ready.take(0);
        }
        let place = match self.place_of(chosen) {
            Some(place) => place,
            None if self.ready.len() == 1 => 0,
            None => self.ask_for_turn()?,
        };
        let entry = self.ready.remove(place)?;
        let yielded = &mut self.exploring.as_mut()?.yielded;
        yielded.retain(|slot| *slot != entry.slot);
        Some(entry)
    }

    fn hold_paused(&mut self) {
        if self.paused > 0 {
            let (tasks, mut held) = (&self.tasks, Vec::new());
            let paused = |entry: &Entry| tasks[entry.slot as usize].flags.has(Flags::PAUSED);
            held.extend(self.ready.extract(paused));
            held.into_iter().for_each(|entry| self.hold(entry.slot));
        }
    }

    /// Where in the line the task with this serial number is.
    fn place_of(&self, serial: u64) -> Option<usize> {
        let is_it = |entry: Entry| self.tasks[entry.slot as usize].serial == serial;
        (serial != 0)
            .then(|| self.ready.iter().position(is_it))
            .flatten()
    }

    /// Asks the policy who has the next turn.
    fn ask_for_turn(&mut self) -> Option<usize> {
        let mut exploring = self.exploring.take()?;
        exploring.tasks.clear();
        exploring.places.clear();
        let free = self.line_up(&mut exploring);
        let (task, wait) = exploring.last;
        let choice = Choice {
            kind: Kind::Turn,
            among: exploring.tasks.len(),
            free,
            tasks: &exploring.tasks,
            task,
            wait,
        };
        let answer = self.policy.as_mut().and_then(|p| p.choose(&choice));
        exploring.stopped = answer.is_none();
        let place = answer.map(|answer| exploring.places[answer]);
        self.exploring = Some(exploring);
        if answer? >= free {
            let hurried = self.ready.iter().nth(place?)?;
            self.emit(Event::Hurried(self.id(hurried.slot)));
        }
        place
    }

    /// Adds the ready tasks to the candidates, in order, those that yielded behind the others but
    /// for the first in line; tells how many come before them.
    fn line_up(&self, exploring: &mut Exploring) -> usize {
        let Exploring {
            yielded,
            tasks,
            places,
            ..
        } = exploring;
        let mut free = 0;
        for late in [false, true] {
            for (place, entry) in self.ready.iter().enumerate() {
                if (place > 0 && yielded.contains(&entry.slot)) == late {
                    tasks.push(self.tasks[entry.slot as usize].serial);
                    places.push(place);
                }
            }
            if !late {
                free = tasks.len();
            }
            if yielded.is_empty() {
                break;
            }
        }
        free
    }

    /// Whether the policy has ended the run. The tasks that die afterwards are asked no more.
    pub(super) fn has_stopped(&self) -> bool {
        let stopped = |exploring: &Exploring| exploring.stopped;
        !self.killing && self.exploring.as_deref().is_some_and(stopped)
    }

    // ── operations ───────────────────────────────────────────────────────────────────────────

    /// Tells the observer what the running task is about to do.
    pub(super) fn tell(&mut self, wait: Wait) {
        if self.observer.is_some() {
            let id = self.id(self.current);
            let site = self.tasks[self.current as usize].body.about().site;
            self.emit(Event::Operation(id, wait.what, wait.place(site)));
        }
    }

    /// The running task is about to give way in `wait`.
    pub(super) fn gives_turn(&mut self, wait: Wait) {
        self.tell(wait);
        self.remember(self.current, wait);
    }

    /// Remembers what a task gave way in.
    pub(super) fn remember(&mut self, slot: u32, wait: Wait) {
        if let Some(exploring) = &mut self.exploring {
            exploring.last = (self.tasks[slot as usize].serial, wait);
        }
    }

    /// The task in `slot` has ended.
    pub(super) fn remember_end(&mut self, slot: u32) {
        let wait = Wait {
            what: What::Call(END),
            at: self.tasks[slot as usize].body.about().site,
        };
        self.remember(slot, wait);
    }

    /// Whether the running task gives way before `wait`, an operation that others can see and
    /// that never waits.
    pub(super) fn touched(&mut self, wait: Wait) -> Then {
        let everywhere = |exploring: &Exploring| exploring.switches == Switches::Everywhere;
        match self.exploring.as_deref().is_some_and(everywhere) {
            true => self.explore_operation(wait),
            false => {
                self.tell(wait);
                Then::GoOn
            }
        }
    }

    /// Whether the running task gives way before `wait`, which could wait for others.
    pub(super) fn explore_operation(&mut self, wait: Wait) -> Then {
        self.tell(wait);
        if self.killing {
            return Then::GoOn;
        }
        self.hold_paused();
        let Some(mut exploring) = self.exploring.take() else {
            return Then::GoOn;
        };
        let then = self.ask_to_switch(&mut exploring, wait);
        self.exploring = Some(exploring);
        then
    }

    fn ask_to_switch(&mut self, exploring: &mut Exploring, wait: Wait) -> Then {
        if exploring.stopped {
            return Then::GiveWay;
        }
        let task = self.tasks[self.current as usize].serial;
        exploring.tasks.clear();
        exploring.places.clear();
        exploring.tasks.push(task);
        match exploring.nests.last() {
            // A nested child gives way to its parent alone.
            Some(parent) => exploring.tasks.push(self.tasks[*parent as usize].serial),
            None => {
                self.line_up(exploring);
            }
        }
        // A task that is alone waits for nobody.
        if exploring.tasks.len() == 1 {
            return Then::GoOn;
        }
        exploring.operations += 1;
        if exploring.operations > OPERATIONS_AT_MOST {
            exploring.operations = 0;
            return Then::Spin;
        }
        let choice = Choice {
            kind: Kind::Switch,
            among: exploring.tasks.len(),
            free: 1,
            tasks: &exploring.tasks,
            task,
            wait,
        };
        let answer = self.policy.as_mut().and_then(|p| p.choose(&choice));
        exploring.stopped = answer.is_none();
        if answer == Some(0) {
            return Then::GoOn;
        }
        exploring.forced = true;
        if let Some(answer) = answer {
            if exploring.nests.is_empty() {
                exploring.next = exploring.tasks[answer];
            }
            if self.observer.is_some() {
                self.emit(Event::Forced(self.id(self.current)));
            }
        }
        Then::GiveWay
    }

    /// A task that has given way goes back to the end of the line: one that yielded, not one that
    /// was made to.
    pub(super) fn note_yield(&mut self, slot: u32) {
        if let Some(exploring) = &mut self.exploring
            && !std::mem::take(&mut exploring.forced)
        {
            exploring.yielded.push(slot);
        }
    }

    // ── values ───────────────────────────────────────────────────────────────────────────────

    /// A number below `among`: by the policy, else by chance that is the same in every run.
    pub(super) fn choose_value(&mut self, kind: Kind, among: usize, wait: Wait) -> usize {
        let explores = self.exploring.is_some();
        let Some(policy) = &mut self.policy else {
            return self.chance.draw(among);
        };
        if explores && (self.killing || among < 2) {
            return 0;
        }
        let task = match self.current {
            super::kernel::NOBODY => 0,
            slot => self.tasks[slot as usize].serial,
        };
        let choice = Choice {
            kind,
            among,
            free: among,
            tasks: &[],
            task,
            wait,
        };
        let answer = policy.choose(&choice);
        if let Some(exploring) = &mut self.exploring {
            exploring.stopped |= answer.is_none();
        }
        let answer = answer.unwrap_or(0);
        if self.observer.is_some() && task != 0 {
            let id = self.id(self.current);
            self.emit(Event::Chosen(id, wait.what, answer, wait.at));
        }
        answer
    }

    // ── nesting ──────────────────────────────────────────────────────────────────────────────

    /// The running task waits nested under `child`, which runs.
    pub(super) fn begin_nested(&mut self, child: u32) -> u32 {
        let parent = self.current;
        self.tasks[parent as usize].flags.set(Flags::NESTS);
        self.current = child;
        if self.slow {
            if let Some(exploring) = &mut self.exploring {
                exploring.nests.push(parent);
            }
            self.emit(Event::Resumed(self.id(child)));
        }
        parent
    }

    /// The child has parked, yielded or ended, and the parent goes on.
    pub(super) fn end_nested(&mut self, parent: u32) {
        self.current = parent;
        self.tasks[parent as usize].flags.clear(Flags::NESTS);
        if self.slow {
            if let Some(exploring) = &mut self.exploring {
                exploring.nests.pop();
            }
            self.emit(Event::Resumed(self.id(parent)));
        }
    }
}
