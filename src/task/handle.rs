//! A handle on any task: ask it, kill it, pause it.
use crate::scheduler::kill::Killed;
use crate::scheduler::park::touch;
use crate::scheduler::task::{Body, Fate, Status, TaskId};
use crate::scheduler::{self, with_kernel};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

/// A task, alive or ended. A handle cannot go stale: it names one task for ever.
///
/// # Examples
///
/// ```
/// use maypole::task::Status;
/// maypole::run(|| {
///     let handle = maypole::spawn(|| maypole::task::park());
///     let task = handle.task().clone();
///     assert_eq!(task.status(), Status::Ready);
///     maypole::yield_now();
///     assert!(matches!(task.status(), Status::Parked(_)));
///     task.unpark();
///     handle.join().unwrap();
///     assert_eq!(task.status(), Status::Finished);
/// });
/// ```
///
/// It stays in its OS thread, as the task does:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::Task>();
/// ```
///
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<maypole::Task>();
/// ```
#[derive(Clone)]
pub struct Task {
    id: TaskId,
    body: Rc<dyn Body>,
}

impl Task {
    pub(crate) fn new(id: TaskId, body: Rc<dyn Body>) -> Self {
        Task { id, body }
    }

    /// Its identity. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let me = maypole::task::current();
    ///     assert_eq!(me.id(), maypole::task::current().id());
    /// });
    /// ```
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Its name; by default its spawn site, `file:line`. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     assert_eq!(maypole::task::current().name(), "main");
    ///     let child = maypole::spawn(|| ());
    ///     println!("{}", child.task().name()); // file:line
    /// });
    /// ```
    pub fn name(&self) -> &str {
        self.body.about().name()
    }

    /// How it stands. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::task::{self, Status};
    /// maypole::run(|| {
    ///     assert_eq!(task::current().status(), Status::Running);
    ///     assert_eq!(maypole::spawn(|| ()).task().status(), Status::Ready);
    /// });
    /// ```
    #[track_caller]
    pub fn status(&self) -> Status {
        touch("status", Location::caller());
        match self.body.about().fate.get() {
            Fate::Finished => Status::Finished,
            Fate::Panicked => Status::Panicked,
            Fate::Killed => Status::Killed,
            Fate::Abandoned => Status::Abandoned,
            Fate::Alive => with_kernel(|kernel| kernel.status(self.id.slot)),
        }
    }

    /// Unwinds the task from its present park, or from its next one, so that its destructors run
    /// on its own stack; tells where it was caught. `reason` shows in [`JoinError`](crate::JoinError).
    ///
    /// Only flags and wakes: it never runs code of the task, and takes constant time. The kill is
    /// raised again at every later park until the task has ended. A killed task is never a
    /// success: `join` gives an error, whatever its body returns.
    ///
    /// Parks: no, also when a task kills itself: that unwinds at its next park.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::task::Killed;
    /// maypole::run(|| {
    ///     let handle = maypole::spawn(|| maypole::task::park());
    ///     maypole::yield_now();
    ///     assert_eq!(handle.kill("no longer needed"), Killed::Parked);
    ///     assert_eq!(handle.kill("again"), Killed::Already);
    ///     assert!(handle.join().unwrap_err().is_killed());
    /// });
    /// ```
    #[track_caller]
    pub fn kill(&self, reason: &str) -> Killed {
        let at = Location::caller();
        touch("kill", at);
        match self.body.about().fate.get() {
            Fate::Abandoned => return Killed::Abandoned,
            Fate::Alive => {}
            Fate::Finished | Fate::Panicked | Fate::Killed => return Killed::Finished,
        }
        scheduler::kill(self.id, reason, at).unwrap_or(Killed::Finished)
    }

    /// Holds the task back from its next turn on. A wake that comes meanwhile is kept, with what
    /// it brought. A task that pauses itself goes on until its next park or yield. A kill, and the
    /// end of the run, lift the pause.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::spawn(|| 5);
    ///     handle.task().pause();
    ///     maypole::yield_now();
    ///     assert!(!handle.is_finished());
    ///     handle.task().resume();
    ///     assert_eq!(handle.join().unwrap(), 5);
    /// });
    /// ```
    #[track_caller]
    pub fn pause(&self) {
        touch("pause", Location::caller());
        if scheduler::is_running() {
            with_kernel(|kernel| kernel.pause(self.id));
        }
    }

    /// Lets a paused task go on. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::spawn(|| "done");
    ///     handle.task().pause();
    ///     handle.task().resume();
    ///     assert_eq!(handle.join().unwrap(), "done");
    /// });
    /// ```
    #[track_caller]
    pub fn resume(&self) {
        touch("resume", Location::caller());
        if scheduler::is_running() {
            with_kernel(|kernel| kernel.resume(self.id));
        }
    }

    /// Ends the task's present [`park`](crate::task::park), or lets its next one return at once.
    /// As in std, several calls count as one.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::spawn(|| maypole::task::park());
    ///     handle.task().unpark(); // before the park: it returns at once
    ///     handle.join().unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn unpark(&self) {
        touch("unpark", Location::caller());
        if scheduler::is_running() {
            with_kernel(|kernel| kernel.unpark(self.id));
        }
    }
}

impl UnwindSafe for Task {}
impl RefUnwindSafe for Task {}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Task {}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("name", &self.name())
            .finish()
    }
}
