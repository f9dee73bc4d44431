//! The door out: the only file that suspends a task.
//!
//! ```text
//!  check ──► (try) ──► park: enlist in every queue, arm the timer ──► suspend ─┐
//!    │ kill, bound,                                                            │ the loop runs others
//!    │ forbidden, audit                 Woken  ◄── kernel.wake ◄───────────────┘
//! ```
//!
//! A kill is looked for once, before any effect, and never between a wake and its result: a task
//! that was handed something keeps it.
use super::exploring::Then;
use super::kernel::Kernel;
use super::kill::{attention, raise_bound, raise_kill};
use super::wait::{Packed, Wait, WaitQueue, What, Woken};
use super::{atomic, audit, in_panic_hook, with_kernel};
use crate::coroutine::{self, Signal};
use std::panic::Location;

/// Flags of a task that must neither park nor yield.
const STAY: u32 = attention::FORBID | coroutine::ATOMIC;

/// Operations that a task may do without waiting before it yields by itself.
const BUDGET: u32 = 127;

/// Gives every other ready task a turn.
///
/// The task goes to the end of the line and goes on when all those that were ready have had one
/// turn. What happens between two yields is atomic: no other task runs.
///
/// Parks: no, but others run meanwhile. A kill unwinds the task from here, before it gives way.
///
/// # Panics
///
/// Outside [`run`](crate::run), and where yielding is forbidden
/// ([`no_yield`](crate::task::no_yield)).
///
/// # Examples
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// let log = Rc::new(RefCell::new(String::new()));
/// maypole::run(|| {
///     let theirs = log.clone();
///     let child = maypole::spawn(move || {
///         for step in ["b", "d"] {
///             theirs.borrow_mut().push_str(step);
///             maypole::yield_now();
///         }
///     });
///     for step in ["a", "c"] {
///         log.borrow_mut().push_str(step);
///         maypole::yield_now();
///     }
///     child.join().unwrap();
/// });
/// assert_eq!(*log.borrow(), "abcd");
/// ```
#[inline(always)]
#[track_caller]
pub fn yield_now() {
    if coroutine::attention() != 0 || std::thread::panicking() {
        return yield_slowly(Location::caller());
    }
    coroutine::suspend(Signal::Yielded);
}

#[cold]
#[inline(never)]
fn yield_slowly(at: &'static Location<'static>) {
    yield_as(Wait {
        what: What::Turn,
        at,
    });
}

/// Yields on behalf of a call that has nothing to wait for.
pub(crate) fn yield_as(wait: Wait) {
    if coroutine::attention() != 0 {
        heed(wait);
        if coroutine::attention() & attention::EXPLORE != 0 {
            with_kernel(|kernel| kernel.gives_turn(wait));
        }
    }
    ask(wait);
    suspend_counted(Signal::Yielded);
}

/// What a parking call does first: raises a pending kill or bound, and yields when the task has
/// done many calls that did not wait.
#[inline(always)]
pub(crate) fn enter(wait: Wait) {
    if coroutine::attention() != 0 {
        match wait.what {
            // Packed, it forgets which task it was if that has ended.
            What::Join(_) => enter_join_slowly(wait),
            _ => enter_slowly(wait.pack()),
        }
    }
    if coroutine::spend() >= BUDGET {
        give_way(wait.pack());
    }
}

#[cold]
#[inline(never)]
fn enter_join_slowly(wait: Wait) {
    heed_and_explore(wait);
}

#[cold]
#[inline(never)]
fn enter_slowly(wait: Packed) {
    heed_and_explore(unpack(wait));
}

fn heed_and_explore(wait: Wait) {
    heed(wait);
    if coroutine::attention() & attention::EXPLORE != 0 {
        explore(wait, Kernel::explore_operation);
        // A kill may have come meanwhile, and the call is about to wait.
        heed(wait);
    }
}

