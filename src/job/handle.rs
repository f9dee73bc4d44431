//! The handles: what anybody may ask of a job.
use super::seat::Seat;
use super::thread::ThreadSeat;
use super::tray::TaskSeat;
use crate::channel::{RecvError, RecvTimeoutError, TryRecvError};
use crate::select::Limit;
use crate::task::{JoinError, Killed, Status};
use std::cell::OnceCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;
use std::time::Duration;

/// A job in a task; see [`in_task`](super::in_task). Dropping it kills the job, without waiting.
///
/// # Examples
///
/// ```
/// use maypole::job;
/// maypole::run(|| {
///     let endless = job::in_task(|y| (0_u64..).for_each(|n| y.yield_(n)));
///     assert_eq!(endless.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
///     endless.kill("three are enough");
///     assert!(endless.join().unwrap_err().is_killed());
/// });
/// ```
///
/// It stays in its OS thread, as its task does:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::job::Job<u8, u8>>();
/// ```
pub struct Job<Y: 'static, R: 'static> {
    seat: TaskSeat<Y, R>,
    failure: OnceCell<JoinError>,
}

/// A job in an OS thread of its own; see [`in_thread`](super::in_thread). Dropping it kills the
/// job, without waiting.
///
/// It may be used in tasks, which park, and in other OS threads, which block. Where an OS thread
/// that a run does not know of is to let a job go on that tasks of the run wait for, it holds a
/// [`Remote`](crate::thread::Remote) of the run meanwhile: otherwise the run is in a deadlock.
///
/// # Examples
///
/// ```
/// use maypole::job;
/// let endless = job::in_thread(|y| (0_u64..).for_each(|n| y.yield_(n)));
/// assert_eq!(endless.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
/// endless.kill("three are enough");
/// assert!(endless.join().unwrap_err().is_killed());
/// ```
///
/// What it yields crosses OS threads:
///
/// ```compile_fail,E0277
/// maypole::job::in_thread(|y| y.yield_(std::rc::Rc::new(1)));
/// ```
pub struct ThreadJob<Y: Send + 'static, R: Send + 'static> {
    seat: ThreadSeat<Y, R>,
    failure: OnceLock<JoinError>,
}

