//! The narrow door: what the floors above may ask of the scheduler that runs on this OS thread.
//! Values pass as plain tokens, so nobody points into another's stack.
use super::kernel::Kernel;
use super::kill::{Killed, attention};
use super::object::Object;
use super::observer::Event;
use super::policy::Kind;
use super::task::{Body, Flags, KillNote, TaskId};
use super::wait::{Wait, WaitQueue, What};
use super::{
    CURRENT, First, IN_PANIC_HOOK, Scheduler, Traits, UnjoinedPanic, atomic, clock, hosted_at,
    park, run_nested,
};
use crate::coroutine::{self, Current, StackLimit};
use std::fmt::Arguments;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// Whether a scheduler runs on this OS thread.
pub(crate) fn is_running() -> bool {
    CURRENT.with(|current| current.is_set())
}

#[inline(always)]
pub(super) fn with_scheduler<R>(look: impl FnOnce(Option<&Scheduler>) -> R) -> R {
    CURRENT.with(Current::glimpse).show(look)
}

#[inline(always)]
pub(crate) fn with_kernel<R>(transition: impl FnOnce(&mut Kernel) -> R) -> R {
    with_scheduler(|scheduler| match scheduler {
        Some(scheduler) => scheduler.kernel(transition),
        None => no_scheduler(),
    })
}

#[cold]
#[inline(never)]
pub(super) fn no_scheduler() -> ! {
    panic!(
        "maypole: a blocking call outside of maypole::run; wrap main in maypole::run(|| ...) \
         to give it a scheduler"
    );
}

/// Refuses a call that needs a task.
#[cold]
#[inline(never)]
pub(crate) fn outside(wait: Wait) -> ! {
    outside_of_tasks(format_args!("{} at {}", wait.what, wait.at))
}

/// The same, for a call that is told of in other words.
#[cold]
#[inline(never)]
pub(crate) fn outside_of_tasks(call: Arguments<'_>) -> ! {
    match hosted_at() {
        Some(built_at) => panic!(
            "maypole: {call} is outside of the tasks of the scheduler built at {built_at}; spawn a \
             task that does it"
        ),
        None => panic!(
            "maypole: {call} is outside of maypole::run; wrap main in maypole::run(|| ...) to give \
             it a scheduler"
        ),
    }
}

/// Adds a task, and runs it nested on the running one if it goes first. The caller keeps a
/// reference to `body`, so that its captures are never dropped in here. `admitted` learns the
/// identity before the task can run.
///
/// # Errors
///
/// The limit that stands against one more stack.
#[inline]
pub(crate) fn launch(
    body: Rc<dyn Body>,
    traits: Traits,
    first: First,
    admitted: impl FnOnce(TaskId),
) -> Result<TaskId, StackLimit> {
    let site = body.about().site;
    let nested = first == First::Child && may_nest(site);
    if !nested {
        park::touch("spawn", site);
    }
    let id = with_scheduler(|scheduler| {
        let Some(scheduler) = scheduler else {
            panic!(
                "maypole: spawn at {site} is outside of maypole::run; wrap main in \
                 maypole::run(|| ...) to give it a scheduler"
            );
        };
        let class = scheduler.roster.class_of(traits.stack_size);
        scheduler.roster.reserve(class)?;
        body.about().class.set(class);
        Ok(scheduler.kernel(|kernel| {
            let id = kernel.insert(body, traits.flags, turn(site));
            if !nested {
                kernel.make_ready(id.slot);
            }
            id
        }))
    })?;
    admitted(id);
    if nested {
        run_nested(id);
    }
    Ok(id)
}

/// A nested first turn is a call that may park: its kill check and its budget come before any
/// effect. In a destructor that runs while unwinding, and outside of a task, there is none.
#[inline]
pub(super) fn may_nest(site: &'static Location<'static>) -> bool {
    if std::thread::panicking() || !is_in_task() {
        return false;
    }
    let wait = Wait {
        what: What::Nest,
        at: site,
    };
    park::enter(wait);
    park::ask(wait);
    true
}

