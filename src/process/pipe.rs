//! The pipes to and from a child.
use super::Stdio;
use crate::io::{Stream, faults, set_nonblocking};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

/// What a child reads: `std::process::ChildStdin` for tasks. Dropped, it is at its end.
///
/// # Examples
///
/// See [`Child`](super::Child). It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::process::ChildStdin>();
/// ```
pub struct ChildStdin(Stream<PipeWriter>);

/// What a child writes: `std::process::ChildStdout` for tasks.
///
/// # Examples
///
/// See [`Child`](super::Child). It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::process::ChildStdout>();
/// ```
pub struct ChildStdout(Stream<PipeReader>);

/// What a child complains of: `std::process::ChildStderr` for tasks.
///
/// # Examples
///
/// See [`Child`](super::Child). It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::process::ChildStderr>();
/// ```
pub struct ChildStderr(Stream<PipeReader>);

/// Makes our end of a pipe one that does not block; the child's end is its own.
fn end(pipe: OwnedFd) -> io::Result<OwnedFd> {
    faults::uninterrupted(|| set_nonblocking(pipe.as_fd(), true))?;
    Ok(pipe)
}

/// Makes it one that blocks, as whoever has it next expects.
fn blocking(pipe: OwnedFd) -> OwnedFd {
    // It fails for no descriptor that is a pipe.
    let _ = set_nonblocking(pipe.as_fd(), false);
    pipe
}

macro_rules! pipes {
    ($($type:ident, $end:ident;)*) => {$(
        impl $type {
            /// For the end that std gave us.
            pub(super) fn new(
                pipe: impl Into<OwnedFd>,
                at: &'static Location<'static>,
            ) -> io::Result<Self> {
                let pipe = $end::from(end(pipe.into())?);
                // A child can make its pipe one of packets, and a read stops after each.
                Ok($type(Stream::new(pipe, stringify!($type), at).ragged()))
            }
        }

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

        /// The pipe, which blocks again.
        impl From<$type> for OwnedFd {
            fn from(pipe: $type) -> OwnedFd {
                blocking(pipe.0.into_socket().into())
            }
        }

        /// For another child, as in `a | b`.
        impl From<$type> for Stdio {
            fn from(pipe: $type) -> Stdio {
                Stdio::from(OwnedFd::from(pipe))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }

        impl UnwindSafe for $type {}
        impl RefUnwindSafe for $type {}
    )*};
}

pipes! {
    ChildStdin, PipeWriter;
    ChildStdout, PipeReader;
    ChildStderr, PipeReader;
}

macro_rules! writes {
    ($($type:ty),*) => {$(
        /// Parks: until there is room for some of it. A kill ends the wait, and nothing of that
        /// call is written.
        impl Write for $type {
            #[inline]
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                self.0.write(buffer)
            }

            #[inline]
            fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.write_vectored(buffers)
            }

            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

macro_rules! reads {
    ($($type:ty),*) => {$(
        /// Parks: until something has come, or all who could write have ended. A kill ends the
        /// wait, and nothing is read.
        impl Read for $type {
            #[inline]
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }

            #[inline]
            fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.read_vectored(buffers)
            }
        }
    )*};
}

writes!(ChildStdin, &ChildStdin);
reads!(ChildStdout, &ChildStdout, ChildStderr, &ChildStderr);
