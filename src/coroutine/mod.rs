//! A stack with a function on it: resume it, suspend it. Knows nothing of tasks or schedulers.
//!
//! ```text
//!    high addresses   ┌──────────────────────────────┐
//!                     │ label (for overflow reports) │
//!                     │ Header: the coroutine itself │ <- Coroutine, Handle
//!                     ├──────────────────────────────┤ <- base
//!                     │ frames of the function       │
//!                     │            ...               │
//!    low addresses    │ guard: touching it is fatal  │
//!                     └──────────────────────────────┘
//! ```
//!
//! The header lives at the top of its own stack: it has an address of its own that no table
//! growing elsewhere can move, and it shares its page with the hottest frames. Everything above
//! this floor sees [`Coroutine`], [`Handle`], [`suspend`] and the flags of the running coroutine,
//! so the switch itself (corosensei's) can be replaced here and nowhere else.
#![allow(unsafe_code)]

mod arena;
mod current;
mod guard;
mod home;
mod overflow;
mod producer;
mod pump;
mod stack;

pub(crate) use arena::{Arena, Class, StackLimit};
pub(crate) use current::{Current, Installed};
pub(crate) use home::{Home, Lent};
pub(crate) use overflow::watch as watch_for_overflow;
pub use producer::Step;
pub(crate) use producer::{Producer, Suspender};
pub(crate) use pump::{hide as hide_panics, restore as restore_panics};
pub(crate) use stack::{Extent, Footing, Kind, Label};

use corosensei::Yielder;
use stack::{Ground, Stack};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// Why a coroutine gave control back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// It wants another turn.
    Yielded,
    /// Somebody must wake it.
    Parked,
    /// Its function has returned; it is idle, and the next resume runs the function again.
    Ended,
    /// It must never be resumed again.
    Abandoned,
}

type Raw = corosensei::Coroutine<(), Signal, (), Stack>;

/// The coroutine, at the top of its own stack.
struct Header {
    raw: UnsafeCell<MaybeUninit<Raw>>,
    /// How the function suspends itself; written at the first resume.
    suspender: Cell<*const Yielder<(), Signal>>,
    /// Non-zero when the floor above wants to be asked before the next suspend.
    attention: Cell<u32>,
    /// Operations since the function waited last.
    spent: Cell<u32>,
    /// Whom the function serves, in words of the floor above.
    tag: Cell<[u64; 2]>,
    ground: Ground,
}

thread_local! {
    /// The coroutine running on this OS thread; null outside one.
    static RUNNING: Cell<*const Header> = const { Cell::new(ptr::null()) };
}

/// The value of [`attention`] outside any coroutine; no flag of the floor above may equal it.
pub(crate) const OUTSIDE: u32 = 1 << 31;

/// Tells an idle coroutine to return for good.
const DISMISSED: u32 = 1 << 30;

/// The running function must go on in one piece; see [`begin_atomic`]. Two bits far apart, so that
/// the whole word is written: one would be changed in its byte alone, and the load of a word that
/// was just written in part stalls the processor.
pub(crate) const ATOMIC: u32 = 1 << 29 | 1 << 20;

/// Owns a coroutine. Dropping it leaks the stack: a suspended function is never torn down from
/// outside, see [`Coroutine::dismiss`].
pub(crate) struct Coroutine(NonNull<Header>);

/// Names a coroutine that its owner keeps, so that it can be resumed while the table that holds
/// the owner is free to grow.
#[derive(Clone, Copy)]
pub(crate) struct Handle(NonNull<Header>);

