//! Other processes: what std's can do, for tasks.
#![allow(unsafe_code)] // asks for the flags of descriptors

use maypole::io::faults;
use maypole::process::{Command, ExitStatus, Output, Stdio};
use maypole::signal::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use maypole::task::{Status, What};
use maypole::{run, sleep, spawn, yield_now};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(60);

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn text(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn status_flags(fd: RawFd) -> i32 {
    // SAFETY: asks for the flags of a number.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

#[test]
fn its_output_and_its_status_are_had() {
    run(|| {
        let output = sh("cat; echo out; echo err >&2; exit 3").output().unwrap();
        assert_eq!(text(&output), ("out\n", "err\n"));
        assert_eq!(output.status.code(), Some(3));
        assert!(Command::new("true").status().unwrap().success());
        let killed = sh("kill -TERM $$").status().unwrap();
        assert_eq!(killed.signal(), Some(SIGTERM.number()));
    });
}

#[test]
fn much_output_on_both_pipes_is_no_deadlock() {
    run(|| {
        let script = "head -c 1000000 /dev/zero >&2; head -c 3000000 /dev/zero; \
                      head -c 1000000 /dev/zero >&2";
        let output = sh(script).output().unwrap();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (3_000_000, 2_000_000)
        );
        assert!(output.status.success());
    });
}

#[test]
fn a_child_is_written_to_and_read_from_at_once() {
    run(|| {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let sent: Vec<u8> = (0..2_000_000).map(|n| (n % 251) as u8).collect();
        let theirs = sent.clone();
        let writer = spawn(move || input.write_all(&theirs).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout == sent);
        writer.join().unwrap();
    });
}

#[test]
fn the_others_go_on_while_a_task_waits() {
    run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let waits = spawn(move || child.wait().unwrap());
        yield_now();
        assert_eq!(waits.task().status(), Status::Parked(What::Process));
        sleep(SHORT);
        drop(input);
        assert!(waits.join().unwrap().success());
    });
}

#[test]
fn waiting_closes_the_input_first_and_a_limited_wait_does_not() {
    run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
        let deadline = maypole::time::now() + SHORT;
        assert_eq!(child.wait_deadline(deadline).unwrap(), None);
        assert!(child.stdin.is_some());
        assert!(child.wait().unwrap().success());
        assert!(child.stdin.is_none());

        let child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"");
    });
}

#[test]
fn one_that_has_ended_before_is_not_waited_for() {
    run(|| {
        let mut child = sh("exit 7").stdout(Stdio::piped()).spawn().unwrap();
        let mut end = [0];
        assert_eq!(child.stdout.as_mut().unwrap().read(&mut end).unwrap(), 0);
        sleep(SHORT * 4);
        // Whether it has ended or is about to: an end is seen by each way of asking.
        assert_eq!(child.wait_timeout(LONG).unwrap().unwrap().code(), Some(7));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(7));
    });
}

#[test]
fn one_that_ignores_sigterm_is_killed() {
    run(|| {
        let mut child = sh("trap '' TERM; echo ready; exec sleep 60")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        child.signal(SIGTERM).unwrap();
        assert_eq!(child.wait_timeout(SHORT * 4).unwrap(), None);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL.number()));
    });
}

