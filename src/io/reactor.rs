//! The reactor: waits for sockets and for letters of other OS threads, and wakes whom they concern.
//!
//! ```text
//!   Source: a call would wait ─► registered once, edge-triggered ─► the task parks
//!   the loop is idle, or every so many turns ─► wait ─► event ─► token: slot and serial ─► Side
//!                                                   └─► letters ─► wakes, new tasks
//! ```
//!
//! Each OS thread has one from the first call on that needs it; it outlives runs, and so do the
//! sockets that are registered with it.
use super::inbox::{Address, Letter};
use super::retries::Retries;
use super::source::{Sides, Way};
use super::sys;
use super::waits::{Ticket, Waits};
use crate::coroutine::say;
use crate::scheduler::driver::{Driver, Prospect};
use crate::scheduler::is_running;
use crate::scheduler::wait::WaitQueue;
use crate::task::{drop_quietly, spawn_from_outside};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events that one look takes: so few that what it has woken is still in the caches at its turn.
const EVENTS: usize = 64;

/// The waker's token; no source has it.
const WAKER: Token = Token(usize::MAX);

/// Shorter times are waited for more exactly than in the milliseconds of `epoll_wait`.
const MILLISECOND: Duration = Duration::from_millis(1);

thread_local! {
    static HERE: Here = const { Here::new() };
}

/// What this OS thread has.
struct Here {
    reactor: OnceCell<Rc<Reactor>>,
    /// The run that is under way.
    run: RefCell<Option<Rc<Entrance>>>,
}

/// Where others reach a run, once they need to.
#[derive(Default)]
struct Entrance {
    address: OnceCell<Address>,
}

impl Here {
    const fn new() -> Self {
        Here {
            reactor: OnceCell::new(),
            run: RefCell::new(None),
        }
    }

    fn reactor(&self) -> io::Result<Rc<Reactor>> {
        if let Some(reactor) = self.reactor.get() {
            return Ok(reactor.clone());
        }
        let reactor = Rc::new(Reactor::new()?);
        Ok(self.reactor.get_or_init(|| reactor).clone())
    }
}

pub(super) struct Reactor {
    poll: RefCell<Poll>,
    events: RefCell<Events>,
    sources: RefCell<Slab<Registered>>,
    serial: Cell<u32>,
    waits: RefCell<Waits>,
    /// What ends its sleep: one for all the runs that it serves, since a late call for an earlier
    /// one does no harm.
    waker: OnceCell<Arc<mio::Waker>>,
    retries: Retries,
}

/// A source, and the serial number in its token: a slot is used again, and an event of the one
/// before may still be on its way.
struct Registered {
    serial: u32,
    sides: Rc<Sides>,
}

/// The reactor of this OS thread.
///
/// # Errors
///
/// When the system has no descriptor for one.
pub(super) fn reactor() -> io::Result<Rc<Reactor>> {
    let here = HERE.try_with(Here::reactor);
    here.unwrap_or_else(|_| Err(about_to_end()))
}

/// Its thread-locals are being destroyed.
fn about_to_end() -> io::Error {
    io::Error::other("this OS thread is about to end")
}

/// Has the descriptor that waits need made now.
///
/// # Errors
///
/// When the system has none.
pub(crate) fn prepare() -> io::Result<()> {
    reactor().map(drop)
}

fn token(slot: usize, serial: u32) -> Token {
    let slot = u32::try_from(slot).expect("fewer than 2^32 sources");
    Token((u64::from(serial) << 32 | u64::from(slot)) as usize)
}

impl Reactor {
    fn new() -> io::Result<Self> {
        Ok(Reactor {
            poll: RefCell::new(Poll::new()?),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            sources: RefCell::default(),
            serial: Cell::new(0),
            waits: RefCell::default(),
            waker: OnceCell::new(),
            retries: Retries::default(),
        })
    }

    /// Has `sides` told of whatever happens to `fd`, from now on.
    ///
    /// # Errors
    ///
    /// The system's: files on disk, for one, cannot be waited for.
    pub(super) fn register(&self, fd: RawFd, sides: Rc<Sides>) -> io::Result<Token> {
        // Half of all numbers, so that no token is the waker's.
        let serial = self.serial.get().wrapping_add(1) & (u32::MAX >> 1);
        self.serial.set(serial);
        let mut sources = self.sources.borrow_mut();
        let token = token(sources.vacant_key(), serial);
        let both = Interest::READABLE | Interest::WRITABLE;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let both = both | Interest::PRIORITY;
        let poll = self.poll.borrow();
        let register = || poll.registry().register(&mut SourceFd(&fd), token, both);
        super::faults::uninterrupted(register)?;
        sources.insert(Registered { serial, sides });
        Ok(token)
    }

