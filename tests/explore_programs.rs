//! Programs made up by chance: each is the same twice under every schedule tried, and a failure is
//! the same failure when it is replayed.
use maypole::channel::{Receiver, Sender, bounded};
use maypole::explore::{self, Explorer, Shared, Switches};
use maypole::generator::Generator;
use maypole::sync::{Condvar, Event, Mutex, Semaphore};
use maypole::time::timeout;
use maypole::{Task, sleep, spawn, spawn_now, task, yield_now};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Yield,
    Sleep(u64),
    Lock(usize),
    Acquire,
    Send(usize),
    Recv(usize),
    TrySend(usize),
    Select,
    Set,
    Clear,
    WaitAwhile,
    Signal,
    Update,
    Unpark(usize),
    Park,
    Kill(usize),
    Pause(usize),
    Resume(usize),
    Shielded,
    Atomic,
    Generate,
    Nest,
    Spawn,
    Panic,
    Unwind,
}

fn step(dice: &mut Dice) -> Step {
    use Step::*;
    match dice.roll(32) {
        0..4 => Yield,
        4 => Sleep(dice.roll(3) as u64),
        5..8 => Lock(dice.roll(2)),
        8 => Acquire,
        9 | 10 => Send(dice.roll(2)),
        11 | 12 => Recv(dice.roll(2)),
        13 => TrySend(dice.roll(2)),
        14 | 15 => Select,
        16 => Set,
        17 => Clear,
        18 => WaitAwhile,
        19 => Signal,
        20 | 21 => Update,
        22 => Unpark(dice.roll(4)),
        23 => Park,
        24 => Kill(dice.roll(4)),
        25 => Pause(dice.roll(4)),
        26 => Resume(dice.roll(4)),
        27 => Shielded,
        28 => Atomic,
        29 => Generate,
        30 => [Nest, Spawn][dice.roll(2)],
        _ => [Panic, Unwind, Yield, Yield][dice.roll(4)],
    }
}

/// What the tasks of a program share.
struct World {
    locks: [Mutex<u32>; 2],
    permits: Semaphore,
    channels: [(Sender<u32>, Receiver<u32>); 2],
    event: Event,
    signal: (Mutex<()>, Condvar),
    total: Shared<u32>,
    tasks: RefCell<Vec<Task>>,
}

impl World {
    fn new() -> Rc<World> {
        Rc::new(World {
            locks: [Mutex::new(0), Mutex::new(0)],
            permits: Semaphore::new(1),
            channels: [bounded(0), bounded(1)],
            event: Event::new(),
            signal: (Mutex::new(()), Condvar::new()),
            total: Shared::new(0),
            tasks: RefCell::default(),
        })
    }

    fn task(&self, nth: usize) -> Option<Task> {
        let tasks = self.tasks.borrow();
        tasks.get(nth % tasks.len().max(1)).cloned()
    }

    fn soon(&self, f: impl FnOnce()) {
        let _ = timeout(Duration::from_millis(2), f);
    }

