//! A value of an OS thread's own that is never destroyed.
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::thread::LocalKey;

/// Lives in a thread-local for as long as the OS thread, and no destructor of it runs. So it can be
/// used at any moment, also while other thread-locals are being destroyed.
pub(crate) struct Home<T>(ManuallyDrop<T>);

impl<T> Home<T> {
    pub(crate) const fn new(value: T) -> Self {
        Home(ManuallyDrop::new(value))
    }

    /// The value of this OS thread. Not shown to a closure, as std's `with` does: one that is large
    /// is not inlined.
    #[inline(always)]
    pub(crate) fn lend(key: &'static LocalKey<Home<T>>) -> Lent<T> {
        Lent(key.with(|home| &raw const *home.0))
    }
}

/// The value of the running OS thread.
#[must_use]
pub(crate) struct Lent<T>(*const T);

impl<T> Deref for Lent<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the value is in a thread-local of this OS thread, as `lend` alone makes this and
        // it is not `Send`; it is never dropped, and its memory stays until the OS thread ends,
        // after everything that runs on it. Coroutines, which may keep this while they are
        // suspended, never leave their OS thread, and none is resumed after its end.
        unsafe { &*self.0 }
    }
}
