//! Programs for the simulator. Each watches over its own invariants while it runs, and is checked
//! when it has ended.
use super::primitives::{Channel, Semaphore, recv_either};
use super::simulator::Trace;
use super::world::{Dropped, World, end_meddler, start_meddler};
use crate::task::{self, JoinError, Task};
use crate::time::timeout;
use crate::{scope, sleep, spawn, spawn_now, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

pub(super) struct Program {
    pub(super) main: Box<dyn FnOnce()>,
    pub(super) check: Box<dyn FnOnce(&Trace)>,
}

// ── exchange ─────────────────────────────────────────────────────────────────────────────────

/// Main, the meddler and two drains come first.
pub(super) const EXCHANGE_VICTIMS: u64 = 5;

struct Message {
    sender: usize,
    number: usize,
    _dropped: Dropped,
}

type Name = (usize, usize);

struct Exchange {
    world: Rc<World>,
    channels: [Channel<Message>; 2],
    sent: RefCell<Vec<Name>>,
    received: RefCell<Vec<Name>>,
}

impl Exchange {
    fn send_all(&self, sender: usize, messages: usize) {
        for number in 0..messages {
            let message = Message {
                sender,
                number,
                _dropped: Dropped::new(&self.world),
            };
            match self.channels[sender % 2].send(message, self.world.deadline()) {
                Ok(()) => self.sent.borrow_mut().push((sender, number)),
                Err(message) => assert_eq!((message.sender, message.number), (sender, number)),
            }
            self.world.dawdle();
        }
    }

    /// What one receiver gets of one sender comes in the order of sending.
    fn receive(&self, message: Message, latest: &mut [Option<usize>]) {
        let Message { sender, number, .. } = message;
        assert!(
            latest[sender] < Some(number),
            "sender {sender}: {number} came late"
        );
        latest[sender] = Some(number);
        self.received.borrow_mut().push((sender, number));
    }

    fn receive_some(&self, receiver: usize, senders: usize) {
        let mut latest = vec![None; senders];
        for _ in 0..4 {
            let deadline = self.world.deadline();
            let [first, second] = &self.channels;
            let message = match receiver % 3 {
                0 => first.recv(deadline),
                1 => second.recv(deadline),
                _ => recv_either([first, second], deadline).map(|(_, message)| message),
            };
            message
                .into_iter()
                .for_each(|message| self.receive(message, &mut latest));
            self.world.dawdle();
        }
    }

    fn drain(&self, channel: usize, senders: usize) {
        let mut latest = vec![None; senders];
        loop {
            let message = self.channels[channel].recv(None);
            self.receive(message.expect("no deadline"), &mut latest);
        }
    }
}

/// Senders and receivers on two channels, with deadlines; what is left over goes to the drains.
pub(super) fn exchange(seed: u64, capacity: usize, messages: usize) -> Program {
    let world = World::new(seed);
    let exchange = Rc::new(Exchange {
        world: world.clone(),
        channels: [0, 1].map(|_| Channel::new(capacity)),
        sent: RefCell::default(),
        received: RefCell::default(),
    });
    let (ours, theirs) = (exchange.clone(), exchange);
    let senders = 2 + messages / 2;
    let main = move || {
        let drains = [0, 1].map(|channel| {
            let exchange = ours.clone();
            spawn(move || exchange.drain(channel, senders))
        });
        let meddler = start_meddler(&world, seed);
        let mut handles = Vec::new();
        for nth in 0..senders {
            let exchange = ours.clone();
            handles.push(world.spawn(move |_| exchange.send_all(nth, messages)));
            let exchange = ours.clone();
            handles.push(world.spawn(move |_| exchange.receive_some(nth, senders)));
        }
        // A receiver without a deadline has nobody to wait for when the senders are gone.
        let receivers = handles.iter().skip(1).step_by(2);
        let receivers: Vec<Task> = receivers.map(|handle| handle.task().clone()).collect();
        for (nth, handle) in handles.into_iter().enumerate() {
            if nth % 2 == 1 {
                receivers[nth / 2].kill("the end");
            }
            world.join(handle);
        }
        end_meddler(&world, meddler);
        for drain in drains {
            drain.kill("the end");
            assert!(
                drain
                    .join()
                    .is_err_and(|error: JoinError| error.is_killed())
            );
        }
        for channel in &ours.channels {
            while let Some(message) = channel.try_recv() {
                ours.received
                    .borrow_mut()
                    .push((message.sender, message.number));
            }
            assert!(channel.is_clean(), "somebody is left in a channel");
        }
    };
    let check = move |trace: &Trace| {
        let (mut sent, mut received) = (theirs.sent.take(), theirs.received.take());
        sent.sort_unstable();
        received.sort_unstable();
        assert_eq!(sent, received, "what was sent is not what was received");
        theirs.world.check(trace);
    };
    Program {
        main: Box::new(main),
        check: Box::new(check),
    }
}

// ── permits ──────────────────────────────────────────────────────────────────────────────────

pub(super) const PERMIT_VICTIMS: u64 = 3;

/// A destructor that waits for a permit, also while its task unwinds.
struct Farewell<'a>(&'a Semaphore);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        let permit = self.0.acquire(None).expect("no deadline");
        yield_now();
        drop(permit);
    }
}

