//! A TCP connection.
use super::address::{self, ToSocketAddrs};
use super::traits::{byte_traits, settings, socket_settings, socket_traits};
use crate::io::faults::uninterrupted;
use crate::io::{Manner, Stream, Way, check_timeout, refuse_exploring};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
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
/// Time-outs, and the end of a call that waits:
///
/// ```
/// use maypole::net::{TcpListener, TcpStream};
/// use std::io::{ErrorKind, Read};
/// use std::{rc::Rc, time::Duration};
/// maypole::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
///     let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
///     stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
///     assert_eq!((&stream).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
///     stream.set_read_timeout(None).unwrap();
///     let stream = Rc::new(stream);
///     let theirs = stream.clone();
///     let reader = maypole::spawn(move || (&*theirs).read(&mut [0; 8]));
///     maypole::yield_now();
///     stream.close();
///     assert_eq!(reader.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
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
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
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
        check_timeout(Some(timeout))?;
        connect(address, Limit::After(timeout), at)
    }

    /// The address of the other end. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`connect`](Self::connect).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.peer_addr()
    }

    /// The address of this end. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`TcpListener::accept`](super::TcpListener::accept).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.local_addr()
    }

    /// Ends one direction, or both: the other end reads what is on its way, and then the end.
    ///
    /// Parks: no. Calls of other tasks that wait are woken: reads find the end, writes fail.
    ///
    /// # Errors
    ///
    /// As std's: `NotConnected` once the other end is gone, for one.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{Shutdown, TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///     let (mut connection, _) = listener.accept().unwrap();
    ///     client.write_all(b"question").unwrap();
    ///     client.shutdown(Shutdown::Write).unwrap();
    ///     let mut question = String::new();
    ///     connection.read_to_string(&mut question).unwrap(); // it has an end
    ///     connection.write_all(b"answer").unwrap(); // the other direction goes on
    ///     let mut answer = [0; 6];
    ///     client.read_exact(&mut answer).unwrap();
    /// });
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shut_down(how, |socket| socket.shutdown(how))
    }

    /// Reads what has come without taking it away: the next read gives it again.
    ///
    /// Parks: until something has come, or the other end has said that nothing will. A kill ends
    /// the wait.
    ///
    /// # Errors
    ///
    /// As std's; `TimedOut` after the [time-out](Self::set_read_timeout) for reads.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///     let (mut connection, _) = listener.accept().unwrap();
    ///     client.write_all(b"x").unwrap();
    ///     let mut byte = [0];
    ///     assert_eq!(connection.peek(&mut byte).unwrap(), 1);
    ///     assert_eq!(connection.read(&mut byte).unwrap(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0.operate_at(Way::In, at, |socket| socket.peek(buffer))
    }

    /// Says whether small writes are sent at once, rather than together with the next. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{TcpListener, TcpStream};
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///     stream.set_nodelay(true).unwrap();
    ///     assert!(stream.nodelay().unwrap());
    ///     stream.set_ttl(42).unwrap();
    ///     assert_eq!(stream.ttl().unwrap(), 42);
    ///     assert!(stream.take_error().unwrap().is_none());
    /// });
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.open()?.set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_nodelay`](Self::set_nodelay).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.open()?.nodelay()
    }

    /// Says how many routers a packet may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_nodelay`](Self::set_nodelay).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.open()?.set_ttl(ttl)
    }

    /// How many routers a packet may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_nodelay`](Self::set_nodelay).
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.open()?.ttl()
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
    let socket = uninterrupted(|| mio::net::TcpStream::connect(*address))?;
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

byte_traits!(TcpStream);
socket_traits!(TcpStream, net::TcpStream);
settings!(TcpStream, "See [`TcpStream`].");
socket_settings!(TcpStream, "See [`set_nodelay`](Self::set_nodelay).");
