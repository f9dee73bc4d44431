//! Transactions on shared variables: all or nothing, nobody in between, and waiting for a change.
//!
//! ```
//! use maypole::stm::{atomically, check, Stop, Transaction, TVar};
//!
//! fn withdraw<E>(tx: &Transaction, from: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
//!     check(from.read(tx) >= amount)?; // waits until there is enough
//!     from.update(tx, |balance| balance - amount);
//!     Ok(())
//! }
//!
//! fn deposit(tx: &Transaction, to: &TVar<i64>, amount: i64) {
//!     to.update(tx, |balance| balance + amount);
//! }
//!
//! fn transfer<E>(
//!     tx: &Transaction, from: &TVar<i64>, to: &TVar<i64>, amount: i64,
//! ) -> Result<(), Stop<E>> {
//!     deposit(tx, to, amount);
//!     withdraw(tx, from, amount)
//! }
//!
//! let (mine, yours) = (TVar::new(200), TVar::new(100));
//! atomically(|tx| transfer(tx, &mine, &yours, 50));
//! assert_eq!((mine.get(), yours.get()), (150, 150));
//! ```
//!
//! This is Haskell's STM (Harris, Marlow, Peyton Jones and Herlihy, *Composable Memory
//! Transactions*, 2005), with its names. What it gives beyond a lock is composition: two parts that
//! are right are right together, one after the other or, with [`Transaction::or_else`], one or the
//! other; and a part may wait ([`retry`], [`check`]) without knowing what it is a part of.
//!
//! | Haskell | here |
//! |---|---|
//! | `STM a` | `Result<T, Stop<E>>`, given a [`&Transaction`](Transaction) |
//! | `atomically` | [`atomically`], [`try_atomically`] |
//! | `retry`, `check`, `throwSTM` | [`retry`], [`check`], [`abort`] |
//! | `orElse`, `catchSTM` | [`Transaction::or_else`], [`Transaction::catch`] |
//! | `newTVar`, `readTVar`, `writeTVar`, `modifyTVar` | [`TVar::new`], [`read`](TVar::read) and [`with`](TVar::with), [`write`](TVar::write), [`update`](TVar::update) |
//! | `readTVarIO`, `registerDelay` | [`TVar::get`], [`delay`] |
//!
//! What differs: a [`Stop`] is a value, so `?` passes it on, and whoever takes one apart with `match`
//! instead undoes nothing ([`or_else`](Transaction::or_else) and [`catch`](Transaction::catch) do).
//! Input and output inside of a transaction compile, and are done again whenever it runs again:
//! [`Transaction::on_commit`] is the place for them. All of it stays in its OS thread:
//!
//! ```compile_fail,E0277
//! fn crosses<T: Send>() {}
//! crosses::<maypole::stm::TVar<u8>>();
//! ```
mod arm;
mod atomically;
mod attempt;
mod case;
mod delay;
mod deque;
mod line;
mod named;
mod tarray;
mod tbqueue;
mod tchan;
mod tmvar;
mod tqueue;
mod transaction;
mod tsem;
mod tvar;
mod variable;
mod wake;

/// For the macros of `select!`, which expand in other crates.
#[doc(hidden)]
pub mod __private {
    pub use super::case::{Pending, pending};
}

pub use atomically::{atomically, try_atomically};
pub use delay::delay;
pub use named::{Counters, Named, counters};
pub use tarray::TArray;
pub use tbqueue::TBQueue;
pub use tchan::TChan;
pub use tmvar::TMVar;
pub use tqueue::TQueue;
pub use transaction::Transaction;
pub use tsem::TSem;
pub use tvar::TVar;

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use variable::Place;

/// Why a transaction, or a part of one, does not go on.
///
/// `E` is what it may abort with. Parts are written for any `E`, so that they compose; a part for
/// none, as [`atomically`] takes, becomes one for any by [`widen`](Stop::widen).
///
/// # Examples
///
/// ```
/// use maypole::stm::{retry, try_atomically, Stop, TVar};
/// let stock = TVar::new(0);
/// let result: Result<i32, &str> = try_atomically(|tx| match stock.read(tx) {
///     0 => Err(Stop::Abort("sold out")),
///     n if n < 0 => retry(),
///     n => Ok(n),
/// });
/// assert_eq!(result, Err("sold out"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stop<E = Infallible> {
    /// Undo it, and run it again when a variable has changed that it read.
    Retry,
    /// Undo it, and let the whole fail with this error.
    Abort(E),
}

