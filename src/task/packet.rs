//! What a task runs and what becomes of it: one allocation, shared by the kernel and the handle.
use super::error::JoinError;
use super::local::drop_all;
use crate::scheduler::kill::{self, Shield};
use crate::scheduler::task::{About, Body, Fate};
use crate::scheduler::{self, UnjoinedPanic};
use std::any::Any;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Payload = Box<dyn Any + Send>;

/// Somebody who wants to know how a task ended.
pub(crate) trait Ending {
    /// Sees a panic first; gives the payload back unless it keeps it.
    fn panicked(&self, about: &About, payload: Payload) -> Option<Payload>;
    /// Called last: nothing that the body captured or returned is left in the packet, but for a
    /// result that the handle will take.
    fn over(self);
}

/// For a task that belongs to nobody.
pub(crate) struct Unattended;

impl Ending for Unattended {
    fn panicked(&self, _: &About, payload: Payload) -> Option<Payload> {
        Some(payload)
    }
    fn over(self) {}
}

/// The result, until the handle takes it.
///
/// Only the handle drops a result that nobody took: it may borrow what is gone when the last
/// reference to the packet is, so a forgotten handle leaks it.
pub(crate) struct Outcome<T> {
    result: Cell<Option<ManuallyDrop<Result<T, JoinError>>>>,
}

impl<T> Outcome<T> {
    fn new() -> Self {
        Outcome {
            result: Cell::new(None),
        }
    }

    pub(crate) fn take(&self) -> Option<Result<T, JoinError>> {
        self.result.take().map(ManuallyDrop::into_inner)
    }

    /// For whoever has only looked at it.
    pub(crate) fn give_back(&self, result: Result<T, JoinError>) {
        self.result.set(Some(ManuallyDrop::new(result)));
    }
}

/// A body whose result is a `T`, whatever the body's own type.
pub(crate) trait Harvest<T>: Body {
    fn outcome(&self) -> &Outcome<T>;
}

pub(crate) struct Packet<F, T, E> {
    about: About,
    body: Cell<Option<(F, E)>>,
    outcome: Outcome<T>,
}

impl<F: FnOnce() -> T, T, E: Ending> Packet<F, T, E> {
    #[inline]
    pub(crate) fn new(about: About, body: F, ending: E) -> Self {
        Packet {
            about,
            body: Cell::new(Some((body, ending))),
            outcome: Outcome::new(),
        }
    }

    /// A body that was refused a place: drops its captures.
    pub(crate) fn withdraw(&self) {
        if let Some((body, ending)) = self.body.take() {
            drop_quietly(body);
            ending.over();
        }
    }

    /// The end of a body that did not return: killed or panicked.
    #[cold]
    fn failed(&self, payload: Payload, ending: &E) -> (Fate, JoinError) {
        let id = scheduler::current().expect("a body runs inside its task").0;
        if kill::is_kill(&*payload) && scheduler::is_current_killed() {
            return (Fate::Killed, JoinError::killed(id, &self.about));
        }
        let mut error = JoinError::panicked(id, &self.about, &*payload);
        let joined = scheduler::with_kernel(|kernel| kernel.has_waiter(&self.about.joiners));
        match joined {
            true => error.keep(payload),
            false => {
                if let Some(payload) = ending.panicked(&self.about, payload) {
                    scheduler::keep_panic(UnjoinedPanic {
                        id,
                        text: error.to_string(),
                    });
                    error.mark_kept();
                    error.keep(payload);
                }
            }
        }
        (Fate::Panicked, error)
    }

    /// The end of a body that was killed, or did not return.
    #[cold]
    #[inline(never)]
    fn ended_otherwise(&self, result: Result<Option<T>, Payload>, ending: &E) -> (Fate, JoinError) {
        match result {
            // A killed task is never a success, also if it caught its kill or never met it.
            Ok(value) => {
                drop_quietly(value);
                let id = scheduler::current().expect("a body runs inside its task").0;
                (Fate::Killed, JoinError::killed(id, &self.about))
            }
            Err(payload) => self.failed(payload, ending),
        }
    }

    /// Drops the captures of a body that was killed before it began, here on the task's own
    /// stack, where they may park.
    #[cold]
    #[inline(never)]
    fn drop_unstarted(body: F) -> Result<Option<T>, Payload> {
        let _shield = Shield::open();
        catch_unwind(AssertUnwindSafe(|| drop(body))).map(|()| None)
    }

    /// Drops the task locals, whose destructors may park and panic: the place of the body's own
    /// panic is kept from theirs.
    #[cold]
    #[inline(never)]
    fn drop_locals(&self) {
        let _shield = Shield::open();
        let note = self.about.more().panic.take();
        drop_all(&self.about);
        self.about.more().panic.replace(note);
    }

    /// Tells whoever polls the handle. A waker is foreign code.
    #[cold]
    #[inline(never)]
    fn wake_future(&self) {
        let _shield = Shield::open();
        if let Some(waker) = self.about.take_waker()
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
        {
            std::mem::forget(payload);
        }
    }

    #[cold]
    #[inline(never)]
    fn drop_unwanted(result: Result<T, JoinError>) {
        let _shield = Shield::open();
        drop_quietly(result);
    }
}

impl<F: FnOnce() -> T, T, E: Ending> Body for Packet<F, T, E> {
    #[inline]
    fn run(&self) {
        let (body, ending) = self.body.take().expect("a body runs once");
        let result = match scheduler::is_kill_pending() {
            true => Self::drop_unstarted(body),
            false => catch_unwind(AssertUnwindSafe(body)).map(Some),
        };
        // Before the fate is decided: while they park, a kill may come and a joiner may go.
        if self.about.more_if_any().is_some() {
            self.drop_locals();
        }
        let (mut fate, result) = match result {
            Ok(Some(value)) if !scheduler::is_kill_pending() => (Fate::Finished, Ok(value)),
            other => {
                let _shield = Shield::open();
                let (fate, error) = self.ended_otherwise(other, &ending);
                (fate, Err(error))
            }
        };
        if self.about.wanted.get() {
            self.outcome.result.set(Some(ManuallyDrop::new(result)));
        } else if std::mem::needs_drop::<T>() || result.is_err() {
            Self::drop_unwanted(result);
            if fate == Fate::Finished && scheduler::is_current_killed() {
                fate = Fate::Killed;
            }
        }
        // Those that the destructor of a result has made.
        if self.about.more_if_any().is_some() {
            self.drop_locals();
            if fate == Fate::Finished && scheduler::is_current_killed() {
                fate = Fate::Killed;
            }
        }
        self.about.fate.set(fate);
        scheduler::wake_all(&self.about.joiners, 0);
        if self.about.more_if_any().is_some() {
            self.wake_future();
        }
        ending.over();
    }

    fn about(&self) -> &About {
        &self.about
    }
}

impl<F: FnOnce() -> T, T, E: Ending> Harvest<T> for Packet<F, T, E> {
    fn outcome(&self) -> &Outcome<T> {
        &self.outcome
    }
}

/// Drops a value whose destructor may panic, for callers that must not unwind.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // The payload's own destructor could panic again.
        std::mem::forget(payload);
    }
}
