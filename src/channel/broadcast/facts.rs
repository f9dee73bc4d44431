//! What reports tell of a broadcast.
use crate::channel::facts::plural;
use crate::scheduler::object::{Object, ObjectView};
use std::cell::Cell;
use std::panic::Location;

pub(super) struct Facts {
    made_at: &'static Location<'static>,
    capacity: usize,
    /// Messages that the slowest receiver has still to take.
    pub(super) queued: Cell<usize>,
    pub(super) senders: Cell<usize>,
    pub(super) receivers: Cell<usize>,
}

impl Facts {
    /// Of a broadcast with one sender, before anybody listens.
    pub(super) fn new(capacity: usize, made_at: &'static Location<'static>) -> Self {
        Facts {
            made_at,
            capacity,
            queued: Cell::new(0),
            senders: Cell::new(1),
            receivers: Cell::new(0),
        }
    }
}

impl Object for Facts {
    fn view(&self) -> ObjectView {
        ObjectView {
            kind: "broadcast",
            name: None,
            made_at: self.made_at,
            owners: Vec::new(),
            state: format!(
                "bounded({}), {} queued, {} alive, {} alive",
                self.capacity,
                self.queued.get(),
                plural(self.senders.get(), "sender"),
                plural(self.receivers.get(), "receiver"),
            ),
            content: None,
        }
    }
}
