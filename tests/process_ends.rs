//! What is left of processes: no zombie, no descriptor, no OS thread; in processes of their own.
#![allow(unsafe_code)] // handles signals as a host does

use maypole::io::faults;
use maypole::process::{Child, Command, Stdio};
use maypole::signal::{SIGCHLD, SIGUSR1, Signals};
use maypole::task::{Status, What};
use maypole::time::timeout;
use maypole::{run, sleep, spawn, yield_now};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

mod child;

const SHORT: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn os_threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// The children of this process, each with its state: `Z` is a zombie.
fn children() -> Vec<(u32, char)> {
    let this = std::process::id();
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Ok(id) = name.to_string_lossy().parse() else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name is in parentheses, and may hold anything.
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let mut fields = rest.split(' ');
        let state = fields.next().unwrap().chars().next().unwrap();
        if fields.next().unwrap().parse() == Ok(this) {
            children.push((id, state));
        }
    }
    children
}

/// Fails if it takes too long.
#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: never; {:?}",
            children()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn nothing_is_left(files: usize, threads: usize) {
    eventually("no child", || children().is_empty());
    eventually("no OS thread", || os_threads() == threads);
    eventually("no descriptor", || open_files() == files);
}

/// What is there before: the reactor, which the first wait makes, has its descriptors.
fn before() -> (usize, usize) {
    let (quiet, other) = std::io::pipe().unwrap();
    assert!(!maypole::io::wait_readable_timeout(&quiet, SHORT).unwrap());
    drop((quiet, other));
    (open_files(), os_threads())
}

fn sleeper(seconds: &str) -> Command {
    let mut command = Command::new("sleep");
    command.arg(seconds);
    command
}

#[test]
fn a_thousand_children_leave_nothing() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            for _ in 0..10 {
                let all: Vec<_> = (0..100)
                    .map(|n| {
                        spawn(move || {
                            let mut child =
                                Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
                            if n % 2 == 0 {
                                yield_now();
                            }
                            assert!(child.wait().unwrap().success());
                        })
                    })
                    .collect();
                all.into_iter().for_each(|task| task.join().unwrap());
                assert_eq!(children(), []);
                assert_eq!((open_files(), os_threads()), (files, threads));
            }
        });
    })
    .succeeds();
}

#[test]
fn one_that_is_dropped_runs_on_and_becomes_no_zombie() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let input = cat.stdin.take().unwrap();
            let id = cat.id();
            drop(cat);
            assert_eq!(children(), [(id, children()[0].1)]);
            assert_eq!(os_threads(), threads + 1);
            for _ in 0..50 {
                drop(sleeper("0.02").spawn().unwrap());
            }
            eventually("one child", || children().len() == 1);
            assert_eq!(children()[0].0, id);
            drop(input);
            nothing_is_left(files, threads);

            // And once more, after the OS thread has ended.
            drop(sleeper("0.01").spawn().unwrap());
            drop(Command::new("true").spawn().unwrap());
            nothing_is_left(files, threads);
        });
    })
    .succeeds();
}

#[test]
fn one_that_is_killed_on_drop_is_gone() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            for _ in 0..20 {
                let child = sleeper("60").kill_on_drop(true).spawn().unwrap();
                let waits = spawn(move || {
                    let mut child = child;
                    child.wait().unwrap();
                });
                yield_now();
                waits.kill("and the process with it");
                assert!(waits.join().unwrap_err().is_killed());
            }
            assert!(timeout(SHORT, || sleeper("60").kill_on_drop(true).status()).is_err());
            assert!(timeout(SHORT, || sleeper("60").kill_on_drop(true).output()).is_err());
            nothing_is_left(files, threads);
        });
    })
    .succeeds();
}

