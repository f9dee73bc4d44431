//! Python's generators: functions that yield values and go on where they were.
//!
//! The three uses of yield that Beazley tells apart (2009): giving out the items of an iteration,
//! taking in values that are sent, and handing a request to whoever runs the generator. "Do not
//! mix them in one generator."
use crate::coroutine::{self, Extent, Producer, Suspender};
use crate::scheduler::kill::Shield;
use crate::scheduler::wait::{Wait, What};
use crate::scheduler::{self, park};
use crate::task::{apart, drop_quietly};
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;

pub use crate::coroutine::Step;

/// Stack size of a generator that asks for none.
const STACK_SIZE: usize = 256 << 10;

/// How often a scoped generator may yield again while it is being closed.
const CLOSES: usize = 64;

type Payload = Box<dyn Any + Send>;

/// The generator yielded again while it was being closed.
///
/// # Examples
///
/// ```
/// use maypole::generator::{Generator, Ignored};
/// use std::panic::{AssertUnwindSafe, catch_unwind};
/// let mut stubborn = Generator::new(|y| {
///     let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
///     y.yield_(2);
/// });
/// stubborn.next();
/// assert_eq!(stubborn.close(), Err(Ignored));
/// assert_eq!(stubborn.close(), Ok(())); // nothing catches the second one
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ignored;

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the generator ignored its close and yielded again")
    }
}

impl std::error::Error for Ignored {}

/// What unwinds a generator that is being closed, told apart by the address of its mailbox: the
/// close of an outer generator passes through those that its body has resumed. Private, so that
/// nobody can make one.
struct ClosePayload(usize);

/// What the yielder finds when it is resumed, besides the sent value.
enum Order {
    Throw(Payload),
    Close,
}

/// What a generator and its yielder share.
struct Mailbox<S> {
    sent: Cell<Option<S>>,
    /// Looked at only when nothing was sent.
    order: Cell<Option<Order>>,
    /// The body is suspended in a destructor that runs because of unwinding.
    unwinding: Cell<bool>,
    site: &'static Location<'static>,
}

impl<S> Mailbox<S> {
    fn close_payload(&self) -> Payload {
        Box::new(ClosePayload(std::ptr::from_ref(self).addr()))
    }

    fn is_closed_by(&self, payload: &(dyn Any + Send)) -> bool {
        let close = payload.downcast_ref::<ClosePayload>();
        close.is_some_and(|close| close.0 == std::ptr::from_ref(self).addr())
    }

    /// Leaves an order where the yield that the body is in will look.
    fn command(&self, order: Order) {
        // What a first resume has sent was never taken.
        self.sent.set(None);
        self.order.set(Some(order));
    }
}

/// How a body ended.
enum Ended<R> {
    Returned(R),
    Closed,
}

/// A body that has not begun. An unwind out of its drop would leave the coroutine as if the body
/// were still there, and it would be dropped twice.
struct Fresh<F>(Option<F>);

impl<F> Drop for Fresh<F> {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            drop_quietly(body);
        }
    }
}

/// A generator whose body borrows for `'b`.
struct Core<'b, Y, R, S> {
    producer: Producer<'b, Mailbox<S>, Y, Ended<R>>,
}

