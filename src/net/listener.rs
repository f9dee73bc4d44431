//! What all sockets that listen have in common: waiting for a connection, and for a descriptor.
use super::pauses::Pauses;
use crate::coroutine::say;
use crate::io::{Again, Manner, Source, Way, faults, prepare};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::time::Duration;

/// How long an accept waits that found no descriptor free: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// A socket that listens, and does not block.
pub(super) struct Listener<L> {
    /// Before the socket, which closes the descriptor.
    source: Source,
    socket: L,
    nonblocking: Cell<bool>,
}

impl<L: AsFd> Listener<L> {
    pub(super) fn new(socket: L, kind: &'static str, at: &'static Location<'static>) -> Self {
        // What a wait needs a descriptor for is had now: later there may be none, and then it waits
        // for one. If there is none already, the first wait says so.
        let _ = prepare();
        Listener {
            source: Source::new(socket.as_fd().as_raw_fd(), kind, at),
            socket,
            nonblocking: Cell::new(false),
        }
    }

    pub(super) fn socket(&self) -> &L {
        &self.socket
    }

    /// The socket, unless it was closed under those who use it.
    pub(super) fn open(&self) -> io::Result<&L> {
        self.source.check_open()?;
        Ok(&self.socket)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.source.is_closed()
    }

    pub(super) fn into_socket(self) -> L {
        self.socket
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.set(nonblocking);
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.nonblocking.get()
    }

    pub(super) fn close(&self, at: &'static Location<'static>) {
        self.source.close(self.socket.as_fd(), at);
    }

    /// The next connection, by `call`, which takes one that waits.
    #[inline]
    pub(super) fn accept<T>(
        &self,
        at: &'static Location<'static>,
        call: impl Fn(&L) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.nonblocking.get() {
            return self.source.try_operate(Way::In, || call(&self.socket));
        }
        let manner = Manner {
            way: Way::In,
            what: What::Accept,
            at,
            limit: Limit::Never,
        };
        let mut pauses = None;
        let again = |error: &io::Error| again(error, &mut pauses, at);
        self.source
            .operate_again(manner, again, || call(&self.socket))
    }
}

#[cold]
fn again(error: &io::Error, pauses: &mut Option<Pauses>, at: &Location<'_>) -> Again {
    match error.raw_os_error() {
        // Whoever it was has gone.
        Some(libc::ECONNABORTED) => Again::Now,
        // The connection stays where it is, and no event tells of it again.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            let pauses = pauses.get_or_insert_with(|| {
                say(format_args!(
                    "maypole: accept at {at}: {error}; connections wait until there is one \
                     (`ulimit -n` is the limit of this process)"
                ));
                Pauses::new(PAUSES.0, PAUSES.1)
            });
            Again::After(pauses.next())
        }
        _ => Again::No,
    }
}

/// For a socket that another one is made of.
pub(super) fn nonblocking<S>(
    make: impl Fn() -> io::Result<S>,
    set: impl Fn(&S) -> io::Result<()>,
) -> io::Result<S> {
    faults::uninterrupted(|| {
        let socket = make()?;
        set(&socket)?;
        Ok(socket)
    })
}

