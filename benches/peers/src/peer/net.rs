//! What a workload asks of a peer's sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use super::{Awaiting, Blocking};

/// TCP whose calls block the task.
pub trait BlockingNet: 'static {
    const NAME: &'static str;

    type Tasks: Blocking;
    type Listener;
    type Connection: Send + 'static;

    /// Listens at a free port of the loopback interface.
    fn bind() -> io::Result<(Self::Listener, SocketAddr)>;
    fn accept(listener: &Self::Listener) -> io::Result<Self::Connection>;
    /// Waits for something to read, and writes it back; false at the end.
    fn echo(connection: &mut Self::Connection, buffer: &mut Vec<u8>) -> io::Result<bool>;
}

/// TCP whose calls are futures.
pub trait AwaitingNet: 'static {
    const NAME: &'static str;

    type Tasks: Awaiting;
    type Listener: 'static;
    type Connection: 'static;

    /// Starts a runtime that has sockets.
    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        Self::Tasks::run(main)
    }

    /// Listens at a free port of the loopback interface.
    fn bind() -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>>;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Connection>>;
    /// Waits for something to read, and writes it back; false at the end.
    ///
    /// The buffer is a vector since some peers have the system write into it while they wait, and
    /// so must own it.
    fn echo(
        connection: &mut Self::Connection,
        buffer: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<bool>>;
}
