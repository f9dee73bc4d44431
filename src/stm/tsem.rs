//! `TSem`: a semaphore for transactions, first come, first served.
use super::line::Line;
use super::{Stop, TVar, Transaction, retry};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

/// A number of units, for transactions to take and give back. Haskell's `TSem`.
///
/// First come, first served, which Haskell's is not: a transaction that retries for want of a unit
/// stands in line until it has one, or until it waits for something else or has ended, and nobody
/// who comes later is served before, whatever the order in which the woken run. Where it gets the
/// unit but must retry for another reason, it gives its place up, so that nobody waits behind one who
/// could not go on.
///
/// A clone is another handle to the same semaphore.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, TSem};
/// maypole::run(|| {
///     let seats = TSem::new(1);
///     atomically(|tx| seats.wait(tx)); // the only one
///     let theirs = seats.clone();
///     let next = maypole::spawn(move || atomically(|tx| theirs.wait(tx)));
///     maypole::yield_now();
///     assert!(!next.is_finished());
///     atomically(|tx| Ok(seats.signal(tx)));
///     next.join().unwrap();
/// });
/// ```
#[derive(Clone)]
pub struct TSem {
    units: TVar<i64>,
    line: Rc<Line>,
}

impl TSem {
    /// A semaphore of so many units; if that is less than none, so many must be given first.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TSem};
    /// let permits = TSem::new(2);
    /// atomically(|tx| {
    ///     permits.wait(tx)?;
    ///     permits.wait(tx)
    /// });
    /// ```
    #[track_caller]
    pub fn new(units: i64) -> Self {
        let units = TVar::made_as("TSem", units, None, None, Location::caller());
        let line = Rc::new(Line::new(units.as_any()));
        TSem { units, line }
    }

    /// Takes a unit; retries while there is none, and while one waits who came before. A unit that
    /// the transaction has given itself it may take back at once.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when a retry comes out of its closure. A
    /// kill gives the place in the line up.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] when there is no unit for the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TSem};
    /// let (left, right) = (TSem::new(1), TSem::new(1));
    /// atomically(|tx| {
    ///     left.wait(tx)?; // both or none
    ///     right.wait(tx)
    /// });
    /// ```
    #[track_caller]
    pub fn wait<E>(&self, tx: &Transaction) -> Result<(), Stop<E>> {
        let units = self.units.read(tx);
        // What the transaction has given itself nobody else misses.
        let is_next = units > self.units.found(tx) || self.line.is_first(tx.call());
        if units > 0 && is_next {
            self.units.write(tx, units - 1);
            return Ok(());
        }
        tx.stands_in(&self.line);
        retry()
    }

    /// Gives a unit.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// At more than `i64::MAX` units.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TSem};
    /// let permits = TSem::new(0);
    /// atomically(|tx| {
    ///     permits.signal(tx);
    ///     permits.wait(tx)
    /// });
    /// ```
    #[track_caller]
    pub fn signal(&self, tx: &Transaction) {
        self.signal_n(tx, 1);
    }

    /// Gives `count` units. Haskell's `signalTSemN`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// At more than `i64::MAX` units.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TSem};
    /// let permits = TSem::new(0);
    /// atomically(|tx| Ok(permits.signal_n(tx, 3)));
    /// assert_eq!(atomically(|tx| Ok(permits.units(tx))), 3);
    /// ```
    #[track_caller]
    pub fn signal_n(&self, tx: &Transaction, count: u64) {
        let units = self.units.read(tx);
        let units = units.checked_add_unsigned(count);
        let units = units.expect("a TSem has at most i64::MAX units");
        self.units.write(tx, units);
    }

    /// How many units there are; negative if some must be given first. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TSem};
    /// let permits = TSem::new(-1);
    /// assert_eq!(atomically(|tx| Ok(permits.units(tx))), -1);
    /// ```
    pub fn units(&self, tx: &Transaction) -> i64 {
        self.units.read(tx)
    }

    /// Whether both are handles to the same semaphore. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let permits = maypole::stm::TSem::new(1);
    /// assert!(permits.same_semaphore(&permits.clone()));
    /// ```
    pub fn same_semaphore(&self, other: &Self) -> bool {
        self.units.same_variable(&other.units)
    }
}

/// Whether both are handles to the same semaphore, as in Haskell.
impl PartialEq for TSem {
    fn eq(&self, other: &Self) -> bool {
        self.same_semaphore(other)
    }
}

impl Eq for TSem {}

impl fmt::Debug for TSem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TSem").finish_non_exhaustive()
    }
}

impl UnwindSafe for TSem {}
impl RefUnwindSafe for TSem {}
