//! OS threads with std's channels, lock and condition variable.
//!
//! Pinned to one core with everything else, a switch is the system's.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::echo_once;
use crate::peer::{
    Blocking, BlockingChannel, BlockingLock, BlockingNet, BlockingOffload, BlockingStm,
};

/// Tasks that are OS threads.
pub struct StdThreads;

/// More than this are beyond what an OS is made for.
const MOST: usize = 10_000;

impl Blocking for StdThreads {
    const NAME: &'static str = "std_threads";

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn obstacle(tasks: usize) -> Option<String> {
        (tasks > MOST).then(|| format!("{tasks} tasks would be as many OS threads"))
    }

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        main()
    }

    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        thread::spawn(task)
    }

    fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.join().expect("no task of a workload panics")
    }

    fn yield_now() {
        thread::yield_now();
    }

    fn park() {
        thread::park();
    }

    fn sleep(duration: Duration) {
        thread::sleep(duration);
    }

    fn yield_within(_limit: Duration) {
        unreachable!("OS threads are compared by their channels and locks alone");
    }
}

/// `mpsc::sync_channel`, of any capacity.
pub struct Bounded;

impl BlockingChannel for Bounded {
    const NAME: &'static str = StdThreads::NAME;

    type Tasks = StdThreads;
    type Sender = mpsc::SyncSender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        mpsc::sync_channel(capacity.expect("this kind is bounded"))
    }

    fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).expect("the receiver is there");
    }

    fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().expect("a sender is there")
    }
}

/// `mpsc::channel`.
pub struct Unbounded;

impl BlockingChannel for Unbounded {
    const NAME: &'static str = StdThreads::NAME;

    type Tasks = StdThreads;
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn channel(_capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        mpsc::channel()
    }

    fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).expect("the receiver is there");
    }

    fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().expect("a sender is there")
    }
}

pub struct Net;

impl BlockingNet for Net {
    const NAME: &'static str = StdThreads::NAME;

    type Tasks = StdThreads;
    type Listener = TcpListener;
    type Connection = TcpStream;

    fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept()?.0)
    }

    #[inline(always)]
    fn echo(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
        echo_once(stream, buffer)
    }
}

pub struct Lock;

impl BlockingLock for Lock {
    const NAME: &'static str = StdThreads::NAME;

    type Tasks = StdThreads;
    type Lock = Arc<Mutex<u64>>;
    type Guard<'a> = MutexGuard<'a, u64>;

    fn new(value: u64) -> Self::Lock {
        Arc::new(Mutex::new(value))
    }

    fn lock(lock: &Self::Lock) -> Self::Guard<'_> {
        lock.lock().expect("no task of a workload panics")
    }
}

/// What programs do that have no transactions: a lock for each variable, all that are needed held at once.
///
/// To be safe from deadlock it would have to take them in one order; here it does not.
pub struct Locks;

/// A value, and who waits for another one.
pub struct Variable {
    value: Mutex<i64>,
    changed: Condvar,
}

impl BlockingStm for Locks {
    const NAME: &'static str = StdThreads::NAME;

    type Tasks = StdThreads;
    type Variable = Arc<Variable>;

    fn variable(value: i64) -> Self::Variable {
        Arc::new(Variable {
            value: Mutex::new(value),
            changed: Condvar::new(),
        })
    }

    fn transfer(from: &Self::Variable, to: &Self::Variable, amount: i64) {
        let mut left = from.value.lock().expect("no task of a workload panics");
        let mut right = to.value.lock().expect("no task of a workload panics");
        *left -= amount;
        *right += amount;
    }

    fn read(variable: &Self::Variable) -> i64 {
        *variable.value.lock().expect("no task of a workload panics")
    }

    fn pass(variable: &Self::Variable, awaited: i64, next: i64) {
        let value = variable.value.lock().expect("no task of a workload panics");
        let mut value = variable
            .changed
            .wait_while(value, |value| *value != awaited)
            .expect("no task of a workload panics");
        *value = next;
        drop(value);
        variable.changed.notify_one();
    }
}

/// One OS thread that takes orders from a channel and answers each through another.
pub struct Offload;

type Order = (fn(u64) -> u64, u64, mpsc::SyncSender<u64>);

impl BlockingOffload for Offload {
    const NAME: &'static str = StdThreads::NAME;

    type Tasks = StdThreads;
    type Pool = mpsc::Sender<Order>;

    fn pool() -> Self::Pool {
        let (orders, ordered) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (work, number, answer) in ordered {
                answer.send(work(number)).expect("whoever ordered waits");
            }
        });
        orders
    }

    fn offload(pool: &Self::Pool, work: fn(u64) -> u64, number: u64) -> u64 {
        let (answer, answered) = mpsc::sync_channel(1);
        pool.send((work, number, answer)).expect("it takes orders");
        answered.recv().expect("it answers")
    }
}
