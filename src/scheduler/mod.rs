//! The loop. The floors above reach it through the narrow door, `door.rs`.
//!
//! ```text
//!          ┌─────────────── next(): policy or first in, first out ◄──────────┐
//!          ▼                                                                 │
//!   resume the task ──► yielded: to the end of the line ────────────────────►│
//!          │       ──► parked: in its queues, until Kernel::wake ───────────►│
//!          │       ──► ended: its stack goes back to the pool ──────────────►│
//!          │                                                                 │
//!   nobody ready ──► expire timers; virtual time jumps; the driver waits ───►│
//!                ──► nothing left that could wake anybody: deadlock
//! ```
mod alarms;
pub(crate) mod atomic;
pub(crate) mod audit;
pub(crate) mod bound;
pub(crate) mod clock;
pub(crate) mod cycle;
mod door;
pub(crate) mod driver;
mod exploring;
mod hold;
mod host;
pub(crate) mod kernel;
pub(crate) mod kill;
pub(crate) mod object;
pub(crate) mod observer;
pub(crate) mod park;
mod parking;
pub(crate) mod policy;
pub(crate) mod ready;
mod roster;
pub(crate) mod snapshot;
pub(crate) mod task;
pub(crate) mod timers;
mod unjoined;
pub(crate) mod wait;
mod waiting;

#[cfg(test)]
mod tests;

use door::with_scheduler;
pub(crate) use door::{
    Ban, chance, choose_case, choose_value, cleanup_deadline, count_waiters, current, current_id,
    current_in_panic, deadline_after, deadline_at, first_offer, has_such_waiter, has_waiter,
    in_panic_hook, is_current_killed, is_exploring, is_in_task, is_kill_pending, is_running,
    keep_panic, kill, launch, mark_panic_hook, now, outside, outside_of_tasks, panic_joined,
    swap_hook_mark, tell_of_panic, wake_all, wake_all_outside, wake_first, wake_one,
    wake_one_outside, with_kernel,
};

use crate::coroutine::{self, Current, Installed, Kind, Label, Signal, StackLimit};
use driver::{Driver, Prospect};
pub(crate) use host::{hosted_at, refuse_second};
use kernel::{Kernel, NOBODY, Remains};
use ready::Entry;
use roster::Roster;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use task::{Fate, Flags, TaskId};
pub(crate) use unjoined::{UnjoinedPanic, UnjoinedPanics};

thread_local! {
    /// The scheduler that runs on this OS thread. Constant for the whole of a run.
    static CURRENT: Current<Scheduler> = const { Current::new() };
    static RUNS: Cell<u32> = const { Cell::new(0) };
    static IN_PANIC_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// The number of the run that is under way on this OS thread, or of the latest one.
#[inline(always)]
fn run_number() -> u32 {
    RUNS.get()
}

fn next_run() -> u32 {
    let run = RUNS.get().checked_add(1).expect("fewer than 2^32 runs");
    RUNS.set(run);
    run
}

/// One scheduler: the kernel, and what must not be inside it.
pub(crate) struct Scheduler {
    kernel: RefCell<Kernel>,
    roster: Roster,
    /// Tasks that found no stack at their first turn; they wait for one to come back.
    starved: RefCell<Vec<u32>>,
    /// Why the latest of them found none.
    refusal: RefCell<Option<StackLimit>>,
    /// The task whose end stops the loop.
    watched: Cell<u64>,
    /// Panics that nobody has joined yet.
    panics: RefCell<UnjoinedPanics>,
    slack: Cell<Duration>,
    /// Where it was built, if a host calls the loop.
    hosted_at: Cell<Option<&'static Location<'static>>>,
    /// Who is told of a cycle that closes.
    on_cycle: Cell<Option<cycle::Tell>>,
}

/// Why the loop came back.
pub(crate) enum Stop {
    /// The watched task has ended.
    Watched,
    /// Nothing is ready, and the end of the run has more tasks to kill.
    Quiet,
    /// No task is left.
    Empty,
    /// Tasks are left, and nothing could wake any.
    Deadlock,
    /// The turns are used up.
    Turns,
    /// Tasks wait for a stack, and none can come back.
    Stacks(StackLimit),
    /// Only tasks are left that may not be abandoned and swallow every kill.
    Hopeless,
    /// The policy has ended the run.
    Diverged,
    /// Nothing is ready, and the driver is one that must not sleep.
    Idle,
}

/// What a loop in which nobody is ready may do.
pub(crate) enum Outlook {
    /// Wait for the outside world, or for the next deadline.
    Sleep(Option<Duration>),
    /// Let virtual time go on to the next deadline.
    Jump(u64),
    /// Wake those whose time has come.
    Expire,
    /// Nothing could wake anybody.
    Nothing,
}

/// Who goes on after a spawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Parent,
    Child,
}

