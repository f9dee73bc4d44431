//! Random operations on the kernel beside a simple model of lists, compared at every step.
use super::kernel::{new_kernel, park, spawn_with, turn, wait, yield_now};
use super::random::Random;
use crate::scheduler::bound::BoundId;
use crate::scheduler::kernel::{Kernel, NOBODY};
use crate::scheduler::kill::{Killed, attention};
use crate::scheduler::task::{Flags, State, TaskId};
use crate::scheduler::wait::{WaitQueue, What, Woken};
use std::collections::{BTreeMap, VecDeque};

const QUEUES: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Ready,
    Running,
    Held,
    Parked,
}

/// A task as the model knows it.
struct Twin {
    id: TaskId,
    standing: Standing,
    unwinding: bool,
    shields: u16,
    killed: bool,
    paused: bool,
    daemon: bool,
    unparked: bool,
    waits_for_unpark: bool,
    woken: Woken,
    /// Deadline of the park, and its place among equal ones.
    deadline: Option<(u64, u64)>,
    bounds: Vec<TwinBound>,
}

struct TwinBound {
    id: BoundId,
    deadline: Option<(u64, u64)>,
    shields: u16,
    raised: bool,
}

impl Twin {
    fn raised(&self) -> Option<u64> {
        let reached = |bound: &&TwinBound| bound.raised && bound.shields == self.shields;
        self.bounds
            .iter()
            .find(reached)
            .map(|bound| bound.id.serial)
    }
}

/// The kernel and its model, kept in step.
struct Pair<'a> {
    kernel: Kernel,
    queues: &'a [WaitQueue; QUEUES],
    tasks: BTreeMap<u64, Twin>,
    ready: VecDeque<u64>,
    /// Who waits in each queue, as which case and with which offer.
    waiting: [VecDeque<(u64, u32, usize)>; QUEUES],
    running: Option<u64>,
    armed: u64,
    gone: Vec<TaskId>,
}

