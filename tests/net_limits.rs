//! No descriptor free: an accept waits for one, neither spinning nor stalling, whatever the clock,
//! and a close or a kill ends its wait. Each test has a process of its own, whose limit it lowers.
#![allow(unsafe_code)]
mod child;
mod net_support;

use maypole::net::unix::{UnixListener, UnixStream};
use maypole::net::{TcpListener, TcpStream};
use maypole::{Builder, Clock, run, spawn, time, yield_now};
use net_support::{Name, settle};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Lowers the limit of this process, and takes all that is left; dropping them gives it back.
fn take_all() -> Vec<File> {
    let limit = libc::rlimit {
        rlim_cur: 64,
        rlim_max: 64,
    };
    // SAFETY: the limit is of this type.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

/// The time that this process has had the processor.
fn processor_time() -> Duration {
    // SAFETY: numbers, all of which may be 0.
    let mut used: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the clock writes one time.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut used) };
    assert_eq!(done, 0);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Clients that have connected and wait to be accepted.
fn clients(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect()
}

fn listener() -> (Rc<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (Rc::new(listener), address)
}

/// What a server task does: greets all who come.
fn serve(listener: &TcpListener, count: usize) {
    for connection in listener.incoming().take(count) {
        connection.unwrap().write_all(b"x").unwrap();
    }
}

#[test]
fn an_accept_waits_until_a_descriptor_is_free() {
    let ended = child::run(|| {
        run(|| {
            let (listener, address) = listener();
            let clients = clients(address, 5);
            let taken = take_all();
            let theirs = listener.clone();
            let server = spawn(move || serve(&theirs, 5));
            let used = processor_time();
            time::sleep(Duration::from_millis(400));
            let used = processor_time() - used;
            assert!(used < Duration::from_millis(200), "it spins: {used:?}");
            assert!(!server.is_finished());
            drop(taken);
            for mut client in clients {
                client.read_exact(&mut [0]).unwrap();
            }
            server.join().unwrap();
        });
    });
    let ended = ended.succeeds();
    let said = ended
        .stderr
        .matches("maypole: accept at tests/net_limits.rs")
        .count();
    assert_eq!(said, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("ulimit -n"), "{}", ended.stderr);
}

#[test]
fn an_accept_waits_by_the_system_s_clock_where_the_run_s_is_virtual() {
    child::run(|| {
        Builder::new()
            .clock(Clock::Virtual)
            .run(|| {
                let (listener, address) = listener();
                let mut clients = clients(address, 5);
                let taken = take_all();
                let theirs = listener.clone();
                let server = spawn(move || serve(&theirs, 5));
                settle();
                assert!(!server.is_finished());
                // A descriptor comes back from outside, while no task is ready and time stands.
                let giver = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    drop(taken);
                });
                let start = time::now();
                let used = processor_time();
                for client in &mut clients {
                    client.read_exact(&mut [0]).unwrap();
                }
                assert_eq!(time::now(), start);
                let used = processor_time() - used;
                eprintln!("{used:?} of the processor's time");
                assert!(used < Duration::from_millis(150), "it spins: {used:?}");
                server.join().unwrap();
                giver.join().unwrap();
            })
            .unwrap();
    })
    .succeeds();
}

#[test]
fn a_close_ends_an_accept_that_waits_for_a_descriptor() {
    child::run(|| {
        run(|| {
            let (listener, address) = listener();
            let _clients = clients(address, 2);
            let _taken = take_all();
            let tasks = [(); 3].map(|()| {
                let listener = listener.clone();
                spawn(move || listener.accept().unwrap_err().kind())
            });
            settle();
            listener.close();
            for task in tasks {
                assert_eq!(task.join().unwrap(), ErrorKind::ConnectionAborted);
            }
        });
    })
    .succeeds();
}

#[test]
fn a_kill_ends_an_accept_that_waits_for_a_descriptor_and_loses_no_connection() {
    child::run(|| {
        run(|| {
            let (listener, address) = listener();
            let clients = clients(address, 2);
            let taken = take_all();
            let tasks = [(); 3].map(|()| {
                let listener = listener.clone();
                spawn(move || drop(listener.accept().unwrap().0.write_all(b"x")))
            });
            settle();
            let [first, second, third] = tasks;
            first.kill("test");
            assert!(first.join().unwrap_err().is_killed());
            drop(taken);
            for mut client in clients {
                client.read_exact(&mut [0]).unwrap();
            }
            second.join().unwrap();
            third.join().unwrap();
        });
    })
    .succeeds();
}

#[test]
fn an_accept_that_may_not_wait_says_that_none_is_free() {
    child::run(|| {
        run(|| {
            let (listener, address) = listener();
            let _clients = clients(address, 1);
            let _taken = take_all();
            listener.set_nonblocking(true).unwrap();
            let error = listener.accept().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        });
    })
    .succeeds();
}

#[test]
fn an_accept_outside_of_a_run_says_that_none_is_free() {
    child::run(|| {
        let (listener, address) = listener();
        let client = std::net::TcpStream::connect(address).unwrap();
        let taken = take_all();
        let error = listener.accept().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        drop(taken);
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    })
    .succeeds();
}

#[test]
fn a_unix_accept_waits_until_a_descriptor_is_free() {
    child::run(|| {
        let name = Name::new();
        run(|| {
            let listener = UnixListener::bind(&name).unwrap();
            let mut client = UnixStream::connect(&name).unwrap();
            let taken = take_all();
            let server = spawn(move || listener.accept().unwrap().0.write_all(b"x"));
            time::sleep(Duration::from_millis(30));
            assert!(!server.is_finished());
            drop(taken);
            client.read_exact(&mut [0]).unwrap();
            server.join().unwrap().unwrap();
        });
    })
    .succeeds();
}

#[test]
fn whatever_else_needs_a_descriptor_fails_and_works_again() {
    child::run(|| {
        let name = Name::new();
        run(|| {
            let (listener, address) = listener();
            let client = TcpStream::connect(address).unwrap();
            let (server, _) = listener.accept().unwrap();
            let taken = take_all();
            let errors = [
                TcpStream::connect(address).err(),
                TcpListener::bind("127.0.0.1:0").err(),
                TcpListener::bind_reuse_port("127.0.0.1:0").err(),
                maypole::net::UdpSocket::bind("127.0.0.1:0").err(),
                UnixStream::pair().err(),
                UnixStream::connect(&name).err(),
                UnixListener::bind(&name).err(),
                client.try_clone().err(),
                listener.try_clone().err(),
            ];
            for error in errors {
                assert_eq!(error.unwrap().raw_os_error(), Some(libc::EMFILE));
            }
            // Closing needs none, nor does what is connected.
            let reader = spawn(move || { server }.read(&mut [0]).unwrap());
            yield_now();
            client.close();
            assert_eq!(reader.join().unwrap(), 0);
            drop(taken);
            TcpStream::connect(address).unwrap();
        });
    })
    .succeeds();
}

#[test]
fn the_first_wait_of_an_os_thread_fails_where_no_descriptor_is_free() {
    child::run(|| {
        let (mut theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = Rc::new(UnixStream::from(ours));
        let taken = take_all();
        run(|| {
            // There is no reactor yet, and there can be none.
            let error = (&*ours).read(&mut [0]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        });
        drop(taken);
        run(move || {
            let reader = spawn(move || (&*ours).read(&mut [0]).unwrap());
            yield_now();
            theirs.write_all(b"x").unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        });
    })
    .succeeds();
}
