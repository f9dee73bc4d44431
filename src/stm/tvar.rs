//! `TVar`: one variable that transactions read and write.
use super::transaction::{Again, Keep, Transaction, sweep_at_the_end, write_moment};
use super::variable::{AnyVariable, Core, More, Place, Slot, Variable};
use crate::scheduler::atomic::{self, Step};
use crate::scheduler::park::touch;
use crate::scheduler::{self, Ban};
use std::any::{Any, type_name};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::needs_drop;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};

/// A variable for transactions. Haskell's `TVar`.
///
/// A clone is another handle to the same variable; two handles are equal if they are of the same
/// one. Nothing is asked of its content: [`with`](Self::with) reads what cannot be cloned.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, TVar};
/// let (left, right) = (TVar::new("apple"), TVar::new("pear"));
/// atomically(|tx| {
///     let fruit = left.swap(tx, right.read(tx));
///     right.write(tx, fruit);
///     Ok(())
/// });
/// assert_eq!((left.get(), right.get()), ("pear", "apple"));
/// ```
pub struct TVar<T: 'static>(Rc<Variable<Cells<T>>>);

const KIND: &str = "TVar";

/// A value, and what a transaction that wrote to it has found.
pub(super) struct Cells<T> {
    value: RefCell<T>,
    /// Valid while the variable is saved; left over afterwards.
    found: Cell<Option<T>>,
    show: Option<Show<T>>,
}

/// What a report says of a value, as in `holds 7`.
pub(super) type Show<T> = fn(&T) -> String;