/// What a new task is made of, besides its body.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traits {
    pub(crate) stack_size: Option<usize>,
    pub(crate) flags: Flags,
}

impl Scheduler {
    pub(crate) fn new(clock: clock::Clock, stack_size: usize) -> Self {
        let run = next_run();
        Scheduler {
            kernel: RefCell::new(Kernel::new(run, clock)),
            roster: Roster::new(stack_size, run_current),
            starved: RefCell::new(Vec::new()),
            refusal: RefCell::new(None),
            watched: Cell::new(0),
            panics: RefCell::default(),
            slack: Cell::new(Duration::ZERO),
            hosted_at: Cell::new(None),
            on_cycle: Cell::new(None),
        }
    }

    /// Makes it ready for another run, with the stacks of the one before.
    pub(crate) fn restart(&self) {
        let run = next_run();
        self.kernel(|kernel| kernel.restart(run));
        self.starved.borrow_mut().clear();
        self.refusal.take();
        self.watched.set(0);
        self.panics.take();
    }

    pub(crate) fn set_slack(&self, slack: Duration) {
        self.slack.set(slack);
    }

    /// Makes this the scheduler of the OS thread while `body` runs. The caller has checked
    /// [`is_running`].
    pub(crate) fn enter<R>(&self, body: impl FnOnce() -> R) -> R {
        CURRENT.with(|current| current.enter(self, body))
    }

    pub(crate) fn slack(&self) -> Duration {
        self.slack.get()
    }

    /// Makes this, built for a host at `at`, the scheduler of the OS thread until what it returns
    /// is dropped. The caller has checked [`is_running`].
    pub(crate) fn install(self, at: &'static Location<'static>) -> Installed<Scheduler> {
        self.hosted_at.set(Some(at));
        Current::install(&CURRENT, Rc::new(self))
    }

    /// Borrows the kernel for one transition. Nothing may suspend inside, and nothing of a user's
    /// may run.
    #[inline(always)]
    pub(crate) fn kernel<R>(&self, transition: impl FnOnce(&mut Kernel) -> R) -> R {
        let bomb = Bomb;
        let result = transition(&mut self.kernel.borrow_mut());
        std::mem::forget(bomb);
        result
    }

    pub(crate) fn watch(&self, id: TaskId) {
        self.watched.set(id.serial);
    }

    pub(crate) fn take_panics(&self) -> UnjoinedPanics {
        self.panics.take()
    }

    /// Runs tasks until there is a reason to stop: the one loop.
    pub(crate) fn drive(&self, driver: &mut dyn Driver) -> Stop {
        let mut next: Option<Entry> = None;
        loop {
            let entry = match next.take() {
                Some(entry) => entry,
                None => match self.next_slowly(driver) {
                    Ok(Some(entry)) => entry,
                    Ok(None) => continue,
                    Err(stop) => return stop,
                },
            };
            let slot = entry.slot;
            let coroutine = match entry.coroutine {
                Some(coroutine) => coroutine,
                None => match self.start(slot) {
                    Some(coroutine) => coroutine,
                    None => continue,
                },
            };
            let signal = coroutine.resume_from_the_loop();
            if signal == Signal::Yielded {
                let coroutine = Some(coroutine);
                next = self.kernel(|kernel| kernel.rotate(Entry { coroutine, slot }));
                continue;
            }
            if signal != Signal::Parked && self.ended(slot, signal) {
                return Stop::Watched;
            }
            next = self.kernel(|kernel| kernel.pick());
        }
    }

    /// Forgets a task that has ended, one way or the other; true if it was the watched one. Out of
    /// line, to keep the loop short.
    #[inline(never)]
    fn ended(&self, slot: u32, signal: Signal) -> bool {
        match signal {
            Signal::Ended => self.finish(slot),
            _ => self.abandon(slot),
        }
    }

