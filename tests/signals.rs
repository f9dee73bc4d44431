//! Signals of the system, in processes of their own.
#![allow(unsafe_code)] // raises signals in its own OS thread, and installs handlers as a host does

use maypole::io::faults;
use maypole::net::{TcpListener, TcpStream};
use maypole::signal::{
    SIGBUS, SIGCHLD, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGSEGV, SIGSTOP, SIGTERM, SIGUSR1,
    SIGUSR2, Signal, Signals, ctrl_c, raise,
};
use maypole::task::{Builder, Status, What};
use maypole::{run, sleep, spawn, yield_now};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

mod child;

const SHORT: Duration = Duration::from_millis(5);

/// Raises it in this OS thread: its handler has returned when this does.
fn raise_here(signal: Signal) {
    // SAFETY: a call on a number.
    assert_eq!(unsafe { libc::raise(signal.number()) }, 0);
}

/// The address of what handles it now.
fn handler_of(signal: Signal) -> usize {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks, and writes the answer.
    let asked = unsafe { libc::sigaction(signal.number(), std::ptr::null(), now.as_mut_ptr()) };
    assert_eq!(asked, 0);
    // SAFETY: the call succeeded.
    unsafe { now.assume_init() }.sa_sigaction
}

fn handle(signal: Signal, handler: usize) {
    // SAFETY: the handlers of these tests touch atomics alone.
    let before = unsafe { libc::signal(signal.number(), handler) };
    assert_ne!(before, libc::SIG_ERR);
}

/// How often a host's handler ran.
static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