impl Coroutine {
    /// Puts `function` on `stack`. Each time it has returned the coroutine is idle, until a resume
    /// runs it again: a coroutine that serves one task after another costs half as much as one
    /// for each. No unwind may leave `function`.
    #[inline]
    pub(crate) fn new(mut stack: Stack, function: fn()) -> Self {
        let header: NonNull<Header> = stack.carve::<Header>().cast();
        let ground = stack.ground();
        // SAFETY: `carve` gave this coroutine alone the room for a `Header`, aligned for it.
        unsafe {
            header.write(Header {
                raw: UnsafeCell::new(MaybeUninit::uninit()),
                suspender: Cell::new(ptr::null()),
                attention: Cell::new(0),
                spent: Cell::new(0),
                tag: Cell::new([0; 2]),
                ground,
            });
        }
        let raw = Raw::with_stack(stack, move |suspender: &Yielder<(), Signal>, ()| {
            // SAFETY: the header lives until `dismiss`, which ends this function first.
            let header = unsafe { header.as_ref() };
            header.suspender.set(suspender);
            while header.attention.get() != DISMISSED {
                function();
                suspender.suspend(Signal::Ended);
            }
        });
        // SAFETY: the header was written above and nothing else refers to its cell yet.
        let cell = unsafe { &mut *header.as_ref().raw.get() };
        cell.write(raw);
        Coroutine(header)
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: the owner exists, so `dismiss` has not run and the header is alive.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.0)
    }

    /// The flags that the floor above shows to the function when it runs.
    #[inline(always)]
    pub(crate) fn set_attention(&self, bits: u32) {
        debug_assert_eq!(bits & (OUTSIDE | DISMISSED | ATOMIC), 0);
        let attention = &self.header().attention;
        attention.set(bits | attention.get() & ATOMIC);
    }

    /// What [`tag`] tells the function when it runs.
    #[inline(always)]
    pub(crate) fn set_tag(&self, tag: [u64; 2]) {
        self.header().tag.set(tag);
    }

    /// Prepares an idle coroutine for its next run, under another label.
    #[inline]
    pub(crate) fn relabel(&self, label: Label) {
        self.header().ground.relabel(label);
        self.header().attention.set(0);
        self.header().spent.set(0);
    }

    /// Ends an idle coroutine; its stack goes back to the arena.
    pub(crate) fn dismiss(self) {
        self.header().attention.set(DISMISSED);
        // SAFETY: the owner exists, so the header is alive and its cell initialised; the
        // coroutine is idle, so no other `&mut` to it is in use.
        let raw = unsafe { (*self.header().raw.get()).assume_init_mut() };
        if raw.started() {
            raw.resume(());
        } else {
            // Never resumed: its function, which owns nothing, is dropped in place.
            raw.force_unwind();
        }
        // SAFETY: as above; the header is not used again, so the value is moved out once.
        let raw = unsafe { (*self.header().raw.get()).assume_init_read() };
        drop(raw.into_stack());
    }
}

impl Handle {
    /// Runs the coroutine until it suspends; an idle one begins its function.
    ///
    /// The owner outlives every handle: a coroutine is dismissed only when idle, and a queue never
    /// holds a task that has ended. One that is running already makes corosensei panic.
    #[inline(always)]
    pub(crate) fn resume(self) -> Signal {
        let outer = RUNNING.get();
        let signal = self.resume_from_the_loop();
        RUNNING.set(outer);
        signal
    }

    /// The same, for a caller that is itself on no coroutine of ours.
    #[inline(always)]
    pub(crate) fn resume_from_the_loop(self) -> Signal {
        RUNNING.set(self.0.as_ptr());
        // SAFETY: the owner is alive (see above), so the cell is initialised; corosensei refuses
        // to resume a coroutine that runs, so no second `&mut` is used.
        let raw = unsafe { (*self.0.as_ref().raw.get()).assume_init_mut() };
        let result = raw.resume(());
        RUNNING.set(ptr::null());
        match result {
            corosensei::CoroutineResult::Yield(signal) => signal,
            // Only a dismissed coroutine returns, and nobody names it any more.
            corosensei::CoroutineResult::Return(()) => Signal::Abandoned,
        }
    }

    /// Asks the processor to fetch the header, which a resume will read.
    #[inline(always)]
    pub(crate) fn prefetch(self) {
        prefetch(self.0.as_ptr().cast());
    }

