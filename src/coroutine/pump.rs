//! Takes the panic count off an OS thread while a task that unwinds is parked.
//!
//! std counts the panics of each OS thread: `resume_unwind` adds one, `catch_unwind` subtracts
//! one. A task that parks in a destructor while it unwinds would leave its one behind: every
//! other task would see `thread::panicking()`, and the `std::sync::Mutex` of an innocent one
//! would be poisoned. std has no call to move a count, but it moves with a stack:
//!
//! ```text
//! token   a tiny coroutine, stopped in a destructor in the middle of its own unwinding
//! start   resume_unwind, suspend      adds one to the count of the OS thread it runs on
//! finish  resume, catch_unwind        subtracts one from the count of the OS thread it runs on
//!
//! park while unwinding   hide     finish tokens until the count is zero
//! go on unwinding        restore  start as many
//! ```
//!
//! A token is started here and finished there, so the first ones come from a helper OS thread:
//! what starting added stays with it, and it is gone. From then on the tokens and their stacks
//! go round in a pool, which holds as many as were ever needed at once.
//!
//! `hide` cannot tell whose panics it counts; it takes all of them. So whoever resumes a
//! coroutine while unwinding itself must hide before and restore after. Otherwise a coroutine
//! that parks takes the count of its resumer too, whose `catch_unwind` then counts below zero.
//!
//! All this rests on what `thread::panicking()` answers, and on no private part of std. It is
//! tried out once, on helper OS threads; where the answers are not as expected, nothing is
//! hidden. Under `panic = "abort"` nothing unwinds and nobody calls.

#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use corosensei::stack::valgrind::ValgrindStackRegistration;
use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, Yielder};

/// The unwinder needs a few KiB; the rest is never touched.
const STACK_BYTES: usize = 64 * 1024;
/// A multiple of every page size in use.
const GUARD_BYTES: usize = 64 * 1024;
const MAPPED_BYTES: usize = GUARD_BYTES + STACK_BYTES;

/// Makes `thread::panicking()` false on this OS thread; returns how many levels were hidden.
///
/// If a token is missing and none can be made (no OS thread, no memory, or std does not behave
/// as expected), fewer levels are hidden, perhaps none: then the other tasks see
/// `thread::panicking()`.
#[cold]
pub(crate) fn hide() -> usize {
    let mut levels = 0;
    while thread::panicking() {
        // Bound first, so that the pool is not locked while a token is made.
        let pooled = pool().tokens.pop();
        let Some(token) = pooled.or_else(Token::mint) else {
            break;
        };
        let stack = token.finish();
        pool().stacks.push(stack);
        levels += 1;
    }
    levels
}

/// Undoes a [`hide`] that returned `levels`, on the same OS thread.
#[cold]
pub(crate) fn restore(levels: usize) {
    for _ in 0..levels {
        let stack = pool().stacks.pop();
        let stack = stack.expect("each hidden level left its stack in the pool");
        let token = Token::start(stack);
        pool().tokens.push(token);
    }
}

/// Shared by all OS threads, since a token may be finished anywhere: so an OS thread that ends
/// leaves no token behind, and the pool can be used in the destructors of its thread-locals.
static POOL: Mutex<Pool> = Mutex::new(Pool {
    tokens: Vec::new(),
    stacks: Vec::new(),
});

struct Pool {
    tokens: Vec<Token>,
    /// One for each level that is hidden now.
    stacks: Vec<TokenStack>,
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A coroutine stopped in the middle of its unwinding. Dropping it leaks it: unwound without
/// being counted, it would leave the count of this OS thread one too low.
struct Token(ManuallyDrop<Coroutine<(), (), (), TokenStack>>);

// SAFETY: the stack of a suspended token holds frames of `Token::body`, `unwind` and the
// unwinder, and the exception `()`. None of them belongs to an OS thread, except by the panic
// count that is meant to move; `std_counts_as_expected` checks that it does.
unsafe impl Send for Token {}

impl Token {
    /// Starts a token: adds one to the panic count of this OS thread.
    #[inline(never)]
    fn start(stack: TokenStack) -> Self {
        let mut coroutine = Coroutine::with_stack(stack, Self::body);
        coroutine.resume(());
        Self(ManuallyDrop::new(coroutine))
    }

