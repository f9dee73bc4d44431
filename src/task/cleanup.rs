//! What a destructor runs while its task unwinds, when that may fail or be interrupted by itself.
use crate::coroutine::{self, Extent};
use crate::scheduler::kill::Shield;
use crate::scheduler::{self, Ban};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `f` as if nothing unwound: its own unwinds begin at a panic count of zero, and no kill and
/// no bound from outside may unwind it, since that would be a second unwind in a destructor.
#[cold]
#[inline(never)]
pub(crate) fn apart<T>(f: impl FnOnce() -> T) -> T {
    let in_hook = scheduler::in_panic_hook();
    let _extent = Extent::enter();
    let _shield = Shield::open();
    // A park in a destructor that runs while unwinding is allowed, also inside of `no_yield`; in
    // the panic hook it is not, and with the count hidden only a ban tells.
    let _ban = Ban::begin(in_hook);
    let levels = coroutine::hide_panics();
    let result = catch_unwind(AssertUnwindSafe(f));
    coroutine::restore_panics(levels);
    result.unwrap_or_else(|payload| resume_unwind(payload))
}
