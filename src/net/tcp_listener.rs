//! A TCP socket that listens.
use super::TcpStream;
use super::address::{self, ToSocketAddrs};
use super::listener::{Listener, listener_traits};
use crate::io::faults::uninterrupted;
use crate::io::{bind_reuse_port, refuse_exploring, widen_backlog};
use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

const KIND: &str = "TcpListener";

/// A TCP socket that listens: `std::net::TcpListener` for tasks.
///
/// # Examples
///
/// ```
/// use maypole::net::{TcpListener, TcpStream};
/// maypole::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
///     let address = listener.local_addr().unwrap();
///     let client = maypole::spawn(move || TcpStream::connect(address).unwrap());
///     let (connection, peer) = listener.accept().unwrap();
///     assert_eq!(connection.peer_addr().unwrap(), peer);
///     client.join().unwrap();
/// });
/// ```
///
/// A server that ends when it is told to:
///
/// ```
/// use maypole::net::{TcpListener, TcpStream};
/// use std::{io::Write, rc::Rc};
/// maypole::run(|| {
///     let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
///     let theirs = listener.clone();
///     let server = maypole::spawn(move || {
///         let mut served = 0;
///         for connection in theirs.incoming() {
///             connection.unwrap().write_all(b"welcome").unwrap();
///             served += 1;
///         }
///         served
///     });
///     let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
///     std::io::read_to_string(client).unwrap();
///     listener.close();
///     assert_eq!(server.join().unwrap(), 1);
/// });
/// ```
///
/// It stays in its OS thread; to move one to another, move std's type:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::TcpListener>();
/// ```
pub struct TcpListener(Listener<mio::net::TcpListener>);

impl TcpListener {
    /// Listens at the first of the addresses that is free; port 0 is any that is.
    ///
    /// Up to 4096 connections wait in the system until they are accepted, or as many as it allows
    /// (`net.core.somaxconn` on Linux).
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
    /// let listener = maypole::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// assert_ne!(listener.local_addr().unwrap().port(), 0);
    /// ```
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<TcpListener> {
        let at = Location::caller();
        refuse_exploring("TcpListener::bind", at);
        let socket = address::each(address, |address| {
            uninterrupted(|| {
                let socket = mio::net::TcpListener::bind(address)?;
                widen_backlog(socket.as_fd())?;
                Ok(socket)
            })
        })?;
        Ok(TcpListener(Listener::new(socket, KIND, at)))
    }

    /// Listens at an address that others which ask for it in this way share (`SO_REUSEPORT`): one
    /// scheduler for each core, say. The system gives each connection to one of them.
    ///
    /// Parks: only to look a name up.
    ///
    /// # Errors
    ///
    /// As std's; where somebody listens there who does not share it.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::TcpListener;
    /// let first = TcpListener::bind_reuse_port("127.0.0.1:0").unwrap();
    /// let address = first.local_addr().unwrap();
    /// let second = TcpListener::bind_reuse_port(address).unwrap();
    /// assert_eq!(second.local_addr().unwrap(), address);
    /// assert!(TcpListener::bind(address).is_err());
    /// ```
    #[track_caller]
    pub fn bind_reuse_port<A: ToSocketAddrs>(address: A) -> io::Result<TcpListener> {
        let at = Location::caller();
        refuse_exploring("TcpListener::bind_reuse_port", at);
        let socket = address::each(address, |address| {
            uninterrupted(|| {
                let socket = bind_reuse_port(address)?;
                widen_backlog(socket.as_fd())?;
                Ok(net::TcpListener::from(socket))
            })
        })?;
        let socket = mio::net::TcpListener::from_std(socket);
        Ok(TcpListener(Listener::new(socket, KIND, at)))
    }

    /// Waits for somebody who connects.
    ///
    /// When no descriptor is free it says so once on stderr, and tries again until there is one:
    /// connections wait in the system meanwhile.
    ///
    /// Parks: until somebody connects. A kill ends the wait, and no connection is lost.
    ///
    /// # Errors
    ///
    /// The system's; after [`close`](Self::close).
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if nobody has connected yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{TcpListener, TcpStream};
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///     let (_, peer) = listener.accept().unwrap();
    ///     assert_eq!(peer, client.local_addr().unwrap());
    /// });
    /// ```
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_at(Location::caller())
    }

    #[inline]
    fn accept_at(&self, at: &'static Location<'static>) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.0.accept(at, mio::net::TcpListener::accept)?;
        Ok((TcpStream::nonblocking(socket.into(), at), peer))
    }

    /// The connections, one by one, with the listener inside. It never ends.
    ///
    /// Parks: its `next` does, until somebody connects. A kill ends the wait, and no connection is
    /// lost.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Self::accept).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{TcpListener, TcpStream};
    /// maypole::run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///     let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ///     let connection = listener.into_incoming().next().unwrap().unwrap();
    ///     assert_eq!(connection.peer_addr().unwrap(), client.local_addr().unwrap());
    /// });
    /// ```
    #[track_caller]
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming {
            listener: self,
            at: Location::caller(),
        }
    }

    /// The address that it listens at. Parks: no.
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

    /// Says how many routers a packet of a connection may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// ```
    /// let listener = maypole::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// listener.set_ttl(42).unwrap();
    /// assert_eq!(listener.ttl().unwrap(), 42);
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.open()?.set_ttl(ttl)
    }

    /// How many routers a packet of a connection may pass. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`set_ttl`](Self::set_ttl).
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.open()?.ttl()
    }

    /// Closes it under those who use it: calls of others that wait for a connection fail, and so do
    /// later ones ([`ConnectionAborted`](io::ErrorKind::ConnectionAborted)). Duplicates listen no
    /// more either. Dropping it closes it too, when nobody uses it.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::TcpListener;
    /// use std::rc::Rc;
    /// maypole::run(|| {
    ///     let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    ///     let theirs = listener.clone();
    ///     let server = maypole::spawn(move || theirs.accept().is_err());
    ///     maypole::yield_now();
    ///     listener.close();
    ///     assert!(server.join().unwrap());
    /// });
    /// ```
    #[track_caller]
    pub fn close(&self) {
        self.0.close(Location::caller());
    }
}

/// The connections that a listener gets, which it owns ([`TcpListener::into_incoming`]).
///
/// # Examples
///
/// See [`TcpListener::into_incoming`].
#[derive(Debug)]
pub struct IntoIncoming {
    listener: TcpListener,
    at: &'static Location<'static>,
}

/// Parks: until somebody connects. A kill ends the wait, and no connection is lost.
impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        let incoming = Incoming {
            listener: &self.listener,
            at: self.at,
        };
        { incoming }.next()
    }
}

impl std::iter::FusedIterator for IntoIncoming {}

listener_traits!(
    TcpListener,
    TcpStream,
    net::TcpListener,
    mio::net::TcpListener,
    "See [`TcpListener`]."
);
