//! What a generator's body yields through.
use super::Generator;
use super::core::{Mailbox, Order};
use super::host::{Hosted, Stop};
use crate::coroutine::{self, Step, Suspender};
use crate::scheduler::atomic;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

/// Handed to the body of a generator, or of a [job](crate::job): its way to yield.
///
/// It works on the body's own stack, and on those of generators that the body resumes. Elsewhere,
/// in a task that the body has spawned say, its methods panic.
///
/// # Examples
///
/// ```
/// use maypole::generator::{Generator, Yielder};
/// fn twice(y: &Yielder<u32>, n: u32) {
///     y.yield_(n);
///     y.yield_(n);
/// }
/// let numbers = Generator::new(|y| {
///     twice(y, 1);
///     twice(y, 2);
/// });
/// assert_eq!(numbers.collect::<Vec<_>>(), [1, 1, 2, 2]);
/// ```
pub struct Yielder<Y, S = ()>(Way<Y, S>);

/// Where control goes.
enum Way<Y, S> {
    /// To whoever resumed the generator.
    Out(Own<Y, S>),
    /// To the host that drives the body.
    Host(Hosted<Y, S>),
}

/// A generator's own way.
struct Own<Y, S> {
    suspender: Suspender<Y>,
    mailbox: Rc<Mailbox<S>>,
}

impl<Y, S> Yielder<Y, S> {
    #[inline(always)]
    pub(super) fn new(suspender: Suspender<Y>, mailbox: Rc<Mailbox<S>>) -> Self {
        Yielder(Way::Out(Own { suspender, mailbox }))
    }

    pub(super) fn hosted(hosted: Hosted<Y, S>) -> Self {
        Yielder(Way::Host(hosted))
    }

    /// Hands `value` out and waits to be resumed; gives back what was sent.
    ///
    /// It unwinds when something is [thrown](Generator::throw) into the generator, it is
    /// [closed](Generator::close), or the [job](crate::job) is killed.
    ///
    /// Parks: no: control goes to whoever resumed the generator, in the same task. In a job it
    /// waits while the job is paused or its backlog is full.
    ///
    /// # Panics
    ///
    /// Off the body's chain of stacks, and inside of a timeout, a scope, a shield or a `no_yield`
    /// that the body has entered: those belong to the task that runs now, while a generator may be
    /// resumed by another.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::{Generator, Step, Yielder};
    /// let mut echo = Generator::new(|y: &Yielder<String, &'static str>| {
    ///     let first = y.yield_("ready".to_string());
    ///     y.yield_(first.to_uppercase());
    /// });
    /// echo.start();
    /// assert_eq!(echo.resume("hello"), Step::Yielded("HELLO".to_string()));
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn yield_(&self, value: Y) -> S {
        match &self.0 {
            Way::Out(own) => own.yield_(value),
            Way::Host(hosted) => self.yield_to(hosted, value, Location::caller()),
        }
    }

    #[inline(never)]
    fn yield_to(&self, hosted: &Hosted<Y, S>, value: Y, at: &'static Location<'static>) -> S {
        match hosted.take(value, at) {
            Ok(sent) => sent,
            Err(stop) => self.stop(hosted, stop, at),
        }
    }

    #[cold]
    #[inline(never)]
    fn stop(&self, hosted: &Hosted<Y, S>, stop: Stop, at: &'static Location<'static>) -> ! {
        match stop {
            Stop::Close => hosted.close(),
            Stop::Astray => refuse(at, "job", hosted.site, false),
            Stop::Bound => refuse(at, "job", hosted.site, true),
        }
    }

