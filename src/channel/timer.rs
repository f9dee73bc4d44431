//! Receivers of moments: `after`, `at` and `tick`.
use crate::scheduler;
use crate::scheduler::wait::WaitQueue;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// What sends at its own times.
pub(super) trait Timer<T> {
    /// When the next message is due; `None` when there will be none.
    fn due(&self) -> Option<Instant>;

    /// Takes the moment of a message that is due.
    fn take(&self) -> Option<Instant>;

    /// Gives a moment back that was taken last.
    fn give_back(&self, moment: Instant);

    fn message(&self, moment: Instant) -> T;

    /// Where a task waits that is woken by nobody.
    fn queue(&self) -> &WaitQueue;

    fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= scheduler::now())
    }
}

/// Nobody ever sends.
pub(super) struct Silence {
    pub(super) queue: WaitQueue,
}

impl Silence {
    pub(super) fn new() -> Self {
        Silence {
            queue: WaitQueue::new(),
        }
    }
}

/// Sends one message.
pub(super) struct Once {
    at: Instant,
    sent: Cell<bool>,
    silence: Silence,
}

impl Once {
    pub(super) fn new(at: Instant) -> Self {
        Once {
            at,
            sent: Cell::new(false),
            silence: Silence::new(),
        }
    }
}

impl Timer<Instant> for Once {
    fn due(&self) -> Option<Instant> {
        (!self.sent.get()).then_some(self.at)
    }

    fn take(&self) -> Option<Instant> {
        self.is_due().then(|| {
            self.sent.set(true);
            self.at
        })
    }

    fn give_back(&self, _: Instant) {
        self.sent.set(false);
    }

    fn message(&self, moment: Instant) -> Instant {
        moment
    }

    fn queue(&self) -> &WaitQueue {
        &self.silence.queue
    }
}

/// Sends at regular times, but no second message before the first was received.
pub(super) struct Ticks {
    next: Cell<Option<Instant>>,
    period: Duration,
    silence: Silence,
}

impl Ticks {
    pub(super) fn new(period: Duration) -> Self {
        Ticks {
            next: Cell::new(scheduler::now().checked_add(period)),
            period,
            silence: Silence::new(),
        }
    }
}

impl Timer<Instant> for Ticks {
    fn due(&self) -> Option<Instant> {
        self.next.get()
    }

    fn take(&self) -> Option<Instant> {
        let due = self.next.get()?;
        let now = scheduler::now();
        (due <= now).then(|| {
            self.next.set(now.checked_add(self.period));
            due
        })
    }

    fn give_back(&self, moment: Instant) {
        self.next.set(Some(moment));
    }

    fn message(&self, moment: Instant) -> Instant {
        moment
    }

    fn queue(&self) -> &WaitQueue {
        &self.silence.queue
    }
}
