//! Starting a job: the plain way, and with options.
use super::handle::{Job, ThreadJob};
use super::thread::ThreadSeat;
use super::tray::TaskSeat;
use crate::generator::Yielder;
use crate::task;
use std::io;

/// Stack size of the OS thread of a job that asks for none: that of std's threads.
const STACK_BYTES: usize = 2 << 20;

/// Starts a job in a task of its own.
///
/// The body runs on the task's stack, and the task's rules hold: nothing in it need be `Send`, each
/// yield and checkpoint gives the other tasks a turn, and it is paused and killed as any task.
///
/// Parks: no.
///
/// # Panics
///
/// As [`spawn`](crate::spawn): outside of [`run`](crate::run), and when no further stack can be had.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let job = maypole::job::in_task(|y| {
///         y.yield_(1);
///         y.yield_(2);
///         "two values"
///     });
///     assert_eq!((job.recv(), job.recv()), (Ok(1), Ok(2)));
///     assert_eq!(job.join().unwrap(), "two values");
/// });
/// ```
#[track_caller]
pub fn in_task<Y: 'static, R: 'static>(body: impl FnOnce(&Yielder<Y>) -> R + 'static) -> Job<Y, R> {
    match Builder::new().in_task(body) {
        Ok(job) => job,
        Err(error) => panic!("maypole: cannot start a job: {error}"),
    }
}

/// Starts a job in an OS thread of its own: a coroutine wrapped in a thread.
///
/// It works for the run that it was started in, or for none: there
/// [`thread::remote`](crate::thread::remote) leads to the run, so that the body may ask it for what
/// only tasks can do, and it is killed when the run ends. Nobody waits for a body that computes.
///
/// Parks: no.
///
/// # Panics
///
/// When the system has no OS thread for it; inside of [`explore`](crate::explore), where nothing
/// may come from outside.
///
/// # Examples
///
/// ```
/// use maypole::{job, thread};
/// maypole::run(|| {
///     let job = job::in_thread(|y| {
///         let mut sum = 0;
///         for n in 0..1000_u64 {
///             y.checkpoint(); // it may be paused and killed here
///             sum += n;
///         }
///         y.yield_(sum);
///         thread::remote().call(|| maypole::task::current().id().to_string()).unwrap()
///     });
///     assert_eq!(job.recv(), Ok(499_500));
///     assert!(job.join().unwrap().starts_with('#')); // a task of this run
/// });
/// ```
#[track_caller]
pub fn in_thread<Y: Send + 'static, R: Send + 'static>(
    body: impl FnOnce(&Yielder<Y>) -> R + Send + 'static,
) -> ThreadJob<Y, R> {
    match Builder::new().in_thread(body) {
        Ok(job) => job,
        Err(error) => panic!("maypole: cannot start a job: {error}"),
    }
}

/// Options for a job.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let job = maypole::job::Builder::new()
///         .name("digits")
///         .backlog(100)
///         .in_thread(|y| (0..10).for_each(|digit| y.yield_(digit)))
///         .unwrap();
///     assert_eq!(job.iter().sum::<u32>(), 45);
/// });
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `in_task` or `in_thread`"]
pub struct Builder {
    name: Option<String>,
    stack_bytes: Option<usize>,
    backlog: Option<usize>,
}

impl Builder {
    /// No name, the usual stack size, no bound on what was not taken.
    ///
    /// Parks: no, nor does any option.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let job = maypole::job::Builder::new().in_task(|y| y.yield_(1)).unwrap();
    ///     assert_eq!(job.recv(), Ok(1));
    /// });
    /// ```
    pub fn new() -> Self {
        Builder::default()
    }

    /// Names the job, and its task or its OS thread, for reports and errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::Yielder;
    /// maypole::run(|| {
    ///     let builder = maypole::job::Builder::new().name("sorter");
    ///     let job = builder.in_thread(|y: &Yielder<u8>| y.yield_(1)).unwrap();
    ///     job.kill("not needed");
    ///     if let Err(error) = job.join() {
    ///         assert_eq!(error.task_name(), "sorter");
    ///     }
    /// });
    /// ```
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().to_string());
        self
    }

    /// Gives it a stack of at least so many bytes: a task that of the run's otherwise, an OS thread
    /// 2 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::generator::Yielder;
    /// fn depth(y: &Yielder<u32>, n: u32) -> u32 {
    ///     y.checkpoint();
    ///     if n == 0 { 0 } else { 1 + depth(y, n - 1) }
    /// }
    /// maypole::run(|| {
    ///     let builder = maypole::job::Builder::new().stack_size(16 << 20);
    ///     let job = builder.in_thread(|y| depth(y, 20_000)).unwrap();
    ///     assert_eq!(job.join().unwrap(), 20_000);
    /// });
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Lets at most `values` lie there that were yielded and not taken: at the yield that fills it
    /// the body waits until one is taken. With 1, as with 0, it runs no further than somebody has
    /// asked for, as a generator does.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::task::Status;
    /// maypole::run(|| {
    ///     let builder = maypole::job::Builder::new().backlog(2);
    ///     let job = builder.in_task(|y| (0..9).for_each(|n| y.yield_(n))).unwrap();
    ///     while !matches!(job.status(), Status::Parked(_)) {
    ///         maypole::yield_now();
    ///     }
    ///     assert_eq!(job.iter().count(), 9);
    /// });
    /// ```
    pub fn backlog(mut self, values: usize) -> Self {
        self.backlog = Some(values);
        self
    }

    fn bound(&self) -> usize {
        self.backlog.map_or(usize::MAX, |values| values.max(1))
    }

    /// Starts the job in a task; see [`in_task`].
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// When no further stack can be had: names the limit.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let job = maypole::job::Builder::new().name("one").in_task(|y| y.yield_(1)).unwrap();
    ///     assert_eq!(job.recv(), Ok(1));
    /// });
    /// ```
    #[track_caller]
    pub fn in_task<Y: 'static, R: 'static>(
        self,
        body: impl FnOnce(&Yielder<Y>) -> R + 'static,
    ) -> io::Result<Job<Y, R>> {
        let backlog = self.bound();
        let mut builder = task::Builder::new();
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        if let Some(bytes) = self.stack_bytes {
            builder = builder.stack_size(bytes);
        }
        TaskSeat::start(builder, self.name, backlog, body).map(Job::new)
    }

    /// Starts the job in an OS thread; see [`in_thread`].
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// When the system has no OS thread for it, or no descriptor to wake the run by.
    ///
    /// # Panics
    ///
    /// Inside of [`explore`](crate::explore).
    ///
    /// # Examples
    ///
    /// ```
    /// let job = maypole::job::Builder::new().name("one").in_thread(|y| y.yield_(1)).unwrap();
    /// assert_eq!(job.recv(), Ok(1)); // outside of a run: this blocks the OS thread
    /// ```
    #[track_caller]
    pub fn in_thread<Y: Send + 'static, R: Send + 'static>(
        self,
        body: impl FnOnce(&Yielder<Y>) -> R + Send + 'static,
    ) -> io::Result<ThreadJob<Y, R>> {
        let backlog = self.bound();
        let bytes = self.stack_bytes.unwrap_or(STACK_BYTES);
        ThreadSeat::start(self.name, bytes, backlog, body).map(ThreadJob::new)
    }
}
