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
    /// A variable that its transaction has read ([`atomically`](crate::stm::atomically)).
    Atomically,
    /// Data from outside: a socket, a pipe.
    Input,
    /// Room for data that goes outside.
    Output,
    /// A connection that somebody makes ([`TcpListener`](crate::net::TcpListener)).
    Accept,
    /// The answer to a connection that it makes ([`TcpStream`](crate::net::TcpStream)).
    Connect,
    /// Another OS thread that works for it ([`offload`](crate::thread::offload)).
    Offload,
    /// Another OS thread that it calls, or that has the other end of a channel
    /// ([`thread`](crate::thread)).
    Thread,
    /// A job in an OS thread of its own.
    Job,
    /// A future ([`block_on`](crate::future::block_on)) that somebody else will wake.
    Future,
    /// A signal of the system.
    Signal,
    /// The end of another process.
    Process,
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
            What::Atomically => f.write_str("atomically"),
            What::Input => f.write_str("read"),
            What::Output => f.write_str("write"),
            What::Accept => f.write_str("accept"),
            What::Connect => f.write_str("connect"),
            What::Offload => f.write_str("offload"),
            What::Thread => f.write_str("a call to another OS thread"),
            What::Job => f.write_str("wait for a job"),
            What::Future => f.write_str("block_on"),
            What::Signal => f.write_str("wait for a signal"),
            What::Process => f.write_str("wait for a process"),
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

/// A [`Wait`] in two words: what a park hands over and a record keeps. Wider ones would go through
/// memory, just written, in pieces of another size, which stalls the processor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed {
    /// A number for the kind, and above it the slot of a task that is joined.
    what: u64,
    pub(super) at: &'static Location<'static>,
}

/// The kinds without a payload, by their numbers.
const PLAIN: [What; 29] = [
    What::Turn,
    What::Scope,
    What::Sleep,
    What::Unpark,
    What::Send,
    What::Recv,
    What::Select,
    What::Lock,
    What::Read,
    What::Write,
    What::Condvar,
    What::Acquire,
    What::Barrier,
    What::Once,
    What::Event,
    What::WaitGroup,
    What::Nest,
    What::Check,
    What::Atomically,
    What::Input,
    What::Output,
    What::Accept,
    What::Connect,
    What::Offload,
    What::Thread,
    What::Job,
    What::Future,
    What::Signal,
    What::Process,
];

const JOIN: u64 = PLAIN.len() as u64;

impl Wait {
    #[inline(always)]
    pub(crate) fn pack(self) -> Packed {
        let what = match self.what {
            // A call that never waits is never packed while anybody could look.
            What::Turn | What::Call(_) => 0,
            What::Scope => 1,
            What::Sleep => 2,
            What::Unpark => 3,
            What::Send => 4,
            What::Recv => 5,
            What::Select => 6,
            What::Lock => 7,
            What::Read => 8,
            What::Write => 9,
            What::Condvar => 10,
            What::Acquire => 11,
            What::Barrier => 12,
            What::Once => 13,
            What::Event => 14,
            What::WaitGroup => 15,
            What::Nest => 16,
            What::Check => 17,
            What::Atomically => 18,
            What::Input => 19,
            What::Output => 20,
            What::Accept => 21,
            What::Connect => 22,
            What::Offload => 23,
            What::Thread => 24,
            What::Job => 25,
            What::Future => 26,
            What::Signal => 27,
            What::Process => 28,
            What::Join(id) => JOIN | u64::from(id.slot) << 8,
        };
        Packed { what, at: self.at }
    }
}

impl Packed {
    /// The kind, or the slot of the task that is joined.
    pub(super) fn what(self) -> Result<What, u32> {
        match PLAIN.get((self.what & 0xFF) as usize) {
            Some(what) => Ok(*what),
            None => Err((self.what >> 8) as u32),
        }
    }

    #[inline(always)]
    pub(super) fn is(self, what: What) -> bool {
        self.what() == Ok(what)
    }

    /// Whether such a wait is for other tasks, and ends only when each of them has let go.
    #[inline(always)]
    pub(super) fn is_for_holders(self) -> bool {
        Self::HELD >> (self.what & 0xFF) & 1 == 1
    }

