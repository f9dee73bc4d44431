//! monoio on `io_uring`, with local-sync, the channels and locks that its author made for it.

use std::cell::{RefCell, RefMut};
use std::future::Future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use local_sync::mpsc::{bounded, unbounded};
use local_sync::semaphore::{Semaphore, SemaphorePermit};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::task::JoinHandle;
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, Runtime, RuntimeBuilder};

use crate::echo::BUFFER;
use crate::peer::{Awaiting, AwaitingChannel, AwaitingLock, AwaitingNet, AwaitingSelect};

pub struct Monoio;

fn build() -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    RuntimeBuilder::<IoUringDriver>::new()
        .enable_timer()
        .build()
}

impl Awaiting for Monoio {
    const NAME: &'static str = "monoio";

    const NO_TURNS: Option<&'static str> =
        Some("it has no yield, and a task that wakes itself runs again before all others");

    type Handle<T: 'static> = JoinHandle<T>;

    fn obstacle(_tasks: usize) -> Option<String> {
        build()
            .err()
            .map(|error| format!("it needs io_uring: {error}"))
    }

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let mut runtime = build().expect("the obstacle was looked for");
        // As a task of its own: the future given to `block_on` is polled out of turn.
        runtime.block_on(async { monoio::spawn(main).await })
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> JoinHandle<F::Output> {
        monoio::spawn(task)
    }

    async fn join<T: 'static>(handle: JoinHandle<T>) -> T {
        handle.await
    }

    async fn yield_now() {
        futures_lite::future::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        monoio::time::sleep(duration).await;
    }

    async fn yield_within(limit: Duration) {
        monoio::time::timeout(limit, Self::yield_now())
            .await
            .expect("a yield is done long before its timeout");
    }
}

/// A channel that holds one message at least.
pub struct Bounded;

impl AwaitingChannel for Bounded {
    const NAME: &'static str = Monoio::NAME;

    type Tasks = Monoio;
    type Sender = bounded::Tx<u64>;
    type Receiver = bounded::Rx<u64>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        bounded::channel(capacity.expect("this kind is bounded"))
    }

    async fn send(sender: &Self::Sender, message: u64) {
        let sent = sender.send(message).await;
        assert!(sent.is_ok(), "the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().await.expect("a sender is there")
    }
}

impl AwaitingSelect for Bounded {
    async fn select(receivers: &mut [Self::Receiver]) -> u64 {
        let message = match receivers {
            [a, b] => monoio::select! {
                message = a.recv() => message,
                message = b.recv() => message,
            },
            [a, b, c, d, e, f, g, h] => monoio::select! {
                message = a.recv() => message,
                message = b.recv() => message,
                message = c.recv() => message,
                message = d.recv() => message,
                message = e.recv() => message,
                message = f.recv() => message,
                message = g.recv() => message,
                message = h.recv() => message,
            },
            _ => unreachable!("the groups select over 2 and 8 channels"),
        };
        message.expect("a sender is there")
    }
}

pub struct Unbounded;

impl AwaitingChannel for Unbounded {
    const NAME: &'static str = Monoio::NAME;

    type Tasks = Monoio;
    type Sender = unbounded::Tx<u64>;
    type Receiver = unbounded::Rx<u64>;

    fn channel(_capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        unbounded::channel()
    }

    async fn send(sender: &Self::Sender, message: u64) {
        let sent = sender.send(message);
        assert!(sent.is_ok(), "the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().await.expect("a sender is there")
    }
}

pub struct Net;

impl AwaitingNet for Net {
    const NAME: &'static str = Monoio::NAME;

    type Tasks = Monoio;
    type Listener = TcpListener;
    type Connection = TcpStream;

    async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept().await?.0)
    }

    async fn echo(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let (length, mut full) = stream.read(mem::take(buffer)).await;
        let length = length?;
        full.truncate(length);
        let (written, full) = stream.write_all(full).await;
        *buffer = full;
        buffer.clear();
        debug_assert!(buffer.capacity() >= BUFFER);
        written.map(|_| length > 0)
    }
}

/// A semaphore of one permit, since there is no lock.
pub struct Lock;

/// Unlocks when dropped: first the value, then the permit.
pub struct Guard<'a> {
    value: RefMut<'a, u64>,
    _permit: SemaphorePermit<'a>,
}

impl Deref for Guard<'_> {
    type Target = u64;

    fn deref(&self) -> &u64 {
        &self.value
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut u64 {
        &mut self.value
    }
}

impl AwaitingLock for Lock {
    const NAME: &'static str = Monoio::NAME;

    type Tasks = Monoio;
    type Lock = Rc<(Semaphore, RefCell<u64>)>;
    type Guard<'a> = Guard<'a>;

    fn new(value: u64) -> Self::Lock {
        Rc::new((Semaphore::new(1), RefCell::new(value)))
    }

    async fn lock(lock: &Self::Lock) -> Guard<'_> {
        let (semaphore, value) = &**lock;
        let permit = semaphore.acquire().await;
        Guard {
            _permit: permit.expect("nobody closes the semaphore"),
            value: value.borrow_mut(),
        }
    }
}
