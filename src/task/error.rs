//! Why a task or a job has no result: it panicked, was killed, or was abandoned.
use crate::scheduler;
use crate::scheduler::task::{About, KillNote, PanicNote, PanicPlace, TaskId};
use std::any::Any;
use std::backtrace::Backtrace;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Mutex;

/// The error of a [`join`](crate::JoinHandle::join): of a task, or of a [job](crate::job).
///
/// # Examples
///
/// ```
/// # std::panic::set_hook(Box::new(|_| ()));
/// maypole::run(|| {
///     let error = maypole::spawn(|| -> u32 { panic!("no luck") }).join().unwrap_err();
///     assert!(error.is_panic());
///     assert_eq!(error.message(), Some("no luck"));
///
///     let sleeper = maypole::spawn(|| maypole::task::park());
///     sleeper.kill("bedtime is over");
///     let error = sleeper.join().unwrap_err();
///     assert!(error.is_killed());
///     assert_eq!(error.reason(), Some("bedtime is over"));
/// });
/// ```
pub struct JoinError(Box<Inner>);

struct Inner {
    who: Who,
    cause: Cause,
}

/// Who has no result: a task, or a job in an OS thread of its own.
#[derive(Clone)]
pub(crate) struct Who {
    /// Nobody's, where it is a job.
    id: TaskId,
    name: String,
    site: String,
}

impl Who {
    fn task(id: TaskId, about: &About) -> Self {
        Who {
            id,
            name: about.name().to_string(),
            site: format!("{}:{}", about.site.file(), about.site.line()),
        }
    }

    pub(crate) fn job(name: &str, site: &Location<'_>) -> Self {
        Who {
            id: TaskId::NOBODY,
            name: name.to_string(),
            site: format!("{}:{}", site.file(), site.line()),
        }
    }

    /// With where it comes from, as in `task 'parser' (#3, spawned at src/main.rs:8)`.
    pub(crate) fn in_full(&self) -> String {
        let Who { id, name, site } = self;
        match *id == TaskId::NOBODY {
            true => format!("job '{name}' (made at {site})"),
            false => format!("task '{name}' ({id}, spawned at {site})"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Who { id, name, .. } = self;
        match *id == TaskId::NOBODY {
            true => write!(f, "job '{name}'"),
            false => write!(f, "task '{name}' ({id})"),
        }
    }
}

enum Cause {
    Panicked {
        message: Option<String>,
        location: Option<PanicPlace>,
        backtrace: Option<Backtrace>,
        /// Behind a mutex only because the error is `Sync` and a payload is not.
        payload: Mutex<Option<Box<dyn Any + Send>>>,
        /// Whether the run keeps it among the panics that nobody joined.
        kept: bool,
    },
    Killed(Option<KillNote>),
    Abandoned(Option<KillNote>),
}

impl JoinError {
    fn new(who: Who, cause: Cause) -> Self {
        JoinError(Box::new(Inner { who, cause }))
    }

    #[cold]
    pub(crate) fn panicked(id: TaskId, about: &About, payload: &(dyn Any + Send)) -> Self {
        Self::panic_of(Who::task(id, about), about.more().panic.take(), payload)
    }

    /// With what the panic hook has kept of the latest panic.
    pub(crate) fn panic_of(who: Who, note: Option<PanicNote>, payload: &(dyn Any + Send)) -> Self {
        // Another panic's, caught before, says nothing of this one.
        let note = note.filter(|note| note.message.as_deref() == message_of(payload));
        let (location, backtrace) = match note {
            Some(note) => (Some(note.location), Some(note.backtrace)),
            None => (None, None),
        };
        let cause = Cause::Panicked {
            message: message_of(payload).map(str::to_string),
            location,
            backtrace,
            payload: Mutex::new(None),
            kept: false,
        };
        Self::new(who, cause)
    }

    #[cold]
    pub(crate) fn killed(id: TaskId, about: &About) -> Self {
        let note = about.more().kill.borrow().clone();
        Self::kill_of(Who::task(id, about), note)
    }

    pub(crate) fn kill_of(who: Who, note: Option<KillNote>) -> Self {
        Self::new(who, Cause::Killed(note))
    }

    #[cold]
    pub(crate) fn abandoned(id: TaskId, about: &About) -> Self {
        let note = about.more().kill.borrow().clone();
        Self::end_of_patience(Who::task(id, about), note)
    }

    pub(crate) fn end_of_patience(who: Who, note: Option<KillNote>) -> Self {
        Self::new(who, Cause::Abandoned(note))
    }

    /// Adds the payload that `into_panic` will give.
    pub(crate) fn keep(&mut self, payload: Box<dyn Any + Send>) {
        if let Cause::Panicked { payload: slot, .. } = &mut self.0.cause {
            *slot = Mutex::new(Some(payload));
        }
    }

    pub(crate) fn mark_kept(&mut self) {
        if let Cause::Panicked { kept, .. } = &mut self.0.cause {
            *kept = true;
        }
    }

    pub(crate) fn was_kept(&self) -> bool {
        matches!(self.0.cause, Cause::Panicked { kept: true, .. })
    }

    /// Whether the task panicked.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let error = maypole::spawn(|| panic!("no luck")).join().unwrap_err();
    ///     assert!(error.is_panic() && !error.is_killed());
    /// });
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self.0.cause, Cause::Panicked { .. })
    }

