//! The transaction: what it has touched, and how it is undone in whole or in part.
//!
//! ```text
//!   moments  ──┬───────────────┬──────────────┬───────────────────►
//!            start          level of        level of             (one clock for all)
//!                           an arm          its own arm
//!
//!   read_at  < start    not read yet: log it
//!   saved_at < start    not written yet: keep the value beside, log it
//!   saved_at < level    written, but before this arm: keep the value in the arm's own list
//!   otherwise           written in this arm: just write
//! ```
//!
//! An arm that fails gives back what it kept; one that succeeds leaves what it kept to the arm
//! around it, whose level is older, so that every comparison goes on to hold.
use super::line::Line;
use super::variable::{AnyVariable, Core, Place, Slot, Variable};
use crate::coroutine::{Extent, Home};
use crate::scheduler;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::needs_drop;
use std::rc::Rc;
use std::time::Instant;

/// The moment of a transaction that is over: nothing is ever read or saved so late.
pub(super) const OVER: u64 = u64::MAX;

thread_local! {
    /// The transaction of this OS thread: at most one is under way, so its lists are used again.
    pub(super) static OURS: Home<Transaction> = const { Home::new(Transaction::new()) };
    static SWEEPER: Sweeper = const { Sweeper };
}

/// Frees the lists when the OS thread ends.
struct Sweeper;

impl Drop for Sweeper {
    fn drop(&mut self) {
        let tx = Home::lend(&OURS);
        drop(tx.touched.take());
        drop(tx.arms.take());
        drop(tx.left_over.take());
        drop(tx.hooks.take());
    }
}

/// Whoever makes a variable sees to it that the lists are freed.
#[inline]
pub(super) fn sweep_at_the_end() {
    let _ = SWEEPER.try_with(|_| ());
}

/// A transaction that is under way; [`atomically`](super::atomically) lends it to its closure, and
/// every access to a variable asks for it.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, check, Stop, Transaction, TVar};
/// // A part of a transaction: it composes, whatever the whole may fail with.
/// fn withdraw<E>(tx: &Transaction, from: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
///     check(from.read(tx) >= amount)?;
///     from.update(tx, |balance| balance - amount);
///     Ok(())
/// }
/// let account = TVar::new(100);
/// atomically(|tx| withdraw(tx, &account, 30));
/// assert_eq!(account.get(), 70);
/// ```
///
/// Without one a variable cannot be read in a transaction, and it stays in its closure:
///
/// ```compile_fail
/// let account = maypole::stm::TVar::new(100);
/// account.read(); // no transaction: use `get`, or wrap it in `atomically`
/// ```
///
/// ```compile_fail
/// use maypole::stm::{atomically, Transaction};
/// let mut kept: Option<&Transaction> = None;
/// atomically(|tx| Ok(kept = Some(tx)));
/// ```
pub struct Transaction {
    /// The moment now.
    pub(super) clock: Cell<u64>,
    /// When it began.
    pub(super) start: Cell<u64>,
    /// When the innermost arm began.
    pub(super) level: Cell<u64>,
    /// When the latest began that read what it had written itself.
    pub(super) read_own_at: Cell<u64>,
    /// Whether somebody may wait for what it has written.
    pub(super) awaited: Cell<bool>,
    /// What there is to do at its end besides forgetting what it has touched.
    pub(super) owes: Cell<Owes>,
    /// The variables it has read or written.
    pub(super) touched: RefCell<Vec<Rc<AnyVariable>>>,
    /// How to undo what was written inside of arms.
    pub(super) arms: RefCell<Vec<Undo>>,
    pub(super) hooks: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// What must be dropped when it is over.
    pub(super) left_over: RefCell<Vec<Box<dyn Any>>>,
    /// Lines in which it stands for want of units.
    pub(super) lines: RefCell<Vec<Rc<Line>>>,
    /// The name of its call, if that has stood in line before; else 0.
    pub(super) call: Cell<u64>,
    /// Where its call stands up to now.
    pub(super) places: RefCell<Vec<Rc<Line>>>,
    /// Where it runs, if that may be the stack of a generator.
    pub(super) extent: Cell<Option<Extent>>,
    /// When those began that were undone while a frame of theirs looked at a value.
    pub(super) looking: RefCell<Vec<u64>>,
    /// What time it is for it, if it has asked, and when it began.
    pub(super) now: Cell<Option<(u64, Instant)>>,
    /// Where the latest began that was undone before its end.
    pub(super) undone: Cell<Option<Place>>,
}

