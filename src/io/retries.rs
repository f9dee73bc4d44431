//! Calls to be tried again a little later, where the system tells of no event that would be worth
//! it: no descriptor free to accept with, no room in a queue that is not ours.
//!
//! The system's clock decides, also where a run has virtual time, which stands while anybody waits
//! for the outside world.
use super::source::{Sides, Way};
use crate::scheduler::clock::system_now;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Retries {
    list: RefCell<Vec<Retry>>,
}

struct Retry {
    at: Instant,
    sides: Weak<Sides>,
    way: Way,
}

impl Retries {
    pub(super) fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// Has the side tried after `pause`, and not when it was to be tried before.
    pub(super) fn add(&self, pause: Duration, sides: &Rc<Sides>, way: Way) {
        let sides = Rc::downgrade(sides);
        let mut list = self.list.borrow_mut();
        list.retain(|other| other.way != way || !other.sides.ptr_eq(&sides));
        list.push(Retry {
            at: system_now() + pause,
            sides,
            way,
        });
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.list.borrow().iter().map(|retry| retry.at).min()
    }

    /// How long a sleep that may last `timeout` may last with regard to these.
    pub(super) fn bound(&self, timeout: Option<Duration>) -> Option<Duration> {
        match self.next() {
            None => timeout,
            Some(at) => {
                let left = at.saturating_duration_since(system_now());
                Some(timeout.map_or(left, |timeout| timeout.min(left)))
            }
        }
    }

    pub(super) fn wake_due(&self) {
        if self.is_empty() {
            return;
        }
        let now = system_now();
        self.list.borrow_mut().retain(|retry| {
            let due = retry.at <= now;
            if due && let Some(sides) = retry.sides.upgrade() {
                sides.try_again(retry.way);
            }
            !due
        });
    }
}
