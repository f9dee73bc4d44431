//! The task record, its states, and what outlives the record.
//!
//! ```text
//! Task              spawn             next              park
//!         (none) ────────► Ready ──────────► Running ──────► Parked
//!                            ▲  ▲                │  │            │
//!                            │  └──── yield ─────┘  └─ finish    │
//!                            └─────────────── wake ──────────────┘
//! Kill, beside it:  Alive ──kill──► Killed flag;  parked and unshielded: woken now;
//!                                   otherwise: delivered at its next park
//! ```
use super::bound::BoundKey;
use super::timers::TimerKey;
use super::wait::{Links, Packed, Wait, WaitQueue, WaiterKey, What, Woken};
use crate::coroutine::{Class, Coroutine};
use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

/// Names a task for ever: its slot in the scheduler's table and a serial number.
///
/// Slots are reused, serial numbers never are within a run, so an identity that went stale names
/// nobody. Ordered by serial number, which is the order of spawning.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let first = maypole::spawn(|| ());
///     let second = maypole::spawn(|| ());
///     assert!(first.task().id() < second.task().id());
///     assert_eq!(first.task().id().to_string(), "#2"); // main is #1
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    pub(crate) serial: u64,
    pub(crate) slot: u32,
    /// Which run of this OS thread the task belongs to.
    pub(crate) run: u32,
}

impl TaskId {
    /// No task: serial numbers begin with 1.
    pub(crate) const NOBODY: TaskId = TaskId {
        serial: 0,
        slot: 0,
        run: 0,
    };

    /// Two words, to be kept where reading them is cheap.
    #[inline(always)]
    pub(super) fn to_tag(self) -> [u64; 2] {
        [
            self.serial,
            u64::from(self.run) << 32 | u64::from(self.slot),
        ]
    }

    #[inline(always)]
    pub(super) fn from_tag([serial, place]: [u64; 2]) -> TaskId {
        TaskId {
            serial,
            slot: place as u32,
            run: (place >> 32) as u32,
        }
    }
}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.run, self.serial).cmp(&(other.run, other.serial))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.serial)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.serial)
    }
}

/// How a task stands with its end; the last four are final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Alive,
    Finished,
    Panicked,
    Killed,
    Abandoned,
}

/// How a task stands; the last four are final.
///
/// # Examples
///
/// ```
/// use maypole::{spawn, task::{self, Status, What}, yield_now};
/// maypole::run(|| {
///     let handle = spawn(|| task::park());
///     let task = handle.task().clone();
///     assert_eq!(task.status(), Status::Ready);
///     yield_now();
///     assert_eq!(task.status(), Status::Parked(What::Unpark));
///     task.unpark();
///     handle.join().unwrap();
///     assert_eq!(task.status(), Status::Finished);
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Status {
    /// Waits for its turn.
    Ready,
    /// Is the task that runs, or waits nested under the child that it runs with `spawn_now`.
    Running,
    /// Waits to be woken.
    Parked(What),
    /// Held back by [`Task::pause`](crate::Task::pause), whatever it would do otherwise.
    Paused,
    /// Was killed and has not ended yet.
    Killing,
    /// Has returned.
    Finished,
    /// Has panicked.
    Panicked,
    /// Was killed and has ended.
    Killed,
    /// Swallowed its kills and was given up: it never runs again.
    Abandoned,
}

/// What a task runs, and what is known of it; shared by the kernel and the handles.
pub(crate) trait Body {
    /// Runs the task's function on its own stack and keeps the outcome. Never unwinds.
    fn run(&self);
    fn about(&self) -> &About;
}

/// What outlives the record: the handles read it after the task has ended.
pub(crate) struct About {
    pub(crate) site: &'static Location<'static>,
    /// Who waits for the end; at most the one holder of the handle.
    pub(crate) joiners: WaitQueue,
    pub(crate) fate: Cell<Fate>,
    /// Whether anybody may still take the result. Here and not beside the result, where it would
    /// cost a word.
    pub(crate) wanted: Cell<bool>,
    /// Size of its stack, chosen when it enters a scheduler.
    pub(crate) class: Cell<Class>,
    more: OnceCell<Box<More>>,
}

/// A scope that a task is inside of, for the day that the task is abandoned in it.
pub(crate) trait OpenScope {
    /// The owner will never come back: the scope's tasks serve nobody any more.
    fn owner_abandoned(&self, at: &'static Location<'static>);
}

