//! A descriptor that is waited for: two sides, each with its turn and its readiness.
//!
//! ```text
//!   a call ──► somebody else has the turn: waits in line, first in, first out
//!       │
//!       └────► takes the turn ──► the system call ──► done: the turn goes to the next in line
//!                    ▲                  │ it would wait
//!                    │                  ▼
//!                    └── an event ◄── parks
//! ```
//!
//! One at a time makes calls on a side, so nobody is overtaken and an event concerns one task. A
//! task that was killed, or is too late, passes its turn on.
//!
//! The events are edges: one comes when something new has happened, not while it lasts. A side that
//! was found empty stays so until the next event, and no system call is made in vain.
use super::faults;
use super::reactor::{self, Reactor};
use super::sys;
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{
    cleanup_deadline, is_exploring, is_in_task, wake_all_outside, wake_one_outside,
};
use crate::select::{Case, Limit, block_on_within};
use mio::Token;
use mio::event::Event;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    In,
    Out,
}

/// One direction of a descriptor.
struct Side {
    /// Those who wait for their turn.
    line: WaitQueue,
    /// The one who has it, waiting for an event.
    event: WaitQueue,
    /// Somebody has the turn, or it is on its way to the first in line.
    taken: Cell<bool>,
    /// Nothing is there: the next call waits for an event first.
    empty: Cell<bool>,
    /// A call that moves fewer bytes than it could has not found the side empty: what is left, an
    /// end or what comes after a mark, has had its event.
    ragged: Cell<bool>,
}

impl Side {
    const fn new() -> Self {
        Side {
            line: WaitQueue::new(),
            event: WaitQueue::new(),
            taken: Cell::new(false),
            empty: Cell::new(false),
            ragged: Cell::new(false),
        }
    }

    #[inline]
    fn happened(&self, ragged: bool) {
        self.empty.set(false);
        if ragged {
            self.ragged.set(true);
        }
        wake_one_outside(&self.event, 0);
    }

    #[inline]
    fn take_turn(&self) -> bool {
        !self.taken.replace(true)
    }

    #[inline]
    fn pass_turn(&self) {
        if !wake_one_outside(&self.line, 0) {
            self.taken.set(false);
        }
    }
}

/// What the reactor and the reports know of a source.
pub(super) struct Sides {
    input: Side,
    output: Side,
    kind: &'static str,
    made_at: &'static Location<'static>,
    /// Where it was closed under those who use it.
    closed_at: Cell<Option<&'static Location<'static>>>,
}

impl Sides {
    fn side(&self, way: Way) -> &Side {
        match way {
            Way::In => &self.input,
            Way::Out => &self.output,
        }
    }

    /// Something has happened to the descriptor.
    #[inline]
    pub(super) fn happened(&self, event: &Event) {
        let over = event.is_error();
        if event.is_readable() || event.is_read_closed() || over {
            // A read stops at urgent data, whatever comes after it.
            let ragged = over || event.is_read_closed() || event.is_priority();
            self.input.happened(ragged);
        }
        if event.is_writable() || event.is_write_closed() || over {
            self.output.happened(over || event.is_write_closed());
        }
    }

    /// The time has come to try again what no event tells of.
    pub(super) fn try_again(&self, way: Way) {
        self.side(way).happened(false);
    }
}

impl Object for Sides {
    fn view(&self) -> ObjectView {
        ObjectView {
            kind: self.kind,
            name: None,
            made_at: self.made_at,
            owners: Vec::new(),
            state: String::new(),
            content: None,
        }
    }

    fn each_owner(&self, _: &mut dyn FnMut(TaskId)) {}
}

/// Waits on behalf of a descriptor, which the owner of this keeps and closes after it.
pub(crate) struct Source {
    sides: Rc<Sides>,
    fd: RawFd,
    /// Set at the first wait.
    registered: OnceCell<(Rc<Reactor>, Token)>,
}

/// How a call on a source is made.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) way: Way,
    pub(crate) what: What,
    pub(crate) at: &'static Location<'static>,
    pub(crate) limit: Limit,
}

impl Source {
    /// For calls that have no descriptor yet and are only ever made [again](Again).
    pub(crate) fn without_fd(kind: &'static str, made_at: &'static Location<'static>) -> Source {
        Source::new(-1, kind, made_at)
    }

    /// For `fd`, which does not block; it was made at `made_at`, by a call named `kind`.
    ///
    /// # Panics
    ///
    /// While schedules are explored: the system would decide what comes when.
    pub(crate) fn new(
        fd: RawFd,
        kind: &'static str,
        made_at: &'static Location<'static>,
    ) -> Source {
        refuse_exploring(kind, made_at);
        Source {
            sides: Rc::new(Sides {
                input: Side::new(),
                output: Side::new(),
                kind,
                made_at,
                closed_at: Cell::new(None),
            }),
            fd,
            registered: OnceCell::new(),
        }
    }

