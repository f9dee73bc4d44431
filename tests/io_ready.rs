//! Waiting for descriptors that maypole knows nothing of.
#![allow(unsafe_code)] // a descriptor that is closed under us

use maypole::io::{
    faults, wait_readable, wait_readable_timeout, wait_writable, wait_writable_timeout,
};
use maypole::task::{Status, What};
use maypole::{run, spawn, yield_now};
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

mod child;

const SHORT: Duration = Duration::from_millis(5);

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_blocking_descriptor_is_waited_for_without_blocking_the_others() {
    run(|| {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let log = Rc::new(RefCell::new(Vec::new()));
        let theirs = log.clone();
        let reader = spawn(move || {
            wait_readable(&here).unwrap();
            theirs.borrow_mut().push("readable");
            let mut byte = [0];
            here.read_exact(&mut byte).unwrap();
        });
        yield_now();
        assert_eq!(reader.task().status(), Status::Parked(What::Input));
        log.borrow_mut().push("the others run");
        there.write_all(b"!").unwrap();
        reader.join().unwrap();
        assert_eq!(*log.borrow(), ["the others run", "readable"]);
    });
}

#[test]
fn a_full_descriptor_is_waited_for_until_there_is_room() {
    run(|| {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let filler = spawn(move || {
            let mut written = 0;
            // A pipe takes 4096 bytes at once, or is not ready.
            while written < 1 << 20 {
                wait_writable(&writer).unwrap();
                (&writer).write_all(&[7; 4096]).unwrap();
                written += 4096;
            }
        });
        while filler.task().status() != Status::Parked(What::Output) {
            yield_now();
        }
        let mut read = 0;
        let mut buffer = [0; 10_000];
        while read < 1 << 20 {
            wait_readable(&reader).unwrap();
            read += reader.read(&mut buffer).unwrap();
        }
        filler.join().unwrap();
    });
}

#[test]
fn the_end_of_the_other_end_makes_both_ways_ready() {
    run(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        let waits = spawn(move || wait_readable(&reader).is_ok());
        yield_now();
        drop(writer);
        assert!(waits.join().unwrap());

        let (reader, writer) = std::io::pipe().unwrap();
        while wait_writable_timeout(&writer, Duration::ZERO).unwrap() {
            (&writer).write_all(&[0; 4096]).unwrap();
        }
        let waits = spawn(move || wait_writable(&writer).is_ok());
        yield_now();
        assert!(!waits.is_finished());
        drop(reader);
        assert!(waits.join().unwrap());
    });
}

#[test]
fn files_on_disk_and_dev_null_are_always_ready() {
    run(|| {
        let this = File::open(file!()).unwrap();
        wait_readable(&this).unwrap();
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.unwrap();
        wait_readable(&null).unwrap();
        wait_writable(&null).unwrap();
        wait_readable(File::open("/").unwrap()).unwrap();
    });
}

#[test]
fn what_is_ready_needs_no_run() {
    let (here, _there) = UnixStream::pair().unwrap();
    wait_writable(&here).unwrap();
    let refused = catch_unwind(AssertUnwindSafe(|| wait_readable(&here)));
    let message = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("maypole::run"), "{message}");
}

#[test]
fn a_loop_over_what_is_always_ready_gives_the_others_their_turns() {
    run(|| {
        let other = spawn(|| ());
        let null = File::open("/dev/null").unwrap();
        while !other.is_finished() {
            wait_readable(&null).unwrap();
        }
    });
}

#[test]
fn all_who_wait_for_one_descriptor_are_woken() {
    run(|| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Rc::new(here);
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let here = here.clone();
                spawn(move || wait_readable(&*here).unwrap())
            })
            .collect();
        yield_now();
        assert!(waiting.iter().all(|task| !task.is_finished()));
        there.write_all(b"!").unwrap();
        for task in waiting {
            task.join().unwrap();
        }
    });
}

#[test]
fn a_descriptor_that_a_socket_of_ours_waits_for_can_be_waited_for_too() {
    use maypole::net::{TcpListener, TcpStream};
    run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let theirs = listener.clone();
        let accepts = spawn(move || theirs.accept().is_ok());
        yield_now();
        let theirs = listener.clone();
        let looks = spawn(move || wait_readable(&*theirs).is_ok());
        yield_now();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(accepts.join().unwrap());
        // Whoever accepted may have left nothing; the next connection will do.
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(looks.join().unwrap());
    });
}

