//! Step 7: who waits for which socket. Python has `select`; here it is mio, which maypole uses,
//! too.
use super::system::Id;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy)]
pub enum Way {
    In,
    Out,
}

#[derive(Default)]
pub struct Sockets {
    waiting: BTreeMap<Id, RawFd>,
    /// Made when the first task waits.
    poll: Option<Poll>,
}

impl Sockets {
    /// Lets the task wait. A socket is watched only as long as somebody waits for it, so one that
    /// is ready already is told of at the next look.
    pub fn wait(&mut self, task: Id, socket: RawFd, way: Way) {
        let interest = match way {
            Way::In => Interest::READABLE,
            Way::Out => Interest::WRITABLE,
        };
        let poll = self
            .poll
            .get_or_insert_with(|| Poll::new().expect("the system can poll"));
        let registered = poll
            .registry()
            .register(&mut SourceFd(&socket), Token(task), interest);
        registered.expect("one task waits for a socket at a time");
        self.waiting.insert(task, socket);
    }

    /// The tasks whose sockets are ready. When there is none it sleeps, if it `may_sleep`, until
    /// there is one; without anybody who waits that would be for ever.
    pub fn look(&mut self, may_sleep: bool) -> Vec<Id> {
        let Some(poll) = self.poll.as_mut().filter(|_| !self.waiting.is_empty()) else {
            return Vec::new();
        };
        let mut events = Events::with_capacity(64);
        let patience = match may_sleep {
            true => None,
            false => Some(Duration::ZERO),
        };
        // A signal ends the sleep, too.
        while let Err(error) = poll.poll(&mut events, patience) {
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
        }
        let ready: Vec<Id> = events.iter().map(|event| event.token().0).collect();
        for &task in &ready {
            self.forget(task);
        }
        ready
    }

    /// Ends the wait of a task; false when it does not wait here.
    pub fn forget(&mut self, task: Id) -> bool {
        let Some(socket) = self.waiting.remove(&task) else {
            return false;
        };
        let poll = self.poll.as_ref().expect("somebody has waited");
        let forgotten = poll.registry().deregister(&mut SourceFd(&socket));
        forgotten.expect("the socket is open while a task waits for it");
        true
    }
}
