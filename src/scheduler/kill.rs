//! Killing a task: the flag, the delivery, the shield. Nothing else unwinds.
//!
//! A kill is a wake with a reason: the task's own stack unwinds from inside its park. It is
//! level-triggered: once killed, every unshielded park unwinds again, so that a `catch_unwind`
//! cannot swallow it for good.
use super::bound::BoundKey;
use super::kernel::Kernel;
use super::policy::Switches;
use super::task::{Fate, Flags, State, Task, TaskId};
use super::wait::{Packed, Wait, Woken};
use super::{park, with_kernel};
use crate::coroutine;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Where a kill caught a task; the answer of [`Task::kill`](crate::Task::kill).
///
/// # Examples
///
/// ```
/// use maypole::{spawn, task::{self, Killed}, yield_now};
/// maypole::run(|| {
///     let early = spawn(|| unreachable!());
///     assert_eq!(early.kill("not needed"), Killed::BeforeStart);
///     let parked = spawn(|| task::park());
///     yield_now();
///     assert_eq!(parked.kill("not needed"), Killed::Parked);
///     assert_eq!(parked.kill("not needed"), Killed::Already);
///     assert!(parked.join().is_err());
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// It had not run yet: its body never runs and its captures are dropped.
    BeforeStart,
    /// At a park, which unwinds as soon as the task gets a turn.
    Parked,
    /// Between a wake or a yield and its next turn: it unwinds at its next park.
    Ready,
    /// It is running, perhaps as the caller itself: it unwinds at its next park.
    Running,
    /// Under a shield, or in a destructor that runs while unwinding: the kill waits.
    Shielded,
    /// It was killed before.
    Already,
    /// It had ended: nothing happens.
    Finished,
    /// It swallowed too many kills and will never run again.
    Abandoned,
    /// Built with `panic = "abort"`, which cannot unwind a stack: nothing happens.
    Unsupported,
}

/// How often a task may catch its kill before it is given up.
pub(super) const RAISES: u8 = 64;

/// Flags of the running coroutine (see [`coroutine::attention`]).
pub(super) mod attention {
    /// A kill is to be raised at the next park.
    pub(crate) const KILL: u32 = 1;
    /// A timeout or a scope wants to unwind the task.
    pub(crate) const BOUND: u32 = 1 << 1;
    /// Parking is forbidden here.
    pub(crate) const FORBID: u32 = 1 << 2;
    /// Parks are audited.
    pub(crate) const AUDIT: u32 = 1 << 3;
    /// A policy wants to be asked before operations that may park.
    pub(crate) const EXPLORE: u32 = 1 << 4;
    /// It wants to hear of all operations that others can see.
    pub(crate) const TOUCH: u32 = 1 << 5;
}

/// What unwinds a killed task. Private, so that nobody can make one.
struct KillPayload;

/// What unwinds a task to the bound with this serial number.
struct BoundPayload(u64);

pub(crate) fn is_kill(payload: &(dyn Any + Send)) -> bool {
    payload.is::<KillPayload>()
}

/// Whether the payload unwinds to the bound with this serial number.
pub(crate) fn is_bound(payload: &(dyn Any + Send), serial: u64) -> bool {
    payload
        .downcast_ref::<BoundPayload>()
        .is_some_and(|bound| bound.0 == serial)
}

/// Whether the payload is the scheduler's own and no panic of a user.
pub(crate) fn is_ours(payload: &(dyn Any + Send)) -> bool {
    payload.is::<KillPayload>() || payload.is::<BoundPayload>()
}