/// The budget is used up: gives the others a turn, still before any effect of the call.
#[cold]
#[inline(never)]
fn give_way(wait: Packed) {
    let wait = unpack(wait);
    let forbidden = coroutine::attention() & STAY != 0;
    if forbidden || std::thread::panicking() {
        return;
    }
    if coroutine::attention() & attention::EXPLORE != 0 {
        with_kernel(|kernel| kernel.gives_turn(wait));
    }
    leave(wait);
    // A kill may have come meanwhile, and the call is about to wait.
    if coroutine::attention() != 0 {
        heed(wait);
    }
}

/// Gives the others a turn before any effect of a call that need not wait.
fn leave(wait: Wait) {
    if coroutine::attention() & attention::AUDIT != 0 {
        audit::check(wait);
    }
    coroutine::refill();
    coroutine::suspend(Signal::Yielded);
}

/// Lets a policy that explores say who comes before `wait`.
fn explore(wait: Wait, ask: impl FnOnce(&mut Kernel, Wait) -> Then) {
    let forbidden = coroutine::attention() & STAY != 0;
    if forbidden || std::thread::panicking() {
        return with_kernel(|kernel| kernel.tell(wait));
    }
    match with_kernel(|kernel| ask(kernel, wait)) {
        Then::GoOn => {}
        Then::GiveWay => leave(wait),
        Then::Spin => spins(wait),
    }
}

#[cold]
fn spins(wait: Wait) -> ! {
    panic!(
        "maypole: {what} at {at} comes again and again in one turn: a loop that waits for another \
         task must park or yield",
        what = wait.what,
        at = wait.at,
    );
}

/// A call that others can see but that never waits: where every operation is a switch, as between
/// OS threads, the others may come first. It raises no kill and takes nothing from the budget.
#[inline(always)]
pub(crate) fn touch(name: &'static str, at: &'static Location<'static>) {
    if coroutine::attention() & attention::TOUCH != 0 {
        touch_slowly(Wait {
            what: What::Call(name),
            at,
        });
    }
}

#[cold]
#[inline(never)]
fn touch_slowly(wait: Wait) {
    explore(wait, Kernel::touched);
}

/// What was packed only to be handed over in registers.
pub(super) fn unpack(packed: Packed) -> Wait {
    super::door::with_scheduler(|scheduler| match scheduler {
        Some(scheduler) => scheduler.kernel(|kernel| kernel.unpack(packed)),
        None => Wait {
            what: packed.what().unwrap_or(What::Turn),
            at: packed.at,
        },
    })
}

/// Raises what is pending for the task.
#[cold]
#[inline(never)]
pub(crate) fn heed(wait: Wait) {
    let bits = coroutine::attention();
    if bits == coroutine::OUTSIDE {
        super::outside(wait);
    }
    if std::thread::panicking() {
        // A second unwind would abort the process: no kill and no bound in a destructor.
        return;
    }
    if bits & coroutine::ATOMIC != 0 {
        // A transaction is not killed in the middle.
        return;
    }
    if bits & attention::KILL != 0 {
        raise_kill(wait);
    }
    if bits & attention::BOUND != 0 {
        raise_bound();
    }
}

/// What a call does that is about to wait or to yield: refuses where that must not be.
#[inline(always)]
pub(crate) fn ask(wait: Wait) {
    ask_packed(wait.pack());
}

#[inline(always)]
pub(crate) fn ask_packed(wait: Packed) {
    if coroutine::attention() & (STAY | attention::AUDIT) != 0 || std::thread::panicking() {
        ask_slowly(wait);
    }
}

#[cold]
#[inline(never)]
fn ask_slowly(wait: Packed) {
    let wait = unpack(wait);
    let unwinding = std::thread::panicking();
    if unwinding && in_panic_hook() {
        // A panic in a hook shows no message of its own.
        let (what, at) = (wait.what, wait.at);
        coroutine::say(format_args!(
            "maypole: {what} inside the panic hook, at {at}: nothing can wait there"
        ));
        panic!("maypole: a park inside the panic hook");
    }
    if !atomic::make_way() {
        super::door::forbidden(wait);
    }
    if unwinding {
        // Everything may wait in a destructor that runs while unwinding.
        return;
    }
    let bits = coroutine::attention();
    if bits & attention::FORBID != 0 {
        super::door::forbidden(wait);
    }
    if bits & attention::AUDIT != 0 {
        audit::check(wait);
    }
}

