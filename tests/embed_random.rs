//! Thousands of ticks with random budgets, while the host does at random what a host may do.
mod task_support;

use maypole::sync::{Event, Mutex};
use maypole::task::{Task, park};
use maypole::{
    Budget, Builder, Clock, JoinHandle, Scheduler, Tick, channel, scope, sleep, spawn, time,
    yield_now,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use task_support::OnDrop;

/// Numbers that depend on the seed alone (xorshift).
struct Random(Cell<u64>);

impl Random {
    fn new(seed: u64) -> Self {
        Random(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    fn below(&self, limit: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) % limit
    }
}

/// What host and tasks share.
struct World {
    random: Random,
    budgets: Budgets,
    /// How often each value was dropped.
    dropped: RefCell<Vec<u32>>,
    sent: RefCell<Vec<u64>>,
    received: RefCell<Vec<u64>>,
    mutex: Mutex<u64>,
    event: Event,
    ticking: Cell<bool>,
}

/// A value that must be dropped once, in a tick or where the host drops it.
struct Value(Rc<World>, usize);

impl Value {
    fn new(world: &Rc<World>) -> Self {
        let number = world.dropped.borrow().len();
        world.dropped.borrow_mut().push(0);
        Value(world.clone(), number)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.dropped.borrow_mut()[self.1] += 1;
    }
}

type Channel = (channel::Sender<u64>, channel::Receiver<u64>);

/// What a task does, step by step.
fn live(world: &Rc<World>, (sender, receiver): &Channel) {
    let _guard = OnDrop(|| {
        assert!(world.ticking.get(), "tasks run in ticks only");
        // A destructor that waits, at times.
        if world.random.below(8) == 0 {
            yield_now();
        }
    });
    for _ in 0..world.random.below(12) {
        assert!(world.ticking.get(), "tasks run in ticks only");
        match world.random.below(11) {
            0 | 1 => yield_now(),
            2 => sleep(Duration::from_nanos(world.random.below(50))),
            3 => {
                let message = world.random.below(1 << 40);
                if sender
                    .send_timeout(message, Duration::from_nanos(20))
                    .is_ok()
                {
                    world.sent.borrow_mut().push(message);
                }
            }
            4 => {
                if let Ok(message) = receiver.recv_timeout(Duration::from_nanos(20)) {
                    world.received.borrow_mut().push(message);
                }
            }
            5 => {
                let mut guard = world.mutex.lock();
                *guard += 1;
                yield_now();
            }
            6 => scope(|s| {
                for _ in 0..world.random.below(3) {
                    let child = Value::new(world);
                    s.spawn(move || {
                        yield_now();
                        drop(child);
                    });
                }
            }),
            7 => {
                let child = Value::new(world);
                drop(spawn(move || {
                    let _child = child;
                    sleep(Duration::from_nanos(30));
                }));
            }
            8 => drop(time::timeout(Duration::from_nanos(10), park)),
            9 => {
                let values = maypole::generator::Generator::<Value>::new({
                    let world = world.clone();
                    move |yielder| {
                        yielder.yield_(Value::new(&world));
                        yield_now();
                        yielder.yield_(Value::new(&world));
                    }
                });
                values
                    .take(1 + world.random.below(2) as usize)
                    .for_each(drop);
            }
            _ => drop(time::timeout(Duration::from_nanos(15), || {
                world.event.wait()
            })),
        }
    }
}

/// Budgets of turns, so that a seed means the same each time; or of time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Budgets {
    Turns,
    Time,
}

fn tick(scheduler: &mut Scheduler, world: &World) -> Tick {
    let random = &world.random;
    let budget = match (world.budgets, random.below(4)) {
        (Budgets::Time, _) => Budget::time(Duration::from_nanos(random.below(20_000))),
        (Budgets::Turns, 0) => Budget::round(),
        (Budgets::Turns, _) => Budget::turns(random.below(30)),
    };
    world.ticking.set(true);
    let tick = scheduler.tick(budget);
    world.ticking.set(false);
    tick
}

/// One life of a scheduler; tells how many values there were.
fn play(seed: u64, budgets: Budgets) -> usize {
    let world = Rc::new(World {
        random: Random::new(seed),
        budgets,
        dropped: RefCell::default(),
        sent: RefCell::default(),
        received: RefCell::default(),
        mutex: Mutex::new(0),
        event: Event::new(),
        ticking: Cell::new(false),
    });
    let random = &world.random;
    let mut scheduler = Builder::new().clock(Clock::Virtual).seed(seed % 3).build();
    let channel: Channel = channel::bounded(random.below(3) as usize);
    let mut handles: Vec<JoinHandle<Value>> = Vec::new();
    let mut tasks: Vec<Task> = Vec::new();
    for _ in 0..300 {
        match random.below(12) {
            0..=3 => {
                let (theirs, channel) = (world.clone(), channel.clone());
                let captured = Value::new(&world);
                handles.push(scheduler.spawn(move || {
                    let _captured = captured;
                    live(&theirs, &channel);
                    Value::new(&theirs)
                }));
                tasks.extend(handles.last().map(|handle| handle.task().clone()));
            }
            4 => {
                if let Ok(message) = channel.1.try_recv() {
                    world.received.borrow_mut().push(message);
                }
            }
            5 => {
                let message = random.below(1 << 40);
                if channel.0.try_send(message).is_ok() {
                    world.sent.borrow_mut().push(message);
                }
            }
            6 => match random.below(2) {
                0 => world.event.set(),
                _ => world.event.clear(),
            },
            7 => {
                if let Some(guard) = world.mutex.try_lock() {
                    // Held by the host over a tick.
                    tick(&mut scheduler, &world);
                    drop(guard);
                }
            }
            other if !handles.is_empty() => {
                let nth = random.below(handles.len() as u64) as usize;
                match other {
                    8 => drop(handles[nth].kill("at random")),
                    9 => handles[nth].task().pause(),
                    10 => handles[nth].task().resume(),
                    _ => {
                        let handle = handles.swap_remove(nth);
                        match handle.is_finished() {
                            true => drop(handle.join()),
                            false => drop(handle),
                        }
                    }
                }
            }
            _ => {}
        }
        tick(&mut scheduler, &world);
    }
    if random.below(2) == 0 {
        // To the end, if there is nobody whose wait has none.
        tasks.iter().for_each(Task::resume);
        world.event.set();
        let mut ticks = 0;
        while tick(&mut scheduler, &world) != Tick::Done {
            ticks += 1;
            assert!(ticks < 100_000, "seed {seed}: {}", scheduler.report());
        }
    }
    world.ticking.set(true);
    drop(scheduler);
    world.ticking.set(false);
    drop(handles);
    let (mut sent, mut received) = (world.sent.take(), world.received.take());
    received.extend(channel.1.try_iter());
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(sent, received, "seed {seed}: each message arrives once");
    assert!(
        world.mutex.try_lock().is_some(),
        "seed {seed}: a lock is held by nobody"
    );
    let dropped = world.dropped.borrow();
    let wrong: Vec<usize> = (0..dropped.len()).filter(|n| dropped[*n] != 1).collect();
    assert!(wrong.is_empty(), "seed {seed}: not dropped once: {wrong:?}");
    dropped.len()
}

#[test]
fn whatever_the_host_does_between_thousands_of_ticks_every_value_is_dropped_once() {
    let values: usize = (1..=150).map(|seed| play(seed, Budgets::Turns)).sum();
    assert!(values > 10_000, "{values}");
}

#[test]
fn so_it_is_with_budgets_of_time() {
    (1..=30).for_each(|seed| {
        play(seed, Budgets::Time);
    });
}