macro_rules! handle_methods {
    ($make:literal, $kill:literal, $pause:literal, $($head:tt)*) => {
        $($head)* {
            /// Kills the job: its body unwinds, where it runs, so that its destructors run; tells
            /// where it was. `reason` shows in [`JoinError`]. What was yielded before stays
            /// readable.
            ///
            #[doc = $kill]
            /// A kill lifts a pause. A body that catches it is killed again where it yields next,
            /// and is abandoned after 64 times. A killed job is never a success: `join` gives an
            /// error, whatever the body returns.
            ///
            /// Parks: no; it waits for nothing and runs no code of the body.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::{job, task::Killed};
            /// maypole::run(|| {
            #[doc = concat!("    let job = job::", $make, "(|y| (0..).for_each(|n| y.yield_(n)));")]
            ///     assert_eq!(job.recv(), Ok(0));
            ///     job.kill("no longer needed");
            ///     assert!(matches!(job.kill("again"), Killed::Already | Killed::Finished));
            ///     assert_eq!(job.join().unwrap_err().reason(), Some("no longer needed"));
            /// });
            /// ```
            #[track_caller]
            pub fn kill(&self, reason: &str) -> Killed {
                self.seat.kill(reason)
            }

            /// Holds the body back until [`resume`](Self::resume).
            ///
            #[doc = $pause]
            /// A kill lifts the pause, and so does a `join`, after which nobody else could.
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::{job, task::Status};
            /// maypole::run(|| {
            #[doc = concat!("    let job = job::", $make, "(|y| (0..3).for_each(|n| y.yield_(n)));")]
            ///     job.pause();
            ///     # if job.status() != Status::Finished {
            ///     assert_eq!(job.status(), Status::Paused);
            ///     # }
            ///     job.resume();
            ///     assert_eq!(job.iter().count(), 3);
            /// });
            /// ```
            #[track_caller]
            pub fn pause(&self) {
                self.seat.pause();
            }

            /// Lets a paused body go on where it was. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y| y.yield_(1));")]
            ///     job.pause();
            ///     job.resume();
            ///     assert_eq!(job.recv(), Ok(1));
            /// });
            /// ```
            #[track_caller]
            pub fn resume(&self) {
                self.seat.go_on();
            }

            /// How the job stands. [`Killing`](Status::Killing) from a kill on until the body has
            /// ended: its destructors have run by the time that it is [`Killed`](Status::Killed).
            /// One that waits until a value is taken is parked in a send. The last four states are
            /// final.
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::{generator::Yielder, job, task::Status};
            /// maypole::run(|| {
            #[doc = concat!("    let job = job::", $make, "(|_: &Yielder<u8>| 42);")]
            ///     assert!(job.recv().is_err()); // it has ended
            ///     assert_eq!(job.status(), Status::Finished);
            /// });
            /// ```
            #[track_caller]
            pub fn status(&self) -> Status {
                self.seat.status()
            }

            /// The next value, in the order of the yields.
            ///
            /// Parks: until there is one, or the body has ended. A kill of the caller ends the
            /// wait, and no value is lost.
            ///
            /// # Errors
            ///
            /// [`RecvError`], when the body has ended and all values are taken.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y| y.yield_(\"one\"));")]
            ///     assert_eq!(job.recv(), Ok("one"));
            ///     assert!(job.recv().is_err());
            /// });
            /// ```
            #[track_caller]
            pub fn recv(&self) -> Result<Y, RecvError> {
                self.seat.recv(Limit::Never).map_err(|_| RecvError)
            }

            /// The next value, if there is one now. Parks: no.
            ///
            /// # Errors
            ///
            /// [`TryRecvError::Empty`], or [`Disconnected`](TryRecvError::Disconnected) when the
            /// body has ended and all values are taken.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y| y.yield_(1));")]
            ///     let mut taken = job.try_recv();
            ///     while taken.is_err() {
            ///         maypole::yield_now();
            ///         taken = job.try_recv();
            ///     }
            ///     assert_eq!(taken, Ok(1));
            /// });
            /// ```
            #[track_caller]
            pub fn try_recv(&self) -> Result<Y, TryRecvError> {
                self.seat.try_recv()
            }

            /// The next value, if it comes in time.
            ///
            /// Parks: for at most `timeout`. A kill of the caller ends the wait, and no value is
            /// lost.
            ///
            /// # Errors
            ///
            /// [`RecvTimeoutError`].
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y| y.yield_(1));")]
            ///     assert_eq!(job.recv_timeout(Duration::from_secs(60)), Ok(1));
            /// });
            /// ```
            #[track_caller]
            pub fn recv_timeout(&self, timeout: Duration) -> Result<Y, RecvTimeoutError> {
                self.seat.recv(Limit::After(timeout))
            }

            /// The values one after another, until the body has ended; each as by
            /// [`recv`](Self::recv).
            ///
            /// Parks: no, but `next` does.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y| (0..3).for_each(|n| y.yield_(n)));")]
            ///     assert_eq!(job.iter().collect::<Vec<_>>(), [0, 1, 2]);
            /// });
            /// ```
            pub fn iter(&self) -> Iter<'_, Self> {
                Iter(self)
            }

            /// Why there is no result, once the body has ended without one: the message of its
            /// panic, the place and the backtrace, or who has killed it. The values stay readable.
            ///
            /// A panic that was looked at here counts as joined.
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// # std::panic::set_hook(Box::new(|_| ()));
            /// use maypole::generator::Yielder;
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y: &Yielder<u32>| {")]
            ///         y.yield_(1);
            ///         panic!("no luck");
            ///     });
            ///     assert_eq!(job.iter().collect::<Vec<_>>(), [1]);
            ///     let failure = job.failure().unwrap();
            ///     assert_eq!(failure.message(), Some("no luck"));
            ///     println!("{}, {:?}", failure.location().unwrap(), failure.backtrace());
            ///     assert!(job.join().unwrap_err().is_panic());
            /// });
            /// ```
            pub fn failure(&self) -> Option<&JoinError> {
                if self.failure.get().is_none()
                    && let Some(failure) = self.seat.take_failure()
                {
                    let _ = self.failure.set(failure);
                }
                self.failure.get()
            }

            /// Whether the body has ended, one way or the other. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|y| y.yield_(1));")]
            ///     assert_eq!(job.iter().count(), 1);
            ///     assert!(job.is_finished());
            /// });
            /// ```
            #[track_caller]
            pub fn is_finished(&self) -> bool {
                matches!(
                    self.status(),
                    Status::Finished | Status::Panicked | Status::Killed | Status::Abandoned
                )
            }

            /// Waits for the body to end and gives its result. Values that were not taken are
            /// dropped.
            ///
            /// Parks: until the body has ended. A kill of the caller ends the wait, and kills the
            /// job, as its handle is dropped.
            ///
            /// # Errors
            ///
            /// [`JoinError`], if the body panicked, was killed or was abandoned.
            ///
            /// # Examples
            ///
            /// ```
            /// use maypole::generator::Yielder;
            /// maypole::run(|| {
            #[doc = concat!("    let job = maypole::job::", $make, "(|_: &Yielder<u8>| 42);")]
            ///     assert_eq!(job.join().unwrap(), 42);
            /// });
            /// ```
            #[track_caller]
            pub fn join(mut self) -> Result<R, JoinError> {
                match self.failure.take() {
                    Some(failure) => Err(failure),
                    None => self.seat.join(),
                }
            }
        }
    };
}