/// Tasks that take one of two permits, then a mutex, with and without deadlines.
pub(super) fn permits(seed: u64, tasks: usize) -> Program {
    let world = World::new(seed);
    let (seats, mutex) = (Rc::new(Semaphore::new(2)), Rc::new(Semaphore::new(1)));
    let inside = Rc::new(Cell::new(0));
    let (left_seats, left_mutex, theirs) = (seats.clone(), mutex.clone(), world.clone());
    let work = move |world: &World, farewell: bool| {
        for _ in 0..3 {
            let Some(_seat) = seats.acquire(world.deadline()) else {
                continue;
            };
            let _farewell = farewell.then(|| Farewell(&mutex));
            world.dawdle();
            if !farewell && let Some(_lock) = mutex.acquire(world.deadline()) {
                assert_eq!(inside.replace(1), 0, "two tasks hold the mutex");
                let inside = Leave(&inside);
                world.dawdle();
                drop(inside);
            }
            world.dawdle();
        }
    };
    let main = move || {
        let meddler = start_meddler(&world, seed);
        let work = Rc::new(work);
        let handles: Vec<_> = (0..tasks)
            .map(|nth| {
                let work = work.clone();
                world.spawn(move |world| work(world, nth % 3 == 2))
            })
            .collect();
        for handle in handles {
            world.join(handle);
        }
        end_meddler(&world, meddler);
    };
    let check = move |trace: &Trace| {
        assert_eq!(
            (left_seats.permits(), left_mutex.permits()),
            (2, 1),
            "a permit is lost"
        );
        theirs.check(trace);
    };
    Program {
        main: Box::new(main),
        check: Box::new(check),
    }
}

struct Leave<'a>(&'a Cell<usize>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

// ── scopes ───────────────────────────────────────────────────────────────────────────────────

pub(super) const SCOPE_VICTIMS: u64 = 3;

/// Counts the children of one scope that live.
struct Living<'a>(&'a Cell<usize>);

impl<'a> Living<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Living(count)
    }
}

impl Drop for Living<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A payload that is no panic of the program's own.
struct Planned;

/// Steps that must be taken together.
#[derive(Default)]
struct Shielded {
    entered: Cell<usize>,
    left: Cell<usize>,
}

fn step(world: &World, shielded: &Shielded) {
    match world.random.below(8) {
        0 => task::shield(|| {
            shielded.entered.set(shielded.entered.get() + 1);
            world.dawdle();
            sleep(world.soon());
            shielded.left.set(shielded.left.get() + 1);
        }),
        1 => {
            let (limit, nap) = (world.soon(), world.soon());
            let start = crate::time::now();
            let slept = timeout(limit, || sleep(nap));
            let took = crate::time::now() - start;
            assert!(slept.is_err() || took >= nap, "it slept too short");
            assert!(slept.is_ok() || took >= limit, "the timeout came early");
        }
        2 => {
            let outer = timeout(world.soon(), || {
                let inner = timeout(world.soon(), || sleep(world.soon()));
                // Shielded from the outer timeout; one entered inside still reaches it.
                task::shield(|| {
                    shielded.entered.set(shielded.entered.get() + 1);
                    _ = timeout(world.soon(), || sleep(world.soon()));
                    shielded.left.set(shielded.left.get() + 1);
                });
                inner
            });
            _ = outer;
        }
        3 => {
            let handle = spawn(yield_now);
            handle.kill("too much");
            assert!(handle.join().is_err_and(|error| error.is_killed()));
        }
        4 => {
            let handle = spawn_now(yield_now);
            _ = handle.join();
        }
        _ => world.dawdle(),
    }
}

