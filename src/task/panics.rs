//! Panics: who panics, and where. The hook keeps both for `JoinError`.
use super::error::message_of;
use crate::coroutine::say;
use crate::scheduler;
use crate::scheduler::task::{PanicNote, PanicPlace, TaskId};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, Location, PanicHookInfo};
use std::sync::Once;

/// Puts a hook before the program's own that tells which task panics and keeps the place for
/// `JoinError`. Once in a process, at the first run or job.
pub(crate) fn install_panic_hook() {
    static ONCE: Once = Once::new();
    // Inside a panic the hook cannot be changed: a run in a destructor comes too early.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let outer = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            scheduler::mark_panic_hook(|| {
                note(info);
                if !QUIET.get() {
                    outer(info);
                }
            });
        }));
    });
}

/// Panics that were not printed, and of which more than this are not kept.
const KEPT: usize = 12;

thread_local! {
    /// Whether panics print nothing: an exploration has too many.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The first of them, if somebody wants to know.
    static UNPRINTED: RefCell<Vec<Unprinted>> = const { RefCell::new(Vec::new()) };
    /// What this OS thread runs, where that is a job or was offloaded.
    static JOB: RefCell<Option<Watched>> = const { RefCell::new(None) };
}

/// Work that has an OS thread to itself, and the latest panic there.
struct Watched {
    title: Title,
    panic: Option<PanicNote>,
}

enum Title {
    Job(String),
    /// Where it was offloaded.
    Offload(&'static Location<'static>),
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Title::Job(title) => f.write_str(title),
            Title::Offload(at) => {
                write!(f, "work offloaded at {}:{}", at.file(), at.line())
            }
        }
    }
}

/// Says that this OS thread runs a job from now on, which the hook calls `title`.
pub(crate) fn watch_job(title: String) {
    watch(Title::Job(title));
}

/// The same for work that was offloaded at `at`.
pub(crate) fn watch_offload(at: &'static Location<'static>) {
    watch(Title::Offload(at));
}

fn watch(title: Title) {
    let watched = Watched { title, panic: None };
    let _ = JOB.try_with(|job| job.replace(Some(watched)));
}

/// The running task is about to go on with a panic of another OS thread: keeps its place.
pub(crate) fn adopt_panic(note: Option<PanicNote>) {
    if let (Some(note), Some((_, body))) = (note, scheduler::current()) {
        body.about().more().panic.replace(Some(note));
    }
}

/// What the hook has kept of the latest panic of what this OS thread runs.
pub(crate) fn take_panic_of_job() -> Option<PanicNote> {
    let take = |job: &RefCell<Option<Watched>>| job.borrow_mut().as_mut()?.panic.take();
    JOB.try_with(take).ok().flatten()
}

/// A panic that was not printed.
pub(crate) struct Unprinted {
    pub(crate) message: Option<String>,
    pub(crate) place: PanicPlace,
    pub(crate) task: TaskId,
}

/// The first panics that were not printed since the last call; more than a few are not kept.
pub(crate) fn take_unprinted() -> Vec<Unprinted> {
    UNPRINTED.take()
}

/// Runs `body`, whose panics on this OS thread print nothing.
pub(crate) fn quietly<R>(body: impl FnOnce() -> R) -> R {
    struct Loud(bool);
    impl Drop for Loud {
        fn drop(&mut self) {
            QUIET.set(self.0);
        }
    }
    let _loud = Loud(QUIET.replace(true));
    body()
}

fn note(info: &PanicHookInfo<'_>) {
    let Some((id, body)) = scheduler::current_in_panic() else {
        return note_of_job(info);
    };
    let about = body.about();
    let main = about.given_name().is_some_and(|name| &*name == "main");
    let quiet = QUIET.get();
    if !main && !quiet {
        let site = about.site;
        let (file, line) = (site.file(), site.line());
        say(format_args!(
            "maypole: task '{}' ({id}, spawned at {file}:{line}) panics:",
            about.name()
        ));
    }
    scheduler::tell_of_panic(id);
    if let (Some(location), Ok(mut note)) = (place_of(info), about.more().panic.try_borrow_mut()) {
        if quiet {
            keep_unprinted(info, &location, id);
        }
        *note = Some(PanicNote {
            location,
            backtrace: match quiet {
                true => Backtrace::disabled(),
                false => Backtrace::capture(),
            },
            message: message_of(info.payload()).map(str::to_string),
        });
    }
}

/// The same, where no task runs: a job may.
fn note_of_job(info: &PanicHookInfo<'_>) {
    let note = |job: &RefCell<Option<Watched>>| {
        let mut job = job.try_borrow_mut().ok()?;
        let Watched { title, panic } = job.as_mut()?;
        say(format_args!("maypole: {title} panics:"));
        *panic = Some(PanicNote {
            location: place_of(info)?,
            backtrace: Backtrace::capture(),
            message: message_of(info.payload()).map(str::to_string),
        });
        Some(())
    };
    let _ = JOB.try_with(note);
}

fn place_of(info: &PanicHookInfo<'_>) -> Option<PanicPlace> {
    let location = info.location()?;
    Some(PanicPlace {
        file: location.file().to_string(),
        line: location.line(),
        column: location.column(),
    })
}

fn keep_unprinted(info: &PanicHookInfo<'_>, place: &PanicPlace, task: TaskId) {
    UNPRINTED.with_borrow_mut(|unprinted| {
        if unprinted.len() < KEPT {
            unprinted.push(Unprinted {
                message: message_of(info.payload()).map(str::to_string),
                place: place.clone(),
                task,
            });
        }
    });
}