    /// A turn that needs more than the head of the queue.
    #[cold]
    #[inline(never)]
    fn next_slowly(&self, driver: &mut dyn Driver) -> Result<Option<Entry>, Stop> {
        let (closed, look_is_due) =
            self.kernel(|kernel| (kernel.take_closed_cycles(), kernel.look_is_due()));
        if !closed.is_empty() {
            self.tell_of_cycles(closed, driver);
        }
        if look_is_due {
            if !self.kernel(|kernel| kernel.count_turns()) {
                return Err(Stop::Turns);
            }
            if driver.is_open() {
                driver.wait(Some(Duration::ZERO));
            }
            if self.kernel(|kernel| kernel.is_next_kill_due()) {
                return Err(Stop::Quiet);
            }
            if self.kernel(|kernel| {
                kernel.expire();
                kernel.killing && kernel.is_hopeless()
            }) {
                self.leave_swallowers_behind()?;
            }
        }
        match self.kernel(|kernel| kernel.choose()) {
            Some(entry) => Ok(Some(entry)),
            None if self.kernel(|kernel| kernel.has_stopped()) => Err(Stop::Diverged),
            None => self.idle(driver).map(|()| None),
        }
    }

    /// Only tasks have turns that swallow their kills: lets time pass for the others, on virtual
    /// time, where it would stand still.
    #[cold]
    fn leave_swallowers_behind(&self) -> Result<(), Stop> {
        self.kernel(|kernel| {
            let Some(deadline) = kernel.next_deadline() else {
                return Err(Stop::Hopeless);
            };
            kernel.clock.jump_to(deadline);
            kernel.expire();
            Ok(())
        })
    }

    /// Nobody is ready: waits for the next deadline or the outside world.
    fn idle(&self, driver: &mut dyn Driver) -> Result<(), Stop> {
        let (quiet, empty) = self.kernel(|kernel| {
            kernel.current = NOBODY;
            let quiet = kernel.ending && kernel.unkilled > 0;
            (quiet, kernel.is_empty())
        });
        if empty {
            return Err(Stop::Empty);
        }
        if quiet {
            return Err(Stop::Quiet);
        }
        if !driver.may_sleep() {
            return Err(Stop::Idle);
        }
        let deadline = self.kernel(|kernel| kernel.next_deadline());
        match self.outlook(deadline, driver) {
            Outlook::Sleep(timeout) => driver.wait(timeout),
            Outlook::Jump(deadline) => self.jump(deadline, driver),
            Outlook::Expire => {}
            Outlook::Nothing => {
                return Err(match self.refusal.take() {
                    Some(limit) if !self.starved.borrow().is_empty() => Stop::Stacks(limit),
                    _ => Stop::Deadlock,
                });
            }
        }
        self.kernel(|kernel| kernel.expire());
        Ok(())
    }

    /// What may be done while nobody is ready and the next timer that counts is due at `deadline`.
    pub(crate) fn outlook(&self, deadline: Option<u64>, driver: &dyn Driver) -> Outlook {
        let (now, virtual_time, waits_outside) = self.kernel(|kernel| {
            let (clock, waits_outside) = (&kernel.clock, kernel.waits_outside());
            (clock.now(), clock.is_virtual(), waits_outside)
        });
        let prospect = driver.prospect();
        match deadline {
            Some(_) if virtual_time && (waits_outside || prospect == Prospect::Work) => {
                Outlook::Sleep(None)
            }
            Some(deadline) if virtual_time => Outlook::Jump(deadline),
            Some(deadline) if deadline > now => {
                let left = Duration::from_nanos(deadline - now);
                Outlook::Sleep(Some(left.saturating_add(self.slack.get())))
            }
            Some(_) => Outlook::Expire,
            None if waits_outside || prospect != Prospect::Nothing => Outlook::Sleep(None),
            None => Outlook::Nothing,
        }
    }

    /// Lets virtual time go on.
    pub(crate) fn jump(&self, deadline: u64, driver: &mut dyn Driver) {
        self.kernel(|kernel| kernel.clock.jump_to(deadline));
        // Whatever came meanwhile comes first, as on the real clock.
        if driver.is_open() {
            driver.wait(Some(Duration::ZERO));
        }
    }

