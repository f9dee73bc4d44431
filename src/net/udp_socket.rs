//! A UDP socket.
use super::address::{self, ToSocketAddrs};
use super::listener::nonblocking;
use super::traits::{settings, socket_settings, socket_traits};
use crate::io::faults::uninterrupted;
use crate::io::{Stream, Way, refuse_exploring};
use std::fmt;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

const KIND: &str = "UdpSocket";

/// A UDP socket: `std::net::UdpSocket` for tasks.
///
/// Each call moves one datagram. What does not fit into the buffer of a read is lost, and a datagram
/// may be empty. If nobody listens at the address that a datagram was sent to, a later call on a
/// [connected](Self::connect) socket may fail with `ConnectionRefused`. All as in std.
///
/// # Examples
///
/// ```
/// use maypole::net::UdpSocket;
/// maypole::run(|| {
///     let server = UdpSocket::bind("127.0.0.1:0").unwrap();
///     let address = server.local_addr().unwrap();
///     let client = maypole::spawn(move || {
///         let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
///         socket.send_to(b"ping", address).unwrap();
///         let mut answer = [0; 16];
///         let (length, from) = socket.recv_from(&mut answer).unwrap();
///         assert_eq!((&answer[..length], from), (&b"pong"[..], address));
///     });
///     let mut question = [0; 16];
///     let (length, from) = server.recv_from(&mut question).unwrap();
///     assert_eq!(&question[..length], b"ping");
///     server.send_to(b"pong", from).unwrap();
///     client.join().unwrap();
/// });
/// ```
///
/// Between two that are connected, with settings:
///
/// ```
/// use maypole::net::UdpSocket;
/// use std::{io::ErrorKind, time::Duration};
/// maypole::run(|| {
///     let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
///     a.connect(b.local_addr().unwrap()).unwrap();
///     b.connect(a.local_addr().unwrap()).unwrap();
///     assert_eq!(a.peer_addr().unwrap(), b.local_addr().unwrap());
///     a.send(b"one").unwrap();
///     let mut buffer = [0; 16];
///     assert_eq!(b.peek(&mut buffer).unwrap(), 3);
///     assert_eq!(b.recv(&mut buffer).unwrap(), 3);
///     b.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
///     assert_eq!(b.recv(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
///     b.set_nonblocking(true).unwrap();
///     assert_eq!(b.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
///     b.close();
///     assert!(b.recv(&mut buffer).is_err());
/// });
/// ```
///
/// It stays in its OS thread; to move one to another, move std's type:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::UdpSocket>();
/// ```
pub struct UdpSocket(Stream<net::UdpSocket>);

impl UdpSocket {
    /// Binds one to the first of the addresses that is free; port 0 is any that is.
    ///
    /// Parks: only to look a name up.
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
    /// let socket = maypole::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// assert_ne!(socket.local_addr().unwrap().port(), 0);
    /// ```
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<UdpSocket> {
        let at = Location::caller();
        refuse_exploring("UdpSocket::bind", at);
        let socket = address::each(address, |address| {
            nonblocking(
                || net::UdpSocket::bind(address),
                |socket| socket.set_nonblocking(true),
            )
        })?;
        Ok(UdpSocket::nonblocking(socket, at))
    }

    fn nonblocking(socket: net::UdpSocket, at: &'static Location<'static>) -> Self {
        UdpSocket(Stream::new(socket, KIND, at))
    }

    /// Says where [`send`](Self::send) sends to, and from whom alone anything is received from now
    /// on: from the first of the addresses that will do.
    ///
    /// Parks: only to look a name up.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`UdpSocket`].
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(&self, address: A) -> io::Result<()> {
        address::each(address, |address| {
            let socket = self.0.open()?;
            uninterrupted(|| socket.connect(address))
        })
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
    /// See [`UdpSocket`].
    #[inline]
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let at = Location::caller();
        self.0
            .operate_at(Way::In, at, |socket| socket.recv_from(buffer))
    }

