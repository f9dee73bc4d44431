//! Waiting, with a lock given back meanwhile, until somebody says that things have changed.
use super::facts::{Label, Place};
use super::mutex::{Locking, Mutex, MutexGuard};
use crate::scheduler::kill::Shield;
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{wake_all, wake_one};
use crate::select::{Case, Deadline, Limit, block_on_within, wait_out};
use std::fmt;
use std::panic::{
    AssertUnwindSafe, Location, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind,
};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

const KIND: &str = "Condvar";

/// Lets tasks that hold a [`Mutex`] wait until another says that its value has changed.
///
/// As [`std::sync::Condvar`], between tasks, and with these differences. Nobody is woken without a
/// reason, and those that wait are woken first in, first out; but between the wake and the lock
/// another task may have changed the value again, so it is still right to wait in a loop, or by
/// [`wait_while`](Self::wait_while). It may be used with any mutex at any time.
///
/// Between two parks a task is alone, so where nothing is held across a park an
/// [`Event`](super::Event) does without the mutex.
///
/// # Examples
///
/// ```
/// use maypole::{run, spawn, sync::{Condvar, Mutex}};
/// use std::rc::Rc;
/// run(|| {
///     let shared = Rc::new((Mutex::new(false), Condvar::new()));
///     let theirs = shared.clone();
///     spawn(move || {
///         let (ready, changed) = &*theirs;
///         *ready.lock() = true;
///         changed.notify_one();
///     });
///     let (ready, changed) = &*shared;
///     let mut guard = ready.lock();
///     while !*guard {
///         guard = changed.wait(guard);
///     }
///     assert!(*guard);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::Condvar>();
/// ```
pub struct Condvar {
    core: Rc<Core>,
}

struct Core {
    queue: WaitQueue,
    label: Label,
}

impl Object for Core {
    fn view(&self) -> ObjectView {
        self.label.view(Vec::new(), String::new())
    }
}