impl<T: 'static> TVar<T> {
    /// A variable that holds `value`.
    ///
    /// Parks: no. It may be made inside of a transaction; it is not unmade if that is undone.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::stm::TVar::new(7).get(), 7);
    /// ```
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self::made(value, None, None, Location::caller())
    }

    /// A variable with a name for the reports. These show what it holds if that is a number, a
    /// `bool`, a `char` or a string, else what type it has; see [`shown`](Self::shown).
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let balance = maypole::stm::TVar::named("balance of 7", 100);
    /// assert_eq!(balance.get(), 100);
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, value: T) -> Self {
        Self::made(value, None, Some(More::named(name)), Location::caller())
    }

    /// A variable with a name, whose content the reports show by its `Debug`.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let line = maypole::stm::TVar::shown("line", vec!["Ada", "Grace"]);
    /// assert_eq!(line.get().len(), 2);
    /// ```
    #[track_caller]
    pub fn shown(name: impl AsRef<str>, value: T) -> Self
    where
        T: fmt::Debug,
    {
        let show = |value: &T| format!("holds {value:?}");
        let more = Some(More::named(name));
        Self::made(value, Some(show), more, Location::caller())
    }

    #[inline]
    pub(super) fn made(value: T, show: Option<Show<T>>, more: Option<More>, at: Place) -> Self {
        Self::made_as(KIND, value, show, more, at)
    }

    /// The variable of something that has another name in the reports.
    #[inline]
    pub(super) fn made_as(
        kind: &'static str,
        value: T,
        show: Option<Show<T>>,
        more: Option<More>,
        at: Place,
    ) -> Self {
        sweep_at_the_end();
        TVar(Rc::new(Variable {
            core: Core::new(kind, at, more),
            slot: Cells {
                value: RefCell::new(value),
                found: Cell::new(None),
                show,
            },
        }))
    }

    /// Lets the reports show `other` as this one: both are parts of the same thing.
    pub(super) fn stands_for<U: 'static>(&self, other: &TVar<U>) {
        let this: Rc<AnyVariable> = self.0.clone();
        this.stands_for(&other.0.core);
    }

    /// Shows what it holds to a report; `None` while it is being written.
    pub(super) fn look<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        Some(f(&*self.0.slot.value.try_borrow().ok()?))
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.0.core.name()
    }

    /// Takes what it holds, if this is the last handle and no transaction knows it any more.
    pub(super) fn take_if_last(&self) -> Option<T>
    where
        T: Default,
    {
        (Rc::strong_count(&self.0) == 1).then(|| self.0.slot.value.take())
    }

    // ── in a transaction ─────────────────────────────────────────────────────────────────────

    /// A clone of the value.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// let (a, b) = (TVar::new(2), TVar::new(3));
    /// assert_eq!(atomically(|tx| Ok(a.read(tx) + b.read(tx))), 5);
    /// ```
    #[inline(always)]
    pub fn read(&self, tx: &Transaction) -> T
    where
        T: Clone,
    {
        self.with(tx, T::clone)
    }

    /// Shows the value to `f`, which may borrow from it no longer than it runs.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When `f` writes to this very variable.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// struct Ledger(Vec<i64>); // neither Clone nor Send
    /// let ledger = TVar::new(Ledger(vec![20, -5]));
    /// let sum: i64 = atomically(|tx| Ok(ledger.with(tx, |ledger| ledger.0.iter().sum())));
    /// assert_eq!(sum, 15);
    /// ```
    #[inline(always)]
    pub fn with<R>(&self, tx: &Transaction, f: impl FnOnce(&T) -> R) -> R {
        tx.reads(&self.0);
        f(&self.0.slot.value.borrow())
    }

    /// Replaces the value.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// While the value is being read ([`with`](Self::with)).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// let state = TVar::new("open");
    /// atomically(|tx| Ok(state.write(tx, "shut")));
    /// assert_eq!(state.get(), "shut");
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn write(&self, tx: &Transaction, value: T) {
        let Variable { core, slot } = &*self.0;
        if slot.value.try_borrow_mut().is_err() {
            core.refuse_write(Location::caller());
        }
        match tx.writes(&self.0) {
            Keep::Beside => {
                let stale = slot.found.replace(Some(slot.value.replace(value)));
                // Left there by a transaction whose destructors are running at present.
                if needs_drop::<T>() && stale.is_some() {
                    tx.leave(stale);
                }
            }
            Keep::Nothing if needs_drop::<T>() => tx.leave(slot.value.replace(value)),
            Keep::Nothing => drop(slot.value.replace(value)),
            Keep::InArm(saved_at) => self.rewrite(tx, value, saved_at),
        }
    }

    #[cold]
    #[inline(never)]
    fn rewrite(&self, tx: &Transaction, value: T, saved_at: u64) {
        tx.undo_by(Box::new(Rewrite {
            variable: self.0.clone(),
            found: self.0.slot.value.replace(value),
            saved_at,
        }));
    }

    /// Replaces the value by what `f` makes of it. Haskell's `modifyTVar'`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// While the value is being read ([`with`](Self::with)), by `f` too.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// let count = TVar::new(1);
    /// atomically(|tx| Ok(count.update(tx, |n| n + 1)));
    /// assert_eq!(count.get(), 2);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn update(&self, tx: &Transaction, f: impl FnOnce(&T) -> T) {
        let value = self.with(tx, f);
        self.write(tx, value);
    }

    /// Replaces the value and gives back the one before. Haskell's `swapTVar`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// While the value is being read ([`with`](Self::with)).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// let shift = TVar::new("Ada");
    /// assert_eq!(atomically(|tx| Ok(shift.swap(tx, "Grace"))), "Ada");
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn swap(&self, tx: &Transaction, value: T) -> T
    where
        T: Clone,
    {
        let before = self.read(tx);
        self.write(tx, value);
        before
    }

    /// Replaces the value by the second of what `f` makes of it, and gives back the first. Haskell's
    /// `stateTVar`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// While the value is being read ([`with`](Self::with)), by `f` too.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::stm::{atomically, TVar};
    /// let next = TVar::new(7);
    /// let ticket = atomically(|tx| Ok(next.state(tx, |n| (*n, n + 1))));
    /// assert_eq!((ticket, next.get()), (7, 8));
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn state<R>(&self, tx: &Transaction, f: impl FnOnce(&T) -> (R, T)) -> R {
        let (result, value) = self.with(tx, f);
        self.write(tx, value);
        result
    }

    // ── outside ──────────────────────────────────────────────────────────────────────────────

    /// A clone of the value: a transaction of one step. Haskell's `readTVarIO`.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// Inside of a transaction, as nesting does: use [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::stm::TVar::new("now").get(), "now");
    /// ```
    #[inline]
    #[track_caller]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        let at = Location::caller();
        touch("TVar::get", at);
        // The clone is made by code of the user, which must not park while the value is borrowed.
        let _step = Step::begin("TVar::get", at);
        self.0.catch_up(scheduler::now, write_moment);
        self.0.slot.value.borrow().clone()
    }

    /// Replaces the value, and wakes whoever waits for a change: a transaction of one step.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// Inside of a transaction, as nesting does: use [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// let door = maypole::stm::TVar::new("shut");
    /// door.set("open");
    /// assert_eq!(door.get(), "open");
    /// ```
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T) {
        let at = Location::caller();
        touch("TVar::set", at);
        if atomic::is_under_way() {
            atomic::refuse_nested("TVar::set", at);
        }
        self.0.catch_up(scheduler::now, write_moment);
        let Variable { core, slot } = &*self.0;
        let before = match slot.value.try_borrow_mut() {
            Ok(mut place) => std::mem::replace(&mut *place, value),
            Err(_) => core.refuse_write(at),
        };
        core.saved_at.set(write_moment());
        scheduler::wake_all(core.waiters(), 0);
        drop(before);
    }

    /// Whether both are handles to the same variable. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let variable = maypole::stm::TVar::new(1);
    /// assert!(variable.same_variable(&variable.clone()));
    /// assert!(!variable.same_variable(&maypole::stm::TVar::new(1)));
    /// ```
    pub fn same_variable(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// What the transaction has found in it.
    pub(super) fn found(&self, tx: &Transaction) -> T
    where
        T: Copy,
    {
        let Variable { core, slot } = &*self.0;
        let found = tx.has_written(core).then(|| slot.found.get()).flatten();
        found.unwrap_or_else(|| *slot.value.borrow())
    }

    pub(super) fn as_any(&self) -> Weak<AnyVariable> {
        let variable: Rc<AnyVariable> = self.0.clone();
        Rc::downgrade(&variable)
    }
}

