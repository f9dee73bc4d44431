//! What all sockets are to std, and the settings that they have in common.

/// `Read` and `Write`, for the type and for references to it: a tuple of something that reads and
/// writes.
macro_rules! byte_traits {
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
    };
}

/// The traits of everything that has a descriptor, and the way from std's type and back: a tuple of
/// one [`Stream`](crate::io::Stream) over std's type.
macro_rules! socket_traits {
    ($type:ident, $std:ty) => {
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

        /// It parks tasks from now on, whatever mode it was in, and keeps its time-outs. What the
        /// descriptor names does not block any more, and that holds for duplicates of it too.
        impl From<$std> for $type {
            #[track_caller]
            fn from(socket: $std) -> $type {
                let timeouts = (socket.read_timeout(), socket.write_timeout());
                socket
                    .set_nonblocking(true)
                    .expect("every socket can be told not to block");
                let socket = <$type>::nonblocking(socket, Location::caller());
                let (read_timeout, write_timeout) = timeouts;
                let _ = socket.0.set_timeout(Way::In, read_timeout.unwrap_or(None));
                let _ = socket
                    .0
                    .set_timeout(Way::Out, write_timeout.unwrap_or(None));
                socket
            }
        }

        /// With its time-outs, and blocking the OS thread, unless
        /// [`set_nonblocking`](Self::set_nonblocking) has said not to. So do its duplicates then,
        /// which nobody should use any more.
        impl From<$type> for $std {
            fn from(socket: $type) -> $std {
                let nonblocking = socket.0.is_nonblocking();
                let timeouts = (socket.0.timeout(Way::In), socket.0.timeout(Way::Out));
                let socket = socket.0.into_socket();
                // None of it fails, unless it was closed under those who use it.
                let _ = socket.set_nonblocking(nonblocking);
                if timeouts.0.is_some() {
                    let _ = socket.set_read_timeout(timeouts.0);
                }
                if timeouts.1.is_some() {
                    let _ = socket.set_write_timeout(timeouts.1);
                }
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

/// Time-outs, which mode it is in, and its end: of a tuple of something that has them.
macro_rules! settings {
    ($type:ident, $example:literal) => {
        impl $type {
            /// Sets how long calls that read may wait; `None` is for ever. Parks: no.
            ///
            /// A call that is too late fails with [`TimedOut`](io::ErrorKind::TimedOut). The time
            /// in which other tasks read first counts. A handle has its own time-outs; one from
            /// [`try_clone`](Self::try_clone) begins with those of the original.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for no time at all, as std's.
            ///
            /// # Examples
            ///
            #[doc = $example]
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.set_timeout(Way::In, timeout)
            }

            /// Sets how long calls that write may wait; `None` is for ever. Parks: no.
            ///
            /// As [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// # Errors
            ///
            /// `InvalidInput` for no time at all, as std's.
            ///
            /// # Examples
            ///
            #[doc = $example]
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.set_timeout(Way::Out, timeout)
            }

            /// How long calls that read may wait. Parks: no.
            ///
            /// # Errors
            ///
            /// None; std's has one.
            ///
            /// # Examples
            ///
            #[doc = $example]
            pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.0.timeout(Way::In))
            }

            /// How long calls that write may wait. Parks: no.
            ///
            /// # Errors
            ///
            /// None; std's has one.
            ///
            /// # Examples
            ///
            #[doc = $example]
            pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.0.timeout(Way::Out))
            }

            /// Says whether calls that would park fail with
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) instead. Parks: no.
            ///
            /// It concerns this handle alone, and calls that begin after it. Such calls never
            /// yield, so a loop of them should ([`yield_now`](crate::yield_now)). While another
            /// task waits in the same direction they fail, for it has come first.
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

            /// Closes it under those who use it: calls of other tasks that wait fail, and so do
            /// later ones ([`ConnectionAborted`](io::ErrorKind::ConnectionAborted)). To the other
            /// end it is as if it were dropped, even where duplicates live, which are shut down.
            ///
            /// Dropping it closes it too, when nobody uses it.
            ///
            /// Parks: no.
            ///
            /// # Examples
            ///
            #[doc = $example]
            #[track_caller]
            pub fn close(&self) {
                self.0.close(Location::caller());
            }
        }
    };
}

/// What std's sockets have besides.
macro_rules! socket_settings {
    ($type:ident, $example:literal) => {
        impl $type {
            /// Makes another handle to the same socket. Parks: no.
            ///
            /// What is done to the socket concerns both, its end by a shutdown, say. Time-outs and
            /// the mode of the duplicate are its own, and each handle has its own line of waiting
            /// tasks.
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
                let socket = uninterrupted(|| socket.try_clone())?;
                let clone = <$type>::nonblocking(socket, Location::caller());
                Ok($type(clone.0.set_like(&self.0)))
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
        }
    };
}

pub(super) use {byte_traits, settings, socket_settings, socket_traits};
