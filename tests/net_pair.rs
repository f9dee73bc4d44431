//! Connections in memory: under every schedule, on virtual time, in deadlocks and outside of runs.
//! What all connections have in common is in `net_streams.rs`.
mod deadlock_support;

use deadlock_support::deadlock;
use maypole::explore::{self, Explorer, Switches};
use maypole::net::{PairStream, Shutdown, TcpListener, TcpStream, UdpSocket, pair};
use maypole::net::{pair_with_capacity, unix::UnixStream};
use maypole::{Builder, Clock, run, spawn, time};
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

/// Every schedule with up to two forced switches; where every operation is a switch, too.
#[track_caller]
fn every_schedule(program: impl Fn()) {
    for switches in [Switches::Parking, Switches::Everywhere] {
        let explorer = Explorer::new().switches(switches).forced(2);
        let outcome = explorer.schedules(20_000).check(&program);
        if let Some(failure) = outcome.failure {
            panic!("{failure}");
        }
        assert!(outcome.cut == 0, "{outcome}");
    }
}

#[test]
fn bytes_arrive_in_order_under_every_schedule() {
    every_schedule(|| {
        let (mut a, mut b) = pair_with_capacity(2);
        let writer = spawn(move || a.write_all(b"12345").unwrap());
        let mut bytes = Vec::new();
        b.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"12345");
        writer.join().unwrap();
    });
}

#[test]
fn an_echo_comes_back_under_every_schedule() {
    every_schedule(|| {
        let (mut client, server) = pair_with_capacity(1);
        let echo = spawn(move || {
            let mut server = server;
            io::copy(&mut server.try_clone().unwrap(), &mut server).unwrap()
        });
        client.write_all(b"a").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(io::read_to_string(&mut client).unwrap(), "a");
        assert_eq!(echo.join().unwrap(), 1);
    });
}

