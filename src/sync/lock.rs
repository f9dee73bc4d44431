//! The lock under [`Mutex`](super::Mutex) and [`OnceCell`](super::OnceCell), which knows nothing of
//! the value: who holds it, since which place, and who waits.
//!
//! ```text
//!   free ──take──► held by a task ──release──► nobody waits: free
//!                       ▲                └───► the first waiter is woken: held, on its way to it
//!                       └─────────── receive ◄────────┘
//! ```
//!
//! A lock on its way is not free, so nobody can take it from the one that was woken.
use super::facts::{Facts, Label, Place};
use crate::scheduler::object::Object;
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{WaitQueue, What};
use crate::scheduler::{current_id, is_in_task, outside_of_tasks, wake_all, wake_one};
use std::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};

/// What a lock is the lock of.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What its holder has done, and where: `which this task locked`.
    pub(super) taken: &'static str,
}

pub(super) struct Lock {
    queue: WaitQueue,
    /// Where it was locked; `None` while it is free.
    held_at: Cell<Option<Place>>,
    /// Who locked it; nobody outside of tasks and while it is on its way.
    owner: Cell<TaskId>,
    /// Whether somebody may be parked: what a release asks before it asks the kernel.
    contended: Cell<bool>,
    made_at: Place,
    facts: OnceCell<Rc<Facts>>,
}

impl Lock {
    pub(super) const fn new(made_at: Place) -> Self {
        Lock {
            queue: WaitQueue::new(),
            held_at: Cell::new(None),
            owner: Cell::new(TaskId::NOBODY),
            contended: Cell::new(false),
            made_at,
            facts: OnceCell::new(),
        }
    }

    pub(super) fn labelled(label: Label) -> Self {
        let lock = Lock::new(label.made_at);
        lock.facts.get_or_init(|| Rc::new(Facts::new(label)));
        lock
    }

    /// Takes it if it is free.
    #[inline(always)]
    pub(super) fn take(&self, at: Place) -> bool {
        let free = self.held_at.get().is_none();
        if free {
            self.held_at.set(Some(at));
            self.owner.set(current_id());
        }
        free
    }

    /// What a call does that found it held: outside of a task nothing can set it free meanwhile.
    #[inline(always)]
    pub(super) fn refuse_outside(&self, kind: &Kind, what: What, at: Place) {
        if !is_in_task() {
            self.refuse(kind, what, at);
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, kind: &Kind, what: What, at: Place) {
        if let Some(before) = self.held_at.get() {
            let label = &self.facts(kind).label;
            outside_of_tasks(format_args!(
                "{what} at {at} of {label}, held since {before},"
            ));
        }
    }

    /// The queue to park in, for a task that found it held.
    ///
    /// # Panics
    ///
    /// If that very task holds it.
    #[inline(never)]
    pub(super) fn enlist(&self, kind: &Kind, what: What, at: Place) -> &WaitQueue {
        let owner = self.owner.get();
        if let Some(before) = self.held_at.get() {
            if owner == current_id() {
                let (label, taken) = (&self.facts(kind).label, kind.taken);
                panic!(
                    "maypole: {what} at {at} of {label}, {taken} at {before}: it would wait for \
                     itself"
                );
            }
            let known = owner != TaskId::NOBODY;
            let holder = known.then_some((owner, before));
            self.facts(kind).holder.set(holder);
        }
        self.contended.set(true);
        self.introduce(&self.queue, kind);
        &self.queue
    }

    /// Tells the reports that `queue` is one of this lock's.
    pub(super) fn introduce(&self, queue: &WaitQueue, kind: &Kind) {
        queue.introduce(|| {
            let facts: Weak<dyn Object> = Rc::<Facts>::downgrade(self.facts(kind));
            facts
        });
    }

    fn facts(&self, kind: &Kind) -> &Rc<Facts> {
        let label = || Label::new(kind.name, self.made_at);
        self.facts.get_or_init(|| Rc::new(Facts::new(label())))
    }

    /// The running task was woken with the lock.
    #[inline]
    pub(super) fn receive(&self, at: Place) {
        let me = current_id();
        self.held_at.set(Some(at));
        self.owner.set(me);
        if let Some(facts) = self.facts.get() {
            facts.holder.set(Some((me, at)));
        }
    }

    /// Where it was locked.
    #[inline(always)]
    pub(super) fn held_at(&self) -> Option<Place> {
        self.held_at.get()
    }

    /// Hands it to the first that waits, else sets it free.
    #[inline(always)]
    pub(super) fn release(&self) {
        match self.contended.get() {
            true => self.hand_over(),
            false => self.held_at.set(None),
        }
    }

    #[inline(never)]
    fn hand_over(&self) {
        self.nobody_holds_it();
        if wake_one(&self.queue, 0).is_none() {
            self.contended.set(false);
            self.held_at.set(None);
        }
    }

    /// Sets it free and wakes all that wait, for whom there is nothing to lock any more.
    pub(super) fn release_to_all(&self) {
        if self.contended.replace(false) {
            self.nobody_holds_it();
            wake_all(&self.queue, 0);
        }
        self.held_at.set(None);
    }

    fn nobody_holds_it(&self) {
        self.owner.set(TaskId::NOBODY);
        if let Some(facts) = self.facts.get() {
            facts.holder.set(None);
        }
    }
}
