//! Handles: waiting for a task's end.
use super::error::JoinError;
use super::handle::Task;
use super::packet::Harvest;
use crate::scheduler::kill::Killed;
use crate::scheduler::park::touch;
use crate::scheduler::task::Fate;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{self, deadline_after};
use crate::select::{Alternative, Case, Claim, Deadline, Handle, Interest, Operation, block_on};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What both kinds of handle are.
struct Core<'a, T> {
    packet: Rc<dyn Harvest<T> + 'a>,
    task: Task,
}

impl<T> Core<'_, T> {
    #[inline(always)]
    #[track_caller]
    fn join(&self, deadline: Option<u64>) -> Option<Result<T, JoinError>> {
        let wait = Wait {
            what: What::Join(self.task.id()),
            at: Location::caller(),
        };
        block_on(Join { core: self }, deadline, wait)
    }

    fn is_finished(&self) -> bool {
        self.packet.about().fate.get() != Fate::Alive
    }
}

impl<T> Drop for Core<'_, T> {
    fn drop(&mut self) {
        self.packet.about().wanted.set(false);
        drop(self.packet.outcome().take());
    }
}

/// Waits for the end of a task and takes its result.
struct Join<'j, 'a, T> {
    core: &'j Core<'a, T>,
}

impl<T> Case for Join<'_, '_, T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn try_now(&mut self) -> Option<Self::Output> {
        let about = self.core.packet.about();
        let fate = about.fate.get();
        if fate == Fate::Alive {
            return None;
        }
        Some(match self.core.packet.outcome().take() {
            Some(result) => {
                if result.as_ref().is_err_and(JoinError::was_kept) {
                    scheduler::panic_joined(self.core.task.id());
                }
                result
            }
            None if fate == Fate::Abandoned && about.wanted.replace(false) => {
                Err(JoinError::abandoned(self.core.task.id(), about))
            }
            None => panic!("maypole: the task was joined before, its result is gone"),
        })
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (&self.core.packet.about().joiners, 0)
    }

    #[inline]
    fn accept(&mut self, _: usize) -> Option<Self::Output> {
        self.try_now()
    }
}

/// The case of a `select!`.
impl<T> Alternative for Core<'_, T> {
    fn is_ready(&self, _: bool) -> bool {
        self.is_finished()
    }

    fn claim(&self, _: Option<&Deadline>, _: Wait) -> Option<Claim> {
        self.is_finished().then_some(Claim::Ended)
    }

    fn enlist(&self, _: Interest) -> (&WaitQueue, usize) {
        (&self.packet.about().joiners, 0)
    }

    fn accept(&self, _: usize) -> Option<Claim> {
        Some(Claim::Ended)
    }

    fn release(&self, _: Claim) {}

    fn address(&self) -> *const () {
        Rc::as_ptr(&self.packet).cast()
    }
}

/// Owns the right to wait for a task's end. Dropping it detaches the task, as in std.
///
/// # Examples
///
/// ```
/// let sum = maypole::run(|| {
///     let handle = maypole::spawn(|| (1..=10).sum::<u32>());
///     handle.join().unwrap()
/// });
/// assert_eq!(sum, 55);
/// ```
///
/// It stays in its OS thread, as its task does:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::JoinHandle<u8>>();
/// ```
pub struct JoinHandle<T>(Core<'static, T>);

/// Owns the right to wait for the end of a task of a [`scope`](crate::scope()).
///
/// It stays in its OS thread, as its task does:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::ScopedJoinHandle<'static, u8>>();
/// ```
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let words = ["may", "pole"];
///     maypole::scope(|s| {
///         let handle = s.spawn(|| words.concat());
///         assert_eq!(handle.join().unwrap(), "maypole");
///     });
/// });
/// ```
pub struct ScopedJoinHandle<'scope, T>(Core<'scope, T>);

