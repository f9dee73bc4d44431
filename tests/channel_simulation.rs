//! A world of tasks, channels and kills, by chance, on virtual time: every message is accounted
//! for, and whenever nothing moves nobody waits who could go on.
//!
//! A failure prints the seed of its world; `CHANNEL_SEED=n` runs that world alone.
#[path = "channel_simulation/acts.rs"]
mod acts;
mod channel_support;
#[path = "channel_simulation/world.rs"]
mod world;

use acts::Actor;
use channel_support::SECOND;
use maypole::{Builder, Clock, sleep, spawn};
use std::rc::Rc;
use world::{Random, World};

/// The size of a world.
struct Size {
    rounds: usize,
    /// New in each round.
    tasks: usize,
    channels: usize,
    /// Of each task.
    acts: usize,
}

/// Longer than anything takes that has a limit.
const LONG: u32 = 1000;

/// Starts a task that acts some times, and kills another now and then.
fn start(world: &Rc<World>, acts: usize, seed: u64) {
    let number = world.new_number();
    let world = world.clone();
    let theirs = world.clone();
    let handle = spawn(move || {
        let world = theirs;
        let random = Random::new(seed);
        let actor = Actor {
            number,
            world: &world,
            random: &random,
        };
        for _ in 0..acts {
            actor.act();
            if random.one_in(20) {
                let tasks = world.tasks.borrow();
                tasks[random.below(tasks.len())].kill("by chance");
            }
        }
    });
    world.tasks.borrow_mut().push(handle.task().clone());
}

/// Lets go of a channel, one way or the other.
fn close(world: &Rc<World>, line: usize, deserts: bool) {
    let world = world.clone();
    if world.line(line).is_closed() {
        return;
    }
    match deserts {
        true => world.line(line).desert(),
        false => drop(spawn(move || {
            if let Some(receiver) = world.line(line).close() {
                let me = usize::MAX - line;
                receiver
                    .iter()
                    .for_each(|message| world.ledger.received(me, message));
            }
        })),
    }
}

fn live(size: &Size, random: &Random) -> Rc<World> {
    let world = Rc::new(World::default());
    let capacities = [Some(0), Some(0), Some(1), Some(1), Some(2), Some(5), None];
    for _ in 0..size.rounds {
        for _ in 0..size.channels {
            world.add_line(capacities[random.below(capacities.len())]);
        }
        for _ in 0..size.tasks {
            start(&world, size.acts, random.below(1 << 30) as u64);
        }
        sleep(LONG * SECOND);
        world.check();
        // Some that wait are killed, and some channels end.
        let tasks = world.tasks.borrow().clone();
        for task in tasks.iter().filter(|_| random.one_in(3)) {
            task.kill("the end of a round");
        }
        sleep(LONG * SECOND);
        world.check();
        for line in (0..world.lines()).filter(|_| random.one_in(3)) {
            close(&world, line, random.one_in(2));
        }
        sleep(LONG * SECOND);
        world.check();
    }
    (0..world.lines()).for_each(|line| close(&world, line, false));
    sleep(LONG * SECOND);
    world.check();
    // Left are those that would send and receive at one channel, which they keep connected.
    let tasks = world.tasks.take();
    tasks.iter().for_each(|task| _ = task.kill("the end"));
    sleep(LONG * SECOND);
    world
}

/// Says of a world that fails which one it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was the world of CHANNEL_SEED={}", self.0);
        }
    }
}

fn simulate(seed: u64, size: &Size) -> usize {
    let _seed = Seed(seed);
    let mut operations = 0;
    let run = Builder::new()
        .clock(Clock::Virtual)
        .seed(seed)
        .fail_on_unjoined_panic(true)
        .max_turns(20_000_000)
        .run(|| {
            let world = live(size, &Random::new(seed + 1));
            world.settle();
            operations = world.operations.get();
        });
    run.unwrap_or_else(|error| panic!("{error}"));
    operations
}

fn worlds(seeds: std::ops::Range<u64>, size: &Size) {
    if let Ok(seed) = std::env::var("CHANNEL_SEED") {
        let seed = seed.parse().expect("CHANNEL_SEED is a number");
        println!("{} operations", simulate(seed, size));
        return;
    }
    let operations: usize = seeds.map(|seed| simulate(seed, size)).sum();
    println!("{operations} operations");
}

#[test]
fn every_message_is_accounted_for_in_small_worlds() {
    let size = Size {
        rounds: 3,
        tasks: 12,
        channels: 2,
        acts: 10,
    };
    worlds(0..600, &size);
}

#[test]
fn every_message_is_accounted_for_in_a_large_world() {
    let size = Size {
        rounds: 4,
        tasks: 1000,
        channels: 15,
        acts: 10,
    };
    worlds(0..1, &size);
}
