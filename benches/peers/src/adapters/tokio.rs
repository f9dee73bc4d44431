//! tokio, its runtime of one OS thread.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::task::JoinHandle;

use crate::peer::{
    Awaiting, AwaitingChannel, AwaitingLock, AwaitingNet, AwaitingOffload, AwaitingSelect,
};

pub struct Tokio;

impl Awaiting for Tokio {
    const NAME: &'static str = "tokio";

    type Handle<T: 'static> = JoinHandle<T>;

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build_local(LocalOptions::default())
            .expect("a runtime of one OS thread can be built");
        // As a task of its own: the future given to `block_on` is polled out of turn.
        runtime.block_on(async { Self::join(Self::spawn(main)).await })
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> JoinHandle<F::Output> {
        tokio::task::spawn_local(task)
    }

    async fn join<T: 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task of a workload panics")
    }

    async fn yield_now() {
        tokio::task::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn yield_within(limit: Duration) {
        tokio::time::timeout(limit, Self::yield_now())
            .await
            .expect("a yield is done long before its timeout");
    }
}

/// `mpsc::channel`, which holds one message at least.
pub struct Bounded;

impl AwaitingChannel for Bounded {
    const NAME: &'static str = Tokio::NAME;

    type Tasks = Tokio;
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        mpsc::channel(capacity.expect("this kind is bounded"))
    }

    async fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).await.expect("the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().await.expect("a sender is there")
    }
}

impl AwaitingSelect for Bounded {
    async fn select(receivers: &mut [Self::Receiver]) -> u64 {
        let message = match receivers {
            [a, b] => tokio::select! {
                message = a.recv() => message,
                message = b.recv() => message,
            },
            [a, b, c, d, e, f, g, h] => tokio::select! {
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

/// `mpsc::unbounded_channel`.
pub struct Unbounded;

impl AwaitingChannel for Unbounded {
    const NAME: &'static str = Tokio::NAME;

    type Tasks = Tokio;
    type Sender = mpsc::UnboundedSender<u64>;
    type Receiver = mpsc::UnboundedReceiver<u64>;

    fn channel(_capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        mpsc::unbounded_channel()
    }

    async fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).expect("the receiver is there");
    }

    async fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().await.expect("a sender is there")
    }
}

pub struct Net;

impl AwaitingNet for Net {
    const NAME: &'static str = Tokio::NAME;

    type Tasks = Tokio;
    type Listener = TcpListener;
    type Connection = TcpStream;

    /// The other workloads do without the sockets, which a runtime that has them looks after.
    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .build_local(LocalOptions::default())
            .expect("a runtime of one OS thread can be built");
        runtime.block_on(async { Tokio::join(Tokio::spawn(main)).await })
    }

    async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept().await?.0)
    }

    async fn echo(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let length = stream.read(buffer).await?;
        stream.write_all(&buffer[..length]).await?;
        Ok(length > 0)
    }
}

pub struct Lock;

impl AwaitingLock for Lock {
    const NAME: &'static str = Tokio::NAME;

    type Tasks = Tokio;
    type Lock = Rc<Mutex<u64>>;
    type Guard<'a> = MutexGuard<'a, u64>;

    fn new(value: u64) -> Self::Lock {
        Rc::new(Mutex::new(value))
    }

    async fn lock(lock: &Self::Lock) -> Self::Guard<'_> {
        lock.lock().await
    }
}

/// `spawn_blocking`.
pub struct Offload;

impl AwaitingOffload for Offload {
    const NAME: &'static str = Tokio::NAME;

    type Tasks = Tokio;
    type Pool = ();

    fn pool() {}

    async fn offload(_pool: &(), work: fn(u64) -> u64, number: u64) -> u64 {
        tokio::task::spawn_blocking(move || work(number))
            .await
            .expect("no work of a workload panics")
    }
}
