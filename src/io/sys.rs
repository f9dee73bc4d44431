//! The system calls that neither std nor mio offers, as safe functions over borrowed descriptors.
#![allow(unsafe_code)]

use super::source::Way;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
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
    poll(fd, libc::POLLIN, timeout).map(|events| events != 0)
}

/// Waits for at most `timeout` until one of `events` holds for `fd`, or its other end is gone; tells
/// what holds.
fn poll(fd: BorrowedFd<'_>, events: libc::c_short, timeout: Duration) -> io::Result<libc::c_short> {
    let mut polled = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
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
    check(ready).map(|_| polled.revents)
}

/// Lets the system keep many connections for `listener`: std asks for 128.
pub(crate) fn widen_backlog(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a call on numbers; the descriptor is borrowed.
    check(unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) }).map(drop)
}

/// A TCP socket bound to `address`, which others may be bound to in the same way. It does not block.
pub(crate) fn bind_reuse_port(address: SocketAddr) -> io::Result<OwnedFd> {
    let domain = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let socket = stream_socket(domain)?;
    set_flag(socket.as_fd(), libc::SO_REUSEADDR)?;
    set_flag(socket.as_fd(), libc::SO_REUSEPORT)?;
    match address {
        SocketAddr::V4(address) => bind_v4(socket.as_fd(), address)?,
        SocketAddr::V6(address) => bind_v6(socket.as_fd(), address)?,
    }
    Ok(socket)
}

fn stream_socket(domain: libc::c_int) -> io::Result<OwnedFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let kind = libc::SOCK_STREAM;
    // SAFETY: a call on numbers.
    let fd = check(unsafe { libc::socket(domain, kind, 0) })?;
    // SAFETY: the descriptor was just made, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        // SAFETY: a call on numbers; the descriptor is owned.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        // SAFETY: a call on numbers; the descriptor is owned.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) })?;
    }
    Ok(socket)
}

/// Turns an option of a socket on.
fn set_flag(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option is one number, whose size is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}

fn bind_v4(socket: BorrowedFd<'_>, address: SocketAddrV4) -> io::Result<()> {
    // SAFETY: it is made of numbers, all of which may be 0.
    let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    raw.sin_family = libc::AF_INET as libc::sa_family_t;
    raw.sin_port = address.port().to_be();
    raw.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: `raw` is an address of the length given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
}

fn bind_v6(socket: BorrowedFd<'_>, address: SocketAddrV6) -> io::Result<()> {
    // SAFETY: it is made of numbers, all of which may be 0.
    let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    raw.sin6_port = address.port().to_be();
    raw.sin6_addr.s6_addr = address.ip().octets();
    raw.sin6_flowinfo = address.flowinfo();
    raw.sin6_scope_id = address.scope_id();
    let length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    // SAFETY: `raw` is an address of the length given.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
}

/// Reads what a socket has without taking it away.
pub(crate) fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the buffer is borrowed, and may be written up to its length.
    let got = unsafe { libc::recv(socket.as_raw_fd(), start, length, libc::MSG_PEEK) };
    match usize::try_from(got) {
        Ok(got) => Ok(got),
        Err(_) => Err(io::Error::last_os_error()),
    }
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

// ── any descriptor ───────────────────────────────────────────────────────────────────────────

/// Whether a call on `fd` that goes this way would not wait now. It does not wait itself.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, way: Way) -> io::Result<bool> {
    let events = match way {
        Way::In => libc::POLLIN,
        Way::Out => libc::POLLOUT,
    };
    match poll(fd, events, Duration::ZERO)? {
        0 => Ok(false),
        events if events & libc::POLLNVAL != 0 => Err(io::Error::from_raw_os_error(libc::EBADF)),
        _ => Ok(true),
    }
}

/// Whether reading from `fd` was shut down, as far as the system tells.
pub(crate) fn is_read_over(fd: BorrowedFd<'_>) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let over = libc::POLLRDHUP;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let over = libc::POLLHUP;
    poll(fd, over, Duration::ZERO).is_ok_and(|events| events & over != 0)
}

pub(super) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is `buffer`, whole; the descriptor is borrowed.
    let read = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Says whether calls on what `fd` names wait. Others that have it open are meant, too.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let mut nonblocking = libc::c_int::from(nonblocking);
    // SAFETY: the request reads one number; the descriptor is borrowed.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &mut nonblocking) }).map(drop)
}

// ── processes ────────────────────────────────────────────────────────────────────────────────

