//! The standard input, in processes of their own.
#![allow(unsafe_code)] // asks for flags, and closes the standard input

use maypole::io::{faults, stdin};
use maypole::task::{Builder, Status, What};
use maypole::{run, sleep, spawn, yield_now};
use std::io::{ErrorKind, Read, Seek, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

mod child;

const SHORT: Duration = Duration::from_millis(5);

/// The other end of the child's standard input.
fn feed(child: &mut Child) -> ChildStdin {
    child.stdin.take().expect("the child's input is a pipe")
}

/// Tells the parent that all input so far was taken. What the test harness writes is in the way.
fn answer(word: &str) {
    println!("\n{word}");
}

/// Reads what the child writes until `word`, so that what is fed next comes later.
fn hear(child: &mut Child, word: &str) {
    let output = child.stdout.as_mut().expect("the child's output is a pipe");
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        assert_eq!(output.read(&mut byte).unwrap(), 1, "no {word:?}");
        match byte[0] {
            b'\n' if line == word.as_bytes() => return,
            b'\n' => line.clear(),
            byte => line.push(byte),
        }
    }
}

fn blocks() -> bool {
    // SAFETY: asks for the flags of a number.
    let flags = unsafe { libc::fcntl(0, libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK == 0
}

fn all_lines() -> Vec<String> {
    stdin().lines().map(|line| line.unwrap()).collect()
}

#[test]
fn lines_of_a_pipe_come_while_the_others_go_on() {
    let meanwhile = |child: &mut Child| {
        let mut input = feed(child);
        input.write_all(b"one\ntw").unwrap();
        hear(child, "ready");
        input.write_all(b"o\r\n\nlast").unwrap();
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            let ticks = spawn(|| {
                for _ in 0..10 {
                    sleep(Duration::from_millis(1));
                }
                answer("ready");
            });
            let mut line = String::from("> ");
            assert_eq!(stdin().read_line(&mut line).unwrap(), 4);
            assert_eq!(line, "> one\n");
            let rest = spawn(all_lines);
            yield_now();
            assert_eq!(rest.task().status(), Status::Parked(What::Input));
            assert_eq!(rest.join().unwrap(), ["two", "", "last"]);
            assert!(ticks.is_finished());
            assert_eq!(stdin().read_line(&mut line).unwrap(), 0);
            assert!(blocks(), "the parent's shell has it too");
        });
    })
    .succeeds();
}

#[test]
fn a_file_is_read_to_its_end() {
    let lines = 20_000;
    let mut file = temporary();
    for n in 0..lines {
        writeln!(file, "line {n} of some length").unwrap();
    }
    file.rewind().unwrap();
    child::run_on(
        file.into(),
        |_| (),
        || {
            run(|| {
                let other = spawn(|| ());
                let all = all_lines();
                assert_eq!(all.len(), 20_000);
                assert!(
                    all.iter()
                        .enumerate()
                        .all(|(n, line)| { line == &format!("line {n} of some length") })
                );
                assert!(other.is_finished(), "it gives way, though it never waits");
            });
        },
    )
    .succeeds();
}

/// A file that has no name any more.
fn temporary() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("maypole-stdin-{}", std::process::id()));
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path);
    let file = file.unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

#[test]
fn nothing_and_a_closed_input_are_at_their_end() {
    child::run(|| {
        run(|| {
            assert_eq!(all_lines(), [""; 0]);
            assert_eq!(stdin().read(&mut [0; 10]).unwrap(), 0);
            // SAFETY: nobody else in this process uses the number.
            assert_eq!(unsafe { libc::close(0) }, 0);
            assert_eq!(all_lines(), [""; 0]);
            assert_eq!(stdin().read(&mut [0; 10_000]).unwrap(), 0);
        });
    })
    .succeeds();
}

#[test]
fn a_terminal_gives_line_by_line() {
    let typed = |child: &mut Child| {
        let mut input = feed(child);
        for word in ["one", "two"] {
            hear(child, &format!("ready for {word}\r"));
            writeln!(input, "{word}").unwrap();
        }
        hear(child, "done\r");
    };
    let ended = child::run_on_terminal(typed, || {
        run(|| {
            let stdin = stdin();
            for word in ["one", "two"] {
                let mut line = String::new();
                answer(&format!("ready for {word}"));
                stdin.read_line(&mut line).unwrap();
                assert_eq!(line, format!("{word}\n"));
            }
            assert!(blocks());
            assert!(std::io::IsTerminal::is_terminal(&std::io::stdin()));
            answer("done");
        });
    });
    match ended {
        Some(ended) => drop(ended.succeeds()),
        None => println!("no script(1), no terminal"),
    }
}

#[test]
fn a_kill_and_a_time_out_lose_no_byte() {
    let meanwhile = |child: &mut Child| {
        let mut input = feed(child);
        input.write_all(b"be").unwrap();
        hear(child, "more");
        input.write_all(b"gin").unwrap();
        hear(child, "more");
        input.write_all(b"ning\nend").unwrap();
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            // Waits until there is something, so that what is lost could be told.
            maypole::io::wait_readable(std::io::stdin()).unwrap();
            let reads = spawn(|| stdin().read_line(&mut String::new()).unwrap());
            yield_now();
            reads.kill("not this one");
            assert!(reads.join().unwrap_err().is_killed());
            answer("more");
            maypole::io::wait_readable(std::io::stdin()).unwrap();
            let late = maypole::time::timeout(SHORT, all_lines);
            assert!(late.is_err());
            answer("more");
            let mut line = String::new();
            assert_eq!(stdin().read_line(&mut line).unwrap(), 10);
            assert_eq!(line, "beginning\n");
            let mut rest = String::new();
            stdin().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "end");
        });
    })
    .succeeds();
}

