//! maypole, in three variants: as it comes, with coarse timers, and spawning child first.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use maypole::JoinHandle;
use maypole::channel::{self, Receiver, Sender, select};
use maypole::explore::{Explorer, Switches};
use maypole::net::{TcpListener, TcpStream};
use maypole::stm::{TBQueue, TQueue, TVar, atomically, check};
use maypole::sync::{Mutex, MutexGuard};

use super::echo_once;
use crate::peer::{
    Blocking, BlockingChannel, BlockingLock, BlockingNet, BlockingOffload, BlockingSelect,
    BlockingStm, BlockingStmQueue, Explored,
};

/// maypole as it comes.
pub struct Maypole;

/// With tokio's slack: timers may be a millisecond late, so that many fire in one go.
pub struct MaypoleCoarse;

/// With `spawn_now` for `spawn`: the child runs at once, until it first parks.
pub struct MaypoleChildFirst;

impl Blocking for Maypole {
    const NAME: &'static str = "maypole";

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        maypole::run(main)
    }

    #[inline(always)]
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        maypole::spawn(task)
    }

    #[inline(always)]
    fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.join().expect("no task of a workload fails")
    }

    #[inline(always)]
    fn yield_now() {
        maypole::yield_now();
    }

    fn park() {
        maypole::task::park();
    }

    #[inline(always)]
    fn sleep(duration: Duration) {
        maypole::time::sleep(duration);
    }

    #[inline(always)]
    fn yield_within(limit: Duration) {
        maypole::time::timeout(limit, maypole::yield_now)
            .expect("a yield is done long before its timeout");
    }
}

macro_rules! as_maypole {
    () => {
        type Handle<T: Send + 'static> = JoinHandle<T>;

        #[inline(always)]
        fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
            Maypole::join(handle)
        }

        #[inline(always)]
        fn yield_now() {
            Maypole::yield_now();
        }

        fn park() {
            Maypole::park();
        }

        #[inline(always)]
        fn sleep(duration: Duration) {
            Maypole::sleep(duration);
        }

        #[inline(always)]
        fn yield_within(limit: Duration) {
            Maypole::yield_within(limit);
        }
    };
}

impl Blocking for MaypoleCoarse {
    const NAME: &'static str = "maypole_slack_1ms";

    as_maypole!();

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        maypole::Builder::new()
            .timer_slack(Duration::from_millis(1))
            .run(main)
            .expect("no workload deadlocks")
    }

    #[inline(always)]
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Maypole::spawn(task)
    }
}

impl Blocking for MaypoleChildFirst {
    const NAME: &'static str = "spawn_now";

    as_maypole!();

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        Maypole::run(main)
    }

    #[inline(always)]
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        maypole::spawn_now(task)
    }
}

/// Channel ends, locks and variables as values that can be sent, which the other peers' are.
#[derive(Clone)]
pub struct Local<T>(T);

// SAFETY: a workload hands its values to maypole's own tasks alone, and these all run on the OS thread that
// called `run` or `check`. No workload lets one out of there.
unsafe impl<T> Send for Local<T> {}

/// maypole's channels.
pub struct Channel<Tasks = Maypole>(PhantomData<Tasks>);

/// The same between tasks that are spawned child first.
pub type ChannelChildFirst = Channel<MaypoleChildFirst>;

impl<Tasks: Blocking> BlockingChannel for Channel<Tasks> {
    const NAME: &'static str = Tasks::NAME;

    type Tasks = Tasks;
    type Sender = Local<Sender<u64>>;
    type Receiver = Local<Receiver<u64>>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        let (sender, receiver) = capacity.map_or_else(channel::unbounded, channel::bounded);
        (Local(sender), Local(receiver))
    }

    #[inline(always)]
    fn send(sender: &Self::Sender, message: u64) {
        sender.0.send(message).expect("the receiver is there");
    }

    #[inline(always)]
    fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.0.recv().expect("a sender is there")
    }
}

impl BlockingSelect for Channel {
    #[inline(always)]
    fn select(receivers: &mut [Self::Receiver]) -> u64 {
        let message = match receivers {
            [Local(a), Local(b)] => select! {
                recv(a) -> message => message,
                recv(b) -> message => message,
            },
            [
                Local(a),
                Local(b),
                Local(c),
                Local(d),
                Local(e),
                Local(f),
                Local(g),
                Local(h),
            ] => select! {
                recv(a) -> message => message,
                recv(b) -> message => message,
                recv(c) -> message => message,
                recv(d) -> message => message,
                recv(e) -> message => message,
                recv(f) -> message => message,
                recv(g) -> message => message,
                recv(h) -> message => message,
            },
            _ => unreachable!("the groups select over 2 and 8 channels"),
        };
        message.expect("a sender is there")
    }
}

pub struct Lock;

