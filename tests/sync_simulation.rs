//! Thousands of tasks that lock, wait, give up and are killed at random: nothing is lost, nobody
//! stands still, and the line is kept.
mod steps;

use maypole::sync::{Barrier, Condvar, Event, Mutex, OnceCell, RwLock, Semaphore, WaitGroup};
use maypole::task::{Status, What};
use maypole::time::timeout;
use maypole::{Builder, Clock, Task, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use steps::ms;

const SEEDS: u64 = 12;
const TASKS: u64 = 300;
const PERMITS: usize = 5;
const PARTIES: usize = 3;

/// xorshift (Marsaglia, 2003): the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// Lets the others run for a while, or not.
    fn dawdle(&mut self) {
        match self.below(4) {
            0 => {}
            1 => yield_now(),
            _ => sleep(ms(self.below(5))),
        }
    }
}

/// Whatever is inside, counted up while this lives.
struct Inside<'a>(&'a Cell<u64>);

impl<'a> Inside<'a> {
    fn of(count: &'a Cell<u64>) -> Self {
        count.set(count.get() + 1);
        Inside(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn count(counter: &Cell<u64>) -> u64 {
    counter.set(counter.get() + 1);
    counter.get()
}

struct World {
    mutex: Mutex<()>,
    owners: Cell<u64>,
    /// Tickets are drawn in the order of coming.
    drawn: Cell<u64>,
    /// The latest that got the mutex.
    served: Cell<u64>,
    rwlock: RwLock<()>,
    readers: Cell<u64>,
    writers: Cell<u64>,
    semaphore: Semaphore,
    held: Cell<u64>,
    barrier: Barrier,
    leaders: Cell<u64>,
    followers: Cell<u64>,
    event: Event,
    cells: Vec<OnceCell<u64>>,
    made: Vec<Cell<u64>>,
}

impl World {
    fn new() -> Self {
        World {
            mutex: Mutex::new(()),
            owners: Cell::new(0),
            drawn: Cell::new(0),
            served: Cell::new(0),
            rwlock: RwLock::new(()),
            readers: Cell::new(0),
            writers: Cell::new(0),
            semaphore: Semaphore::new(PERMITS),
            held: Cell::new(0),
            barrier: Barrier::new(PARTIES),
            leaders: Cell::new(0),
            followers: Cell::new(0),
            event: Event::new(),
            cells: (0..8).map(|_| OnceCell::new()).collect(),
            made: (0..8).map(|_| Cell::new(0)).collect(),
        }
    }

    fn lock(&self, chance: &mut Chance) {
        let limit = ms(chance.below(20));
        let ticket = count(&self.drawn);
        let guard = match chance.below(4) {
            0 => self.mutex.try_lock(),
            1 => self.mutex.lock_timeout(limit),
            2 => timeout(limit, || self.mutex.lock()).ok(),
            _ => Some(self.mutex.lock()),
        };
        let Some(_guard) = guard else { return };
        let _inside = Inside::of(&self.owners);
        assert_eq!(self.owners.get(), 1, "two have the mutex");
        let before = self.served.replace(ticket);
        assert!(before < ticket, "{ticket} was overtaken by {before}");
        chance.dawdle();
    }

    fn read(&self, chance: &mut Chance) {
        let limit = ms(chance.below(20));
        let guard = match chance.below(4) {
            0 => self.rwlock.try_read(),
            1 => self.rwlock.read_timeout(limit),
            2 => timeout(limit, || self.rwlock.read()).ok(),
            _ => Some(self.rwlock.read()),
        };
        let Some(_guard) = guard else { return };
        let _inside = Inside::of(&self.readers);
        assert_eq!(self.writers.get(), 0, "a reader beside a writer");
        chance.dawdle();
    }

    fn write(&self, chance: &mut Chance) {
        let limit = ms(chance.below(20));
        let guard = match chance.below(4) {
            0 => self.rwlock.try_write(),
            1 => self.rwlock.write_timeout(limit),
            2 => timeout(limit, || self.rwlock.write()).ok(),
            _ => Some(self.rwlock.write()),
        };
        let Some(_guard) = guard else { return };
        let _inside = Inside::of(&self.writers);
        assert_eq!(
            (self.writers.get(), self.readers.get()),
            (1, 0),
            "a writer is not alone"
        );
        chance.dawdle();
    }

    fn acquire(&self, chance: &mut Chance) {
        let limit = ms(chance.below(20));
        let permits = chance.below(PERMITS as u64 + 1) as usize;
        let permit = match chance.below(4) {
            0 => self.semaphore.try_acquire_many(permits),
            1 => self.semaphore.acquire_many_timeout(permits, limit),
            2 => timeout(limit, || self.semaphore.acquire_many(permits)).ok(),
            _ => Some(self.semaphore.acquire_many(permits)),
        };
        let Some(_permit) = permit else { return };
        let _held: Vec<_> = (0..permits).map(|_| Inside::of(&self.held)).collect();
        let known = self.held.get() as usize + self.semaphore.available();
        assert!(known <= PERMITS, "there are {known} permits");
        chance.dawdle();
    }

    fn meet(&self, chance: &mut Chance) {
        let limit = ms(chance.below(20));
        if let Ok(result) = timeout(limit, || self.barrier.wait()) {
            count(match result.is_leader() {
                true => &self.leaders,
                false => &self.followers,
            });
        }
    }

    fn happen(&self, chance: &mut Chance) {
        match chance.below(5) {
            0 => self.event.set(),
            1 => self.event.clear(),
            2 => self.event.fire(),
            _ => drop(self.event.wait_timeout(ms(chance.below(20)))),
        }
    }

    fn make(&self, chance: &mut Chance) {
        let n = chance.below(self.cells.len() as u64) as usize;
        let limit = ms(chance.below(20));
        let fails = chance.below(3) == 0;
        let made = timeout(limit, || {
            let made = self.cells[n].get_or_try_init(|| {
                chance.dawdle();
                match fails {
                    true => Err(()),
                    false => Ok(count(&self.made[n])),
                }
            });
            made.copied()
        });
        if let Ok(Ok(value)) = made {
            assert_eq!((value, self.made[n].get()), (1, 1), "it was made twice");
        }
    }

    fn act(&self, chance: &mut Chance) {
        match chance.below(8) {
            0 | 1 => self.lock(chance),
            2 => self.read(chance),
            3 => self.write(chance),
            4 => self.acquire(chance),
            5 => self.meet(chance),
            6 => self.happen(chance),
            _ => self.make(chance),
        }
    }

    /// Nobody is in, everything is free, and all that was given out is back.
    fn check_at_the_end(&self) {
        let inside = [&self.owners, &self.readers, &self.writers, &self.held];
        assert!(inside.iter().all(|count| count.get() == 0));
        assert!(self.mutex.try_lock().is_some());
        assert!(self.rwlock.try_write().is_some());
        assert_eq!(self.semaphore.available(), PERMITS);
        assert!(self.semaphore.try_acquire_many(PERMITS).is_some());
        let rounds = self.leaders.get();
        assert_eq!(
            self.followers.get(),
            rounds * (PARTIES as u64 - 1),
            "{rounds} rounds"
        );
        for cell in &self.cells {
            assert!(*cell.get_or_init(|| 1) == 1);
        }
    }
}

fn run_on_virtual_time(seed: u64, main: impl FnOnce()) {
    Builder::new()
        .clock(Clock::Virtual)
        .seed(seed)
        .max_turns(10_000_000)
        .run(main)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

/// Kills one of the tasks every now and then.
fn kill_some(victims: Vec<Task>, kills: u64, mut chance: Chance) {
    for _ in 0..kills {
        sleep(ms(chance.below(10)));
        let victim = chance.below(victims.len() as u64) as usize;
        victims[victim].kill("by chance");
    }
}

#[test]
fn nothing_is_lost_and_nobody_stands_still_whoever_is_killed() {
    for seed in 0..SEEDS {
        run_on_virtual_time(seed, || {
            let (world, group) = (Rc::new(World::new()), WaitGroup::new());
            let tasks: Vec<_> = (0..TASKS)
                .map(|n| {
                    let (world, member) = (world.clone(), group.clone());
                    spawn(move || {
                        let _member = member;
                        let mut chance = Chance::new(seed * TASKS + n + 1);
                        for _ in 0..8 {
                            chance.dawdle();
                            world.act(&mut chance);
                        }
                    })
                })
                .collect();
            let victims = tasks.iter().map(|task| task.task().clone()).collect();
            let killer = spawn(move || kill_some(victims, TASKS / 3, Chance::new(seed + 1)));
            group.wait();
            killer.join().unwrap();
            let (mut killed, mut finished) = (0, 0);
            for task in tasks {
                match task.join() {
                    Ok(()) => finished += 1,
                    Err(error) if error.is_killed() => killed += 1,
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
            assert!(
                killed > 10 && finished > 100,
                "{killed} killed, {finished} finished"
            );
            world.check_at_the_end();
        });
    }
}

/// What passes through a condition variable.
#[derive(Default)]
struct Wakes {
    mutex: Mutex<()>,
    changed: Condvar,
    received: Cell<u64>,
}

impl Wakes {
    /// Waits once, for ever or for a while; tells whether it was woken.
    fn wait(&self, chance: &mut Chance) {
        let limit = ms(chance.below(100));
        let guard = self.mutex.lock();
        let woken = match chance.below(3) {
            0 => timeout(limit, || self.changed.wait(guard)).ok(),
            1 => {
                let (guard, result) = self.changed.wait_timeout(guard, limit);
                (!result.timed_out()).then_some(guard)
            }
            _ => Some(self.changed.wait(guard)),
        };
        // Nothing can unwind a task that was woken before it is here.
        if woken.is_some() {
            count(&self.received);
            chance.dawdle();
        }
    }
}

#[test]
fn a_wake_is_never_lost_with_a_waiter_that_is_killed_or_gives_up() {
    for seed in 0..SEEDS {
        run_on_virtual_time(seed, || {
            let (wakes, mut chance) = (Rc::new(Wakes::default()), Chance::new(seed + 1));
            let waiters: Vec<_> = (0..TASKS)
                .map(|n| {
                    let wakes = wakes.clone();
                    spawn(move || {
                        let mut chance = Chance::new(seed * TASKS + n + 1);
                        sleep(ms(chance.below(1000)));
                        loop {
                            wakes.wait(&mut chance);
                        }
                    })
                })
                .collect();
            let tasks: Vec<Task> = waiters.iter().map(|task| task.task().clone()).collect();
            let victims = tasks.clone();
            let killer = spawn(move || kill_some(victims, TASKS, Chance::new(seed + 2)));
            let waits = |task: &Task| task.status() == Status::Parked(What::Condvar);
            let mut sent = 0;
            for _ in 0..500 {
                sleep(ms(chance.below(4)));
                sent += u64::from(tasks.iter().any(waits));
                wakes.changed.notify_one();
            }
            killer.join().unwrap();
            let killed = waiters.iter().filter(|waiter| waiter.is_finished()).count() as u64;
            assert!((50..TASKS - 10).contains(&killed), "{killed} were killed");
            // Until all that were woken have had the lock.
            sleep(ms(60_000));
            assert_eq!(wakes.received.get(), sent, "seed {seed}");
            assert!(sent > 300, "{sent} found somebody waiting");
        });
    }
}

#[test]
fn in_turns_the_line_of_a_semaphore_is_kept_by_all_that_stay_in_it() {
    run_on_virtual_time(0, || {
        let (semaphore, drawn) = (Rc::new(Semaphore::new(0)), Rc::new(Cell::new(0)));
        let served = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..2000)
            .map(|n| {
                let (semaphore, drawn) = (semaphore.clone(), drawn.clone());
                let served = served.clone();
                spawn(move || {
                    let mut chance = Chance::new(n + 1);
                    let permits = 1 + chance.below(7) as usize;
                    let ticket = count(&drawn);
                    let permit = match chance.below(3) {
                        0 => semaphore.acquire_many_timeout(permits, ms(chance.below(3000))),
                        _ => Some(semaphore.acquire_many(permits)),
                    };
                    let Some(permit) = permit else { return };
                    let before = served.replace(ticket);
                    assert!(before < ticket, "{ticket} was overtaken by {before}");
                    permit.forget();
                })
            })
            .collect();
        let victims = tasks.iter().map(|task| task.task().clone()).collect();
        let killer = spawn(move || kill_some(victims, 500, Chance::new(7)));
        let mut chance = Chance::new(8);
        while !tasks.iter().all(|task| task.is_finished()) {
            sleep(ms(1));
            semaphore.add_permits(chance.below(5) as usize);
        }
        killer.join().unwrap();
        for task in tasks {
            task.join()
                .map_or_else(|error| assert!(error.is_killed(), "{error}"), |()| ());
        }
    });
}

#[test]
fn a_check_and_an_act_without_a_park_between_them_need_no_lock() {
    const LIMIT: usize = 3;
    run_on_virtual_time(7, || {
        let (group, full) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
        let elves: Vec<_> = (0..10)
            .map(|elf| {
                let (group, full) = (group.clone(), full.clone());
                spawn(move || {
                    for turn in 0..10_000 {
                        if group.borrow().len() < LIMIT {
                            group.borrow_mut().push(elf);
                        } else {
                            count(&full);
                        }
                        assert!(group.borrow().len() <= LIMIT);
                        yield_now();
                        if turn % 2 == 0 {
                            group.borrow_mut().retain(|other| *other != elf);
                        }
                    }
                })
            })
            .collect();
        for elf in elves {
            elf.join().unwrap();
        }
        assert!(full.get() > 1000);
    });
}