#[test]
fn two_readers_share_the_bytes_under_every_schedule() {
    every_schedule(|| {
        let (mut a, b) = pair();
        let b = Rc::new(b);
        let readers = [(); 2].map(|()| {
            let b = b.clone();
            spawn(move || {
                let mut byte = [0];
                match (&*b).read(&mut byte).unwrap() {
                    0 => 0,
                    _ => byte[0],
                }
            })
        });
        a.write_all(&[1]).unwrap();
        a.write_all(&[2]).unwrap();
        let mut got = readers.map(|reader| reader.join().unwrap());
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_no_byte() {
    every_schedule(|| {
        let (mut a, b) = pair_with_capacity(1);
        let (b, log) = (Rc::new(b), Rc::new(RefCell::new(Vec::new())));
        let reader = |count: usize| {
            let (b, log) = (b.clone(), log.clone());
            spawn(move || {
                for _ in 0..count {
                    let mut byte = [0];
                    if (&*b).read(&mut byte).unwrap() == 1 {
                        log.borrow_mut().push(byte[0]);
                    }
                }
            })
        };
        let (victim, heir) = (reader(1), reader(3));
        let writer = spawn(move || a.write_all(&[1, 2, 3]).unwrap());
        victim.kill("at any moment");
        let killed = victim.join().is_err();
        writer.join().unwrap();
        heir.join().unwrap();
        let mut got = log.take();
        got.sort();
        assert_eq!(got, [1, 2, 3], "killed: {killed}");
    });
}

#[test]
fn a_killed_writer_has_written_a_beginning() {
    every_schedule(|| {
        let (mut a, mut b) = pair_with_capacity(1);
        let victim = spawn(move || a.write_all(&[1, 2, 3]));
        let killer = {
            let victim = victim.task().clone();
            spawn(move || victim.kill("at any moment"))
        };
        let mut bytes = Vec::new();
        b.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 2, 3][..bytes.len()]);
        let done = victim.join();
        assert!(bytes.len() == 3 || done.unwrap_err().is_killed());
        killer.join().unwrap();
    });
}

#[test]
fn an_end_at_any_moment_is_an_end() {
    for end in [
        |stream: &PairStream| stream.shutdown(Shutdown::Both).unwrap(),
        |stream: &PairStream| stream.close(),
    ] {
        every_schedule(move || {
            let (a, mut b) = pair_with_capacity(1);
            let a = Rc::new(a);
            let (reads, writes) = (a.clone(), a.clone());
            let reader = spawn(move || (&*reads).read(&mut [0; 4]));
            let writer = spawn(move || (&*writes).write_all(&[0; 4]));
            end(&a);
            match reader.join().unwrap() {
                Ok(read) => assert_eq!(read, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionAborted),
            }
            let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
            assert!(kinds.contains(&writer.join().unwrap().unwrap_err().kind()));
            let mut bytes = Vec::new();
            b.read_to_end(&mut bytes).unwrap();
            assert!(bytes.len() <= 1);
            assert_eq!(b.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    }
}

#[test]
fn a_time_out_or_a_byte_under_every_schedule() {
    every_schedule(|| {
        let (mut a, b) = pair();
        b.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let writer = spawn(move || {
            maypole::sleep(Duration::from_millis(10));
            a.write_all(&[1]).unwrap();
            a
        });
        let mut byte = [0];
        match (&b).read(&mut byte) {
            Ok(read) => assert_eq!((read, byte), (1, [1])),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                // It is there for the next.
                assert_eq!((&b).read(&mut byte).unwrap(), 1);
            }
        }
        drop(writer.join().unwrap());
    });
}

#[test]
fn a_race_over_a_pair_is_found() {
    let outcome = Explorer::new().check(|| {
        let (a, mut b) = pair();
        let a = Rc::new(a);
        for n in [1, 2] {
            let a = a.clone();
            spawn(move || (&*a).write_all(&[n]).unwrap());
        }
        drop(a);
        let mut bytes = Vec::new();
        b.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 2], "a program that counts on the order");
    });
    let failure = outcome.failure.expect("the other order is one schedule");
    assert!(failure.to_string().contains("counts on the order"));
}

#[test]
fn sockets_are_refused_while_schedules_are_explored() {
    type Call = fn() -> io::Result<()>;
    let calls: [(&str, Call); 5] = [
        ("TcpStream::connect", || {
            TcpStream::connect("127.0.0.1:9").map(drop)
        }),
        ("TcpListener::bind", || {
            TcpListener::bind("127.0.0.1:0").map(drop)
        }),
        ("UdpSocket::bind", || {
            UdpSocket::bind("127.0.0.1:0").map(drop)
        }),
        ("UnixStream::pair", || UnixStream::pair().map(drop)),
        ("UnixStream::connect", || {
            UnixStream::connect("/nowhere").map(drop)
        }),
    ];
    for (name, call) in calls {
        let outcome = Explorer::new().check(|| drop(call()));
        let text = outcome.failure.expect("it panics").to_string();
        let refusal = format!("maypole: {name} at tests/net_pair.rs:");
        assert!(text.contains(&refusal), "{text}");
        assert!(text.contains("maypole::net::pair()"), "{text}");
    }
}

#[test]
fn a_socket_from_outside_is_refused_while_schedules_are_explored() {
    let (a, _b) = UnixStream::pair().unwrap();
    let outcome = Explorer::new().check(|| drop((&a).write(b"x")));
    let text = outcome.failure.expect("it panics").to_string();
    assert!(
        text.contains("maypole: UnixStream at tests/net_pair.rs:"),
        "{text}"
    );
}

#[test]
fn a_trail_is_replayed() {
    let program = || {
        let (a, b) = pair_with_capacity(1);
        let reader = spawn(move || {
            let mut bytes = Vec::new();
            { b }.read_to_end(&mut bytes).unwrap();
            bytes
        });
        for n in [1, 2] {
            let mut a = a.try_clone().unwrap();
            spawn(move || a.write_all(&[n]).unwrap());
        }
        drop(a);
        assert_eq!(reader.join().unwrap(), [1, 2]);
    };
    let outcome = Explorer::new().check(program);
    let failure = outcome.failure.expect("the other order is one schedule");
    let trail = failure.trail().to_string();
    assert!(std::panic::catch_unwind(|| explore::replay(&trail, program)).is_err());
}

// ── virtual time and deadlocks ───────────────────────────────────────────────────────────────

#[test]
fn a_time_out_of_an_hour_takes_no_time() {
    let builder = Builder::new().clock(Clock::Virtual);
    let elapsed = builder.run(|| {
        let (a, _b) = pair();
        a.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
        let start = time::now();
        let error = (&a).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        time::now() - start
    });
    assert_eq!(elapsed.unwrap(), Duration::from_secs(3600));
}

#[test]
fn a_deadlock_over_a_pair_names_it() {
    let report = deadlock(|| {
        let (mut a, mut b) = pair_with_capacity(4); // @made
        let other = spawn(move || {
            b.write_all(b"sixteen bytes...").unwrap();
            b.read_exact(&mut [0]).unwrap();
        });
        a.write_all(b"sixteen bytes...").unwrap();
        other.join().unwrap();
    });
    let line = line_of("// @made");
    let place = format!("tests/net_pair.rs:{line}");
    assert!(report.contains("is sending to a PairStream"), "{report}");
    assert!(report.contains(&place), "{report}");
    assert!(report.contains("4 of 4 bytes queued"), "{report}");
    let report = deadlock(|| {
        let (a, _b) = pair();
        (&a).read_exact(&mut [0]).unwrap();
    });
    assert!(
        report.contains("is receiving from a PairStream"),
        "{report}"
    );
    assert!(report.contains("0 of 65536 bytes queued"), "{report}");
}

fn line_of(mark: &str) -> usize {
    let source = std::fs::read_to_string(file!()).unwrap();
    let line = source.lines().position(|line| line.ends_with(mark));
    line.unwrap() + 1
}

#[test]
fn a_killed_task_flushes_for_so_long_and_no_longer() {
    struct Flush(PairStream, Rc<RefCell<Option<io::Error>>>);
    impl Drop for Flush {
        fn drop(&mut self) {
            self.1.replace(self.0.write_all(&[0; 100_000]).err());
        }
    }
    let builder = Builder::new().clock(Clock::Virtual);
    let error = Rc::new(RefCell::new(None));
    let theirs = error.clone();
    let elapsed = builder.run(|| {
        let (a, _b) = pair();
        let flush = Flush(a, theirs);
        let victim = spawn(move || {
            let _flush = flush;
            maypole::task::park();
        });
        maypole::yield_now();
        let start = time::now();
        victim.kill("it has to go");
        assert!(victim.join().unwrap_err().is_killed());
        time::now() - start
    });
    assert_eq!(elapsed.unwrap(), Duration::from_secs(5));
    let error = error.take().expect("nobody reads");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("a task that unwinds"), "{error}");
}

