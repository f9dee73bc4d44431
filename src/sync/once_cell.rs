//! A value that is made once, by one task, while the others that want it wait.
use super::facts::{Label, Place};
use super::lock::{Kind, Lock};
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::wake_all;
use crate::select::{Case, block_on_within};
use std::cell;
use std::convert::Infallible;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

const KIND: Kind = Kind {
    name: "OnceCell",
    taken: "whose value this task is making",
};

/// A cell that is written once, by a closure that may park.
///
/// As [`std::sync::OnceLock`], between tasks: of those that come while the value is being made, none
/// makes it again, they wait. If the one that makes it panics or is killed, the first that waits
/// tries in its place.
///
/// Where making the value does not park, [`std::cell::OnceCell`] is enough.
///
/// # Examples
///
/// ```
/// use maypole::{run, spawn, sync::OnceCell, yield_now};
/// use std::{cell::Cell, rc::Rc};
/// run(|| {
///     let (config, loads) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
///     let tasks = [(); 3].map(|()| {
///         let (config, loads) = (config.clone(), loads.clone());
///         spawn(move || {
///             let load = || {
///                 loads.set(loads.get() + 1);
///                 yield_now(); // it takes its time, and the others wait
///                 "loaded"
///             };
///             assert_eq!(*config.get_or_init(load), "loaded");
///         })
///     });
///     for task in tasks {
///         task.join().unwrap();
///     }
///     assert_eq!(loads.get(), 1);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::OnceCell<u8>>();
/// ```
pub struct OnceCell<T> {
    /// Held by the task that makes the value.
    lock: Lock,
    /// Those that wait for the value and would not make it.
    watchers: WaitQueue,
    value: cell::OnceCell<T>,
}

impl<T> OnceCell<T> {
    /// Makes an empty one. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = maypole::sync::OnceCell::<u8>::new();
    /// assert_eq!(cell.get(), None);
    /// ```
    #[track_caller]
    pub const fn new() -> Self {
        OnceCell::with_lock(Lock::new(Location::caller()))
    }

    /// Makes an empty one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = maypole::sync::OnceCell::named("config");
    /// assert_eq!(*cell.get_or_init(|| 42), 42);
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>) -> Self {
        let label = Label::named(KIND.name, name, Location::caller());
        OnceCell::with_lock(Lock::labelled(label))
    }

    const fn with_lock(lock: Lock) -> Self {
        OnceCell {
            lock,
            watchers: WaitQueue::new(),
            value: cell::OnceCell::new(),
        }
    }

    /// The value, if it has been made. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = maypole::sync::OnceCell::from(1);
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it has been made, of a cell that nobody else uses. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = maypole::sync::OnceCell::from(1);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.into_inner(), Some(2));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value of an empty cell.
    ///
    /// Parks: while another task makes the value. A kill ends the wait; `value` is dropped with it.
    ///
    /// # Errors
    ///
    /// Gives `value` back if there is one already.
    ///
    /// # Panics
    ///
    /// Inside of this very cell's [`get_or_init`](Self::get_or_init); outside of a task, while a
    /// value is being made.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = maypole::sync::OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("it is made once"));
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }

    /// The value; if there is none yet, `make` makes it.
    ///
    /// Parks: while another task makes the value, and as `make` does. A kill ends the wait. When
    /// `make` panics or its task is killed in it, the first that waits calls its own.
    ///
    /// # Panics
    ///
    /// Inside of this very cell's `get_or_init`, with both places; outside of a task, while a value
    /// is being made; with the panic of `make`.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = maypole::sync::OnceCell::new();
    /// assert_eq!(*cell.get_or_init(|| 1), 1);
    /// assert_eq!(*cell.get_or_init(|| unreachable!()), 1);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, Infallible>(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value; if there is none yet, `make` makes it, or fails.
    ///
    /// Parks: as [`get_or_init`](Self::get_or_init).
    ///
    /// # Errors
    ///
    /// That of `make`; the cell stays empty, and the first that waits calls its own.
    ///
    /// # Panics
    ///
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = maypole::sync::OnceCell::new();
    /// assert!(cell.get_or_try_init(|| "x".parse::<u8>()).is_err());
    /// assert_eq!(cell.get_or_try_init(|| "1".parse::<u8>()), Ok(&1));
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.value.get() {
            Some(value) => Ok(value),
            None => self.make(make, Location::caller()),
        }
    }

    /// The value, once somebody has made it.
    ///
    /// Parks: until then. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if the cell is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, spawn, sync::OnceCell};
    /// use std::rc::Rc;
    /// run(|| {
    ///     let cell = Rc::new(OnceCell::new());
    ///     let theirs = cell.clone();
    ///     spawn(move || theirs.set("here"));
    ///     assert_eq!(*cell.wait(), "here");
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait(&self) -> &T {
        let wait = Wait {
            what: What::Once,
            at: Location::caller(),
        };
        block_on_within(Watching(self), || None, wait)
            .expect("a wait without a deadline does not time out");
        self.value.get().expect("somebody made it")
    }

    /// Takes the value out, and leaves the cell empty. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = maypole::sync::OnceCell::from(1);
    /// assert_eq!((cell.take(), cell.take()), (Some(1), None));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// The value, if it has been made. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::sync::OnceCell::from(1).into_inner(), Some(1));
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    #[inline(always)]
    fn make<E>(&self, make: impl FnOnce() -> Result<T, E>, at: Place) -> Result<&T, E> {
        let wait = Wait {
            what: What::Once,
            at,
        };
        let turn = block_on_within(Claiming { cell: self, at }, || None, wait)
            .expect("a wait without a deadline does not time out");
        if let Some(making) = turn {
            let value = make()?;
            let refused = self.value.set(value);
            assert!(
                refused.is_ok(),
                "only the holder of the lock sets the value"
            );
            drop(making);
        }
        Ok(self.value.get().expect("it was made, here or elsewhere"))
    }
}

