//! Runs programs in every order the dice give, kills at every step, and looks at what they leave.
use super::programs::{self, Program};
use super::random::Random;
use super::sleeper::Sleeper;
use crate::scheduler::clock::Clock;
use crate::scheduler::observer::{Event, Observer};
use crate::scheduler::policy::{Choice, Policy};
use crate::scheduler::task::{About, Flags};
use crate::scheduler::{self, First, Scheduler, Stop, Traits};
use crate::task::{Ending, Packet};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;

/// Turns after which a program counts as one that never ends.
const TURNS: u64 = 200_000;

const STACK_SIZE: usize = 128 << 10;

// ── who is chosen, and who is killed when ────────────────────────────────────────────────────

/// How a simulated run goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Order of turns: first in, first out, if 0.
    pub(super) seed: u64,
    pub(super) kills: Kills,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kills {
    None,
    /// Before one turn in so many, anybody from task `from` on.
    OneIn {
        turns: usize,
        from: u64,
    },
    /// Before turn `turn`, task `victim`.
    At {
        turn: u64,
        victim: u64,
    },
}

struct Dice {
    plan: Plan,
    random: Random,
    turn: Rc<Cell<u64>>,
}

impl Policy for Dice {
    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize> {
        Some(match self.plan.seed {
            0 => 0,
            _ => self.random.below(choice.among),
        })
    }

    fn victim(&mut self) -> Option<u64> {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        match self.plan.kills {
            Kills::None => None,
            Kills::OneIn { turns, from } => {
                let now = self.random.one_in(turns);
                now.then(|| from + self.random.below(16) as u64)
            }
            Kills::At { turn: at, victim } => (turn == at).then_some(victim),
        }
    }
}

// ── what was seen ────────────────────────────────────────────────────────────────────────────

/// What is known of a task from the events.
#[derive(Default)]
pub(super) struct Seen {
    parked: bool,
    pub(super) killed: bool,
    finished: bool,
}

#[derive(Default)]
struct Watch {
    tasks: BTreeMap<u64, Seen>,
    faults: Vec<String>,
    events: Vec<Event>,
}

impl Watch {
    /// The kernel is borrowed, so a fault is kept and told later.
    fn see(&mut self, event: Event) {
        self.events.push(event);
        let (Event::Spawned(id)
        | Event::Resumed(id)
        | Event::Yielded(id)
        | Event::Parked(id, _)
        | Event::Woken(id, _)
        | Event::Killed(id)
        | Event::Finished(id)
        | Event::Panicked(id)
        | Event::Operation(id, ..)
        | Event::Chosen(id, ..)
        | Event::Forced(id)
        | Event::Hurried(id)) = event;
        let task = self.tasks.entry(id.serial).or_default();
        let wrong = match event {
            Event::Woken(..) => !std::mem::replace(&mut task.parked, false),
            Event::Parked(..) => std::mem::replace(&mut task.parked, true),
            Event::Killed(_) => std::mem::replace(&mut task.killed, true),
            Event::Finished(_) => std::mem::replace(&mut task.finished, true) || task.parked,
            Event::Spawned(_)
            | Event::Resumed(_)
            | Event::Yielded(_)
            | Event::Panicked(_)
            | Event::Operation(..)
            | Event::Chosen(..)
            | Event::Forced(_)
            | Event::Hurried(_) => task.parked || task.finished,
        };
        if wrong {
            self.faults.push(format!("{event:?} out of turn"));
        }
    }
}

struct Watcher(Rc<RefCell<Watch>>);

impl Observer for Watcher {
    fn event(&mut self, event: Event) {
        self.0.borrow_mut().see(event);
    }
}

/// What a simulated run came to.
pub(super) struct Trace {
    pub(super) tasks: BTreeMap<u64, Seen>,
    events: Vec<Event>,
    turns: u64,
}

// ── a run ────────────────────────────────────────────────────────────────────────────────────

struct Nobody;

impl Ending for Nobody {
    fn panicked(&self, _: &About, payload: Box<dyn Any + Send>) -> Option<Box<dyn Any + Send>> {
        Some(payload)
    }
    fn over(self) {}
}