#[test]
fn a_kill_after_the_end_reaches_nobody() {
    run(|| {
        let mut child = sh("exit 5").spawn().unwrap();
        // It ends meanwhile, and is a zombie.
        while !std::fs::read_to_string(format!("/proc/{}/stat", child.id()))
            .unwrap()
            .contains(") Z")
        {
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
        child.kill().unwrap();
        child.signal(SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
    });
}

#[test]
fn a_grandchild_keeps_the_pipe_and_not_the_wait() {
    run(|| {
        let script = "(read line; echo late) <&3 & echo early";
        let (fifo, mut pen) = std::io::pipe().unwrap();
        // Descriptor 3 of the child is the standard input of its own child.
        let mut child = sh(&format!("exec 3<&0; {script}"))
            .stdin(Stdio::from(OwnedFd::from(fifo)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        let mut early = [0; 6];
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut early).unwrap();
        assert_eq!(&early, b"early\n");
        let rest = spawn(move || {
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            rest
        });
        yield_now();
        assert_eq!(rest.task().status(), Status::Parked(What::Input));
        pen.write_all(b"now\n").unwrap();
        assert_eq!(rest.join().unwrap(), "late\n");
    });
}

#[test]
fn one_that_is_stopped_has_not_ended() {
    run(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        child.signal(SIGSTOP).unwrap();
        drop(child.stdin.take());
        assert_eq!(child.wait_timeout(SHORT * 4).unwrap(), None);
        child.signal(SIGCONT).unwrap();
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn what_is_no_program_is_std_error() {
    run(|| {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = Command::new("/dev/null").output().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn arguments_environment_and_directory_are_set() {
    run(|| {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg("echo $0 $1; echo $A $B $C; pwd; echo $PATH")
            .args(["zero", "one"])
            .env_clear()
            .env("A", "a")
            .envs([("B", "b"), ("C", "c")])
            .env_remove("C")
            .current_dir("/");
        let output = command.output().unwrap();
        let lines: Vec<_> = text(&output).0.lines().map(String::from).collect();
        assert_eq!(lines[..3], ["zero one", "a b", "/"]);
        assert_eq!(command.get_program(), "sh");
        assert_eq!(command.get_args().len(), 4);
        assert_eq!(command.get_envs().count(), 2);
        assert_eq!(command.get_current_dir().unwrap().to_str(), Some("/"));
        let again = command.output().unwrap();
        assert_eq!(again, output);
    });
}

#[test]
fn streams_that_were_set_stay_as_they_are() {
    run(|| {
        let mut command = sh("echo out; echo err >&2");
        command.stdout(Stdio::null());
        assert_eq!(text(&command.output().unwrap()), ("", "err\n"));

        // What is captured once is not captured by the next call.
        let mut command = sh("exit 0");
        command.output().unwrap();
        let child = command.spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        child.wait_with_output().unwrap();

        let mut std = std::process::Command::new("echo");
        std.arg("of std's")
            .stdout(Stdio::piped())
            .stdin(Stdio::null());
        let output = Command::from(std).output().unwrap();
        assert_eq!(text(&output), ("of std's\n", ""));
    });
}

#[test]
fn the_output_of_one_is_the_input_of_the_next() {
    run(|| {
        let mut first = sh("echo b; echo a; sleep 0.05; echo c")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let second = Command::new("sort")
            .stdin(first.stdout.take().unwrap())
            .output()
            .unwrap();
        assert_eq!(text(&second), ("a\nb\nc\n", ""));
        assert!(first.wait().unwrap().success());
    });
}

#[test]
fn only_our_end_of_a_pipe_does_not_block() {
    run(|| {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        for theirs in [0, 1] {
            let path = format!("/proc/{}/fdinfo/{theirs}", child.id());
            let info = std::fs::read_to_string(path).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = i32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
            assert_eq!(flags & libc::O_NONBLOCK, 0, "{info}");
        }
        let ours = child.stdout.as_ref().unwrap().as_raw_fd();
        assert_ne!(status_flags(ours) & libc::O_NONBLOCK, 0);
        // SAFETY: asks for the flags of a number.
        assert_ne!(
            unsafe { libc::fcntl(ours, libc::F_GETFD) } & libc::FD_CLOEXEC,
            0
        );
        // Who gets it next expects one that blocks.
        let given = OwnedFd::from(child.stdout.take().unwrap());
        assert_eq!(status_flags(given.as_raw_fd()) & libc::O_NONBLOCK, 0);
        child.wait().unwrap();
    });
}

#[test]
fn a_pipe_of_packets_is_read_to_its_end() {
    run(|| {
        let script = "import fcntl, os\n\
                      fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_DIRECT)\n\
                      os.read(0, 1)\n\
                      for n in range(10): os.write(1, b'packet')\n\
                      os.read(0, 1)";
        let child = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            return println!("no python3");
        };
        let mut output = child.stdout.take().unwrap();
        let input = child.stdin.as_mut().unwrap();
        let reads = spawn(move || {
            let mut packets = [0; 60];
            output.read_exact(&mut packets).unwrap();
            packets
        });
        while reads.task().status() != Status::Parked(What::Input) {
            yield_now();
        }
        input.write_all(b"!").unwrap();
        let reads = maypole::time::timeout(LONG / 6, || reads.join()).expect("all packets");
        assert!(reads.unwrap().starts_with(b"packetpacket"));
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_closed_pipe_is_an_error_and_no_signal() {
    run(|| {
        let mut child = sh("exec <&-; echo closed; exec sleep 60")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 7];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut word)
            .unwrap();
        let error = child.stdin.as_mut().unwrap().write_all(b"?").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

/// Calls `f` where the system has no descriptors of processes.
fn without_pidfd<T>(f: impl FnOnce() -> T) -> T {
    faults::inject(1, 1, libc::ENOSYS);
    let result = f();
    assert_eq!(faults::lift().1, 1);
    result
}

#[test]
fn an_old_system_will_do() {
    run(|| {
        let mut child =
            without_pidfd(|| Command::new("cat").stdin(Stdio::piped()).spawn()).unwrap();
        assert_eq!(child.wait_timeout(SHORT).unwrap(), None);
        let others = spawn(|| sleep(SHORT));
        assert!(child.wait().unwrap().success());
        others.join().unwrap();
        child.kill().unwrap();

        let mut child = without_pidfd(|| Command::new("sleep").arg("60").spawn()).unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL.number()));

        let mut child = without_pidfd(|| sh("exit 4").spawn()).unwrap();
        assert_eq!(child.wait_timeout(LONG).unwrap().unwrap().code(), Some(4));
    });
}

#[test]
fn outside_of_a_run_all_is_there_but_waiting() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    let refused = catch_unwind(AssertUnwindSafe(|| child.wait_timeout(LONG)));
    let message = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("wait for a process at "), "{message}");
    drop(child.stdin.take());
    run(|| assert!(child.wait().unwrap().success()));
    assert_eq!(child.wait().unwrap(), ExitStatus::default());
}

#[test]
fn exploring_refuses_a_process_by_name() {
    for (name, call) in [
        (
            "Command::spawn",
            (|| drop(Command::new("true").spawn())) as fn(),
        ),
        ("Command::output", || drop(Command::new("true").output())),
        ("Command::status", || drop(Command::new("true").status())),
    ] {
        let refused = catch_unwind(|| maypole::explore::check(call));
        let message = *refused.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains(&format!("{name} at ")), "{message}");
    }
}
