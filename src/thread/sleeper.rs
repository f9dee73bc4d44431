//! Who waits for another OS thread: a task of a run, or an OS thread that runs no task.
use crate::io::{Address, AtWork, Ticket, Waiting, address};
use crate::scheduler::wait::WaitQueue;
use std::io;
use std::rc::Rc;
use std::thread::Thread;

/// How other OS threads wake whoever sleeps. One that sleeps no more is not found.
pub(crate) enum Sleeper {
    Task(Address, Ticket),
    Thread(Thread),
}

impl Sleeper {
    pub(crate) fn this_thread() -> Self {
        Sleeper::Thread(std::thread::current())
    }

    pub(crate) fn wake(&self) {
        match self {
            Sleeper::Task(address, ticket) => address.wake(*ticket),
            Sleeper::Thread(thread) => thread.unpark(),
        }
    }

    /// Whether it does not wait any more: it was killed, or its time is over, and it has not had its
    /// turn since; or it was leaked at the end of its run.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Sleeper::Task(address, ticket) => address.has_lost(*ticket),
            Sleeper::Thread(_) => false,
        }
    }
}

/// Where a task sleeps until another OS thread wakes it.
pub(crate) struct Bed {
    queue: Rc<WaitQueue>,
    address: Address,
    waiting: Waiting,
}

impl Bed {
    /// For the running task.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor by which it can be woken.
    pub(crate) fn make() -> io::Result<Self> {
        let address = address()?.expect("a task runs inside of a run");
        let queue = Rc::new(WaitQueue::new());
        let waiting = Waiting::begin(queue.clone())?;
        Ok(Bed {
            queue,
            address,
            waiting,
        })
    }

    pub(crate) fn sleeper(&self) -> Sleeper {
        Sleeper::Task(self.address.clone(), self.waiting.ticket())
    }

    pub(crate) fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Wakes the task that is about to park.
    pub(crate) fn wake_soon(&self) {
        self.address.wake_later(self.waiting.ticket());
    }
}

/// Whom to tell that a job is done, and for which run it was done.
pub(crate) struct Finish {
    pub(crate) sleeper: Option<Sleeper>,
    pub(crate) work: Option<AtWork>,
}

impl Finish {
    /// For a job that tells of its end itself.
    pub(crate) fn nobody() -> Self {
        Finish {
            sleeper: None,
            work: None,
        }
    }

    pub(crate) fn tell(self) {
        match (self.sleeper, self.work) {
            (Some(Sleeper::Task(address, ticket)), Some(work)) if work.address().is(&address) => {
                work.done(ticket);
            }
            (Some(sleeper), _) => sleeper.wake(),
            (None, _) => {}
        }
    }
}