/// Runs `main` until every task has ended by itself.
fn simulate(plan: Plan, main: impl FnOnce() + 'static) -> Trace {
    let scheduler = Scheduler::new(Clock::virtual_time(), STACK_SIZE);
    let watch = Rc::new(RefCell::new(Watch::default()));
    let turn = Rc::new(Cell::new(0));
    scheduler.kernel(|kernel| {
        kernel.set_policy(Box::new(Dice {
            plan,
            random: Random::new(plan.seed),
            turn: turn.clone(),
        }));
        kernel.set_observer(Box::new(Watcher(watch.clone())));
        kernel.limit_turns(TURNS);
    });
    let stop = scheduler.enter(|| {
        let about = About::named(Location::caller(), "main".into());
        let body = Rc::new(Packet::new(about, main, Nobody));
        let traits = Traits {
            stack_size: None,
            flags: Flags::default(),
        };
        scheduler::launch(body, traits, First::Parent, |_| ()).expect("a stack for main");
        scheduler.drive(&mut Sleeper)
    });
    let end = match stop {
        Stop::Empty => None,
        Stop::Deadlock => Some("nothing left that could wake the tasks that are left"),
        Stop::Turns => Some("it does not end"),
        _ => Some("it ended otherwise than by the end of its tasks"),
    };
    if let Some(end) = end {
        let left = scheduler.kernel(|kernel| kernel.snapshot());
        scheduler.enter(|| scheduler.leak_all());
        let left = left
            .iter()
            .map(|task| format!("\n{} {} {:?}", task.id, task.name, task.status));
        panic!("{end}:{}", left.collect::<String>());
    }
    // A scope whose owner is killed leaves the panic of its task to be named at the end.
    let mut panics = scheduler.take_panics().first().to_vec();
    panics.retain(|panic| !panic.text.ends_with("payload that is no text"));
    assert!(panics.is_empty(), "{panics:?}");
    assert!(
        scheduler.kernel(|kernel| kernel.is_clean()),
        "something is left in the kernel"
    );
    let watch = watch.take();
    assert!(watch.faults.is_empty(), "{:?}", watch.faults);
    assert!(watch.tasks.values().all(|task| task.finished));
    Trace {
        tasks: watch.tasks,
        events: watch.events,
        turns: turn.get(),
    }
}

/// Runs a program and checks what it leaves; a failure names the plan.
fn check(name: &str, plan: Plan, program: impl Fn(u64) -> Program) -> Trace {
    let run = || {
        let Program { main, check } = program(plan.seed);
        let trace = simulate(plan, main);
        check(&trace);
        trace
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(trace) => trace,
        Err(payload) => {
            let text = crate::task::message_of(&*payload).unwrap_or("a panic");
            panic!("program {name}, {plan:?}: {text}");
        }
    }
}

/// Random orders, with kills in most of them; tells how many tasks were killed.
fn at_random(name: &str, seeds: u64, victims: u64, program: impl Fn(u64) -> Program) {
    let mut killed = 0;
    for seed in 1..=seeds {
        let kills = match seed % 4 {
            0 => Kills::None,
            1 => Kills::OneIn {
                turns: 40,
                from: victims,
            },
            _ => Kills::OneIn {
                turns: 12,
                from: victims,
            },
        };
        let trace = check(name, Plan { seed, kills }, &program);
        killed += trace.tasks.values().filter(|task| task.killed).count() as u64;
    }
    assert!(
        killed >= seeds / 5,
        "only {killed} tasks were killed in {seeds} runs of {name}"
    );
}

/// Every task of a small program is killed before every turn, in a few orders.
fn everywhere(name: &str, orders: &[u64], victims: u64, program: impl Fn(u64) -> Program) {
    for &seed in orders {
        let plan = |kills| Plan { seed, kills };
        let trace = check(name, plan(Kills::None), &program);
        let last = *trace.tasks.keys().last().expect("main at least");
        for turn in 0..trace.turns {
            for victim in victims..=last {
                check(name, plan(Kills::At { turn, victim }), &program);
            }
        }
    }
}

// ── the tests ────────────────────────────────────────────────────────────────────────────────

#[test]
fn no_value_is_lost_or_doubled_whoever_is_killed_or_times_out() {
    for capacity in [0, 1, 3] {
        at_random("exchange", 300, programs::EXCHANGE_VICTIMS, |seed| {
            programs::exchange(seed, capacity, 5)
        });
    }
}

#[test]
fn a_sender_or_receiver_may_be_killed_before_any_turn() {
    for capacity in [0, 1] {
        everywhere("exchange", &[0, 2, 6], programs::EXCHANGE_VICTIMS, |seed| {
            programs::exchange(seed, capacity, 1)
        });
    }
}

#[test]
fn no_permit_is_lost_and_the_line_is_kept() {
    at_random("permits", 500, programs::PERMIT_VICTIMS, |seed| {
        programs::permits(seed, 6)
    });
}

#[test]
fn a_holder_or_waiter_may_be_killed_before_any_turn() {
    everywhere("permits", &[0, 2, 4], programs::PERMIT_VICTIMS, |seed| {
        programs::permits(seed, 3)
    });
}

#[test]
fn scopes_timeouts_and_shields_hold_whoever_is_killed() {
    at_random("scopes", 400, programs::SCOPE_VICTIMS, |seed| {
        programs::scopes(seed, 2)
    });
}

#[test]
fn a_task_of_a_scope_may_be_killed_before_any_turn() {
    everywhere("scopes", &[0, 2, 4], programs::SCOPE_VICTIMS, |seed| {
        programs::scopes(seed, 1)
    });
}

#[test]
fn no_unpark_is_lost() {
    at_random("unparks", 400, programs::UNPARK_VICTIMS, programs::unparks);
    everywhere(
        "unparks",
        &[0, 2],
        programs::UNPARK_VICTIMS,
        programs::unparks,
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let kills = Kills::OneIn {
            turns: 12,
            from: programs::EXCHANGE_VICTIMS,
        };
        let plan = Plan { seed, kills };
        // An identity prints without the number of its run.
        format!(
            "{:?}",
            check("exchange", plan, |seed| programs::exchange(seed, 1, 3)).events
        )
    };
    for seed in 1..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
        assert_ne!(run(seed), run(seed + 1), "seed {seed}");
    }
}
