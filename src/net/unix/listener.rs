//! A Unix socket that listens.
use super::UnixStream;
use crate::io::faults::uninterrupted;
use crate::io::refuse_exploring;
use crate::net::listener::{Listener, listener_traits, nonblocking};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::path::Path;

const KIND: &str = "UnixListener";

/// A Unix socket that listens: `std::os::unix::net::UnixListener` for tasks.
///
/// Its file stays when it is dropped, as std's does, and has to be removed before somebody can
/// listen there again.
///
/// # Examples
///
/// ```
/// use maypole::net::unix::{UnixListener, UnixStream};
/// use std::{io::Write, rc::Rc};
/// let path = std::env::temp_dir().join(format!("maypole-listener-{}", std::process::id()));
/// maypole::run(|| {
///     let listener = Rc::new(UnixListener::bind(&path).unwrap());
///     assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
///     let theirs = listener.clone();
///     let server = maypole::spawn(move || {
///         for connection in theirs.incoming() {
///             connection.unwrap().write_all(b"welcome").unwrap();
///         }
///     });
///     let client = UnixStream::connect(&path).unwrap();
///     assert_eq!(std::io::read_to_string(client).unwrap(), "welcome");
///     assert!(listener.take_error().unwrap().is_none());
///     listener.close();
///     server.join().unwrap();
/// });
/// std::fs::remove_file(path).unwrap();
/// ```
///
/// It stays in its OS thread; to move one to another, move std's type:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::unix::UnixListener>();
/// ```
pub struct UnixListener(Listener<net::UnixListener>);

impl UnixListener {
    /// Listens at a path, where no file may be. Parks: no.
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
    /// See [`UnixListener`].
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens at an address, which need be no path. Parks: no.
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
    /// use maypole::net::unix::{SocketAddr, UnixListener, UnixStream};
    /// use std::os::linux::net::SocketAddrExt;
    /// let name = format!("maypole-{}", std::process::id());
    /// let address = SocketAddr::from_abstract_name(name).unwrap();
    /// maypole::run(|| {
    ///     let listener = UnixListener::bind_addr(&address).unwrap();
    ///     let client = UnixStream::connect_addr(&address).unwrap();
    ///     let (_, peer) = listener.accept().unwrap();
    ///     assert!(peer.is_unnamed());
    ///     assert!(!client.peer_addr().unwrap().is_unnamed());
    /// });
    /// # }
    /// ```
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let at = Location::caller();
        refuse_exploring("UnixListener::bind", at);
        let socket = nonblocking(
            || net::UnixListener::bind_addr(address),
            |socket| socket.set_nonblocking(true),
        )?;
        Ok(UnixListener(Listener::new(socket, KIND, at)))
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
    /// See [`bind_addr`](Self::bind_addr).
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.accept_at(Location::caller())
    }

    fn accept_at(&self, at: &'static Location<'static>) -> io::Result<(UnixStream, SocketAddr)> {
        // Not mio's, which does not tell names that are no paths.
        let (socket, peer) = self.0.accept(at, |listener| {
            let (socket, peer) = listener.accept()?;
            socket.set_nonblocking(true)?;
            Ok((socket, peer))
        })?;
        Ok((UnixStream::nonblocking(socket, at), peer))
    }

    /// The address that it listens at. Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`UnixListener`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.open()?.local_addr()
    }

    /// Closes it under those who use it: calls of others that wait for a connection fail, and so do
    /// later ones ([`ConnectionAborted`](io::ErrorKind::ConnectionAborted)). Duplicates listen no
    /// more either. Dropping it closes it too, when nobody uses it.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// See [`UnixListener`].
    #[track_caller]
    pub fn close(&self) {
        self.0.close(Location::caller());
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    #[track_caller]
    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

listener_traits!(
    UnixListener,
    UnixStream,
    net::UnixListener,
    net::UnixListener,
    "See [`UnixListener`]."
);
