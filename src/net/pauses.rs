//! Pauses between tries, each twice as long as the one before.
use std::time::Duration;

pub(super) struct Pauses {
    next: Duration,
    most: Duration,
}

impl Pauses {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Pauses { next: first, most }
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }
}
