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
    if scheduler::in_panic_hook() {
        // Nothing unwinds yet, and with the count hidden a park would not be refused.
        return f();
    }
    let _extent = Extent::enter();
    let _shield = Shield::open();
    // A park in a destructor that runs while unwinding is allowed, also inside of `no_yield`.
    let _allowed = Ban::begin(false);
    let levels = coroutine::hide_panics();
    let result = catch_unwind(AssertUnwindSafe(f));
    coroutine::restore_panics(levels);
    result.unwrap_or_else(|payload| resume_unwind(payload))
}