handle_methods!(
    "in_task",
    "The body is a task: it unwinds from whatever it waits in, and from its next yield or checkpoint \
     if it computes.",
    "The body is a task: it is held back from its next turn on, so at its next yield, checkpoint or \
     park at the latest. A wake that comes meanwhile is kept.",
    impl<Y: 'static, R: 'static> Job<Y, R>
);
handle_methods!(
    "in_thread",
    "It unwinds from its next yield or checkpoint, and at once if it is held there. A body that \
     computes, or waits for something else, goes on until then.",
    "It is held at its next yield or checkpoint, or before it begins.",
    impl<Y: Send + 'static, R: Send + 'static> ThreadJob<Y, R>
);

impl<Y: 'static, R: 'static> Job<Y, R> {
    pub(super) fn new(seat: TaskSeat<Y, R>) -> Self {
        let failure = OnceCell::new();
        Job { seat, failure }
    }
}

impl<Y: Send + 'static, R: Send + 'static> ThreadJob<Y, R> {
    pub(super) fn new(seat: ThreadSeat<Y, R>) -> Self {
        let failure = OnceLock::new();
        ThreadJob { seat, failure }
    }
}

/// The values of a job, one after another: [`Job::iter`], [`ThreadJob::iter`].
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let job = maypole::job::in_task(|y| (0..3).for_each(|n| y.yield_(n)));
///     let mut sum = 0;
///     for n in &job {
///         sum += n;
///     }
///     assert_eq!(sum, 3);
/// });
/// ```
pub struct Iter<'a, J>(&'a J);

impl<Y: 'static, R: 'static> Iterator for Iter<'_, Job<Y, R>> {
    type Item = Y;

    fn next(&mut self) -> Option<Y> {
        self.0.recv().ok()
    }
}

impl<Y: Send + 'static, R: Send + 'static> Iterator for Iter<'_, ThreadJob<Y, R>> {
    type Item = Y;

    fn next(&mut self) -> Option<Y> {
        self.0.recv().ok()
    }
}

impl<'a, Y: 'static, R: 'static> IntoIterator for &'a Job<Y, R> {
    type Item = Y;
    type IntoIter = Iter<'a, Job<Y, R>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, Y: Send + 'static, R: Send + 'static> IntoIterator for &'a ThreadJob<Y, R> {
    type Item = Y;
    type IntoIter = Iter<'a, ThreadJob<Y, R>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<Y: 'static, R: 'static> UnwindSafe for Job<Y, R> {}
impl<Y: 'static, R: 'static> RefUnwindSafe for Job<Y, R> {}
impl<Y: Send + 'static, R: Send + 'static> UnwindSafe for ThreadJob<Y, R> {}
impl<Y: Send + 'static, R: Send + 'static> RefUnwindSafe for ThreadJob<Y, R> {}

impl<Y: 'static, R: 'static> fmt::Debug for Job<Y, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("Job").field("status", &status).finish()
    }
}

impl<Y: Send + 'static, R: Send + 'static> fmt::Debug for ThreadJob<Y, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("ThreadJob")
            .field("status", &status)
            .finish()
    }
}

impl<J> fmt::Debug for Iter<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}
