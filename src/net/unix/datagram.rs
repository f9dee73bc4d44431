//! A Unix socket of datagrams.
use crate::io::faults::uninterrupted;
use crate::io::{Again, Manner, Source, Stream, Way, is_read_over, refuse_exploring};
use crate::net::listener::nonblocking;
use crate::net::pauses::Pauses;
use crate::net::traits::{settings, socket_settings, socket_traits};
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

const KIND: &str = "UnixDatagram";

/// How long a send waits between tries while the receiver has no room: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(32));

/// A Unix socket of datagrams: `std::os::unix::net::UnixDatagram` for tasks.
///
/// None is lost on the way; a send waits while the receiver has no room. What does not fit into the
/// buffer of a read is lost. As in std.
///
/// # Examples
///
/// ```
/// use maypole::net::unix::UnixDatagram;
/// use std::{io::ErrorKind, time::Duration};
/// maypole::run(|| {
///     let (a, b) = UnixDatagram::pair().unwrap();
///     let receiver = maypole::spawn(move || {
///         let mut buffer = [0; 16];
///         assert_eq!(b.recv(&mut buffer).unwrap(), 3);
///         b.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
///         assert_eq!(b.recv(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
///         b.close();
///         assert!(b.recv(&mut buffer).is_err());
///     });
///     a.send(b"one").unwrap();
///     assert!(a.take_error().unwrap().is_none());
///     receiver.join().unwrap();
/// });
/// ```
///
/// It stays in its OS thread; to move one to another, move std's type:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::unix::UnixDatagram>();
/// ```
pub struct UnixDatagram(Stream<net::UnixDatagram>);