    /// Finishes a token: subtracts one from the panic count of this OS thread.
    #[inline(never)]
    fn finish(mut self) -> TokenStack {
        self.0.resume(());
        debug_assert!(self.0.done(), "a token stops only once");
        ManuallyDrop::into_inner(self.0).into_stack()
    }

    fn body(yielder: &Yielder<(), ()>, (): ()) {
        // The payload of the token, and no news to anybody.
        let _ = catch_unwind(AssertUnwindSafe(|| unwind(yielder)));
    }

    /// Makes a token that this OS thread has not counted.
    fn mint() -> Option<Self> {
        static VERDICT: OnceLock<bool> = OnceLock::new();
        if VERDICT.get().is_none() {
            // Without an OS thread or a stack there is no verdict yet.
            let verdict = on_helper(std_counts_as_expected)?;
            _ = VERDICT.set(verdict);
        }
        if VERDICT.get() == Some(&true) {
            on_helper(Self::start_new)
        } else {
            None
        }
    }

    fn start_new() -> Option<Self> {
        TokenStack::new().ok().map(Self::start)
    }
}

/// Not inlined, so that the address of the panic count, another one on each OS thread, is not
/// kept across the suspension.
#[inline(never)]
fn unwind(yielder: &Yielder<(), ()>) {
    let _suspended = SuspendOnDrop(yielder);
    resume_unwind(Box::new(()));
}

struct SuspendOnDrop<'yielder>(&'yielder Yielder<(), ()>);

impl Drop for SuspendOnDrop<'_> {
    #[inline(never)]
    fn drop(&mut self) {
        self.0.suspend(());
    }
}

/// Runs `make` on an OS thread that ends with it, so that its panic count is of no account.
fn on_helper<T: Send + 'static>(make: fn() -> Option<T>) -> Option<T> {
    let helper = thread::Builder::new().name("maypole-pump".to_owned());
    helper.spawn(make).ok()?.join().ok()?
}

/// Moves a token from another OS thread to this one, which counts from zero, and looks at
/// `thread::panicking()` at each step. `None` means that it could not be tried.
fn std_counts_as_expected() -> Option<bool> {
    let moved = on_helper(Token::start_new)?;
    let own_stack = TokenStack::new().ok()?;
    let before = thread::panicking();
    let own = Token::start(own_stack);
    let unwinding = thread::panicking();
    let stack = moved.finish();
    let hidden = !thread::panicking();
    let innocent = catch_unwind(|| resume_unwind(Box::new(()))).is_err() && !thread::panicking();
    let again = Token::start(stack);
    let restored = thread::panicking();
    drop(own.finish());
    let caught = !thread::panicking();
    let expected = !before && unwinding && hidden && innocent && restored && caught;
    if expected {
        // The second token was started by this OS thread, which ends here and has not counted
        // it off: as good as one that was minted.
        pool().tokens.push(again);
    }
    Some(expected)
}

/// A small stack with a guard at its low end.
struct TokenStack {
    base: StackPointer,
    registration: ManuallyDrop<ValgrindStackRegistration>,
}