/// The methods and traits of everything that listens: a tuple of one [`Listener`].
macro_rules! listener_traits {
    ($type:ident, $stream:ident, $std:ty, $inner:ty, $example:literal) => {
        impl $type {
            /// The connections, one by one, as [`accept`](Self::accept) gives them.
            ///
            /// It ends when the listener is [closed](Self::close), and never before.
            ///
            /// Parks: its `next` does, until somebody connects. A kill ends the wait, and no
            /// connection is lost.
            ///
            /// # Errors
            ///
            /// Those of [`accept`](Self::accept).
            ///
            /// # Examples
            ///
            #[doc = $example]
            #[track_caller]
            pub fn incoming(&self) -> Incoming<'_> {
                Incoming {
                    listener: self,
                    at: Location::caller(),
                }
            }

            /// Makes another handle to the same socket. Parks: no.
            ///
            /// Either gets what the other has not accepted; each has its own mode, and its own
            /// line of waiting tasks.
            ///
            /// # Errors
            ///
            /// As std's: when no descriptor is free, for one.
            ///
            /// # Examples
            ///
            #[doc = $example]
            #[track_caller]
            pub fn try_clone(&self) -> io::Result<$type> {
                let socket = self.0.open()?;
                let socket = uninterrupted(|| socket.as_fd().try_clone_to_owned())?;
                let socket = <$inner>::from(socket);
                let clone = Listener::new(socket, KIND, Location::caller());
                clone.set_nonblocking(self.0.is_nonblocking());
                Ok($type(clone))
            }

            /// The error that is pending, if any, which is cleared. Parks: no.
            ///
            /// # Errors
            ///
            /// As std's.
            ///
            /// # Examples
            ///
            #[doc = $example]
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.0.open()?.take_error()
            }

            /// Says whether [`accept`](Self::accept) fails with
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) instead of parking. Parks: no.
            ///
            /// It concerns this handle alone, and calls that begin after it.
            ///
            /// # Errors
            ///
            /// None; std's has one.
            ///
            /// # Examples
            ///
            #[doc = $example]
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.0.set_nonblocking(nonblocking);
                Ok(())
            }
        }

        /// The connections that a listener gets
        #[doc = concat!("([`", stringify!($type), "::incoming`]).")]
        ///
        /// # Examples
        ///
        #[doc = $example]
        #[derive(Debug)]
        pub struct Incoming<'a> {
            listener: &'a $type,
            at: &'static Location<'static>,
        }

        /// Parks: until somebody connects. A kill ends the wait, and no connection is lost.
        impl Iterator for Incoming<'_> {
            type Item = io::Result<$stream>;

            fn next(&mut self) -> Option<io::Result<$stream>> {
                if self.listener.0.is_closed() {
                    return None;
                }
                let accepted = self.listener.accept_at(self.at);
                // It may have been closed meanwhile, which is the end.
                match accepted {
                    Err(_) if self.listener.0.is_closed() => None,
                    accepted => Some(accepted.map(|(stream, _)| stream)),
                }
            }
        }

        impl std::iter::FusedIterator for Incoming<'_> {}

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.socket().as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.0.socket().as_raw_fd()
            }
        }

        impl IntoRawFd for $type {
            /// Out of the reactor; it still does not block the OS thread.
            fn into_raw_fd(self) -> RawFd {
                self.0.into_socket().into_raw_fd()
            }
        }

        /// It parks tasks from now on, whatever mode it was in. What the descriptor names does not
        /// block any more, and that holds for duplicates of it too.
        impl From<$std> for $type {
            #[track_caller]
            fn from(socket: $std) -> $type {
                socket
                    .set_nonblocking(true)
                    .expect("every socket can be told not to block");
                let socket = <$inner>::from(OwnedFd::from(socket));
                $type(Listener::new(socket, KIND, Location::caller()))
            }
        }

        /// Blocking the OS thread, unless [`set_nonblocking`](Self::set_nonblocking) has said not
        /// to. So do its duplicates then, which nobody should use any more.
        impl From<$type> for $std {
            fn from(socket: $type) -> $std {
                let nonblocking = socket.0.is_nonblocking();
                let socket = <$std>::from(OwnedFd::from(socket.0.into_socket()));
                // It does not fail, unless it was closed under those who use it.
                let _ = socket.set_nonblocking(nonblocking);
                socket
            }
        }

        /// As for std's type.
        impl From<OwnedFd> for $type {
            #[track_caller]
            fn from(socket: OwnedFd) -> $type {
                <$type>::from(<$std>::from(socket))
            }
        }

        /// As for std's type.
        impl From<$type> for OwnedFd {
            fn from(socket: $type) -> OwnedFd {
                <$std>::from(socket).into()
            }
        }

        /// As std's.
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.socket().fmt(f)
            }
        }

        impl UnwindSafe for $type {}
        impl RefUnwindSafe for $type {}
    };
}

pub(super) use listener_traits;
