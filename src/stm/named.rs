//! Transactions with a name, and what is counted of them.
use super::transaction::Transaction;
use super::{Stop, atomically};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::{Rc, Weak};

thread_local! {
    static TALLIES: RefCell<Vec<Weak<Tally>>> = const { RefCell::new(Vec::new()) };
}

/// A name for transactions, under which it is counted how they fare.
///
/// Many retries for each commit are a retry storm: the transaction is woken by changes that are of
/// no use to it. It helps to split the variables that it reads, so that fewer writes concern it.
///
/// A clone counts together with the original. It stays in its OS thread.
///
/// # Examples
///
/// ```
/// use maypole::stm::{check, Named, TVar};
/// maypole::run(|| {
///     let withdraw = Named::new("withdraw");
///     let account = TVar::new(0);
///     maypole::scope(|s| {
///         s.spawn(|| {
///             withdraw.atomically(|tx| {
///                 check(account.read(tx) >= 20)?;
///                 account.update(tx, |balance| balance - 20);
///                 Ok(())
///             })
///         });
///         for _ in 0..3 {
///             maypole::yield_now();
///             account.set(account.get() + 10); // too little, then enough
///         }
///     });
///     let counters = withdraw.counters();
///     assert_eq!((counters.commits, counters.retries, counters.wakes), (1, 2, 2));
///     assert_eq!(account.get(), 10);
/// });
/// ```
#[derive(Clone)]
pub struct Named(Rc<Tally>);

pub(super) struct Tally {
    name: String,
    pub(super) commits: Cell<u64>,
    pub(super) aborts: Cell<u64>,
    pub(super) retries: Cell<u64>,
    pub(super) wakes: Cell<u64>,
}

impl Tally {
    #[inline(always)]
    pub(super) fn count(tally: Option<&Tally>, which: impl FnOnce(&Tally) -> &Cell<u64>) {
        if let Some(tally) = tally {
            let counter = which(tally);
            counter.set(counter.get() + 1);
        }
    }

    fn counters(&self) -> Counters {
        Counters {
            commits: self.commits.get(),
            aborts: self.aborts.get(),
            retries: self.retries.get(),
            wakes: self.wakes.get(),
        }
    }
}

/// How the transactions of one name have fared; see [`Named`].
///
/// # Examples
///
/// ```
/// use maypole::stm::{abort, Named};
/// let refused = Named::new("refused");
/// let result: Result<(), &str> = refused.try_atomically(|_| abort("closed"));
/// assert_eq!(result, Err("closed"));
/// assert_eq!(refused.counters().to_string(), "0 commits, 1 aborts, 0 retries, 0 wakes");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Transactions that have committed.
    pub commits: u64,
    /// Transactions that have aborted.
    pub aborts: u64,
    /// How often one of them had to wait for a change.
    pub retries: u64,
    /// How often one that waited was woken, by a change or by the time.
    pub wakes: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} commits, {} aborts, {} retries, {} wakes",
            self.commits, self.aborts, self.retries, self.wakes
        )
    }
}

impl Named {
    /// A name whose counters begin at zero. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let transfer = maypole::stm::Named::new("transfer");
    /// assert_eq!(transfer.name(), "transfer");
    /// ```
    pub fn new(name: impl AsRef<str>) -> Self {
        let tally = Rc::new(Tally {
            name: name.as_ref().to_string(),
            commits: Cell::new(0),
            aborts: Cell::new(0),
            retries: Cell::new(0),
            wakes: Cell::new(0),
        });
        let _ = TALLIES.try_with(|tallies| {
            let mut tallies = tallies.borrow_mut();
            if tallies.len() == tallies.capacity() {
                tallies.retain(|tally| tally.strong_count() > 0);
            }
            tallies.push(Rc::downgrade(&tally));
        });
        Named(tally)
    }

    /// The name. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::stm::Named::new("deposit").name(), "deposit");
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How its transactions have fared so far. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let nothing = maypole::stm::Named::new("nothing");
    /// nothing.atomically(|_| Ok(()));
    /// assert_eq!(nothing.counters().commits, 1);
    /// ```
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }

    /// [`atomically`](super::atomically), counted.
    ///
    /// Parks: while it must retry. A kill ends the wait, with nothing written.
    ///
    /// # Panics
    ///
    /// As [`atomically`](super::atomically).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{Named, TVar};
    /// let (count, variable) = (Named::new("count"), TVar::new(1));
    /// count.atomically(|tx| Ok(variable.update(tx, |n| n + 1)));
    /// assert_eq!((variable.get(), count.counters().commits), (2, 1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn atomically<T>(&self, f: impl FnMut(&Transaction) -> Result<T, Stop>) -> T {
        let Ok(value) = atomically::run(f, Some(&self.0), Location::caller());
        value
    }

    /// [`try_atomically`](super::try_atomically), counted.
    ///
    /// Parks: while it must retry. A kill ends the wait, with nothing written.
    ///
    /// # Errors
    ///
    /// What the transaction aborted with; then nothing was written.
    ///
    /// # Panics
    ///
    /// As [`atomically`](super::atomically).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{abort, Named};
    /// let open = Named::new("open");
    /// assert_eq!(open.try_atomically(|_| abort::<(), _>("locked")), Err("locked"));
    /// assert_eq!(open.counters().aborts, 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_atomically<T, E>(
        &self,
        f: impl FnMut(&Transaction) -> Result<T, Stop<E>>,
    ) -> Result<T, E> {
        atomically::run(f, Some(&self.0), Location::caller())
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named")
            .field(&self.0.name)
            .field(&self.0.counters())
            .finish()
    }
}

/// The counters of all names of this OS thread that are still in use, in the order of their making.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use maypole::stm::{self, Named};
/// let transfer = Named::new("transfer");
/// transfer.atomically(|_| Ok(()));
/// let [(name, counters)] = &stm::counters()[..] else { panic!("there is one") };
/// assert_eq!((name.as_str(), counters.commits), ("transfer", 1));
/// ```
pub fn counters() -> Vec<(String, Counters)> {
    let tallies = TALLIES.try_with(|tallies| tallies.borrow().clone());
    let tallies = tallies.unwrap_or_default().into_iter();
    tallies
        .filter_map(|tally| tally.upgrade())
        .map(|tally| (tally.name.clone(), tally.counters()))
        .collect()
}