#[inline(always)]
pub(super) fn turn(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Turn,
        at,
    }
}

/// Whether the running code belongs to a task.
#[inline(always)]
pub(crate) fn is_in_task() -> bool {
    coroutine::attention() != coroutine::OUTSIDE
}

/// Whether a kill of the running task is pending, no shield being open.
#[inline(always)]
pub(crate) fn is_kill_pending() -> bool {
    coroutine::attention() != 0 && is_current_killed()
}

/// Whether the running task was killed.
#[inline(never)]
pub(crate) fn is_current_killed() -> bool {
    with_kernel(|kernel| {
        kernel.tasks[kernel.current as usize]
            .flags
            .has(Flags::KILLED)
    })
}

/// The running task's identity in a few loads, [`TaskId::NOBODY`] outside of a task.
#[inline(always)]
pub(crate) fn current_id() -> TaskId {
    TaskId::from_tag(coroutine::tag())
}

/// The running task, if any.
pub(crate) fn current() -> Option<(TaskId, Rc<dyn Body>)> {
    if !is_in_task() {
        return None;
    }
    Some(with_kernel(|kernel| {
        let slot = kernel.current;
        (kernel.id(slot), kernel.tasks[slot as usize].body.clone())
    }))
}

/// The running task, for the panic hook: a panic inside the kernel, which is about to abort the
/// process, finds none.
pub(crate) fn current_in_panic() -> Option<(TaskId, Rc<dyn Body>)> {
    let free = with_scheduler(|scheduler| scheduler?.kernel.try_borrow_mut().ok().map(drop));
    free.and_then(|()| current())
}

/// Tells whoever watches of a panic; said inside the panic hook.
pub(crate) fn tell_of_panic(id: TaskId) {
    with_kernel(|kernel| kernel.emit(Event::Panicked(id)));
}

/// Kills the task that `id` names, if it lives; the first kill is the one that is remembered.
pub(crate) fn kill(id: TaskId, reason: &str, at: &'static Location<'static>) -> Option<Killed> {
    if !is_running() {
        return None;
    }
    let victim = with_kernel(|kernel| kernel.find(id).map(|task| task.body.clone()))?;
    victim.about().note_kill(|| KillNote {
        by: current().map(|(_, killer)| killer.about().name().to_string()),
        at,
        reason: reason.to_string(),
        caught: None,
    });
    with_kernel(|kernel| kernel.find(id).is_some().then(|| kernel.kill(id.slot)))
}

/// Wakes the first in the queue with a word for it; tells what it offered.
#[inline(always)]
pub(crate) fn wake_one(queue: &WaitQueue, token: usize) -> Option<usize> {
    ask_kernel(queue, |kernel| kernel.wake_one(queue, token))
}

/// Wakes the first in the queue whose offer is wanted; tells what it offered.
#[inline(always)]
pub(crate) fn wake_first(
    queue: &WaitQueue,
    token: usize,
    wanted: impl Fn(usize) -> bool,
) -> Option<usize> {
    ask_kernel(queue, |kernel| kernel.wake_first(queue, token, wanted))
}

/// Whether anybody waits in the queue.
#[inline(always)]
pub(crate) fn has_waiter(queue: &WaitQueue) -> bool {
    ask_kernel(queue, |kernel| kernel.has_waiter(queue).then_some(())).is_some()
}

/// Whether anybody waits in the queue whose offer is wanted.
pub(crate) fn has_such_waiter(queue: &WaitQueue, wanted: impl Fn(usize) -> bool) -> bool {
    ask_kernel(queue, |kernel| {
        kernel.find_waiter(queue, wanted).map(|_| ())
    })
    .is_some()
}

/// What the first in the queue offers.
#[inline(always)]
pub(crate) fn first_offer(queue: &WaitQueue) -> Option<usize> {
    let offer = |kernel: &mut Kernel| Some(kernel.find_waiter(queue, |_| true)?.offer);
    ask_kernel(queue, offer)
}