    fn act(self: &Rc<Self>, step: Step) {
        match step {
            Step::Yield => yield_now(),
            Step::Sleep(ms) => sleep(Duration::from_millis(ms)),
            Step::Lock(nth) => {
                let mut first = self.locks[nth].lock();
                *first += 1;
                self.soon(|| *self.locks[1 - nth].lock() += 1);
            }
            Step::Acquire => {
                let _permit = self.permits.acquire();
                yield_now();
            }
            Step::Send(nth) => {
                let _ = self.channels[nth]
                    .0
                    .send_timeout(1, Duration::from_millis(1));
            }
            Step::Recv(nth) => self.soon(|| assert!(self.channels[nth].1.recv().is_ok())),
            Step::TrySend(nth) => drop(self.channels[nth].0.try_send(1)),
            Step::Select => {
                let [(_, first), (second, _)] = &self.channels;
                maypole::select! {
                    recv(first) -> _ => {},
                    send(second, 3) -> _ => {},
                    default(Duration::from_millis(1)) => {},
                }
            }
            Step::Set => self.event.set(),
            Step::Clear => self.event.clear(),
            Step::WaitAwhile => self.soon(|| self.event.wait()),
            Step::Signal => {
                let guard = self.signal.0.lock();
                self.signal.1.notify_one();
                self.soon(|| drop(self.signal.1.wait(guard)));
            }
            Step::Update => self.total.update(|n| n + 1),
            Step::Unpark(nth) => self.task(nth).iter().for_each(Task::unpark),
            Step::Park => task::park_timeout(Duration::from_millis(1)),
            Step::Kill(nth) => {
                let victim = self.task(nth);
                victim
                    .iter()
                    .for_each(|task| drop(format!("{:?}", task.kill("by chance"))));
            }
            Step::Pause(nth) => self.task(nth).iter().for_each(Task::pause),
            Step::Resume(nth) => self.task(nth).iter().for_each(Task::resume),
            Step::Shielded => task::shield(yield_now),
            Step::Atomic => task::no_yield(|| self.total.update(|n| n + 1)),
            Step::Generate => {
                let mut numbers = Generator::new(|y| {
                    for n in 0..2 {
                        yield_now();
                        y.yield_(n);
                    }
                });
                numbers.next();
                self.total.set(1);
                drop(numbers);
            }
            Step::Nest => {
                let world = self.clone();
                let child = spawn_now(move || world.act(Step::Update));
                self.soon(|| drop(child.join()));
            }
            Step::Spawn => {
                let world = self.clone();
                drop(spawn(move || world.act(Step::Yield)));
            }
            Step::Panic => panic!("by chance"),
            Step::Unwind => {
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _guard = self.locks[0].lock();
                    std::panic::resume_unwind(Box::new(()));
                }));
            }
        }
    }
}

fn program(seed: u64) -> impl Fn() {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let scripts: Vec<Vec<Step>> = (0..2 + dice.roll(3))
        .map(|_| (0..1 + dice.roll(5)).map(|_| step(&mut dice)).collect())
        .collect();
    move || {
        let world = World::new();
        let tasks: Vec<_> = scripts
            .iter()
            .map(|script| {
                let (world, script) = (world.clone(), script.clone());
                spawn(move || script.into_iter().for_each(|step| world.act(step)))
            })
            .collect();
        world
            .tasks
            .borrow_mut()
            .extend(tasks.iter().map(|task| task.task().clone()));
        // A paused task that nobody resumes is a deadlock of the program, not of interest here.
        sleep(Duration::from_millis(20));
        tasks.iter().for_each(|task| task.task().resume());
        for task in tasks {
            if let Err(error) = task.join() {
                let message = error.message();
                assert!(error.is_killed() || message == Some("by chance"), "{error}");
            }
        }
        assert!(world.total.get() < 9, "so many updates");
    }
}

fn try_programs(seeds: std::ops::Range<u64>, explorer: Explorer) -> (u64, u64) {
    let (mut schedules, mut failures) = (0, 0);
    for seed in seeds {
        let program = program(seed);
        let outcome = explorer.check(&program);
        schedules += outcome.schedules;
        let Some(failure) = outcome.failure else {
            continue;
        };
        failures += 1;
        let report = failure.report().to_string();
        assert!(!failure.trail().is_empty(), "program {seed}: {report}");
        assert!(!report.contains("#0"), "nobody has that number: {report}");
        let replay = || explore::replay(failure.trail(), &program);
        let again = catch_unwind(AssertUnwindSafe(replay)).expect_err("it fails again");
        let again = again.downcast_ref::<String>().expect("a report");
        assert!(again.contains(failure.steps()), "{again}\nis not {report}");
    }
    (schedules, failures)
}

#[test]
fn programs_of_chance_are_the_same_twice_depth_first() {
    for switches in [Switches::Parking, Switches::Everywhere] {
        let explorer = Explorer::new().switches(switches).schedules(60).turns(2000);
        let (schedules, failures) = try_programs(0..120, explorer);
        assert!(schedules > 3000 && failures < 60, "{schedules} {failures}");
    }
}

#[test]
fn programs_of_chance_are_the_same_twice_at_random() {
    for switches in [Switches::Parking, Switches::Everywhere] {
        let explorer = Explorer::new().switches(switches).schedules(30).turns(2000);
        try_programs(200..300, explorer.clone().random(5));
        try_programs(300..400, explorer.pct(5, 3));
    }
}
