//! `TChan`: a channel without a bound, with as many ends to read from as one likes.
//!
//! ```text
//!   front ──► │ a │ ──► │ b │ ──► │ hole │ ◄── back
//!                         ▲                      │
//!   front of a dup ───────┘          the same ◄──┘
//! ```
//!
//! A chain of variables, as in GHC's stm package: each is a node that holds an item and what follows
//! it, the last is a hole. To write is to fill the hole and to move `back` on; to read is to move
//! `front` on, and to put back is to put a node before it. Every end has a front of its own, so it
//! reads what the others read, and nobody holds a node that no front can come to: such nodes free
//! themselves, with their items. A chain that goes is taken apart node by node, never by recursion.
//!
//! A reader that finds the hole waits for its own front and for the hole, and so is woken by a write
//! at any end and by what is put back at its own. A writer that retries waits for `back`: what it then
//! reads may depend on what others write before it. Reports show the front alone.
use super::transaction::Transaction;
use super::tvar::TVar;
use super::variable::{More, PART, Place};
use super::{Stop, retry};
use crate::task::drop_all_in_turn;
use std::fmt;
use std::panic::Location;

const KIND: &str = "TChan";

/// A channel without a bound: what is written at one end is read, first in, first out. `TChan` of
/// GHC's stm package.
///
/// Every item is read by one reader of this end. [`dup`](Self::dup) and
/// [`clone_chan`](Self::clone_chan) make further ends, and each of them has every item that is
/// written to any: a broadcast. `Clone`, as for all variables, is another handle to the same end; two
/// handles are equal if they are of the same one.
///
/// An item is dropped when no end can read it any more. What leaves the channel is a clone, as the
/// transaction may yet be undone, and as other ends may read the item too.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, TChan};
/// maypole::run(|| {
///     let jobs = TChan::new();
///     let todo = jobs.clone();
///     let worker = maypole::spawn(move || {
///         // Waits until there are two, and takes both or none.
///         atomically(|tx| Ok((todo.read(tx)?, todo.read(tx)?)))
///     });
///     atomically(|tx| Ok(jobs.write(tx, "wash")));
///     maypole::yield_now();
///     atomically(|tx| Ok(jobs.write(tx, "dry")));
///     assert_eq!(worker.join().unwrap(), ("wash", "dry"));
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::stm::TChan<u8>>();
/// ```
pub struct TChan<T: 'static> {
    /// The node that is read next.
    front: TVar<Variable<T>>,
    /// The hole that is filled next.
    back: TVar<Variable<T>>,
}

/// A variable that is a node of the chain.
type Variable<T> = TVar<Node<T>>;

/// What a node holds: an item, or nothing yet.
struct Node<T: 'static>(Option<Link<T>>);

/// An item, and the node after it.
struct Link<T: 'static> {
    item: T,
    next: Variable<T>,
}

