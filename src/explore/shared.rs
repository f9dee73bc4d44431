//! A cell whose every access is a step of an exploration.
use crate::scheduler::park::touch;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;

/// A value that tasks share. Where every operation is a switch
/// ([`Switches::Everywhere`](super::Switches::Everywhere)) another task may come before each of
/// its accesses, as between OS threads; otherwise it is a plain cell.
///
/// It makes the races of a program visible that could not happen between tasks: those that would
/// if the tasks were OS threads, or if there were a blocking call in between.
///
/// # Examples
///
/// ```
/// use maypole::explore::{Explorer, Shared, Switches};
/// let flags = || {
///     let flags = [Shared::new(false), Shared::new(false)];
///     let inside = Shared::new(0);
///     maypole::scope(|s| {
///         for (mine, other) in [(0, 1), (1, 0)] {
///             let (flags, inside) = (&flags, &inside);
///             s.spawn(move || {
///                 if !flags[other].get() {
///                     flags[mine].set(true); // too late: the other has looked already
///                     assert_eq!(inside.get(), 0);
///                     inside.set(1);
///                     inside.set(0);
///                     flags[mine].set(false);
///                 }
///             });
///         }
///     });
/// };
/// let explorer = Explorer::new().switches(Switches::Everywhere);
/// assert!(explorer.check(flags).failure.is_some());
/// ```
pub struct Shared<T>(Cell<Option<T>>);

impl<T> Shared<T> {
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::explore::Shared::new(5).get(), 5);
    /// ```
    pub const fn new(value: T) -> Self {
        Shared(Cell::new(Some(value)))
    }

    /// Takes the value out for an access; it goes back when the answer is dropped.
    #[track_caller]
    fn access(&self) -> Access<'_, T> {
        match self.0.take() {
            Some(value) => Access {
                cell: &self.0,
                value: Some(value),
            },
            None => panic!("maypole: an access to a Shared while another one is under way"),
        }
    }

    /// Reads the value: one step.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// Inside of [`with`](Shared::with) of the same cell, as any access.
    ///
    /// # Examples
    ///
    /// ```
    /// let name = maypole::explore::Shared::new("may".to_string());
    /// assert_eq!(name.get(), "may");
    /// ```
    #[track_caller]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        touch("get", Location::caller());
        self.access().value().clone()
    }

    /// Replaces the value: one step.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let n = maypole::explore::Shared::new(1);
    /// n.set(2);
    /// assert_eq!(n.get(), 2);
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) {
        touch("set", Location::caller());
        let before = std::mem::replace(self.access().value(), value);
        drop(before);
    }

    /// Reads the value, gives it to `f`, and writes what `f` makes of it: two steps, so that
    /// where every operation is a switch the update of another task can be lost in between.
    ///
    /// Parks: no more than `f` does.
    ///
    /// # Examples
    ///
    /// ```
    /// let n = maypole::explore::Shared::new(1);
    /// n.update(|n| n + 1);
    /// assert_eq!(n.get(), 2);
    /// ```
    #[track_caller]
    pub fn update(&self, f: impl FnOnce(T) -> T)
    where
        T: Clone,
    {
        let value = self.get();
        self.set(f(value));
    }

    /// Shows the value to `f`, which may change it: one step, in which no other task comes as
    /// long as `f` does not park.
    ///
    /// Parks: no more than `f` does.
    ///
    /// # Panics
    ///
    /// If another access is under way, one of another task that has parked in it, say.
    ///
    /// # Examples
    ///
    /// ```
    /// let list = maypole::explore::Shared::new(vec![1]);
    /// list.with(|list| list.push(2));
    /// assert_eq!(list.get(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        touch("with", Location::caller());
        f(self.access().value())
    }
}

/// The value of a cell, taken out: code of a user runs on it, which may park or come back here.
struct Access<'a, T> {
    cell: &'a Cell<Option<T>>,
    value: Option<T>,
}

impl<T> Access<'_, T> {
    fn value(&mut self) -> &mut T {
        self.value
            .as_mut()
            .expect("it goes back when this is dropped")
    }
}

impl<T> Drop for Access<'_, T> {
    fn drop(&mut self) {
        self.cell.set(self.value.take());
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Shared::new(T::default())
    }
}

/// Without a step.
impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.take() {
            Some(value) => {
                let mut access = Access {
                    cell: &self.0,
                    value: Some(value),
                };
                f.debug_tuple("Shared").field(access.value()).finish()
            }
            None => f.write_str("Shared(..)"),
        }
    }
}
