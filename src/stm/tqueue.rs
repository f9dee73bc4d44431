//! `TQueue`: an unbounded queue for transactions.
use super::deque::Deque;
use super::{Stop, Transaction, retry};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

/// An unbounded queue for transactions. Haskell's `TQueue`.
///
/// Whoever reads from an empty one waits for an item; a transaction may do several operations, with
/// several queues, or none of them.
///
/// A clone is another handle to the same queue. It is one variable, which keeps how to undo each
/// operation: each takes constant time. Reading clones the item (use `Rc` for what is costly to
/// clone), since a transaction that is undone must give it back.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, TQueue};
/// maypole::run(|| {
///     let queue = TQueue::new();
///     let feed = queue.clone();
///     maypole::spawn(move || {
///         for n in 1..=100 {
///             atomically(|tx| Ok(feed.write(tx, n)));
///         }
///     });
///     let sum: u32 = (0..100).map(|_| atomically(|tx| queue.read(tx))).sum();
///     assert_eq!(sum, 5050);
/// });
/// ```
pub struct TQueue<T: 'static>(Deque<T>);

impl<T: 'static> TQueue<T> {
    /// An empty queue.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue: TQueue<u8> = TQueue::new();
    /// assert!(atomically(|tx| Ok(queue.is_empty(tx))));
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        TQueue(Deque::new("TQueue", None, Location::caller()))
    }

    /// Adds an item at the end.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue = TQueue::new();
    /// atomically(|tx| Ok(queue.write(tx, 7)));
    /// assert_eq!(atomically(|tx| queue.read(tx)), 7);
    /// ```
    #[inline]
    pub fn write(&self, tx: &Transaction, value: T) {
        self.0.push_back(tx, value);
    }

    /// Takes the first item; retries while there is none.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when a retry comes out of its closure.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] when the queue is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue = TQueue::new();
    /// let both = atomically(|tx| {
    ///     queue.write(tx, "a");
    ///     queue.write(tx, "b");
    ///     Ok((queue.read(tx)?, queue.read(tx)?))
    /// });
    /// assert_eq!(both, ("a", "b"));
    /// ```
    #[inline]
    #[track_caller]
    pub fn read<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.0.pop_front(tx) {
            Some(value) => Ok(value),
            None => retry(),
        }
    }

    /// Takes the first item, if there is one.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue: TQueue<u8> = TQueue::new();
    /// assert_eq!(atomically(|tx| Ok(queue.try_read(tx))), None);
    /// ```
    #[inline]
    pub fn try_read(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        self.0.pop_front(tx)
    }

    /// Takes all items.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue = TQueue::new();
    /// let all = atomically(|tx| {
    ///     queue.write(tx, 1);
    ///     queue.write(tx, 2);
    ///     Ok(queue.flush(tx))
    /// });
    /// assert_eq!(all, [1, 2]);
    /// ```
    pub fn flush(&self, tx: &Transaction) -> Vec<T>
    where
        T: Clone,
    {
        self.0.take_all(tx)
    }

    /// A clone of the first item, which stays; retries while there is none.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when a retry comes out of its closure.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] when the queue is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue = TQueue::new();
    /// let twice = atomically(|tx| {
    ///     queue.write(tx, 7);
    ///     Ok((queue.peek(tx)?, queue.peek(tx)?))
    /// });
    /// assert_eq!(twice, (7, 7));
    /// ```
    #[inline]
    #[track_caller]
    pub fn peek<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.0.front(tx) {
            Some(value) => Ok(value),
            None => retry(),
        }
    }

    /// A clone of the first item, which stays, if there is one.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue: TQueue<u8> = TQueue::new();
    /// assert_eq!(atomically(|tx| Ok(queue.try_peek(tx))), None);
    /// ```
    #[inline]
    pub fn try_peek(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        self.0.front(tx)
    }

    /// Puts an item back at the front.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue = TQueue::new();
    /// atomically(|tx| {
    ///     queue.write(tx, 2);
    ///     queue.unget(tx, 1);
    ///     Ok(())
    /// });
    /// assert_eq!(atomically(|tx| Ok(queue.flush(tx))), [1, 2]);
    /// ```
    pub fn unget(&self, tx: &Transaction, value: T) {
        self.0.push_front(tx, value);
    }

    /// Whether it holds nothing. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TQueue};
    /// let queue: TQueue<u8> = TQueue::new();
    /// assert!(atomically(|tx| Ok(queue.is_empty(tx))));
    /// ```
    #[inline]
    pub fn is_empty(&self, tx: &Transaction) -> bool {
        self.0.len(tx) == 0
    }

    /// Whether both are handles to the same queue. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::TQueue;
    /// let queue: TQueue<u8> = TQueue::new();
    /// assert!(queue.same_queue(&queue.clone()));
    /// ```
    pub fn same_queue(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

impl<T: 'static> Clone for TQueue<T> {
    fn clone(&self) -> Self {
        TQueue(self.0.clone())
    }
}

impl<T: 'static> Default for TQueue<T> {
    #[track_caller]
    fn default() -> Self {
        TQueue::new()
    }
}

/// Whether both are handles to the same queue, as in Haskell.
impl<T: 'static> PartialEq for TQueue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.same_queue(other)
    }
}

impl<T: 'static> Eq for TQueue<T> {}

impl<T: 'static> fmt::Debug for TQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TQueue").finish_non_exhaustive()
    }
}

impl<T: 'static> UnwindSafe for TQueue<T> {}
impl<T: 'static> RefUnwindSafe for TQueue<T> {}