impl<T: 'static> TChan<T> {
    /// A channel with one end. `newTChan` and `newTChanIO` of GHC's stm package.
    ///
    /// Parks: no. It may be made inside of a transaction; it is not unmade if that is undone.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::<u8>::new();
    /// assert!(atomically(|tx| Ok(chan.is_empty(tx))));
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        Self::made(None, Location::caller())
    }

    /// A channel with a name for the reports, which its other ends have too.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let orders = TChan::named("orders");
    /// atomically(|tx| Ok(orders.write(tx, "tea")));
    /// assert_eq!(atomically(|tx| orders.read(tx)), "tea");
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>) -> Self {
        Self::made(Some(name.as_ref()), Location::caller())
    }

    /// A channel with an end that is only written to. `newBroadcastTChan` and
    /// `newBroadcastTChanIO` of GHC's stm package.
    ///
    /// To read what is written, [`dup`](Self::dup) it first. It keeps nothing itself, so what was
    /// read by all dups, or written when there were none, is gone; an end by [`new`](Self::new) would
    /// keep it all.
    ///
    /// Parks: no. It may be made inside of a transaction; it is not unmade if that is undone.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let news = TChan::new_broadcast();
    /// atomically(|tx| Ok(news.write(tx, "nobody hears this")));
    /// let (ada, grace) = atomically(|tx| Ok((news.dup(tx), news.dup(tx))));
    /// atomically(|tx| Ok(news.write(tx, "rain")));
    /// assert_eq!(atomically(|tx| Ok((ada.read(tx)?, grace.read(tx)?))), ("rain", "rain"));
    /// assert_eq!(atomically(|tx| Ok(news.try_read(tx))), None);
    /// ```
    #[track_caller]
    pub fn new_broadcast() -> Self {
        Self::made_for_dups(None, Location::caller())
    }

    /// The same with a name for the reports, which its dups have too.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let news = TChan::named_broadcast("news");
    /// let ada = atomically(|tx| Ok(news.dup(tx)));
    /// atomically(|tx| Ok(news.write(tx, "rain")));
    /// assert_eq!(atomically(|tx| ada.read(tx)), "rain");
    /// ```
    #[track_caller]
    pub fn named_broadcast(name: impl AsRef<str>) -> Self {
        Self::made_for_dups(Some(name.as_ref()), Location::caller())
    }

    fn made(name: Option<&str>, at: Place) -> Self {
        let hole = node(None);
        let front = end(hole.clone(), show, name, at);
        Self::with_front(front, hole, at)
    }

    fn made_for_dups(name: Option<&str>, at: Place) -> Self {
        // A hole that nobody fills.
        let front = end(node(None), show_write_only, name, at);
        Self::with_front(front, node(None), at)
    }

    fn with_front(front: TVar<Variable<T>>, hole: Variable<T>, at: Place) -> Self {
        let back = TVar::made_as(KIND, hole, None, None, at);
        front.stands_for(&back);
        TChan { front, back }
    }

    /// Another end, which has what is written from now on, to any end. `dupTChan` of GHC's stm
    /// package.
    ///
    /// Parks: no. It is not unmade if the transaction is undone, but then of no use: what it reads
    /// may never come.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::new();
    /// atomically(|tx| Ok(chan.write(tx, 1)));
    /// let other = atomically(|tx| Ok(chan.dup(tx)));
    /// atomically(|tx| Ok(other.write(tx, 2)));
    /// assert_eq!(atomically(|tx| Ok((chan.read(tx)?, chan.read(tx)?))), (1, 2));
    /// assert_eq!(atomically(|tx| other.read(tx)), 2);
    /// ```
    #[track_caller]
    pub fn dup(&self, tx: &Transaction) -> Self {
        self.beside(self.back.read(tx), Location::caller())
    }

    /// Another end, which has what there is to be read at this one, and what is written from now
    /// on, to any end. `cloneTChan` of GHC's stm package.
    ///
    /// Parks: no. It is not unmade if the transaction is undone, but then of no use: what it reads
    /// may never come.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::new();
    /// atomically(|tx| Ok(chan.write(tx, 'a')));
    /// let other = atomically(|tx| Ok(chan.clone_chan(tx)));
    /// atomically(|tx| Ok(chan.write(tx, 'b')));
    /// let both = |end: &TChan<char>| atomically(|tx| Ok((end.read(tx)?, end.read(tx)?)));
    /// assert_eq!((both(&chan), both(&other)), (('a', 'b'), ('a', 'b')));
    /// ```
    #[track_caller]
    pub fn clone_chan(&self, tx: &Transaction) -> Self {
        self.beside(self.front.read(tx), Location::caller())
    }

    fn beside(&self, first: Variable<T>, at: Place) -> Self {
        TChan {
            front: end(first, show, self.front.name(), at),
            back: self.back.clone(),
        }
    }

    // ── writing ──────────────────────────────────────────────────────────────────────────────

    /// Writes an item, which every end has. `writeTChan` of GHC's stm package.
    ///
    /// Parks: no: there is always room.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::new();
    /// atomically(|tx| {
    ///     chan.write(tx, "knock");
    ///     chan.write(tx, "knock");
    ///     Ok(())
    /// });
    /// assert_eq!(atomically(|tx| Ok((chan.read(tx)?, chan.read(tx)?))), ("knock", "knock"));
    /// ```
    pub fn write(&self, tx: &Transaction, item: T) {
        let hole = self.back.read(tx);
        let next = node(None);
        let link = Link {
            item,
            next: next.clone(),
        };
        hole.write(tx, Node(Some(link)));
        self.back.write(tx, next);
    }

    /// Puts an item back, where this end reads it next; other ends do not have it. `unGetTChan` of
    /// GHC's stm package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let tokens = TChan::new();
    /// atomically(|tx| Ok(tokens.write(tx, "+")));
    /// let token = atomically(|tx| tokens.read(tx));
    /// atomically(|tx| Ok(tokens.unget(tx, token)));
    /// assert_eq!(atomically(|tx| tokens.read(tx)), "+");
    /// ```
    pub fn unget(&self, tx: &Transaction, item: T) {
        let next = self.front.read(tx);
        let first = node(Some(Link { item, next }));
        self.front.write(tx, first);
    }

    // ── reading ──────────────────────────────────────────────────────────────────────────────

    /// Takes the next item from this end; retries while there is none. `readTChan` of GHC's stm
    /// package.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when the retry comes out of its closure.
    /// A kill ends that wait, and nothing was taken.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] if there is no item.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let (urgent, other) = (TChan::new(), TChan::new());
    /// atomically(|tx| Ok(other.write(tx, "post")));
    /// let next = atomically(|tx| tx.or_else(|tx| urgent.read(tx), |tx| other.read(tx)));
    /// assert_eq!(next, "post");
    /// ```
    #[track_caller]
    pub fn read<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.try_read(tx) {
            Some(item) => Ok(item),
            None => retry(),
        }
    }

    /// Takes the next item from this end; `None` if there is none. `tryReadTChan` of GHC's stm
    /// package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::new();
    /// atomically(|tx| Ok(chan.write(tx, 1)));
    /// assert_eq!(atomically(|tx| Ok((chan.try_read(tx), chan.try_read(tx)))), (Some(1), None));
    /// ```
    pub fn try_read(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        let first = self.front.read(tx);
        let (item, next) = first.with(tx, |node| {
            let Link { item, next } = node.0.as_ref()?;
            Some((item.clone(), next.clone()))
        })?;
        self.front.write(tx, next);
        Some(item)
    }

    /// A clone of the next item, which stays; retries while there is none. `peekTChan` of GHC's stm
    /// package.
    ///
    /// Parks: no; [`atomically`](super::atomically) does, when the retry comes out of its closure.
    /// A kill ends that wait.
    ///
    /// # Errors
    ///
    /// [`Stop::Retry`] if there is no item.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::new();
    /// atomically(|tx| Ok(chan.write(tx, 1)));
    /// assert_eq!(atomically(|tx| Ok((chan.peek(tx)?, chan.read(tx)?))), (1, 1));
    /// ```
    #[track_caller]
    pub fn peek<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>
    where
        T: Clone,
    {
        match self.try_peek(tx) {
            Some(item) => Ok(item),
            None => retry(),
        }
    }

    /// A clone of the next item, which stays; `None` if there is none. `tryPeekTChan` of GHC's stm
    /// package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::<u8>::new();
    /// assert_eq!(atomically(|tx| Ok(chan.try_peek(tx))), None);
    /// ```
    pub fn try_peek(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        let first = self.front.read(tx);
        first.with(tx, |node| Some(node.0.as_ref()?.item.clone()))
    }

    /// Whether there is nothing to be read at this end. `isEmptyTChan` of GHC's stm package.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::new();
    /// assert!(atomically(|tx| Ok(chan.is_empty(tx))));
    /// atomically(|tx| Ok(chan.write(tx, 1)));
    /// assert!(!atomically(|tx| Ok(chan.is_empty(tx))));
    /// ```
    pub fn is_empty(&self, tx: &Transaction) -> bool {
        let first = self.front.read(tx);
        first.with(tx, |node| node.0.is_none())
    }

    /// Whether both are handles to the same end of the same channel. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TChan};
    /// let chan = TChan::<u8>::new();
    /// assert!(chan.same_end(&chan.clone()));
    /// assert!(!chan.same_end(&atomically(|tx| Ok(chan.dup(tx)))));
    /// ```
    pub fn same_end(&self, other: &Self) -> bool {
        self.front.same_variable(&other.front)
    }
}