/// How many wait in the queue: counts them one by one.
pub(crate) fn count_waiters(queue: &WaitQueue) -> usize {
    let count = |kernel: &mut Kernel| Some(kernel.count_waiters(queue));
    ask_kernel(queue, count).unwrap_or(0)
}

/// Asks about a queue in which somebody may wait.
#[inline(always)]
fn ask_kernel<R>(queue: &WaitQueue, ask: impl FnOnce(&mut Kernel) -> Option<R>) -> Option<R> {
    if !queue.was_used() {
        return None;
    }
    with_scheduler(|scheduler| scheduler.and_then(|scheduler| scheduler.kernel(ask)))
}

/// Wakes everybody in the queue, in order.
#[inline(always)]
pub(crate) fn wake_all(queue: &WaitQueue, token: usize) {
    if queue.was_used() && is_running() {
        wake_registered(queue, token);
    }
}

#[inline(never)]
pub(super) fn wake_registered(queue: &WaitQueue, token: usize) {
    with_kernel(|kernel| while kernel.wake_one(queue, token).is_some() {});
}

/// Wakes everybody in a queue in which tasks wait for the outside world, in order.
pub(crate) fn wake_all_outside(queue: &WaitQueue, token: usize) {
    while wake_one_outside(queue, token) {}
}

/// Wakes the first in such a queue; false if nobody waits.
#[inline(always)]
pub(crate) fn wake_one_outside(queue: &WaitQueue, token: usize) -> bool {
    ask_kernel(queue, |kernel| kernel.wake_outside(queue, token)).is_some()
}

/// Whether a policy goes through the schedules of this run.
pub(crate) fn is_exploring() -> bool {
    coroutine::attention() & attention::EXPLORE != 0 && is_in_task()
}

/// When the cleanup of the running task, which unwinds, must be over, on the scheduler's clock.
pub(crate) fn cleanup_deadline() -> Option<u64> {
    let (_, body) = current()?;
    Some(with_kernel(|kernel| kernel.cleanup_deadline(body.about())))
}

#[cold]
#[inline(never)]
pub(super) fn introduce(queue: &WaitQueue, object: Weak<dyn Object>) {
    if is_running() {
        with_kernel(|kernel| kernel.introduce(queue, object));
    }
}

/// Which of several ready cases a `select!` takes.
#[inline]
pub(crate) fn choose_case(among: usize, wait: Wait) -> usize {
    match among {
        0 | 1 => 0,
        _ => choose_case_slowly(among, wait),
    }
}

/// A number below `among` by chance, the same in every run; no choice that a policy makes.
pub(crate) fn chance(among: usize) -> usize {
    match among {
        0 | 1 => 0,
        _ => with_kernel(|kernel| kernel.chance.draw(among)),
    }
}

#[inline(never)]
fn choose_case_slowly(among: usize, wait: Wait) -> usize {
    choose_value(Kind::Case, among, wait)
}

/// A number below `among`: by the policy, else by chance that is the same in every run; 0 outside
/// of a run.
pub(crate) fn choose_value(kind: Kind, among: usize, wait: Wait) -> usize {
    with_scheduler(|scheduler| match scheduler {
        Some(scheduler) => scheduler.kernel(|kernel| kernel.choose_value(kind, among, wait)),
        None => 0,
    })
}

pub(super) fn forget_queue(queue: &WaitQueue) {
    with_scheduler(|scheduler| {
        if let Some(scheduler) = scheduler {
            scheduler.kernel(|kernel| kernel.forget_queue(queue));
        }
    });
}

/// The deadline that lies `duration` from now, on the scheduler's clock; `None` is never.
#[inline]
pub(crate) fn deadline_after(duration: Duration) -> Option<u64> {
    with_kernel(|kernel| clock::after(kernel.clock.now(), duration))
}

pub(crate) fn deadline_at(at: Instant) -> u64 {
    with_kernel(|kernel| kernel.clock.nanoseconds(at))
}

