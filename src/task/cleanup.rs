//! What destructors run that may fail, or be interrupted, in the middle.
use crate::coroutine::{self, Extent};
use crate::scheduler::atomic::Hidden;
use crate::scheduler::kill::{self, Shield};
use crate::scheduler::{self, Ban};
use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A time in which the caller goes on as if nothing unwound: its own unwinds begin at a panic count
/// of zero, and no kill and no bound from outside may unwind it, since that would be a second unwind
/// in a destructor.
pub(crate) struct Apart {
    /// How many panics are hidden.
    levels: usize,
    _ban: Option<Ban>,
    _shield: Option<Shield>,
    _extent: Extent,
    _hidden: Hidden,
}

impl Apart {
    #[cold]
    #[inline(never)]
    pub(crate) fn begin() -> Apart {
        let in_hook = scheduler::in_panic_hook();
        let hidden = Hidden::begin();
        let extent = Extent::enter();
        let shield = Shield::open();
        // A park in a destructor that runs while unwinding is allowed, also inside of `no_yield`; in
        // the panic hook it is not, and with the count hidden only a ban tells.
        let ban = Ban::begin(in_hook);
        Apart {
            levels: coroutine::hide_panics(),
            _ban: ban,
            _shield: shield,
            _extent: extent,
            _hidden: hidden,
        }
    }
}

/// Also where an unwind of the caller's own comes by: it goes on as one more.
impl Drop for Apart {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        coroutine::restore_panics(self.levels);
    }
}

/// Runs `f` [`Apart`].
#[cold]
#[inline(never)]
pub(crate) fn apart<T>(f: impl FnOnce() -> T) -> T {
    let _apart = Apart::begin();
    f()
}

/// The same, for what may fail without anybody hearing of it: an unwind is on its way already.
#[cold]
#[inline(never)]
pub(crate) fn apart_quietly(f: impl FnOnce()) {
    if let Err(payload) = apart(|| catch_unwind(AssertUnwindSafe(f))) {
        // Its destructor may panic too.
        std::mem::forget(payload);
    }
}

/// Drops one value after another. A first that panics leaves the rest undropped, since a second
/// panic could end the process; one that is killed in its destructor, or timed out, leaves none.
pub(crate) fn drop_in_turn<T>(values: impl IntoIterator<Item = T>) {
    let mut values = ManuallyDrop::new(values.into_iter());
    let mut interrupted = None;
    let mut drop_some = || values.by_ref().for_each(drop);
    while let Err(payload) = catch_unwind(AssertUnwindSafe(&mut drop_some)) {
        if !kill::is_ours(&*payload) {
            resume_unwind(payload);
        }
        interrupted = interrupted.or(Some(payload));
    }
    drop(ManuallyDrop::into_inner(values));
    if let Some(payload) = interrupted {
        resume_unwind(payload);
    }
}

/// Drops one value after another, all of them; then goes on with the first unwind.
pub(crate) fn drop_all_in_turn<T>(values: impl IntoIterator<Item = T>) {
    let mut values = values.into_iter();
    let mut failure = Failure::default();
    while failure.keep(|| values.by_ref().for_each(drop)) {}
    failure.raise();
}

/// Runs all of them, one after another, whatever fails; then goes on with the first unwind.
pub(crate) fn run_in_turn<'a>(calls: impl IntoIterator<Item = Box<dyn FnOnce() + 'a>>) {
    let mut failure = Failure::default();
    for call in calls {
        failure.keep(call);
    }
    failure.raise();
}

/// The first unwind of several calls, of which each is to be made.
#[derive(Default)]
struct Failure {
    first: Option<Box<dyn Any + Send>>,
    /// A kill is told once: the rest is cleanup.
    shield: Option<(Extent, Option<Shield>)>,
}

impl Failure {
    /// Makes a call; true if it unwound.
    fn keep(&mut self, call: impl FnOnce()) -> bool {
        let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else {
            return false;
        };
        match self.first {
            None => self.first = Some(payload),
            // Its destructor may panic too.
            Some(_) => std::mem::forget(payload),
        }
        self.shield
            .get_or_insert_with(|| (Extent::enter(), Shield::open()));
        true
    }

    fn raise(self) {
        let Failure { first, shield } = self;
        drop(shield);
        if let Some(payload) = first {
            resume_unwind(payload);
        }
    }
}
