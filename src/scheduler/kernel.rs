//! All scheduling state, as one plain value: every change is a `&mut self` method, no thread-local,
//! no switch, no code of a user. Tests drive it without a single coroutine.
use super::bound::{Bound, BoundKey};
use super::clock::Clock;
use super::cycle::Cycles;
use super::exploring::Exploring;

use super::observer::{Event, Observer};
use super::policy::{Choice, Policy, Seeded};
use super::ready::{Entry, ReadyQueue};
use super::task::{Body, Flags, State, Task, TaskId};
use super::timers::{TimerKey, Timers};
use super::wait::{Ends, Further, Links, Wait, WaiterKey, What, Woken};
use crate::coroutine::Coroutine;
use slab::Slab;
use std::rc::Rc;

/// Turns between two looks at the clock and the outside world while tasks stay ready: reading the
/// clock costs five switches, polling twenty.
pub(crate) const TURNS_PER_LOOK: u32 = 64;

/// Five seconds, in nanoseconds.
const CLEANUP: u64 = 5_000_000_000;

/// No task: the value of [`Kernel::current`] while the loop itself runs.
pub(crate) const NOBODY: u32 = u32::MAX;

/// What a timer wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alarm {
    /// The park of the task in this slot.
    Park(u32),
    /// The bound with this key.
    Bound(u32),
}

/// What is left of a task that the kernel has forgotten.
pub(super) struct Remains {
    pub(super) serial: u64,
    pub(super) body: Rc<dyn Body>,
    pub(super) coroutine: Option<Coroutine>,
}

pub(crate) struct Kernel {
    /// Slot of the running task.
    pub(crate) current: u32,
    /// Plain turns until something must be looked at. 0 also while every turn needs more than the
    /// head of the queue (a policy, an observer, a pause): one number to test for a plain turn.
    pub(super) quick: u32,
    /// Turns until the next look outside, while no turn is plain.
    pub(super) look_in: u32,
    /// Turns until the loop comes back: until the run ends as one that spins, or a host's budget is
    /// used up. Counted at every look.
    pub(super) turns_left: u64,
    /// Those in the line that a policy may choose from: all but in a host's round.
    pub(super) round: usize,
    /// Set when a turn needs more than the head of the queue: a policy, an observer, a pause.
    pub(super) slow: bool,
    /// The run is being ended: the loop comes back whenever nothing is ready and a task is left
    /// that no kill has reached.
    pub(crate) ending: bool,
    /// Looks since the end of the run has killed the latest task.
    pub(super) looks_since_kill: u32,
    /// Every task was killed: the loop comes back when those left swallow it for good.
    pub(crate) killing: bool,
    /// Live tasks that no kill has reached.
    pub(super) unkilled: usize,
    /// Every park looks for callers that must not be interleaved.
    pub(crate) audit: bool,
    pub(super) ready: ReadyQueue,
    pub(super) tasks: Slab<Task>,
    pub(super) further: Slab<Further>,
    pub(super) queues: Slab<Ends>,
    pub(super) bounds: Slab<Bound>,
    pub(super) timers: Timers<Alarm>,
    /// Timers that could wake something else than a daemon.
    pub(super) vital_timers: usize,
    /// Parked tasks, daemons apart, that the outside world may wake.
    pub(super) waits_outside: usize,
    /// How long destructors may wait for the outside world while their task unwinds.
    pub(crate) cleanup: u64,
    pub(crate) clock: Clock,
    pub(super) policy: Option<Box<dyn Policy>>,
    /// For a policy that goes through schedules.
    pub(super) exploring: Option<Box<Exploring>>,
    /// Chooses between ready cases where there is no policy.
    pub(super) chance: Seeded,
    pub(super) observer: Option<Box<dyn Observer>>,
    pub(super) paused: usize,
    pub(super) cycles: Cycles,
    /// Number of this run on this OS thread, from 1.
    pub(crate) run: u32,
    next_serial: u64,
    /// Bounds entered so far.
    pub(super) bound_serial: u64,
}

impl Kernel {
    pub(crate) fn new(run: u32, clock: Clock) -> Self {
        Kernel {
            current: NOBODY,
            quick: TURNS_PER_LOOK,
            look_in: 0,
            turns_left: u64::MAX,
            round: usize::MAX,
            slow: false,
            ending: false,
            looks_since_kill: 0,
            killing: false,
            unkilled: 0,
            audit: false,
            ready: ReadyQueue::new(),
            tasks: Slab::new(),
            further: Slab::new(),
            queues: Slab::new(),
            bounds: Slab::new(),
            timers: Timers::new(),
            vital_timers: 0,
            waits_outside: 0,
            cleanup: CLEANUP,
            clock,
            policy: None,
            exploring: None,
            chance: Seeded::new(0),
            observer: None,
            paused: 0,
            cycles: Cycles::new(),
            run,
            next_serial: 1,
            // Unlike those of other runs, into which a foreign coroutine may carry an unwind.
            bound_serial: u64::from(run) << 32,
        }
    }

