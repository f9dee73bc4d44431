//! A stream of bytes from or to the outside, over whatever std type owns its descriptor.
use super::source::{Manner, Source, Way};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::time::Duration;

/// A stream that does not block, with what its calls need to park instead.
pub(crate) struct Stream<S> {
    /// Before the socket, which closes the descriptor.
    source: Source,
    socket: S,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
    /// Whether calls that would wait fail instead, as the user wants it.
    nonblocking: Cell<bool>,
}

impl<S: AsFd> Stream<S> {
    /// For a socket that does not block any more.
    pub(crate) fn new(socket: S, kind: &'static str, at: &'static Location<'static>) -> Self {
        Stream {
            source: Source::new(socket.as_fd().as_raw_fd(), kind, at),
            socket,
            read_timeout: Cell::new(None),
            write_timeout: Cell::new(None),
            nonblocking: Cell::new(false),
        }
    }

    /// Has no call conclude from the bytes that it moved that there are no more: a read of a Unix
    /// socket stops where a descriptor was sent, whatever comes after it.
    pub(crate) fn ragged(mut self) -> Self {
        self.source = self.source.ragged();
        self
    }

    /// The socket, unless it was closed under those who use it.
    ///
    /// # Errors
    ///
    /// What [`Source::close`] says.
    #[inline]
    pub(crate) fn open(&self) -> io::Result<&S> {
        self.source.check_open()?;
        Ok(&self.socket)
    }

    pub(crate) fn close(&self, at: &'static Location<'static>) {
        self.source.close(self.socket.as_fd(), at);
    }

    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The socket, which still does not block, for somebody else.
    pub(crate) fn into_socket(self) -> S {
        self.socket
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.set(nonblocking);
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.get()
    }

    pub(crate) fn timeout(&self, way: Way) -> Option<Duration> {
        match way {
            Way::In => self.read_timeout.get(),
            Way::Out => self.write_timeout.get(),
        }
    }

    /// # Errors
    ///
    /// Of no time at all, as in std.
    pub(crate) fn set_timeout(&self, way: Way, timeout: Option<Duration>) -> io::Result<()> {
        check_timeout(timeout)?;
        match way {
            Way::In => self.read_timeout.set(timeout),
            Way::Out => self.write_timeout.set(timeout),
        }
        Ok(())
    }

    /// With the settings of `other`, whose duplicate it is.
    pub(crate) fn set_like(self, other: &Self) -> Self {
        self.read_timeout.set(other.read_timeout.get());
        self.write_timeout.set(other.write_timeout.get());
        self.nonblocking.set(other.nonblocking.get());
        self
    }

    /// How a call is made whose place nobody has told.
    #[inline(always)]
    pub(crate) fn manner(&self, way: Way) -> Manner {
        Manner {
            way,
            what: match way {
                Way::In => What::Input,
                Way::Out => What::Output,
            },
            // The methods of std's traits do not tell their callers.
            at: self.source.made_at(),
            limit: match self.timeout(way) {
                Some(timeout) => Limit::After(timeout),
                None => Limit::Never,
            },
        }
    }

    /// A call that moves up to `wanted` bytes.
    #[inline(always)]
    fn transfer(
        &self,
        way: Way,
        wanted: usize,
        mut call: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.nonblocking.get() {
            return self.source.try_operate(way, || call(&self.socket));
        }
        let call = || call(&self.socket);
        self.source.transfer(self.manner(way), wanted, call)
    }

    /// A call on the side `way`, made at `at`, that tells nothing of the next: it takes nothing
    /// away, or one datagram.
    #[inline]
    pub(crate) fn operate_at<T>(
        &self,
        way: Way,
        at: &'static Location<'static>,
        mut call: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.nonblocking.get() {
            return self.source.try_operate(way, || call(&self.socket));
        }
        let manner = Manner {
            at,
            ..self.manner(way)
        };
        self.source.operate(manner, || call(&self.socket))
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    ///
    /// Those of `call`, which does it.
    pub(crate) fn shut_down(
        &self,
        how: Shutdown,
        call: impl FnOnce(&S) -> io::Result<()>,
    ) -> io::Result<()> {
        call(self.open()?)?;
        if how != Shutdown::Write {
            self.source.stir(Way::In);
        }
        if how != Shutdown::Read {
            self.source.stir(Way::Out);
        }
        Ok(())
    }
}

/// # Errors
///
/// Of no time at all, as in std.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<()> {
    match timeout.is_some_and(|timeout| timeout.is_zero()) {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot set a 0 duration timeout",
        )),
        false => Ok(()),
    }
}

impl<S: AsFd> Stream<S>
where
    for<'a> &'a S: Read,
{
    #[inline]
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.transfer(Way::In, buffer.len(), |mut socket| socket.read(buffer))
    }

    #[inline]
    pub(crate) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.transfer(Way::In, wanted, |mut socket| socket.read_vectored(buffers))
    }
}

impl<S: AsFd> Stream<S>
where
    for<'a> &'a S: Write,
{
    #[inline]
    pub(crate) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.transfer(Way::Out, buffer.len(), |mut socket| socket.write(buffer))
    }

    #[inline]
    pub(crate) fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.transfer(Way::Out, wanted, |mut socket| {
            socket.write_vectored(buffers)
        })
    }
}
