//! `TMVar`: a place for one value, which is full or empty.
//!
//! It is one variable that holds an `Option`. Who takes from an empty one, or puts into a full one,
//! retries; all else follows from the transaction.
use super::transaction::Transaction;
use super::tvar::TVar;
use super::variable::{More, Place};
use super::{Stop, retry};
use std::fmt;
use std::mem::needs_drop;
use std::panic::Location;

const KIND: &str = "TMVar";

/// A place for one value: taking it waits until it is full, putting into it until it is empty.
/// `TMVar` of GHC's stm package, after Concurrent Haskell's `MVar`.
///
/// It serves as a lock with a content, as a channel for one message, as the answer to a request. A
/// clone is another handle to the same place; two handles are equal if they are of the same one.
/// Those who wait are woken in the order in which they parked, and the first that finds it full has
/// the value. What leaves it is a clone, as the transaction may yet be undone.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, TMVar};
/// maypole::run(|| {
///     let (question, answer) = (TMVar::new_empty(), TMVar::new_empty());
///     let (asked, reply) = (question.clone(), answer.clone());
///     maypole::spawn(move || {
///         let n: i32 = atomically(|tx| asked.take(tx)); // waits for it
///         atomically(|tx| reply.put(tx, n * n));
///     });
///     atomically(|tx| question.put(tx, 7));
///     assert_eq!(atomically(|tx| answer.take(tx)), 49);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::stm::TMVar<u8>>();
/// ```
pub struct TMVar<T: 'static>(TVar<Option<T>>);

