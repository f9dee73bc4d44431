//! A stream of bytes from or to the outside, over whatever std type owns its descriptor.
use super::source::{Manner, Source, Way};
use crate::scheduler::wait::What;
use crate::select::Limit;
use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
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
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        match way {
            Way::In => self.read_timeout.set(timeout),
            Way::Out => self.write_timeout.set(timeout),
        }
        Ok(())
    }

    /// Makes the settings of `self` those of a duplicate.
    pub(crate) fn duplicate(&self, socket: S, at: &'static Location<'static>) -> Self
    where
        S: AsFd,
    {
        let duplicate = Stream::new(socket, self.source.kind(), at);
        duplicate.read_timeout.set(self.read_timeout.get());
        duplicate.write_timeout.set(self.write_timeout.get());
        duplicate.nonblocking.set(self.nonblocking.get());
        duplicate
    }

    #[inline(always)]
    fn manner(&self, way: Way) -> Manner {
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

    /// A call on the side `way` that does not use anything up, so that the next is worth a try.
    #[inline]
    pub(crate) fn operate<T>(
        &self,
        way: Way,
        mut call: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.nonblocking.get() {
            return self.source.try_operate(way, || call(&self.socket));
        }
        self.source.operate(self.manner(way), || call(&self.socket))
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
