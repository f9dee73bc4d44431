//! Who waits for another OS thread: a task of a run, or an OS thread that runs no task.
use crate::io::{Address, AtWork, Ticket, Waiting, address};
use crate::scheduler::is_in_task;
use crate::scheduler::wait::WaitQueue;
use std::io;
use std::rc::Rc;
use std::thread::Thread;

/// How other OS threads wake whoever sleeps. One that sleeps no more is not found.
pub(super) enum Sleeper {
    Task(Address, Ticket),
    Thread(Thread),
}

impl Sleeper {
    pub(super) fn wake(&self) {
        match self {
            Sleeper::Task(address, ticket) => address.wake(*ticket),
            Sleeper::Thread(thread) => thread.unpark(),
        }
    }
}

/// The sleeper's own side: a task has a queue of its own to park in.
pub(super) enum Bed {
    Task {
        queue: Rc<WaitQueue>,
        address: Address,
        waiting: Waiting,
    },
    Thread,
}

impl Bed {
    /// For the caller.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor by which a task can be woken.
    pub(super) fn make() -> io::Result<Self> {
        if !is_in_task() {
            return Ok(Bed::Thread);
        }
        let address = address()?.expect("a task runs inside of a run");
        let queue = Rc::new(WaitQueue::new());
        let waiting = Waiting::begin(queue.clone())?;
        Ok(Bed::Task {
            queue,
            address,
            waiting,
        })
    }

    pub(super) fn sleeper(&self) -> Sleeper {
        match self {
            Bed::Task {
                address, waiting, ..
            } => Sleeper::Task(address.clone(), waiting.ticket()),
            Bed::Thread => Sleeper::Thread(std::thread::current()),
        }
    }
}

/// Whom to tell that a job is done, and for which run it was done.
pub(super) struct Finish {
    pub(super) sleeper: Sleeper,
    pub(super) work: Option<AtWork>,
}

impl Finish {
    pub(super) fn tell(self) {
        match (self.sleeper, self.work) {
            (Sleeper::Task(address, ticket), Some(work)) if work.address().is(&address) => {
                work.done(ticket);
            }
            (sleeper, _) => sleeper.wake(),
        }
    }
}