#[test]
fn a_wait_that_is_too_long_says_so_and_can_be_made_again() {
    run(|| {
        let (here, mut there) = UnixStream::pair().unwrap();
        assert!(!wait_readable_timeout(&here, Duration::ZERO).unwrap());
        assert!(!wait_readable_timeout(&here, SHORT).unwrap());
        assert!(maypole::time::timeout(SHORT, || wait_readable(&here)).is_err());
        there.write_all(b"!").unwrap();
        assert!(wait_readable_timeout(&here, Duration::ZERO).unwrap());
        assert!(wait_readable_timeout(&here, Duration::MAX).unwrap());
        assert!(wait_writable_timeout(&here, SHORT).unwrap());
    });
}

#[test]
fn a_closed_descriptor_is_an_error() {
    child::run(|| {
        use std::os::fd::AsRawFd;
        let file = File::open("/dev/null").unwrap();
        let number = file.as_raw_fd();
        run(|| {
            // SAFETY: nobody else in this process opens or uses the number.
            let gone = unsafe { BorrowedFd::borrow_raw(number) };
            drop(file);
            assert_eq!(wait_readable(gone).unwrap_err().raw_os_error(), Some(9));
        });
    })
    .succeeds();
}

#[test]
fn kills_time_outs_and_panics_leave_no_descriptor_and_no_waiter() {
    child::run(|| {
        run(|| {
            // The reactor keeps some of its own.
            let (here, mut there) = UnixStream::pair().unwrap();
            wait_readable_timeout(&here, SHORT).unwrap();
            let before = open_files();
            let here = Rc::new(here);

            for _ in 0..3 {
                let theirs = here.clone();
                let waits = spawn(move || wait_readable(&*theirs));
                yield_now();
                assert_eq!(open_files(), before + 1);
                waits.kill("enough");
                assert!(waits.join().unwrap_err().is_killed());
                assert_eq!(open_files(), before);
            }
            assert!(maypole::time::timeout(SHORT, || wait_readable(&*here)).is_err());
            assert_eq!(open_files(), before);

            let late = catch_unwind(AssertUnwindSafe(|| {
                maypole::scope(|s| {
                    s.spawn(|| wait_readable(&*here));
                    yield_now();
                    panic!("with a child that waits");
                })
            }));
            assert!(late.is_err());
            assert_eq!(open_files(), before);

            there.write_all(b"!").unwrap();
            wait_readable(&*here).unwrap();
            assert_eq!(open_files(), before);
        });
    })
    .succeeds();
}

#[test]
fn a_wait_survives_the_failure_of_any_system_call() {
    child::run(|| {
        run(|| {
            let (here, mut there) = UnixStream::pair().unwrap();
            wait_readable_timeout(&here, SHORT).unwrap();
            let before = open_files();
            for after in 0.. {
                faults::inject(after, 1, libc::EMFILE);
                let late = wait_readable_timeout(&here, SHORT);
                let (_, failed) = faults::lift();
                assert_eq!(open_files(), before);
                match failed {
                    0 => {
                        assert!(!late.unwrap());
                        assert!(after > 2, "a look, a duplicate, a registration");
                        break;
                    }
                    _ => assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EMFILE)),
                }
            }
            // An interrupted look is made again.
            faults::inject(0, 5, libc::EINTR);
            wait_writable(&here).unwrap();
            assert_eq!(faults::lift().1, 5);
            there.write_all(b"!").unwrap();
            wait_readable(&here).unwrap();
        });
    })
    .succeeds();
}

#[test]
fn exploring_refuses_the_outside_by_name() {
    let (here, _there) = UnixStream::pair().unwrap();
    let here = AssertUnwindSafe(&here);
    let refused = catch_unwind(|| {
        maypole::explore::check(|| wait_readable(here.as_fd()).unwrap());
    });
    let message = refused.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("wait_readable at "), "{message}");
    assert!(message.contains("net::pair"), "{message}");
}