    /// As new, for run `run`, but for the room that its tables have; the run before has ended.
    pub(super) fn restart(&mut self, run: u32) {
        debug_assert!(self.is_clean());
        self.tasks.clear();
        self.further.clear();
        self.queues.clear();
        self.bounds.clear();
        self.timers.restart();
        self.clock.restart();
        (self.policy, self.observer) = (None, None);
        self.chance = Seeded::new(0);
        (self.current, self.quick, self.look_in) = (NOBODY, TURNS_PER_LOOK, 0);
        self.turns_left = u64::MAX;
        (self.slow, self.ending, self.killing) = (false, false, false);
        self.looks_since_kill = 0;
        self.cycles = Cycles::new();
        self.run = run;
        self.next_serial = 1;
        self.bound_serial = u64::from(run) << 32;
    }

    pub(crate) fn set_policy(&mut self, policy: Box<dyn Policy>) {
        match (&mut self.exploring, policy.explores()) {
            (Some(exploring), Some(switches)) => exploring.restart(switches),
            (exploring, switches) => {
                *exploring = switches.map(|switches| Box::new(Exploring::new(switches)));
            }
        }
        self.policy = Some(policy);
        self.slow_down();
    }

    pub(crate) fn set_observer(&mut self, observer: Box<dyn Observer>) {
        self.observer = Some(observer);
        self.slow_down();
    }

    pub(crate) fn limit_turns(&mut self, turns: u64) {
        self.turns_left = turns;
        self.set_turns(u32::try_from(turns).map_or(TURNS_PER_LOOK, |t| t.min(TURNS_PER_LOOK)));
    }

    #[inline(always)]
    pub(super) fn emit(&mut self, event: Event) {
        if let Some(observer) = &mut self.observer {
            observer.event(event);
        }
    }

    pub(crate) fn id(&self, slot: u32) -> TaskId {
        TaskId {
            serial: self.tasks[slot as usize].serial,
            slot,
            run: self.run,
        }
    }

    /// The live task that `id` names.
    pub(crate) fn find(&self, id: TaskId) -> Option<&Task> {
        let task = self.tasks.get(id.slot as usize)?;
        (task.serial == id.serial && self.run == id.run).then_some(task)
    }

    fn take_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    // ── spawn, choose, finish ────────────────────────────────────────────────────────────────

    /// Adds a task that nobody has put into the ready queue yet.
    #[inline]
    pub(super) fn insert(&mut self, body: Rc<dyn Body>, flags: Flags, wait: Wait) -> TaskId {
        let serial = self.take_serial();
        self.unkilled += 1;
        let slot = self.tasks.insert(Task {
            serial,
            body,
            coroutine: None,
            wait: wait.pack(),
            word: 0,
            case: Task::TIMED_OUT,
            links: Links::nowhere(),
            further: WaiterKey::NONE,
            timer: TimerKey::NONE,
            bound: BoundKey::NONE,
            shields: 0,
            state: State::Active,
            flags,
        });
        let slot = u32::try_from(slot).ok().filter(|slot| *slot < 1 << 31);
        let slot = slot.expect("fewer than 2^31 tasks");
        let id = TaskId {
            serial,
            slot,
            run: self.run,
        };
        if self.observer.is_some() {
            self.tell_of_spawn(id);
        }
        id
    }

    #[cold]
    fn tell_of_spawn(&mut self, id: TaskId) {
        if let Some(observer) = &mut self.observer {
            observer.meet(id, self.tasks[id.slot as usize].body.about());
            observer.event(Event::Spawned(id));
        }
    }

    /// Makes a task ready that is in no queue.
    #[inline(always)]
    pub(super) fn make_ready(&mut self, slot: u32) {
        let task = &mut self.tasks[slot as usize];
        if task.flags.has(Flags::PAUSED) {
            task.state = State::Held;
            return;
        }
        task.state = State::Active;
        let coroutine = task.coroutine.as_ref().map(|coroutine| coroutine.handle());
        self.ready.push(Entry { coroutine, slot });
    }

    /// The next task in line, when a turn needs nothing else.
    #[inline(always)]
    pub(super) fn pick(&mut self) -> Option<Entry> {
        if self.quick == 0 {
            return None;
        }
        let entry = self.ready.pop()?;
        self.quick -= 1;
        self.current = entry.slot;
        Some(entry)
    }