impl More {
    pub(super) fn named(name: impl AsRef<str>) -> More {
        More {
            name: Some(name.as_ref().into()),
            due: Cell::new(None),
        }
    }
}

impl<T: 'static> Slot for Cells<T> {
    fn restore(&self) {
        if let Some(found) = self.found.take() {
            let undone = self.value.replace(found);
            self.found.set(Some(undone));
        }
    }

    fn clear(&self) {
        self.found.take();
    }

    fn is_free(&self) -> bool {
        self.value.try_borrow_mut().is_ok()
    }

    fn come_true(&self) {
        let value: &dyn Any = &self.value;
        if let Some(value) = value.downcast_ref::<RefCell<bool>>() {
            value.replace(true);
        }
    }

    fn describe(&self) -> Option<String> {
        let value = self.value.try_borrow().ok()?;
        Some(match (self.show, known(&*value)) {
            (Some(show), _) => show(&value),
            (None, Some(text)) => format!("holds {text}"),
            (None, None) => format!("holds a {}", type_name::<T>()),
        })
    }
}

/// The text of a value whose type is one of the plainest.
fn known(value: &dyn Any) -> Option<String> {
    macro_rules! plain {
        ($($kind:ty),+) => {
            $(if let Some(value) = value.downcast_ref::<$kind>() {
                return Some(format!("{value:?}"));
            })+
        };
    }
    plain!(
        i64,
        i32,
        u64,
        u32,
        usize,
        bool,
        String,
        &'static str,
        char,
        f64
    );
    plain!(i8, u8, i16, u16, i128, u128, isize, f32, ());
    None
}

/// A write to a variable that was written to before its arm began.
struct Rewrite<T: 'static> {
    variable: Rc<Variable<Cells<T>>>,
    found: T,
    saved_at: u64,
}

impl<T: 'static> Again for Rewrite<T> {
    fn undo(self: Box<Self>, tx: &Transaction) {
        let undone = self.variable.slot.value.replace(self.found);
        self.variable.core.saved_at.set(self.saved_at);
        if needs_drop::<T>() {
            tx.leave(undone);
        }
    }
}

impl<T: 'static> Clone for TVar<T> {
    fn clone(&self) -> Self {
        TVar(self.0.clone())
    }
}

/// Whether both are handles to the same variable, as in Haskell.
impl<T: 'static> PartialEq for TVar<T> {
    fn eq(&self, other: &Self) -> bool {
        self.same_variable(other)
    }
}

impl<T: 'static> Eq for TVar<T> {}

impl<T: Default + 'static> Default for TVar<T> {
    #[track_caller]
    fn default() -> Self {
        TVar::new(T::default())
    }
}

impl<T: 'static> From<T> for TVar<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        TVar::new(value)
    }
}

/// Shows the value as it is at the moment, also inside of a transaction.
impl<T: fmt::Debug + 'static> fmt::Debug for TVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the value does in its `Debug` may not park, while it is borrowed.
        let _ban = Ban::begin(true);
        let mut shown = f.debug_struct("TVar");
        match self.0.slot.value.try_borrow() {
            Ok(value) => shown.field("value", &*value),
            Err(_) => shown.field("value", &format_args!("<being written>")),
        };
        shown.finish_non_exhaustive()
    }
}

impl<T: 'static> UnwindSafe for TVar<T> {}
impl<T: 'static> RefUnwindSafe for TVar<T> {}