    /// Receives a datagram, and leaves it for the next call: its length, and who sent it.
    ///
    /// Parks: until one has come. A kill ends the wait.
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
    /// See [`UdpSocket`].
    #[track_caller]
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let at = Location::caller();
        self.0
            .operate_at(Way::In, at, |socket| socket.peek_from(buffer))
    }

    /// Sends a datagram to the first address that `address` stands for.
    ///
    /// Parks: until the system has room for it, and to look a name up. A kill ends the wait, and it
    /// is not sent.
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
    /// See [`UdpSocket`].
    #[inline]
    #[track_caller]
    pub fn send_to<A: ToSocketAddrs>(&self, buffer: &[u8], address: A) -> io::Result<usize> {
        let at = Location::caller();
        let address = address::first(address, "no addresses to send data to")?;
        self.0
            .operate_at(Way::Out, at, |socket| socket.send_to(buffer, address))
    }

    /// Receives a datagram from the address that it is [connected](Self::connect) to: its length.
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
    /// See [`UdpSocket`].
    #[inline]
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0.operate_at(Way::In, at, |socket| socket.recv(buffer))
    }

    /// Receives a datagram, and leaves it for the next call: its length.
    ///
    /// Parks: until one has come. A kill ends the wait.
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
    /// See [`UdpSocket`].
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0.operate_at(Way::In, at, |socket| socket.peek(buffer))
    }

    /// Sends a datagram to the address that it is [connected](Self::connect) to.
    ///
    /// Parks: until the system has room for it. A kill ends the wait, and it is not sent.
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
    /// See [`UdpSocket`].
    #[inline]
    #[track_caller]
    pub fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        let at = Location::caller();
        self.0
            .operate_at(Way::Out, at, |socket| socket.send(buffer))
    }

    /// The address of the other end, once it is [connected](Self::connect). Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`UdpSocket`].
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.peer_addr()
    }

    /// The address that it is bound to. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`UdpSocket`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.local_addr()
    }

    /// Says whether it may send to all in a network at once. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = maypole::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// socket.set_broadcast(true).unwrap();
    /// assert!(socket.broadcast().unwrap());
    /// socket.set_ttl(42).unwrap();
    /// assert_eq!(socket.ttl().unwrap(), 42);
    /// socket.set_multicast_loop_v4(false).unwrap();
    /// assert!(!socket.multicast_loop_v4().unwrap());
    /// socket.set_multicast_ttl_v4(2).unwrap();
    /// assert_eq!(socket.multicast_ttl_v4().unwrap(), 2);
    /// assert!(socket.take_error().unwrap().is_none());
    /// ```
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.0.open()?.set_broadcast(broadcast)
    }

    /// Whether it may send to all in a network at once. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn broadcast(&self) -> io::Result<bool> {
        self.0.open()?.broadcast()
    }

    /// Says how many routers a datagram may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.open()?.set_ttl(ttl)
    }

    /// How many routers a datagram may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.open()?.ttl()
    }

    /// Says whether this host gets what it sends to a group itself. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.0.open()?.set_multicast_loop_v4(on)
    }

    /// Whether this host gets what it sends to a group itself. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.0.open()?.multicast_loop_v4()
    }

    /// Says how many routers a datagram to a group may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.0.open()?.set_multicast_ttl_v4(ttl)
    }

    /// How many routers a datagram to a group may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.0.open()?.multicast_ttl_v4()
    }

    /// Says whether this host gets what it sends to a group itself. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.0.open()?.set_multicast_loop_v6(on)
    }

    /// Whether this host gets what it sends to a group itself. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.0.open()?.multicast_loop_v6()
    }

    /// Joins a group, at the interface of this address. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.0.open()?.join_multicast_v4(group, interface)
    }

    /// Joins a group, at the interface of this number. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.open()?.join_multicast_v6(group, interface)
    }

    /// Leaves a group again. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.0.open()?.leave_multicast_v4(group, interface)
    }

    /// Leaves a group again. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_broadcast`](Self::set_broadcast).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.open()?.leave_multicast_v6(group, interface)
    }
}

socket_traits!(UdpSocket, net::UdpSocket);
settings!(UdpSocket, "See [`UdpSocket`].");
socket_settings!(UdpSocket, "See [`set_broadcast`](Self::set_broadcast).");