fn handled() -> usize {
    HANDLED.load(Ordering::SeqCst)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn the_first_ctrl_c_ends_a_wait_and_the_next_the_process() {
    let ended = child::run(|| {
        run(|| {
            let waits = spawn(|| ctrl_c().unwrap());
            yield_now();
            assert_eq!(waits.task().status(), Status::Parked(What::Signal));
            raise(SIGINT).unwrap();
            waits.join().unwrap();
            println!("ends in order");
            raise(SIGINT).unwrap();
            sleep(Duration::from_secs(10));
        });
    })
    .dies_of(SIGINT.number());
    assert!(ended.stdout.contains("ends in order"), "{}", ended.stdout);
}

#[test]
fn keys_at_a_terminal_end_it_in_order_and_then_at_once() {
    let typed = |child: &mut Child| {
        for word in ["serving", "ends in order"] {
            let mut heard = Vec::new();
            while !String::from_utf8_lossy(&heard).contains(word) {
                let mut byte = [0];
                child
                    .stdout
                    .as_mut()
                    .unwrap()
                    .read_exact(&mut byte)
                    .unwrap();
                heard.extend(byte);
            }
            child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
        }
    };
    let ended = child::run_on_terminal(typed, || {
        run(|| {
            spawn(|| println!("serving"));
            ctrl_c().unwrap();
            println!("ends in order");
            // It hangs in its cleanup, and not even in ours.
            std::thread::sleep(Duration::from_secs(30));
        });
    });
    match ended {
        Some(ended) => assert_eq!(
            ended.status,
            Some(128 + SIGINT.number()),
            "{}",
            ended.stdout
        ),
        None => println!("no script(1), no terminal"),
    }
}

#[test]
fn all_who_wait_for_a_ctrl_c_are_told_of_it() {
    child::run(|| {
        run(|| {
            let waiting: Vec<_> = (0..5).map(|_| spawn(|| ctrl_c().unwrap())).collect();
            let signals = Signals::new([SIGINT]).unwrap();
            yield_now();
            raise_here(SIGINT);
            for waits in waiting {
                waits.join().unwrap();
            }
            assert_eq!(signals.recv().unwrap(), SIGINT);
        });
    })
    .succeeds();
}

#[test]
fn while_somebody_listens_no_ctrl_c_ends_the_process() {
    child::run(|| {
        run(|| {
            let signals = Signals::new([SIGINT]).unwrap();
            for _ in 0..3 {
                let waits = spawn(|| ctrl_c().unwrap());
                yield_now();
                raise_here(SIGINT);
                waits.join().unwrap();
                raise_here(SIGINT);
                assert_eq!(signals.recv().unwrap(), SIGINT);
                assert_eq!(signals.try_recv(), None);
            }
        });
    })
    .succeeds();
}

#[test]
fn they_come_in_order_and_each_once() {
    child::run(|| {
        run(|| {
            let signals = Signals::new([SIGUSR1, SIGUSR2, SIGTERM, SIGUSR1]).unwrap();
            assert_eq!(
                format!("{signals:?}"),
                "Signals([SIGUSR1, SIGUSR2, SIGTERM])"
            );
            for signal in [SIGTERM, SIGUSR1, SIGUSR2] {
                raise_here(signal);
            }
            let received: Vec<_> = signals.iter().take(3).collect();
            assert_eq!(received, [SIGTERM, SIGUSR1, SIGUSR2]);
            for signal in [SIGUSR1, SIGUSR1, SIGTERM, SIGUSR1] {
                raise_here(signal);
            }
            assert_eq!(signals.recv().unwrap(), SIGTERM);
            assert_eq!(signals.recv().unwrap(), SIGUSR1);
            assert_eq!(signals.try_recv(), None);
            assert_eq!(signals.recv_timeout(SHORT).unwrap(), None);
            raise_here(SIGUSR2);
            assert_eq!(signals.recv_timeout(SHORT).unwrap(), Some(SIGUSR2));
        });
    })
    .succeeds();
}

#[test]
fn none_is_lost_between_two_receives() {
    child::run(|| {
        run(|| {
            let requests = Signals::new([SIGUSR1]).unwrap();
            let answers = Signals::new([SIGUSR2]).unwrap();
            let echo = spawn(move || {
                for _ in 0..2000 {
                    assert_eq!(requests.recv().unwrap(), SIGUSR1);
                    raise(SIGUSR2).unwrap();
                }
            });
            for round in 0..2000 {
                raise(SIGUSR1).unwrap();
                if round % 3 == 0 {
                    yield_now();
                }
                assert_eq!(answers.recv().unwrap(), SIGUSR2);
            }
            echo.join().unwrap();
        });
    })
    .succeeds();
}

#[test]
fn every_listener_of_every_os_thread_sees_every_signal() {
    child::run(|| {
        const ROUNDS: usize = 200;
        let ready = Arc::new(Barrier::new(5));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ready = ready.clone();
                std::thread::spawn(move || {
                    run(|| {
                        let all = Signals::new([SIGUSR1, SIGHUP]).unwrap();
                        let one = Signals::new([SIGUSR1]).unwrap();
                        ready.wait();
                        for _ in 0..ROUNDS {
                            assert_eq!(all.recv().unwrap(), SIGUSR1);
                            assert_eq!(one.recv().unwrap(), SIGUSR1);
                            // The next one is sent when all have seen this one.
                            ready.wait();
                        }
                        assert_eq!(all.recv().unwrap(), SIGHUP);
                        assert_eq!(one.try_recv(), None);
                    });
                })
            })
            .collect();
        ready.wait();
        for _ in 0..ROUNDS {
            raise(SIGUSR1).unwrap();
            ready.wait();
        }
        raise(SIGHUP).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(handler_of(SIGUSR1), libc::SIG_DFL);
        assert_eq!(handler_of(SIGHUP), libc::SIG_DFL);
    })
    .succeeds();
}

#[test]
fn what_handled_a_signal_before_does_so_again_after_the_last_listener() {
    child::run(|| {
        run(|| {
            // The default, a host's handler, none at all.
            for before in [libc::SIG_DFL, count as *const () as usize, libc::SIG_IGN] {
                handle(SIGTERM, before);
                let first = Signals::new([SIGTERM]).unwrap();
                let second = Signals::new([SIGUSR1, SIGTERM]).unwrap();
                assert_ne!(handler_of(SIGTERM), before);
                drop(first);
                assert_ne!(handler_of(SIGTERM), before);
                raise_here(SIGTERM);
                assert_eq!(second.recv().unwrap(), SIGTERM);
                drop(second);
                assert_eq!(handler_of(SIGTERM), before);
                assert_eq!(handler_of(SIGUSR1), libc::SIG_DFL);
            }
            raise_here(SIGTERM); // ignored again
            assert_eq!(handled(), 1, "the host's handler runs as well");
        });
    })
    .succeeds();
}

