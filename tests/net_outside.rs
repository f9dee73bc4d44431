//! Waiting for sockets beside clocks, deadlocks and signals: such a wait is no deadlock while
//! anybody but a daemon waits so, and virtual time stands meanwhile.
#![allow(unsafe_code)]
mod child;
mod deadlock_support;
mod net_support;

use deadlock_support::deadlock_of;
use maypole::net::unix::UnixStream;
use maypole::net::{TcpListener, TcpStream};
use maypole::task::{self, Status, What};
use maypole::{Builder, Clock, run, sleep, spawn, time, yield_now};
use net_support::{Connection, settle};
use std::io::{ErrorKind, Read, Write};
use std::net;
use std::time::Duration;

fn connected() -> (TcpStream, TcpStream) {
    <TcpStream as Connection>::connected()
}

/// A peer in another OS thread that answers after a while.
fn slow_peer() -> (net::SocketAddr, std::thread::JoinHandle<()>) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        stream.write_all(b"x").unwrap();
    });
    (address, peer)
}

#[test]
fn a_task_that_waits_for_a_socket_is_no_deadlock() {
    for clock in [Clock::Real, Clock::Virtual] {
        let (address, peer) = slow_peer();
        let done = Builder::new().clock(clock).run(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let reader = spawn(move || stream.read(&mut [0]).unwrap());
            // Main waits for a task, which waits outside.
            reader.join().unwrap()
        });
        assert_eq!(done.unwrap(), 1);
        peer.join().unwrap();
    }
}

#[test]
fn only_daemons_that_wait_for_sockets_are_a_deadlock() {
    for clock in [Clock::Real, Clock::Virtual] {
        let report = deadlock_of(Builder::new().clock(clock), || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let builder = task::Builder::new().name("server").daemon(true);
            builder.spawn(move || drop(listener.accept())).unwrap();
            task::park();
        });
        assert!(report.contains("server"), "{report}");
        assert!(
            report.contains("waits for a connection at a TcpListener"),
            "{report}"
        );
        assert!(report.contains("is a daemon"), "{report}");
    }
}

#[test]
fn virtual_time_stands_while_a_socket_is_waited_for() {
    let (address, peer) = slow_peer();
    let done = Builder::new().clock(Clock::Virtual).run(move || {
        let start = time::now();
        let mut stream = TcpStream::connect(address).unwrap();
        let sleeper = spawn(move || {
            sleep(Duration::from_secs(3600));
            time::now() - start
        });
        stream.read_exact(&mut [0]).unwrap();
        assert_eq!(time::now(), start);
        // Nobody waits outside any more.
        assert_eq!(sleeper.join().unwrap(), Duration::from_secs(3600));
    });
    done.unwrap();
    peer.join().unwrap();
}

#[test]
fn virtual_time_goes_on_where_only_a_daemon_waits_for_a_socket() {
    let done = Builder::new().clock(Clock::Virtual).run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let builder = task::Builder::new().daemon(true);
        builder.spawn(move || drop(listener.accept())).unwrap();
        settle();
        let start = time::now();
        sleep(Duration::from_secs(3600));
        assert_eq!(time::now() - start, Duration::from_secs(3600));
    });
    done.unwrap();
}

#[test]
fn a_time_out_on_the_real_clock_is_never_early_and_never_lost() {
    run(|| {
        let (a, _b) = connected();
        for micros in [1, 300, 1500, 12_345] {
            let limit = Duration::from_micros(micros);
            a.set_read_timeout(Some(limit)).unwrap();
            let start = time::now();
            let error = a.read_shared(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(time::now() - start >= limit);
        }
        // No limit that can be told: for ever.
        a.set_read_timeout(Some(Duration::MAX)).unwrap();
        let reader = spawn(move || a.read_shared(&mut [0]));
        settle();
        assert_eq!(reader.task().status(), Status::Parked(What::Input));
        reader.kill("test");
    });
}

#[test]
fn a_task_tells_what_it_waits_for() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let acceptor = spawn(move || drop(listener.accept()));
        let (a, _b) = UnixStream::pair().unwrap();
        let writer = spawn(move || { a }.write_all(&vec![0; 16 << 20]));
        let (c, _d) = connected();
        let reader = spawn(move || { c }.read(&mut [0]));
        settle();
        assert_eq!(acceptor.task().status(), Status::Parked(What::Accept));
        assert_eq!(writer.task().status(), Status::Parked(What::Output));
        assert_eq!(reader.task().status(), Status::Parked(What::Input));
    });
}