    /// Has `sides` tried again after `pause`.
    pub(super) fn retry(&self, pause: Duration, sides: &Rc<Sides>, way: Way) {
        self.retries.add(pause, sides, way);
    }

    /// Ends that, if it has not ended. To be called before `fd` is closed: a duplicate of it would
    /// keep the events coming.
    pub(super) fn deregister(&self, fd: RawFd, token: Token) {
        let mut sources = self.sources.borrow_mut();
        let known = |registered: &Registered| registered.serial == serial(token);
        if sources.get(slot(token)).is_some_and(known) {
            drop(sources.remove(slot(token)));
            let _ = self.poll.borrow().registry().deregister(&mut SourceFd(&fd));
        }
    }

    fn waker(&self) -> io::Result<Arc<mio::Waker>> {
        if let Some(waker) = self.waker.get() {
            return Ok(waker.clone());
        }
        let poll = self.poll.borrow();
        let waker = super::faults::uninterrupted(|| mio::Waker::new(poll.registry(), WAKER))?;
        Ok(self.waker.get_or_init(|| Arc::new(waker)).clone())
    }

    pub(super) fn poll_fd<R>(&self, show: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
        show(sys::poll_fd(&self.poll.borrow()))
    }

    /// Waits for at most `timeout`, and wakes what became ready.
    fn wait(&self, timeout: Option<Duration>) -> Found {
        let looked = self.look(self.retries.bound(timeout));
        self.retries.wake_due();
        match looked {
            Ok(found) => found,
            // A signal: the loop looks how things stand.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Found::All,
            Err(error) => {
                say(format_args!(
                    "maypole: fatal: the descriptor that tells of all others was closed by \
                     somebody: {error}"
                ));
                std::process::abort();
            }
        }
    }

    fn look(&self, timeout: Option<Duration>) -> io::Result<Found> {
        let mut poll = self.poll.borrow_mut();
        let mut events = self.events.borrow_mut();
        let timeout = match timeout {
            Some(short) if !short.is_zero() && short < MILLISECOND => {
                let ready = sys::wait_readable(sys::poll_fd(&poll), short)?;
                if !ready {
                    return Ok(Found::All);
                }
                Some(Duration::ZERO)
            }
            // The rest, less than a millisecond, is waited for in another round.
            Some(long) => Some(Duration::from_millis(
                u64::try_from(long.as_millis()).unwrap_or(u64::MAX),
            )),
            None => None,
        };
        poll.poll(&mut events, timeout)?;
        let sources = self.sources.borrow();
        let mut count = 0;
        for event in events.iter() {
            count += 1;
            if event.token() != WAKER {
                dispatch(&sources, event);
            }
        }
        Ok(match count < EVENTS {
            true => Found::All,
            false => Found::AsManyAsFit,
        })
    }

    fn read(&self, letter: Letter) {
        match letter {
            Letter::Wake(ticket) => self.waits.borrow().wake(ticket),
            Letter::Spawn(call, at) => spawn_from_outside(call, at),
        }
    }
}

/// What a look took of the events that were there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    All,
    AsManyAsFit,
}

fn slot(Token(token): Token) -> usize {
    (token as u64 & u64::from(u32::MAX)) as usize
}

fn serial(Token(token): Token) -> u32 {
    (token as u64 >> 32) as u32
}

#[inline]
fn dispatch(sources: &Slab<Registered>, event: &Event) {
    if let Some(registered) = sources.get(slot(event.token()))
        && registered.serial == serial(event.token())
    {
        registered.sides.happened(event);
    }
}

// ── the run that is under way ────────────────────────────────────────────────────────────────

/// Where other OS threads reach the run that is under way on this one; `None` outside of one.
///
/// # Errors
///
/// When the system has no descriptor for it.
pub(crate) fn address() -> io::Result<Option<Address>> {
    let run = match HERE.try_with(|here| here.run.borrow().clone()) {
        Err(_) if is_running() => return Err(about_to_end()),
        run => run.ok().flatten(),
    };
    let Some(entrance) = run else {
        return Ok(None);
    };
    if let Some(address) = entrance.address.get() {
        return Ok(Some(address.clone()));
    }
    let address = Address::new(reactor()?.waker()?);
    Ok(Some(entrance.address.get_or_init(|| address).clone()))
}