#[test]
fn a_handler_installed_over_the_listeners_stays() {
    child::run(|| {
        run(|| {
            let signals = Signals::new([SIGTERM]).unwrap();
            let ours = handler_of(SIGTERM);
            handle(SIGTERM, count as *const () as usize);
            raise_here(SIGTERM);
            assert_eq!((handled(), signals.try_recv()), (1, None));
            drop(signals);
            assert_eq!(handler_of(SIGTERM), count as *const () as usize);
            raise_here(SIGTERM);
            assert_eq!(handled(), 2);
            // It goes, and puts back what it has found: with no listener that is the default.
            handle(SIGTERM, ours);
            println!("to the end");
            raise_here(SIGTERM);
            unreachable!("the signal ends the process");
        });
    })
    .dies_of(SIGTERM.number());
}

#[test]
fn what_cannot_be_listened_to_is_refused_by_name() {
    child::run(|| {
        let before = handler_of(SIGSEGV);
        for signal in [SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE] {
            let error = Signals::new([SIGTERM, signal]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&signal.to_string()), "{error}");
        }
        for number in [0, -1, 32, 33, 65, 1000, i32::MAX] {
            let error = Signals::new([15, number]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}");
        }
        assert!(Signals::new([0_i32; 0]).is_err());
        assert!(raise(Signal::from(1000)).is_err());
        assert_eq!(
            handler_of(SIGTERM),
            libc::SIG_DFL,
            "nobody listens to it now"
        );
        assert_eq!(handler_of(SIGSEGV), before);
    })
    .succeeds();
}

#[test]
fn a_kill_and_a_time_out_lose_no_signal_and_leave_nothing() {
    child::run(|| {
        run(|| {
            let signals = Rc::new(Signals::new([SIGUSR1]).unwrap());
            assert_eq!(signals.recv_timeout(SHORT).unwrap(), None);
            let before = open_files();
            let theirs = signals.clone();
            let waits = spawn(move || theirs.recv().unwrap());
            yield_now();
            waits.kill("not this one");
            raise_here(SIGUSR1);
            assert!(waits.join().unwrap_err().is_killed());
            assert_eq!(signals.try_recv(), Some(SIGUSR1));
            assert!(maypole::time::timeout(SHORT, || signals.recv()).is_err());

            for _ in 0..3 {
                let waits = spawn(|| ctrl_c().unwrap());
                yield_now();
                assert_ne!(handler_of(SIGINT), libc::SIG_DFL);
                assert_eq!(open_files(), before + 1);
                waits.kill("enough");
                assert!(waits.join().unwrap_err().is_killed());
                assert!(maypole::time::timeout(SHORT, ctrl_c).is_err());
                assert_eq!(handler_of(SIGINT), libc::SIG_DFL);
                assert_eq!(open_files(), before);
            }
        });
    })
    .succeeds();
}

#[test]
fn a_signal_for_which_a_killed_task_was_woken_is_there_for_the_next() {
    child::run(|| {
        run(|| {
            let signals = Rc::new(Signals::new([SIGUSR1]).unwrap());
            let [first, second] = [(); 2].map(|()| {
                let signals = signals.clone();
                spawn(move || signals.recv().unwrap())
            });
            yield_now();
            raise_here(SIGUSR1);
            while first.task().status() == Status::Parked(What::Signal) {
                yield_now();
            }
            first.kill("after it was woken, before it ran");
            assert!(first.join().unwrap_err().is_killed());
            assert_eq!(second.join().unwrap(), SIGUSR1);
        });
    })
    .succeeds();
}

#[test]
fn a_ctrl_c_that_comes_as_its_wait_is_killed_ends_the_process() {
    child::run(|| {
        run(|| {
            let waits = spawn(|| ctrl_c().unwrap());
            yield_now();
            waits.kill("it is to unwind next");
            raise_here(SIGINT);
            println!("not lost");
            let _ = waits.join();
            sleep(Duration::from_secs(10));
        });
    })
    .dies_of(SIGINT.number());
}

