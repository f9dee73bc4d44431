//! `TBQueue`: a bounded queue for transactions.
use super::deque::Deque;
use super::{Stop, Transaction, retry};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

/// A queue of at most so many items, for transactions. Haskell's `TBQueue`.
///
/// Whoever writes to a full one waits for room, whoever reads from an empty one for an item; a
/// transaction may do several of both, with several queues, or none of it.
///
/// A clone is another handle to the same queue. It is one variable, which keeps how to undo each
/// operation: each takes constant time. Reading clones the item (use `Rc` for what is costly to
/// clone), since a transaction that is undone must give it back.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, TBQueue};
/// maypole::run(|| {
///     let queue = TBQueue::new(8);
///     let feed = queue.clone();
///     maypole::spawn(move || {
///         for n in 1..=100 {
///             atomically(|tx| feed.write(tx, n));
///         }
///     });
///     let sum: u32 = (0..100).map(|_| atomically(|tx| queue.read(tx))).sum();
///     assert_eq!(sum, 5050);
/// });
/// ```
pub struct TBQueue<T: 'static>(Deque<T>);

impl<T: 'static> TBQueue<T> {
    /// An empty queue that holds at most `capacity` items. With a capacity of 0 nothing can ever be
    /// written to it.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue = TBQueue::new(2);
    /// atomically(|tx| {
    ///     queue.write(tx, "first")?;
    ///     queue.write(tx, "second")
    /// });
    /// assert!(atomically(|tx| Ok(queue.is_full(tx))));
    /// ```
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        TBQueue(Deque::new("TBQueue", Some(capacity), Location::caller()))
    }

    /// Adds an item at the end; retries while the queue is full.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when a retry comes out of its closure.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] when the queue is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue = TBQueue::new(1);
    /// atomically(|tx| queue.write(tx, 7));
    /// assert_eq!(atomically(|tx| queue.read(tx)), 7);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write<E>(&self, tx: &Transaction, value: T) -> Result<(), Stop<E>> {
        if self.is_full(tx) {
            tx.leave(value);
            return retry();
        }
        self.0.push_back(tx, value);
        Ok(())
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
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue = TBQueue::new(8);
    /// let both = atomically(|tx| {
    ///     queue.write(tx, "a")?;
    ///     queue.write(tx, "b")?;
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
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue: TBQueue<u8> = TBQueue::new(8);
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
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue = TBQueue::new(8);
    /// let all = atomically(|tx| {
    ///     queue.write(tx, 1)?;
    ///     queue.write(tx, 2)?;
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
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue = TBQueue::new(8);
    /// let twice = atomically(|tx| {
    ///     queue.write(tx, 7)?;
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
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue: TBQueue<u8> = TBQueue::new(8);
    /// assert_eq!(atomically(|tx| Ok(queue.try_peek(tx))), None);
    /// ```
    #[inline]
    pub fn try_peek(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        self.0.front(tx)
    }

    /// Puts an item back at the front; retries while the queue is full.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when a retry comes out of its closure.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] when the queue is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue = TBQueue::new(8);
    /// atomically(|tx| {
    ///     queue.write(tx, 2)?;
    ///     queue.unget(tx, 1)
    /// });
    /// assert_eq!(atomically(|tx| Ok(queue.flush(tx))), [1, 2]);
    /// ```
    #[track_caller]
    pub fn unget<E>(&self, tx: &Transaction, value: T) -> Result<(), Stop<E>> {
        if self.is_full(tx) {
            tx.leave(value);
            return retry();
        }
        self.0.push_front(tx, value);
        Ok(())
    }

    /// Whether it holds nothing. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue: TBQueue<u8> = TBQueue::new(8);
    /// assert!(atomically(|tx| Ok(queue.is_empty(tx))));
    /// ```
    #[inline]
    pub fn is_empty(&self, tx: &Transaction) -> bool {
        self.0.len(tx) == 0
    }

    /// How many items it holds. Haskell's `lengthTBQueue`. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue: TBQueue<u8> = TBQueue::new(8);
    /// assert_eq!(atomically(|tx| Ok(queue.len(tx))), 0);
    /// ```
    pub fn len(&self, tx: &Transaction) -> usize {
        self.0.len(tx)
    }

    /// Whether nothing more can be written. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TBQueue};
    /// let queue: TBQueue<u8> = TBQueue::new(8);
    /// assert!(!atomically(|tx| Ok(queue.is_full(tx))));
    /// ```
    #[inline]
    pub fn is_full(&self, tx: &Transaction) -> bool {
        self.0.len(tx) >= self.capacity()
    }

    /// How many items it may hold. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::stm::TBQueue::<u8>::new(8).capacity(), 8);
    /// ```
    pub fn capacity(&self) -> usize {
        self.0.capacity().unwrap_or(usize::MAX)
    }

    /// Whether both are handles to the same queue. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::TBQueue;
    /// let queue: TBQueue<u8> = TBQueue::new(8);
    /// assert!(queue.same_queue(&queue.clone()));
    /// ```
    pub fn same_queue(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

impl<T: 'static> Clone for TBQueue<T> {
    fn clone(&self) -> Self {
        TBQueue(self.0.clone())
    }
}

/// Whether both are handles to the same queue, as in Haskell.
impl<T: 'static> PartialEq for TBQueue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.same_queue(other)
    }
}

impl<T: 'static> Eq for TBQueue<T> {}

impl<T: 'static> fmt::Debug for TBQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TBQueue").finish_non_exhaustive()
    }
}

impl<T: 'static> UnwindSafe for TBQueue<T> {}
impl<T: 'static> RefUnwindSafe for TBQueue<T> {}