/// Whether a wait ended because its time was over; see [`Condvar::wait_timeout`].
///
/// # Examples
///
/// ```
/// use maypole::{run, sync::{Condvar, Mutex, WaitTimeoutResult}};
/// use std::time::Duration;
/// run(|| {
///     let (mutex, never) = (Mutex::new(()), Condvar::new());
///     let result: WaitTimeoutResult =
///         never.wait_timeout(mutex.lock(), Duration::from_millis(1)).1;
///     assert!(result.timed_out());
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before anybody woke the task. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, sync::{Condvar, Mutex}};
    /// use std::time::Duration;
    /// run(|| {
    ///     let (mutex, never) = (Mutex::new(1), Condvar::new());
    ///     let (guard, result) = never.wait_timeout(mutex.lock(), Duration::ZERO);
    ///     assert_eq!((*guard, result.timed_out()), (1, true));
    /// });
    /// ```
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Makes one that nobody waits for. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::sync::Condvar::new().notify_all(); // nobody is there: nothing happens
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        Condvar::labelled(Label::new(KIND, Location::caller()))
    }

    /// Makes one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::sync::Condvar::named("not empty").notify_one();
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>) -> Self {
        Condvar::labelled(Label::named(KIND, name, Location::caller()))
    }

    fn labelled(label: Label) -> Self {
        Condvar {
            core: Rc::new(Core {
                queue: WaitQueue::new(),
                label,
            }),
        }
    }

    /// Unlocks the mutex, waits until somebody calls [`notify_one`](Self::notify_one) or
    /// [`notify_all`](Self::notify_all), and locks the mutex again.
    ///
    /// Parks: until woken, and then until the mutex is free. A kill ends the wait; it unwinds when
    /// the mutex is locked again, so that the task leaves through the lock as it does by any other
    /// way. A task that was woken is not killed before it has returned from here: a wake is never
    /// lost.
    ///
    /// # Panics
    ///
    /// Outside of a task.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, scope, sync::{Condvar, Mutex}};
    /// run(|| {
    ///     let (queue, filled) = (Mutex::new(Vec::new()), Condvar::new());
    ///     scope(|s| {
    ///         s.spawn(|| {
    ///             queue.lock().push("job");
    ///             filled.notify_one();
    ///         });
    ///         let mut jobs = queue.lock();
    ///         while jobs.is_empty() {
    ///             jobs = filled.wait(jobs);
    ///         }
    ///         assert_eq!(*jobs, ["job"]);
    ///     });
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let forever = Deadline::new(Limit::Never);
        self.wait_for(guard, &forever, Location::caller()).0
    }

    /// Waits as [`wait`](Self::wait) does for as long as `condition` holds for the value.
    ///
    /// Parks: while the condition holds. A kill ends the wait as in [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// Outside of a task, if the condition holds; with the panic of the condition.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, scope, sync::{Condvar, Mutex}};
    /// run(|| {
    ///     let (level, risen) = (Mutex::new(0), Condvar::new());
    ///     scope(|s| {
    ///         s.spawn(|| {
    ///             for _ in 0..3 {
    ///                 *level.lock() += 1;
    ///                 risen.notify_one();
    ///                 maypole::yield_now();
    ///             }
    ///         });
    ///         let level = risen.wait_while(level.lock(), |level| *level < 3);
    ///         assert_eq!(*level, 3);
    ///     });
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Waits as [`wait`](Self::wait) does, for at most `timeout`, and tells whether the time was
    /// over first. Getting the lock again may take longer.
    ///
    /// Parks: for at most `timeout`, and then until the mutex is free. A kill ends the wait as in
    /// [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// Outside of a task.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, sync::{Condvar, Mutex}};
    /// use std::time::Duration;
    /// run(|| {
    ///     let (mutex, never) = (Mutex::new(1), Condvar::new());
    ///     let (guard, result) = never.wait_timeout(mutex.lock(), Duration::from_millis(1));
    ///     assert_eq!((*guard, result.timed_out()), (1, true));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let deadline = Deadline::new(Limit::After(timeout));
        self.wait_for(guard, &deadline, Location::caller())
    }

    /// Waits as [`wait`](Self::wait) does, until `deadline` at the latest, and tells whether the
    /// time was over first. Getting the lock again may take longer.
    ///
    /// Parks: until `deadline` at the latest, and then until the mutex is free. A kill ends the
    /// wait as in [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// Outside of a task.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, sync::{Condvar, Mutex}, time};
    /// run(|| {
    ///     let (mutex, never) = (Mutex::new(1), Condvar::new());
    ///     let (guard, result) = never.wait_deadline(mutex.lock(), time::now());
    ///     assert_eq!((*guard, result.timed_out()), (1, true));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait_deadline<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let deadline = Deadline::new(Limit::At(deadline));
        self.wait_for(guard, &deadline, Location::caller())
    }

    /// Waits while `condition` holds for the value, for at most `timeout` in all, and tells whether
    /// the time was over with the condition still holding.
    ///
    /// Parks: for at most `timeout`, and then until the mutex is free. A kill ends the wait as in
    /// [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// Outside of a task, if the condition holds; with the panic of the condition.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, sync::{Condvar, Mutex}};
    /// use std::time::Duration;
    /// run(|| {
    ///     let (jobs, filled) = (Mutex::new(0), Condvar::new());
    ///     let soon = Duration::from_millis(1);
    ///     let (jobs, result) = filled.wait_timeout_while(jobs.lock(), soon, |jobs| *jobs == 0);
    ///     assert_eq!((*jobs, result.timed_out()), (0, true));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let (deadline, at) = (Deadline::new(Limit::After(timeout)), Location::caller());
        let mut result = WaitTimeoutResult(false);
        loop {
            if !condition(&mut guard) {
                return (guard, WaitTimeoutResult(false));
            }
            if result.timed_out() {
                return (guard, result);
            }
            (guard, result) = self.wait_for(guard, &deadline, at);
        }
    }

    /// Wakes the task that has waited longest, if any waits.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, spawn, sync::{Condvar, Mutex}, yield_now};
    /// use std::rc::Rc;
    /// run(|| {
    ///     let shared = Rc::new((Mutex::new(()), Condvar::new()));
    ///     let theirs = shared.clone();
    ///     let waiter = spawn(move || drop(theirs.1.wait(theirs.0.lock())));
    ///     yield_now();
    ///     shared.1.notify_one();
    ///     waiter.join().unwrap();
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) {
        touch("notify_one", Location::caller());
        wake_one(&self.core.queue, 0);
    }

    /// Wakes all that wait; they get the lock one after another, in the order in which they came.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, spawn, sync::{Condvar, Mutex}, yield_now};
    /// use std::rc::Rc;
    /// run(|| {
    ///     let shared = Rc::new((Mutex::new(()), Condvar::new()));
    ///     let waiters = [(); 3].map(|()| {
    ///         let theirs = shared.clone();
    ///         spawn(move || drop(theirs.1.wait(theirs.0.lock())))
    ///     });
    ///     yield_now();
    ///     shared.1.notify_all();
    ///     for waiter in waiters {
    ///         waiter.join().unwrap();
    ///     }
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn notify_all(&self) {
        touch("notify_all", Location::caller());
        wake_all(&self.core.queue, 0);
    }

    fn wait_for<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: &Deadline,
        at: Place,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let mutex = guard.mutex();
        let mut waiting = Waiting {
            core: &self.core,
            guard: Some(guard),
        };
        let wait = Wait {
            what: What::Condvar,
            at,
        };
        // Caught, since what comes next may park, and a destructor must not.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            block_on_within(&mut waiting, || deadline.get(), wait)
        }));
        let guard = waiting.guard.take();
        let guard = guard.unwrap_or_else(|| lock_again(mutex, at));
        match ended {
            Ok(woken) => (guard, WaitTimeoutResult(woken.is_none())),
            Err(payload) => {
                let _unlocked_after_the_unwind_began = guard;
                resume_unwind(payload)
            }
        }
    }
}

/// Locks the mutex that a wait gave back. Neither a kill nor a timeout comes in between: the task
/// holds a wake, or is on its way out.
fn lock_again<T: ?Sized>(mutex: &Mutex<T>, at: Place) -> MutexGuard<'_, T> {
    let _shield = Shield::open();
    let wait = Wait {
        what: What::Lock,
        at,
    };
    wait_out(Locking { mutex, at }, wait)
}

/// Waits for a wake, the mutex unlocked from the moment on that it stands in the line.
struct Waiting<'a, 'c, T: ?Sized> {
    core: &'c Rc<Core>,
    guard: Option<MutexGuard<'a, T>>,
}

impl<T: ?Sized> Case for Waiting<'_, '_, T> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        None
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let core = self.core;
        core.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Core>::downgrade(core);
            object
        });
        if let Some(guard) = self.guard.take() {
            guard.release();
        }
        (&core.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        Some(())
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}