#[test]
fn tasks_receive_in_the_order_in_which_they_came() {
    child::run(|| {
        run(|| {
            let signals = Rc::new(Signals::new([SIGUSR1, SIGUSR2, SIGTERM]).unwrap());
            let log = Rc::new(RefCell::new(Vec::new()));
            let receivers: Vec<_> = (0..4)
                .map(|n| {
                    let (signals, log) = (signals.clone(), log.clone());
                    spawn(move || {
                        let signal = signals.recv().unwrap();
                        log.borrow_mut().push((n, signal));
                    })
                })
                .collect();
            // A bell that rings for others does not change the line.
            let other = Signals::new([SIGHUP]).unwrap();
            for _ in 0..3 {
                yield_now();
                raise_here(SIGHUP);
                assert_eq!(other.recv().unwrap(), SIGHUP);
            }
            receivers[1].kill("leaves the line");
            yield_now();
            for signal in [SIGTERM, SIGUSR1, SIGUSR2] {
                raise_here(signal);
            }
            assert_eq!(signals.try_recv(), None, "others wait for it");
            for receiver in receivers {
                let _ = receiver.join();
            }
            assert_eq!(*log.borrow(), [(0, SIGTERM), (2, SIGUSR1), (3, SIGUSR2)]);
        });
    })
    .succeeds();
}

#[test]
fn any_system_call_may_fail_and_no_listener_is_left() {
    child::run(|| {
        run(|| {
            let signals = Signals::new([SIGUSR1]).unwrap();
            assert_eq!(signals.recv_timeout(SHORT).unwrap(), None);
            let before = open_files();
            for after in 0.. {
                faults::inject(after, 1, libc::ENFILE);
                let listens = || {
                    let signals = Signals::new([SIGTERM, SIGUSR2])?;
                    raise_here(SIGUSR2);
                    signals.recv()?;
                    signals.recv_timeout(SHORT)
                };
                let received = listens();
                let (_, failed) = faults::lift();
                assert_eq!(open_files(), before);
                assert_eq!(handler_of(SIGTERM), libc::SIG_DFL);
                assert_eq!(handler_of(SIGUSR2), libc::SIG_DFL);
                if failed == 0 {
                    assert_eq!(received.unwrap(), None);
                    assert!(after > 3);
                    break;
                }
                assert_eq!(received.unwrap_err().raw_os_error(), Some(libc::ENFILE));
            }
        });
    })
    .succeeds();
}

#[test]
fn a_signal_on_a_small_stack_finds_room_elsewhere() {
    child::run(|| {
        run(|| {
            let signals = Signals::new([SIGUSR1]).unwrap();
            let small = Builder::new().stack_size(1).spawn(|| {
                for _ in 0..100 {
                    raise_here(SIGUSR1);
                    yield_now();
                }
            });
            small.unwrap().join().unwrap();
            assert_eq!(signals.recv().unwrap(), SIGUSR1);
        });
    })
    .succeeds();
}

#[test]
fn a_stack_that_overflows_is_still_told_of() {
    #[allow(unconditional_recursion)]
    fn recurse(depth: usize) -> usize {
        std::hint::black_box([depth; 64])[0] + recurse(depth + 1)
    }
    let ended = child::run(|| {
        run(|| {
            let _signals = Signals::new([SIGTERM, SIGCHLD]).unwrap();
            let deep = Builder::new().name("deep").spawn(|| recurse(0)).unwrap();
            let _ = deep.join();
        });
    })
    .dies_of(SIGSEGV.number());
    assert!(ended.stderr.contains("'deep'"), "{}", ended.stderr);
}

#[test]
fn listeners_outlive_a_run() {
    child::run(|| {
        let signals = Signals::new([SIGUSR1]).unwrap();
        run(|| assert_eq!(signals.recv_timeout(SHORT).unwrap(), None));
        raise_here(SIGUSR1);
        run(|| assert_eq!(signals.recv().unwrap(), SIGUSR1));
        raise_here(SIGUSR1);
        assert_eq!(
            signals.recv().unwrap(),
            SIGUSR1,
            "what has come needs no run"
        );
        let outside = catch_unwind(AssertUnwindSafe(|| signals.recv()));
        let message = *outside.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("wait for a signal at "), "{message}");
        assert!(message.contains("maypole::run"), "{message}");
    })
    .succeeds();
}

