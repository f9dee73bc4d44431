//! glommio, one executor on this OS thread.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::channels::local_channel::{self, LocalReceiver, LocalSender};
use glommio::net::{TcpListener, TcpStream};
use glommio::sync::{RwLock, RwLockWriteGuard};
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement, Task};

use super::race;
use crate::peer::{Awaiting, AwaitingChannel, AwaitingLock, AwaitingNet, AwaitingSelect};

pub struct Glommio;

fn build() -> Result<LocalExecutor, GlommioError<()>> {
    // No workload reads or writes, and locked memory is scarce.
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 << 10)
        .make()
}

impl Awaiting for Glommio {
    const NAME: &'static str = "glommio";

    type Handle<T: 'static> = Task<T>;

    fn obstacle(_tasks: usize) -> Option<String> {
        build()
            .err()
            .map(|error| format!("it needs io_uring: {error}"))
    }

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let executor = build().expect("the obstacle was looked for");
        executor.run(async { Self::spawn(main).await })
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> Task<F::Output> {
        glommio::spawn_local(task)
    }

    async fn join<T: 'static>(handle: Task<T>) -> T {
        handle.await
    }

    fn detach<T: 'static>(handle: Task<T>) {
        handle.detach();
    }

    // glommio's own yields are between task queues; this one is between tasks.
    async fn yield_now() {
        futures_lite::future::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        glommio::timer::sleep(duration).await;
    }

    async fn yield_within(limit: Duration) {
        let yielding = async {
            Self::yield_now().await;
            Ok::<(), GlommioError<()>>(())
        };
        glommio::timer::timeout(limit, yielding)
            .await
            .expect("a yield is done long before its timeout");
    }
}

/// `local_channel`, bounded with one message at least or not at all.
pub struct Channel;

impl AwaitingChannel for Channel {
    const NAME: &'static str = Glommio::NAME;

    type Tasks = Glommio;
    // One sender is all there is: the tasks share it.
    type Sender = Rc<LocalSender<u64>>;
    type Receiver = LocalReceiver<u64>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        let (sender, receiver) =
            capacity.map_or_else(local_channel::new_unbounded, local_channel::new_bounded);
        (Rc::new(sender), receiver)
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
    const NAME: &'static str = Glommio::NAME;

    type Tasks = Glommio;
    type Listener = TcpListener;
    type Connection = TcpStream;

    async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        Ok(listener.accept().await?)
    }

    async fn echo(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let length = stream.read(buffer).await?;
        stream.write_all(&buffer[..length]).await?;
        Ok(length > 0)
    }
}

/// A lock for readers and writers, of which there are only writers.
pub struct Lock;

impl AwaitingLock for Lock {
    const NAME: &'static str = Glommio::NAME;

    type Tasks = Glommio;
    type Lock = Rc<RwLock<u64>>;
    type Guard<'a> = RwLockWriteGuard<'a, u64>;

    fn new(value: u64) -> Self::Lock {
        Rc::new(RwLock::new(value))
    }

    async fn lock(lock: &Self::Lock) -> Self::Guard<'_> {
        lock.write().await.expect("nobody closes the lock")
    }
}
