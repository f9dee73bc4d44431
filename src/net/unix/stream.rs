//! A Unix connection.
use crate::io::faults::uninterrupted;
use crate::io::{Again, Manner, Source, Stream, Way, peek, refuse_exploring};
use crate::net::listener::nonblocking;
use crate::net::pauses::Pauses;
use crate::net::traits::{byte_traits, settings, socket_settings, socket_traits};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

const KIND: &str = "UnixStream";

/// How long a connect waits between tries while the listener has no room: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// A Unix connection: `std::os::unix::net::UnixStream` for tasks.
///
/// Descriptors that the other end sends along are closed unseen, as by std's.
///
/// # Examples
///
/// ```
/// use maypole::net::unix::UnixStream;
/// use std::io::{ErrorKind, Read, Write};
/// use std::time::Duration;
/// maypole::run(|| {
///     let (mut a, mut b) = UnixStream::pair().unwrap();
///     let echo = maypole::spawn(move || {
///         let mut word = [0; 5];
///         b.read_exact(&mut word).unwrap();
///         b.write_all(&word).unwrap();
///         b
///     });
///     a.write_all(b"hello").unwrap();
///     let mut word = [0; 5];
///     a.read_exact(&mut word).unwrap();
///     assert_eq!(&word, b"hello");
///
///     let _b = echo.join().unwrap();
///     assert!(a.local_addr().unwrap().is_unnamed());
///     assert!(a.take_error().unwrap().is_none());
///     let mut clone = a.try_clone().unwrap();
///     clone.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
///     assert_eq!(clone.read(&mut word).unwrap_err().kind(), ErrorKind::TimedOut);
///     a.close();
///     assert_eq!(a.read(&mut word).unwrap_err().kind(), ErrorKind::ConnectionAborted);
/// });
/// ```
///
/// It stays in its OS thread; to move a connection to another, move std's type:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::unix::UnixStream>();
/// ```
pub struct UnixStream(Stream<net::UnixStream>);

impl UnixStream {
    /// Connects to whoever listens at a path.
    ///
    /// Parks: while the listener has no room for one more; it is tried again at short intervals. A
    /// kill ends the wait, and the connection is not made.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait; while schedules are explored.
    ///
    /// # Examples
    ///
    /// See [`UnixListener`](super::UnixListener).
    #[track_caller]
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to whoever listens at an address, which need be no path.
    ///
    /// Parks: as [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// See [`UnixListener::bind_addr`](super::UnixListener::bind_addr).
    #[track_caller]
    pub fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let at = Location::caller();
        refuse_exploring("UnixStream::connect", at);
        let manner = Manner {
            way: Way::Out,
            what: What::Connect,
            at,
            limit: Limit::Never,
        };
        let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
        let again = |error: &io::Error| match error.kind() {
            // Linux tells nobody when there is room.
            io::ErrorKind::WouldBlock => Again::After(pauses.next()),
            _ => Again::No,
        };
        let connect = || mio::net::UnixStream::connect_addr(address);
        let socket = Source::without_fd(KIND, at).operate_again(manner, again, connect)?;
        let socket = net::UnixStream::from(OwnedFd::from(socket));
        Ok(UnixStream::nonblocking(socket, at))
    }

    /// Makes two that are connected, and have no names. Parks: no.
    ///
    /// To talk to another task [`net::pair`](crate::net::pair) does as well, which costs no
    /// descriptors and can be explored.
    ///
    /// # Errors
    ///
    /// As std's: when no descriptor is free, for one.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// See [`UnixStream`].
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let at = Location::caller();
        refuse_exploring("UnixStream::pair", at);
        let (a, b) = nonblocking(net::UnixStream::pair, |(a, b)| {
            a.set_nonblocking(true)?;
            b.set_nonblocking(true)
        })?;
        Ok((
            UnixStream::nonblocking(a, at),
            UnixStream::nonblocking(b, at),
        ))
    }

    /// For a connection that does not block any more.
    pub(super) fn nonblocking(socket: net::UnixStream, at: &'static Location<'static>) -> Self {
        UnixStream(Stream::new(socket, KIND, at).ragged())
    }

    /// The address of this end; it may have no name. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`UnixStream`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.local_addr()
    }

    /// The address of the other end; it may have no name. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`UnixListener::bind_addr`](super::UnixListener::bind_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.peer_addr()
    }

    /// Ends one direction, or both: the other end reads what is on its way, and then the end.
    ///
    /// Parks: no. Calls of other tasks that wait are woken: reads find the end, writes fail.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{Shutdown, unix::UnixStream};
    /// use std::io::Write;
    /// maypole::run(|| {
    ///     let (mut a, b) = UnixStream::pair().unwrap();
    ///     a.write_all(b"all").unwrap();
    ///     a.shutdown(Shutdown::Write).unwrap();
    ///     assert_eq!(std::io::read_to_string(b).unwrap(), "all");
    /// });
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shut_down(how, |socket| socket.shutdown(how))
    }

    /// Reads what has come without taking it away: the next read gives it again. Std's stream has
    /// this on nightly alone.
    ///
    /// Parks: until something has come, or the other end has said that nothing will. A kill ends
    /// the wait.
    ///
    /// # Errors
    ///
    /// The system's; `TimedOut` after the [time-out](Self::set_read_timeout) for reads.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::unix::UnixStream;
    /// use std::io::{Read, Write};
    /// maypole::run(|| {
    ///     let (mut a, mut b) = UnixStream::pair().unwrap();
    ///     a.write_all(b"x").unwrap();
    ///     let mut byte = [0];
    ///     assert_eq!(b.peek(&mut byte).unwrap(), 1);
    ///     assert_eq!(b.read(&mut byte).unwrap(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0
            .operate_at(Way::In, at, |socket| peek(socket.as_fd(), buffer))
    }
}

byte_traits!(UnixStream);
socket_traits!(UnixStream, net::UnixStream);
settings!(UnixStream, "See [`UnixStream`].");
socket_settings!(UnixStream, "See [`UnixStream`].");
