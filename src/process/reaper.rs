//! Waits for processes that nobody waits for any more, in an OS thread that lives while there are
//! such. No task knows of it.
use crate::io::faults;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A process that runs, and that nobody waits for.
pub(super) struct Orphan {
    pub(super) child: std::process::Child,
    /// Readable when it has ended.
    pub(super) ending: OwnedFd,
}

impl Orphan {
    /// Whether it has ended; then it is no zombie any more.
    fn has_ended(&mut self) -> bool {
        // An error says that somebody else has waited for it, or the system itself.
        !matches!(self.child.try_wait(), Ok(None))
    }
}

static ORPHANS: Mutex<Orphans> = Mutex::new(Orphans {
    newcomers: Vec::new(),
    waker: None,
});

struct Orphans {
    newcomers: Vec<Orphan>,
    /// Ends the sleep of the OS thread, while there is one.
    waker: Option<Waker>,
}

const WAKER: Token = Token(usize::MAX);

/// How often it looks at those that it cannot be told of.
const PATIENCE: Duration = Duration::from_millis(200);

fn orphans() -> MutexGuard<'static, Orphans> {
    // Nothing panics while it is held.
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for `orphan` in the background. If there is no OS thread to be had, it does so when the
/// next process is started.
pub(super) fn adopt(orphan: Orphan) {
    let mut orphans = orphans();
    orphans.newcomers.push(orphan);
    orphans.see_to_them();
}

/// Sees to those for whom there was no OS thread.
pub(super) fn look() {
    let mut orphans = orphans();
    if orphans.waker.is_none() && !orphans.newcomers.is_empty() {
        orphans.newcomers.retain_mut(|orphan| !orphan.has_ended());
        orphans.see_to_them();
    }
}

impl Orphans {
    fn see_to_them(&mut self) {
        match &self.waker {
            Some(waker) => drop(waker.wake()),
            None if self.newcomers.is_empty() => {}
            None => self.waker = start().ok(),
        }
    }
}

fn start() -> io::Result<Waker> {
    let poll = faults::call(Poll::new)?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let thread = thread::Builder::new().name("maypole-reaper".into());
    thread.stack_size(64 << 10).spawn(|| tend(poll))?;
    Ok(waker)
}

/// Waits until all have ended.
fn tend(mut poll: Poll) {
    let mut events = Events::with_capacity(64);
    let mut waiting: Slab<Orphan> = Slab::new();
    let mut untold: Vec<Orphan> = Vec::new();
    loop {
        {
            let mut orphans = orphans();
            let newcomers = std::mem::take(&mut orphans.newcomers);
            for orphan in newcomers {
                let token = Token(waiting.vacant_key());
                let fd = orphan.ending.as_raw_fd();
                let registry = poll.registry();
                match registry.register(&mut SourceFd(&fd), token, Interest::READABLE) {
                    Ok(()) => drop(waiting.insert(orphan)),
                    Err(_) => untold.push(orphan),
                }
            }
            if waiting.is_empty() && untold.is_empty() {
                // Whoever comes now finds that there is no OS thread.
                orphans.waker = None;
                return;
            }
        }
        // A failure is an interruption: another round.
        let _ = poll.poll(&mut events, (!untold.is_empty()).then_some(PATIENCE));
        untold.retain_mut(|orphan| !orphan.has_ended());
        for event in events.iter().filter(|event| event.token() != WAKER) {
            let Token(key) = event.token();
            if waiting.get_mut(key).is_some_and(Orphan::has_ended) {
                let orphan = waiting.remove(key);
                let fd = orphan.ending.as_raw_fd();
                let _ = poll.registry().deregister(&mut SourceFd(&fd));
            }
        }
    }
}