/// How to undo the first write of an arm to one variable.
pub(super) enum Undo {
    /// Nobody had written to it before.
    First(Rc<AnyVariable>),
    Again(Box<dyn Again>),
}

/// A write to a variable that was written to before the arm began.
pub(super) trait Again {
    /// Puts back what the arm found.
    fn undo(self: Box<Self>, tx: &Transaction);
}

impl Transaction {
    const fn new() -> Transaction {
        Transaction {
            clock: Cell::new(0),
            start: Cell::new(OVER),
            level: Cell::new(OVER),
            read_own_at: Cell::new(0),
            awaited: Cell::new(false),
            owes: Cell::new(Owes::Nothing),
            touched: RefCell::new(Vec::new()),
            arms: RefCell::new(Vec::new()),
            hooks: RefCell::new(Vec::new()),
            left_over: RefCell::new(Vec::new()),
            lines: RefCell::new(Vec::new()),
            call: Cell::new(0),
            places: RefCell::new(Vec::new()),
            extent: Cell::new(None),
            looking: RefCell::new(Vec::new()),
            now: Cell::new(None),
            undone: Cell::new(None),
        }
    }

    /// The next moment.
    #[inline(always)]
    pub(super) fn tick(&self) -> u64 {
        let now = self.clock.get() + 1;
        self.clock.set(now);
        now
    }