    /// Puts the task that just yielded at the end of the line, and picks the next if the turn is
    /// a plain one.
    #[inline(always)]
    pub(super) fn rotate(&mut self, entry: Entry) -> Option<Entry> {
        if self.quick == 0 {
            self.requeue(entry);
            return None;
        }
        let entry = self.ready.rotate(entry);
        self.quick -= 1;
        self.current = entry.slot;
        Some(entry)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn requeue(&mut self, entry: Entry) {
        if self.observer.is_some() {
            self.emit(Event::Yielded(self.id(entry.slot)));
        }
        self.note_yield(entry.slot);
        self.make_ready(entry.slot);
    }

    /// From now on no turn is plain.
    pub(super) fn slow_down(&mut self) {
        self.slow = true;
        self.look_in += std::mem::take(&mut self.quick);
    }

    fn set_turns(&mut self, turns: u32) {
        (self.quick, self.look_in) = match self.slow {
            true => (0, turns),
            false => (turns, 0),
        };
    }

    /// Whether it is time to look at the clock and the outside world.
    pub(super) fn look_is_due(&self) -> bool {
        self.quick == 0 && self.look_in == 0
    }

    /// Starts the count to the next look; false when the turns are used up.
    pub(super) fn count_turns(&mut self) -> bool {
        if self.turns_left != u64::MAX {
            self.turns_left = self.turns_left.saturating_sub(u64::from(TURNS_PER_LOOK));
        }
        let left = u32::try_from(self.turns_left).unwrap_or(TURNS_PER_LOOK);
        self.set_turns(left.min(TURNS_PER_LOOK));
        left > 0
    }

    /// Chooses the next task by the policy, stepping over paused ones.
    pub(super) fn choose(&mut self) -> Option<Entry> {
        if let Some(nth) = self.policy.as_mut().and_then(|policy| policy.victim()) {
            self.kill_nth(nth);
        }
        loop {
            let entry = match self.exploring {
                Some(_) => self.explore_turn()?,
                None => self.choose_among_ready()?,
            };
            if self.tasks[entry.slot as usize].flags.has(Flags::PAUSED) {
                self.hold(entry.slot);
                continue;
            }
            let turns = match self.slow {
                true => &mut self.look_in,
                false => &mut self.quick,
            };
            *turns = turns.saturating_sub(1);
            self.current = entry.slot;
            self.emit(Event::Resumed(self.id(entry.slot)));
            return Some(entry);
        }
    }

    fn choose_among_ready(&mut self) -> Option<Entry> {
        let index = match (&mut self.policy, self.ready.len().min(self.round)) {
            (_, 0) => return None,
            (Some(policy), among @ 2..) => policy.choose(&Choice::plain(among)).unwrap_or(0),
            _ => 0,
        };
        self.leave_round();
        self.ready.take(index)
    }

    /// Keeps a task out of the line that would have its turn.
    pub(super) fn hold(&mut self, slot: u32) {
        self.tasks[slot as usize].state = State::Held;
    }

    fn kill_nth(&mut self, nth: u64) {
        let slot = self
            .tasks
            .iter()
            .find(|(_, task)| task.serial == nth)
            .map(|(slot, _)| slot);
        if let Some(slot) = slot {
            self.kill(slot as u32);
        }
    }

    /// Forgets a task that has returned or was abandoned. What is left of it is for the caller to
    /// drop, with the kernel free.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) -> Remains {
        let bound = self.tasks[slot as usize].bound;
        if bound != BoundKey::NONE {
            self.drop_bounds(slot, bound);
        }
        if self.slow {
            self.remember_end(slot);
            self.emit(Event::Finished(self.id(slot)));
        }
        let task = self.tasks.remove(slot as usize);
        debug_assert_eq!(task.links.queue, Links::NOWHERE);
        self.unkilled -= usize::from(!task.flags.has(Flags::KILLED));
        if task.flags.has(Flags::PAUSED) {
            self.unpaused();
        }
        Remains {
            serial: task.serial,
            body: task.body,
            coroutine: task.coroutine,
        }
    }

    // ── the line ─────────────────────────────────────────────────────────────────────────────

    /// Moves the task that was made ready last to the head of the line.
    pub(super) fn hurry_latest(&mut self) {
        self.ready.last_to_front();
    }

    // ── time ─────────────────────────────────────────────────────────────────────────────────

    /// Wakes whom the time has come for.
    pub(crate) fn expire(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = self.clock.now();
        // One at a time: a bound that expires disarms the timer of the park that it ends.
        while let Some(alarm) = self.timers.pop_due(now) {
            match alarm {
                Alarm::Park(slot) => {
                    self.timer_gone(slot);
                    self.tasks[slot as usize].timer = TimerKey::NONE;
                    self.wake(slot, Woken::TimedOut);
                }
                Alarm::Bound(key) => {
                    self.timer_gone(self.bound_task(key));
                    self.bound_expired(key);
                }
            }
        }
    }

    // ── unpark ───────────────────────────────────────────────────────────────────────────────

    pub(crate) fn unpark(&mut self, id: TaskId) {
        let Some(task) = self.find(id) else { return };
        let parked = matches!(task.state, State::Parked | State::ParkedUnkillably);
        if parked && task.wait.is(What::Unpark) {
            self.wake(id.slot, Woken::Ready { case: 0, token: 0 });
        } else {
            self.tasks[id.slot as usize].flags.set(Flags::UNPARKED);
        }
    }

    /// Whether `unpark` came before the running task's `park`; forgets it.
    pub(crate) fn take_unpark_token(&mut self) -> bool {
        let flags = &mut self.tasks[self.current as usize].flags;
        let token = flags.has(Flags::UNPARKED);
        flags.clear(Flags::UNPARKED);
        token
    }

    /// Holds every ready task back, so that the end of the run reaches them one by one.
    pub(crate) fn hold_ready(&mut self) {
        for entry in self.ready.drain() {
            self.tasks[entry.slot as usize].state = State::Held;
        }
    }
}