macro_rules! handle_methods {
    ($($head:tt)*) => {
        $($head)* {
            /// Waits for the task to end and gives its result.
            ///
            /// Parks: until the task ends. A kill of the caller ends the wait; the handle is
            /// dropped with it.
            ///
            /// # Errors
            ///
            /// [`JoinError`], if the task panicked, was killed or was abandoned.
            ///
            /// # Panics
            ///
            /// Outside of a task, if the task has not ended; after
            /// [`join_timeout`](Self::join_timeout) gave the result.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            ///     assert_eq!(maypole::spawn(|| 42).join().unwrap(), 42);
            ///     assert!(maypole::spawn(|| panic!("no luck")).join().is_err());
            /// });
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn join(self) -> Result<T, JoinError> {
                self.0
                    .join(None)
                    .expect("a join without a deadline does not time out")
            }

            /// Waits at most `timeout` for the task to end; `None` when it has not.
            ///
            /// Parks: for at most `timeout`. A kill of the caller ends the wait.
            ///
            /// # Errors
            ///
            /// As [`join`](Self::join).
            ///
            /// # Panics
            ///
            /// Outside of a task, if the task has not ended; after it gave the result.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            /// maypole::run(|| {
            ///     let mut handle = maypole::spawn(|| maypole::task::park());
            ///     assert!(handle.join_timeout(Duration::from_millis(1)).is_none());
            ///     handle.task().unpark();
            ///     assert!(handle.join_timeout(Duration::from_secs(60)).unwrap().is_ok());
            /// });
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn join_timeout(&mut self, timeout: Duration) -> Option<Result<T, JoinError>> {
                match self.0.is_finished() {
                    true => self.0.join(None),
                    false => self.0.join(deadline_after(timeout)),
                }
            }

            /// Whether the task has ended. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            ///     let handle = maypole::spawn(|| ());
            ///     assert!(!handle.is_finished());
            ///     maypole::yield_now();
            ///     assert!(handle.is_finished());
            /// });
            /// ```
            #[track_caller]
            pub fn is_finished(&self) -> bool {
                touch("is_finished", Location::caller());
                self.0.is_finished()
            }

            /// Kills the task; see [`Task::kill`].
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            ///     let handle = maypole::spawn(|| maypole::task::park());
            ///     handle.kill("not needed");
            ///     assert!(handle.join().unwrap_err().is_killed());
            /// });
            /// ```
            #[track_caller]
            pub fn kill(&self, reason: &str) -> Killed {
                self.0.task.kill(reason)
            }

            #[doc(hidden)]
            pub fn __case(&self) -> Handle<'_> {
                Handle::new(&self.0)
            }

            #[doc(hidden)]
            #[track_caller]
            pub fn __complete(&self, operation: Operation<'_>) -> Result<T, JoinError> {
                let Claim::Ended = operation.take(&self.0) else {
                    unreachable!("a task has no other claim");
                };
                let result = Join { core: &self.0 }.try_now();
                result.expect("a task that has ended has a result")
            }

            /// The task itself, to be asked, paused or killed.
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            ///     let handle = maypole::spawn(|| maypole::task::current());
            ///     let task = handle.task().clone(); // may outlive the handle
            ///     assert_eq!(handle.join().unwrap(), task);
            /// });
            /// ```
            pub fn task(&self) -> &Task {
                &self.0.task
            }
        }
    };
}

handle_methods!(impl<T> JoinHandle<T>);
handle_methods!(impl<'scope, T> ScopedJoinHandle<'scope, T>);

impl<T> JoinHandle<T> {
    pub(super) fn new(packet: Rc<dyn Harvest<T>>, task: Task) -> Self {
        JoinHandle(Core { packet, task })
    }

    /// Who waits for the end of the task.
    pub(crate) fn joiners(&self) -> &WaitQueue {
        &self.0.packet.about().joiners
    }

    /// Why the task has no result, if it has failed: that counts as joined.
    pub(crate) fn take_failure(&self) -> Option<JoinError> {
        if !self.0.is_finished() {
            return None;
        }
        match (Join { core: &self.0 }).try_now()? {
            Ok(value) => {
                self.0.packet.outcome().give_back(Ok(value));
                None
            }
            Err(error) => Some(error),
        }
    }
}

/// Polls for the end of the task, under any executor of futures on this OS thread.
///
/// # Panics
///
/// When polled again after it gave the result.
impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let core = &self.get_mut().0;
        match (Join { core }).try_now() {
            Some(result) => Poll::Ready(result),
            None => {
                core.packet.about().wake_at_end(context.waker());
                Poll::Pending
            }
        }
    }
}

impl<'scope, T> ScopedJoinHandle<'scope, T> {
    pub(super) fn new(packet: Rc<dyn Harvest<T> + 'scope>, task: Task) -> Self {
        ScopedJoinHandle(Core { packet, task })
    }
}

impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> UnwindSafe for ScopedJoinHandle<'_, T> {}
impl<T> RefUnwindSafe for ScopedJoinHandle<'_, T> {}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.0.task).finish()
    }
}

impl<T> std::fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ScopedJoinHandle")
            .field(&self.0.task)
            .finish()
    }
}