/// What few tasks have; most never allocate it.
#[derive(Default)]
pub(crate) struct More {
    name: OnceCell<Rc<str>>,
    pub(crate) kill: RefCell<Option<KillNote>>,
    /// How often the kill was raised; a body that catches it 64 times is abandoned.
    pub(crate) raises: Cell<u8>,
    pub(crate) panic: RefCell<Option<PanicNote>>,
    /// Who polls for the end of the task, as a future.
    waker: RefCell<Option<Waker>>,
    /// Scopes that the task is inside of.
    pub(crate) scopes: RefCell<Vec<Rc<dyn OpenScope>>>,
    pub(crate) locals: RefCell<Vec<(usize, Rc<dyn Any>)>>,
    /// When its cleanup must be over, once it has waited for the outside world while unwinding.
    pub(super) cleanup_until: Cell<Option<u64>>,
    /// Where `no_yield` was entered.
    pub(crate) forbidden_at: Cell<Option<&'static Location<'static>>>,
}

/// Who killed a task, why, and where it was caught.
#[derive(Clone)]
pub(crate) struct KillNote {
    pub(crate) by: Option<String>,
    pub(crate) at: &'static Location<'static>,
    pub(crate) reason: String,
    /// What the task was waiting for when the kill woke it, or at its latest refusal.
    pub(crate) caught: Option<Wait>,
}

/// Where a panic happened, kept by the panic hook.
pub(crate) struct PanicNote {
    pub(crate) location: PanicPlace,
    pub(crate) backtrace: Backtrace,
    /// Tells whether a payload that comes to the root is that panic's.
    pub(crate) message: Option<String>,
}

/// A place in the source; the panic hook lends its `Location` only for the call.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let error = maypole::spawn(|| panic!("here")).join().unwrap_err();
///     let place = error.location().unwrap();
///     assert!(place.line > 0);
/// });
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PanicPlace {
    /// The file, as the compiler was given it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for PanicPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl About {
    pub(crate) fn new(site: &'static Location<'static>) -> Self {
        About {
            site,
            joiners: WaitQueue::new(),
            fate: Cell::new(Fate::Alive),
            wanted: Cell::new(true),
            class: Cell::new(Class::of(0)),
            more: OnceCell::new(),
        }
    }

    pub(crate) fn named(site: &'static Location<'static>, name: Rc<str>) -> Self {
        let about = About::new(site);
        let _ = about.more().name.set(name);
        about
    }

    pub(crate) fn more(&self) -> &More {
        self.more.get_or_init(Box::default)
    }

    pub(crate) fn more_if_any(&self) -> Option<&More> {
        self.more.get().map(|more| &**more)
    }

    /// The name that was given; `None` where the spawn site stands for it.
    pub(crate) fn given_name(&self) -> Option<Rc<str>> {
        self.more.get()?.name.get().cloned()
    }

    /// Leaves a waker for the end of the task.
    pub(crate) fn wake_at_end(&self, waker: &Waker) {
        let replaced = self.more().waker.replace(Some(waker.clone()));
        drop(replaced);
    }

    /// The waker that was left, if any. It is foreign code: call it where that may run.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.more_if_any()?.waker.take()
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        // `name` keeps the spawn site as the name once somebody asks.
        self.given_name()
            .is_none_or(|name| *name == *site_name(self.site))
    }

    /// Remembers a kill, unless one is remembered already.
    pub(super) fn note_kill(&self, note: impl FnOnce() -> KillNote) {
        let mut slot = self.more().kill.borrow_mut();
        if slot.is_none() {
            *slot = Some(note());
        }
    }

    /// Remembers what the task was doing when its kill reached it.
    pub(super) fn note_caught(&self, wait: Wait) {
        if let Some(more) = self.more_if_any()
            && let Ok(mut note) = more.kill.try_borrow_mut()
            && let Some(note) = note.as_mut()
        {
            note.caught = Some(Wait {
                at: wait.place(self.site),
                ..wait
            });
        }
    }

    /// The given name, else the spawn site as `file:line`.
    pub(crate) fn name(&self) -> &str {
        self.more().name.get_or_init(|| site_name(self.site).into())
    }
}

fn site_name(site: &Location<'_>) -> String {
    format!("{}:{}", site.file(), site.line())
}

/// Where the kernel has a task. `Running` is not here: it is `Kernel::current`, so that a switch
/// need not write the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// In the ready queue, or running.
    Active,
    /// Out of the ready queue although nothing is awaited: paused, or held back at the end of a run.
    Held,
    Parked,
    /// Parked where a kill must wait: under a shield, or in a destructor that runs while unwinding.
    ParkedUnkillably,
}