/// A function that yields values of `Y`, is sent values of `S`, and returns an `R`.
///
/// The body runs on a stack of its own, so it may yield from any depth of calls. Inside of
/// [`run`](crate::run) it may also sleep, receive or join: that parks the task that resumed it,
/// and a kill of that task then unwinds the body and comes out of the call that resumed it.
/// Generators need no scheduler otherwise.
///
/// Dropping a suspended generator closes it: the body unwinds from its yield, and its destructors
/// run. One that yields again then is leaked, with a line on stderr. With `panic = "abort"` a
/// suspended generator is leaked always.
///
/// # Examples
///
/// ```
/// use maypole::generator::Generator;
/// let countdown = Generator::new(|y| {
///     for n in (1..=3).rev() {
///         y.yield_(n);
///     }
/// });
/// assert_eq!(countdown.collect::<Vec<_>>(), [3, 2, 1]);
/// ```
///
/// Nothing leaves its OS thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// send(maypole::generator::Generator::<u32>::new(|y| y.yield_(1)));
/// ```
pub struct Generator<Y, R = (), S = ()>(Core<'static, Y, R, S>);

impl<Y, R, S> Generator<Y, R, S> {
    /// Makes a generator of `body`, which does not run yet.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When no further stack can be had, with the limit that stands against it.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::Generator;
    /// let mut words = Generator::new(|y| {
    ///     y.yield_("may");
    ///     y.yield_("pole");
    /// });
    /// assert_eq!(words.next(), Some("may")); // the body begins here
    /// ```
    #[inline]
    #[track_caller]
    pub fn new(body: impl FnOnce(&Yielder<Y, S>) -> R + 'static) -> Self {
        Generator(Core::new(STACK_SIZE, Location::caller(), body))
    }

    /// As [`new`](Generator::new), on a stack of at least so many bytes, rounded up to a power of
    /// two from 16 KiB on; more than 1 GiB counts as 1 GiB.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::{Generator, Yielder};
    /// fn down(y: &Yielder<u32>, depth: u32) {
    ///     if depth > 0 {
    ///         down(y, depth - 1);
    ///         y.yield_(depth);
    ///     }
    /// }
    /// let deep = Generator::with_stack_size(8 << 20, |y| down(y, 10_000));
    /// assert_eq!(deep.count(), 10_000);
    /// ```
    #[track_caller]
    pub fn with_stack_size(bytes: usize, body: impl FnOnce(&Yielder<Y, S>) -> R + 'static) -> Self {
        Generator(Core::new(bytes, Location::caller(), body))
    }
}

/// The methods that the plain and the scoped generator share.
macro_rules! generator_methods {
    ($($head:tt)*) => {
        $($head)* {
            /// Runs a fresh generator to its first yield, as Python's `next` does.
            ///
            /// Parks: no more than the body does. A panic of the body comes out of here.
            ///
            /// # Panics
            ///
            /// If it was started before.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::generator::{Generator, Step, Yielder};
            /// let mut greeter = Generator::new(|y: &Yielder<&str, String>| {
            ///     let name = y.yield_("who is there?");
            ///     format!("hello, {name}")
            /// });
            /// assert_eq!(greeter.start(), Step::Yielded("who is there?"));
            /// let end = greeter.resume("ann".to_string());
            /// assert_eq!(end, Step::Returned("hello, ann".to_string()));
            /// ```
            #[inline]
            #[track_caller]
            pub fn start(&mut self) -> Step<Y, R> {
                assert!(
                    self.0.is_fresh(),
                    "maypole: start at {} of a generator that was started before",
                    Location::caller()
                );
                self.0.resume()
            }

            /// Sends a value, which the yield that the body is in returns, and runs the body to
            /// its next yield or its end.
            ///
            /// Where `S` is `()`, or has no size, it starts a fresh generator by itself.
            ///
            /// Parks: no more than the body does. A panic of the body comes out of here.
            ///
            /// # Panics
            ///
            /// If it has finished; if it is fresh and `S` has a size, since nothing could take
            /// the value: [`start`](Self::start) it first.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::generator::{Generator, Step, Yielder};
            /// let mut sum = Generator::new(|y: &Yielder<u32, u32>| {
            ///     let mut total = 0;
            ///     while total < 10 {
            ///         total += y.yield_(total);
            ///     }
            ///     total
            /// });
            /// assert_eq!(sum.start(), Step::Yielded(0));
            /// assert_eq!(sum.resume(4), Step::Yielded(4));
            /// assert_eq!(sum.resume(8), Step::Returned(12));
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn resume(&mut self, sent: S) -> Step<Y, R> {
                if self.0.producer.is_done() {
                    finished(Location::caller());
                }
                if size_of::<S>() != 0 && self.0.is_fresh() {
                    not_started(Location::caller());
                }
                self.0.mailbox().sent.set(Some(sent));
                self.0.resume()
            }

            /// Unwinds the body from its yield, with `error` as the payload, which the body may
            /// catch with `catch_unwind`; runs it to its next yield or its end.
            ///
            /// Parks: no more than the body does.
            ///
            /// # Panics
            ///
            /// With `error` as the payload, if the body does not catch it, has not started, or has
            /// finished.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::generator::{Generator, Step};
            /// use std::panic::{AssertUnwindSafe, catch_unwind};
            /// let mut patient = Generator::new(|y| {
            ///     let thrown = catch_unwind(AssertUnwindSafe(|| y.yield_("working")));
            ///     thrown.unwrap_err().downcast::<u32>().map(|error| *error).unwrap_or(0)
            /// });
            /// patient.next();
            /// assert_eq!(patient.throw(404_u32), Step::Returned(404));
            /// ```
            pub fn throw<E: Any + Send>(&mut self, error: E) -> Step<Y, R> {
                self.0.throw(Box::new(error))
            }

            /// Ends the generator: the body unwinds from its yield, and its destructors run, which
            /// may park. A fresh generator's body is dropped, and a panic of its captures'
            /// destructors swallowed; a finished one stays as it is.
            ///
            /// Parks: no more than the body does.
            ///
            /// # Errors
            ///
            /// [`Ignored`], if the body caught the unwind and yielded again; it is suspended then.
            ///
            /// # Panics
            ///
            /// With the panic of the body, if it panics meanwhile.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::generator::Generator;
            /// let mut endless = Generator::new(|y| {
            ///     for n in 0.. {
            ///         y.yield_(n);
            ///     }
            /// });
            /// assert_eq!(endless.next(), Some(0));
            /// endless.close().unwrap();
            /// assert_eq!(endless.next(), None);
            /// ```
            pub fn close(&mut self) -> Result<(), Ignored> {
                self.0.close()
            }

            /// Whether the body has ended, by return, close or panic.
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::generator::Generator;
            /// let mut once = Generator::new(|y| y.yield_(1));
            /// assert_eq!(once.next(), Some(1));
            /// assert!(!once.is_done()); // it is suspended in its yield
            /// assert_eq!(once.next(), None);
            /// assert!(once.is_done());
            /// ```
            pub fn is_done(&self) -> bool {
                self.0.producer.is_done()
            }
        }
    };
}

generator_methods!(impl<Y, R, S> Generator<Y, R, S>);

#[cold]
#[inline(never)]
fn finished(at: &Location<'_>) -> ! {
    panic!("maypole: resume at {at} of a generator that has finished");
}

#[cold]
#[inline(never)]
fn not_started(at: &Location<'_>) -> ! {
    panic!("maypole: a value sent at {at} to a generator that was not started: call start first");
}

impl<'b, Y, R, S> Core<'b, Y, R, S> {
    #[inline]
    fn new(
        stack_size: usize,
        site: &'static Location<'static>,
        body: impl FnOnce(&Yielder<Y, S>) -> R + 'b,
    ) -> Self {
        let mailbox = Mailbox {
            sent: Cell::new(None),
            order: Cell::new(None),
            unwinding: Cell::new(false),
            site,
        };
        let mut fresh = Fresh(Some(body));
        let producer = Producer::new(stack_size, site, mailbox, move |suspender, mailbox| {
            let body = fresh.0.take().expect("a body begins once");
            let yielder = Yielder { suspender, mailbox };
            match catch_unwind(AssertUnwindSafe(|| body(&yielder))) {
                Ok(value) => Ended::Returned(value),
                Err(payload) if yielder.mailbox.is_closed_by(&*payload) => Ended::Closed,
                Err(payload) => resume_unwind(payload),
            }
        });
        match producer {
            Ok(producer) => Core { producer },
            Err(limit) => panic!("maypole: cannot make the generator at {site}: {limit}"),
        }
    }

    #[inline(always)]
    fn mailbox(&self) -> &Mailbox<S> {
        self.producer.shared()
    }

    #[inline(always)]
    fn is_fresh(&self) -> bool {
        self.producer.is_fresh()
    }

    /// Resumes the body, which finds in the mailbox why.
    #[inline(always)]
    fn resume(&mut self) -> Step<Y, R> {
        match self.step() {
            Step::Yielded(value) => Step::Yielded(value),
            Step::Returned(Ended::Returned(value)) => Step::Returned(value),
            Step::Returned(Ended::Closed) => self.closed_late(),
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Step<Y, Ended<R>> {
        if std::thread::panicking() {
            return self.step_while_unwinding();
        }
        self.producer.resume()
    }

    /// A resume from a destructor that runs because of unwinding: the body is not the one that
    /// unwinds.
    #[cold]
    #[inline(never)]
    fn step_while_unwinding(&mut self) -> Step<Y, Ended<R>> {
        apart(|| self.producer.resume())
    }

    #[cold]
    #[inline(never)]
    fn closed_late(&self) -> ! {
        panic!(
            "maypole: the generator made at {} has ended by a close that it had ignored before",
            self.mailbox().site
        );
    }

    fn throw(&mut self, payload: Payload) -> Step<Y, R> {
        if self.producer.is_done() {
            resume_unwind(payload);
        }
        if self.is_fresh() {
            // As in Python: the error is raised where the body would have begun.
            self.close()
                .expect("a body that never ran cannot ignore its close");
            resume_unwind(payload);
        }
        if self.mailbox().unwinding.get() {
            let site = self.mailbox().site;
            panic!(
                "maypole: a throw into the generator made at {site}, which yields in a destructor \
                 that runs because of unwinding and cannot unwind again"
            );
        }
        self.mailbox().command(Order::Throw(payload));
        self.resume()
    }

    fn close(&mut self) -> Result<(), Ignored> {
        if self.producer.is_done() {
            return Ok(());
        }
        if self.is_fresh() {
            self.producer.discard();
            return Ok(());
        }
        if self.mailbox().unwinding.get() {
            // A second unwind would abort the process.
            return Err(Ignored);
        }
        self.mailbox().command(Order::Close);
        match self.step() {
            Step::Yielded(value) => {
                drop(value);
                Err(Ignored)
            }
            Step::Returned(_) => Ok(()),
        }
    }

    /// Whether the body is inside of a yield.
    fn is_suspended(&self) -> bool {
        !self.producer.is_done() && !self.is_fresh()
    }
}

impl<Y, R, S> Drop for Core<'_, Y, R, S> {
    #[inline]
    fn drop(&mut self) {
        if self.is_suspended() {
            self.close_at_drop();
        }
    }
}

impl<Y, R, S> Core<'_, Y, R, S> {
    #[cold]
    fn close_at_drop(&mut self) {
        if cfg!(panic = "unwind") && self.close().is_err() {
            coroutine::say(format_args!(
                "maypole: the generator made at {} ignored its close and yielded again; its stack \
                 is leaked",
                self.mailbox().site
            ));
        }
    }
}

impl<Y, R> Iterator for Generator<Y, R, ()> {
    type Item = Y;

    /// The next yielded value; `None` when the body has ended.
    #[inline(always)]
    fn next(&mut self) -> Option<Y> {
        if self.0.producer.is_done() {
            return None;
        }
        self.0.mailbox().sent.set(Some(()));
        match self.0.resume() {
            Step::Yielded(value) => Some(value),
            Step::Returned(_) => None,
        }
    }
}

impl<Y, R, S> fmt::Debug for Generator<Y, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("made_at", &format_args!("{}", self.0.mailbox().site))
            .field("done", &self.is_done())
            .finish_non_exhaustive()
    }
}

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
    mailbox: Rc<Mailbox<S>>,
}

