//! Waiting for any descriptor, without a call on it.
use super::faults;
use super::source::{Manner, Way, refuse_exploring};
use super::stream::Stream;
use super::sys;
use crate::scheduler::wait::{Wait, What};
use crate::select::{Limit, enter};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::Location;
use std::time::Duration;

/// Waits until a read of `fd` would not wait: something has come, the other end is gone, or there
/// is an error to be told.
///
/// It is for descriptors that maypole knows nothing of: those of a C library, of a device. Any will
/// do, also one that blocks, one that another waits for, and a file on disk, which is always ready.
/// Several tasks may wait for one; all are woken, and the first to read may leave nothing for the
/// others. While it waits it keeps a duplicate of the descriptor.
///
/// Parks: until then. A kill ends the wait, and nothing is left behind.
///
/// # Errors
///
/// The system's: a descriptor that is closed, none free for the duplicate. `TimedOut` in a
/// destructor of a task that unwinds, after the time it has for that.
///
/// # Panics
///
/// Outside of [`run`](crate::run), if it is not ready; while schedules are explored.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// maypole::run(|| {
///     let (mut here, mut there) = UnixStream::pair().unwrap(); // std's: it blocks
///     let sender = maypole::spawn(move || there.write_all(b"!").unwrap());
///     maypole::io::wait_readable(&here).unwrap();
///     let mut byte = [0];
///     here.read_exact(&mut byte).unwrap(); // it does not wait
///     assert_eq!(&byte, b"!");
///     sender.join().unwrap();
/// });
/// ```
#[track_caller]
pub fn wait_readable(fd: impl AsFd) -> io::Result<()> {
    let at = Location::caller();
    until_ready(fd.as_fd(), Way::In, "wait_readable", Limit::Never, at)
}

/// Waits until a read of `fd` would not wait, for at most `timeout`; tells whether it would not.
///
/// Parks: for at most `timeout`. Otherwise as [`wait_readable`].
///
/// # Errors
///
/// The system's.
///
/// # Panics
///
/// Outside of [`run`](crate::run), if it is not ready; while schedules are explored.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| {
///     let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
///     let short = Duration::from_millis(1);
///     assert!(!maypole::io::wait_readable_timeout(&here, short).unwrap());
/// });
/// ```
#[track_caller]
pub fn wait_readable_timeout(fd: impl AsFd, timeout: Duration) -> io::Result<bool> {
    let (limit, at) = (Limit::After(timeout), Location::caller());
    in_time(until_ready(
        fd.as_fd(),
        Way::In,
        "wait_readable_timeout",
        limit,
        at,
    ))
}

/// Waits until a write to `fd` would not wait: there is room, the other end is gone, or there is an
/// error to be told.
///
/// A write of more bytes than there is room for waits all the same, if the descriptor blocks.
///
/// Parks: until then. A kill ends the wait. Otherwise as [`wait_readable`].
///
/// # Errors
///
/// The system's; as for [`wait_readable`].
///
/// # Panics
///
/// Outside of [`run`](crate::run), if it is not ready; while schedules are explored.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
///     maypole::io::wait_writable(&here).unwrap(); // at once
/// });
/// ```
#[track_caller]
pub fn wait_writable(fd: impl AsFd) -> io::Result<()> {
    let at = Location::caller();
    until_ready(fd.as_fd(), Way::Out, "wait_writable", Limit::Never, at)
}

/// Waits until a write to `fd` would not wait, for at most `timeout`; tells whether it would not.
///
/// Parks: for at most `timeout`. Otherwise as [`wait_writable`].
///
/// # Errors
///
/// The system's.
///
/// # Panics
///
/// Outside of [`run`](crate::run), if it is not ready; while schedules are explored.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| {
///     let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
///     let short = Duration::from_millis(1);
///     assert!(maypole::io::wait_writable_timeout(&here, short).unwrap());
/// });
/// ```
#[track_caller]
pub fn wait_writable_timeout(fd: impl AsFd, timeout: Duration) -> io::Result<bool> {
    let (limit, at) = (Limit::After(timeout), Location::caller());
    in_time(until_ready(
        fd.as_fd(),
        Way::Out,
        "wait_writable_timeout",
        limit,
        at,
    ))
}

fn in_time(ready: io::Result<()>) -> io::Result<bool> {
    match ready {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until a call on `fd` that goes this way would not wait.
pub(super) fn until_ready(
    fd: BorrowedFd<'_>,
    way: Way,
    kind: &'static str,
    limit: Limit,
    at: &'static Location<'static>,
) -> io::Result<()> {
    refuse_exploring(kind, at);
    let what = match way {
        Way::In => What::Input,
        Way::Out => What::Output,
    };
    enter(Wait { what, at });
    if faults::uninterrupted(|| sys::is_ready(fd, way))? {
        return Ok(());
    }
    // The number may be waited for already, which the system allows once, and whoever owns it may
    // be somebody that knows nothing of us. The duplicate is ours, and closed on every path.
    let duplicate = faults::call(|| fd.try_clone_to_owned())?;
    let duplicate: Stream<OwnedFd> = Stream::new(duplicate, kind, at);
    let manner = Manner {
        way,
        what,
        at,
        limit,
    };
    let ready = || match sys::is_ready(fd, way) {
        Ok(true) => Ok(()),
        Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    };
    duplicate.source().operate(manner, ready)
}