#[test]
fn exploring_refuses_them_by_name() {
    for (name, call) in [
        ("ctrl_c", (|| drop(ctrl_c())) as fn()),
        ("Signals::new", || drop(Signals::new([SIGHUP]))),
    ] {
        let refused = catch_unwind(|| maypole::explore::check(call));
        let message = *refused.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains(&format!("{name} at ")), "{message}");
    }
}

#[test]
fn a_ctrl_c_ends_a_server_in_order() {
    let meanwhile = |child: &mut Child| {
        let mut line = Vec::new();
        let output = child.stdout.as_mut().unwrap();
        while !line.ends_with(b"serving\n") {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        // SAFETY: a call on numbers; the child has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    };
    let ended = child::run_on(Stdio::null(), meanwhile, || {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let open = maypole::sync::WaitGroup::new();
            let theirs = open.clone();
            let server = spawn(move || {
                loop {
                    let (mut connection, _) = listener.accept().unwrap();
                    let open = theirs.clone();
                    spawn(move || {
                        let mut word = [0; 5];
                        while connection.read_exact(&mut word).is_ok() {
                            connection.write_all(&word).unwrap();
                        }
                        println!("a connection ends");
                        drop(open);
                    });
                }
            });
            let mut client = TcpStream::connect(address).unwrap();
            let mut word = [0; 5];
            client.write_all(b"first").unwrap();
            client.read_exact(&mut word).unwrap();
            spawn(|| println!("serving"));
            ctrl_c().unwrap();
            server.kill("^C");
            assert!(server.join().unwrap_err().is_killed());
            println!("no new ones");
            client.write_all(b"still").unwrap();
            client.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"still");
            client.shutdown(std::net::Shutdown::Write).unwrap();
            open.wait();
            println!("in order");
        });
    })
    .succeeds();
    let order = ["no new ones", "a connection ends", "in order"];
    let places = order.map(|line| ended.stdout.find(line).unwrap());
    assert!(places.is_sorted(), "{}", ended.stdout);
}

#[test]
fn a_storm_of_signals_changes_no_sleep_and_no_read() {
    child::run(|| {
        // Without SA_RESTART: every system call that waits is interrupted.
        // SAFETY: all zeroes are an empty mask and no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = count as *const () as usize;
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: 300,
        };
        let storm = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        // SAFETY: records that live; the handler touches an atomic.
        unsafe {
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
            libc::setitimer(libc::ITIMER_REAL, &storm, std::ptr::null_mut());
        }
        run(|| {
            let alarms = Signals::new([SIGUSR1]).unwrap();
            let (mut here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
            let reads = spawn(move || {
                for n in 0..50_u8 {
                    maypole::io::wait_readable(&here).unwrap();
                    let mut byte = [0];
                    here.read_exact(&mut byte).unwrap();
                    assert_eq!(byte, [n]);
                }
            });
            let receives = spawn(move || {
                for _ in 0..50 {
                    assert_eq!(alarms.recv().unwrap(), SIGUSR1);
                }
            });
            for n in 0..50_u8 {
                let before = std::time::Instant::now();
                sleep(Duration::from_millis(2));
                assert!(before.elapsed() >= Duration::from_millis(2));
                there.write_all(&[n]).unwrap();
                raise(SIGUSR1).unwrap();
                while !receives.is_finished() && matches!(receives.task().status(), Status::Ready) {
                    yield_now();
                }
            }
            reads.join().unwrap();
            receives.kill("a coalesced one may be missing");
            assert!(handled() > 100);
        });
    })
    .succeeds();
}

#[test]
fn a_process_that_was_stopped_goes_on() {
    let meanwhile = |child: &mut Child| {
        let id = child.id() as i32;
        for _ in 0..20 {
            // SAFETY: calls on numbers; the child has not been waited for.
            unsafe { libc::kill(id, libc::SIGSTOP) };
            std::thread::sleep(SHORT);
            // SAFETY: as above.
            unsafe { libc::kill(id, libc::SIGCONT) };
            std::thread::sleep(SHORT);
        }
    };
    child::run_on(Stdio::null(), meanwhile, || {
        run(|| {
            let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
            let waits = spawn(move || maypole::io::wait_readable(&here).is_ok());
            for _ in 0..50 {
                sleep(SHORT);
            }
            drop(there);
            assert!(waits.join().unwrap());
        });
    })
    .succeeds();
}