    /// Gives a task its stack, at its first turn. `None`: it waits for one.
    #[inline(never)]
    fn start(&self, slot: u32) -> Option<coroutine::Handle> {
        let started = self.kernel(|kernel| {
            let attention = kernel.attention_of(slot);
            let tag = kernel.id(slot).to_tag();
            let task = &mut kernel.tasks[slot as usize];
            let about = task.body.about();
            let coroutine = self.roster.take(
                about.class.get(),
                Label {
                    kind: Kind::Task,
                    name: about.given_name(),
                    site: about.site,
                    serial: task.serial,
                },
            )?;
            coroutine.set_attention(attention);
            coroutine.set_tag(tag);
            let handle = coroutine.handle();
            task.coroutine = Some(coroutine);
            Ok(handle)
        });
        match started {
            Ok(handle) => Some(handle),
            Err(limit) => {
                self.starve(slot, limit);
                None
            }
        }
    }

    #[cold]
    fn starve(&self, slot: u32, limit: StackLimit) {
        self.starved.borrow_mut().push(slot);
        self.refusal.replace(Some(limit));
    }

    /// Forgets a task whose body has returned; true if it was the watched one.
    #[inline]
    fn finish(&self, slot: u32) -> bool {
        let Remains {
            coroutine,
            body,
            serial,
        } = self.kernel(|kernel| kernel.remove(slot));
        if let Some(coroutine) = coroutine {
            self.roster.put_back(body.about().class.get(), coroutine);
        }
        drop(body);
        if !self.starved.borrow().is_empty() {
            self.feed_starved();
        }
        serial == self.watched.get()
    }

    #[cold]
    fn feed_starved(&self) {
        for slot in self.starved.take() {
            self.kernel(|kernel| kernel.make_ready(slot));
        }
    }

    /// Gives a task up that swallowed its kills: it never runs again, its stack is leaked with
    /// all that is on it.
    #[cold]
    fn abandon(&self, slot: u32) -> bool {
        let task = self.kernel(|kernel| kernel.remove(slot));
        self.bury(task)
    }

    fn bury(&self, task: Remains) -> bool {
        let watched = task.serial == self.watched.get();
        task.body.about().fate.set(Fate::Abandoned);
        wake_all(&task.body.about().joiners, 0);
        if let Some(waker) = task.body.about().take_waker() {
            // Foreign code: whatever it does is left here.
            let woken = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            std::mem::forget(woken);
        }
        if task.coroutine.is_none() {
            self.roster.release(task.body.about().class.get());
        }
        // The frames on its stack may refer to its body, and to anything it owns.
        std::mem::forget(task);
        watched
    }

    /// Gives up every task that is left, at the end of a run that cannot end otherwise.
    pub(crate) fn leak_all(&self) {
        let slots: Vec<u32> =
            self.kernel(|kernel| kernel.tasks.iter().map(|(slot, _)| slot as u32).collect());
        for slot in slots {
            let task = self.kernel(|kernel| {
                kernel.withdraw(slot);
                kernel.remove(slot)
            });
            self.bury(task);
        }
        self.kernel(|kernel| kernel.drop_ready());
    }
}

/// What a coroutine runs when it serves a task.
fn run_current() {
    let bomb = Bomb;
    let body = with_kernel(|kernel| kernel.tasks[kernel.current as usize].body.clone());
    body.run();
    drop(body);
    std::mem::forget(bomb);
}

/// Aborts when an unwind comes by: a kernel left half-way through a transition would be unsound to
/// go on with, and so would a loop left with live stacks.
struct Bomb;

impl Drop for Bomb {
    #[cold]
    fn drop(&mut self) {
        coroutine::say(format_args!(
            "maypole: internal error: a panic inside the scheduler; this is a bug in maypole"
        ));
        std::process::abort();
    }
}

/// Resumes a new task on the stack of the running one, until it first parks or yields.
#[inline]
fn run_nested(id: TaskId) {
    let started = with_scheduler(|scheduler| {
        let scheduler = scheduler.expect("a task was just added to the scheduler");
        scheduler.start(id.slot)
    });
    let Some(coroutine) = started else {
        return;
    };
    let parent = with_kernel(|kernel| kernel.begin_nested(id.slot));
    let signal = coroutine.resume();
    with_scheduler(|scheduler| {
        let scheduler = scheduler.expect("the scheduler outlives its tasks' turns");
        scheduler.kernel(|kernel| {
            kernel.end_nested(parent);
            if signal == Signal::Yielded {
                kernel.note_yield(id.slot);
                kernel.make_ready(id.slot);
            }
        });
        match signal {
            Signal::Ended | Signal::Abandoned => drop(scheduler.ended(id.slot, signal)),
            Signal::Yielded | Signal::Parked => {}
        }
    });
}
