//! One run of a transaction: how it begins, and how it ends.
use super::line::Places;
use super::transaction::{OURS, OVER, Owes, Transaction, Undo};
use super::variable::{AnyVariable, Place};
use super::wake::wake_all;
use crate::coroutine::{Extent, Home, Lent};
use crate::scheduler::atomic::{self, Cause};
use crate::task::{apart_quietly, drop_all_in_turn, run_in_turn};
use std::any::Any;
use std::rc::Rc;

/// One run of a transaction's closure: undone unless it is committed.
pub(super) struct Attempt {
    tx: Lent<Transaction>,
    start: u64,
}

impl Attempt {
    /// Begins one, called at `at`.
    #[inline(always)]
    pub(super) fn begin(at: Place) -> Attempt {
        let extent = atomic::begin(at, undo_ours);
        let tx = Home::lend(&OURS);
        if extent.is_some() {
            tx.keep_extent(extent);
        }
        // The moment before is left free: a variable that comes true by itself has changed then.
        tx.tick();
        let now = tx.tick();
        tx.start.set(now);
        tx.level.set(now);
        Attempt { tx, start: now }
    }

    #[inline(always)]
    pub(super) fn tx(&self) -> &Transaction {
        &self.tx
    }

    /// Lets the others see what was written, and wakes those who wait for it; then tells of it.
    #[inline(always)]
    pub(super) fn commit(self, tell: impl FnOnce()) {
        let tx = &*self.tx;
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
        self.start
    }

    /// Undoes what was written, and tells what was read. The call takes its places in line.
    #[inline(never)]
    pub(super) fn retry(self, places: &mut Places) -> Vec<Rc<AnyVariable>> {
        let tx = &*self.tx;
        if tx.is_over() {
            tx.refuse();
        }
        if tx.owes.get() == Owes::More {
            places.join(tx.call(), tx.lines.take());
        }
        let start = tx.start.get();
        let read = |variable: &Rc<AnyVariable>| variable.core.read_at.get() >= start;
        // Who has looked at nothing but its own writes waits, in vain most likely, for those.
        let own = tx.read_own_at.get() == start && !tx.touched.borrow().iter().any(read);
        let was_read = |variable: &Rc<AnyVariable>| own || read(variable);
        if tx.owes.get() != Owes::Nothing {
            let touched = tx.touched.borrow();
            let read = touched.iter().filter(|it| was_read(it)).cloned().collect();
            drop(touched);
            // Not at the end of the function: if it unwinds, what is returned would be leaked.
            drop(self);
            return read;
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
        drop_all_in_turn(list.drain(..));
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
        let tx = &*self.tx;
        if tx.is_over() {
            let mut looking = tx.looking.borrow_mut();
            if let Some(at) = looking.iter().position(|start| *start == self.start) {
                looking.remove(at);
                atomic::count_looking(-1);
            }
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

    /// Undoes everything.
    #[inline(never)]
    fn undo(&self) {
        self.awaited.set(false);
        let start = self.start.get();
        for variable in self.touched.borrow().iter() {
            if variable.core.saved_at.get() >= start {
                forget_write(variable);
            }
        }
    }

    /// It is over, and others may begin.
    #[inline(always)]
    fn close(&self) {
        self.start.set(OVER);
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
        let (call, places) = (self.call.replace(0), self.places.take());
        if ending == Ending::Committed {
            // Before destructors and hooks, which may wait for those behind.
            places.iter().for_each(|line| line.leave(call));
        }
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
fn undo_ours(cause: Cause) {
    let tx = Home::lend(&OURS);
    tx.undone.set(atomic::begun_at());
    let start = tx.start.get();
    let is_looked_at = |variable: &&Rc<AnyVariable>| !variable.slot.is_free();
    let touched = tx.touched.borrow();
    let mut looked_at = touched.iter().filter(is_looked_at).peekable();
    if looked_at.peek().is_some() {
        let mut written = looked_at.filter(|variable| variable.core.saved_at.get() >= start);
        if cause == Cause::Park || written.next().is_some() {
            drop(touched);
            atomic::still_looking();
        }
        atomic::count_looking(1);
        tx.looking.borrow_mut().push(start);
    }
    drop(touched);
    tx.undo();
    tx.close();
    apart_quietly(|| tx.clear(Ending::Undone));
}

/// Puts back what a transaction, or an arm of it, found in a variable.
pub(super) fn forget_write(variable: &AnyVariable) {
    variable.slot.restore();
    variable.core.saved_at.set(variable.core.saved_before.get());
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Committed,
    Undone,
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