impl UnixDatagram {
    /// Binds one to a path, where no file may be. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::unix::UnixDatagram;
    /// let path = std::env::temp_dir().join(format!("maypole-datagram-{}", std::process::id()));
    /// maypole::run(|| {
    ///     let server = UnixDatagram::bind(&path).unwrap();
    ///     let client = UnixDatagram::unbound().unwrap();
    ///     client.send_to(b"one", &path).unwrap();
    ///     client.connect(&path).unwrap();
    ///     client.send(b"two!").unwrap();
    ///     let mut buffer = [0; 16];
    ///     let (length, from) = server.recv_from(&mut buffer).unwrap();
    ///     assert!(length == 3 && from.is_unnamed());
    ///     assert_eq!(server.recv(&mut buffer).unwrap(), 4);
    ///     assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
    ///     assert_eq!(server.local_addr().unwrap().as_pathname(), Some(&*path));
    /// });
    /// std::fs::remove_file(path).unwrap();
    /// ```
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Binds one to an address, which need be no path. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use maypole::net::unix::{SocketAddr, UnixDatagram};
    /// use std::os::linux::net::SocketAddrExt;
    /// let name = format!("maypole-datagram-{}", std::process::id());
    /// let address = SocketAddr::from_abstract_name(name).unwrap();
    /// maypole::run(|| {
    ///     let server = UnixDatagram::bind_addr(&address).unwrap();
    ///     let client = UnixDatagram::unbound().unwrap();
    ///     client.send_to_addr(b"one", &address).unwrap();
    ///     client.connect_addr(&address).unwrap();
    ///     client.send(b"two").unwrap();
    ///     assert_eq!(server.recv(&mut [0; 16]).unwrap(), 3);
    /// });
    /// # }
    /// ```
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        UnixDatagram::make(
            "UnixDatagram::bind",
            || net::UnixDatagram::bind_addr(address),
            Location::caller(),
        )
    }

    /// Makes one without an address. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::make(
            "UnixDatagram::unbound",
            net::UnixDatagram::unbound,
            Location::caller(),
        )
    }

    fn make(
        call: &str,
        make: impl Fn() -> io::Result<net::UnixDatagram>,
        at: &'static Location<'static>,
    ) -> io::Result<UnixDatagram> {
        refuse_exploring(call, at);
        let socket = nonblocking(make, |socket| socket.set_nonblocking(true))?;
        Ok(UnixDatagram::nonblocking(socket, at))
    }

    /// Makes two that are connected, and have no names. Parks: no.
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
    /// See [`UnixDatagram`].
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let at = Location::caller();
        refuse_exploring("UnixDatagram::pair", at);
        let (a, b) = nonblocking(net::UnixDatagram::pair, |(a, b)| {
            a.set_nonblocking(true)?;
            b.set_nonblocking(true)
        })?;
        Ok((
            UnixDatagram::nonblocking(a, at),
            UnixDatagram::nonblocking(b, at),
        ))
    }

    /// For a socket that does not block any more.
    fn nonblocking(socket: net::UnixDatagram, at: &'static Location<'static>) -> Self {
        UnixDatagram(Stream::new(socket, KIND, at))
    }

    /// Says where [`send`](Self::send) sends to, and from whom alone anything is received from now
    /// on. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// The same, by an address, which need be no path. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`bind_addr`](Self::bind_addr).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        let socket = self.0.open()?;
        uninterrupted(|| socket.connect_addr(address))
    }

    /// Receives a datagram: its length, and who sent it.
    ///
    /// Parks: until one has come. A kill ends the wait, and none is lost.
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
    /// See [`bind`](Self::bind).
    #[inline]
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let at = Location::caller();
        self.0.operate_at(Way::In, at, |socket| {
            let received = socket.recv_from(buffer);
            match received {
                Err(error) if is_over(socket, &error) => Ok((0, SocketAddr::from_pathname("")?)),
                received => received,
            }
        })
    }

    /// Receives a datagram: its length.
    ///
    /// Parks: until one has come. A kill ends the wait, and none is lost.
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
    /// See [`UnixDatagram`].
    #[inline]
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0.operate_at(Way::In, at, |socket| {
            let received = socket.recv(buffer);
            match received {
                Err(error) if is_over(socket, &error) => Ok(0),
                received => received,
            }
        })
    }

    /// Sends a datagram to whoever is bound to a path.
    ///
    /// Parks: while the receiver has no room; it is tried again at short intervals. Others may send
    /// elsewhere meanwhile. A kill ends the wait, and it is not sent.
    ///
    /// # Errors
    ///
    /// As std's; `TimedOut` after the [time-out](Self::set_write_timeout) for writes.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    #[track_caller]
    pub fn send_to<P: AsRef<Path>>(&self, buffer: &[u8], path: P) -> io::Result<usize> {
        self.send_to_addr(buffer, &SocketAddr::from_pathname(path)?)
    }

    /// The same, by an address, which need be no path.
    ///
    /// Parks: as [`send_to`](Self::send_to).
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Panics
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// # Examples
    ///
    /// See [`bind_addr`](Self::bind_addr).
    #[track_caller]
    pub fn send_to_addr(&self, buffer: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let at = Location::caller();
        let send = || self.0.open()?.send_to_addr(buffer, address);
        if self.0.is_nonblocking() {
            return self.0.source().try_operate(Way::Out, send);
        }
        let manner = Manner {
            at,
            ..self.0.manner(Way::Out)
        };
        let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
        let again = |error: &io::Error| match error.kind() {
            // The socket is always writable: the room that it waits for is another's.
            io::ErrorKind::WouldBlock => Again::After(pauses.next()),
            _ => Again::No,
        };
        // In no line: those who send to others need not wait for this one.
        Source::without_fd(KIND, self.0.source().made_at()).operate_again(manner, again, send)
    }

    /// Sends a datagram to the address that it is [connected](Self::connect) to.
    ///
    /// Parks: while the receiver has no room. A kill ends the wait, and it is not sent.
    ///
    /// # Errors
    ///
    /// As std's; `TimedOut` after the [time-out](Self::set_write_timeout) for writes.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait.
    ///
    /// # Examples
    ///
    /// See [`UnixDatagram`].
    #[inline]
    #[track_caller]
    pub fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0
            .operate_at(Way::Out, at, |socket| socket.send(buffer))
    }

    /// Ends one direction, or both. Calls of other tasks that wait are woken. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{Shutdown, unix::UnixDatagram};
    /// maypole::run(|| {
    ///     let (a, _b) = UnixDatagram::pair().unwrap();
    ///     a.shutdown(Shutdown::Read).unwrap();
    ///     assert_eq!(a.recv(&mut [0; 16]).unwrap(), 0);
    /// });
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shut_down(how, |socket| socket.shutdown(how))
    }

    /// The address that it is bound to; it may have no name. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.local_addr()
    }

    /// The address of the other end, once it is [connected](Self::connect). Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.peer_addr()
    }
}

/// Whether a receive would wait for ever: reading was shut down, of which Linux tells only calls
/// that block.
fn is_over(socket: &net::UnixDatagram, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock && is_read_over(socket.as_fd())
}

socket_traits!(UnixDatagram, net::UnixDatagram);
settings!(UnixDatagram, "See [`UnixDatagram`].");
socket_settings!(UnixDatagram, "See [`UnixDatagram`].");