fn node(world: &Rc<World>, shielded: &Shielded, living: &Cell<usize>, depth: usize) {
    let (_living, _dropped) = (Living::new(living), Dropped::new(world));
    world.tasks.borrow_mut().push(task::current());
    step(world, shielded);
    if depth > 0 {
        let children = Cell::new(0);
        let planned = catch_unwind(AssertUnwindSafe(|| {
            let _empty = Empty(&children);
            scope(|s| {
                let first = s.spawn(|| node(world, shielded, &children, depth - 1));
                s.spawn_now(|| {
                    let _living = Living::new(&children);
                    step(world, shielded);
                    if world.random.one_in(4) {
                        resume_unwind(Box::new(Planned));
                    }
                });
                step(world, shielded);
                if world.random.one_in(2) {
                    _ = first.join();
                }
            })
        }));
        if let Err(payload) = planned
            && !payload.is::<Planned>()
        {
            resume_unwind(payload);
        }
    }
    step(world, shielded);
}

/// Sees, on every path out of a scope, that its children are gone.
struct Empty<'a>(&'a Cell<usize>);

impl Drop for Empty<'_> {
    fn drop(&mut self) {
        assert_eq!(
            self.0.get(),
            0,
            "a scope was left before its tasks were gone"
        );
    }
}

/// A tree of scopes whose tasks sleep, time out, shield, spawn, and fail now and then.
pub(super) fn scopes(seed: u64, depth: usize) -> Program {
    let world = World::new(seed);
    let shielded = Rc::new(Shielded::default());
    let (theirs, steps) = (world.clone(), shielded.clone());
    let main = move || {
        let meddler = start_meddler(&world, seed);
        let handles: Vec<_> = (0..2)
            .map(|_| {
                let shielded = shielded.clone();
                world.spawn(move |world| node(world, &shielded, &Cell::new(0), depth))
            })
            .collect();
        for handle in handles {
            world.join(handle);
        }
        end_meddler(&world, meddler);
    };
    let check = move |trace: &Trace| {
        assert_eq!(steps.entered, steps.left, "a shield was broken");
        theirs.check(trace);
    };
    Program {
        main: Box::new(main),
        check: Box::new(check),
    }
}

// ── unparks ──────────────────────────────────────────────────────────────────────────────────

pub(super) const UNPARK_VICTIMS: u64 = 4;

/// One task counts and unparks another, which parks until the count is full.
pub(super) fn unparks(seed: u64) -> Program {
    const ROUNDS: usize = 6;
    let world = World::new(seed);
    let theirs = world.clone();
    let main = move || {
        let meddler = start_meddler(&world, seed);
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        let waiter = spawn(move || {
            while counted.get() < ROUNDS {
                task::park();
            }
        });
        let waiting = waiter.task().clone();
        let counter = world.spawn(move |world| {
            for _ in 0..ROUNDS {
                world.dawdle();
                task::park_timeout(world.soon());
                count.set(count.get() + 1);
                waiting.unpark();
            }
        });
        let bystander = counter.task().clone();
        let noise = world.spawn(move |world| {
            for _ in 0..ROUNDS {
                world.dawdle();
                bystander.unpark();
            }
        });
        if !world.join(counter) {
            waiter.kill("nobody counts any more");
        }
        world.join(waiter);
        world.join(noise);
        end_meddler(&world, meddler);
    };
    Program {
        main: Box::new(main),
        check: Box::new(move |trace| theirs.check(trace)),
    }
}
