//! Python's generators: functions that yield values and go on where they were.
//!
//! The three uses of yield that Beazley tells apart (2009): giving out the items of an iteration,
//! taking in values that are sent, and handing a request to whoever runs the generator. "Do not
//! mix them in one generator."
mod core;
mod host;
mod yielder;

use self::core::Core;
use std::any::Any;
use std::fmt;
use std::panic::Location;

pub use crate::coroutine::Step;
pub(crate) use host::{Answer, Ended, Host, catch_under, run_under};
pub use scoped::{ScopedGenerator, scoped};
pub use yielder::Yielder;

/// Stack size of a generator that asks for none.
const STACK_SIZE: usize = 256 << 10;

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

// Below the macro that it uses as well.
mod scoped;

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