/// The time on the scheduler's clock, on the system's outside of a run.
pub(crate) fn now() -> Instant {
    with_scheduler(|scheduler| match scheduler {
        Some(scheduler) => scheduler.kernel(|kernel| kernel.clock.instant()),
        None => clock::Clock::real().instant(),
    })
}

/// Keeps a panic until somebody joins its task.
pub(crate) fn keep_panic(panic: UnjoinedPanic) {
    with_scheduler(|scheduler| {
        if let Some(scheduler) = scheduler {
            scheduler.panics.borrow_mut().keep(panic);
        }
    });
}

/// The panic of this task was received by somebody.
pub(crate) fn panic_joined(id: TaskId) {
    with_scheduler(|scheduler| {
        if let Some(scheduler) = scheduler {
            scheduler.panics.borrow_mut().forget(id);
        }
    });
}

/// Runs `body`, the panic hook's, so that parking inside is refused.
pub(crate) fn mark_panic_hook<R>(body: impl FnOnce() -> R) -> R {
    /// std aborts when a panic leaves its hook, but forgets that it is in one when the count was
    /// hidden meanwhile.
    struct NoUnwind;
    impl Drop for NoUnwind {
        fn drop(&mut self) {
            coroutine::say(format_args!(
                "maypole: fatal: a panic inside the panic hook"
            ));
            std::process::abort();
        }
    }
    let no_unwind = NoUnwind;
    let outer = swap_hook_mark(true);
    let result = body();
    swap_hook_mark(outer);
    std::mem::forget(no_unwind);
    result
}

/// Says whether what runs from now on runs inside the panic hook; tells what held before. The
/// tasks of a run that a hook begins do not.
pub(crate) fn swap_hook_mark(in_hook: bool) -> bool {
    IN_PANIC_HOOK.replace(in_hook)
}

pub(crate) fn in_panic_hook() -> bool {
    IN_PANIC_HOOK.get()
}

/// A time in which one task may not park, or may again inside of such a time.
pub(crate) struct Ban {
    task: TaskId,
    before: bool,
}

impl Ban {
    /// Begins one for the running task; `None` outside of a task.
    pub(crate) fn begin(forbidden: bool) -> Option<Ban> {
        is_in_task().then(|| {
            with_kernel(|kernel| {
                let task = kernel.id(kernel.current);
                Ban {
                    task,
                    before: kernel.set_forbidden(task, forbidden),
                }
            })
        })
    }
}

impl Drop for Ban {
    fn drop(&mut self) {
        // The task may be gone: a foreign coroutine can carry this elsewhere.
        if is_running() {
            with_kernel(|kernel| kernel.set_forbidden(self.task, self.before));
        }
    }
}

impl Kernel {
    fn set_forbidden(&mut self, id: TaskId, forbidden: bool) -> bool {
        if self.find(id).is_none() {
            return false;
        }
        let flags = &mut self.tasks[id.slot as usize].flags;
        let before = flags.has(Flags::FORBIDDEN);
        match forbidden {
            true => flags.set(Flags::FORBIDDEN),
            false => flags.clear(Flags::FORBIDDEN),
        }
        self.update_attention(id.slot);
        before
    }
}

#[cold]
#[inline(never)]
pub(super) fn forbidden(wait: Wait) -> ! {
    if in_panic_hook() {
        panic!(
            "maypole: {} at {} inside the panic hook",
            wait.what, wait.at
        );
    }
    if let Some(begun_at) = atomic::begun_at() {
        panic!(
            "maypole: {} at {} inside the transaction begun at {begun_at}: it runs in one piece; \
             wait before it or after it",
            wait.what, wait.at
        );
    }
    let place = current()
        .and_then(|(_, body)| body.about().more_if_any()?.forbidden_at.get())
        .map_or(String::new(), |at| format!(" entered at {at}"));
    panic!(
        "maypole: {} at {} inside task::no_yield{place}",
        wait.what, wait.at
    );
}
