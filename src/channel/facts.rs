//! What reports tell of a channel; kept only once somebody has waited in it.
use super::queue::Chan;
use crate::scheduler::object::{Object, ObjectView};
use std::cell::{Cell, OnceCell};
use std::panic::Location;
use std::rc::{Rc, Weak};

pub(super) struct Facts {
    name: Option<Rc<str>>,
    pub(super) made_at: &'static Location<'static>,
    known: OnceCell<Rc<Known>>,
}

struct Known {
    name: Option<Rc<str>>,
    made_at: &'static Location<'static>,
    capacity: Cell<usize>,
    /// When somebody parked last: nothing was queued if it was a receiver.
    queued: Cell<usize>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
}

impl Facts {
    pub(super) fn new(name: Option<Rc<str>>, made_at: &'static Location<'static>) -> Self {
        Facts {
            name,
            made_at,
            known: OnceCell::new(),
        }
    }

    /// Somebody is about to park with so many messages queued.
    pub(super) fn note<T>(&self, queued: usize, chan: &Chan<T>) {
        match self.known.get() {
            Some(known) => known.queued.set(queued),
            None => self.begin(queued, chan),
        }
    }

    #[cold]
    fn begin<T>(&self, queued: usize, chan: &Chan<T>) {
        let known = self.known.get_or_init(|| {
            Rc::new(Known {
                name: self.name.clone(),
                made_at: self.made_at,
                capacity: Cell::new(chan.capacity),
                queued: Cell::new(0),
                senders: Cell::new(0),
                receivers: Cell::new(0),
            })
        });
        known.queued.set(queued);
        self.recount(chan);
    }

    /// The number of handles has changed.
    #[inline]
    pub(super) fn recount<T>(&self, chan: &Chan<T>) {
        if let Some(known) = self.known.get() {
            known.senders.set(chan.sender_count.get());
            known.receivers.set(chan.receiver_count.get());
        }
    }

    pub(super) fn object(&self) -> Weak<dyn Object> {
        match self.known.get() {
            Some(known) => Rc::downgrade(&(known.clone() as Rc<dyn Object>)),
            None => Weak::<Known>::new(),
        }
    }
}

impl Object for Known {
    fn view(&self) -> ObjectView {
        let capacity = match self.capacity.get() {
            0 => "rendezvous".to_string(),
            usize::MAX => format!("unbounded, {} queued", self.queued.get()),
            capacity => format!("bounded({capacity}), {} queued", self.queued.get()),
        };
        ObjectView {
            kind: "channel",
            name: self.name.as_deref().map(str::to_string),
            made_at: self.made_at,
            owners: Vec::new(),
            state: format!(
                "{capacity}, {} alive (owner unknown), {} alive",
                plural(self.senders.get(), "sender"),
                plural(self.receivers.get(), "receiver"),
            ),
            content: None,
        }
    }
}

pub(super) fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}
