//! What the tasks of a simulated program share: chance, a meddler, and values that are counted.
use super::random::Random;
use super::simulator::Trace;
use crate::scheduler::with_kernel;
use crate::task::{JoinHandle, Task};
use crate::{sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What the tasks of a program share.
pub(super) struct World {
    pub(super) random: Random,
    /// Whom the meddler pauses and unparks.
    pub(super) tasks: RefCell<Vec<Task>>,
    done: Cell<bool>,
    /// Serial numbers of joined tasks, and whether they ended well.
    joined: RefCell<Vec<(u64, bool)>>,
    made: Cell<usize>,
    dropped: RefCell<Vec<u32>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Rc<World> {
        Rc::new(World {
            random: Random::new(seed + 1_000_000),
            tasks: RefCell::default(),
            done: Cell::new(false),
            joined: RefCell::default(),
            made: Cell::new(0),
            dropped: RefCell::default(),
        })
    }

    pub(super) fn spawn(
        self: &Rc<Self>,
        body: impl FnOnce(&Rc<World>) + 'static,
    ) -> JoinHandle<()> {
        let world = self.clone();
        let captured = Dropped::new(self);
        let handle = spawn(move || {
            let _captured = captured;
            body(&world);
        });
        self.tasks.borrow_mut().push(handle.task().clone());
        handle
    }

    pub(super) fn join(&self, handle: JoinHandle<()>) -> bool {
        let serial = handle.task().id().serial;
        let result = handle.join();
        self.joined.borrow_mut().push((serial, result.is_ok()));
        if let Err(error) = &result {
            assert!(error.is_killed(), "{error}");
        }
        result.is_ok()
    }

    pub(super) fn soon(&self) -> Duration {
        Duration::from_nanos(self.random.below(6) as u64)
    }

    /// None, or a deadline that may be past already.
    pub(super) fn deadline(&self) -> Option<u64> {
        let soon = self.random.below(6) as u64;
        (!self.random.one_in(3)).then(|| with_kernel(|kernel| kernel.clock.now()) + soon)
    }

    /// Whatever gives others a turn.
    pub(super) fn dawdle(&self) {
        match self.random.below(4) {
            0 => yield_now(),
            1 => sleep(self.soon()),
            _ => {}
        }
    }

    /// Pauses, resumes, unparks, and lets time pass although tasks are ready.
    fn meddle(&self) {
        while !self.done.get() {
            let nth = self.random.below(self.tasks.borrow().len().max(1));
            let task = self.tasks.borrow().get(nth).cloned();
            match (self.random.below(6), task) {
                (0, Some(task)) => task.pause(),
                (1 | 2, Some(task)) => task.resume(),
                (3, _) => {}
                _ => self.pass_time(),
            }
            yield_now();
        }
        self.tasks.borrow().iter().for_each(Task::resume);
    }

    fn pass_time(&self) {
        let by = self.random.below(4) as u64;
        with_kernel(|kernel| {
            let now = kernel.clock.now() + by;
            kernel.clock.jump_to(now);
            kernel.expire();
        });
    }

    /// Every captured value was dropped, and once; a killed task is no success and no other fails.
    pub(super) fn check(&self, trace: &Trace) {
        let dropped = self.dropped.borrow();
        assert_eq!(dropped.len(), self.made.get(), "values that were made");
        let wrong: Vec<usize> = (0..dropped.len()).filter(|n| dropped[*n] != 1).collect();
        assert!(wrong.is_empty(), "values not dropped once: {wrong:?}");
        for (serial, ended_well) in self.joined.borrow().iter() {
            assert_ne!(
                trace.tasks[serial].killed, *ended_well,
                "the end of task {serial}"
            );
        }
    }
}

/// A value that tells when it is dropped.
pub(super) struct Dropped {
    world: Rc<World>,
    number: usize,
}

impl Dropped {
    pub(super) fn new(world: &Rc<World>) -> Self {
        let number = world.made.get();
        world.made.set(number + 1);
        world.dropped.borrow_mut().push(0);
        Dropped {
            world: world.clone(),
            number,
        }
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.world.dropped.borrow_mut()[self.number] += 1;
    }
}

/// In half of the orders somebody meddles; in the others time moves only when nobody is ready.
/// One task is spawned either way, so that the next have the same serial numbers.
pub(super) fn start_meddler(world: &Rc<World>, seed: u64) -> JoinHandle<()> {
    let world = world.clone();
    let meddles = seed % 2 == 1;
    spawn(move || {
        if meddles {
            world.meddle();
        }
    })
}

pub(super) fn end_meddler(world: &World, meddler: JoinHandle<()>) {
    world.done.set(true);
    meddler.join().expect("nobody kills it");
}