impl Kernel {
    /// Flags the task and wakes it if it may be woken. Runs no code of a user; takes constant time,
    /// but for a look at each timeout and scope that the task is inside of.
    pub(super) fn kill(&mut self, slot: u32) -> Killed {
        if cfg!(not(panic = "unwind")) {
            return Killed::Unsupported;
        }
        let running = self.is_running(slot);
        let task = &mut self.tasks[slot as usize];
        if task.flags.has(Flags::KILLED) {
            return Killed::Already;
        }
        self.make_vital(slot);
        let task = &mut self.tasks[slot as usize];
        task.flags.set(Flags::KILLED);
        self.unkilled -= 1;
        let (killable, paused) = (task.killable(), task.flags.has(Flags::PAUSED));
        let answer = match task.state {
            State::Active | State::Held if task.coroutine.is_none() => Killed::BeforeStart,
            State::ParkedUnkillably => Killed::Shielded,
            State::Active | State::Held if !killable => Killed::Shielded,
            State::Active if running => Killed::Running,
            State::Active | State::Held => Killed::Ready,
            State::Parked => Killed::Parked,
        };
        self.emit(super::observer::Event::Killed(self.id(slot)));
        if paused {
            self.lift_pause(slot);
        }
        // Held back at the end of the run: whoever kills it may be waiting for it.
        if self.ending && self.tasks[slot as usize].state == State::Held {
            self.make_ready(slot);
        }
        if answer == Killed::Parked {
            let caught = self.wait_of(slot);
            let task = &self.tasks[slot as usize];
            task.body.about().note_caught(caught);
            self.wake(slot, Woken::Killed);
        }
        self.update_attention(slot);
        answer
    }

    /// Whether the task is running, or waits nested under its running child.
    pub(crate) fn is_running(&self, slot: u32) -> bool {
        slot == self.current || self.tasks[slot as usize].flags.has(Flags::NESTS)
    }

    /// The flags that the task must look at before its next park.
    #[inline]
    pub(super) fn attention_of(&self, slot: u32) -> u32 {
        let task = &self.tasks[slot as usize];
        let plain = !task.flags.has(Flags::KILLED) && !task.flags.has(Flags::FORBIDDEN);
        if plain && task.bound == BoundKey::NONE && !self.audit && self.exploring.is_none() {
            return 0;
        }
        let mut bits = 0;
        if task.flags.has(Flags::KILLED) && task.killable() {
            bits |= attention::KILL;
        }
        if self.raised_bound(slot).is_some() {
            bits |= attention::BOUND;
        }
        if task.flags.has(Flags::FORBIDDEN) {
            bits |= attention::FORBID;
        }
        if self.audit {
            bits |= attention::AUDIT;
        }
        if let Some(exploring) = &self.exploring {
            bits |= attention::EXPLORE;
            if exploring.switches == Switches::Everywhere || self.observer.is_some() {
                bits |= attention::TOUCH;
            }
        }
        bits
    }

    pub(super) fn update_attention(&mut self, slot: u32) {
        let bits = self.attention_of(slot);
        if let Some(coroutine) = &self.tasks[slot as usize].coroutine {
            coroutine.set_attention(bits);
        }
    }

    /// Whoever has a turn may not be abandoned and has swallowed its kills.
    pub(super) fn is_hopeless(&self) -> bool {
        let swallows = |task: &Task| task.flags.has(Flags::SCOPED) && task.raises() >= RAISES;
        let mut active = self
            .tasks
            .iter()
            .map(|(_, task)| task)
            .filter(|task| task.state == State::Active)
            .peekable();
        active.peek().is_some() && active.all(swallows)
    }
}

/// Unwinds the running task, which was killed, from `wait`.
#[cold]
#[inline(never)]
pub(super) fn raise_kill(wait: Wait) -> ! {
    let swallowed = with_kernel(|kernel| {
        let slot = kernel.current as usize;
        let task = &kernel.tasks[slot];
        task.body.about().note_caught(wait);
        let raises = &task.body.about().more().raises;
        if raises.get() < RAISES {
            raises.set(raises.get() + 1);
            return None;
        }
        Some(!task.flags.has(Flags::SCOPED))
    });
    match swallowed {
        None => {}
        Some(true) => give_up(wait),
        // It may not be abandoned, since others borrow from its stack or it from others': it goes
        // on, and the others get a turn between two raises.
        Some(false) => park::step_aside(),
    }
    unwind(Box::new(KillPayload))
}

