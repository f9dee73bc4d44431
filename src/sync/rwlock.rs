//! A lock around a value, shared by readers, for what must stay whole across a park.
use super::facts::{HolderKey, Label, Place};
use super::shares::{Share, Shares};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue};
use crate::select::{Case, Limit, block_on_within};
use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

const KIND: &str = "RwLock";

/// A value that many tasks may read at a time, or one may change, also while they park.
///
/// As [`std::sync::RwLock`], between tasks, and with the differences of [`Mutex`](super::Mutex): it
/// is handed over first in, first out, and there is no poisoning. A reader that comes while a writer
/// waits goes behind it, so writers are not starved; a writer that leaves lets all the readers in
/// that are next in line.
///
/// A guard belongs to the task that locked. A task that has one may get another share for reading,
/// unless it would have to wait for it: then it would wait for itself, and panics with both places.
///
/// # Examples
///
/// ```
/// use maypole::{run, scope, sync::RwLock, yield_now};
/// run(|| {
///     let settings = RwLock::named("settings", vec!["a=1"]);
///     scope(|s| {
///         for _ in 0..3 {
///             s.spawn(|| {
///                 let settings = settings.read();
///                 let before = settings.len();
///                 yield_now(); // other readers run, no writer does
///                 assert_eq!(settings.len(), before);
///             });
///         }
///         s.spawn(|| settings.write().push("b=2"));
///     });
///     assert_eq!(*settings.read(), ["a=1", "b=2"]);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::RwLock<u8>>();
/// ```
pub struct RwLock<T: ?Sized> {
    shares: Rc<Shares>,
    value: RefCell<T>,
}

impl<T> RwLock<T> {
    /// Makes one, unlocked. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = maypole::sync::RwLock::new(1); // needs no run until it has to wait
    /// assert_eq!(*lock.read(), 1);
    /// ```
    #[track_caller]
    pub fn new(value: T) -> Self {
        RwLock {
            shares: Shares::new(Label::new(KIND, Location::caller())),
            value: RefCell::new(value),
        }
    }

    /// Makes one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(*maypole::sync::RwLock::named("settings", 1).read(), 1);
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, value: T) -> Self {
        RwLock {
            shares: Shares::new(Label::named(KIND, name, Location::caller())),
            value: RefCell::new(value),
        }
    }

    /// The value, of a lock that is nobody else's. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::sync::RwLock::new("whole").into_inner(), "whole");
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks it for reading, waiting while a writer is inside or anybody waits already.
    ///
    /// Parks: until it is this task's turn. A kill ends the wait; one that comes after the share
    /// was handed over waits for the task's next park.
    ///
    /// # Panics
    ///
    /// If it would have to wait and this task has a guard, with both places; outside of a task, if
    /// it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = maypole::sync::RwLock::new(1);
    /// let (one, other) = (lock.read(), lock.read());
    /// assert_eq!(*one + *other, 2);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.reading(Limit::Never, Location::caller())
            .expect("a lock without a deadline does not time out")
    }

    /// Locks it for reading if that needs no waiting; `None` if it does.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = maypole::sync::RwLock::new(1);
    /// let writer = lock.write();
    /// assert!(lock.try_read().is_none());
    /// drop(writer);
    /// assert!(lock.try_read().is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let at = Location::caller();
        touch("try_read", at);
        self.shares.take(Share::Read).then(|| self.read_guard(at))
    }

    /// Locks it for reading, waiting for at most `timeout`; `None` when its turn had not come.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let lock = maypole::sync::RwLock::new(1);
    ///     assert!(lock.read_timeout(Duration::from_millis(1)).is_some());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn read_timeout(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        self.reading(Limit::After(timeout), Location::caller())
    }

    /// Locks it for reading, waiting until `deadline` at the latest; `None` when its turn had not
    /// come.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let lock = maypole::sync::RwLock::new(1);
    ///     assert!(lock.read_deadline(maypole::time::now()).is_some());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn read_deadline(&self, deadline: Instant) -> Option<RwLockReadGuard<'_, T>> {
        self.reading(Limit::At(deadline), Location::caller())
    }

    /// Locks it for writing, waiting until all are out that are in, and those served that came
    /// before.
    ///
    /// Parks: until it is this task's turn. A kill ends the wait; one that comes after the lock was
    /// handed over waits for the task's next park.
    ///
    /// # Panics
    ///
    /// If this task has a guard, with both places; outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = maypole::sync::RwLock::new(vec![1]);
    /// lock.write().push(2);
    /// assert_eq!(*lock.read(), [1, 2]);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.writing(Limit::Never, Location::caller())
            .expect("a lock without a deadline does not time out")
    }

    /// Locks it for writing if that needs no waiting; `None` if it does.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = maypole::sync::RwLock::new(1);
    /// let reader = lock.read();
    /// assert!(lock.try_write().is_none());
    /// drop(reader);
    /// *lock.try_write().unwrap() = 2;
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let at = Location::caller();
        touch("try_write", at);
        self.shares.take(Share::Write).then(|| self.write_guard(at))
    }

    /// Locks it for writing, waiting for at most `timeout`; `None` when its turn had not come.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait. Readers that came behind it are let in
    /// when it gives up.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let lock = maypole::sync::RwLock::new(1);
    ///     *lock.write_timeout(Duration::from_millis(1)).unwrap() = 2;
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn write_timeout(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        self.writing(Limit::After(timeout), Location::caller())
    }

    /// Locks it for writing, waiting until `deadline` at the latest; `None` when its turn had not
    /// come.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait. Readers that came behind it are
    /// let in when it gives up.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let lock = maypole::sync::RwLock::new(1);
    ///     *lock.write_deadline(maypole::time::now()).unwrap() = 2;
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn write_deadline(&self, deadline: Instant) -> Option<RwLockWriteGuard<'_, T>> {
        self.writing(Limit::At(deadline), Location::caller())
    }

    /// The value; nobody else can lock a lock that is borrowed mutably. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut lock = maypole::sync::RwLock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline(always)]
    fn reading(&self, limit: Limit, at: Place) -> Option<RwLockReadGuard<'_, T>> {
        self.enter(Share::Read, limit, at)
            .map(|()| self.read_guard(at))
    }

    #[inline(always)]
    fn writing(&self, limit: Limit, at: Place) -> Option<RwLockWriteGuard<'_, T>> {
        self.enter(Share::Write, limit, at)
            .map(|()| self.write_guard(at))
    }

    #[inline(always)]
    fn enter(&self, share: Share, limit: Limit, at: Place) -> Option<()> {
        let case = Entering {
            shares: &self.shares,
            share,
            at,
            waits: false,
        };
        let wait = Wait {
            what: share.what(),
            at,
        };
        block_on_within(case, || limit.deadline(), wait)
    }

    /// The guard of a share that was just taken.
    #[inline(always)]
    fn read_guard(&self, at: Place) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard {
            value: self.value.borrow(),
            held: self.held(Share::Read, at),
        }
    }

    #[inline(always)]
    fn write_guard(&self, at: Place) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard {
            value: self.value.borrow_mut(),
            held: self.held(Share::Write, at),
            lock: self,
        }
    }

    #[inline(always)]
    fn held(&self, share: Share, at: Place) -> Held<'_> {
        Held {
            shares: &self.shares,
            share,
            at,
            holder: self.shares.holders.add(at),
        }
    }
}

