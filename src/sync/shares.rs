//! The lock under [`RwLock`](super::RwLock), which knows nothing of the value: shared by readers or
//! held by one writer.
//!
//! ```text
//!            ┌── read ──► shared by n ── the last share is given back ──┐
//!   free ────┤                                                          ├──► serve
//!            └── write ─► held by one ── given back ────────────────────┘
//!
//!   serve: the first in line is a reader:  it and the readers right behind it are woken
//!          the first in line is a writer:  it is woken when nobody is left inside
//! ```
//!
//! Whoever comes while others wait goes to the end of the line, so neither side starves.
use super::facts::{Holders, Label, Place};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{WaitQueue, What};
use crate::scheduler::{first_offer, wake_one};
use std::cell::Cell;
use std::rc::{Rc, Weak};

/// What a task wants, or has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Share {
    Read,
    Write,
}

impl Share {
    pub(super) fn what(self) -> What {
        match self {
            Share::Read => What::Read,
            Share::Write => What::Write,
        }
    }

    fn offer(self) -> usize {
        self as usize
    }

    fn of(offer: usize) -> Share {
        match offer {
            0 => Share::Read,
            _ => Share::Write,
        }
    }
}

pub(super) struct Shares {
    /// Shares given out, those on their way to a woken task included.
    readers: Cell<usize>,
    /// Whether a writer is inside, or on its way.
    writes: Cell<bool>,
    queue: WaitQueue,
    /// Whether somebody may be parked: what is asked before the kernel is.
    contended: Cell<bool>,
    pub(super) holders: Holders,
    label: Label,
}

impl Shares {
    pub(super) fn new(label: Label) -> Rc<Self> {
        Rc::new(Shares {
            readers: Cell::new(0),
            writes: Cell::new(false),
            queue: WaitQueue::new(),
            contended: Cell::new(false),
            holders: Holders::default(),
            label,
        })
    }

    #[inline(always)]
    fn has_room_for(&self, share: Share) -> bool {
        !self.writes.get() && (share == Share::Read || self.readers.get() == 0)
    }

    #[inline(always)]
    fn grant(&self, share: Share) {
        match share {
            Share::Read => self.readers.set(self.readers.get() + 1),
            Share::Write => self.writes.set(true),
        }
    }

    /// Takes a share if there is room for it, and nobody waits.
    #[inline(always)]
    pub(super) fn take(&self, share: Share) -> bool {
        let taken = self.has_room_for(share) && !self.has_waiter();
        if taken {
            self.grant(share);
        }
        taken
    }

    #[inline(always)]
    fn has_waiter(&self) -> bool {
        self.contended.get() && self.ask_for_waiter()
    }

    #[inline(never)]
    fn ask_for_waiter(&self) -> bool {
        self.contended.set(first_offer(&self.queue).is_some());
        self.contended.get()
    }

    #[inline(always)]
    pub(super) fn give_back(&self, share: Share) {
        match share {
            Share::Read => self.readers.set(self.readers.get() - 1),
            Share::Write => self.writes.set(false),
        }
        if self.contended.get() {
            self.serve();
        }
    }

    /// Makes a reader of the writer, and lets the readers in that come next.
    pub(super) fn downgrade(&self) {
        self.grant(Share::Read);
        self.give_back(Share::Write);
    }

    /// Lets in who is first in line, as far as there is room.
    #[inline(never)]
    pub(super) fn serve(&self) {
        loop {
            let Some(offer) = first_offer(&self.queue) else {
                return self.contended.set(false);
            };
            let share = Share::of(offer);
            if !self.has_room_for(share) {
                return;
            }
            self.grant(share);
            wake_one(&self.queue, 0);
        }
    }

    /// The queue to park in, and what to offer there.
    ///
    /// # Panics
    ///
    /// If the task has a share already: it would wait for itself, or for a writer that waits for
    /// it.
    #[inline(never)]
    pub(super) fn enlist(self: &Rc<Self>, share: Share, at: Place) -> (&WaitQueue, usize) {
        if let Some(before) = self.holders.mine() {
            let (what, label) = (share.what(), &self.label);
            panic!(
                "maypole: {what} at {at} of {label}, which this task has locked at {before}: \
                 it would wait for itself"
            );
        }
        self.contended.set(true);
        self.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Shares>::downgrade(self);
            object
        });
        (&self.queue, share.offer())
    }
}

impl Object for Shares {
    fn view(&self) -> ObjectView {
        let state = match (self.writes.get(), self.readers.get()) {
            (true, _) => "locked for writing".to_string(),
            (_, 1) => "1 reader".to_string(),
            (_, readers) => format!("{readers} readers"),
        };
        self.label.view(self.holders.list(), state)
    }

    fn each_owner(&self, show: &mut dyn FnMut(TaskId)) {
        self.holders.each(show);
    }

    fn has_room_for(&self, what: What) -> bool {
        what == What::Read && !self.writes.get()
    }
}
