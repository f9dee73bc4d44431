//! Several tasks read and write one connection, through handles and clones, with time-outs, kills,
//! pauses and modes by chance: what was read is what was written, byte for byte, and nobody is stuck.
mod net_support;

use maypole::net::{PairStream, Shutdown, TcpStream, unix::UnixStream};
use maypole::{Builder, JoinHandle, spawn, task, time, yield_now};
use net_support::Connection;
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

/// Bytes that each world of scale 1 sends.
const LENGTH: usize = 20_000;

/// Numbers by chance, the same for the same seed.
#[derive(Clone)]
struct Chance(Rc<Cell<u64>>);

impl Chance {
    fn below(&self, n: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) % n
    }

    fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

struct World<C> {
    /// One end, by several handles.
    here: Vec<C>,
    there: Vec<C>,
    /// What was written, in order, as far as calls have told.
    written: RefCell<Vec<u8>>,
    read: RefCell<Vec<u8>>,
    chance: Chance,
    /// How much more than usual each call moves: much fills the system's buffers.
    scale: usize,
    /// Readers that have seen the end.
    ended: Cell<usize>,
}

/// Whether the error is one that was to be expected.
fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

impl<C: Connection> World<C> {
    fn new(seed: u64, scale: usize) -> Rc<Self> {
        let (here, there) = C::connected();
        let clone = |end: &C| end.try_clone().unwrap();
        Rc::new(World {
            here: vec![clone(&here), clone(&here), here],
            there: vec![clone(&there), clone(&there), there],
            written: RefCell::default(),
            read: RefCell::default(),
            chance: Chance(Rc::new(Cell::new(seed * 0x9E37_79B9 + 1))),
            scale,
            ended: Cell::new(0),
        })
    }

    fn is_full(&self) -> bool {
        self.written.borrow().len() >= LENGTH * self.scale
    }

    /// Sets a handle up by chance.
    fn prepare(&self, stream: &C) {
        let limit = match self.chance.below(4) {
            0 => Some(Duration::from_micros(1 + self.chance.below(300))),
            _ => None,
        };
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
        stream.set_nonblocking(self.chance.one_in(5)).unwrap();
    }

    /// A turn of its own for the others, now and then.
    fn rest(&self) {
        if self.chance.one_in(3) {
            yield_now();
        }
    }

    fn write(self: &Rc<Self>, writer: u8) -> JoinHandle<()> {
        let world = self.clone();
        spawn(move || {
            while !world.is_full() {
                let stream = &world.here[world.chance.below(3) as usize];
                world.prepare(stream);
                let length = 1 + world.chance.below(400) as usize * world.scale;
                // Between the system's call and the log there is no switch.
                match stream.write_shared(&vec![writer; length]) {
                    Ok(some) => world.written.borrow_mut().extend(vec![writer; some]),
                    Err(error) => assert!(passes(error.kind()), "{error}"),
                }
                world.rest();
            }
        })
    }

    fn read(self: &Rc<Self>) -> JoinHandle<()> {
        let world = self.clone();
        spawn(move || {
            loop {
                let stream = &world.there[world.chance.below(3) as usize];
                world.prepare(stream);
                let mut buffer = vec![0; 1 + world.chance.below(600) as usize * world.scale];
                if world.chance.one_in(10) {
                    let peeked = stream.peek(&mut buffer);
                    assert!(peeked.map_or_else(|error| passes(error.kind()), |_| true));
                    continue;
                }
                match stream.read_shared(&mut buffer) {
                    Ok(0) => break,
                    Ok(some) => world.read.borrow_mut().extend(&buffer[..some]),
                    Err(error) => {
                        assert!(passes(error.kind()), "{error}");
                        // One that never parks would keep the others from their turns.
                        yield_now();
                    }
                }
                world.rest();
            }
            world.ended.set(world.ended.get() + 1);
        })
    }
}

fn world<C: Connection>(seed: u64, scale: usize) {
    let done = Builder::new().seed(seed).run(|| {
        let world = World::<C>::new(seed, scale);
        let mut writers: Vec<_> = (0..4).map(|n| world.write(n)).collect();
        let mut readers: Vec<_> = (0..4).map(|_| world.read()).collect();
        let chance = world.chance.clone();
        while !writers.iter().all(JoinHandle::is_finished) {
            // Somebody is killed, and another takes the place.
            let n = chance.below(4) as usize;
            match chance.below(6) {
                0 => {
                    writers[n].kill("by chance");
                    writers[n] = world.write(n as u8);
                }
                1 => {
                    readers[n].kill("by chance");
                    readers[n] = world.read();
                }
                2 => {
                    let paused = readers[n].task().clone();
                    paused.pause();
                    spawn(move || {
                        yield_now();
                        paused.resume();
                    });
                }
                3 => time::sleep(Duration::from_micros(50)),
                _ => {}
            }
            (0..chance.below(40)).for_each(|_| yield_now());
            task::check_killed();
        }
        world.here[0].shutdown(Shutdown::Write).unwrap();
        for task in writers.into_iter().chain(readers) {
            if let Err(error) = task.join() {
                assert!(error.is_killed(), "{error}");
            }
        }
        assert!(world.ended.get() > 0);
        let (written, read) = (world.written.take(), world.read.take());
        assert!(written.len() >= LENGTH * scale);
        assert!(
            written == read,
            "{} written, {} read",
            written.len(),
            read.len()
        );
    });
    done.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
}

fn worlds<C: Connection>(much: usize) {
    (0..12).for_each(|seed| world::<C>(seed, 1));
    (12..16).for_each(|seed| world::<C>(seed, much));
}

#[test]
fn tcp_keeps_what_it_is_given() {
    worlds::<TcpStream>(500);
}

#[test]
fn unix_keeps_what_it_is_given() {
    worlds::<UnixStream>(100);
}

#[test]
fn a_pair_keeps_what_it_is_given() {
    worlds::<PairStream>(50);
}