#[test]
fn a_connection_that_is_always_ready_starves_nobody() {
    run(|| {
        let (mut a, mut b) = connected();
        let (mut c, mut d) = connected();
        let busy = spawn(move || {
            loop {
                a.write_all(&[0; 64]).unwrap();
                b.read_exact(&mut [0; 64]).unwrap();
            }
        });
        let calm = spawn(move || {
            for _ in 0..20 {
                let mut byte = [0];
                d.read_exact(&mut byte).unwrap();
                d.write_all(&byte).unwrap();
            }
        });
        for _ in 0..20 {
            sleep(Duration::from_micros(100));
            c.write_all(&[1]).unwrap();
            c.read_exact(&mut [0]).unwrap();
        }
        calm.join().unwrap();
        busy.kill("it never ends");
    });
}

#[test]
fn runs_in_several_os_threads_have_reactors_of_their_own() {
    let servers: Vec<_> = (0..4)
        .map(|_| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let server = std::thread::spawn(move || {
                run(|| {
                    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                    sender.send(listener.local_addr().unwrap()).unwrap();
                    for _ in 0..20 {
                        let (mut stream, _) = listener.accept().unwrap();
                        spawn(move || {
                            let mut word = [0; 4];
                            stream.read_exact(&mut word).unwrap();
                            stream.write_all(&word).unwrap();
                        });
                        yield_now();
                    }
                    settle();
                });
            });
            (receiver.recv().unwrap(), server)
        })
        .collect();
    run(|| {
        let clients: Vec<_> = servers
            .iter()
            .flat_map(|(address, _)| [*address; 20])
            .map(|address| {
                spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(b"ping").unwrap();
                    // The last ones may be left behind when a server's run ends.
                    let _ = stream.read_exact(&mut [0; 4]);
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
    });
    for (_, server) in servers {
        server.join().unwrap();
    }
}

#[test]
fn a_storm_of_signals_is_never_seen() {
    extern "C" fn ignore(_: libc::c_int) {}
    child::run(|| {
        // SAFETY: numbers, all of which may be 0.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler does nothing; interrupted calls are not restarted.
        let done = unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) };
        assert_eq!(done, 0);
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: 200,
        };
        let timer = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        // SAFETY: the timer is of this type.
        let done = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
        assert_eq!(done, 0);
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(move || {
                for connection in listener.incoming().take(200) {
                    let mut connection = connection.unwrap();
                    spawn(move || {
                        let mut word = [0; 4];
                        connection.read_exact(&mut word).unwrap();
                        sleep(Duration::from_micros(500));
                        connection.write_all(&word).unwrap();
                    });
                }
            });
            for _ in 0..200 {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"ping").unwrap();
                stream.read_exact(&mut [0; 4]).unwrap();
            }
            server.join().unwrap();
        });
    })
    .succeeds();
}

#[test]
fn a_socket_that_has_waited_before_fails_in_the_last_destructors_of_its_os_thread() {
    type Last = Option<Box<dyn FnOnce()>>;
    struct AtTheEnd(Last);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<AtTheEnd> = const {
            std::cell::RefCell::new(AtTheEnd(None))
        };
    }
    let (sender, results) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        LAST.with(|_| ()); // older than those of the crate, and so destroyed after them
        let mut here = run(|| {
            let (mut here, mut there) = UnixStream::pair().unwrap();
            spawn(move || there.write_all(b"x").unwrap());
            here.read_exact(&mut [0]).unwrap();
            assert_eq!(here.read(&mut [0]).unwrap(), 0);
            here
        });
        let (mut silent, _peer) = run(|| {
            let (mut silent, mut peer) = UnixStream::pair().unwrap();
            let writer = spawn(move || {
                yield_now();
                peer.write_all(b"x").unwrap();
                peer
            });
            silent.read_exact(&mut [0]).unwrap();
            (silent, writer.join().unwrap())
        });
        let at_the_end = move || {
            let _peer = _peer;
            let (ended, waits) = run(|| {
                let ended = here.read(&mut [0]).map_err(|error| error.kind());
                let other = spawn(|| ()); // somebody else to have a turn
                let waits = silent.read(&mut [0]).map_err(|error| error.kind());
                other.join().unwrap();
                (ended, waits)
            });
            sender.send((ended, waits)).unwrap();
        };
        LAST.with(|last| last.borrow_mut().0 = Some(Box::new(at_the_end)));
    })
    .join()
    .unwrap();
    let (ended, waits) = results.recv().unwrap();
    assert_eq!(ended, Ok(0));
    assert_eq!(waits, Err(ErrorKind::Other));
}