    /// Asks the processor to fetch the topmost frames of a parked function.
    #[inline(always)]
    pub(crate) fn prefetch_frames(self) {
        // Where exactly it stopped is corosensei's secret; parked tasks are shallow, and their
        // frames begin right below the header.
        let header = self.0.as_ptr().cast::<u8>();
        prefetch(header.wrapping_sub(128));
        prefetch(header.wrapping_sub(64));
    }
}

#[inline(always)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it may name any address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Gives control back to whoever resumed the running coroutine; returns at its next resume.
///
/// Inlined into every caller down from the public call: the processor predicts a `ret` by the
/// `call` that entered, so a suspend behind a real call mispredicts (5 times slower).
#[inline(always)]
pub(crate) fn suspend(signal: Signal) {
    let running = RUNNING.get();
    if running.is_null() {
        nothing_to_suspend();
    }
    // SAFETY: `RUNNING` is non-null only between entry to and return from `resume`, so the header
    // is alive; its function has started, so the suspender, at the base of its stack, is set.
    unsafe { (*(*running).suspender.get()).suspend(signal) };
}

#[cold]
#[inline(never)]
fn nothing_to_suspend() -> ! {
    panic!("a suspend outside of every coroutine");
}

/// The flags of the running coroutine, [`OUTSIDE`] when there is none.
#[inline(always)]
pub(crate) fn attention() -> u32 {
    let running = RUNNING.get();
    if running.is_null() {
        return OUTSIDE;
    }
    // SAFETY: as in `suspend`: a running coroutine's header is alive.
    unsafe { (*running).attention.get() }
}

/// The tag of the running coroutine, zeroes when there is none.
#[inline(always)]
pub(crate) fn tag() -> [u64; 2] {
    let running = RUNNING.get();
    if running.is_null() {
        return [0; 2];
    }
    // SAFETY: as in `suspend`: a running coroutine's header is alive.
    unsafe { (*running).tag.get() }
}

/// Counts one operation of the running coroutine; tells how many it did before.
#[inline(always)]
pub(crate) fn spend() -> u32 {
    let running = RUNNING.get();
    if running.is_null() {
        return 0;
    }
    // SAFETY: as in `suspend`: a running coroutine's header is alive.
    let spent = unsafe { &(*running).spent };
    let before = spent.get();
    spent.set(before.saturating_add(1));
    before
}

/// Starts the count of operations of the running coroutine again.
#[inline(always)]
pub(crate) fn refill() {
    let running = RUNNING.get();
    if !running.is_null() {
        // SAFETY: as in `suspend`: a running coroutine's header is alive.
        unsafe { &(*running).spent }.set(0);
    }
}

/// Shows [`ATOMIC`] among the flags of the running coroutine until [`end_atomic`]. False for a
/// caller that is not on that coroutine's own stack: it may be on a generator's, which must not
/// yield meanwhile, see [`Extent`].
#[inline(always)]
#[must_use]
pub(crate) fn begin_atomic() -> bool {
    let running = RUNNING.get();
    if running.is_null() {
        return false;
    }
    // SAFETY: as in `suspend`: a running coroutine's header is alive.
    let header = unsafe { &*running };
    header.attention.set(header.attention.get() | ATOMIC);
    header.ground.contains(stack::stack_pointer())
}

/// Takes [`ATOMIC`] from the flags of the running coroutine.
#[inline(always)]
pub(crate) fn end_atomic() {
    let running = RUNNING.get();
    if !running.is_null() {
        // SAFETY: as in `suspend`: a running coroutine's header is alive.
        let attention = unsafe { &(*running).attention };
        attention.set(attention.get() & !ATOMIC);
    }
}

/// How deep the running code is below the top of its coroutine's stack, in bytes; the same for
/// the same calls on any stack.
pub(crate) fn depth() -> usize {
    (RUNNING.get() as usize).wrapping_sub(stack::stack_pointer())
}

/// Writes a line to stderr. `eprintln!` panics when stderr is a broken pipe, and whoever says
/// something here is in no state to panic.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