/// Small facts about a task, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const KILLED: Flags = Flags(1);
    pub(crate) const PAUSED: Flags = Flags(1 << 1);
    /// Does not keep the program alive: its timers do not count against a deadlock.
    pub(crate) const DAEMON: Flags = Flags(1 << 2);
    /// Something borrowed may be on its stack: never abandoned.
    pub(crate) const SCOPED: Flags = Flags(1 << 3);
    /// `unpark` came before `park`.
    pub(crate) const UNPARKED: Flags = Flags(1 << 4);
    /// Its code may not park (`no_yield`).
    pub(crate) const FORBIDDEN: Flags = Flags(1 << 5);
    /// Has a child running nested on its stack, so it counts as running itself.
    pub(crate) const NESTS: Flags = Flags(1 << 6);
    /// Is unwinding at its present park: neither kills nor bounds may reach it there.
    const UNWINDING: Flags = Flags(1 << 7);

    pub(crate) fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }
    pub(crate) fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }
    pub(crate) fn clear(&mut self, flag: Flags) {
        self.0 &= !flag.0;
    }
    pub(crate) fn with(mut self, flag: Flags) -> Flags {
        self.set(flag);
        self
    }
}

/// The record of a live task, in the kernel's slab.
pub(crate) struct Task {
    pub(crate) serial: u64,
    pub(crate) body: Rc<dyn Body>,
    /// Absent until the first turn: a task that never ran needs no stack.
    pub(crate) coroutine: Option<Coroutine>,
    /// What it waits for, or waited for last.
    pub(crate) wait: Packed,
    /// While it is parked, what it offers to its waker; then the waker's word.
    pub(super) word: usize,
    /// Its place in the first of the queues that it waits in.
    pub(super) links: Links,
    /// Its places in further ones, chained through `Further::sibling`.
    pub(super) further: WaiterKey,
    /// How the latest park ended: which case was woken, or a number that is none.
    pub(super) case: u32,
    pub(crate) timer: TimerKey,
    /// Innermost timeout or scope that the task is inside of.
    pub(crate) bound: BoundKey,
    /// How many shields are open.
    pub(crate) shields: u16,
    pub(crate) state: State,
    pub(crate) flags: Flags,
}

impl Task {
    pub(super) const TIMED_OUT: u32 = u32::MAX;
    const KILLED: u32 = u32::MAX - 1;
    const INTERRUPTED: u32 = u32::MAX - 2;

    /// How the latest park ended; meaningful between a wake and the return of `park`.
    #[inline(always)]
    pub(crate) fn woken(&self) -> Woken {
        match self.case {
            Self::TIMED_OUT => Woken::TimedOut,
            Self::KILLED => Woken::Killed,
            Self::INTERRUPTED => Woken::Interrupted,
            case => Woken::Ready {
                case,
                token: self.word,
            },
        }
    }

    #[inline(always)]
    pub(super) fn set_woken(&mut self, woken: Woken) {
        (self.case, self.word) = match woken {
            Woken::Ready { case, token } => (case, token),
            Woken::TimedOut => (Self::TIMED_OUT, 0),
            Woken::Killed => (Self::KILLED, 0),
            Woken::Interrupted => (Self::INTERRUPTED, 0),
        };
    }

    /// Whether a kill may be raised at a park that begins now, unwinding apart.
    pub(crate) fn killable(&self) -> bool {
        self.shields == 0
    }

    /// Whether its timers keep the run alive. Those of a daemon do not, until it was killed and
    /// only needs them for its cleanup.
    pub(super) fn is_vital(&self) -> bool {
        !self.flags.has(Flags::DAEMON) || self.flags.has(Flags::KILLED)
    }

    /// How often its kill was raised.
    pub(crate) fn raises(&self) -> u8 {
        let more = self.body.about().more_if_any();
        more.map_or(0, |more| more.raises.get())
    }

    pub(crate) fn unwinding(&self) -> bool {
        self.flags.has(Flags::UNWINDING)
    }

    pub(crate) fn set_unwinding(&mut self, unwinding: bool) {
        match unwinding {
            true => self.flags.set(Flags::UNWINDING),
            false => self.flags.clear(Flags::UNWINDING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small_as_a_million_of_them_should_be() {
        assert!(size_of::<Task>() <= 88, "{}", size_of::<Task>());
        assert!(size_of::<About>() <= 32, "{}", size_of::<About>());
    }
}