fn node<T: 'static>(link: Option<Link<T>>) -> Variable<T> {
    TVar::made_as(PART, Node(link), None, None, Location::caller())
}

/// The front of an end.
fn end<T: 'static>(
    first: Variable<T>,
    show: fn(&Variable<T>) -> String,
    name: Option<&str>,
    at: Place,
) -> TVar<Variable<T>> {
    TVar::made_as(KIND, first, Some(show), name.map(More::named), at)
}

fn show<T: 'static>(front: &Variable<T>) -> String {
    let next = |node: &Variable<T>| node.look(|node| Some(node.0.as_ref()?.next.clone()))?;
    let filled = std::iter::successors(next(front), next);
    match filled.count() {
        0 => "empty".to_string(),
        1 => "holds 1 item".to_string(),
        items => format!("holds {items} items"),
    }
}

fn show_write_only<T: 'static>(front: &Variable<T>) -> String {
    match &*show(front) {
        "empty" => "only what dup gives can be read".to_string(),
        put_back => put_back.to_string(),
    }
}

impl<T: 'static> Default for Node<T> {
    fn default() -> Self {
        Node(None)
    }
}

/// A chain can be long, and its items run code of the user: one after another, with no recursion, and
/// all of them though one panics.
impl<T: 'static> Drop for Node<T> {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            drop_all_in_turn(Rest(Some(link)));
        }
    }
}

/// The items of a chain that nobody else can come to.
struct Rest<T: 'static>(Option<Link<T>>);

impl<T: 'static> Iterator for Rest<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let Link { item, next } = self.0.take()?;
        self.0 = next.take_if_last().and_then(|mut node| node.0.take());
        Some(item)
    }
}

impl<T: 'static> Clone for TChan<T> {
    fn clone(&self) -> Self {
        TChan {
            front: self.front.clone(),
            back: self.back.clone(),
        }
    }
}

/// Whether both are handles to the same end, as in Haskell.
impl<T: 'static> PartialEq for TChan<T> {
    fn eq(&self, other: &Self) -> bool {
        self.same_end(other)
    }
}

impl<T: 'static> Eq for TChan<T> {}

impl<T: 'static> Default for TChan<T> {
    #[track_caller]
    fn default() -> Self {
        TChan::new()
    }
}

impl<T: 'static> fmt::Debug for TChan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TChan");
        if let Some(name) = self.front.name() {
            shown.field("name", &name);
        }
        shown.finish_non_exhaustive()
    }
}
