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
use super::Stop;
use super::line::{Line, Places};
use super::variable::{AnyVariable, Core, Place, Slot, Variable};
use super::wake::wake_all;
use crate::coroutine::{Extent, Home, Lent};
use crate::scheduler::atomic;
use crate::task::{apart_quietly, drop_all_in_turn, run_in_turn};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::needs_drop;
use std::rc::Rc;

/// The level of a transaction that is over: nothing is ever saved so late.
const OVER: u64 = u64::MAX;

thread_local! {
    /// The transaction of this OS thread: at most one is under way, so its lists are used again.
    static OURS: Home<Transaction> = const { Home::new(Transaction::new()) };
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
    clock: Cell<u64>,
    /// When it began.
    start: Cell<u64>,
    /// When the innermost arm began.
    level: Cell<u64>,
    /// When the latest began that read what it had written itself.
    read_own_at: Cell<u64>,
    /// Whether somebody may wait for what it has written.
    awaited: Cell<bool>,
    /// What there is to do at its end besides forgetting what it has touched.
    owes: Cell<Owes>,
    /// The variables it has read or written.
    touched: RefCell<Vec<Rc<AnyVariable>>>,
    /// How to undo what was written inside of arms.
    arms: RefCell<Vec<Undo>>,
    hooks: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// What must be dropped when it is over.
    left_over: RefCell<Vec<Box<dyn Any>>>,
    /// Lines in which it stands for want of units.
    lines: RefCell<Vec<Rc<Line>>>,
    /// The name of its call, if that has stood in line before; else 0.
    call: Cell<u64>,
    /// Where it runs, if that may be the stack of a generator.
    extent: Cell<Option<Extent>>,
    /// Where the latest began that was undone before its end.
    undone: Cell<Option<Place>>,
}

