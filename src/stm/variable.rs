//! What a transactional variable is made of, and how one forgets what a transaction did to it.
//!
//! A transaction writes in place. What it found is kept beside the value until it has ended, so the
//! undo log is in the variables themselves, and the log of a transaction is no more than a list of
//! those it has touched. Moments, counted by one clock for all transactions of an OS thread, tell
//! whether a variable was read or saved in the present one.
use crate::scheduler::object::{Content, Describe, Object, ObjectView};
use crate::scheduler::wait::WaitQueue;
use std::cell::{Cell, OnceCell};
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Instant;

pub(super) type Place = &'static Location<'static>;

/// The kind of a variable that is no thing of its own: the reports leave it out.
pub(super) const PART: &str = "";

/// A variable whose content is of any type.
pub(super) type AnyVariable = Variable<dyn Slot>;

pub(super) struct Variable<S: ?Sized> {
    pub(super) core: Core,
    pub(super) slot: S,
}

/// The part that is the same for every content.
pub(super) struct Core {
    /// When a transaction found it in a state that it had not made.
    pub(super) read_at: Cell<u64>,
    /// When a transaction kept what it found, so as to undo its own writes; and so, once that has
    /// committed, when it was written last.
    pub(super) saved_at: Cell<u64>,
    /// The same for the transaction before: it holds again when the present one is undone.
    pub(super) saved_before: Cell<u64>,
    /// Transactions that have read it and retried.
    queue: WaitQueue,
    kind: &'static str,
    made_at: Place,
    more: Option<Box<More>>,
    known: OnceCell<Rc<Known>>,
}

/// What few variables have.
#[derive(Default)]
pub(super) struct More {
    pub(super) name: Option<Box<str>>,
    /// When it comes true by itself.
    pub(super) due: Cell<Option<Instant>>,
}

/// What a variable holds.
pub(super) trait Slot {
    /// Puts back what the transaction found. What is taken out is left over.
    fn restore(&self);

    /// Drops what was left over.
    fn clear(&self);

    /// Whether nobody looks at the content.
    fn is_free(&self) -> bool;

    /// The moment has come for which [`delay`](super::delay) made it.
    fn come_true(&self) {}

    /// What it holds, for reports; may run code of the user.
    fn describe(&self) -> Option<String>;
}

impl Core {
    pub(super) fn new(kind: &'static str, made_at: Place, more: Option<More>) -> Self {
        Core {
            read_at: Cell::new(0),
            saved_at: Cell::new(0),
            saved_before: Cell::new(0),
            queue: WaitQueue::new(),
            kind,
            made_at,
            more: more.map(Box::new),
            known: OnceCell::new(),
        }
    }

    /// When it comes true by itself.
    pub(super) fn due(&self) -> Option<Instant> {
        self.more.as_ref()?.due.get()
    }

    /// Whether anybody may wait for a change.
    #[inline(always)]
    pub(super) fn was_awaited(&self) -> bool {
        self.queue.was_used()
    }

    /// Those who wait for a change, if any ever did.
    pub(super) fn waiters(&self) -> &WaitQueue {
        &self.queue
    }

    #[cold]
    #[inline(never)]
    pub(super) fn refuse_write(&self, at: Place) -> ! {
        let name = match self.name() {
            Some(name) => format!(" '{name}'"),
            None => String::new(),
        };
        panic!(
            "maypole: a write at {at} to the {}{name} made at {} while its content is being read: \
             inside the closure of its own `with` or `update`, or its own Clone",
            self.kind, self.made_at
        );
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.more.as_ref()?.name.as_deref()
    }
}

impl More {
    /// Whether its moment has come; tells it once.
    #[inline(never)]
    fn take_moment(&self, now: impl FnOnce() -> Instant) -> bool {
        let has_come = self.due.get().is_some_and(|due| due <= now());
        if has_come {
            self.due.set(None);
        }
        has_come
    }
}

impl<S: Slot> Variable<S> {
    /// Lets a variable come true whose time has come, as if it had been written to at `moment`. The
    /// clock stands still for whoever has seen it in the present transaction, so this is asked at the
    /// first touch alone.
    #[inline(always)]
    pub(super) fn catch_up(&self, now: impl FnOnce() -> Instant, moment: impl FnOnce() -> u64) {
        if let Some(more) = &self.core.more
            && more.take_moment(now)
        {
            self.slot.come_true();
            self.core.saved_at.set(moment());
        }
    }
}

impl AnyVariable {
    /// Where to wait for a change, known to the reports.
    pub(super) fn queue(self: &Rc<Self>) -> &WaitQueue {
        self.core.queue.introduce(|| match self.core.kind {
            PART => Weak::<Known>::new(),
            _ => Rc::downgrade(&(self.known().clone() as Rc<dyn Object>)),
        });
        &self.core.queue
    }

    fn known(self: &Rc<Self>) -> &Rc<Known> {
        let core = &self.core;
        core.known.get_or_init(|| {
            Rc::new(Known {
                kind: core.kind,
                name: core.name().map(Box::from),
                made_at: core.made_at,
                variable: Rc::downgrade(self),
            })
        })
    }

    /// Lets the reports show `other` as this one: both are parts of the same thing.
    pub(super) fn stands_for(self: &Rc<Self>, other: &Core) {
        let fresh = other.known.set(self.known().clone());
        debug_assert!(fresh.is_ok(), "a part that was just made is unknown");
    }
}

/// A variable, as reports know it.
struct Known {
    kind: &'static str,
    name: Option<Box<str>>,
    made_at: Place,
    /// It may be gone where it stands for others.
    variable: Weak<AnyVariable>,
}

impl Object for Known {
    fn view(&self) -> ObjectView {
        let variable = self.variable.upgrade();
        ObjectView {
            kind: self.kind,
            name: self.name.as_deref().map(str::to_string),
            made_at: self.made_at,
            owners: Vec::new(),
            state: String::new(),
            content: variable.map(|variable| Content(Rc::new(Held(variable)))),
        }
    }
}

struct Held(Rc<AnyVariable>);

impl Describe for Held {
    fn describe(&self) -> Option<String> {
        self.0.slot.describe()
    }
}