impl Stop<Infallible> {
    /// The stop of a part that never aborts, for a whole that may.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{check, try_atomically, Stop, TVar};
    /// fn wait_until_open(open: bool) -> Result<(), Stop> {
    ///     check(open)
    /// }
    /// let door = TVar::new(true);
    /// let result: Result<(), String> =
    ///     try_atomically(|tx| wait_until_open(door.read(tx)).map_err(Stop::widen));
    /// assert_eq!(result, Ok(()));
    /// ```
    pub fn widen<E>(self) -> Stop<E> {
        match self {
            Stop::Retry => Stop::Retry,
        }
    }
}

impl<E> Stop<E> {
    /// The same with another error.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::Stop;
    /// assert_eq!(Stop::Abort(7).map_abort(|code| code.to_string()), Stop::Abort("7".to_string()));
    /// assert_eq!(Stop::<u8>::Retry.map_abort(u16::from), Stop::Retry);
    /// ```
    pub fn map_abort<F>(self, f: impl FnOnce(E) -> F) -> Stop<F> {
        match self {
            Stop::Retry => Stop::Retry,
            Stop::Abort(error) => Stop::Abort(f(error)),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Stop<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Retry => f.write_str("the transaction must wait for a change"),
            Stop::Abort(error) => write!(f, "the transaction has failed: {error}"),
        }
    }
}

impl<E: Error + 'static> Error for Stop<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Stop::Retry => None,
            Stop::Abort(error) => Some(error),
        }
    }
}

/// Undoes the transaction, or the arm of an [`or_else`](Transaction::or_else), and has it run again
/// when another transaction has written to a variable that it read. Haskell's `retry`.
///
/// Parks: no; [`atomically`] does, when this comes out of its closure.
///
/// # Errors
///
/// Always [`Stop::Retry`].
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, retry, TVar};
/// let queue = TVar::new(vec!["first", "second"]);
/// let next = atomically(|tx| {
///     let mut left = queue.read(tx);
///     if left.is_empty() {
///         return retry();
///     }
///     let next = left.remove(0);
///     queue.write(tx, left);
///     Ok(next)
/// });
/// assert_eq!(next, "first");
/// ```
#[inline]
#[track_caller]
pub fn retry<T, E>() -> Result<T, Stop<E>> {
    LastRetry::note(Location::caller());
    Err(Stop::Retry)
}

/// Goes on if `condition` holds, else [`retry`]s. Haskell's `check`.
///
/// Parks: no; [`atomically`] does, when a retry comes out of its closure.
///
/// # Errors
///
/// [`Stop::Retry`] if `condition` does not hold.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, check, TVar};
/// let account = TVar::new(100);
/// atomically(|tx| {
///     check(account.read(tx) >= 70)?;
///     account.update(tx, |balance| balance - 70);
///     Ok(())
/// });
/// assert_eq!(account.get(), 30);
/// ```
#[inline(always)]
#[track_caller]
pub fn check<E>(condition: bool) -> Result<(), Stop<E>> {
    match condition {
        true => Ok(()),
        false => retry(),
    }
}

/// Undoes the transaction and lets it fail with `error`; or the arm of a
/// [`catch`](Transaction::catch), which handles it. Haskell's `throwSTM`.
///
/// Parks: no.
///
/// # Errors
///
/// Always [`Stop::Abort`].
///
/// # Examples
///
/// ```
/// use maypole::stm::{abort, try_atomically, TVar};
/// let seats = TVar::new(0);
/// let booked = try_atomically(|tx| match seats.read(tx) {
///     0 => abort("no seat is left"),
///     left => Ok(seats.write(tx, left - 1)),
/// });
/// assert_eq!(booked, Err("no seat is left"));
/// ```
#[inline]
pub fn abort<T, E>(error: E) -> Result<T, Stop<E>> {
    Err(Stop::Abort(error))
}

/// Where [`retry`] or [`check`] was called last, for messages.
struct LastRetry;

thread_local! {
    /// The place, and when the transaction began that it was called in.
    static LAST_RETRY: Cell<Option<(Place, u64)>> = const { Cell::new(None) };
}

impl LastRetry {
    fn note(at: Place) {
        LAST_RETRY.set(Some((at, transaction::latest_start())));
    }

    /// Where that was in the transaction that began at this moment.
    fn of(begun: u64) -> Option<Place> {
        let (at, start) = LAST_RETRY.get()?;
        (start == begun).then_some(at)
    }
}
