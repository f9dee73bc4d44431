//! The one wait queue, and what a task says of its wait. Links live in the kernel's slabs, so a
//! queue is two numbers, needs no `unsafe`, and points into nobody's stack.
use super::object::Object;
use super::task::TaskId;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Weak;

/// What a parked task waits for.
///
/// # Examples
///
/// ```
/// use maypole::task::{Status, What};
/// maypole::run(|| {
///     let sleeper = maypole::spawn(|| maypole::sleep(std::time::Duration::from_secs(60)));
///     maypole::yield_now();
///     assert_eq!(sleeper.task().status(), Status::Parked(What::Sleep));
///     assert_eq!(What::Sleep.to_string(), "sleep");
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// The end of a task.
    Join(TaskId),
    /// The end of a scope's tasks.
    Scope,
    /// A moment.
    Sleep,
    /// [`Task::unpark`](crate::Task::unpark).
    Unpark,
    /// A receiver, or room, for its message.
    Send,
    /// A message.
    Recv,
    /// Any of several cases.
    Select,
    /// A [`Mutex`](crate::sync::Mutex).
    Lock,
    /// A shared lock of a [`RwLock`](crate::sync::RwLock).
    Read,
    /// The exclusive lock of a [`RwLock`](crate::sync::RwLock).
    Write,
    /// A [`Condvar`](crate::sync::Condvar).
    Condvar,
    /// Permits of a [`Semaphore`](crate::sync::Semaphore).
    Acquire,
    /// The others at a [`Barrier`](crate::sync::Barrier).
    Barrier,
    /// The task that makes the value of a [`OnceCell`](crate::sync::OnceCell).
    Once,
    /// An [`Event`](crate::sync::Event).
    Event,
    /// The end of a [`WaitGroup`](crate::sync::WaitGroup).
    WaitGroup,
    /// Another turn: it has yielded, or was spawned and has not run yet.
    Turn,
    /// Nothing: it is about to run a child nested ([`spawn_now`](crate::spawn_now)).
    Nest,
    /// Nothing: it asks whether it was killed
    /// ([`check_killed`](crate::task::check_killed)).
    Check,
    /// Nothing: the call of this name never waits, but may be a step of an exploration.
    Call(&'static str),
}

/// Named for the call that waits.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Join(id) => write!(f, "join of task {id}"),
            What::Scope => f.write_str("the end of a scope's tasks"),
            What::Sleep => f.write_str("sleep"),
            What::Unpark => f.write_str("park"),
            What::Send => f.write_str("send"),
            What::Recv => f.write_str("recv"),
            What::Select => f.write_str("select"),
            What::Lock => f.write_str("lock"),
            What::Read => f.write_str("read"),
            What::Write => f.write_str("write"),
            What::Condvar => f.write_str("wait for a Condvar"),
            What::Acquire => f.write_str("acquire"),
            What::Barrier => f.write_str("wait at a Barrier"),
            What::Once => f.write_str("get_or_init"),
            What::Event => f.write_str("wait for an Event"),
            What::WaitGroup => f.write_str("wait for a WaitGroup"),
            What::Turn => f.write_str("yield_now"),
            What::Nest => f.write_str("spawn_now"),
            What::Check => f.write_str("check_killed"),
            What::Call(name) => f.write_str(name),
        }
    }
}

/// What a task waits for, and the place of the call. Every parking call passes one: reports are
/// made of it.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) what: What,
    pub(crate) at: &'static Location<'static>,
}

impl Wait {
    /// The place of the call, for a task that was spawned at `site`. A call through a function
    /// pointer, as in `spawn(park)`, has its place in the standard library, which helps nobody.
    pub(crate) fn place(&self, site: &'static Location<'static>) -> &'static Location<'static> {
        match self.at.file().starts_with("/rustc/") {
            true => site,
            false => self.at,
        }
    }
}

/// How a park ended. A task gets exactly one per park.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The queue given at index `case` woke it, with a word from the waker.
    Ready {
        case: u32,
        token: usize,
    },
    TimedOut,
    Killed,
    /// A timeout expired, or a scope failed, that the task is inside of.
    Interrupted,
}

/// First in, first out, of parked tasks; every primitive that can park has one or two.
///
/// The ends of its list live in the kernel while anybody waits, so it works without a scheduler
/// and may outlive one: queues are empty between runs.
pub(crate) struct WaitQueue {
    /// Key of its `Ends`, valid in run `run` alone.
    key: Cell<u32>,
    run: Cell<u32>,
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        WaitQueue {
            key: Cell::new(0),
            run: Cell::new(0),
        }
    }

    /// The key of its ends, if it has any in run `run`. Runs are numbered from 1.
    #[inline]
    pub(super) fn key(&self, run: u32) -> Option<u32> {
        (self.run.get() == run).then(|| self.key.get())
    }

    /// Whether anybody ever waited in it.
    #[inline(always)]
    pub(crate) fn was_used(&self) -> bool {
        self.run.get() != 0
    }

    /// Tells the reports of run `run` what this is the queue of, before anybody parks in it.
    #[inline(always)]
    pub(crate) fn introduce(&self, object: impl FnOnce() -> Weak<dyn Object>) {
        if self.run.get() != super::run_number() {
            super::door::introduce(self, object());
        }
    }

    pub(super) fn register(&self, run: u32, key: u32) {
        self.run.set(run);
        self.key.set(key);
    }
}

impl Drop for WaitQueue {
    #[inline]
    fn drop(&mut self) {
        if self.was_used() {
            super::door::forget_queue(self);
        }
    }
}

/// The ends of a queue's list, and what it is the queue of.
pub(super) struct Ends {
    pub(super) object: Option<Weak<dyn Object>>,
    pub(super) head: WaiterKey,
    pub(super) tail: WaiterKey,
}

/// Names a waiter in the kernel's slab, or nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WaiterKey(u32);

impl WaiterKey {
    pub(crate) const NONE: WaiterKey = WaiterKey(u32::MAX);

    pub(super) fn new(key: usize) -> Self {
        WaiterKey(u32::try_from(key).expect("fewer than 2^32 waiters"))
    }

    #[inline(always)]
    pub(super) fn get(self) -> Option<usize> {
        (self != Self::NONE).then_some(self.0 as usize)
    }
}

/// One task parked on one queue. A task in a `select` has several.
pub(super) struct Waiter {
    /// What the parked task shows to its waker.
    pub(super) offer: usize,
    /// Slot of the task.
    pub(super) task: u32,
    /// Which of the queues given to `park` this is.
    pub(super) case: u32,
    /// Key of the queue's ends.
    pub(super) queue: u32,
    pub(super) previous: WaiterKey,
    pub(super) next: WaiterKey,
    /// The next waiter of the same park.
    pub(super) sibling: WaiterKey,
}