#[test]
fn a_task_killed_at_any_park_leaves_its_child_whole() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            // Each gives what it waits for, and comes back to it.
            type Call = fn(&mut Child);
            let calls: [(What, Call); 4] = [
                (What::Process, |child| drop(child.wait_timeout(PATIENCE))),
                (What::Input, |child| {
                    drop(child.stdout.as_ref().unwrap().read(&mut [0; 10]));
                }),
                (What::Output, |child| {
                    // Until the pipe is full, a page at a time.
                    let mut input = child.stdin.as_ref().unwrap();
                    while input.write_all(&[7; 4096]).is_ok() {}
                }),
                (What::Process, |child| {
                    drop(child.wait_deadline(Instant::now() + PATIENCE))
                }),
            ];
            for (what, call) in calls {
                let script = "read line; tr -d '\\007'";
                let child = Command::new("sh")
                    .args(["-c", script])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let child = std::rc::Rc::new(std::cell::RefCell::new(child));
                child.borrow_mut().signal(maypole::signal::SIGSTOP).unwrap();
                for kills in [true, false] {
                    let theirs = child.clone();
                    let waits = spawn(move || match kills {
                        true => call(&mut theirs.borrow_mut()),
                        false => {
                            let late = timeout(SHORT, || call(&mut theirs.borrow_mut()));
                            assert!(late.is_err());
                        }
                    });
                    if kills {
                        while waits.task().status() != Status::Parked(what) {
                            yield_now();
                        }
                        waits.kill("here");
                        assert!(waits.join().unwrap_err().is_killed());
                    } else {
                        waits.join().unwrap();
                    }
                }
                let mut child = std::rc::Rc::into_inner(child).unwrap().into_inner();
                child.signal(maypole::signal::SIGCONT).unwrap();
                let mut input = child.stdin.take().unwrap();
                let writer = spawn(move || input.write_all(b"\nwhole").unwrap());
                let output = child.wait_with_output().unwrap();
                writer.join().unwrap();
                assert!(output.status.success());
                assert!(output.stdout.ends_with(b"whole"), "{output:?}");
            }
            nothing_is_left(files, threads);
        });
    })
    .succeeds();
}

#[test]
fn a_run_that_ends_leaves_no_child_to_nobody() {
    child::run(|| {
        let (files, threads) = run(before);
        let mut later = None;
        run(|| {
            spawn(|| sleeper("0.05").status().unwrap());
            spawn(|| sleeper("60").kill_on_drop(true).output().unwrap());
            later = Some(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap());
            yield_now();
        });
        // A child outlives the run that started it.
        run(|| assert!(later.unwrap().wait().unwrap().success()));
        nothing_is_left(files, threads);
    })
    .succeeds();
}

#[test]
fn any_system_call_may_fail_and_nothing_is_left() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            let whole = || -> std::io::Result<Vec<u8>> {
                let mut child = Command::new("cat")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()?;
                child.stdin.as_mut().unwrap().write_all(b"all")?;
                let mut word = [0; 3];
                child.stdout.as_mut().unwrap().read_exact(&mut word)?;
                child.wait_timeout(SHORT)?;
                drop(child.stdin.take());
                let mut output = word.to_vec();
                output.extend(child.wait_with_output()?.stdout);
                Ok(output)
            };
            for errno in [libc::EMFILE, libc::EINTR] {
                for after in 0.. {
                    faults::inject(after, 1, errno);
                    let result = whole();
                    let (_, failed) = faults::lift();
                    nothing_is_left(files, threads);
                    if failed == 0 {
                        assert_eq!(result.unwrap(), b"all");
                        assert!(after > 10, "{after}");
                        break;
                    }
                    match (result, errno) {
                        (Ok(output), libc::EINTR) => assert_eq!(output, b"all"),
                        (Err(error), errno) => assert_eq!(error.raw_os_error(), Some(errno)),
                        (Ok(_), _) => panic!("the failure of call {after} was not told"),
                    }
                }
            }
        });
    })
    .succeeds();
}

#[test]
fn a_destructor_that_waits_while_it_unwinds_is_given_its_time() {
    struct Waits<F: FnMut() -> bool>(F);
    impl<F: FnMut() -> bool> Drop for Waits<F> {
        fn drop(&mut self) {
            assert!((self.0)());
        }
    }
    child::run(|| {
        let builder = maypole::Builder::new().cleanup(SHORT * 4);
        let outcome = builder.run(|| {
            // What tells of signals is there for good.
            drop(Signals::new([SIGUSR1]).unwrap());
            let (files, threads) = before();
            let mut child = sleeper("60").kill_on_drop(true).spawn().unwrap();
            let signals = Signals::new([SIGUSR1]).unwrap();
            let (here, there) = std::io::pipe().unwrap();
            let unwinds = spawn(move || {
                let _first = Waits(|| is_late(child.wait()));
                let _second = Waits(|| is_late(signals.recv()));
                let _third = Waits(|| is_late(maypole::io::wait_readable(&here)));
                let _fourth = Waits(|| signals.recv_timeout(PATIENCE).unwrap().is_none());
                sleep(PATIENCE);
            });
            yield_now();
            unwinds.kill("now");
            assert!(unwinds.join().unwrap_err().is_killed());
            drop(there);
            nothing_is_left(files, threads);
        });
        outcome.unwrap();
    })
    .succeeds();

    fn is_late<T: std::fmt::Debug>(result: std::io::Result<T>) -> bool {
        result.unwrap_err().kind() == std::io::ErrorKind::TimedOut
    }
}

