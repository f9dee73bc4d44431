//! A thread-local pointer to the value that is current while a closure runs, or until it is given up.
use std::cell::Cell;
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;
use std::thread::LocalKey;

/// Holds a reference for as long as [`Current::enter`] runs, or an [`Installed`] lives.
///
/// `const`-initialised and without a destructor, so that it works at any moment of an OS thread's
/// life, also inside other thread-locals' destructors.
pub(crate) struct Current<T>(Cell<*const T>);

impl<T> Current<T> {
    pub(crate) const fn new() -> Self {
        Current(Cell::new(ptr::null()))
    }

    pub(crate) fn is_set(&self) -> bool {
        !self.0.get().is_null()
    }

    /// Makes `value` current while `body` runs. The caller has checked that nothing is.
    pub(crate) fn enter<R>(&self, value: &T, body: impl FnOnce() -> R) -> R {
        struct Leave<'a, T>(&'a Cell<*const T>);
        impl<T> Drop for Leave<'_, T> {
            fn drop(&mut self) {
                self.0.set(ptr::null());
            }
        }
        debug_assert!(!self.is_set());
        self.0.set(value);
        let _leave = Leave(&self.0);
        body()
    }

    /// Makes `value` current until what this returns is dropped. The caller has checked that
    /// nothing is.
    pub(crate) fn install(key: &'static LocalKey<Current<T>>, value: Rc<T>) -> Installed<T> {
        key.with(|current| {
            debug_assert!(!current.is_set());
            current.0.set(Rc::as_ptr(&value));
        });
        Installed { value, key }
    }

    /// What is current at this moment. Apart from [`Glimpse::show`], so that the access to the
    /// thread-local, which std's `with` wraps, stays small enough to be inlined.
    #[inline(always)]
    pub(crate) fn glimpse(&self) -> Glimpse<T> {
        Glimpse(self.0.get())
    }
}

/// A value that is current on this OS thread, which this cannot leave. The owner may move it: the
/// value has an address of its own. One that is forgotten keeps the value for ever.
pub(crate) struct Installed<T: 'static> {
    value: Rc<T>,
    key: &'static LocalKey<Current<T>>,
}

impl<T> Deref for Installed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Installed<T> {
    fn drop(&mut self) {
        self.key.with(|current| current.0.set(ptr::null()));
    }
}

/// What was current a moment ago. It is shown in the expression that asked for it, never kept.
#[must_use]
pub(crate) struct Glimpse<T>(*const T);

impl<T> Glimpse<T> {
    /// Shows the current value to `look`, which must not suspend: the value may be gone when it
    /// goes on.
    #[inline(always)]
    pub(crate) fn show<R>(self, look: impl FnOnce(Option<&T>) -> R) -> R {
        // SAFETY: the pointer is non-null only while `enter` runs on this OS thread, which borrows
        // the value, or while an `Installed` of this OS thread has a share in it; `look` runs
        // inside that time, as no glimpse is kept and no closure passed here suspends or drops
        // what a user owns (the one caller is `with_scheduler`, and `tests/house.rs` looks for
        // more).
        look(unsafe { self.0.as_ref() })
    }
}
