//! `TArray`: a fixed number of variables, by index.
//!
//! Each element is a variable of its own, as in GHC's stm package: a transaction waits for those it
//! has read and not for the others, and to write one keeps one value for the undoing.
use super::transaction::Transaction;
use super::tvar::TVar;
use super::variable::{More, Place};
use std::fmt;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

const KIND: &str = "TArray";

/// A fixed number of variables, by index from 0. `TArray` of GHC's stm package, with what its
/// `MArray` instance offers.
///
/// A clone is another handle to the same array; two handles are equal if they are of the same one.
/// Nothing is asked of the elements: [`with`](Self::with) reads what cannot be cloned.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, check, TArray};
/// let seats = TArray::new(3, false);
/// let book = |wanted: usize| {
///     atomically(|tx| {
///         let free: Vec<usize> = seats.bounds().filter(|seat| !seats.read(tx, *seat)).collect();
///         check(free.len() >= wanted)?; // all of them or none
///         free[..wanted].iter().for_each(|seat| seats.write(tx, *seat, true));
///         Ok(free[..wanted].to_vec())
///     })
/// };
/// assert_eq!(book(2), [0, 1]);
/// assert_eq!(book(1), [2]);
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::stm::TArray<u8>>();
/// ```
pub struct TArray<T: 'static>(Rc<[TVar<T>]>);

