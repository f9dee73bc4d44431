//! Spawning a task: the plain way, child first, and with options.
use super::handle::Task;
use super::join::{JoinHandle, ScopedJoinHandle};
use super::packet::{Packet, Unattended};
use super::scope::Scope;
use crate::coroutine::{StackLimit, say};
use crate::scheduler::task::{About, Flags};
use crate::scheduler::{self, First, Traits};
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;

/// Starts a task. The child goes to the end of the line; the caller goes on.
///
/// Nothing crosses OS threads, so `f` may capture `Rc`, `Cell` and everything else that is not
/// `Send`. Dropping the handle detaches the task.
///
/// Parks: no.
///
/// # Panics
///
/// Outside of [`run`](crate::run); when no further stack can be had, with the limit that stands
/// against it ([`task::Builder::spawn`](Builder::spawn) returns that as an error).
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let handle = maypole::spawn(|| "hello from a task");
///     assert_eq!(handle.join().unwrap(), "hello from a task");
/// });
/// ```
#[inline]
#[track_caller]
pub fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    match launch(
        About::new(Location::caller()),
        Traits::default(),
        First::Parent,
        f,
    ) {
        Ok(handle) => handle,
        Err(limit) => no_stack(&limit),
    }
}

/// Starts a task and runs it at once, nested on the caller, until it first parks or yields.
///
/// Half the cost of [`spawn`], for tasks whose order does not matter. It counts as a call that may
/// park: a pending kill unwinds the caller first. While a destructor runs because of unwinding it
/// is [`spawn`].
///
/// Parks: no, but the child runs before it returns.
///
/// # Panics
///
/// As [`spawn`]; and where yielding is forbidden.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// maypole::run(|| {
///     let ran = Rc::new(Cell::new(false));
///     let theirs = ran.clone();
///     let handle = maypole::spawn_now(move || theirs.set(true));
///     assert!(ran.get() && handle.is_finished());
/// });
/// ```
#[inline]
#[track_caller]
pub fn spawn_now<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    match launch(
        About::new(Location::caller()),
        Traits::default(),
        First::Child,
        f,
    ) {
        Ok(handle) => handle,
        Err(limit) => no_stack(&limit),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
pub(super) fn no_stack(limit: &StackLimit) -> ! {
    panic!("maypole: cannot spawn a task: {limit}");
}

#[inline]
#[track_caller]
fn launch<T: 'static>(
    about: About,
    traits: Traits,
    first: First,
    f: impl FnOnce() -> T + 'static,
) -> Result<JoinHandle<T>, StackLimit> {
    let packet = Rc::new(Packet::new(about, f, Unattended));
    let id = scheduler::launch(packet.clone(), traits, first, |_| ())?;
    Ok(JoinHandle::new(packet.clone(), Task::new(id, packet)))
}

/// Starts a task on behalf of another OS thread, in the loop. One that gets no stack is told of,
/// and dropped.
pub(crate) fn spawn_from_outside(f: impl FnOnce() + 'static, at: &'static Location<'static>) {
    let start = || launch(About::new(at), Traits::default(), First::Parent, f).map(drop);
    // Its captures are a user's: their destructors may panic.
    if let Ok(Err(limit)) = catch_unwind(AssertUnwindSafe(start)) {
        say(format_args!(
            "maypole: the task that another OS thread wanted at {at} is not started: {limit}"
        ));
    }
}

/// Options for a task, as std has them for OS threads.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let handle = maypole::task::Builder::new()
///         .name("parser")
///         .stack_size(1 << 20)
///         .spawn(|| maypole::task::current().name().to_string())
///         .unwrap();
///     assert_eq!(handle.join().unwrap(), "parser");
/// });
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Rc<str>>,
    stack_size: Option<usize>,
    daemon: bool,
}

impl Builder {
    /// No name, the run's stack size, no daemon.
    ///
    /// Parks: no, nor does any option.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::task::Builder::new().spawn(|| 42).unwrap();
    ///     assert_eq!(handle.join().unwrap(), 42);
    /// });
    /// ```
    pub fn new() -> Self {
        Builder::default()
    }

    /// Names the task, for reports and errors.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::task::Builder::new().name("parser").spawn(|| ()).unwrap();
    ///     assert_eq!(handle.task().name(), "parser");
    /// });
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// Gives it a stack of at least so many bytes, rounded up to a power of two from 16 KiB on;
    /// more than 1 GiB counts as 1 GiB. Untouched pages cost address space only.
    ///
    /// # Examples
    ///
    /// ```
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { 1 + depth(std::hint::black_box(n - 1)) }
    /// }
    /// maypole::run(|| {
    ///     let builder = maypole::task::Builder::new().stack_size(8 << 20);
    ///     let handle = builder.spawn(|| depth(10_000)).unwrap();
    ///     assert_eq!(handle.join().unwrap(), 10_000);
    /// });
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Makes it a daemon: a task that serves others, so that its timers alone do not keep the
    /// program from being in a deadlock.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, RunError, sleep, task};
    /// use std::time::Duration;
    /// let stuck = Builder::new().run(|| {
    ///     let clock = task::Builder::new().daemon(true);
    ///     let ticks = || loop {
    ///         sleep(Duration::from_secs(1));
    ///     };
    ///     let _clock = clock.spawn::<()>(ticks).unwrap();
    ///     task::park(); // nobody but the daemon is left, and it wakes nobody
    /// });
    /// assert!(matches!(stuck, Err(RunError::Deadlock(_))));
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// Starts the task; see [`spawn`].
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// When no further stack can be had: names the limit, the number of stacks and the cure.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let first = maypole::task::Builder::new().name("first").spawn(|| 1).unwrap();
    ///     assert_eq!(first.join().unwrap(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<T: 'static>(self, f: impl FnOnce() -> T + 'static) -> io::Result<JoinHandle<T>> {
        let about = self.about(Location::caller());
        launch(about, self.traits(), First::Parent, f).map_err(out_of_memory)
    }

    /// Starts a task of `scope`; see [`Scope::spawn`].
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Builder::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let text = String::from("borrowed");
    ///     let length = maypole::scope(|s| {
    ///         let builder = maypole::task::Builder::new().name("measure");
    ///         builder.spawn_scoped(s, || text.len()).unwrap().join().unwrap()
    ///     });
    ///     assert_eq!(length, 8);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, T: 'scope>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: impl FnOnce() -> T + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let about = self.about(Location::caller());
        scope
            .launch(about, self.traits(), First::Parent, f)
            .map_err(out_of_memory)
    }

    fn about(&self, site: &'static Location<'static>) -> About {
        match &self.name {
            Some(name) => About::named(site, name.clone()),
            None => About::new(site),
        }
    }

    fn traits(&self) -> Traits {
        Traits {
            stack_size: self.stack_size,
            flags: match self.daemon {
                true => Flags::default().with(Flags::DAEMON),
                false => Flags::default(),
            },
        }
    }
}

fn out_of_memory(limit: StackLimit) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, limit)
}