impl<Y, S> Yielder<Y, S> {
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

/// A generator whose body borrows; see [`scoped`].
///
/// # Examples
///
/// ```
/// use maypole::generator::{Step, scoped};
/// let words = ["may", "pole"];
/// let first = scoped(
///     |y| words.iter().for_each(|word| y.yield_(word.len())),
///     |lengths| lengths.resume(()),
/// );
/// assert_eq!(first, Step::Yielded(3));
/// ```
pub struct ScopedGenerator<'g, 'env, Y, R, S = ()>(
    Core<'env, Y, R, S>,
    PhantomData<Brand<'g, 'env>>,
);

/// Invariant in both, so that no other scoped generator can be put in the place of one.
type Brand<'g, 'env> = (Cell<&'g ()>, Cell<&'env ()>);

generator_methods!(impl<Y, R, S> ScopedGenerator<'_, '_, Y, R, S>);

impl<Y, R> Iterator for ScopedGenerator<'_, '_, Y, R, ()> {
    type Item = Y;

    #[inline]
    fn next(&mut self) -> Option<Y> {
        if self.is_done() {
            return None;
        }
        match self.resume(()) {
            Step::Yielded(value) => Some(value),
            Step::Returned(_) => None,
        }
    }
}

impl<Y, R, S> fmt::Debug for ScopedGenerator<'_, '_, Y, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedGenerator")
            .field("done", &self.is_done())
            .finish_non_exhaustive()
    }
}