/// Shows those who wait in the run at `address`, if this is its OS thread.
pub(super) fn with_waits_of<R>(address: &Address, show: impl FnOnce(&Waits) -> R) -> Option<R> {
    let look = |here: &Here| {
        let run = here.run.borrow();
        let own = run.as_ref().and_then(|entrance| entrance.address.get());
        let waits = &here.reactor.get()?.waits;
        own.is_some_and(|own| own.is(address))
            .then(|| show(&waits.borrow()))
    };
    HERE.try_with(look).ok().flatten()
}

/// A place in the table of those who wait for other OS threads; it ends with this.
pub(crate) struct Waiting {
    ticket: Ticket,
    reactor: Rc<Reactor>,
}

impl Waiting {
    /// Lets other OS threads wake all that wait in `queue`, by the ticket.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor for that.
    pub(crate) fn begin(queue: Rc<WaitQueue>) -> io::Result<Self> {
        let reactor = reactor()?;
        let ticket = reactor.waits.borrow_mut().add(queue);
        Ok(Waiting { ticket, reactor })
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Out of the borrow before the queue goes, which asks the kernel.
        let queue = self.reactor.waits.borrow_mut().remove(self.ticket);
        drop(queue);
    }
}

/// The world outside of a run, which it begins and ends. It works as well while the thread-locals of
/// its OS thread are being destroyed.
pub(crate) struct World {
    entrance: Rc<Entrance>,
    /// That of this OS thread, from the day that it has one.
    reactor: OnceCell<Rc<Reactor>>,
}

impl World {
    /// Opens the inbox of the run that begins on this OS thread.
    pub(crate) fn begin() -> Self {
        let entrance = Rc::new(Entrance::default());
        let _ = HERE.try_with(|here| here.run.replace(Some(entrance.clone())));
        World {
            entrance,
            reactor: OnceCell::new(),
        }
    }

    /// A descriptor that is readable when a look outside would find something.
    ///
    /// # Errors
    ///
    /// When the system has none.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        reactor()?.poll_fd(|fd| fd.try_clone_to_owned())
    }

    /// Takes all that has come from outside, and waits for nothing. A host is told of what comes and
    /// not of what is left.
    pub(crate) fn look(&mut self) {
        while self.is_open() && self.wait_once(Some(Duration::ZERO)) == Found::AsManyAsFit {}
    }

    /// When the system has to be asked again, though it tells of nothing.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.reactor()?.retries.next()
    }

    fn wait_once(&mut self, timeout: Option<Duration>) -> Found {
        let Some(reactor) = self.reactor() else {
            std::thread::sleep(
                timeout.expect("the loop waits for ever only where something can wake"),
            );
            return Found::All;
        };
        let found = reactor.wait(timeout);
        if let Some(address) = self.entrance.address.get() {
            address
                .take()
                .into_iter()
                .for_each(|letter| reactor.read(letter));
        }
        found
    }

    /// Closes the inbox for good: what is in it is dropped, and what is still to come is refused.
    pub(crate) fn close(&mut self) {
        let _ = HERE.try_with(|here| here.run.take());
        if let Some(address) = self.entrance.address.get() {
            // Each on its own: a destructor of a user's may panic.
            address.close().into_iter().for_each(drop_quietly);
        }
    }

    fn reactor(&self) -> Option<&Rc<Reactor>> {
        if self.reactor.get().is_none() {
            let reactor = HERE.try_with(|here| here.reactor.get().cloned());
            let _ = self.reactor.set(reactor.ok().flatten()?);
        }
        self.reactor.get()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.close();
    }
}

impl Driver for World {
    fn wait(&mut self, timeout: Option<Duration>) {
        self.wait_once(timeout);
    }

    fn is_open(&self) -> bool {
        self.reactor().is_some_and(|reactor| {
            self.entrance.address.get().is_some()
                || !reactor.sources.borrow().is_empty()
                || !reactor.waits.borrow().is_empty()
                || !reactor.retries.is_empty()
        })
    }

    fn prospect(&self) -> Prospect {
        let address = self.entrance.address.get();
        address.map_or(Prospect::Nothing, Address::prospect)
    }
}