impl<T: 'static> TMVar<T> {
    /// A place with `value` in it. `newTMVar` and `newTMVarIO` of GHC's stm package.
    ///
    /// Parks: no. It may be made inside of a transaction; it is not unmade if that is undone.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let key = TMVar::new("key");
    /// assert_eq!(atomically(|tx| key.take(tx)), "key");
    /// ```
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::made(Some(value), None, Location::caller())
    }

    /// A place with nothing in it. `newEmptyTMVar` and `newEmptyTMVarIO` of GHC's stm package.
    ///
    /// Parks: no. It may be made inside of a transaction; it is not unmade if that is undone.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let answer = TMVar::<i32>::new_empty();
    /// assert!(atomically(|tx| Ok(answer.is_empty(tx))));
    /// ```
    #[track_caller]
    pub fn new_empty() -> Self {
        Self::made(None, None, Location::caller())
    }

    /// A place with a name for the reports, and `value` in it or nothing.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let fork = TMVar::named("fork 1", Some(()));
    /// atomically(|tx| fork.take(tx));
    /// assert!(atomically(|tx| Ok(fork.is_empty(tx))));
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, value: Option<T>) -> Self {
        Self::made(value, Some(More::named(name)), Location::caller())
    }

    fn made(value: Option<T>, more: Option<More>, at: Place) -> Self {
        let show = |value: &Option<T>| match value {
            Some(_) => "full".to_string(),
            None => "empty".to_string(),
        };
        TMVar(TVar::made_as(KIND, value, Some(show), more, at))
    }

    // ── what waits ───────────────────────────────────────────────────────────────────────────

    /// Takes the value out, which leaves it empty; retries while it is empty. `takeTMVar` of GHC's
    /// stm package.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when the retry comes out of its closure.
    /// A kill ends that wait, and nothing was taken.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] if it is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let (left, right) = (TMVar::new("left glove"), TMVar::new("right glove"));
    /// // Both or none.
    /// let gloves = atomically(|tx| Ok((left.take(tx)?, right.take(tx)?)));
    /// assert_eq!(gloves, ("left glove", "right glove"));
    /// ```
    #[track_caller]
    pub fn take<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.try_take(tx) {
            Some(value) => Ok(value),
            None => retry(),
        }
    }

    /// Puts a value in; retries while it is full. `putTMVar` of GHC's stm package.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when the retry comes out of its closure.
    /// A kill ends that wait, and nothing was put.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] if it is full; `value` is then dropped when the transaction is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let seat = TMVar::new_empty();
    /// atomically(|tx| seat.put(tx, "Ada"));
    /// assert_eq!(atomically(|tx| seat.read(tx)), "Ada");
    /// ```
    #[track_caller]
    pub fn put<E>(&self, tx: &Transaction, value: T) -> Result<(), Stop<E>> {
        match self.try_put(tx, value) {
            true => Ok(()),
            false => retry(),
        }
    }

    /// A clone of the value, which stays; retries while it is empty. `readTMVar` of GHC's stm
    /// package.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when the retry comes out of its closure.
    /// A kill ends that wait.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] if it is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let settings = TMVar::new("quiet");
    /// assert_eq!(atomically(|tx| settings.read(tx)), "quiet");
    /// assert_eq!(atomically(|tx| settings.read(tx)), "quiet");
    /// ```
    #[track_caller]
    pub fn read<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.try_read(tx) {
            Some(value) => Ok(value),
            None => retry(),
        }
    }

    /// Replaces the value and gives back the one before; retries while it is empty. `swapTMVar` of
    /// GHC's stm package.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when the retry comes out of its closure.
    /// A kill ends that wait, and nothing was replaced.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] if it is empty; `value` is then dropped when the transaction is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let shift = TMVar::new("Ada");
    /// assert_eq!(atomically(|tx| shift.swap(tx, "Grace")), "Ada");
    /// ```
    #[track_caller]
    pub fn swap<E>(&self, tx: &Transaction, value: T) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.try_read(tx) {
            Some(before) => {
                self.0.write(tx, Some(value));
                Ok(before)
            }
            None => {
                refused(tx, value);
                retry()
            }
        }
    }

    // ── what does not ────────────────────────────────────────────────────────────────────────

    /// Takes the value out; `None` if there is none. `tryTakeTMVar` of GHC's stm package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let key = TMVar::new("key");
    /// let twice = atomically(|tx| Ok((key.try_take(tx), key.try_take(tx))));
    /// assert_eq!(twice, (Some("key"), None));
    /// ```
    pub fn try_take(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        let value = self.try_read(tx)?;
        self.0.write(tx, None);
        Some(value)
    }

    /// Puts a value in, if there is none; tells whether it did. `tryPutTMVar` of GHC's stm package.
    ///
    /// A value that finds no room is dropped when the transaction is over.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let winner = TMVar::new_empty();
    /// assert!(atomically(|tx| Ok(winner.try_put(tx, "Ada"))));
    /// assert!(!atomically(|tx| Ok(winner.try_put(tx, "Grace"))));
    /// assert_eq!(atomically(|tx| winner.read(tx)), "Ada");
    /// ```
    pub fn try_put(&self, tx: &Transaction, value: T) -> bool {
        let has_room = self.is_empty(tx);
        match has_room {
            true => self.0.write(tx, Some(value)),
            false => refused(tx, value),
        }
        has_room
    }

    /// A clone of the value, which stays; `None` if there is none. `tryReadTMVar` of GHC's stm
    /// package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let result = TMVar::new(42);
    /// assert_eq!(atomically(|tx| Ok(result.try_read(tx))), Some(42));
    /// ```
    pub fn try_read(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        self.0.read(tx)
    }

    /// Puts a value in, whether there was one before or not. `writeTMVar` of GHC's stm package.
    ///
    /// What was in it is dropped when the transaction is over.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let latest = TMVar::new_empty();
    /// atomically(|tx| Ok(latest.write(tx, "rain")));
    /// atomically(|tx| Ok(latest.write(tx, "sun")));
    /// assert_eq!(atomically(|tx| latest.take(tx)), "sun");
    /// ```
    pub fn write(&self, tx: &Transaction, value: T) {
        self.0.write(tx, Some(value));
    }

    /// Whether there is no value in it. `isEmptyTMVar` of GHC's stm package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TMVar};
    /// let seat = TMVar::new_empty();
    /// assert!(atomically(|tx| Ok(seat.is_empty(tx))));
    /// atomically(|tx| seat.put(tx, "Ada"));
    /// assert!(!atomically(|tx| Ok(seat.is_empty(tx))));
    /// ```
    pub fn is_empty(&self, tx: &Transaction) -> bool {
        self.0.with(tx, Option::is_none)
    }

    /// Whether both are handles to the same place. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let place = maypole::stm::TMVar::new(1);
    /// assert!(place.same_variable(&place.clone()));
    /// assert!(!place.same_variable(&maypole::stm::TMVar::new(1)));
    /// ```
    pub fn same_variable(&self, other: &Self) -> bool {
        self.0.same_variable(&other.0)
    }
}

/// Keeps what found no room until the transaction is over: its destructor may begin another.
fn refused<T: 'static>(tx: &Transaction, value: T) {
    if needs_drop::<T>() {
        tx.leave(value);
    }
}

impl<T: 'static> Clone for TMVar<T> {
    fn clone(&self) -> Self {
        TMVar(self.0.clone())
    }
}

/// Whether both are handles to the same place, as in Haskell.
impl<T: 'static> PartialEq for TMVar<T> {
    fn eq(&self, other: &Self) -> bool {
        self.same_variable(other)
    }
}

impl<T: 'static> Eq for TMVar<T> {}

/// Shows the value as it is at the moment, also inside of a transaction.
impl<T: fmt::Debug + 'static> fmt::Debug for TMVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TMVar").field(&self.0).finish()
    }
}