    /// Where it was made.
    pub(crate) fn made_at(&self) -> &'static Location<'static> {
        self.sides.made_at
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sides.closed_at.get().is_some()
    }

    /// # Errors
    ///
    /// If it was closed under those who use it, where that was.
    #[inline]
    pub(crate) fn check_open(&self) -> io::Result<()> {
        match self.sides.closed_at.get() {
            Some(at) => Err(closed(self.sides.kind, at)),
            None => Ok(()),
        }
    }

    /// Has the reactor tell of it from now on.
    fn register(&self) -> io::Result<()> {
        let reactor = reactor::reactor()?;
        if self.registered.get().is_none() {
            let token = reactor.register(self.fd, self.sides.clone())?;
            let _ = self.registered.set((reactor, token));
        }
        Ok(())
    }

    /// Has the side tried again after `pause`, on the system's clock: virtual time stands while
    /// somebody waits for the outside world.
    #[cold]
    fn try_later(&self, way: Way, pause: Duration) -> io::Result<()> {
        reactor::reactor()?.retry(pause, &self.sides, way);
        Ok(())
    }

    /// Makes a call that may have to wait for the other end, parking the task until it need not.
    ///
    /// # Errors
    ///
    /// The call's own; `TimedOut` when the limit comes first; what [`close`](Self::close) says.
    #[inline(always)]
    pub(crate) fn operate<T>(
        &self,
        manner: Manner,
        call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        self.operate_again(manner, |_| Again::No, call)
    }

    /// The same; `again` says which failures are none yet.
    #[inline(always)]
    pub(crate) fn operate_again<T>(
        &self,
        manner: Manner,
        again: impl FnMut(&io::Error) -> Again,
        call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        if is_exploring() {
            refuse_exploring(self.sides.kind, self.sides.made_at);
        }
        let wait = Wait {
            what: manner.what,
            at: manner.at,
        };
        let attempt = Attempt {
            source: self,
            way: manner.way,
            again,
            call,
            has_turn: false,
        };
        match block_outside(attempt, manner.limit, wait) {
            Some(result) => result,
            None => Err(too_late(manner.what)),
        }
    }

    /// The same for a call that moves up to `wanted` bytes of a stream. One that moves fewer has
    /// found the other end slower, so that the next need not be tried before an event.
    #[inline(always)]
    pub(crate) fn transfer(
        &self,
        manner: Manner,
        wanted: usize,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        if wanted == 0 && manner.way == Way::Out {
            return self.operate_at_once(&mut call);
        }
        let moved = self.operate(manner, call)?;
        if moved > 0 && moved < wanted && self.registered.get().is_some() {
            let side = self.sides.side(manner.way);
            side.empty.set(!side.ragged.get());
        }
        Ok(moved)
    }

    /// Makes a call that never waits, and minds neither turn nor line.
    #[cold]
    fn operate_at_once<T>(&self, call: &mut dyn FnMut() -> io::Result<T>) -> io::Result<T> {
        self.check_open()?;
        faults::uninterrupted(call)
    }

    /// Has no call conclude from the bytes that it moved that there are no more.
    pub(crate) fn ragged(self) -> Self {
        self.sides.input.ragged.set(true);
        self
    }

    /// Has calls on the side look how things stand: this OS thread has changed that.
    pub(crate) fn stir(&self, way: Way) {
        self.sides.side(way).happened(true);
    }

    /// Whether nobody waits on the side, so that a call would overtake nobody.
    pub(crate) fn is_free(&self, way: Way) -> bool {
        !self.sides.side(way).taken.get()
    }

    /// Makes a call now, for a caller that does not wait.
    pub(crate) fn try_operate<T>(
        &self,
        way: Way,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if is_exploring() {
            refuse_exploring(self.sides.kind, self.sides.made_at);
        }
        self.check_open()?;
        match self.sides.side(way).taken.get() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => faults::call(call),
        }
    }

    /// Closes what the descriptor names, under those who use it: calls that wait, and later ones,
    /// fail.
    pub(crate) fn close(&self, fd: BorrowedFd<'_>, at: &'static Location<'static>) {
        if self.sides.closed_at.get().is_some() {
            return;
        }
        self.sides.closed_at.set(Some(at));
        if let Some((reactor, token)) = self.registered.get() {
            reactor.deregister(self.fd, *token);
        }
        // The other end is told also where a duplicate lives, or /dev/null cannot be had.
        let _ = sys::shut_down(fd);
        let _ = sys::replace_by_nothing(fd);
        for side in [&self.sides.input, &self.sides.output] {
            side.empty.set(false);
            wake_all_outside(&side.event, 0);
            wake_all_outside(&side.line, 0);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some((reactor, token)) = self.registered.take() {
            reactor.deregister(self.fd, token);
        }
    }
}

