//! Calls into a run from other OS threads.
use super::exchange::{Attempt, exchange};
use super::reply::Reply;
use super::sleeper::Sleeper;
use crate::io::{self, Address, Caller, Letter, refuse_exploring};
use crate::scheduler::wait::{Wait, What};
use crate::select::Limit;
use crate::task::{JoinError, failure_of_current, outcome_of, wake_if_abandoned};
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::task::{Wake, Waker};

thread_local! {
    /// Whom an OS thread works for that runs no scheduler.
    static EMPLOYER: RefCell<Option<Address>> = const { RefCell::new(None) };
}

/// The way into a run from other OS threads; see [`remote`].
///
/// It may be cloned and sent anywhere, and may outlive the run: then every call finds it closed.
/// While one lives, the run is in no deadlock when all its tasks wait, since somebody may still
/// call.
///
/// # Examples
///
/// ```
/// use maypole::{run, thread};
/// let answer = run(|| {
///     let remote = thread::remote();
///     let caller = std::thread::spawn(move || remote.call(|| 6 * 7));
///     while !caller.is_finished() {
///         maypole::yield_now(); // lets the task have its turn
///     }
///     caller.join().unwrap()
/// });
/// assert_eq!(answer.unwrap(), 42);
/// ```
#[derive(Clone)]
pub struct Remote(Caller);

impl UnwindSafe for Remote {}
impl RefUnwindSafe for Remote {}

/// The way into the run of this task; in the OS thread of a job, into the run that started it.
///
/// Parks: no.
///
/// # Panics
///
/// Outside of both; inside of [`explore`](crate::explore), where nothing may come from outside;
/// when the system has no descriptor to wake the run by.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let remote = maypole::thread::remote();
///     let other = std::thread::spawn(move || remote.spawn(|| println!("a task")));
///     assert!(other.join().unwrap().is_ok());
/// });
/// ```
#[track_caller]
pub fn remote() -> Remote {
    let at = Location::caller();
    refuse_exploring("thread::remote", at);
    match io::address() {
        Ok(Some(address)) => Remote::to(&address),
        Ok(None) => match employer() {
            Some(address) => Remote::to(&address),
            None => panic!(
                "maypole: thread::remote at {at} is outside of maypole::run, and this OS thread \
                 works for no run; call it in a task and hand the Remote over"
            ),
        },
        Err(error) => panic!("maypole: thread::remote at {at}: {error}"),
    }
}

/// The run of this OS thread, or else the one that it works for.
///
/// # Errors
///
/// When the system has no descriptor to wake the run by.
pub(crate) fn run_of_this_thread() -> std::io::Result<Option<Address>> {
    Ok(io::address()?.or_else(employer))
}

fn employer() -> Option<Address> {
    let look = |employer: &RefCell<Option<Address>>| employer.borrow().clone();
    EMPLOYER.try_with(look).ok().flatten()
}

/// Runs `body` on behalf of the run at `address`, in an OS thread that runs no scheduler: that run
/// is the one that [`remote`] leads to.
pub(crate) fn on_behalf_of<R>(address: &Address, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Address>);
    impl Drop for Restore {
        fn drop(&mut self) {
            employ(self.0.take());
        }
    }
    let _restore = Restore(employ(Some(address.clone())));
    body()
}

fn employ(employer: Option<Address>) -> Option<Address> {
    EMPLOYER.try_with(|slot| slot.replace(employer)).ok()?
}

impl Remote {
    /// The way into the run at `address`.
    pub(crate) fn to(address: &Address) -> Self {
        Remote(address.caller())
    }

    fn address(&self) -> &Address {
        self.0.address()
    }

    /// Starts a task there, which nobody joins. A panic of it is named at the end of the run.
    ///
    /// Parks: no; it never waits for the run.
    ///
    /// # Errors
    ///
    /// [`Closed`], if the run is over: `f` is dropped here and now. If the run ends before it has
    /// begun the task, `f` is dropped in the run's OS thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let kept = maypole::run(|| {
    ///     let remote = maypole::thread::remote();
    ///     remote.spawn(|| println!("a task")).unwrap();
    ///     remote
    /// });
    /// assert!(kept.spawn(|| unreachable!()).is_err()); // the run is over
    /// ```
    #[track_caller]
    pub fn spawn(&self, f: impl FnOnce() + Send + 'static) -> Result<(), Closed> {
        let letter = Letter::Spawn(Box::new(f), Location::caller());
        self.address().post(letter).map_err(|_letter| Closed(()))
    }