    /// Whether the task was killed.
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
    pub fn is_killed(&self) -> bool {
        matches!(self.0.cause, Cause::Killed(_))
    }

    /// Whether the task swallowed so many kills that it was given up.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic::catch_unwind;
    /// maypole::run(|| {
    ///     let stubborn = maypole::spawn(|| {
    ///         loop {
    ///             let _ = catch_unwind(maypole::task::park);
    ///         }
    ///     });
    ///     maypole::yield_now();
    ///     stubborn.kill("please");
    ///     assert!(stubborn.join().map(|_: ()| ()).unwrap_err().is_abandoned());
    /// });
    /// ```
    pub fn is_abandoned(&self) -> bool {
        matches!(self.0.cause, Cause::Abandoned(_))
    }

    /// The payload of the panic, the very one that was thrown.
    ///
    /// Where a scope has re-raised the panic already, the payload is its message.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// If the task did not panic; see [`is_panic`](JoinError::is_panic).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let error = maypole::spawn(|| std::panic::panic_any(404_u32)).join().unwrap_err();
    ///     assert_eq!(*error.into_panic().downcast::<u32>().unwrap(), 404);
    /// });
    /// ```
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        let text = self.to_string();
        match self.0.cause {
            Cause::Panicked {
                payload,
                location,
                backtrace,
                message,
                ..
            } => {
                hand_on(location, backtrace, message);
                payload
                    .into_inner()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .unwrap_or_else(|| Box::new(text))
            }
            Cause::Killed(_) | Cause::Abandoned(_) => panic!("not a panic: {text}"),
        }
    }

    /// The message of the panic, where it has one.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let error = maypole::spawn(|| panic!("no luck")).join().unwrap_err();
    ///     assert_eq!(error.message(), Some("no luck"));
    /// });
    /// ```
    pub fn message(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Panicked { message, .. } => message.as_deref(),
            Cause::Killed(_) | Cause::Abandoned(_) => None,
        }
    }

    /// Where the panic happened. Known unless the program replaced the panic hook after the first
    /// run began, or threw the payload with `resume_unwind`.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let error = maypole::spawn(|| panic!("here")).join().unwrap_err();
    ///     println!("it panicked at {}", error.location().unwrap()); // file:line:column
    /// });
    /// ```
    pub fn location(&self) -> Option<&PanicPlace> {
        match &self.0.cause {
            Cause::Panicked { location, .. } => location.as_ref(),
            Cause::Killed(_) | Cause::Abandoned(_) => None,
        }
    }

    /// The backtrace of the panic, captured if `RUST_BACKTRACE` asks for it, as std does.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let error = maypole::spawn(|| panic!("here")).join().unwrap_err();
    ///     assert!(error.backtrace().is_some());
    /// });
    /// ```
    pub fn backtrace(&self) -> Option<&Backtrace> {
        match &self.0.cause {
            Cause::Panicked { backtrace, .. } => backtrace.as_ref(),
            Cause::Killed(_) | Cause::Abandoned(_) => None,
        }
    }

    /// The reason given to [`kill`](crate::Task::kill).
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::spawn(|| maypole::task::park());
    ///     handle.kill("the user closed the tab");
    ///     assert_eq!(handle.join().unwrap_err().reason(), Some("the user closed the tab"));
    /// });
    /// ```
    pub fn reason(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Killed(note) | Cause::Abandoned(note) => {
                note.as_ref().map(|note| note.reason.as_str())
            }
            Cause::Panicked { .. } => None,
        }
    }

    /// The identity of the task; a job in an OS thread has none, and shows as `#0`.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let handle = maypole::spawn(|| panic!("no luck"));
    ///     let id = handle.task().id();
    ///     assert_eq!(handle.join().unwrap_err().task_id(), id);
    /// });
    /// ```
    pub fn task_id(&self) -> TaskId {
        self.0.who.id
    }

    /// The name of the task or the job, its spawn site if it was given none.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let builder = maypole::task::Builder::new().name("parser");
    ///     let handle = builder.spawn(|| panic!("no luck")).unwrap();
    ///     assert_eq!(handle.join().unwrap_err().task_name(), "parser");
    /// });
    /// ```
    pub fn task_name(&self) -> &str {
        &self.0.who.name
    }
}

