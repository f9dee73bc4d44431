//! The system calls that neither std nor mio offers, as safe functions over borrowed descriptors.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Connections that the system keeps for a listener until they are accepted; the system's own
/// limit (`net.core.somaxconn`) may be lower.
const BACKLOG: libc::c_int = 4096;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// Waits until `fd` is readable, for at most `timeout`, to the nanosecond where the system can.
pub(super) fn wait_readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    let mut polled = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let ready = {
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        };
        // SAFETY: `polled` is one entry, as said, and the mask may be null.
        unsafe { libc::ppoll(&mut polled, 1, &timeout, std::ptr::null()) }
    };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let ready = {
        let milliseconds = timeout.as_micros().div_ceil(1000);
        let milliseconds = libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX);
        // SAFETY: `polled` is one entry, as said.
        unsafe { libc::poll(&mut polled, 1, milliseconds) }
    };
    check(ready).map(|ready| ready > 0)
}

/// Lets the system keep many connections for `listener`: std asks for 128.
pub(crate) fn widen_backlog(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a call on numbers; the descriptor is borrowed.
    check(unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) }).map(drop)
}

/// Puts /dev/null in the place of what `fd` names: the number stays taken, whatever still borrows
/// it, and what it named is closed.
pub(super) fn replace_by_nothing(fd: BorrowedFd<'_>) -> io::Result<()> {
    let nothing = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    // SAFETY: a call on two descriptors that live; the number stays owned by its owner.
    check(unsafe { libc::dup2(nothing.as_raw_fd(), fd.as_raw_fd()) })?;
    // SAFETY: a call on numbers; the descriptor is borrowed.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Shuts both directions of a socket down, also of one that listens.
pub(super) fn shut_down(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a call on numbers; the descriptor is borrowed.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) }).map(drop)
}

/// Lends the descriptor of a poll.
pub(super) fn poll_fd(poll: &mio::Poll) -> BorrowedFd<'_> {
    // SAFETY: the poll owns its descriptor, and the borrow ends before it does.
    unsafe { BorrowedFd::borrow_raw(poll.as_raw_fd()) }
}
