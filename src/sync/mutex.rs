//! A lock around a value, for what must stay whole across a park.
use super::facts::{Label, Place};
use super::lock::{Kind, Lock};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::select::{Case, Limit, block_on_within};
use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

const KIND: Kind = Kind {
    name: "Mutex",
    taken: "which this task has locked",
};

/// A value that one task at a time may use, also while it parks.
///
/// As [`std::sync::Mutex`], between tasks, and with these differences. A task that waits parks, and
/// the others go on. The lock goes to whoever waits longest, and nobody can snatch it away in
/// between. There is no poisoning: a task that panics or is killed unlocks, and what it leaves
/// behind is what the next one finds. It need not be shared between OS threads, so `T` may be
/// anything.
///
/// A guard belongs to the task that locked. Locking again there panics with both places instead of
/// waiting for ever, and a report of a deadlock names the owner. When the owner ends with the guard
/// alive, since it was sent elsewhere, the others wait until that guard is dropped.
///
/// # Examples
///
/// ```
/// use maypole::{run, spawn, sync::Mutex, yield_now};
/// use std::rc::Rc;
/// run(|| {
///     let total = Rc::new(Mutex::named("total", 0));
///     let tasks: Vec<_> = (0..10)
///         .map(|_| {
///             let total = total.clone();
///             spawn(move || {
///                 let mut total = total.lock();
///                 let before = *total;
///                 yield_now(); // the others run here, and find it locked
///                 *total = before + 1;
///             })
///         })
///         .collect();
///     tasks.into_iter().for_each(|task| task.join().unwrap());
///     assert_eq!(*total.lock(), 10);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::Mutex<u8>>();
/// ```
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    value: RefCell<T>,
}

impl<T> Mutex<T> {
    /// Makes one, unlocked. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = maypole::sync::Mutex::new(1); // needs no run until it has to wait
    /// assert_eq!(*mutex.lock(), 1);
    /// ```
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Mutex {
            lock: Lock::new(Location::caller()),
            value: RefCell::new(value),
        }
    }

    /// Makes one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::sync::Mutex;
    /// let forks: Vec<_> = (0..5).map(|n| Mutex::named(format!("fork {n}"), ())).collect();
    /// assert_eq!(forks.len(), 5);
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, value: T) -> Self {
        Mutex {
            lock: Lock::labelled(Label::named(KIND.name, name, Location::caller())),
            value: RefCell::new(value),
        }
    }

    /// The value, of a mutex that is nobody else's. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = maypole::sync::Mutex::new(String::from("whole"));
    /// assert_eq!(mutex.into_inner(), "whole");
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks it, waiting until it is this task's turn. The guard unlocks when it is dropped, also by
    /// a panic or a kill.
    ///
    /// Parks: while another task holds it. A kill ends the wait; one that comes after the lock was
    /// handed over waits for the task's next park.
    ///
    /// # Panics
    ///
    /// If this task holds the lock, with both places; outside of a task, if it is locked.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = maypole::sync::Mutex::new(vec![1]);
    /// mutex.lock().push(2);
    /// assert_eq!(*mutex.lock(), [1, 2]);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.wait_for(Limit::Never, Location::caller())
            .expect("a lock without a deadline does not time out")
    }

    /// Locks it if it is free; `None` if it is not.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = maypole::sync::Mutex::new(0);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let at = Location::caller();
        touch("try_lock", at);
        self.lock.take(at).then(|| self.guard())
    }

    /// Locks it, waiting for at most `timeout`; `None` when it was not free by then.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, scope, sync::Mutex};
    /// use std::time::Duration;
    /// run(|| {
    ///     let mutex = Mutex::new(());
    ///     let guard = mutex.lock();
    ///     scope(|s| {
    ///         let late = s.spawn(|| mutex.lock_timeout(Duration::from_millis(1)).is_none());
    ///         assert!(late.join().unwrap());
    ///     });
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.wait_for(Limit::After(timeout), Location::caller())
    }

    /// Locks it, waiting until `deadline` at the latest; `None` when it was not free by then.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, sync::Mutex, time};
    /// run(|| {
    ///     let mutex = Mutex::new(7);
    ///     assert_eq!(*mutex.lock_deadline(time::now()).unwrap(), 7); // it is free
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_deadline(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        self.wait_for(Limit::At(deadline), Location::caller())
    }

    /// The value; nobody else can lock a mutex that is borrowed mutably. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut mutex = maypole::sync::Mutex::new(1);
    /// *mutex.get_mut() = 2;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline(always)]
    fn wait_for(&self, limit: Limit, at: Place) -> Option<MutexGuard<'_, T>> {
        let wait = Wait {
            what: What::Lock,
            at,
        };
        block_on_within(Locking { mutex: self, at }, || limit.deadline(), wait)
    }

    /// The guard of a lock that was just taken.
    #[inline(always)]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            value: self.value.borrow_mut(),
            held: Held(self),
        }
    }
}

/// Waits for the lock.
pub(super) struct Locking<'a, T: ?Sized> {
    pub(super) mutex: &'a Mutex<T>,
    pub(super) at: Place,
}

impl<'a, T: ?Sized> Case for Locking<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline(always)]
    fn try_now(&mut self) -> Option<Self::Output> {
        let lock = &self.mutex.lock;
        if !lock.take(self.at) {
            lock.refuse_outside(&KIND, What::Lock, self.at);
            return None;
        }
        Some(self.mutex.guard())
    }

    #[inline(always)]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (self.mutex.lock.enlist(&KIND, What::Lock, self.at), 0)
    }

    #[inline(always)]
    fn accept(&mut self, _: usize) -> Option<Self::Output> {
        self.mutex.lock.receive(self.at);
        Some(self.mutex.guard())
    }
}

/// The right to use the value of a [`Mutex`]; unlocks it when dropped.
///
/// # Examples
///
/// ```
/// use maypole::sync::{Mutex, MutexGuard};
/// fn bump(mut count: MutexGuard<'_, u32>) {
///     *count += 1;
/// } // unlocked here
/// let count = Mutex::new(0);
/// bump(count.lock());
/// assert_eq!(*count.lock(), 1);
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::MutexGuard<'static, u8>>();
/// ```
#[must_use = "if unused the mutex is unlocked at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    // Dropped in this order: the value is free before the lock is handed over.
    value: RefMut<'a, T>,
    held: Held<'a, T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.held.0
    }

    /// Unlocks as a part of another call, which is no step of its own.
    pub(super) fn release(self) {
        let MutexGuard { value, held } = self;
        drop(value);
        held.0.lock.release();
        std::mem::forget(held);
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A lock that is held; dropping it unlocks.
struct Held<'a, T: ?Sized>(&'a Mutex<T>);

impl<T: ?Sized> Drop for Held<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(at) = self.0.lock.held_at() {
            touch("unlock", at);
        }
        self.0.lock.release();
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

/// Shows the value, or that it is locked.
impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    #[track_caller]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        // Locked for the time, since what the value does in its `Debug` may park.
        match self.lock.take(Location::caller()).then(|| self.guard()) {
            Some(guard) => shown.field("value", &&*guard),
            None => shown.field("value", &format_args!("<locked>")),
        };
        shown.finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}
impl<T: ?Sized> UnwindSafe for MutexGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for MutexGuard<'_, T> {}