impl BlockingLock for Lock {
    const NAME: &'static str = Maypole::NAME;

    type Tasks = Maypole;
    type Lock = Local<Rc<Mutex<u64>>>;
    type Guard<'a> = MutexGuard<'a, u64>;

    fn new(value: u64) -> Self::Lock {
        Local(Rc::new(Mutex::new(value)))
    }

    #[inline(always)]
    fn lock(lock: &Self::Lock) -> Self::Guard<'_> {
        lock.0.lock()
    }
}

pub struct Net;

impl BlockingNet for Net {
    const NAME: &'static str = Maypole::NAME;

    type Tasks = Maypole;
    type Listener = TcpListener;
    type Connection = Local<TcpStream>;

    fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    fn accept(listener: &TcpListener) -> io::Result<Local<TcpStream>> {
        Ok(Local(listener.accept()?.0))
    }

    #[inline(always)]
    fn echo(Local(stream): &mut Local<TcpStream>, buffer: &mut Vec<u8>) -> io::Result<bool> {
        echo_once(stream, buffer)
    }
}

pub struct Stm;

impl BlockingStm for Stm {
    const NAME: &'static str = Maypole::NAME;

    type Tasks = Maypole;
    type Variable = Local<TVar<i64>>;

    fn variable(value: i64) -> Self::Variable {
        Local(TVar::new(value))
    }

    #[inline(always)]
    fn transfer(Local(from): &Self::Variable, Local(to): &Self::Variable, amount: i64) {
        atomically(|transaction| {
            let left = from.read(transaction);
            let right = to.read(transaction);
            from.write(transaction, left - amount);
            to.write(transaction, right + amount);
            Ok(())
        });
    }

    #[inline(always)]
    fn read(Local(variable): &Self::Variable) -> i64 {
        atomically(|transaction| Ok(variable.read(transaction)))
    }

    #[inline(always)]
    fn pass(Local(variable): &Self::Variable, awaited: i64, next: i64) {
        atomically(|transaction| {
            check(variable.read(transaction) == awaited)?;
            variable.write(transaction, next);
            Ok(())
        });
    }
}

#[derive(Clone)]
pub enum Queue {
    Bounded(TBQueue<u64>),
    Unbounded(TQueue<u64>),
}

impl BlockingStmQueue for Stm {
    type Queue = Local<Queue>;

    fn queue(capacity: Option<usize>) -> Self::Queue {
        Local(match capacity {
            Some(capacity) => Queue::Bounded(TBQueue::new(capacity)),
            None => Queue::Unbounded(TQueue::new()),
        })
    }

    #[inline(always)]
    fn put(Local(queue): &Self::Queue, message: u64) {
        match queue {
            Queue::Bounded(queue) => atomically(|transaction| queue.write(transaction, message)),
            Queue::Unbounded(queue) => atomically(|transaction| {
                queue.write(transaction, message);
                Ok(())
            }),
        }
    }

    #[inline(always)]
    fn take(Local(queue): &Self::Queue) -> u64 {
        match queue {
            Queue::Bounded(queue) => atomically(|transaction| queue.read(transaction)),
            Queue::Unbounded(queue) => atomically(|transaction| queue.read(transaction)),
        }
    }
}

/// A switch at every operation, as with shuttle and loom.
pub struct Everywhere;

impl Explored for Everywhere {
    const NAME: &'static str = Maypole::NAME;

    type Handle = JoinHandle<()>;
    type Number = Local<Rc<Mutex<u64>>>;

    fn explore(most: usize, program: impl Fn() + Send + Sync + 'static) {
        let outcome = Explorer::new()
            .switches(Switches::Everywhere)
            .schedules(most as u64)
            .check(program);
        assert!(outcome.failure.is_none(), "the program is right");
    }

    fn spawn(task: impl FnOnce() + Send + 'static) -> Self::Handle {
        maypole::spawn(task)
    }

    fn join(handle: Self::Handle) {
        handle.join().expect("no task fails");
    }

    fn number() -> Self::Number {
        Local(Rc::new(Mutex::new(0)))
    }

    fn add_one(number: &Self::Number) {
        *number.0.lock() += 1;
    }

    fn read(number: &Self::Number) -> u64 {
        *number.0.lock()
    }
}

/// The numbers from 0 up to `count`, as a generator.
pub fn numbers(count: u64) -> impl Iterator<Item = u64> {
    maypole::generator::Generator::new(move |yielder| {
        for number in 0..count {
            yielder.yield_(number);
        }
    })
}

/// `thread::offload`.
pub struct Offload;

impl BlockingOffload for Offload {
    const NAME: &'static str = Maypole::NAME;

    type Tasks = Maypole;
    type Pool = ();

    fn pool() {}

    fn offload(_pool: &(), work: fn(u64) -> u64, number: u64) -> u64 {
        maypole::thread::offload(|| work(number))
    }
}