/// Waits for the right to make the value; `None` when there is one.
struct Claiming<'a, T> {
    cell: &'a OnceCell<T>,
    at: Place,
}

impl<'a, T> Case for Claiming<'a, T> {
    type Output = Option<Making<'a, T>>;

    #[inline]
    fn try_now(&mut self) -> Option<Self::Output> {
        let cell = self.cell;
        if cell.value.get().is_some() {
            return Some(None);
        }
        if !cell.lock.take(self.at) {
            cell.lock.refuse_outside(&KIND, What::Once, self.at);
            return None;
        }
        Some(Some(Making(cell)))
    }

    #[inline]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (self.cell.lock.enlist(&KIND, What::Once, self.at), 0)
    }

    #[inline]
    fn accept(&mut self, _: usize) -> Option<Self::Output> {
        if self.cell.value.get().is_some() {
            return Some(None);
        }
        self.cell.lock.receive(self.at);
        Some(Some(Making(self.cell)))
    }
}

/// Waits for the value.
struct Watching<'a, T>(&'a OnceCell<T>);

impl<T> Case for Watching<'_, T> {
    type Output = ();

    #[inline]
    fn try_now(&mut self) -> Option<()> {
        self.0.value.get().map(|_| ())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        self.0.lock.introduce(&self.0.watchers, &KIND);
        (&self.0.watchers, 0)
    }

    #[inline]
    fn accept(&mut self, _: usize) -> Option<()> {
        Some(())
    }
}

/// The right to make the value, which goes to the next if it is dropped without one.
struct Making<'a, T>(&'a OnceCell<T>);

impl<T> Drop for Making<'_, T> {
    fn drop(&mut self) {
        let cell = self.0;
        match cell.value.get() {
            Some(_) => {
                cell.lock.release_to_all();
                wake_all(&cell.watchers, 0);
            }
            None => cell.lock.release(),
        }
    }
}

impl<T> Default for OnceCell<T> {
    #[track_caller]
    fn default() -> Self {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        let cell = OnceCell::new();
        let refused = cell.value.set(value);
        assert!(refused.is_ok(), "a new cell is empty");
        cell
    }
}

/// Another cell, with a copy of the value if there is one.
impl<T: Clone> Clone for OnceCell<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        match self.value.get() {
            Some(value) => OnceCell::from(value.clone()),
            None => OnceCell::new(),
        }
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceCell");
        match self.value.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<empty>")),
        };
        shown.finish()
    }
}

impl<T> UnwindSafe for OnceCell<T> {}
impl<T> RefUnwindSafe for OnceCell<T> {}