/// Completes a call that waits for the outside world, unless its limit comes first.
#[inline(always)]
pub(super) fn block_outside<C: Case>(case: C, limit: Limit, wait: Wait) -> Option<C::Output> {
    block_on_within(case, || deadline(limit), wait)
}

/// The moment until which a call may wait. Destructors of a task that unwinds have so much time
/// for all of them, or a peer that does not read could keep a killed task for ever.
pub(crate) fn deadline(limit: Limit) -> Option<u64> {
    let own = limit.deadline();
    match std::thread::panicking() {
        true => own.into_iter().chain(cleanup_deadline()).min(),
        false => own,
    }
}

#[cold]
pub(crate) fn too_late(what: impl fmt::Display) -> io::Error {
    let text = match std::thread::panicking() {
        true => format!("{what} took longer than a task that unwinds may wait"),
        false => format!("{what} took longer than its time-out"),
    };
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cold]
pub(crate) fn closed(kind: &str, at: &Location<'_>) -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        format!("the {kind} was closed at {at}"),
    )
}

/// Refuses what the outside world would decide, while every schedule is gone through.
///
/// # Panics
///
/// Then, with what to use instead.
pub(crate) fn refuse_exploring(kind: &str, at: &Location<'_>) {
    if is_exploring() {
        panic!(
            "maypole: {kind} at {at} inside explore: what the world outside does is in no \
             schedule; use maypole::net::pair(), a connection in memory, or a channel"
        );
    }
}

/// What is made of a call that failed.
#[derive(Clone, Copy)]
pub(crate) enum Again {
    /// It has failed.
    No,
    /// It is made again at once.
    Now,
    /// No event tells when it is worth a try, so it is made again after this time.
    After(Duration),
}

/// Fails where nobody would tell of events: the thread-locals of this OS thread are being destroyed,
/// and a descriptor that was registered before remains so.
#[inline]
fn cannot_wait<T>() -> Option<io::Result<T>> {
    reactor::prepare().err().map(Err)
}

/// A call that may wait.
struct Attempt<'a, A, F> {
    source: &'a Source,
    way: Way,
    again: A,
    call: F,
    has_turn: bool,
}

impl<A, F> Attempt<'_, A, F> {
    #[inline(always)]
    fn side(&self) -> &Side {
        self.source.sides.side(self.way)
    }
}

impl<T, A, F> Case for Attempt<'_, A, F>
where
    A: FnMut(&io::Error) -> Again,
    F: FnMut() -> io::Result<T>,
{
    type Output = io::Result<T>;

    #[inline(always)]
    fn try_now(&mut self) -> Option<io::Result<T>> {
        let side = self.source.sides.side(self.way);
        if !self.has_turn {
            if !side.take_turn() {
                return cannot_wait();
            }
            self.has_turn = true;
        }
        if let Err(error) = self.source.check_open() {
            return Some(Err(error));
        }
        // Outside of a run nobody has looked for events.
        if side.empty.get() && is_in_task() {
            return cannot_wait();
        }
        loop {
            let error = match faults::call(&mut self.call) {
                Ok(value) => return Some(Ok(value)),
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            let known = match (self.again)(&error) {
                Again::Now => continue,
                // There must be a task to wait.
                Again::After(pause) if is_in_task() => self.source.try_later(self.way, pause),
                // To be refused: a call that has to wait.
                Again::After(_) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Again::No if error.kind() == io::ErrorKind::WouldBlock => {
                    // An event that tells how things stand now follows a registration.
                    let known = self.source.register();
                    side.empty.set(known.is_ok());
                    known
                }
                _ => return Some(Err(error)),
            };
            return known.err().map(Err);
        }
    }

    #[inline]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let queue = match self.has_turn {
            true => &self.side().event,
            false => &self.side().line,
        };
        let sides = &self.source.sides;
        queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Sides>::downgrade(sides);
            object
        });
        (queue, 0)
    }

    #[inline]
    fn accept(&mut self, _: usize) -> Option<io::Result<T>> {
        // Whoever passed the turn on left it taken.
        self.has_turn = true;
        None
    }
}

impl<A, F> Drop for Attempt<'_, A, F> {
    #[inline]
    fn drop(&mut self) {
        if self.has_turn {
            self.side().pass_turn();
        }
    }
}
