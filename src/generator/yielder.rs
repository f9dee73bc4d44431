//! What a generator's body yields through.
use super::Generator;
use super::core::{Mailbox, Order};
use crate::coroutine::{self, Step, Suspender};
use crate::scheduler::atomic;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

/// Handed to a generator's body: its way to yield.
///
/// It works on the generator's own stack, and on those of generators that its body resumes.
/// Elsewhere, in a task that the body has spawned say, its methods panic.
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
pub struct Yielder<Y, S = ()> {
    suspender: Suspender<Y>,
    pub(super) mailbox: Rc<Mailbox<S>>,
}

impl<Y, S> Yielder<Y, S> {
    pub(super) fn new(suspender: Suspender<Y>, mailbox: Rc<Mailbox<S>>) -> Self {
        Yielder { suspender, mailbox }
    }

    /// Hands `value` out and waits to be resumed; gives back what was sent.
    ///
    /// It unwinds when something is [thrown](Generator::throw) into the generator or it is
    /// [closed](Generator::close).
    ///
    /// Parks: no: control goes to whoever resumed the generator, in the same task.
    ///
    /// # Panics
    ///
    /// Off the generator's chain of stacks, and inside of a timeout, a scope, a shield or a
    /// `no_yield` that the body has entered: those belong to the task that runs now, while a
    /// generator may be resumed by another.
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
        self.suspend(value);
        match self.mailbox.sent.take() {
            Some(sent) => sent,
            None => self.obey(),
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
        let mut step = inner.start();
        loop {
            let value = match step {
                Step::Yielded(value) => value,
                Step::Returned(value) => return value,
            };
            self.suspend(value);
            step = match (self.mailbox.sent.take(), self.mailbox.order.take()) {
                (Some(sent), _) => inner.resume(sent),
                (None, Some(Order::Throw(payload))) => inner.0.throw(payload),
                (None, _) => {
                    drop(inner);
                    resume_unwind(self.mailbox.close_payload());
                }
            };
        }
    }

    /// A yield without a value: a place where a host may pause or kill. A plain generator runs on.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// Off the generator's chain of stacks.
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
    pub fn checkpoint(&self) {
        if !self.suspender.is_current() {
            self.refuse(Location::caller());
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
        let made = self.mailbox.site;
        if self.suspender.is_current()
            && let Some(begun_at) = atomic::begun_at()
        {
            panic!(
                "maypole: a yield at {at}, of the generator made at {made}, would leave the \
                 transaction begun at {begun_at}, which runs in one piece; finish it first"
            );
        }
        if self.suspender.is_current() {
            panic!(
                "maypole: a yield at {at}, of the generator made at {made}, would leave a timeout, \
                 a scope, a shield or a no_yield that belongs to the running task; finish it first"
            );
        }
        panic!(
            "maypole: a yield at {at}, by the yielder of the generator made at {made}, outside of \
             that generator's body"
        );
    }
}

impl<Y, S> fmt::Debug for Yielder<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}
