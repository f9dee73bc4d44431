//! A TCP connection.
use super::address::{self, ToSocketAddrs};
use super::traits::connection_traits;
use crate::io::{Manner, Stream, Way, refuse_exploring};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

const KIND: &str = "TcpStream";

/// A TCP connection: `std::net::TcpStream` for tasks.
///
/// # Examples
///
/// ```
/// use maypole::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
/// maypole::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
///     let address = listener.local_addr().unwrap();
///     let server = maypole::spawn(move || {
///         let (mut connection, _) = listener.accept().unwrap();
///         let mut word = [0; 5];
///         connection.read_exact(&mut word).unwrap();
///         connection.write_all(&word).unwrap();
///     });
///     let mut client = TcpStream::connect(address).unwrap();
///     client.write_all(b"hello").unwrap();
///     let mut echo = String::new();
///     client.read_to_string(&mut echo).unwrap();
///     assert_eq!(echo, "hello");
///     server.join().unwrap();
/// });
/// ```
///
/// It stays in its OS thread; to move a connection to another, move std's type
/// (`std::net::TcpStream::from(stream)`):
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::TcpStream>();
/// ```
pub struct TcpStream(Stream<net::TcpStream>);

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// Parks: until the other end, and the name server, have answered. A kill ends the wait, and
    /// the connection is not made.
    ///
    /// # Errors
    ///
    /// Of the last address tried, as std's.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait; while schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{TcpListener, TcpStream};
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///     assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    /// });
    /// ```
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(address: A) -> io::Result<TcpStream> {
        let at = Location::caller();
        refuse_exploring("TcpStream::connect", at);
        address::each(address, |address| connect(&address, Limit::Never, at))
    }

    /// Connects, if that takes no longer than `timeout`.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait, and the connection is not made.
    ///
    /// # Errors
    ///
    /// As std's: `TimedOut`, and `InvalidInput` for no time at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let address = listener.local_addr().unwrap();
    ///     assert!(TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok());
    /// });
    /// ```
    #[track_caller]
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let at = Location::caller();
        refuse_exploring("TcpStream::connect_timeout", at);
        if timeout.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        connect(address, Limit::After(timeout), at)
    }

    /// The address of the other end.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`connect`](Self::connect).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().peer_addr()
    }

    /// The address of this end.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`TcpListener::accept`](super::TcpListener::accept).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }

    /// Ends one direction, or both: the other end reads what is on its way, and then the end.
    ///
    /// Parks: no. Calls of others that wait are woken.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.socket().shutdown(how)
    }

    /// For a connection that does not block any more.
    pub(super) fn nonblocking(socket: net::TcpStream, at: &'static Location<'static>) -> Self {
        TcpStream(Stream::new(socket, KIND, at))
    }
}

fn connect(
    address: &SocketAddr,
    limit: Limit,
    at: &'static Location<'static>,
) -> io::Result<TcpStream> {
    let socket = crate::io::faults::call(|| mio::net::TcpStream::connect(*address))?;
    let stream = Stream::new(net::TcpStream::from(socket), KIND, at);
    let manner = Manner {
        way: Way::Out,
        what: What::Connect,
        at,
        limit,
    };
    stream.source().operate(manner, || {
        let socket = stream.socket();
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => Ok(()),
            // It is still on its way.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    })?;
    Ok(TcpStream(stream))
}

connection_traits!(TcpStream);