/// Unwinds with a payload of the scheduler's own, which no panic hook sees.
fn unwind(payload: Box<dyn Any + Send>) -> ! {
    if cfg!(not(panic = "unwind")) {
        // A kill is refused in such a program, but the time of a timeout can be over.
        coroutine::say(format_args!(
            "maypole: fatal: a timeout expired or a scope failed, which must unwind, and this \
             program is built with panic = \"abort\""
        ));
        std::process::abort();
    }
    resume_unwind(payload)
}

/// The running task is abandoned: tells whoever depends on it, and never runs again.
#[cold]
fn give_up(wait: Wait) -> ! {
    if let Some((_, body)) = super::current() {
        let about = body.about();
        about.fate.set(Fate::Abandoned);
        for scope in about.more().scopes.take() {
            scope.owner_abandoned(wait.at);
        }
        if let Some(waker) = about.take_waker() {
            // Foreign code, on a stack that is about to be leaked: whatever it does is left here.
            let woken = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            std::mem::forget(woken);
        }
    }
    park::leave_for_ever()
}

/// Unwinds the running task to the outermost bound that was raised.
#[cold]
#[inline(never)]
pub(super) fn raise_bound() {
    let serial = with_kernel(|kernel| kernel.raised_bound(kernel.current));
    if let Some(serial) = serial {
        unwind(Box::new(BoundPayload(serial)));
    }
}

/// Raises a kill or a bound that is pending for the running task; does nothing else.
#[inline]
pub(crate) fn check_killed(wait: Wait) {
    if coroutine::attention() != coroutine::OUTSIDE {
        // A task that computes never lets the loop look at the clock for its timeouts.
        with_kernel(|kernel| {
            if kernel.tasks[kernel.current as usize].bound != BoundKey::NONE {
                kernel.expire();
            }
        });
    }
    raise_if_pending(wait);
}

/// The same, for a call that was woken for nothing and is about to wait again: nothing is lost.
#[inline]
pub(crate) fn raise_if_pending(wait: Wait) {
    let pending = coroutine::attention() & (attention::KILL | attention::BOUND);
    if pending != 0 && !std::thread::panicking() {
        raise_pending(pending, wait.pack());
    }
}

#[cold]
fn raise_pending(pending: u32, wait: Packed) {
    if coroutine::attention() & coroutine::ATOMIC != 0 {
        // A transaction is not killed in the middle.
        return;
    }
    if pending & attention::KILL != 0 {
        raise_kill(park::unpack(wait));
    }
    raise_bound();
}

/// An open shield of one task: kills wait until it is closed.
pub(crate) struct Shield(TaskId);

impl Shield {
    /// `None` outside of a task, where nothing can be killed.
    pub(crate) fn open() -> Option<Shield> {
        if coroutine::attention() == coroutine::OUTSIDE {
            return None;
        }
        let opened = with_kernel(|kernel| {
            let id = kernel.id(kernel.current);
            let room = kernel.tasks[id.slot as usize].shields < u16::MAX;
            if room {
                kernel.change_shields(id, |shields| shields + 1);
            }
            room.then(|| Shield(id))
        });
        Some(opened.expect("maypole: a task may open 65,535 shields within each other"))
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        // The task that opened it may be gone: a foreign coroutine can carry it elsewhere.
        if super::is_running() {
            with_kernel(|kernel| kernel.change_shields(self.0, |shields| shields - 1));
        }
    }
}

impl Kernel {
    fn change_shields(&mut self, id: TaskId, change: impl FnOnce(u16) -> u16) {
        if self.find(id).is_some() {
            let task = &mut self.tasks[id.slot as usize];
            task.shields = change(task.shields);
            self.update_attention(id.slot);
        }
    }
}