/// Waits for a share.
struct Entering<'a> {
    shares: &'a Rc<Shares>,
    share: Share,
    at: Place,
    /// Whether it stands in the line.
    waits: bool,
}

impl Case for Entering<'_> {
    type Output = ();

    #[inline(always)]
    fn try_now(&mut self) -> Option<()> {
        self.shares.take(self.share).then_some(())
    }

    #[inline(always)]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let place = self.shares.enlist(self.share, self.at);
        self.waits = true;
        place
    }

    #[inline(always)]
    fn accept(&mut self, _: usize) -> Option<()> {
        self.waits = false;
        Some(())
    }
}

impl Drop for Entering<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.waits {
            // It left the line without its share: the next may be one that there is room for.
            self.shares.serve();
        }
    }
}

/// A share that is held; dropping it gives it back.
struct Held<'a> {
    shares: &'a Rc<Shares>,
    share: Share,
    at: Place,
    holder: HolderKey,
}

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        touch("unlock", self.at);
        self.shares.holders.remove(self.holder);
        self.shares.give_back(self.share);
    }
}

/// The right to read the value of a [`RwLock`]; given back when dropped.
///
/// # Examples
///
/// ```
/// use maypole::sync::{RwLock, RwLockReadGuard};
/// fn first(words: &RwLockReadGuard<'_, Vec<&'static str>>) -> &'static str {
///     words[0]
/// }
/// let words = RwLock::new(vec!["may", "pole"]);
/// assert_eq!(first(&words.read()), "may");
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::RwLockReadGuard<'static, u8>>();
/// ```
#[must_use = "if unused the lock is given back at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // Dropped in this order: the value is free before the lock is handed over.
    value: Ref<'a, T>,
    #[expect(dead_code, reason = "gives the share back when it is dropped")]
    held: Held<'a>,
}

/// The right to change the value of a [`RwLock`]; given back when dropped.
///
/// # Examples
///
/// ```
/// use maypole::sync::{RwLock, RwLockWriteGuard};
/// fn clear(mut words: RwLockWriteGuard<'_, Vec<&str>>) {
///     words.clear();
/// } // unlocked here
/// let words = RwLock::new(vec!["may", "pole"]);
/// clear(words.write());
/// assert!(words.read().is_empty());
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::RwLockWriteGuard<'static, u8>>();
/// ```
#[must_use = "if unused the lock is given back at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    // Dropped in this order: the value is free before the lock is handed over.
    value: RefMut<'a, T>,
    held: Held<'a>,
    lock: &'a RwLock<T>,
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns it into a share for reading, with no other writer in between; readers that are next
    /// in line come in. Called as `RwLockWriteGuard::downgrade(guard)`. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::sync::{RwLock, RwLockWriteGuard};
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.write();
    /// *writer = 2;
    /// let reader = RwLockWriteGuard::downgrade(writer);
    /// assert_eq!((*reader, lock.try_read().is_some()), (2, true));
    /// ```
    #[track_caller]
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        touch("downgrade", Location::caller());
        let RwLockWriteGuard {
            value,
            mut held,
            lock,
        } = guard;
        drop(value);
        held.share = Share::Read;
        held.shares.downgrade();
        RwLockReadGuard {
            value: lock.value.borrow(),
            held,
        }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> From<T> for RwLock<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

/// Shows the value, or that it is locked for writing.
impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    #[track_caller]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        let at = Location::caller();
        match self.shares.take(Share::Read).then(|| self.read_guard(at)) {
            Some(guard) => shown.field("value", &&*guard),
            None => shown.field("value", &format_args!("<locked>")),
        };
        shown.finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}
impl<T: ?Sized> UnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized> UnwindSafe for RwLockWriteGuard<'_, T> {}
impl<T: ?Sized> RefUnwindSafe for RwLockWriteGuard<'_, T> {}