    /// Runs `f` as a task there, and waits for its result.
    ///
    /// Parks: in a task of another run, until the result is there. A kill ends the wait, and `f`
    /// goes on. Elsewhere it blocks the OS thread.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Panics
    ///
    /// In the OS thread of the run that it calls: it would wait for itself. In a task of another
    /// run, where parking is forbidden, or when the system has no descriptor to wake it by.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, thread, time::sleep};
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    /// run(|| {
    ///     let remote = thread::remote();
    ///     let other = std::thread::spawn(move || {
    ///         // A task: it may park, and use what is not `Send`.
    ///         remote.call(|| {
    ///             let count = Rc::new(Cell::new(41));
    ///             sleep(Duration::from_millis(1));
    ///             count.get() + 1
    ///         })
    ///     });
    ///     while !other.is_finished() {
    ///         maypole::yield_now();
    ///     }
    ///     assert_eq!(other.join().unwrap().unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn call<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let at = Location::caller();
        let wait = Wait {
            what: What::Thread,
            at,
        };
        self.refuse_its_own(at);
        let call = Calling {
            reply: Arc::new(Reply::new()),
            address: self.address(),
            f: Some(f),
            at,
        };
        exchange(call, Limit::Never, wait).expect("a call without a limit does not time out")
    }

    fn refuse_its_own(&self, at: &'static Location<'static>) {
        let own = io::address().ok().flatten();
        assert!(
            !own.is_some_and(|own| own.is(self.address())),
            "maypole: Remote::call at {at} calls the run of its own OS thread, which would wait \
             for itself; spawn a task and join it"
        );
    }
}

/// Without a word about the run, which is elsewhere.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("closed", &self.address().is_closed())
            .finish()
    }
}

/// Calls, and waits for what comes back.
struct Calling<'a, T, F> {
    reply: Arc<Reply<Result<T, CallError>>>,
    address: &'a Address,
    /// Until it is called.
    f: Option<F>,
    at: &'static Location<'static>,
}

impl<T: Send + 'static, F: FnOnce() -> T + Send + 'static> Attempt for Calling<'_, T, F> {
    type Output = Result<T, CallError>;

    fn try_now(&mut self) -> Option<Self::Output> {
        self.address.is_closed().then(|| {
            self.f = None;
            Err(CallError::Closed)
        })
    }

    /// Not before the caller may wait.
    fn enlist(&mut self, sleeper: Sleeper) -> bool {
        let f = self.f.take().expect("it is called once");
        self.reply.await_by(sleeper);
        let answer = Answer(self.reply.clone());
        let call = Box::new(move || answer.fill(f));
        match self.address.post(Letter::Spawn(call, self.at)) {
            Ok(()) => false,
            Err(_letter) => {
                self.reply.give(Err(CallError::Closed));
                true
            }
        }
    }

    fn look(&mut self) -> Option<Self::Output> {
        self.reply.take()
    }

    fn withdraw(&mut self) -> Option<Self::Output> {
        self.reply.take()
    }
}

impl<T> Reply<Result<T, CallError>> {
    /// Nobody will give a result any more.
    fn fail(&self) {
        let failure = failure_of_current();
        self.give(Err(failure.map_or(CallError::Closed, CallError::Failed)));
    }
}

/// For a task that is given up, whose stack is left with all that is on it.
impl<T: Send> Wake for Reply<Result<T, CallError>> {
    fn wake(self: Arc<Self>) {
        self.fail();
    }
}

/// Owes a result.
struct Answer<T>(Arc<Reply<Result<T, CallError>>>);

impl<T: Send + 'static> Answer<T> {
    /// Gives that of `f`, which is all that the running task does.
    fn fill(self, f: impl FnOnce() -> T) {
        wake_if_abandoned(&Waker::from(self.0.clone()));
        self.0.give(outcome_of(f).map_err(CallError::Failed));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.0.fail();
    }
}

/// The run is over.
///
/// # Examples
///
/// ```
/// let remote = maypole::run(maypole::thread::remote);
/// let closed = remote.spawn(|| ()).unwrap_err();
/// assert_eq!(closed.to_string(), "the run is over");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed(());

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the run is over")
    }
}

impl Error for Closed {}

/// Why a [`Remote::call`] has no result.
///
/// # Examples
///
/// ```
/// use maypole::thread::{self, CallError};
/// # std::panic::set_hook(Box::new(|_| ()));
/// maypole::run(|| {
///     let remote = thread::remote();
///     let caller = std::thread::spawn(move || remote.call(|| -> u32 { panic!("no luck") }));
///     while !caller.is_finished() {
///         maypole::yield_now();
///     }
///     let Err(CallError::Failed(error)) = caller.join().unwrap() else {
///         panic!("the task panicked");
///     };
///     assert_eq!(error.message(), Some("no luck"));
/// });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The run is over, or has no stack for the task.
    Closed,
    /// The task panicked, was killed, or was abandoned.
    Failed(JoinError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Closed => f.write_str("the run is over"),
            CallError::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CallError::Closed => None,
            CallError::Failed(error) => Some(error),
        }
    }
}
