//! Semaphores in a world of tasks, kills and timeouts by chance, on virtual time: no unit is lost,
//! nobody is served before one who came earlier, and when nothing moves nobody waits who could go on.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
use maypole::stm::{Stop, TSem, Transaction, atomically, retry, try_atomically};
use maypole::time::timeout;
use maypole::{Builder, Clock, JoinHandle, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

const SEMAPHORES: usize = 3;

/// Longer than anything takes that has a limit.
const LONG: Duration = Duration::from_secs(1000);

/// Numbers that are the same for the same seed.
struct Chance(Cell<u64>);

impl Chance {
    fn new(seed: u64) -> Self {
        Chance(Cell::new((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// A number below `among`, by xorshift64* (Vigna, 2016).
    fn below(&self, among: usize) -> usize {
        let mut state = self.0.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.set(state);
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % among
    }
}

/// So many units of each semaphore.
type Units = [usize; SEMAPHORES];

/// What a call waits for: the first of these that it can have.
type Wanted = Vec<Units>;

struct World {
    sems: [TSem; SEMAPHORES],
    /// What there must be.
    units: RefCell<[i64; SEMAPHORES]>,
    /// The calls that stand in line: the least has come first.
    lines: RefCell<[BTreeSet<u64>; SEMAPHORES]>,
    /// What those wait for that have retried.
    waiting: RefCell<Vec<(u64, Wanted)>>,
    calls: Cell<u64>,
    served: Cell<u64>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

/// A call under way; it is forgotten when it ends, in whatever way.
struct Call<'a> {
    name: Cell<u64>,
    world: &'a World,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        for line in &mut *self.world.lines.borrow_mut() {
            line.remove(&self.name.get());
        }
        let mut waiting = self.world.waiting.borrow_mut();
        waiting.retain(|it| it.0 != self.name.get());
    }
}

impl World {
    fn new(chance: &Chance) -> Rc<Self> {
        let units = [(); SEMAPHORES].map(|()| chance.below(5) as i64 - 1);
        Rc::new(World {
            sems: units.map(TSem::new),
            units: RefCell::new(units),
            lines: RefCell::default(),
            waiting: RefCell::default(),
            calls: Cell::default(),
            served: Cell::default(),
            tasks: RefCell::default(),
        })
    }

    fn signal(&self, at: usize, count: u64) {
        atomically(|tx| Ok(self.sems[at].signal_n(tx, count)));
        self.units.borrow_mut()[at] += count as i64;
    }

    /// Takes the first that it can have of what is wanted; `None` if it aborts instead of waiting.
    fn take(&self, wanted: &Wanted, waits: bool) -> Option<Units> {
        let call = Call {
            name: Cell::new(0),
            world: self,
        };
        let lacks = Cell::new([false; SEMAPHORES]);
        let taken = try_atomically(|tx| {
            if call.name.get() == 0 {
                // It comes with its first run: before, others may have their turns.
                self.calls.set(self.calls.get() + 1);
                call.name.set(self.calls.get());
            }
            lacks.take();
            let taken = self.first_of(tx, wanted, &lacks);
            match taken {
                Err(Stop::Retry) if !waits => return Err(Stop::Abort(())),
                Err(Stop::Retry) => self.stands(&call, &lacks, wanted),
                _ => {}
            }
            taken
        });
        let taken = taken.ok()?;
        // Still in the turn of the commit.
        for at in (0..SEMAPHORES).filter(|at| taken[*at] > 0) {
            let lines = self.lines.borrow();
            let name = call.name.get();
            let is_first = lines[at].first().is_none_or(|first| *first >= name);
            assert!(is_first, "not the turn of {name}: {:?}", lines[at]);
            self.units.borrow_mut()[at] -= taken[at] as i64;
        }
        self.served.set(self.served.get() + 1);
        Some(taken)
    }

    fn first_of(
        &self,
        tx: &Transaction,
        wanted: &[Units],
        lacks: &Cell<[bool; SEMAPHORES]>,
    ) -> Result<Units, Stop<()>> {
        let Some((first, others)) = wanted.split_first() else {
            return retry();
        };
        let all_of = |tx: &Transaction| {
            for at in 0..SEMAPHORES {
                for _ in 0..first[at] {
                    self.sems[at].wait(tx).inspect_err(|_| {
                        let mut all = lacks.get();
                        all[at] = true;
                        lacks.set(all);
                    })?;
                }
            }
            Ok(*first)
        };
        match others {
            [] => all_of(tx),
            _ => tx.or_else(all_of, |tx| self.first_of(tx, others, lacks)),
        }
    }

    /// The call stands in the lines of what it lacked, and in no other.
    fn stands(&self, call: &Call, lacks: &Cell<[bool; SEMAPHORES]>, wanted: &Wanted) {
        for (line, lacks) in self.lines.borrow_mut().iter_mut().zip(lacks.get()) {
            match lacks {
                true => line.insert(call.name.get()),
                false => line.remove(&call.name.get()),
            };
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.iter().all(|it| it.0 != call.name.get()) {
            waiting.push((call.name.get(), wanted.clone()));
        }
    }

    /// Nobody waits who could go on, and every unit is accounted for.
    fn is_at_rest(&self) {
        let units = *self.units.borrow();
        let counted = [0, 1, 2].map(|at| atomically(|tx| Ok(self.sems[at].units(tx))));
        assert_eq!(counted, units);
        let lines = self.lines.borrow();
        for (name, wanted) in &*self.waiting.borrow() {
            let has = |at: usize, count: usize| {
                let is_first = lines[at].first().is_none_or(|first| first >= name);
                count == 0 || (is_first && units[at] >= count as i64)
            };
            let could = wanted
                .iter()
                .any(|it| (0..SEMAPHORES).all(|at| has(at, it[at])));
            assert!(!could, "{name} wants {wanted:?} of {units:?}: {lines:?}");
        }
    }
}

/// A task that does so many things by chance.
fn start(world: &Rc<World>, seed: u64, acts: usize) {
    let theirs = world.clone();
    let task = spawn(move || {
        let (world, chance) = (theirs, Chance::new(seed));
        for _ in 0..acts {
            act(&world, &chance);
        }
    });
    world.tasks.borrow_mut().push(task);
}

fn wanted(chance: &Chance) -> Wanted {
    let units = || {
        let mut units = [0; SEMAPHORES];
        for _ in 0..1 + chance.below(2) {
            units[chance.below(SEMAPHORES)] += 1;
        }
        units
    };
    (0..1 + chance.below(2)).map(|_| units()).collect()
}

fn act(world: &World, chance: &Chance) {
    let moment = || Duration::from_millis(chance.below(4) as u64);
    match chance.below(12) {
        0..=4 => {
            if let Some(taken) = world.take(&wanted(chance), true) {
                give_back(world, chance, taken);
            }
        }
        5 | 6 => {
            let wanted = wanted(chance);
            if let Ok(Some(taken)) = timeout(moment(), || world.take(&wanted, true)) {
                give_back(world, chance, taken);
            }
        }
        7 => {
            if let Some(taken) = world.take(&wanted(chance), false) {
                give_back(world, chance, taken);
            }
        }
        8 => world.signal(chance.below(SEMAPHORES), chance.below(3) as u64),
        9 => yield_now(),
        10 => sleep(moment()),
        _ => {
            let tasks = world.tasks.borrow();
            tasks[chance.below(tasks.len())].kill("by chance");
        }
    }
}

/// Gives most of it back, now or later.
fn give_back(world: &World, chance: &Chance, taken: Units) {
    if chance.below(2) == 0 {
        yield_now();
    }
    for (at, count) in taken.into_iter().enumerate() {
        if count > 0 && chance.below(8) > 0 {
            world.signal(at, count as u64);
        }
    }
}

fn life(seed: u64) {
    let chance = Chance::new(seed);
    let world = World::new(&chance);
    for round in 0..4 {
        for number in 0..1 + chance.below(6) as u64 {
            start(
                &world,
                seed * 100 + round * 10 + number,
                1 + chance.below(8),
            );
        }
        sleep(LONG);
        world.is_at_rest();
        for at in 0..SEMAPHORES {
            world.signal(at, chance.below(3) as u64);
        }
        sleep(LONG);
        world.is_at_rest();
    }
    // Whoever is left gets whatever it needs.
    for _ in 0..1000 {
        if world.tasks.borrow().iter().all(JoinHandle::is_finished) {
            break;
        }
        (0..SEMAPHORES).for_each(|at| world.signal(at, 10));
        sleep(LONG);
        world.is_at_rest();
    }
    for task in world.tasks.take() {
        match task.join() {
            Err(error) if !error.is_killed() => panic!("{error}"),
            _ => {}
        }
    }
    assert!(world.waiting.borrow().is_empty());
    println!("{} calls, {} served", world.calls.get(), world.served.get());
}

#[track_caller]
fn lives(seeds: std::ops::Range<u64>, order: impl Fn(u64) -> u64) {
    for seed in seeds {
        let world = Builder::new()
            .clock(Clock::Virtual)
            .seed(order(seed))
            .max_turns(1_000_000);
        let ended = world.run(|| life(seed));
        ended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn worlds_that_keep_the_order_of_their_tasks() {
    lives(0..300, |_| 0);
}

#[test]
fn worlds_in_which_the_order_of_turns_is_by_chance() {
    lives(300..600, |seed| seed);
}