    /// Yields all that `inner` yields and gives back what it returns. What is sent and thrown goes
    /// to `inner`, and a close closes it first: Python's `yield from`.
    ///
    /// Parks: no more than `inner` does.
    ///
    /// # Panics
    ///
    /// As [`yield_`](Yielder::yield_); with the panics of `inner`; if `inner` was started before.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::{Generator, Yielder};
    /// let all = Generator::new(|y: &Yielder<u32>| {
    ///     let inner = Generator::new(|y: &Yielder<u32>| {
    ///         y.yield_(1);
    ///         y.yield_(2);
    ///         "two items"
    ///     });
    ///     assert_eq!(y.yield_from(inner), "two items");
    ///     y.yield_(3);
    /// });
    /// assert_eq!(all.collect::<Vec<_>>(), [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn yield_from<R>(&self, mut inner: Generator<Y, R, S>) -> R {
        let at = Location::caller();
        let mut step = inner.start();
        loop {
            let value = match step {
                Step::Yielded(value) => value,
                Step::Returned(value) => return value,
            };
            step = match &self.0 {
                Way::Out(own) => match own.relay(value) {
                    Ok(sent) => inner.resume(sent),
                    Err(Order::Throw(payload)) => inner.0.throw(payload),
                    Err(Order::Close) => {
                        drop(inner);
                        resume_unwind(own.mailbox.close_payload());
                    }
                },
                Way::Host(hosted) => match hosted.take(value, at) {
                    Ok(sent) => inner.resume(sent),
                    Err(stop) => {
                        drop(inner);
                        self.stop(hosted, stop, at);
                    }
                },
            };
        }
    }

    /// A yield without a value: a place where the host of a [job](crate::job) may pause or kill it,
    /// and where a job in a task gives the others a turn. A plain generator runs on.
    ///
    /// Parks: no. In a job it waits while the job is paused.
    ///
    /// # Panics
    ///
    /// Off the body's chain of stacks.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::Generator;
    /// let mut squares = Generator::new(|y| {
    ///     for n in 1..=3 {
    ///         y.checkpoint();
    ///         y.yield_(n * n);
    ///     }
    /// });
    /// assert_eq!(squares.next(), Some(1));
    /// ```
    #[track_caller]
    #[inline]
    pub fn checkpoint(&self) {
        let at = Location::caller();
        match &self.0 {
            Way::Out(own) if own.suspender.is_current() => {}
            Way::Out(own) => own.refuse(at),
            Way::Host(hosted) => {
                if let Err(stop) = hosted.hold(at) {
                    self.stop(hosted, stop, at);
                }
            }
        }
    }
}

impl<Y, S> Own<Y, S> {
    #[inline(always)]
    #[track_caller]
    fn yield_(&self, value: Y) -> S {
        self.suspend(value);
        match self.mailbox.sent.take() {
            Some(sent) => sent,
            None => self.obey(),
        }
    }

    /// Hands on what another generator has yielded; gives what is for that one.
    #[track_caller]
    fn relay(&self, value: Y) -> Result<S, Order> {
        self.suspend(value);
        match self.mailbox.sent.take() {
            Some(sent) => Ok(sent),
            None => Err(self.mailbox.order.take().unwrap_or(Order::Close)),
        }
    }

    #[inline(always)]
    #[track_caller]
    fn suspend(&self, value: Y) {
        let suspended = match std::thread::panicking() {
            true => self.suspend_while_unwinding(value),
            false => self.suspender.suspend(value),
        };
        if !suspended {
            self.refuse(Location::caller());
        }
    }

    /// A yield in a destructor that runs because of unwinding takes the panic count with it.
    #[cold]
    #[inline(never)]
    fn suspend_while_unwinding(&self, value: Y) -> bool {
        let levels = coroutine::hide_panics();
        self.mailbox.unwinding.set(true);
        let suspended = self.suspender.suspend(value);
        self.mailbox.unwinding.set(false);
        coroutine::restore_panics(levels);
        suspended
    }

    /// Resumed without a value: unwinds, by throw or close.
    #[cold]
    #[inline(never)]
    fn obey(&self) -> S {
        match self.mailbox.order.take() {
            Some(Order::Throw(payload)) => resume_unwind(payload),
            Some(Order::Close) | None => resume_unwind(self.mailbox.close_payload()),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, at: &Location<'_>) -> ! {
        refuse(
            at,
            "generator",
            self.mailbox.site,
            self.suspender.is_current(),
        )
    }
}

/// A yield that must not be, of the body of the `what` made at `made`, by the body or by others.
#[cold]
#[inline(never)]
fn refuse(at: &Location<'_>, what: &str, made: &Location<'_>, by_body: bool) -> ! {
    if by_body && let Some(begun_at) = atomic::begun_at() {
        panic!(
            "maypole: a yield at {at}, of the {what} made at {made}, would leave the \
             transaction begun at {begun_at}, which runs in one piece; finish it first"
        );
    }
    if by_body {
        panic!(
            "maypole: a yield at {at}, of the {what} made at {made}, would leave a timeout, a \
             scope, a shield or a no_yield that belongs to the running task; finish it first"
        );
    }
    panic!(
        "maypole: a yield at {at}, by the yielder of the {what} made at {made}, outside of that \
         {what}'s body"
    );
}

impl<Y, S> fmt::Debug for Yielder<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}