    /// Whether such a wait may be ended from outside, by the system or another OS thread.
    #[inline(always)]
    pub(super) fn is_outside(self) -> bool {
        Self::OUTSIDE >> (self.what & 0xFF) & 1 == 1
    }

    /// Whether the kernel does more about such a wait than to put it into its queue.
    #[inline(always)]
    pub(super) fn is_special(self) -> bool {
        (Self::HELD | Self::OUTSIDE) >> (self.what & 0xFF) & 1 == 1
    }

    const HELD: u64 = 1 << 1 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 13 | 1 << JOIN;
    /// Not a job: its OS thread says itself whether it is at work, and one that is held back until
    /// a task lets it go on will wake nobody.
    const OUTSIDE: u64 = (1 << JOIN) - (1 << 19) - (1 << 25);
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

/// Names a place in a queue, or none: that of a task's own record, or a further one in the kernel's
/// slab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WaiterKey(u32);

/// The two kinds of places.
pub(super) enum Place {
    /// In the record of the task in this slot.
    Own(usize),
    Further(usize),
}

impl WaiterKey {
    pub(crate) const NONE: WaiterKey = WaiterKey(u32::MAX);
    const FURTHER: u32 = 1 << 31;

    #[inline(always)]
    pub(super) fn own(slot: u32) -> Self {
        debug_assert!(slot < Self::FURTHER);
        WaiterKey(slot)
    }

    pub(super) fn further(key: usize) -> Self {
        let key = u32::try_from(key)
            .ok()
            .filter(|key| *key < Self::FURTHER - 1);
        WaiterKey(key.expect("fewer than 2^31 waiters") | Self::FURTHER)
    }

    #[inline(always)]
    pub(super) fn get(self) -> Option<Place> {
        match self {
            Self::NONE => None,
            WaiterKey(key) if key < Self::FURTHER => Some(Place::Own(key as usize)),
            WaiterKey(key) => Some(Place::Further((key & !Self::FURTHER) as usize)),
        }
    }
}

/// Where in which queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    /// Key of the queue's ends; [`NOWHERE`](Self::NOWHERE) outside of any.
    pub(super) queue: u32,
    pub(super) previous: WaiterKey,
    pub(super) next: WaiterKey,
}

impl Links {
    pub(super) const NOWHERE: u32 = u32::MAX;

    pub(super) const fn nowhere() -> Self {
        Links {
            queue: Self::NOWHERE,
            previous: WaiterKey::NONE,
            next: WaiterKey::NONE,
        }
    }
}

/// A further queue in which a task waits, as in a `select`; the first is in the task's record.
pub(super) struct Further {
    /// What the parked task shows to its waker.
    pub(super) offer: usize,
    pub(super) links: Links,
    /// Slot of the task.
    pub(super) task: u32,
    /// Which of the queues given to `park` this is.
    pub(super) case: u32,
    /// Another one of the same park.
    pub(super) sibling: WaiterKey,
}

/// One task in one queue, as its waker sees it.
#[derive(Clone, Copy)]
pub(super) struct Waiter {
    pub(super) task: u32,
    pub(super) case: u32,
    pub(super) offer: usize,
    pub(super) links: Links,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_wait_tells_what_was_packed() {
        for what in PLAIN {
            let wait = Wait {
                what,
                at: Location::caller(),
            };
            assert_eq!(wait.pack().what(), Ok(what));
            let held = [What::Scope, What::Lock, What::Read, What::Write, What::Once];
            assert_eq!(wait.pack().is_for_holders(), held.contains(&what), "{what}");
            let outside = format!("{what:?}");
            let outside = [
                "Input", "Output", "Accept", "Connect", "Offload", "Thread", "Future", "Signal",
                "Process",
            ]
            .contains(&outside.as_str());
            assert_eq!(wait.pack().is_outside(), outside, "{what}");
        }
        let id = TaskId {
            serial: 9,
            slot: (1 << 31) - 1,
            run: 1,
        };
        let join = Wait {
            what: What::Join(id),
            at: Location::caller(),
        };
        assert_eq!(join.pack().what(), Err(id.slot));
        assert!(join.pack().is_for_holders());
    }
}