#[test]
fn several_tasks_have_whole_lines_in_turn() {
    let meanwhile = |child: &mut Child| {
        let mut input = feed(child);
        hear(child, "ready");
        for part in ["a\nb", "\n", "c\nd\nxxx"] {
            input.write_all(part.as_bytes()).unwrap();
            std::thread::sleep(SHORT);
        }
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            let read = || {
                let mut line = String::new();
                stdin().read_line(&mut line).unwrap();
                line
            };
            let readers: Vec<_> = (0..6).map(|_| spawn(read)).collect();
            yield_now();
            readers[1].kill("leaves the line");
            answer("ready");
            let lines: Vec<_> = readers
                .into_iter()
                .map(|reader| reader.join().ok())
                .collect();
            let lines: Vec<_> = lines.iter().map(|line| line.as_deref()).collect();
            let expected = [
                Some("a\n"),
                None,
                Some("b\n"),
                Some("c\n"),
                Some("d\n"),
                Some("xxx"),
            ];
            assert_eq!(lines, expected);
        });
    })
    .succeeds();
}

#[test]
fn bytes_and_lines_mix() {
    let meanwhile = |child: &mut Child| {
        feed(child)
            .write_all(b"4 bytes\nand a line\nand \xFF\nthe end")
            .unwrap();
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            let mut stdin = stdin();
            let mut four = [0; 4];
            stdin.read_exact(&mut four).unwrap();
            assert_eq!(&four, b"4 by");
            assert_eq!(stdin.read(&mut []).unwrap(), 0);
            let mut line = String::new();
            assert_eq!(stdin.read_line(&mut line).unwrap(), 4);
            assert_eq!(stdin.read_line(&mut line).unwrap(), 11);
            assert_eq!(line, "tes\nand a line\n");
            let invalid = stdin.read_line(&mut line).unwrap_err();
            assert_eq!(invalid.kind(), ErrorKind::InvalidData);
            assert_eq!(line, "tes\nand a line\n", "nothing of it is appended");
            let mut rest = Vec::new();
            stdin.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"the end");
        });
    })
    .succeeds();
}

#[test]
fn one_os_thread_at_a_time_waits_and_the_next_has_what_was_read_ahead() {
    let meanwhile = |child: &mut Child| {
        let mut input = feed(child);
        hear(child, "ready");
        input.write_all(b"one\ntwo\n").unwrap();
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            let first = spawn(|| {
                let mut line = String::new();
                stdin().read_line(&mut line).unwrap();
                line
            });
            yield_now();
            let elsewhere =
                std::thread::spawn(|| run(|| stdin().read_line(&mut String::new()).unwrap_err()));
            let refused = elsewhere.join().unwrap();
            assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
            answer("ready");
            assert_eq!(first.join().unwrap(), "one\n");
        });
        let elsewhere = std::thread::spawn(|| run(all_lines));
        assert_eq!(elsewhere.join().unwrap(), ["two"]);
    })
    .succeeds();
}

#[test]
fn a_daemon_that_reads_makes_no_deadlock_of_those_behind_it() {
    let meanwhile = |child: &mut Child| {
        let mut input = feed(child);
        hear(child, "ready");
        input.write_all(b"one\ntwo\n").unwrap();
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            let daemon = Builder::new().daemon(true).spawn(|| {
                stdin().read_line(&mut String::new()).unwrap();
            });
            yield_now();
            spawn(|| {
                sleep(SHORT);
                answer("ready");
            });
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            assert_eq!(line, "two\n");
            daemon.unwrap().join().unwrap();
        });
    })
    .succeeds();
}

#[test]
fn any_system_call_may_fail_and_no_byte_is_lost() {
    let meanwhile = |child: &mut Child| {
        let mut input = feed(child);
        hear(child, "ready");
        input.write_all(b"half").unwrap();
        hear(child, "ready");
        input.write_all(b" and half\n").unwrap();
    };
    child::run_on(Stdio::piped(), meanwhile, || {
        run(|| {
            // The reactor, and what it needs.
            maypole::io::wait_readable_timeout(std::io::stdin(), SHORT).unwrap();
            let mut line = String::new();
            for after in 0.. {
                if after < 2 {
                    answer("ready");
                    maypole::io::wait_readable(std::io::stdin()).unwrap();
                }
                faults::inject(after, 1, libc::EIO);
                let read = stdin().read_line(&mut line);
                let (_, failed) = faults::lift();
                if failed == 0 {
                    assert_eq!(read.unwrap(), 14);
                    break;
                }
                assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::EIO));
                assert_eq!(line, "", "a line is taken whole");
            }
            assert_eq!(line, "half and half\n");
        });
    })
    .succeeds();
}

#[test]
fn exploring_refuses_it_by_name() {
    let refused = std::panic::catch_unwind(|| maypole::explore::check(|| drop(stdin())));
    let message = refused.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("stdin at "), "{message}");
}