impl Pair<'_> {
    fn twin(&mut self, serial: u64) -> &mut Twin {
        self.tasks.get_mut(&serial).expect("the model has it")
    }

    fn any(&self, random: &Random) -> Option<u64> {
        let nth = random.below(self.tasks.len().max(1));
        self.tasks.keys().nth(nth).copied()
    }

    fn spawn(&mut self, daemon: bool) {
        let flags = match daemon {
            true => Flags::default().with(Flags::DAEMON),
            false => Flags::default(),
        };
        let id = spawn_with(&mut self.kernel, flags);
        let twin = Twin {
            id,
            standing: Standing::Ready,
            unwinding: false,
            shields: 0,
            killed: false,
            paused: false,
            daemon,
            unparked: false,
            waits_for_unpark: false,
            woken: Woken::TimedOut,
            deadline: None,
            bounds: Vec::new(),
        };
        self.tasks.insert(id.serial, twin);
        self.ready.push_back(id.serial);
    }

    fn make_ready(&mut self, serial: u64) {
        let twin = self.twin(serial);
        twin.standing = match twin.paused {
            true => Standing::Held,
            false => Standing::Ready,
        };
        if twin.standing == Standing::Ready {
            self.ready.push_back(serial);
        }
    }

    fn wake(&mut self, serial: u64, woken: Woken) {
        let twin = self.twin(serial);
        assert_eq!(twin.standing, Standing::Parked);
        (twin.woken, twin.deadline) = (woken, None);
        for queue in &mut self.waiting {
            queue.retain(|waiter| waiter.0 != serial);
        }
        self.make_ready(serial);
    }

    fn turn(&mut self) {
        let next = loop {
            let Some(serial) = self.ready.pop_front() else {
                break None;
            };
            let twin = self.twin(serial);
            if !twin.paused {
                twin.standing = Standing::Running;
                break Some(serial);
            }
            twin.standing = Standing::Held;
        };
        assert_eq!(turn(&mut self.kernel).map(|id| id.serial), next);
        self.running = next;
    }

    fn yield_now(&mut self, serial: u64) {
        yield_now(&mut self.kernel);
        self.running = None;
        // Plain turns put even a paused task into the line and step over it there.
        self.make_ready(serial);
    }

    fn park(&mut self, serial: u64, random: &Random) {
        let first = random.below(QUEUES);
        let cases: Vec<(usize, usize)> = (0..random.below(QUEUES + 1))
            .map(|nth| ((first + nth) % QUEUES, random.below(1000)))
            .collect();
        let until = random
            .one_in(2)
            .then(|| self.kernel.clock.now() + random.below(20) as u64);
        let (unwinding, unpark) = (random.one_in(8), cases.is_empty() && random.one_in(2));
        let queues = self.queues;
        let on: Vec<(&WaitQueue, usize)> = cases.iter().map(|c| (&queues[c.0], c.1)).collect();
        let what = match unpark {
            true => What::Unpark,
            false => What::Scope,
        };
        match unwinding || unpark {
            true => self
                .kernel
                .park(on.iter().copied(), until, wait(what).pack(), unwinding),
            false => park(&mut self.kernel, &on, until),
        }
        self.kernel.current = NOBODY;
        self.running = None;
        let deadline = until.map(|until| self.arm(until));
        let twin = self.twin(serial);
        (twin.standing, twin.unwinding) = (Standing::Parked, unwinding);
        (twin.waits_for_unpark, twin.deadline) = (unpark, deadline);
        for (case, (queue, offer)) in cases.into_iter().enumerate() {
            self.waiting[queue].push_back((serial, case as u32, offer));
        }
    }

    fn arm(&mut self, deadline: u64) -> (u64, u64) {
        self.armed += 1;
        (deadline, self.armed)
    }

    fn finish(&mut self, serial: u64) {
        let id = self.twin(serial).id;
        drop(self.kernel.remove(id.slot));
        self.kernel.current = NOBODY;
        self.tasks.remove(&serial);
        self.running = None;
        self.gone.push(id);
    }

    fn shield(&mut self, serial: u64, random: &Random) {
        let twin = self.twin(serial);
        let inner = twin.bounds.last().map_or(0, |bound| bound.shields);
        twin.shields = match twin.shields > inner && random.one_in(2) {
            true => twin.shields - 1,
            false => twin.shields + 1,
        };
        let (slot, shields) = (twin.id.slot, twin.shields);
        self.kernel.tasks[slot as usize].shields = shields;
    }

    fn enter_bound(&mut self, serial: u64, random: &Random) {
        let until = random
            .one_in(2)
            .then(|| self.kernel.clock.now() + random.below(20) as u64);
        let id = self.kernel.enter_bound(until);
        let deadline = until.map(|until| self.arm(until));
        let twin = self.twin(serial);
        twin.bounds.push(TwinBound {
            id,
            deadline,
            shields: twin.shields,
            raised: false,
        });
    }

    fn leave_bound(&mut self, serial: u64) {
        if let Some(bound) = self.twin(serial).bounds.pop() {
            self.twin(serial).shields = bound.shields;
            let slot = self.twin(serial).id.slot;
            self.kernel.tasks[slot as usize].shields = bound.shields;
            self.kernel.leave_bound(bound.id);
        }
    }

    fn raise(&mut self, serial: u64, nth: usize) {
        let bound = &mut self.twin(serial).bounds[nth];
        (bound.raised, bound.deadline) = (true, None);
        let shields = bound.shields;
        let twin = self.twin(serial);
        let parked = twin.standing == Standing::Parked && !twin.unwinding;
        if parked && twin.shields == shields {
            self.wake(serial, Woken::Interrupted);
        }
    }

    fn wake_one(&mut self, random: &Random) {
        let (queue, token) = (random.below(QUEUES), random.below(1000));
        let expected = self.waiting[queue].front().copied();
        if let Some((serial, case, _)) = expected {
            self.wake(serial, Woken::Ready { case, token });
        }
        let offer = self.kernel.wake_one(&self.queues[queue], token);
        assert_eq!(offer, expected.map(|waiter| waiter.2));
    }

    fn kill(&mut self, serial: u64) {
        let twin = self.twin(serial);
        let slot = twin.id.slot;
        let expected = match twin.standing {
            _ if twin.killed => Killed::Already,
            Standing::Parked if twin.shields > 0 || twin.unwinding => Killed::Shielded,
            Standing::Parked => Killed::Parked,
            // No coroutine in these tests: every task counts as not started.
            Standing::Ready | Standing::Running | Standing::Held => Killed::BeforeStart,
        };
        if !twin.killed {
            twin.killed = true;
            self.resume(serial);
        }
        if expected == Killed::Parked {
            self.wake(serial, Woken::Killed);
        }
        assert_eq!(self.kernel.kill(slot), expected);
    }

    fn pause(&mut self, serial: u64) {
        let twin = self.twin(serial);
        twin.paused |= !twin.killed;
        let id = twin.id;
        self.kernel.pause(id);
    }

    /// In the model alone.
    fn resume(&mut self, serial: u64) {
        let twin = self.twin(serial);
        twin.paused = false;
        if twin.standing == Standing::Held {
            self.make_ready(serial);
        }
    }

    fn unpark(&mut self, serial: u64) {
        let twin = self.twin(serial);
        let id = twin.id;
        if twin.standing == Standing::Parked && twin.waits_for_unpark {
            self.wake(serial, Woken::Ready { case: 0, token: 0 });
        } else {
            twin.unparked = true;
        }
        self.kernel.unpark(id);
    }

    fn pass(&mut self, by: u64) {
        let now = self.kernel.clock.now() + by;
        self.kernel.clock.jump_to(now);
        self.kernel.expire();
        while let Some((_, serial, bound)) = self.alarms().into_iter().find(|a| a.0.0 <= now) {
            match bound {
                Some(nth) => self.raise(serial, nth),
                None => self.wake(serial, Woken::TimedOut),
            }
        }
    }

    /// Deadline and order, task, and the bound if it is one's; the earliest first.
    fn alarms(&self) -> Vec<((u64, u64), u64, Option<usize>)> {
        let mut alarms = Vec::new();
        for (serial, twin) in &self.tasks {
            alarms.extend(twin.deadline.map(|at| (at, *serial, None)));
            for (nth, bound) in twin.bounds.iter().enumerate() {
                alarms.extend(bound.deadline.map(|at| (at, *serial, Some(nth))));
            }
        }
        alarms.sort_unstable();
        alarms
    }

    fn act(&mut self, random: &Random) {
        let Some(serial) = self.running else {
            match random.below(3) {
                0 if self.tasks.len() < 12 => self.spawn(random.one_in(4)),
                _ => self.turn(),
            }
            return;
        };
        match random.below(12) {
            0..2 => self.yield_now(serial),
            2..7 => self.park(serial, random),
            7 => self.shield(serial, random),
            8..10 => self.enter_bound(serial, random),
            10 => self.leave_bound(serial),
            _ if random.one_in(4) => self.finish(serial),
            _ => {
                let token = std::mem::take(&mut self.twin(serial).unparked);
                assert_eq!(self.kernel.take_unpark_token(), token);
            }
        }
    }

    fn meddle(&mut self, random: &Random) {
        let Some(serial) = self.any(random) else {
            return;
        };
        match random.below(16) {
            0..7 => self.wake_one(random),
            7 if random.one_in(3) => self.kill(serial),
            8 => self.pause(serial),
            9..11 => {
                self.resume(serial);
                self.kernel.resume(self.tasks[&serial].id);
            }
            11 => self.unpark(serial),
            12 => {
                let bounds = &self.tasks[&serial].bounds;
                if !bounds.is_empty() {
                    let nth = random.below(bounds.len());
                    // A raise by hand leaves the deadline as it is; it rings in vain.
                    let (id, deadline) = (bounds[nth].id, bounds[nth].deadline);
                    self.kernel.raise_bound(id);
                    self.raise(serial, nth);
                    self.twin(serial).bounds[nth].deadline = deadline;
                }
            }
            _ => self.pass(random.below(8) as u64),
        }
    }

    fn compare(&mut self) {
        for (serial, twin) in &self.tasks {
            let task = self.kernel.find(twin.id).expect("it lives in the model");
            let state = match twin.standing {
                Standing::Ready | Standing::Running => State::Active,
                Standing::Held => State::Held,
                Standing::Parked if twin.shields > 0 || twin.unwinding => State::ParkedUnkillably,
                Standing::Parked => State::Parked,
            };
            assert_eq!(task.state, state, "task {serial}");
            if twin.standing != Standing::Parked {
                assert_eq!(task.woken(), twin.woken, "task {serial}");
            }
            assert_eq!(task.flags.has(Flags::KILLED), twin.killed);
            assert_eq!(
                self.kernel.raised_bound(twin.id.slot),
                twin.raised(),
                "task {serial}"
            );
            let bits = self.kernel.attention_of(twin.id.slot);
            assert_eq!(
                bits & attention::KILL != 0,
                twin.killed && twin.shields == 0
            );
        }
        for (queue, waiting) in self.queues.iter().zip(&self.waiting) {
            assert_eq!(self.kernel.has_waiter(queue), !waiting.is_empty());
        }
        assert!(self.gone.iter().all(|id| self.kernel.find(*id).is_none()));
        let alarms = self.alarms();
        let vital = |twin: &Twin| !twin.daemon || twin.killed;
        let vital = alarms.iter().any(|alarm| vital(&self.tasks[&alarm.1]));
        let first = alarms.first().filter(|_| vital).map(|alarm| alarm.0.0);
        assert_eq!(self.kernel.next_deadline(), first);
    }

    /// Ends every task by a kill, and looks whether anything is left.
    fn end(mut self) {
        let all: Vec<u64> = self.tasks.keys().copied().collect();
        for serial in all {
            if self.running != Some(serial) {
                let slot = self.tasks[&serial].id.slot;
                self.kill(serial);
                if self.tasks[&serial].standing == Standing::Parked {
                    self.kernel.withdraw(slot);
                }
            }
            self.finish(serial);
        }
        self.kernel.drop_ready();
        assert!(self.kernel.is_clean(), "something is left in the kernel");
        assert_eq!(self.kernel.unkilled, 0);
    }
}

fn follows_the_model(seed: u64) {
    let random = Random::new(seed);
    let queues = [const { WaitQueue::new() }; QUEUES];
    let mut pair = Pair {
        kernel: new_kernel(),
        queues: &queues,
        tasks: BTreeMap::new(),
        ready: VecDeque::new(),
        waiting: Default::default(),
        running: None,
        armed: 0,
        gone: Vec::new(),
    };
    for _ in 0..300 {
        match random.one_in(3) {
            true => pair.meddle(&random),
            false => pair.act(&random),
        }
        pair.compare();
    }
    pair.end();
}

#[test]
fn random_operations_follow_a_model_of_lists() {
    for seed in 0..400 {
        let result = std::panic::catch_unwind(|| follows_the_model(seed));
        assert!(result.is_ok(), "the kernel left its model, seed {seed}");
    }
}
