//! Panics: where they happened, and those that nobody joined.
use super::Report;
use crate::coroutine::say;
use crate::scheduler::task::{PanicNote, PanicPlace, TaskId};
use crate::scheduler::{self, UnjoinedPanics};
use crate::task::message_of;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

/// Puts a hook before the program's own that tells which task panics and keeps the place for
/// `JoinError`. Once in a process, at the first run.
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

thread_local! {
    /// Whether panics print nothing: an exploration has too many.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The first of them, if somebody wants to know.
    static UNPRINTED: RefCell<Vec<Unprinted>> = const { RefCell::new(Vec::new()) };
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
        return;
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
    if let (Some(location), Ok(mut note)) = (info.location(), about.more().panic.try_borrow_mut()) {
        let location = PanicPlace {
            file: location.file().to_string(),
            line: location.line(),
            column: location.column(),
        };
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

fn keep_unprinted(info: &PanicHookInfo<'_>, place: &PanicPlace, task: TaskId) {
    UNPRINTED.with_borrow_mut(|unprinted| {
        if unprinted.len() < SHOWN {
            unprinted.push(Unprinted {
                message: message_of(info.payload()).map(str::to_string),
                place: place.clone(),
                task,
            });
        }
    });
}

/// More panics than this are only counted.
const SHOWN: usize = 12;

/// Names the panics that nobody joined, if there are any.
pub(crate) fn unjoined(panics: &UnjoinedPanics) -> Option<Report> {
    let mut text = match panics.count() {
        0 => return None,
        1 => "maypole: finished; 1 task panicked and nobody joined it:".to_string(),
        count => format!("maypole: finished; {count} tasks panicked and nobody joined them:"),
    };
    for panic in panics.first().iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(&panic.text);
    }
    if panics.count() > SHOWN {
        text.push_str(&format!("\n  and {} more", panics.count() - SHOWN));
    }
    Some(Report::new(text))
}