/// Leaves the place of a panic with the running task, in case it raises the payload again: that
/// runs no hook.
fn hand_on(location: Option<PanicPlace>, backtrace: Option<Backtrace>, message: Option<String>) {
    let (Some(location), Some(backtrace)) = (location, backtrace) else {
        return;
    };
    if let Some((_, body)) = scheduler::current() {
        body.about().more().panic.replace(Some(PanicNote {
            location,
            backtrace,
            message,
        }));
    }
}

/// The text of a panic payload, as the default panic hook finds it.
pub(crate) fn message_of(payload: &dyn Any) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = &self.0.who;
        match &self.0.cause {
            Cause::Panicked {
                message, location, ..
            } => {
                write!(f, "{} panicked", who.in_full())?;
                if let Some(location) = location {
                    write!(f, " at {location}")?;
                }
                match message {
                    Some(message) => write!(f, ": {message}"),
                    None => f.write_str(" with a payload that is no text"),
                }
            }
            Cause::Killed(note) => {
                write!(f, "{who} was killed")?;
                write_note(f, note)
            }
            Cause::Abandoned(note) => {
                write!(
                    f,
                    "{} was abandoned: it caught its kill 64 times and waited again; it was killed",
                    who.in_full()
                )?;
                write_note(f, note)
            }
        }
    }
}

fn write_note(f: &mut fmt::Formatter<'_>, note: &Option<KillNote>) -> fmt::Result {
    let Some(note) = note else { return Ok(()) };
    match &note.by {
        Some(by) => write!(f, " by '{by}' at {}:{}", note.at.file(), note.at.line())?,
        None => write!(f, " at {}:{}", note.at.file(), note.at.line())?,
    }
    write!(f, ": {}", note.reason)?;
    match note.caught {
        Some(wait) => {
            let at = wait.at;
            write!(
                f,
                ", while waiting in {} at {}:{}",
                wait.what,
                at.file(),
                at.line()
            )
        }
        None => Ok(()),
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}