    /// The time, which stands still for a transaction.
    fn now(&self) -> Instant {
        match self.now.get() {
            Some((start, now)) if start == self.start.get() => now,
            _ => {
                let now = scheduler::now();
                self.now.set(Some((self.start.get(), now)));
                now
            }
        }
    }

    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.level.get() == OVER
    }

    // ── reading and writing ──────────────────────────────────────────────────────────────────

    /// Remembers that the variable was read: a retry waits for a change of it.
    #[inline(always)]
    pub(super) fn reads<S: Slot + 'static>(&self, variable: &Rc<Variable<S>>) {
        let (core, start) = (&variable.core, self.start.get());
        if core.read_at.get() < start {
            if core.saved_at.get() < start {
                self.touch(variable);
                core.read_at.set(start);
            } else {
                // What it wrote itself tells it nothing of others.
                self.read_own_at.set(start);
            }
        }
    }

    /// The same for a variable of many parts, of which a write has changed one: what others did to
    /// the rest is still to be seen.
    #[inline(always)]
    pub(super) fn reads_part<S: Slot + 'static>(&self, variable: &Rc<Variable<S>>) {
        let (core, start) = (&variable.core, self.start.get());
        if core.read_at.get() < start {
            if core.saved_at.get() < start {
                self.touch(variable);
            }
            core.read_at.set(start);
        }
    }

    #[inline(always)]
    fn touch<S: Slot + 'static>(&self, variable: &Rc<Variable<S>>) {
        if self.is_over() {
            self.refuse();
        }
        if needs_drop::<S>() {
            self.owes_clearing();
        }
        variable.catch_up(|| self.now(), || self.start.get() - 1);
        let variable: Rc<AnyVariable> = variable.clone();
        self.touched.borrow_mut().push(variable);
    }

    /// What there is to keep before a write to the variable, which the caller then does: it keeps
    /// what it finds, and has already seen that nobody looks at it.
    #[inline(always)]
    pub(super) fn writes<S: Slot + 'static>(&self, variable: &Rc<Variable<S>>) -> Keep {
        let (core, level, start) = (&variable.core, self.level.get(), self.start.get());
        let saved_at = core.saved_at.get();
        if saved_at >= level {
            return Keep::Nothing;
        }
        if level > start {
            return self.writes_in_arm(variable);
        }
        if core.read_at.get() < start {
            self.touch(variable);
        }
        self.saves(core);
        Keep::Beside
    }

    /// Whether it has written to the variable, and that was not undone.
    pub(super) fn has_written(&self, core: &Core) -> bool {
        core.saved_at.get() >= self.start.get()
    }

    #[inline(always)]
    fn saves(&self, core: &Core) {
        core.saved_before.set(core.saved_at.get());
        core.saved_at.set(self.level.get());
        if core.was_awaited() {
            self.awaited.set(true);
        }
    }

    /// The first write of an arm to the variable; or of a transaction that is over.
    #[inline(never)]
    fn writes_in_arm<S: Slot + 'static>(&self, variable: &Rc<Variable<S>>) -> Keep {
        if self.is_over() {
            self.refuse();
        }
        let core = &variable.core;
        let saved_at = core.saved_at.get();
        if saved_at >= self.start.get() {
            core.saved_at.set(self.level.get());
            return Keep::InArm(saved_at);
        }
        if core.read_at.get() < self.start.get() {
            self.touch(variable);
        }
        self.saves(core);
        self.arms.borrow_mut().push(Undo::First(variable.clone()));
        self.owes_clearing();
        Keep::Beside
    }

    #[inline(always)]
    fn owes_clearing(&self) {
        if self.owes.get() == Owes::Nothing {
            self.owes.set(Owes::Clearing);
        }
    }

    /// How to undo a write that [`Keep::InArm`] was said of.
    #[cold]
    #[inline(never)]
    pub(super) fn undo_by(&self, again: Box<dyn Again>) {
        self.arms.borrow_mut().push(Undo::Again(again));
        self.owes.set(Owes::More);
    }

    /// Drops `value` when the transaction is over.
    #[cold]
    #[inline(never)]
    pub(super) fn leave<V: Any>(&self, value: V) {
        self.left_over.borrow_mut().push(Box::new(value));
        self.owes.set(Owes::More);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&self) -> ! {
        let place = match self.undone.get() {
            Some(place) => format!(" begun at {place}"),
            None => String::new(),
        };
        panic!(
            "maypole: the transaction{place} is over: it was undone when a destructor parked, or \
             began another one, while it unwound"
        );
    }

    // ── lines ────────────────────────────────────────────────────────────────────────────────

    /// What tells the call apart, from its first run to its last.
    pub(super) fn call(&self) -> u64 {
        match self.call.get() {
            0 => self.start.get(),
            call => call,
        }
    }

    /// It is another run of a call that stands in line.
    #[cold]
    #[inline(never)]
    pub(super) fn resume(&self, call: u64, places: &[Rc<Line>]) {
        self.call.set(call);
        self.places.replace(places.to_vec());
        self.owes.set(Owes::More);
    }

    /// It retries for want of units, unless it finds another way.
    pub(super) fn stands_in(&self, line: &Rc<Line>) {
        self.lines.borrow_mut().push(line.clone());
        self.owes.set(Owes::More);
    }

    /// Runs `f` once when the transaction has committed: outside of it, where it may park, begin
    /// other transactions and do what cannot be undone.
    ///
    /// Several run in the order in which they were given, also if one panics; its panic comes out of
    /// [`atomically`](super::atomically) when all have run. After a retry, an abort or a panic, and
    /// for an arm that was undone, `f` is dropped.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// let missiles = TVar::new(2);
    /// atomically(|tx| {
    ///     missiles.update(tx, |left| left - 1);
    ///     tx.on_commit(|| println!("launched one"));
    ///     Ok(())
    /// });
    /// assert_eq!(missiles.get(), 1);
    /// ```
    pub fn on_commit(&self, f: impl FnOnce() + 'static) {
        if self.is_over() {
            self.refuse();
        }
        self.hooks.borrow_mut().push(Box::new(f));
        self.owes.set(Owes::More);
    }
}

/// What is to be kept before a write.
pub(super) enum Keep {
    /// Nothing: the same arm has written before.
    Nothing,
    /// What is found, beside the variable.
    Beside,
    /// What is found, in the arm's list, with the moment when the variable was saved last.
    InArm(u64),
}

/// What there is to do at the end of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owes {
    Nothing,
    /// Variables may have something left over.
    Clearing,
    More,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// The moment of a write outside of a transaction.
pub(super) fn write_moment() -> u64 {
    Home::lend(&OURS).tick()
}

/// The moment at which the transaction began that is under way, or the latest.
pub(super) fn latest_start() -> u64 {
    Home::lend(&OURS).start.get()
}