#[test]
fn without_pidfds_nothing_is_left_either() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            let spawn_there = |command: &mut Command| {
                faults::inject(1, 1, libc::EPERM);
                let child = command.spawn().unwrap();
                assert_eq!(faults::lift().1, 1);
                child
            };
            drop(spawn_there(&mut sleeper("0.02")));
            drop(spawn_there(sleeper("60").kill_on_drop(true)));
            let mut child = spawn_there(&mut sleeper("60"));
            assert!(os_threads() > threads);
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9));
            drop(child);
            nothing_is_left(files, threads);
        });
    })
    .succeeds();
}

#[test]
fn a_child_has_no_descriptor_but_its_three() {
    child::run(|| {
        let list = || {
            std::process::Command::new("ls")
                .arg("/proc/self/fd")
                .output()
        };
        // What this process has inherited itself, and one that it opens to read the list.
        let before = list().unwrap().stdout;
        run(|| {
            let _signals = Signals::new([SIGUSR1]).unwrap();
            let mut cat = Command::new("cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            assert_eq!(cat.wait_timeout(SHORT).unwrap(), None);
            let orphan = sleeper("0.5").spawn().unwrap();
            drop(orphan);
            let ours = Command::new("ls").arg("/proc/self/fd").output().unwrap();
            assert_eq!(ours.stdout, before);
            assert_eq!(list().unwrap().stdout, before);
            cat.wait().unwrap();
        });
    })
    .succeeds();
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn where_the_host_ignores_sigchld_the_end_is_seen_and_the_status_is_none() {
    child::run(|| {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(SIGCHLD.number(), libc::SIG_IGN) };
        run(|| {
            let (files, threads) = before();
            let no_child = |error: std::io::Error| error.raw_os_error() == Some(libc::ECHILD);
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            assert_eq!(child.try_wait().unwrap(), None);
            assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
            assert!(no_child(child.wait().unwrap_err()), "when it has ended");
            child.kill().unwrap();
            assert!(no_child(child.try_wait().unwrap_err()));
            drop(child);

            let mut child = sleeper("60").spawn().unwrap();
            child.kill().unwrap();
            assert!(no_child(child.wait().unwrap_err()));
            drop(child);
            assert!(no_child(Command::new("echo").output().unwrap_err()));
            drop(sleeper("0.02").spawn().unwrap());

            faults::inject(1, 1, libc::ENOSYS);
            let mut child = sleeper("0.02").spawn().unwrap();
            faults::lift();
            assert!(no_child(child.wait().unwrap_err()));
            child.kill().unwrap();
            drop(child);
            nothing_is_left(files, threads);
        });
    })
    .succeeds();
}

#[test]
fn a_handler_of_sigchld_is_the_hosts_business() {
    child::run(|| {
        // SAFETY: the handler touches an atomic.
        unsafe { libc::signal(SIGCHLD.number(), count as *const () as usize) };
        run(|| {
            for n in 1..=10 {
                assert!(Command::new("true").status().unwrap().success());
                eventually("handled", || HANDLED.load(Ordering::SeqCst) >= n);
            }
            // Whoever wants to may listen, too, and the handler runs on.
            let signals = Signals::new([SIGCHLD]).unwrap();
            let mut child = Command::new("true").spawn().unwrap();
            assert_eq!(signals.recv().unwrap(), SIGCHLD);
            assert!(child.wait().unwrap().success());
            // It runs after the signal was noted, perhaps on another OS thread.
            eventually("handled", || HANDLED.load(Ordering::SeqCst) >= 11);
        });
    })
    .succeeds();
}

#[test]
fn somebody_else_who_waits_for_all_children_makes_no_hang() {
    child::run(|| {
        run(|| {
            let (files, threads) = before();
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let other = std::thread::spawn(|| {
                let mut status = 0;
                // SAFETY: the system writes a number.
                unsafe { libc::waitpid(-1, &mut status, 0) }
            });
            sleep(SHORT);
            let id = child.id();
            match child.wait() {
                // The one or the other was first.
                Ok(status) => assert!(status.success()),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD)),
            }
            let waited = other.join().unwrap();
            assert!(waited == id as i32 || waited == -1);
            child.kill().unwrap();
            drop(child);
            nothing_is_left(files, threads);
        });
    })
    .succeeds();
}

#[test]
fn a_storm_of_signals_changes_no_wait() {
    child::run(|| {
        // Without SA_RESTART: every system call that waits is interrupted.
        // SAFETY: all zeroes are an empty mask and no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = count as *const () as usize;
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: 1000,
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
            for _ in 0..10 {
                let script = "head -c 200000 /dev/zero; sleep 0.01";
                let output = Command::new("sh").args(["-c", script]).output().unwrap();
                assert_eq!(output.stdout.len(), 200_000);
                assert!(output.status.success());
                drop(sleeper("0.01").spawn().unwrap());
            }
            eventually("no child", || children().is_empty());
            assert!(HANDLED.load(Ordering::SeqCst) > 10);
        });
    })
    .succeeds();
}
