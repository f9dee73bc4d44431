//! smol: async-executor's `LocalExecutor`, with async-io's timers, async-channel, async-lock and
//! blocking.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use async_executor::{LocalExecutor, Task};
use async_io::{Async, Timer};
use async_lock::{Mutex, MutexGuard};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use super::race;
use crate::peer::{
    Awaiting, AwaitingChannel, AwaitingLock, AwaitingNet, AwaitingOffload, AwaitingSelect,
};

thread_local! {
    static EXECUTOR: &'static LocalExecutor<'static> = Box::leak(Box::default());
}

pub struct Smol;

impl Awaiting for Smol {
    const NAME: &'static str = "smol";

    type Handle<T: 'static> = Task<T>;

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        // async-io's `block_on` drives the timers on this OS thread while it runs dry.
        EXECUTOR.with(|executor| async_io::block_on(executor.run(Self::spawn(main))))
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> Task<F::Output> {
        EXECUTOR.with(|executor| executor.spawn(task))
    }

    async fn join<T: 'static>(handle: Task<T>) -> T {
        handle.await
    }

    fn detach<T: 'static>(handle: Task<T>) {
        handle.detach();
    }

    async fn yield_now() {
        future::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    async fn yield_within(limit: Duration) {
        let late = async {
            Timer::after(limit).await;
            panic!("a yield is done long before its timeout");
        };
        future::or(Self::yield_now(), late).await;
    }
}

/// async-channel, bounded with one message at least or not at all.
pub struct Channel;

impl AwaitingChannel for Channel {
    const NAME: &'static str = Smol::NAME;

    type Tasks = Smol;
    type Sender = async_channel::Sender<u64>;
    type Receiver = async_channel::Receiver<u64>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        capacity.map_or_else(async_channel::unbounded, async_channel::bounded)
    }

    async fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).await.expect("the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().await.expect("a sender is there")
    }
}

impl AwaitingSelect for Channel {
    async fn select(receivers: &mut [Self::Receiver]) -> u64 {
        let message = race(receivers, async |receiver| receiver.recv().await).await;
        message.expect("a sender is there")
    }
}

pub struct Net;

impl AwaitingNet for Net {
    const NAME: &'static str = Smol::NAME;

    type Tasks = Smol;
    type Listener = Async<TcpListener>;
    type Connection = Async<TcpStream>;

    async fn bind() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Connection> {
        Ok(listener.accept().await?.0)
    }

    async fn echo(stream: &mut Self::Connection, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let length = stream.read(buffer).await?;
        stream.write_all(&buffer[..length]).await?;
        Ok(length > 0)
    }
}

pub struct Lock;

impl AwaitingLock for Lock {
    const NAME: &'static str = Smol::NAME;

    type Tasks = Smol;
    type Lock = Rc<Mutex<u64>>;
    type Guard<'a> = MutexGuard<'a, u64>;

    fn new(value: u64) -> Self::Lock {
        Rc::new(Mutex::new(value))
    }

    async fn lock(lock: &Self::Lock) -> Self::Guard<'_> {
        lock.lock().await
    }
}

/// The pool of the crate `blocking`.
pub struct Offload;

impl AwaitingOffload for Offload {
    const NAME: &'static str = Smol::NAME;

    type Tasks = Smol;
    type Pool = ();

    fn pool() {}

    async fn offload(_pool: &(), work: fn(u64) -> u64, number: u64) -> u64 {
        blocking::unblock(move || work(number)).await
    }
}