/// A descriptor of a process that nobody has waited for yet; it is readable when that has ended.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn open_process(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: a call on numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id as libc::pid_t, 0) };
    let fd = check(fd as libc::c_int)?;
    // SAFETY: the call made it just now, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process that `process` names, and never to another.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn send_to(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let nothing = ptr::null::<libc::siginfo_t>();
    let number = libc::SYS_pidfd_send_signal;
    // SAFETY: the record may be null; the descriptor is borrowed.
    let sent = unsafe { libc::syscall(number, process.as_raw_fd(), signal, nothing, 0) };
    check(sent as libc::c_int).map(drop)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn open_process(_: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn send_to(_: BorrowedFd<'_>, _: i32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends a signal to the process of this number.
pub(crate) fn send(id: u32, signal: i32) -> io::Result<()> {
    // SAFETY: a call on numbers.
    check(unsafe { libc::kill(id as libc::pid_t, signal) }).map(drop)
}

/// Waits, in this OS thread, until a child has ended, and leaves its status to be asked for.
pub(crate) fn await_end(id: u32) {
    let how = libc::WEXITED | libc::WNOWAIT;
    loop {
        let mut record = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
        // SAFETY: the system writes into `record`, which is as large as it says.
        let ended = unsafe { libc::waitid(libc::P_PID, id, record.as_mut_ptr(), how) };
        let interrupted = io::ErrorKind::Interrupted;
        if check(ended).is_ok() || io::Error::last_os_error().kind() != interrupted {
            return;
        }
    }
}

// ── signals ──────────────────────────────────────────────────────────────────────────────────
//
//   a signal ──► on_signal ──► when it came, by its number
//                          ├─► the bell ──► every reactor with a listener: an edge
//                          └─► the handler of before, if there was one

/// One more than the largest number of a signal on any system.
const SIGNALS: usize = 129;

/// How many signals came so far.
static CAME: AtomicUsize = AtomicUsize::new(0);

/// What is known of each signal.
static SIGNAL: [Heard; SIGNALS] = [const { Heard::new() }; SIGNALS];

/// The two ends of the bell, which is never closed; -1 before there is one.
static BELL: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];

/// Who installs or takes back a handler: one at a time. What handled each signal before.
static BEFORE: Mutex<[Option<libc::sigaction>; SIGNALS]> = Mutex::new([None; SIGNALS]);

struct Heard {
    listeners: AtomicUsize,
    /// The number of its latest arrival among all that came.
    last: AtomicUsize,
    /// The handler of before, null if there was none. Never freed: one may be running.
    before: AtomicPtr<Handler>,
}

#[derive(PartialEq)]
struct Handler {
    address: libc::sighandler_t,
    takes_record: bool,
}

impl Heard {
    const fn new() -> Self {
        Heard {
            listeners: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            before: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// How many signals came so far: what comes from now on has a larger number.
pub(crate) fn signals_so_far() -> usize {
    CAME.load(Ordering::SeqCst)
}

/// The number of the latest arrival of `signal`.
pub(crate) fn last_arrival(signal: i32) -> usize {
    SIGNAL[signal as usize].last.load(Ordering::SeqCst)
}

/// Has `signal` noted when it comes, until as many [`forget_signal`]s.
pub(crate) fn listen_to_signal(signal: i32) -> io::Result<()> {
    let known = usize::try_from(signal)
        .ok()
        .filter(|signal| (1..SIGNALS).contains(signal));
    let Some(index) = known else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if SIGNAL[index].listeners.load(Ordering::SeqCst) == 0 {
        let old = action(signal, None)?;
        remember(&SIGNAL[index], &old);
        let mut new = old;
        new.sa_sigaction = on_signal as *const () as usize;
        // Calls of other OS threads go on; a small stack is not burdened where there is another.
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // Counted first: the handler may run as soon as it is installed.
        SIGNAL[index].listeners.store(1, Ordering::SeqCst);
        if let Err(error) = action(signal, Some(&new)) {
            SIGNAL[index].listeners.store(0, Ordering::SeqCst);
            return Err(error);
        }
        before[index] = Some(old);
    } else {
        SIGNAL[index].listeners.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

fn remember(heard: &Heard, old: &libc::sigaction) {
    let is_ours = old.sa_sigaction == on_signal as *const () as usize;
    if is_ours || matches!(old.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        heard.before.store(ptr::null_mut(), Ordering::SeqCst);
        return;
    }
    let handler = Handler {
        address: old.sa_sigaction,
        takes_record: old.sa_flags & libc::SA_SIGINFO != 0,
    };
    // SAFETY: null, or one that was made below and is never freed.
    let known = unsafe { heard.before.load(Ordering::SeqCst).as_ref() };
    if known != Some(&handler) {
        let handler = Box::into_raw(Box::new(handler));
        heard.before.store(handler, Ordering::SeqCst);
    }
}

/// Ends that; after the last listener, what was before is again. Tells whether this was the last.
pub(crate) fn forget_signal(signal: i32) -> bool {
    let index = signal as usize;
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let others = SIGNAL[index].listeners.fetch_sub(1, Ordering::SeqCst) - 1;
    if others == 0
        && let Some(old) = before[index].take()
        && handles(signal)
    {
        let _ = action(signal, Some(&old));
    }
    others == 0
}

/// Whether ours is the handler, and not one that somebody has installed over it.
fn handles(signal: i32) -> bool {
    let ours = on_signal as *const () as usize;
    action(signal, None).is_ok_and(|now| now.sa_sigaction == ours)
}

/// Sets what handles a signal, if that is given; tells what did before.
fn action(signal: i32, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null or a whole record, whose handler was in use or is `on_signal`, which
    // does only what a handler may; `old` is written.
    check(unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it wrote `old`.
    Ok(unsafe { old.assume_init() })
}

/// Notes that a signal came, and rings. It makes system calls, touches atomics, and no more.
extern "C" fn on_signal(
    signal: libc::c_int,
    record: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    type Plain = extern "C" fn(libc::c_int);
    type WithRecord = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    let Some(heard) = SIGNAL.get(signal as usize) else {
        return;
    };
    // SAFETY: the address of this OS thread's own number.
    let errno = unsafe { errno() };
    // SAFETY: as above; the interrupted code may be about to read it.
    let errno_before = unsafe { *errno };
    let listeners = heard.listeners.load(Ordering::SeqCst);
    if listeners > 0 {
        let number = CAME.fetch_add(1, Ordering::SeqCst) + 1;
        heard.last.fetch_max(number, Ordering::SeqCst);
        ring();
    }
    // SAFETY: null, or one that is never freed.
    match unsafe { heard.before.load(Ordering::SeqCst).as_ref() } {
        Some(before) if before.takes_record => {
            // SAFETY: whoever installed it promised this signature by `SA_SIGINFO`.
            let handler: WithRecord = unsafe { std::mem::transmute(before.address) };
            handler(signal, record, context);
        }
        Some(before) => {
            // SAFETY: without `SA_SIGINFO` a handler takes the signal alone.
            let handler: Plain = unsafe { std::mem::transmute(before.address) };
            handler(signal);
        }
        None if listeners == 0 => come_again(signal),
        None => {}
    }
    // SAFETY: as above.
    unsafe { *errno = errno_before };
}

/// The last listener has just gone, so the signal does what it would do a moment later.
fn come_again(signal: i32) {
    if !handles(signal) {
        return;
    }
    // SAFETY: all zeroes is a valid `sigaction`: the default action, no flags, an empty mask.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    let _ = action(signal, Some(&default));
    // SAFETY: a call on numbers. It comes when the handler has returned.
    unsafe { libc::raise(signal) };
}

#[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "hurd"))]
use libc::__errno_location as errno;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno;

#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
use libc::__error as errno;

/// Makes an edge at the bell. It need not be read: an edge comes with every write.
fn ring() {
    let [ear, bell] = BELL.each_ref().map(|end| end.load(Ordering::SeqCst));
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight bytes, as said; the bell does not block, and a number that is none is refused.
    let rung = unsafe { libc::write(bell, one.as_ptr().cast(), one.len()) };
    if rung < 0 {
        // It is full; whoever has heard the edges does not look at what it holds.
        // Small, as the stacks that handlers run on are.
        let mut all = [0_u8; 256];
        // SAFETY: the buffer is `all`, whole; the bell does not block.
        while unsafe { libc::read(ear, all.as_mut_ptr().cast(), all.len()) } == all.len() as isize {
        }
        // SAFETY: as above.
        unsafe { libc::write(bell, one.as_ptr().cast(), one.len()) };
    }
}

/// A descriptor with an edge after every signal that somebody listens to.
pub(crate) fn bell() -> io::Result<OwnedFd> {
    // Whoever installs handlers makes the bell: one at a time.
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if BELL[0].load(Ordering::SeqCst) < 0 {
        let [ear, bell] = make_bell()?;
        BELL[1].store(bell, Ordering::SeqCst);
        BELL[0].store(ear, Ordering::SeqCst);
    }
    drop(before);
    // SAFETY: it is never closed.
    let ear = unsafe { BorrowedFd::borrow_raw(BELL[0].load(Ordering::SeqCst)) };
    ear.try_clone_to_owned()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn make_bell() -> io::Result<[RawFd; 2]> {
    // SAFETY: a call on numbers.
    let bell = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    Ok([bell, bell])
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn make_bell() -> io::Result<[RawFd; 2]> {
    use std::os::fd::IntoRawFd;
    let (ear, bell) = io::pipe()?;
    set_nonblocking(ear.as_fd(), true)?;
    set_nonblocking(bell.as_fd(), true)?;
    Ok([ear.into_raw_fd(), bell.into_raw_fd()])
}