impl TokenStack {
    fn new() -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no other memory.
        let low = unsafe {
            libc::mmap(
                ptr::null_mut(),
                MAPPED_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if low == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = StackPointer::new(low as usize + MAPPED_BYTES);
        let registration = ValgrindStackRegistration::new(low.cast(), MAPPED_BYTES);
        // Owned from here on, so that a failure below unmaps it.
        let stack = Self {
            base: base.expect("a mapping does not end at address zero"),
            registration: ManuallyDrop::new(registration),
        };
        // SAFETY: the range is the low part of the mapping above, which nothing uses yet.
        if unsafe { libc::mprotect(low, GUARD_BYTES, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }
}

// SAFETY: `base` and `limit` are the two ends of one mapping that lives as long as `self`; its
// low `GUARD_BYTES` cannot be touched, and the rest is more than `MIN_STACK_SIZE`.
unsafe impl Stack for TokenStack {
    #[inline]
    fn base(&self) -> StackPointer {
        self.base
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        StackPointer::new(self.base.get() - MAPPED_BYTES).expect("a mapping begins above zero")
    }
}

impl Drop for TokenStack {
    fn drop(&mut self) {
        // SAFETY: dropped here and nowhere else; before the memory it names is given back.
        unsafe { ManuallyDrop::drop(&mut self.registration) };
        let low = self.limit().get() as *mut libc::c_void;
        // SAFETY: `low` and `MAPPED_BYTES` are the mapping of `new`. A coroutine owns its stack,
        // and a token that is not finished is never dropped, so nothing runs on it.
        let result = unsafe { libc::munmap(low, MAPPED_BYTES) };
        debug_assert_eq!(result, 0, "the mapping is still there");
    }
}

#[cfg(all(test, panic = "unwind"))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    type Task = Coroutine<(), (), (), TokenStack>;

    fn task(body: impl FnOnce(&Yielder<(), ()>) + 'static) -> Task {
        let stack = TokenStack::new().expect("there is memory for a stack");
        Coroutine::with_stack(stack, move |yielder, ()| body(yielder))
    }

    /// Parks as a task does: what it hides, it restores.
    fn park(yielder: &Yielder<(), ()>) {
        let levels = if thread::panicking() { hide() } else { 0 };
        yielder.suspend(());
        restore(levels);
    }

    /// Runs a closure when dropped.
    struct OnDrop<F: FnMut()>(F);

    impl<F: FnMut()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    /// Unwinds, and parks `times` times in a destructor on the way.
    fn unwind_and_park(yielder: &Yielder<(), ()>, times: usize) {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = OnDrop(|| {
                for _ in 0..times {
                    park(yielder);
                    assert!(thread::panicking());
                }
            });
            resume_unwind(Box::new("the payload"));
        }));
        let payload = caught.expect_err("it unwound");
        assert_eq!(*payload.downcast_ref::<&str>().unwrap(), "the payload");
    }

    /// The count of this OS thread is zero: one panic more is counted up and down.
    fn assert_count_is_zero() {
        assert!(!thread::panicking());
        let seen = Cell::new(false);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = OnDrop(|| seen.set(thread::panicking()));
            resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err() && seen.get());
        assert!(!thread::panicking());
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    #[test]
    fn nothing_to_hide_hides_nothing() {
        assert_eq!(hide(), 0);
        restore(0);
        assert_count_is_zero();
    }

    #[test]
    fn one_parked_task_is_not_seen_by_others() {
        let innocent = Mutex::new(());
        let guard = innocent.lock().unwrap();
        let mut parked = task(|yielder| {
            unwind_and_park(yielder, 1);
            assert!(!thread::panicking());
        });
        parked.resume(());
        assert_count_is_zero();
        drop(guard);
        assert!(!innocent.is_poisoned());
        parked.resume(());
        assert!(parked.done());
        assert_count_is_zero();
    }

    #[test]
    fn levels_nest() {
        let mut parked = task(|yielder| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _outer = OnDrop(|| {
                    unwind_and_park(yielder, 2);
                    assert!(thread::panicking());
                    park(yielder);
                    assert!(thread::panicking());
                });
                resume_unwind(Box::new(()));
            }));
            assert!(caught.is_err() && !thread::panicking());
        });
        for _ in 0..3 {
            parked.resume(());
            assert_count_is_zero();
        }
        parked.resume(());
        assert!(parked.done());
        assert_count_is_zero();
    }

    #[test]
    fn hide_tells_how_many_levels() {
        let (one, two) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let hide_and_restore = |levels: &Cell<usize>| {
            levels.set(hide());
            assert!(!thread::panicking());
            restore(levels.get());
            assert!(thread::panicking());
        };
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _outer = OnDrop(|| {
                hide_and_restore(&one);
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    let _inner = OnDrop(|| hide_and_restore(&two));
                    resume_unwind(Box::new(()));
                }));
                assert!(caught.is_err());
            });
            resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
        assert_eq!((one.get(), two.get()), (1, 2));
        assert_count_is_zero();
    }

    #[test]
    fn two_hundred_tasks_park_in_any_order() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let innocent = Mutex::new(());
        for _ in 0..3 {
            let mut tasks: Vec<Task> = (0..200)
                .map(|number| {
                    task(move |yielder| {
                        park(yielder);
                        unwind_and_park(yielder, 1 + number % 3);
                        park(yielder);
                        // A panic that nothing parks in.
                        assert!(catch_unwind(|| resume_unwind(Box::new(number))).is_err());
                    })
                })
                .collect();
            while !tasks.is_empty() {
                let guard = innocent.lock().unwrap_or_else(PoisonError::into_inner);
                let index = random.below(tasks.len());
                tasks[index].resume(());
                assert!(!thread::panicking());
                if random.below(8) == 0 {
                    assert_count_is_zero();
                }
                drop(guard);
                if tasks[index].done() {
                    tasks.swap_remove(index);
                }
            }
            assert_count_is_zero();
            assert!(!innocent.is_poisoned());
        }
    }

    /// What whoever resumes a coroutine while unwinding has to do.
    #[test]
    fn a_resumer_that_unwinds_keeps_its_own_count() {
        let mut parked = task(|yielder| unwind_and_park(yielder, 1));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = OnDrop(|| {
                for _ in 0..2 {
                    let levels = hide();
                    assert_eq!(levels, 1);
                    parked.resume(());
                    restore(levels);
                    assert!(thread::panicking());
                }
            });
            resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err() && parked.done());
        assert_count_is_zero();
    }

    #[test]
    fn parks_while_thread_locals_are_destroyed() {
        struct Late(Cell<Option<Task>>);
        impl Drop for Late {
            fn drop(&mut self) {
                let mut parked = self.0.take().expect("it was parked before");
                parked.resume(());
                assert_count_is_zero();
                parked.resume(());
                assert!(parked.done());
                assert_count_is_zero();
            }
        }
        thread_local!(static LATE: Late = const { Late(Cell::new(None)) });
        let owner = thread::spawn(|| {
            let mut parked = task(|yielder| unwind_and_park(yielder, 2));
            parked.resume(());
            LATE.with(|late| late.0.set(Some(parked)));
        });
        owner.join().unwrap();
    }

    #[test]
    fn os_threads_share_the_tokens() {
        let owners: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(|| {
                    for _ in 0..50 {
                        let mut parked = task(|yielder| unwind_and_park(yielder, 3));
                        while !parked.done() {
                            parked.resume(());
                            assert!(!thread::panicking());
                        }
                        assert_count_is_zero();
                    }
                })
            })
            .collect();
        owners.into_iter().for_each(|owner| owner.join().unwrap());
        assert_count_is_zero();
    }

    /// In a process of its own would be exact; beside the other tests, which hide at most some
    /// hundreds of levels at once, a pool that grew with each round would still stand out.
    #[test]
    fn the_pool_does_not_grow_with_past_parks() {
        let mut parked = task(|yielder| unwind_and_park(yielder, 20_000));
        while !parked.done() {
            parked.resume(());
        }
        assert_count_is_zero();
        let pool = pool();
        assert!(pool.tokens.len() + pool.stacks.len() < 1000);
    }
}