/// Runs `driver` with a generator whose `body` may borrow from around the call.
///
/// The generator is closed when `driver` returns or unwinds. A body that yields again 64 times
/// then would outlive what it borrows, so the process is aborted, by name.
///
/// Parks: no more than the body and the driver do.
///
/// # Panics
///
/// With the panics of the driver, then of the body; where parking is forbidden, as the body may
/// park while it is closed.
///
/// # Examples
///
/// ```
/// use maypole::generator::scoped;
/// let words = ["may", "pole"];
/// let mut total = 0;
/// let lengths: Vec<usize> = scoped(
///     |y| {
///         for word in &words {
///             total += word.len();
///             y.yield_(word.len());
///         }
///     },
///     |lengths| lengths.collect(),
/// );
/// assert_eq!((lengths, total), (vec![3, 4], 7));
/// ```
///
/// What the body borrows cannot be changed meanwhile:
///
/// ```compile_fail,E0502
/// use maypole::generator::{Yielder, scoped};
/// let mut n = 1;
/// scoped(|y: &Yielder<i32>| y.yield_(n), |g| {
///     n = 2;
///     g.next();
/// });
/// ```
///
/// Nor can one scoped generator be put in the place of another, to be forgotten there:
///
/// ```compile_fail,E0521
/// use maypole::generator::{Yielder, scoped};
/// scoped(
///     |y: &Yielder<u32>| y.yield_(1),
///     |a| scoped(|y: &Yielder<u32>| y.yield_(1), |b| std::mem::swap(a, b)),
/// );
/// ```
///
/// Nor does one leave its driver:
///
/// ```compile_fail,E0521
/// use maypole::generator::{Yielder, scoped};
/// let mut kept = None;
/// scoped(|y: &Yielder<u32>| y.yield_(1), |g| kept = Some(g));
/// ```
#[track_caller]
pub fn scoped<'env, Y, R, S, T>(
    body: impl FnOnce(&Yielder<Y, S>) -> R + 'env,
    driver: impl for<'g> FnOnce(&mut ScopedGenerator<'g, 'env, Y, R, S>) -> T,
) -> T {
    let site = Location::caller();
    if scheduler::is_in_task() {
        let wait = Wait {
            what: What::Turn,
            at: site,
        };
        park::enter(wait);
        park::ask(wait);
    }
    let mut generator = ScopedGenerator(Core::new(STACK_SIZE, site, body), PhantomData);
    let result = catch_unwind(AssertUnwindSafe(|| driver(&mut generator)));
    // Whatever became of the driver: what the body borrows is about to go.
    let closed = catch_unwind(AssertUnwindSafe(|| close_for_good(&mut generator.0)));
    match (result, closed) {
        (Ok(value), Ok(())) => value,
        (Ok(value), Err(payload)) => {
            drop_quietly(value);
            resume_unwind(payload)
        }
        (Err(payload), closed) => {
            drop_quietly(closed);
            resume_unwind(payload)
        }
    }
}

fn close_for_good<Y, R, S>(core: &mut Core<'_, Y, R, S>) {
    let _extent = Extent::enter();
    let _shield = Shield::open();
    let mut panic = None;
    for _ in 0..CLOSES {
        // A panic may be the body's, or of the destructor of something that was yielded or sent:
        // only the coroutine knows whether the body has ended.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| core.close())) {
            match panic {
                None => panic = Some(payload),
                Some(_) => std::mem::forget(payload),
            }
        }
        if !core.is_suspended() {
            return panic.map_or((), |payload| resume_unwind(payload));
        }
    }
    coroutine::say(format_args!(
        "maypole: fatal: the scoped generator made at {} ignored its close {CLOSES} times; what it \
         borrows would be gone",
        core.mailbox().site
    ));
    std::process::abort();
}
