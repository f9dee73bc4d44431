//! What all connections are to std: `Read` and `Write`, and descriptors.

/// The traits of a connection, a tuple of one [`Stream`](crate::io::Stream).
macro_rules! connection_traits {
    ($type:ty) => {
        /// Parks: until something has come, or the other end has said that nothing will. A kill
        /// ends the wait, and nothing is read.
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

        impl Read for &$type {
            #[inline]
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }

            #[inline]
            fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.read_vectored(buffers)
            }
        }

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

        impl Write for &$type {
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

pub(super) use connection_traits;
