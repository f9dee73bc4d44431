//! The n-th system call fails, for n = 1, 2, … until a script passes untouched: each time the script
//! ends with a result or a clean error, and leaves nothing behind.
mod net_support;

use maypole::io::faults;
use maypole::net::unix::{UnixDatagram, UnixListener, UnixStream};
use maypole::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use maypole::{run, spawn};
use net_support::{Connection, Name, descriptors, settle};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Descriptors are counted by one test at a time.
static COUNTS: Mutex<()> = Mutex::new(());

/// What fails, and how: signals, errors of the other end, and the lack of everything. No `EAGAIN`,
/// which the system says of a socket that has nothing, and then it tells when it has.
const ERRORS: [i32; 8] = [
    libc::EINTR,
    libc::ECONNRESET,
    libc::ECONNABORTED,
    libc::EPIPE,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOMEM,
    libc::EIO,
];

/// No script takes longer, whatever fails.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `test` in an OS thread of its own, whose reactor is gone with it, while nobody else counts.
fn alone<R: Send>(test: impl FnOnce() -> R + Send) -> R {
    let _alone = COUNTS.lock().unwrap_or_else(|poison| poison.into_inner());
    let done = std::thread::scope(|scope| scope.spawn(test).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `script` with `times` failing calls from the n-th on, for every n, until none is hit.
fn everywhere(times: u64, errors: &[i32], script: impl Fn() -> io::Result<()> + Sync) {
    for &errno in errors {
        let mut reached = false;
        for after in 0..400 {
            let (seen, hit) = one(after, times, errno, &script);
            if hit == 0 {
                assert_eq!(after, seen);
                reached = true;
                break;
            }
        }
        assert!(reached, "the script has no end under {errno}");
    }
}

/// One run of the script: the calls that were seen, and those that failed.
fn one(
    after: u64,
    times: u64,
    errno: i32,
    script: &(impl Fn() -> io::Result<()> + Sync),
) -> (u64, u64) {
    let (end, seen, hit) = {
        let _alone = COUNTS.lock().unwrap_or_else(|poison| poison.into_inner());
        let before = descriptors();
        let done = std::thread::scope(|scope| {
            let started = scope.spawn(|| {
                let start = Instant::now();
                faults::inject(after, times, errno);
                let end = run(script);
                let (seen, hit) = faults::lift();
                assert!(start.elapsed() < LIMIT, "call {after}: {errno}");
                (end, seen, hit)
            });
            started.join()
        });
        assert_eq!(descriptors(), before, "call {after}, {errno}");
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    match end {
        Ok(()) => {}
        Err(error) => {
            assert!(hit > 0, "untouched, and yet {error}");
            let kind = io::Error::from_raw_os_error(errno).kind();
            let other_end = [
                io::ErrorKind::UnexpectedEof,
                io::ErrorKind::BrokenPipe,
                io::ErrorKind::ConnectionReset,
                io::ErrorKind::ConnectionRefused,
                io::ErrorKind::TimedOut,
                io::ErrorKind::ConnectionAborted,
                io::ErrorKind::NotConnected,
            ];
            let clean = error.kind() == kind || other_end.contains(&error.kind());
            assert!(clean, "call {after}, {errno}: {error:?}");
            // What passes is never told.
            assert_ne!(errno, libc::EINTR, "call {after}: {error}");
        }
    }
    (seen, hit)
}

fn talk(mut stream: impl Connection, first: bool) -> io::Result<()> {
    let bound = Some(Duration::from_secs(5));
    stream.set_read_timeout(bound)?;
    stream.set_write_timeout(bound)?;
    let mut word = [0; 5];
    for _ in 0..2 {
        if first {
            stream.write_all(b"hello")?;
            stream.read_exact(&mut word)?;
        } else {
            stream.read_exact(&mut word)?;
            stream.write_all(&word)?;
        }
        assert_eq!(&word, b"hello");
    }
    let clone = stream.try_clone()?;
    drop(stream);
    clone.shutdown(Shutdown::Write)?;
    while clone.read_shared(&mut word)? > 0 {}
    Ok(())
}

/// The first error of tasks that have all ended.
fn all<const N: usize>(tasks: [maypole::JoinHandle<io::Result<()>>; N]) -> io::Result<()> {
    let ends = tasks.map(|task| task.join().expect("an error is no panic"));
    ends.into_iter().collect()
}

fn tcp() -> io::Result<()> {
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0")?);
    let address = listener.local_addr()?;
    let theirs = listener.clone();
    let server = spawn(move || {
        // Whoever has connected need not wait for an answer that never comes.
        let (stream, _) = theirs.accept().inspect_err(|_| theirs.close())?;
        talk(stream, false)
    });
    settle();
    let client = spawn(move || {
        let limit = Duration::from_secs(5);
        let end = TcpStream::connect_timeout(&address, limit).and_then(|stream| talk(stream, true));
        // Whatever came of it, the server need not wait for ever.
        listener.close();
        end
    });
    all([server, client])
}

fn unix() -> io::Result<()> {
    let name = Name::new();
    let listener = Rc::new(UnixListener::bind(&name)?);
    let theirs = listener.clone();
    let server = spawn(move || {
        // Whoever has connected need not wait for an answer that never comes.
        let (stream, _) = theirs.accept().inspect_err(|_| theirs.close())?;
        talk(stream, false)
    });
    settle();
    let client = spawn(move || {
        let end = UnixStream::connect(&name).and_then(|stream| talk(stream, true));
        listener.close();
        end
    });
    all([server, client])
}

fn datagrams() -> io::Result<()> {
    let name = Name::new();
    let a = Rc::new(UdpSocket::bind("127.0.0.1:0")?);
    let b = UdpSocket::bind("127.0.0.1:0")?;
    let (c, d) = (
        Rc::new(UnixDatagram::bind(&name)?),
        UnixDatagram::unbound()?,
    );
    let to = a.local_addr()?;
    let (here, there) = (a.clone(), c.clone());
    let receiver = spawn(move || {
        here.recv_from(&mut [0; 8])?;
        there.recv(&mut [0; 8]).map(drop)
    });
    settle();
    let sender = spawn(move || {
        let send = || {
            b.connect(to)?;
            b.send(b"one")?;
            d.send_to(b"two", &name)?;
            b.try_clone().map(drop)
        };
        let end = send();
        if end.is_err() {
            // The receiver need not wait for what never comes.
            a.close();
            c.close();
        }
        end
    });
    all([receiver, sender])
}

fn two_readers() -> io::Result<()> {
    let (mut a, b) = UnixStream::pair()?;
    let b = Rc::new(b);
    b.set_read_timeout(Some(Duration::from_secs(5)))?;
    let readers = [(); 2].map(|()| {
        let b = b.clone();
        spawn(move || (&*b).read(&mut [0]).map(drop))
    });
    settle();
    let end = a.write_all(&[1, 2]);
    drop(a);
    all(readers).and(end)
}

#[test]
fn one_call_of_a_tcp_connection_fails() {
    everywhere(1, &ERRORS, tcp);
}

#[test]
fn one_call_of_a_unix_connection_fails() {
    everywhere(1, &ERRORS, unix);
}

#[test]
fn one_call_about_datagrams_fails() {
    everywhere(1, &ERRORS, datagrams);
}

#[test]
fn one_call_of_two_readers_fails() {
    everywhere(1, &ERRORS, two_readers);
}

#[test]
fn several_calls_in_a_row_fail_and_pass() {
    for script in [tcp, unix, two_readers] {
        everywhere(3, &[libc::EINTR], script);
        everywhere(2, &[libc::EMFILE, libc::ECONNRESET], script);
    }
}

#[test]
fn signals_in_between_are_never_seen() {
    for script in [tcp, unix, datagrams, two_readers] {
        assert_eq!(one(0, 25, libc::EINTR, &script).1, 25);
    }
}

/// A task is killed where a call fails: neither loses what the other needs.
#[test]
fn a_kill_beside_a_call_that_fails() {
    for errno in [libc::EINTR, libc::ECONNRESET, libc::EMFILE] {
        everywhere(1, &[errno], || {
            let (mut a, b) = UnixStream::pair()?;
            let b = Rc::new(b);
            b.set_read_timeout(Some(Duration::from_secs(5)))?;
            let read = || {
                let b = b.clone();
                spawn(move || (&*b).read(&mut [0]))
            };
            let (victim, heir) = (read(), read());
            settle();
            victim.kill("test");
            let end = a.write_all(&[1]);
            drop(a);
            let read = heir.join().expect("it was not killed");
            end.and(read.map(drop))
        });
    }
}

#[test]
fn an_accept_that_meets_every_lack_goes_on() {
    for errno in [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::ECONNABORTED,
    ] {
        alone(|| {
            run(|| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                faults::inject(0, 2, errno);
                let (_, peer) = listener.accept().unwrap();
                assert_eq!(faults::lift().1, 2);
                assert_eq!(peer, client.local_addr().unwrap());
            });
        });
    }
}

#[test]
fn what_passes_is_told_only_where_nothing_may_wait() {
    let main = || {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        a.write_all(b"x").unwrap();
        b.set_nonblocking(true).unwrap();
        faults::inject(0, 1, libc::EINTR);
        let error = b.read(&mut [0]).unwrap_err();
        faults::lift();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert_eq!(b.read(&mut [0]).unwrap(), 1);
    };
    alone(|| run(main));
}