/// How to undo the first write of an arm to one variable.
enum Undo {
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
            start: Cell::new(0),
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
            extent: Cell::new(None),
            undone: Cell::new(None),
        }
    }

    /// The next moment.
    #[inline(always)]
    fn tick(&self) -> u64 {
        let now = self.clock.get() + 1;
        self.clock.set(now);
        now
    }

    #[inline(always)]
    fn is_over(&self) -> bool {
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
        variable.catch_up();
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

    #[inline(always)]
    fn saves(&self, core: &Core) {
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
    fn refuse(&self) -> ! {
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
    pub(super) fn resume(&self, call: u64) {
        self.call.set(call);
        self.owes.set(Owes::More);
    }

    /// It retries for want of units, unless it finds another way.
    pub(super) fn stands_in(&self, line: &Rc<Line>) {
        self.lines.borrow_mut().push(line.clone());
        self.owes.set(Owes::More);
    }

    // ── arms ─────────────────────────────────────────────────────────────────────────────────

    /// Runs `a`; if it retries, undoes what it wrote and runs `b`. Haskell's `orElse`.
    ///
    /// If both retry, the whole waits for a variable that either of them has read. An abort of `a`
    /// goes on to the outside, and `b` is not tried. Whatever an arm wrote that does not end with
    /// `Ok` is undone.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// The abort of `a`, or whatever `b` ends with.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, check, Stop, Transaction, TVar};
    /// fn withdraw<E>(tx: &Transaction, from: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
    ///     from.update(tx, |balance| balance - amount);
    ///     check(from.read(tx) >= 0)
    /// }
    /// let (left, right) = (TVar::new(50), TVar::new(80));
    /// atomically(|tx| tx.or_else(|tx| withdraw(tx, &left, 60), |tx| withdraw(tx, &right, 60)));
    /// assert_eq!((left.get(), right.get()), (50, 20));
    /// ```
    #[inline]
    pub fn or_else<T, E>(
        &self,
        a: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
        b: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
    ) -> Result<T, Stop<E>> {
        match self.arm(a) {
            Err(Stop::Retry) => self.arm(b),
            ended => ended,
        }
    }

    /// Runs `a`; if it aborts, undoes what it wrote and gives the error to `handler`. Haskell's
    /// `catchSTM`.
    ///
    /// What was written before `a` stays. A retry of `a` goes through.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// A retry of `a`, or whatever `handler` ends with.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{abort, atomically, TVar};
    /// let steps = TVar::new(String::from("begun"));
    /// let caught = atomically(|tx| {
    ///     tx.catch(
    ///         |tx| {
    ///             steps.write(tx, String::from("half done"));
    ///             abort("no paper")
    ///         },
    ///         |_, error| Ok(error),
    ///     )
    /// });
    /// assert_eq!((caught, steps.get().as_str()), ("no paper", "begun"));
    /// ```
    #[inline]
    pub fn catch<T, E, F>(
        &self,
        a: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
        handler: impl FnOnce(&Transaction, E) -> Result<T, Stop<F>>,
    ) -> Result<T, Stop<F>> {
        match self.arm(a) {
            Ok(value) => Ok(value),
            Err(Stop::Retry) => Err(Stop::Retry),
            Err(Stop::Abort(error)) => self.arm(|tx| handler(tx, error)),
        }
    }

    fn arm<T, E>(
        &self,
        run: impl FnOnce(&Transaction) -> Result<T, Stop<E>>,
    ) -> Result<T, Stop<E>> {
        let arm = Arm::begin(self);
        let ended = run(self);
        if ended.is_ok() {
            arm.keep();
        }
        ended
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

    // ── the end ──────────────────────────────────────────────────────────────────────────────

    /// Undoes everything.
    #[inline(never)]
    fn undo(&self) {
        self.awaited.set(false);
        let start = self.start.get();
        for variable in self.touched.borrow().iter() {
            if variable.core.saved_at.get() >= start {
                self.forget_write(variable);
            }
        }
    }

    fn forget_write(&self, variable: &AnyVariable) {
        variable.slot.restore();
        // Not the moment of the write before, which is lost: a later one, so that whoever has read
        // that takes this for a change. It is too seldom to matter, and no change is missed.
        variable.core.saved_at.set(self.start.get() - 1);
    }

    /// It is over, and others may begin.
    #[inline(always)]
    fn close(&self) {
        self.level.set(OVER);
        atomic::end();
    }

    /// It has ended in this way, and what it has touched is forgotten.
    #[inline(always)]
    fn end(&self, ending: Ending) {
        self.close();
        match self.owes.get() {
            Owes::Nothing => self.touched.borrow_mut().clear(),
            Owes::Clearing => self.clear_touched(),
            Owes::More => self.clear(ending),
        }
    }

    /// Drops what the variables that it has touched have left over, one after another. Other
    /// transactions may begin meanwhile, so nothing here stays borrowed.
    #[inline(never)]
    fn clear_touched(&self) {
        self.owes.set(Owes::Nothing);
        // No variable is dropped by this: all are in the other list, too.
        self.arms.borrow_mut().clear();
        let mut touched = self.touched.take();
        drop_all_in_turn(touched.drain(..).map(Touched));
        if self.touched.borrow().capacity() == 0 {
            // For the next transaction to fill.
            self.touched.replace(touched);
        }
    }

    /// Drops all that is left over; then runs the hooks, if the transaction was committed.
    #[cold]
    #[inline(never)]
    fn clear(&self, ending: Ending) {
        self.owes.set(Owes::Nothing);
        self.extent.take();
        self.call.set(0);
        drop(self.lines.take());
        let touched = self.touched.take();
        let (arms, values, mut hooks) =
            (self.arms.take(), self.left_over.take(), self.hooks.take());
        let unused = match ending {
            Ending::Committed => Vec::new(),
            Ending::Undone => std::mem::take(&mut hooks),
        };
        let drop_all: Box<dyn FnOnce()> = Box::new(|| {
            let touched = touched.into_iter().map(Touched).map(Left::Variable);
            let arms = arms.into_iter().map(Left::Arm);
            let values = values.into_iter().map(Left::Value);
            let unused = unused.into_iter().map(Left::Hook);
            drop_all_in_turn(touched.chain(arms).chain(values).chain(unused));
        });
        run_in_turn(std::iter::once(drop_all).chain(hooks));
    }
}

/// Undoes the transaction that is under way, for a destructor that lets others run while it
/// unwinds.
fn undo_ours() {
    let tx = Home::lend(&OURS);
    tx.undone.set(atomic::begun_at());
    let is_free = |variable: &Rc<AnyVariable>| variable.slot.is_free();
    if !tx.touched.borrow().iter().all(is_free) {
        panic!(
            "maypole: a destructor parks inside the closure of a variable's `with`, while the \
             transaction unwinds: what it wrote cannot be undone in time"
        );
    }
    tx.undo();
    tx.close();
    apart_quietly(|| tx.clear(Ending::Undone));
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Committed,
    Undone,
}

/// What there is to do at the end of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owes {
    Nothing,
    /// Variables may have something left over.
    Clearing,
    More,
}

/// A variable that the transaction has touched; cleared when it is dropped.
struct Touched(Rc<AnyVariable>);

impl Drop for Touched {
    fn drop(&mut self) {
        self.0.slot.clear();
    }
}

/// What is to be dropped after a transaction.
#[expect(dead_code, reason = "they are kept to be dropped")]
enum Left {
    Variable(Touched),
    Arm(Undo),
    Value(Box<dyn Any>),
    Hook(Box<dyn FnOnce()>),
}

/// An arm that is under way: undone unless it is kept.
struct Arm<'a> {
    tx: &'a Transaction,
    outer: u64,
    arms: usize,
    hooks: usize,
}

impl<'a> Arm<'a> {
    fn begin(tx: &'a Transaction) -> Self {
        if tx.is_over() {
            tx.refuse();
        }
        Arm {
            tx,
            outer: tx.level.replace(tx.tick()),
            arms: tx.arms.borrow().len(),
            hooks: tx.hooks.borrow().len(),
        }
    }

    fn keep(self) {
        if !self.tx.is_over() {
            self.tx.level.set(self.outer);
        }
        std::mem::forget(self);
    }
}

impl Drop for Arm<'_> {
    fn drop(&mut self) {
        let tx = self.tx;
        if tx.is_over() {
            return;
        }
        tx.level.set(self.outer);
        while tx.arms.borrow().len() > self.arms {
            let undo = tx.arms.borrow_mut().pop();
            match undo.expect("there is one more") {
                Undo::First(variable) => tx.forget_write(&variable),
                Undo::Again(again) => again.undo(tx),
            }
        }
        let hooks = tx.hooks.borrow_mut().split_off(self.hooks);
        if !hooks.is_empty() {
            tx.leave(hooks);
        }
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

/// One run of a transaction's closure: undone unless it is committed.
pub(super) struct Attempt(Lent<Transaction>);

impl Attempt {
    /// Begins one, called at `at`.
    #[inline(always)]
    pub(super) fn begin(at: Place) -> Attempt {
        let extent = atomic::begin(at, undo_ours);
        let tx = Home::lend(&OURS);
        if extent.is_some() {
            tx.keep_extent(extent);
        }
        let now = tx.tick();
        tx.start.set(now);
        tx.level.set(now);
        Attempt(tx)
    }

    #[inline(always)]
    pub(super) fn tx(&self) -> &Transaction {
        &self.0
    }

    /// Lets the others see what was written, and wakes those who wait for it; then tells of it.
    #[inline(always)]
    pub(super) fn commit(self, tell: impl FnOnce()) {
        let tx = &*self.0;
        if tx.is_over() {
            tx.refuse();
        }
        if tx.awaited.get() {
            tx.wake_those_who_wait();
        }
        // Before destructors and hooks, which may look, or panic.
        tell();
        tx.end(Ending::Committed);
        std::mem::forget(self);
    }

    /// When it began.
    pub(super) fn start(&self) -> u64 {
        self.0.start.get()
    }

    /// Undoes what was written, and tells what was read. The call takes its places in line.
    #[inline(never)]
    pub(super) fn retry(self, places: &mut Places) -> Vec<Rc<AnyVariable>> {
        let tx = &*self.0;
        if tx.is_over() {
            tx.refuse();
        }
        if tx.owes.get() == Owes::More {
            places.stand_in(tx.call(), tx.lines.take());
        }
        let start = tx.start.get();
        let read = |variable: &Rc<AnyVariable>| variable.core.read_at.get() >= start;
        // Who has looked at nothing but its own writes waits, in vain most likely, for those.
        let own = tx.read_own_at.get() == start && !tx.touched.borrow().iter().any(read);
        let was_read = |variable: &Rc<AnyVariable>| own || read(variable);
        if tx.owes.get() != Owes::Nothing {
            let touched = tx.touched.borrow();
            return touched.iter().filter(|it| was_read(it)).cloned().collect();
        }
        tx.undo();
        // Nothing here runs code of the user, so the list itself may be kept.
        let mut touched = tx.touched.take();
        touched.retain(was_read);
        tx.close();
        std::mem::forget(self);
        touched
    }

    /// The transaction whose list this was goes on: the next one may use it again.
    pub(super) fn give_back(mut list: Vec<Rc<AnyVariable>>) {
        list.clear();
        let tx = Home::lend(&OURS);
        if tx.touched.borrow().capacity() == 0 {
            tx.touched.replace(list);
        }
    }
}

/// After a return without a commit, and while unwinding.
impl Drop for Attempt {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        let tx = &*self.0;
        if tx.is_over() {
            return;
        }
        tx.undo();
        if std::thread::panicking() && tx.owes.get() != Owes::Nothing {
            tx.close();
            // The first panic is the one that comes out, and a second would end the process.
            return apart_quietly(|| tx.clear(Ending::Undone));
        }
        tx.end(Ending::Undone);
    }
}

impl Transaction {
    #[cold]
    #[inline(never)]
    fn wake_those_who_wait(&self) {
        self.awaited.set(false);
        let start = self.start.get();
        let touched = self.touched.borrow();
        let written = |variable: &&Rc<AnyVariable>| variable.core.saved_at.get() >= start;
        wake_all(touched.iter().filter(written));
    }

    #[cold]
    #[inline(never)]
    fn keep_extent(&self, extent: Option<Extent>) {
        self.extent.set(extent);
        self.owes.set(Owes::More);
    }
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