#[test]
fn a_timeout_around_a_read_ends_it() {
    let builder = Builder::new().clock(Clock::Virtual);
    let done = builder.run(|| {
        let (mut a, b) = pair();
        let second = Duration::from_secs(1);
        let late = time::timeout(second, || (&b).read(&mut [0]));
        assert!(late.is_err());
        // The turn is free again.
        a.write_all(&[1]).unwrap();
        time::timeout(second, || (&b).read(&mut [0]).unwrap()).unwrap()
    });
    assert_eq!(done.unwrap(), 1);
}

// ── outside of runs ──────────────────────────────────────────────────────────────────────────

#[test]
fn without_a_run_what_need_not_wait_works() {
    let (mut a, mut b) = pair_with_capacity(4);
    assert_eq!(a.write(b"12345").unwrap(), 4);
    let mut bytes = [0; 8];
    assert_eq!(b.read(&mut bytes).unwrap(), 4);
    let refused = std::panic::catch_unwind(|| (&b).read(&mut [0]));
    let text = refused.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("recv at tests/net_pair.rs:"), "{text}");
    assert!(text.contains("is outside of maypole::run"), "{text}");
    // The turn is free again, in a run too.
    run(move || {
        let reader = spawn(move || b.read(&mut [0]).unwrap());
        maypole::yield_now();
        a.write_all(b"6").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn a_pair_goes_from_run_to_run() {
    let (a, b) = run(pair);
    for round in 0..3 {
        run(|| {
            let reader = {
                let b = b.try_clone().unwrap();
                spawn(move || {
                    let mut byte = [0];
                    (&b).read_exact(&mut byte).unwrap();
                    byte[0]
                })
            };
            maypole::yield_now();
            (&a).write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), round);
            // Left over, and killed with the run.
            let b = b.try_clone().unwrap();
            spawn(move || (&b).read(&mut [0]));
            maypole::yield_now();
        });
    }
}

#[test]
fn a_pair_says_where_it_was_made() {
    let (a, _b) = pair();
    let text = format!("{a:?}");
    assert!(
        text.starts_with("PairStream { made_at: tests/net_pair.rs:"),
        "{text}"
    );
    assert!(std::panic::catch_unwind(|| pair_with_capacity(0)).is_err());
}