impl<T: 'static> TArray<T> {
    /// An array of `len` times the same value. `newArray` of GHC's `MArray`.
    ///
    /// Parks: no. It may be made inside of a transaction; it is not unmade if that is undone.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let balances = TArray::new(3, 100);
    /// assert_eq!(atomically(|tx| Ok(balances.elems(tx))), [100, 100, 100]);
    /// ```
    #[track_caller]
    pub fn new(len: usize, value: T) -> Self
    where
        T: Clone,
    {
        Self::made(std::iter::repeat_n(value, len), Location::caller())
    }

    /// An array of `len` elements, each what `f` makes of its index. `newGenArray` of GHC's
    /// `MArray`.
    ///
    /// Parks: no, unless `f` does.
    ///
    /// # Panics
    ///
    /// When `f` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let squares = TArray::from_fn(4, |n| n * n);
    /// assert_eq!(atomically(|tx| Ok(squares.elems(tx))), [0, 1, 4, 9]);
    /// ```
    #[track_caller]
    pub fn from_fn(len: usize, f: impl FnMut(usize) -> T) -> Self {
        Self::made((0..len).map(f), Location::caller())
    }

    /// An array with a name for the reports, which call its elements `name[0]`, `name[1]` and so on.
    ///
    /// Parks: no, unless `values` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let balances = TArray::named("balances", [50, 80]);
    /// assert_eq!(atomically(|tx| Ok(balances.read(tx, 1))), 80);
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, values: impl IntoIterator<Item = T>) -> Self {
        let (name, at) = (name.as_ref(), Location::caller());
        let element = |(index, value)| {
            let more = More::named(format!("{name}[{index}]"));
            TVar::made_as(KIND, value, None, Some(more), at)
        };
        TArray(values.into_iter().enumerate().map(element).collect())
    }

    fn made(values: impl Iterator<Item = T>, at: Place) -> Self {
        TArray(
            values
                .map(|value| TVar::made_as(KIND, value, None, None, at))
                .collect(),
        )
    }

    // ── the array ────────────────────────────────────────────────────────────────────────────

    /// How many elements it has, once and for all. `getNumElements` of GHC's `MArray`. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::stm::TArray::new(5, ' ').len(), 5);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no elements. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(maypole::stm::TArray::new(0, ' ').is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its indices, from 0 to the one before [`len`](Self::len). `getBounds` of GHC's `MArray`.
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let counts = TArray::new(3, 7);
    /// assert_eq!(counts.bounds(), 0..3);
    /// let sum: i32 = atomically(|tx| Ok(counts.bounds().map(|n| counts.read(tx, n)).sum()));
    /// assert_eq!(sum, 21);
    /// ```
    pub fn bounds(&self) -> Range<usize> {
        0..self.len()
    }

    /// The variable that an element is, for parts that work on variables.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When there is no such element, with `index` and the length, as `Vec` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray, Transaction, TVar};
    /// fn deposit(tx: &Transaction, to: &TVar<i64>, amount: i64) {
    ///     to.update(tx, |balance| balance + amount);
    /// }
    /// let accounts = TArray::new(10, 100);
    /// atomically(|tx| Ok(deposit(tx, accounts.variable(3), 50)));
    /// assert_eq!(accounts.variable(3).get(), 150);
    /// ```
    #[inline]
    #[track_caller]
    pub fn variable(&self, index: usize) -> &TVar<T> {
        &self.0[index]
    }

    /// Whether both are handles to the same array. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = maypole::stm::TArray::new(2, 0);
    /// assert!(array.same_array(&array.clone()));
    /// assert!(!array.same_array(&maypole::stm::TArray::new(2, 0)));
    /// ```
    pub fn same_array(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    // ── one element ──────────────────────────────────────────────────────────────────────────

    /// A clone of an element. `readArray` of GHC's `MArray`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When there is no such element, with `index` and the length, as `Vec` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let names = TArray::from_iter(["Ada", "Grace"]);
    /// assert_eq!(atomically(|tx| Ok(names.read(tx, 1))), "Grace");
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self, tx: &Transaction, index: usize) -> T
    where
        T: Clone,
    {
        self.variable(index).read(tx)
    }

    /// Shows an element to `f`, which may borrow from it no longer than it runs.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When there is no such element, with `index` and the length, as `Vec` does. When `f` writes to
    /// this very element.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let lines = TArray::from_fn(2, |n| vec!["Ada"; n]);
    /// assert_eq!(atomically(|tx| Ok(lines.with(tx, 1, Vec::len))), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn with<R>(&self, tx: &Transaction, index: usize, f: impl FnOnce(&T) -> R) -> R {
        self.variable(index).with(tx, f)
    }

    /// Replaces an element. `writeArray` of GHC's `MArray`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When there is no such element, with `index` and the length, as `Vec` does. While the element
    /// is being read ([`with`](Self::with)).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let board = TArray::new(9, ' ');
    /// atomically(|tx| Ok(board.write(tx, 4, 'x')));
    /// assert_eq!(atomically(|tx| Ok(board.read(tx, 4))), 'x');
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self, tx: &Transaction, index: usize, value: T) {
        self.variable(index).write(tx, value);
    }

    /// Replaces an element by what `f` makes of it. `modifyArray'` of GHC's `MArray`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When there is no such element, with `index` and the length, as `Vec` does. While the element
    /// is being read ([`with`](Self::with)), by `f` too.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let votes = TArray::new(2, 0);
    /// atomically(|tx| Ok(votes.update(tx, 1, |votes| votes + 1)));
    /// assert_eq!(atomically(|tx| Ok(votes.elems(tx))), [0, 1]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn update(&self, tx: &Transaction, index: usize, f: impl FnOnce(&T) -> T) {
        self.variable(index).update(tx, f);
    }

    /// Replaces an element and gives back the one before.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When there is no such element, with `index` and the length, as `Vec` does. While the element
    /// is being read ([`with`](Self::with)).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let shifts = TArray::from_iter(["Ada", "Grace"]);
    /// assert_eq!(atomically(|tx| Ok(shifts.swap(tx, 0, "Barbara"))), "Ada");
    /// ```
    #[inline]
    #[track_caller]
    pub fn swap(&self, tx: &Transaction, index: usize, value: T) -> T
    where
        T: Clone,
    {
        self.variable(index).swap(tx, value)
    }

    // ── all elements ─────────────────────────────────────────────────────────────────────────

    /// Clones of all elements, in order. `getElems` of GHC's `MArray`.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let accounts = TArray::new(10, 100);
    /// let total: i64 = atomically(|tx| Ok(accounts.elems(tx))).iter().sum();
    /// assert_eq!(total, 1000);
    /// ```
    pub fn elems(&self, tx: &Transaction) -> Vec<T>
    where
        T: Clone,
    {
        self.0.iter().map(|variable| variable.read(tx)).collect()
    }

    /// Clones of all elements with their indices, in order. `getAssocs` of GHC's `MArray`.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let names = TArray::from_iter(["Ada", "Grace"]);
    /// assert_eq!(atomically(|tx| Ok(names.assocs(tx))), [(0, "Ada"), (1, "Grace")]);
    /// ```
    pub fn assocs(&self, tx: &Transaction) -> Vec<(usize, T)>
    where
        T: Clone,
    {
        self.elems(tx).into_iter().enumerate().collect()
    }

    /// A new array of what `f` makes of each element. `mapArray` of GHC's `MArray`.
    ///
    /// Parks: no. The new array is not unmade if the transaction is undone.
    ///
    /// # Panics
    ///
    /// When `f` writes to the element that it is shown.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TArray};
    /// let words = TArray::from_iter(["may", "pole"]);
    /// let lengths = atomically(|tx| Ok(words.map(tx, |word| word.len())));
    /// assert_eq!(atomically(|tx| Ok(lengths.elems(tx))), [3, 4]);
    /// ```
    #[track_caller]
    pub fn map<U: 'static>(&self, tx: &Transaction, mut f: impl FnMut(&T) -> U) -> TArray<U> {
        let values = self.0.iter().map(|variable| variable.with(tx, &mut f));
        TArray::made(values, Location::caller())
    }
}

impl<T: 'static> Clone for TArray<T> {
    fn clone(&self) -> Self {
        TArray(self.0.clone())
    }
}

/// Whether both are handles to the same array, as in Haskell.
impl<T: 'static> PartialEq for TArray<T> {
    fn eq(&self, other: &Self) -> bool {
        self.same_array(other)
    }
}

impl<T: 'static> Eq for TArray<T> {}

/// `newListArray` of GHC's `MArray`.
impl<T: 'static> FromIterator<T> for TArray<T> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::made(values.into_iter(), Location::caller())
    }
}

/// Shows the values as they are at the moment, also inside of a transaction.
impl<T: fmt::Debug + 'static> fmt::Debug for TArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TArray").field(&self.0).finish()
    }
}
