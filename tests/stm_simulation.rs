//! Tasks that move coins about by chance, are killed, run out of time and select: no coin is lost,
//! and nobody goes on waiting for what is there.
mod steps;

use maypole::channel::{Receiver, Sender, bounded, select};
use maypole::stm::{Stop, TVar, Transaction, atomically, check, delay, retry};
use maypole::time::timeout;
use maypole::{Builder, Clock, JoinHandle, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// Numbers by chance, the same for the same seed.
#[derive(Clone)]
struct Chance(Rc<Cell<u64>>);

impl Chance {
    fn below(&self, n: usize) -> usize {
        let state = self.0.get();
        let next = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0.set(next);
        (next >> 33) as usize % n
    }

    fn of(&self, range: Range<usize>) -> usize {
        range.start + self.below(range.end - range.start)
    }
}

/// What lies in a place: some of it gives way when it is dropped.
struct Coin {
    gives_way: bool,
    world: Rc<Counts>,
}

#[derive(Default)]
struct Counts {
    alive: Cell<i64>,
    is_over: Cell<bool>,
    /// Destructors that have given way and are not through.
    busy: Cell<u32>,
    moves: Cell<u32>,
    late: Cell<u32>,
    kills: Cell<u32>,
    selected: RefCell<[u32; 4]>,
}

impl Coin {
    fn new(gives_way: bool, world: &Rc<Counts>) -> Self {
        world.alive.set(world.alive.get() + 1);
        let world = world.clone();
        Coin { gives_way, world }
    }
}

impl Drop for Coin {
    fn drop(&mut self) {
        let counts = &self.world;
        counts.alive.set(counts.alive.get() - 1);
        if self.gives_way && !counts.is_over.get() {
            counts.busy.set(counts.busy.get() + 1);
            let _through = steps::OnDrop(|| counts.busy.set(counts.busy.get() - 1));
            yield_now();
        }
    }
}

type Place = TVar<Option<Coin>>;

#[derive(Clone)]
struct World {
    places: Rc<Vec<Place>>,
    counts: Rc<Counts>,
    chance: Chance,
    /// No two deadlines are the same, so whoever runs out of time is the first to run.
    moments: Rc<Cell<u64>>,
    channel: (Sender<u8>, Receiver<u8>),
}

const PLACES: usize = 6;
const COINS: usize = 3;

impl World {
    fn new(seed: u64) -> Self {
        let counts = Rc::new(Counts::default());
        let coin = |n| (n < COINS).then(|| Coin::new(false, &counts));
        World {
            places: Rc::new((0..PLACES).map(|n| TVar::new(coin(n))).collect()),
            chance: Chance(Rc::new(Cell::new(seed))),
            moments: Rc::default(),
            channel: bounded(1),
            counts,
        }
    }

    /// One from one place of these to another: the first that has one, the first that has none.
    fn move_one(&self, tx: &Transaction, from: &[usize], to: &[usize]) -> Result<(), Stop> {
        let gives_way = self.chance.below(3) == 0;
        self.take(tx, from)?;
        self.put(tx, to, gives_way)
    }

    fn take(&self, tx: &Transaction, from: &[usize]) -> Result<(), Stop> {
        let [first, rest @ ..] = from else {
            return retry();
        };
        tx.or_else(
            |tx| {
                let place = &self.places[*first];
                check(place.with(tx, Option::is_some))?;
                place.write(tx, None);
                Ok(())
            },
            |tx| self.take(tx, rest),
        )
    }

    fn put(&self, tx: &Transaction, to: &[usize], gives_way: bool) -> Result<(), Stop> {
        let [first, rest @ ..] = to else {
            return retry();
        };
        tx.or_else(
            |tx| {
                let place = &self.places[*first];
                // Written before it is known whether it may be.
                let was_empty = place.with(tx, Option::is_none);
                place.write(tx, Some(Coin::new(gives_way, &self.counts)));
                check(was_empty)
            },
            |tx| self.put(tx, rest, gives_way),
        )
    }

    fn some_places(&self) -> Vec<usize> {
        let count = self.chance.of(1..3);
        (0..count).map(|_| self.chance.below(PLACES)).collect()
    }

    fn patience(&self) -> Duration {
        let moment = self.moments.get() + 1;
        self.moments.set(moment);
        Duration::from_micros(100 * self.chance.of(1..20) as u64) + Duration::from_nanos(moment)
    }

    /// Fails if the move could have been made: somebody's write has woken nobody.
    fn ran_out_of_time(&self, from: &[usize], to: &[usize]) {
        self.counts.late.set(self.counts.late.get() + 1);
        if self.counts.busy.get() > 0 {
            // It was busy with a destructor.
            return;
        }
        let could = atomically(|tx| {
            tx.or_else(
                |tx| {
                    self.take(tx, from)?;
                    self.put(tx, to, false)?;
                    Ok(true)
                },
                |_| Ok(false),
            )
        });
        assert!(!could, "nobody told it that it could go on");
    }

    fn act(&self) {
        let (from, to) = (self.some_places(), self.some_places());
        let moved = || self.counts.moves.set(self.counts.moves.get() + 1);
        match self.chance.below(6) {
            0 => yield_now(),
            1 => sleep(Duration::from_micros(self.chance.of(1..50) as u64)),
            2 => self.select(&from, &to),
            3 => {
                let late = delay(self.patience());
                let was_moved = atomically(|tx| {
                    tx.or_else(
                        |tx| self.move_one(tx, &from, &to).map(|()| true),
                        |tx| check(late.read(tx)).map(|()| false),
                    )
                });
                match was_moved {
                    true => moved(),
                    false => self.ran_out_of_time(&from, &to),
                }
            }
            _ => {
                let wait = || atomically(|tx| self.move_one(tx, &from, &to));
                match timeout(self.patience(), wait) {
                    Ok(()) => moved(),
                    Err(_) => self.ran_out_of_time(&from, &to),
                }
            }
        }
    }

    fn select(&self, from: &[usize], to: &[usize]) {
        let (sender, receiver) = &self.channel;
        let patience = self.patience();
        let case = select! {
            atomically(|tx| self.move_one(tx, from, to)) -> () => 0,
            atomically(|tx| self.move_one(tx, to, from)) -> () => 1,
            recv(receiver) -> _ => 2,
            default(patience) => 3,
        };
        self.counts.selected.borrow_mut()[case] += 1;
        if case == 3 {
            self.ran_out_of_time(from, to);
            self.ran_out_of_time(to, from);
        } else if self.chance.below(3) == 0 {
            _ = sender.try_send(1);
        }
    }

    fn coins(&self) -> usize {
        let full = |tx: &Transaction| {
            let full = self.places.iter().filter(|it| it.with(tx, Option::is_some));
            full.count()
        };
        atomically(|tx| Ok(full(tx)))
    }
}

fn begin(world: &World) -> JoinHandle<()> {
    let world = world.clone();
    spawn(move || {
        for _ in 0..60 {
            world.act();
            assert_eq!(world.coins(), COINS);
        }
    })
}

fn simulate(seed: u64) -> World {
    // Who runs again and again in vain would do so for ever.
    let builder = Builder::new().clock(Clock::Virtual).max_turns(100_000);
    let outcome = builder.run(|| {
        let world = World::new(seed);
        let mut tasks: Vec<_> = (0..5).map(|_| begin(&world)).collect();
        for _ in 0..20 {
            sleep(Duration::from_micros(world.chance.of(1..700) as u64));
            assert_eq!(world.coins(), COINS);
            let victim = tasks.swap_remove(world.chance.below(tasks.len()));
            victim.kill("by chance");
            if let Err(error) = victim.join() {
                assert!(error.is_killed(), "{error}");
                world.counts.kills.set(world.counts.kills.get() + 1);
            }
            tasks.push(begin(&world));
        }
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(world.coins(), COINS);
        world.counts.is_over.set(true);
        world
    });
    outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

#[test]
fn no_coin_is_lost_and_nobody_waits_for_what_is_there() {
    let mut sums = [0; 7];
    for seed in 0..60 {
        let World { places, counts, .. } = simulate(seed);
        // Every value that was written and replaced, or written in vain, is gone.
        assert_eq!(counts.alive.get(), COINS as i64, "seed {seed}");
        drop(places);
        assert_eq!(counts.alive.get(), 0, "seed {seed}");
        let selected = *counts.selected.borrow();
        let seen = [counts.moves.get(), counts.late.get(), counts.kills.get()];
        for (sum, count) in sums.iter_mut().zip(seen.into_iter().chain(selected)) {
            *sum += count;
        }
    }
    // All of it happened, and not by accident alone.
    assert!(sums.iter().all(|sum| *sum > 100), "{sums:?}");
}
