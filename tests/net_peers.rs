//! Peers that reset, stall, end half-way, send byte by byte, urgent bytes, or not at all; writes into
//! a peer that does not read; ends that come at once with data.
#![allow(unsafe_code)]
mod net_support;

use maypole::net::{Shutdown, TcpListener, TcpStream};
use maypole::{run, spawn, yield_now};
use net_support::{Connection, settle};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

fn connected() -> (TcpStream, TcpStream) {
    <TcpStream as Connection>::connected()
}

/// Makes the close of it a reset.
fn resets(socket: BorrowedFd<'_>) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    let (fd, value) = (socket.as_raw_fd(), (&raw const linger).cast());
    // SAFETY: the option is of this type.
    let done = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, length) };
    assert_eq!(done, 0);
}

fn reset(stream: TcpStream) {
    resets(stream.as_fd());
    drop(stream);
}

/// Has the stream known to the reactor, and known to be empty.
fn wait_in_vain(stream: &TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let error = stream.read_shared(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    stream.set_read_timeout(None).unwrap();
}

#[test]
fn a_reset_ends_a_read_that_waits_with_an_error() {
    run(|| {
        let (a, b) = connected();
        let b = Rc::new(b);
        let readers = [(); 2].map(|()| {
            let b = b.clone();
            spawn(move || b.read_shared(&mut [0; 8]))
        });
        settle();
        reset(a);
        let [first, second] = readers.map(|reader| reader.join().unwrap());
        assert_eq!(first.unwrap_err().kind(), ErrorKind::ConnectionReset);
        // The error is told once, and is the end from then on.
        assert_eq!(second.unwrap(), 0);
        assert_eq!(b.read_shared(&mut [0; 8]).unwrap(), 0);
        let error = b.write_shared(&[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let error = b.shutdown(Shutdown::Both).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn a_reset_before_the_first_read() {
    run(|| {
        let (a, mut b) = connected();
        a.write_shared(&[1]).unwrap();
        reset(a);
        settle();
        // What came before it may be lost; Linux keeps it.
        let mut first = b.read(&mut [0; 8]);
        if first.is_ok() {
            first = b.read(&mut [0; 8]);
        }
        assert_eq!(first.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_reset_ends_a_write_that_waits() {
    run(|| {
        let (a, b) = connected();
        let writer = spawn(move || { b }.write_all(&vec![0; 64 << 20]).unwrap_err());
        settle();
        reset(a);
        let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        let error = writer.join().unwrap();
        assert!(kinds.contains(&error.kind()), "{error}");
    });
}

#[test]
fn a_reset_after_a_half_close() {
    run(|| {
        let (a, mut b) = connected();
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
        reset(a);
        settle();
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
        let error = b.write(&[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_write_after_the_end_of_the_other_is_no_error_yet() {
    run(|| {
        let (a, mut b) = connected();
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
        b.write_all(b"still heard").unwrap();
        let mut word = [0; 11];
        a.read_all_shared(&mut word);
        assert_eq!(&word, b"still heard");
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_connection_that_is_reset_before_it_is_accepted() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        reset(TcpStream::connect(address).unwrap());
        let client = TcpStream::connect(address).unwrap();
        // Linux still hands it out; others pass over it.
        let peer = client.local_addr().unwrap();
        while listener.accept().unwrap().1 != peer {}
    });
}

/// Data, and the end with it, in every order of what comes when.
#[test]
fn data_and_an_end_are_both_read() {
    for registered in [false, true] {
        for settled in [false, true] {
            for exact in [false, true] {
                run(move || {
                    let (a, b) = connected();
                    if registered {
                        wait_in_vain(&b);
                    }
                    a.write_shared(b"abc").unwrap();
                    drop(a);
                    if settled {
                        settle();
                    }
                    let mut buffer = vec![0; if exact { 3 } else { 8 }];
                    assert_eq!(b.read_shared(&mut buffer).unwrap(), 3);
                    // The end has no event of its own any more.
                    assert_eq!(b.read_shared(&mut buffer).unwrap(), 0);
                });
            }
        }
    }
}

#[test]
fn an_end_after_a_short_read_has_its_event() {
    run(|| {
        let (a, b) = connected();
        wait_in_vain(&b);
        a.write_shared(b"abc").unwrap();
        assert_eq!(b.read_shared(&mut [0; 8]).unwrap(), 3);
        let reader = spawn(move || b.read_shared(&mut [0; 8]).unwrap());
        settle();
        assert!(!reader.is_finished());
        drop(a);
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn data_after_a_short_read_has_its_event() {
    run(|| {
        let (a, b) = connected();
        wait_in_vain(&b);
        for _ in 0..100 {
            // Between the read and the wait, or while it waits.
            a.write_shared(b"abc").unwrap();
            assert_eq!(b.read_shared(&mut [0; 8]).unwrap(), 3);
            a.write_shared(b"d").unwrap();
            assert_eq!(b.read_shared(&mut [0; 8]).unwrap(), 1);
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn what_comes_after_an_urgent_byte_is_read() {
    for registered in [false, true] {
        run(move || {
            let (a, b) = connected();
            if registered {
                wait_in_vain(&b);
            }
            b.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            a.write_shared(b"abc").unwrap();
            let (fd, byte) = (a.as_raw_fd(), b"!");
            // SAFETY: the buffer is one byte long.
            let sent = unsafe { libc::send(fd, byte.as_ptr().cast(), 1, libc::MSG_OOB) };
            assert_eq!(sent, 1);
            a.write_shared(b"def").unwrap();
            settle();
            // A read stops where the urgent byte was.
            let mut word = [0; 64];
            let mut read = 0;
            while read < 6 {
                read += b.read_shared(&mut word[read..]).unwrap();
            }
            assert_eq!(&word[..read], b"abcdef");
        });
    }
}

#[test]
fn a_peer_that_sends_byte_by_byte_from_another_os_thread() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let mut stream = net::TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            for n in 0..200_u8 {
                stream.write_all(&[n]).unwrap();
                if n % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            let mut echo = Vec::new();
            stream.shutdown(net::Shutdown::Write).unwrap();
            stream.read_to_end(&mut echo).unwrap();
            echo
        });
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, (0..200).collect::<Vec<u8>>());
        stream.write_all(&bytes).unwrap();
        drop(stream);
        assert_eq!(peer.join().unwrap(), bytes);
    });
}

#[test]
fn a_peer_that_stalls_holds_up_nobody_else() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            for connection in listener.incoming().take(30) {
                let mut connection = connection.unwrap();
                spawn(move || {
                    let mut word = [0; 4];
                    connection.read_exact(&mut word).unwrap();
                    connection.write_all(&word).unwrap();
                });
            }
        });
        let mut stalled: Vec<_> = (0..20)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"st").unwrap();
                stream
            })
            .collect();
        let ask = |stream: &mut TcpStream, rest: &[u8]| {
            stream.write_all(rest).unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        };
        for _ in 0..10 {
            ask(&mut TcpStream::connect(address).unwrap(), b"fast");
        }
        for stream in &mut stalled {
            ask(stream, b"op");
        }
        server.join().unwrap();
    });
}

#[test]
fn short_writes_into_a_peer_that_reads_slowly_lose_nothing() {
    const LENGTH: usize = 8 << 20;
    run(|| {
        let (a, b) = connected();
        let writer = spawn(move || {
            let bytes: Vec<u8> = (0..LENGTH).map(|n| (n % 253) as u8).collect();
            let (mut written, mut short) = (0, 0);
            while written < LENGTH {
                let some = a.write_shared(&bytes[written..]).unwrap();
                written += some;
                short += usize::from(written < LENGTH);
            }
            assert!(short > 0, "the system has room for all of it");
        });
        let mut buffer = vec![0; 100_000];
        let mut read = 0;
        while read < LENGTH {
            settle();
            let some = b.read_shared(&mut buffer).unwrap();
            let expected = (read..read + some).map(|n| (n % 253) as u8);
            assert!(buffer[..some].iter().copied().eq(expected));
            read += some;
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_killed_task_flushes_to_a_peer_that_does_not_read_for_so_long() {
    let limit = Duration::from_millis(20);
    let done = maypole::Builder::new().cleanup(limit).run(|| {
        let (a, b) = connected();
        let mut writer = BufWriter::with_capacity(64 << 20, a);
        let victim = spawn(move || {
            writer.write_all(&vec![0; 32 << 20]).unwrap();
            maypole::task::park();
        });
        settle();
        // The buffer is flushed while the task unwinds, and given up then.
        victim.kill("test");
        assert!(victim.join().unwrap_err().is_killed());
        let mut read = 0;
        loop {
            match b.read_shared(&mut [0; 65536]).unwrap() {
                0 => break,
                some => read += some,
            }
        }
        assert!(read < 32 << 20);
    });
    done.unwrap();
}

#[test]
fn no_signal_ends_the_process_where_nobody_reads() {
    run(|| {
        let (a, mut b) = connected();
        drop(a);
        while b.write(&[0; 1024]).is_ok() {
            yield_now();
        }
        let (a, mut b) = <maypole::net::unix::UnixStream as Connection>::connected();
        drop(a);
        assert_eq!(b.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn events_of_a_duplicate_that_others_hold_concern_nobody() {
    run(|| {
        let (mut a, b) = connected();
        wait_in_vain(&b);
        // A duplicate that the reactor does not know keeps what the descriptor names alive.
        let kept = b.as_fd().try_clone_to_owned().unwrap();
        drop(b);
        // The slot is used again, by a stream that must get no event that is not its own.
        let (c, d) = connected();
        wait_in_vain(&d);
        let reader = spawn(move || d.read_shared(&mut [0]).unwrap());
        settle();
        a.write_all(b"for nobody").unwrap();
        settle();
        assert!(!reader.is_finished());
        c.write_shared(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        drop(kept);
    });
}

#[test]
fn a_closed_number_that_is_used_again_belongs_to_the_new_one() {
    run(|| {
        let (a, b) = connected();
        wait_in_vain(&b);
        b.close();
        drop(a);
        for _ in 0..50 {
            let (mut c, mut d) = connected();
            wait_in_vain(&d);
            c.write_all(b"x").unwrap();
            d.read_exact(&mut [0]).unwrap();
        }
        let error = b.read_shared(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn no_descriptor_goes_to_other_processes() {
    run(|| {
        let (a, _b) = connected();
        let listener = TcpListener::bind_reuse_port("127.0.0.1:0").unwrap();
        let clone = a.try_clone().unwrap();
        let closed = a.try_clone().unwrap();
        closed.close();
        for fd in [a.as_fd(), clone.as_fd(), listener.as_fd(), closed.as_fd()] {
            // SAFETY: a call on numbers.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
    });
}
