//! A TCP socket that listens.
use super::TcpStream;
use super::address::{self, ToSocketAddrs};
use crate::coroutine::say;
use crate::io::{Manner, Source, Way, refuse_exploring, widen_backlog};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

const KIND: &str = "TcpListener";

/// How long an accept waits that found no descriptor free: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

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
/// It stays in its OS thread; to move one to another, move std's type:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::TcpListener>();
/// ```
pub struct TcpListener {
    /// Before the socket, which closes the descriptor.
    source: Source,
    socket: mio::net::TcpListener,
    nonblocking: Cell<bool>,
}

impl TcpListener {
    /// Listens at the first of the addresses that is free; port 0 is any that is.
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
            let socket = crate::io::faults::call(|| mio::net::TcpListener::bind(address))?;
            widen_backlog(socket.as_fd())?;
            Ok(socket)
        })?;
        Ok(TcpListener::nonblocking(socket, at))
    }

    fn nonblocking(socket: mio::net::TcpListener, at: &'static Location<'static>) -> Self {
        TcpListener {
            source: Source::new(socket.as_raw_fd(), KIND, at),
            socket,
            nonblocking: Cell::new(false),
        }
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

    /// The address that it listens at.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Examples
    ///
    /// See [`bind`](Self::bind).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Closes it under those who use it: calls of others that wait for a connection fail, and so do
    /// later ones. Dropping it closes it too, when nobody uses it.
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
        self.source.close(self.socket.as_fd(), Location::caller());
    }

    fn accept_at(&self, at: &'static Location<'static>) -> io::Result<(TcpStream, SocketAddr)> {
        let mut pause = PAUSES.0;
        loop {
            let accepted = match self.nonblocking.get() {
                true => self.source.try_operate(Way::In, || self.socket.accept()),
                false => self.source.operate(accepting(at), || self.socket.accept()),
            };
            match accepted {
                Ok((socket, peer)) => {
                    return Ok((TcpStream::nonblocking(socket.into(), at), peer));
                }
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionAborted
                        && error.raw_os_error().is_some() => {}
                // The connection stays where it is, and no event tells of it again.
                Err(error) if is_exhausted(&error) && !self.nonblocking.get() => {
                    if pause == PAUSES.0 {
                        say(format_args!(
                            "maypole: accept at {at}: {error}; connections wait until there is \
                             one (`ulimit -n` is the limit of this process)"
                        ));
                    }
                    crate::time::sleep(pause);
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn accepting(at: &'static Location<'static>) -> Manner {
    Manner {
        way: Way::In,
        what: What::Accept,
        at,
        limit: Limit::Never,
    }
}

/// Whether the system or the process has too little of something to accept.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// As std's.
impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl UnwindSafe for TcpListener {}
impl RefUnwindSafe for TcpListener {}
