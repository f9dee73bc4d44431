//! Who drives a body that is no generator's: what stands on the other side of its yielder.
//!
//! ```text
//!   body ──► yield_(value) ──► Host::take ──► keeps the value, holds the body back ──► goes on
//!            checkpoint()  ──► Host::hold ──────────────┘             └──► Close: unwinds here
//! ```
//!
//! A body that a host drives needs no stack of its own: the host has one, a task's or an OS
//! thread's, and is asked at each yield.
use super::Yielder;
use super::core::ClosePayload;
use crate::coroutine::{ATOMIC, Footing, attention};
use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;

/// The one interface between a body and whatever runs it.
pub(crate) trait Host<Y, S> {
    /// Whether the caller is the body, and no other task.
    fn is_asked_by_body(&self) -> bool;

    /// Takes what the body yields, and comes back when it may go on.
    fn take(&self, value: Y, at: &'static Location<'static>) -> Answer<S>;

    /// Comes back when the body may go on from a checkpoint.
    fn hold(&self, at: &'static Location<'static>) -> Answer<()>;
}

/// What the host has to say to the body.
pub(crate) enum Answer<S> {
    GoOn(S),
    /// The body is to unwind from here.
    Close,
}

/// How a body ended.
pub(crate) enum Ended<R> {
    Returned(R),
    /// By the unwind that the host has asked for.
    Closed,
    Panicked(Box<dyn Any + Send>),
}

/// Runs `body`, which was made at `site`, under `host`.
pub(crate) fn run_under<Y, R>(
    host: Rc<dyn Host<Y, ()>>,
    site: &'static Location<'static>,
    body: impl FnOnce(&Yielder<Y>) -> R,
) -> R {
    let yielder = Yielder::hosted(Hosted {
        host,
        site,
        footing: Footing::here(),
    });
    body(&yielder)
}

/// The same, for a host that has nobody above it who would see an unwind.
pub(crate) fn catch_under<Y, R>(
    host: Rc<dyn Host<Y, ()>>,
    site: &'static Location<'static>,
    body: impl FnOnce(&Yielder<Y>) -> R,
) -> Ended<R> {
    let key = key_of(&host);
    match catch_unwind(AssertUnwindSafe(|| run_under(host, site, body))) {
        Ok(value) => Ended::Returned(value),
        Err(payload) if ClosePayload::is(&*payload, key) => Ended::Closed,
        Err(payload) => Ended::Panicked(payload),
    }
}

/// Tells the unwinds of one host from those of others.
fn key_of<Y, S>(host: &Rc<dyn Host<Y, S>>) -> usize {
    Rc::as_ptr(host).addr()
}

/// The yielder's side.
pub(super) struct Hosted<Y, S> {
    host: Rc<dyn Host<Y, S>>,
    pub(super) site: &'static Location<'static>,
    /// The stack that the body runs on.
    footing: Footing,
}

impl<Y, S> Hosted<Y, S> {
    /// Whether the body is inside of something that belongs to its task, and that a generator
    /// would leave.
    fn is_bound(&self) -> bool {
        self.footing.has_extents() || attention() & ATOMIC != 0
    }

    /// `Err`: it must not be, and the value is dropped.
    #[inline(never)]
    pub(super) fn take(&self, value: Y, at: &'static Location<'static>) -> Result<S, Stop> {
        if !self.host.is_asked_by_body() {
            return Err(Stop::Astray);
        }
        if self.is_bound() {
            return Err(Stop::Bound);
        }
        self.host.take(value, at).into_result()
    }

    pub(super) fn hold(&self, at: &'static Location<'static>) -> Result<(), Stop> {
        if !self.host.is_asked_by_body() {
            return Err(Stop::Astray);
        }
        self.host.hold(at).into_result()
    }

    #[cold]
    pub(super) fn close(&self) -> ! {
        resume_unwind(Box::new(ClosePayload(key_of(&self.host))))
    }
}

/// Why a yield does not return.
pub(super) enum Stop {
    Close,
    /// The caller is not the body.
    Astray,
    /// It would leave a timeout, a scope, a shield, a `no_yield` or a transaction.
    Bound,
}

impl<S> Answer<S> {
    #[inline(always)]
    fn into_result(self) -> Result<S, Stop> {
        match self {
            Answer::GoOn(sent) => Ok(sent),
            Answer::Close => Err(Stop::Close),
        }
    }
}
