//! may with one worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use may::coroutine::{self, JoinHandle};
use may::net::{TcpListener, TcpStream};
use may::sync::{Mutex, MutexGuard, mpsc};

use super::echo_once;
use crate::peer::{Blocking, BlockingChannel, BlockingLock, BlockingNet};

pub struct May;

impl Blocking for May {
    const NAME: &'static str = "may";

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn obstacle(tasks: usize) -> Option<String> {
        // A stack and its guard page are two mappings.
        let needed = 2 * tasks + 1_000;
        let allowed: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()?
            .trim()
            .parse()
            .ok()?;
        (needed > allowed)
            .then(|| format!("{tasks} tasks take {needed} mappings, vm.max_map_count is {allowed}"))
    }

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        may::config().set_workers(1);
        Self::join(Self::spawn(main))
    }

    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        // SAFETY: may asks that a task neither overflow its stack nor use thread-local values across a
        // switch; the workloads are shallow and use none.
        unsafe { coroutine::spawn(task) }
    }

    fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.join().expect("no task of a workload panics")
    }

    #[inline(always)]
    fn yield_now() {
        coroutine::yield_now();
    }

    fn park() {
        coroutine::park();
    }

    fn sleep(duration: Duration) {
        coroutine::sleep(duration);
    }

    fn yield_within(limit: Duration) {
        // may has no timeout for an operation at large: the manual's way is to race it with a sleep.
        let first = may::select!(
            _ = coroutine::yield_now() => {},
            _ = coroutine::sleep(limit) => {}
        );
        assert_eq!(first, 0, "a yield is done long before its timeout");
    }
}

/// `mpsc`, which has no bound.
pub struct Unbounded;

impl BlockingChannel for Unbounded {
    const NAME: &'static str = May::NAME;

    type Tasks = May;
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn channel(_capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        mpsc::channel()
    }

    #[inline(always)]
    fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).expect("the receiver is there");
    }

    #[inline(always)]
    fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().expect("a sender is there")
    }
}

pub struct Net;

impl BlockingNet for Net {
    const NAME: &'static str = May::NAME;

    type Tasks = May;
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
    const NAME: &'static str = May::NAME;

    type Tasks = May;
    type Lock = Arc<Mutex<u64>>;
    type Guard<'a> = MutexGuard<'a, u64>;

    fn new(value: u64) -> Self::Lock {
        Arc::new(Mutex::new(value))
    }

    #[inline(always)]
    fn lock(lock: &Self::Lock) -> Self::Guard<'_> {
        lock.lock().expect("no task of a workload panics")
    }
}
