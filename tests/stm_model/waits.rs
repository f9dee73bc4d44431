//! Who waits for which variables, in the order of their parks: what every wake must follow.
use super::values::Name;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It must be parked.
    Parked,
    /// What it has read has changed: it must have its turn soon.
    Woken,
    /// What it has read has changed before it came to park: it must have its turn soon, and when
    /// is left open.
    Again,
    /// It must unwind.
    Killed,
}

/// A transaction that has retried.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Of all calls of `atomically`. A task may be in several, one in a destructor of another.
    pub call: usize,
    pub task: usize,
    pub read: BTreeSet<Name>,
    pub state: State,
    /// It was not parked when it was woken, so it may have let go of what it has read.
    pub is_loose: bool,
    /// When it retried, or had let others run after that.
    pub since: Instant,
    /// When one of the variables comes true by itself.
    pub due: Option<Instant>,
    /// When the innermost or any other timeout around it expires.
    pub limit: Option<Instant>,
}

impl Wait {
    /// Whether time has ended it.
    pub fn is_due(&self, now: Instant) -> bool {
        let parked = self.state == State::Parked;
        parked
            && [self.due, self.limit]
                .into_iter()
                .flatten()
                .any(|at| at <= now)
    }

    /// Whether it has been woken, and goes on when it has its turn.
    pub fn goes_on(&self, now: Instant) -> bool {
        match self.state {
            State::Woken => true,
            // A timeout that expires at the same moment comes first.
            State::Parked => self
                .due
                .is_some_and(|due| due <= now && self.limit.is_none_or(|limit| due < limit)),
            State::Again | State::Killed => false,
        }
    }
}

/// All who wait, the first first.
#[derive(Clone, Default, Debug)]
pub struct Waits {
    pub list: Vec<Wait>,
    /// The calls woken that have not had their turn, in the order of their wakes.
    line: VecDeque<usize>,
    /// How many may have been woken without being counted here.
    pub uncounted: u64,
}

impl Waits {
    pub fn add(&mut self, wait: Wait) {
        self.list.push(wait);
    }

    pub fn remove(&mut self, call: usize) -> Option<Wait> {
        self.line.retain(|other| *other != call);
        let at = self.list.iter().position(|wait| wait.call == call)?;
        Some(self.list.remove(at))
    }

    pub fn is_first_in_line(&self, call: usize) -> bool {
        self.line.front() == Some(&call)
    }

    /// A change of these: who waits for one of them is woken. `is_late` are the tasks that have not
    /// come to park yet.
    pub fn wake(
        &mut self,
        changed: &BTreeSet<Name>,
        now: Instant,
        is_late: impl Fn(usize) -> bool,
    ) {
        for wait in &mut self.list {
            let concerned = !wait.read.is_disjoint(changed);
            let is_late = is_late(wait.task);
            if wait.state != State::Parked || !concerned || wait.is_due(now) && !is_late {
                continue;
            }
            if is_late {
                (wait.state, wait.is_loose) = (State::Again, true);
                self.uncounted += 1;
            } else {
                wait.state = State::Woken;
                self.line.push_back(wait.call);
            }
        }
    }

    /// The task is killed; tells how many of its calls had been woken before. Time wakes nobody who
    /// `is_late`, and has not come to park yet.
    pub fn kill(&mut self, task: usize, now: Instant, is_late: bool) -> usize {
        let mut woken = 0;
        for wait in self.list.iter_mut().filter(|wait| wait.task == task) {
            woken += usize::from(wait.goes_on(now) && !is_late);
            self.line.retain(|other| *other != wait.call);
            wait.state = State::Killed;
        }
        woken
    }

    /// The task lets others go first before it parks, or before it goes on.
    pub fn is_delayed(&mut self, task: usize, now: Instant) {
        let (mut late, others): (Vec<_>, Vec<_>) =
            self.list.drain(..).partition(|wait| wait.task == task);
        for wait in &mut late {
            self.line.retain(|other| *other != wait.call);
            wait.since = now;
            if wait.state == State::Woken {
                (wait.state, wait.is_loose) = (State::Again, true);
                self.uncounted += 1;
            }
        }
        self.list = others;
        self.list.extend(late);
    }
}