/// Parks the running task on every queue in `on`, each with what it offers to its waker, until it
/// is woken or the time is `until`. The caller has called [`enter`] and [`ask`].
///
/// A kill or a bound that ends the park unwinds from here.
#[inline(always)]
pub(crate) fn park(on: &[(&WaitQueue, usize)], until: Option<u64>, wait: Wait) -> Woken {
    finish(begin(on, until, wait.pack()), wait)
}

/// The same, on one queue: what most parks are.
#[inline(always)]
pub(crate) fn park_in(queue: &WaitQueue, offer: usize, until: Option<u64>, wait: Wait) -> Woken {
    finish(begin_in(queue, offer, until, wait.pack()), wait)
}

/// The second half of a park: suspends the task, which [`begin_in`] has found unwinding or not.
/// Inlined into the caller, see [`coroutine::suspend`]; the first half need not be.
#[inline(always)]
pub(crate) fn finish(unwinding: bool, wait: Wait) -> Woken {
    if unwinding {
        suspend_counted(Signal::Parked);
    } else {
        coroutine::suspend(Signal::Parked);
    }
    end(wait)
}

/// The first half of a park: Running → Parked; tells whether the task is unwinding.
#[inline(never)]
pub(crate) fn begin(on: &[(&WaitQueue, usize)], until: Option<u64>, wait: Packed) -> bool {
    let unwinding = std::thread::panicking();
    coroutine::refill();
    with_kernel(|kernel| kernel.park(on.iter().copied(), until, wait, unwinding));
    unwinding
}

/// The first half of a park on one queue.
#[inline(always)]
pub(crate) fn begin_in(queue: &WaitQueue, offer: usize, until: Option<u64>, wait: Packed) -> bool {
    let unwinding = std::thread::panicking();
    coroutine::refill();
    with_kernel(|kernel| kernel.park_in(queue, offer, until, wait, unwinding));
    unwinding
}

#[inline(always)]
fn end(wait: Wait) -> Woken {
    let woken = with_kernel(|kernel| kernel.tasks[kernel.current as usize].woken());
    match woken {
        Woken::Ready { .. } | Woken::TimedOut => {}
        Woken::Killed => raise_kill(wait),
        Woken::Interrupted => raise_bound(),
    }
    woken
}

/// Whether the running code may park.
pub(crate) fn is_allowed() -> bool {
    coroutine::attention() & (STAY | coroutine::OUTSIDE) == 0 && !std::thread::panicking()
}

/// Lets the task go first that the call has woken last. The call has had its effect, so no kill is
/// raised.
#[cold]
#[inline(never)]
pub(crate) fn let_go_first() {
    if is_allowed() {
        with_kernel(|kernel| kernel.hurry_latest());
        coroutine::suspend(Signal::Yielded);
    }
}

/// Suspends a task that is given up: it is never resumed.
pub(super) fn leave_for_ever() -> ! {
    loop {
        coroutine::suspend(Signal::Abandoned);
    }
}

/// Gives the others a turn, with no question asked: the task is about to be unwound.
pub(super) fn step_aside() {
    coroutine::suspend(Signal::Yielded);
}

/// Suspends a task that may be unwinding: it takes its panic count with it, so that the others do
/// not see `thread::panicking()` and no innocent `std::sync::Mutex` is poisoned.
#[cold]
#[inline(never)]
fn suspend_counted(signal: Signal) {
    if !std::thread::panicking() {
        return coroutine::suspend(signal);
    }
    let levels = coroutine::hide_panics();
    coroutine::suspend(signal);
    coroutine::restore_panics(levels);
}
