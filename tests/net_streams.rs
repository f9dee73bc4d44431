//! What connections of every kind have in common: TCP, Unix, and in memory. Much of it is what
//! std's own tests of its sockets ask for.
mod net_support;

use maypole::net::Shutdown;
use maypole::{spawn, yield_now};
use net_support::{Connection, settle};
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut};
use std::rc::Rc;
use std::time::Duration;

for_each_kind! {
    what_one_writes_the_other_reads
    the_end_is_read_again_and_again
    a_write_to_one_that_is_gone_fails_in_the_end
    a_read_gives_what_is_there
    reads_and_writes_of_several_buffers
    a_write_of_nothing_returns_at_once
    a_read_into_nothing_waits_as_std_does
    a_clone_is_the_same_connection
    two_clones_read_one_stream
    two_clones_write_one_stream
    shutting_down_writes_is_the_end_for_the_other
    shutting_down_both_ends_both
    shutting_down_wakes_those_who_read
    shutting_down_wakes_those_who_write
    shutting_down_a_clone_wakes_those_who_read
    a_clone_is_made_while_another_reads
    time_outs_are_kept
    no_time_at_all_is_refused
    a_read_is_too_late
    a_read_in_time_is_not_too_late
    a_write_is_too_late_where_nobody_reads
    the_time_in_the_line_counts
    what_would_wait_fails_where_it_may_not
    who_may_not_wait_overtakes_nobody
    a_peek_takes_nothing_away
    a_peek_waits
    readers_are_served_in_the_order_in_which_they_came
    writers_are_served_in_the_order_in_which_they_came
    both_directions_at_once
    much_more_than_fits
    byte_by_byte
    lines_through_a_reader_of_std
    closing_wakes_all_who_wait
    after_a_close_every_call_fails
    closing_tells_the_other_end
    closing_tells_the_other_end_though_a_clone_lives
    a_drop_tells_the_other_end
    a_stream_that_is_dropped_by_another_reader_in_the_same_turn
}

fn what_one_writes_the_other_reads<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let writer = spawn(move || {
        a.write_all(&[99]).unwrap();
        a
    });
    let mut byte = [0];
    assert_eq!(b.read(&mut byte).unwrap(), 1);
    assert_eq!(byte, [99]);
    drop(writer.join().unwrap());
    assert_eq!(b.read(&mut byte).unwrap(), 0);
}

fn the_end_is_read_again_and_again<C: Connection>() {
    let (a, mut b) = C::connected();
    drop(a);
    for _ in 0..3 {
        assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
    }
}

fn a_write_to_one_that_is_gone_fails_in_the_end<C: Connection>() {
    let (a, mut b) = C::connected();
    drop(a);
    let error = loop {
        if let Err(error) = b.write(&[0; 8]) {
            break error;
        }
        yield_now();
    };
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error}");
}

fn a_read_gives_what_is_there<C: Connection>() {
    let (mut a, mut b) = C::connected();
    a.write_all(&[1, 2]).unwrap();
    assert_eq!(b.read(&mut [0]).unwrap(), 1);
    let mut buffer = [0; 8];
    assert_eq!(b.read(&mut buffer).unwrap(), 1);
    assert_eq!(buffer[0], 2);
    let reader = spawn(move || {
        let read = b.read(&mut buffer).unwrap();
        buffer[..read].to_vec()
    });
    yield_now();
    a.write_all(&[3]).unwrap();
    assert_eq!(reader.join().unwrap(), [3]);
}

fn reads_and_writes_of_several_buffers<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let (first, last) = ([10], [11, 12, 13]);
    let parts = [IoSlice::new(&first), IoSlice::new(&[]), IoSlice::new(&last)];
    assert_eq!(a.write_vectored(&parts).unwrap(), 4);
    let (mut one, mut two, mut three) = ([0; 1], [0; 2], [0; 4]);
    let mut parts = [
        IoSliceMut::new(&mut one),
        IoSliceMut::new(&mut two),
        IoSliceMut::new(&mut three),
    ];
    assert_eq!(b.read_vectored(&mut parts).unwrap(), 4);
    assert_eq!((one, two, three[0]), ([10], [11, 12], 13));
}

fn a_write_of_nothing_returns_at_once<C: Connection>() {
    let (a, b) = C::connected();
    let a = Rc::new(a);
    assert_eq!(a.write_shared(&[]).unwrap(), 0);
    // Also where it is known that there is no room, and somebody waits for some.
    let before = fill(&*a);
    let theirs = a.clone();
    let writer = spawn(move || theirs.write_shared(&[1]).unwrap());
    settle();
    assert_eq!(a.write_shared(&[]).unwrap(), 0);
    b.read_all_shared(&mut vec![0; before]);
    assert_eq!(writer.join().unwrap(), 1);
}

fn a_read_into_nothing_waits_as_std_does<C: Connection>() {
    let (mut a, b) = C::connected();
    let reader = spawn(move || {
        assert_eq!(b.read_shared(&mut []).unwrap(), 0);
        b
    });
    settle();
    assert!(!reader.is_finished());
    a.write_all(&[1]).unwrap();
    let mut b = reader.join().unwrap();
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 1);
}

fn a_clone_is_the_same_connection<C: Connection>() {
    let (a, mut b) = C::connected();
    let mut clone = a.try_clone().unwrap();
    clone.write_all(&[1]).unwrap();
    drop(clone);
    let mut byte = [0];
    b.read_exact(&mut byte).unwrap();
    b.write_all(&[2]).unwrap();
    a.read_all_shared(&mut byte);
    assert_eq!(byte, [2]);
    drop(a);
    assert_eq!(b.read(&mut byte).unwrap(), 0);
}

fn two_clones_read_one_stream<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let mut clone = b.try_clone().unwrap();
    let readers = [
        spawn(move || {
            b.read_exact(&mut [0]).unwrap();
            b
        }),
        spawn(move || {
            clone.read_exact(&mut [0]).unwrap();
            clone
        }),
    ];
    settle();
    a.write_all(&[1, 2]).unwrap();
    for reader in readers {
        drop(reader.join().unwrap());
    }
}

fn two_clones_write_one_stream<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let mut clone = a.try_clone().unwrap();
    let writers = [
        spawn(move || a.write_all(&[1]).unwrap()),
        spawn(move || clone.write_all(&[2]).unwrap()),
    ];
    let mut bytes = Vec::new();
    b.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [1, 2]);
    for writer in writers {
        writer.join().unwrap();
    }
}

fn shutting_down_writes_is_the_end_for_the_other<C: Connection>() {
    let (mut a, mut b) = C::connected();
    a.write_all(b"question").unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(a.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut question = String::new();
    b.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    b.write_all(b"answer").unwrap();
    let mut answer = [0; 6];
    a.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
}

fn shutting_down_both_ends_both<C: Connection>() {
    let (mut a, mut b) = C::connected();
    a.shutdown(Shutdown::Both).unwrap();
    assert_eq!(a.read(&mut [0]).unwrap(), 0);
    assert_eq!(a.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(b.read(&mut [0]).unwrap(), 0);
}

fn shutting_down_wakes_those_who_read<C: Connection>() {
    let (a, _b) = C::connected();
    let a = Rc::new(a);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let a = a.clone();
            spawn(move || a.read_shared(&mut [0; 8]).unwrap())
        })
        .collect();
    settle();
    a.shutdown(Shutdown::Read).unwrap();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 0);
    }
    assert_eq!(a.read_shared(&mut [0]).unwrap(), 0);
}

/// Writes until there is no room; gives the number of bytes.
fn fill<C: Connection>(stream: &C) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut written = 0;
    loop {
        match stream.write_shared(&[7; 4096]) {
            Ok(some) => written += some,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                stream.set_nonblocking(false).unwrap();
                return written;
            }
        }
    }
}

fn shutting_down_wakes_those_who_write<C: Connection>() {
    let (a, _b) = C::connected();
    let a = Rc::new(a);
    fill(&*a);
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let a = a.clone();
            spawn(move || a.write_shared(&[7; 4096]).unwrap_err().kind())
        })
        .collect();
    settle();
    a.shutdown(Shutdown::Write).unwrap();
    for writer in writers {
        assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
    }
}

fn shutting_down_a_clone_wakes_those_who_read<C: Connection>() {
    let (mut a, _b) = C::connected();
    let clone = a.try_clone().unwrap();
    let reader = spawn(move || a.read(&mut [0; 8]).unwrap());
    settle();
    clone.shutdown(Shutdown::Read).unwrap();
    assert_eq!(reader.join().unwrap(), 0);
}

fn a_clone_is_made_while_another_reads<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let clone = b.try_clone().unwrap();
    let reader = spawn(move || b.read(&mut [0; 8]).unwrap());
    settle();
    let mut another = clone.try_clone().unwrap();
    a.write_all(&[1]).unwrap();
    assert_eq!(reader.join().unwrap(), 1);
    a.write_all(&[2]).unwrap();
    let mut byte = [0];
    another.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [2]);
}

fn time_outs_are_kept<C: Connection>() {
    let (a, _b) = C::connected();
    assert_eq!(a.read_timeout().unwrap(), None);
    assert_eq!(a.write_timeout().unwrap(), None);
    let (long, short) = (Duration::from_millis(15410), Duration::from_nanos(1));
    a.set_read_timeout(Some(long)).unwrap();
    a.set_write_timeout(Some(short)).unwrap();
    assert_eq!(a.read_timeout().unwrap(), Some(long));
    assert_eq!(a.write_timeout().unwrap(), Some(short));
    let clone = a.try_clone().unwrap();
    assert_eq!(clone.read_timeout().unwrap(), Some(long));
    clone.set_read_timeout(None).unwrap();
    assert_eq!(clone.read_timeout().unwrap(), None);
    assert_eq!(a.read_timeout().unwrap(), Some(long));
}

fn no_time_at_all_is_refused<C: Connection>() {
    let (a, _b) = C::connected();
    for set in [C::set_read_timeout, C::set_write_timeout] {
        let error = set(&a, Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

fn a_read_is_too_late<C: Connection>() {
    let (mut a, mut b) = C::connected();
    b.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    for _ in 0..2 {
        let error = b.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    // It still works.
    a.write_all(b"late").unwrap();
    b.set_read_timeout(None).unwrap();
    let mut word = [0; 4];
    b.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"late");
}

fn a_read_in_time_is_not_too_late<C: Connection>() {
    let (mut a, mut b) = C::connected();
    b.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let reader = spawn(move || {
        let mut word = [0; 5];
        b.read_exact(&mut word).unwrap();
        word
    });
    yield_now();
    a.write_all(b"hello").unwrap();
    assert_eq!(&reader.join().unwrap(), b"hello");
}

fn a_write_is_too_late_where_nobody_reads<C: Connection>() {
    let (mut a, b) = C::connected();
    a.set_write_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut written = 0;
    let error = loop {
        match a.write(&[7; 4096]) {
            Ok(some) => written += some,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // What was written is there, and no byte of what was not.
    let mut read = 0;
    drop(a);
    loop {
        match b.read_shared(&mut [0; 4096]).unwrap() {
            0 => break,
            some => read += some,
        }
    }
    assert_eq!(read, written);
}

fn the_time_in_the_line_counts<C: Connection>() {
    let (mut a, b) = C::connected();
    let b = Rc::new(b);
    let theirs = b.clone();
    let first = spawn(move || theirs.read_shared(&mut [0; 8]).unwrap());
    yield_now();
    b.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let error = b.read_shared(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    a.write_all(&[1]).unwrap();
    assert_eq!(first.join().unwrap(), 1);
}

fn what_would_wait_fails_where_it_may_not<C: Connection>() {
    let (mut a, mut b) = C::connected();
    b.set_nonblocking(true).unwrap();
    let error = b.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    a.write_all(&[1]).unwrap();
    // Loopback may take a moment.
    while b.peek(&mut [0; 8]).is_err() {
        yield_now();
    }
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 1);
    b.set_nonblocking(false).unwrap();
    a.write_all(&[2]).unwrap();
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 1);
}

fn who_may_not_wait_overtakes_nobody<C: Connection>() {
    let (mut a, b) = C::connected();
    let b = Rc::new(b);
    let theirs = b.clone();
    let first = spawn(move || {
        let mut byte = [0];
        theirs.read_shared(&mut byte).unwrap();
        byte[0]
    });
    yield_now();
    b.set_nonblocking(true).unwrap();
    a.write_all(&[1, 2]).unwrap();
    let error = b.read_shared(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(first.join().unwrap(), 1);
    let mut byte = [0];
    assert_eq!(b.read_shared(&mut byte).unwrap(), 1);
    assert_eq!(byte, [2]);
}

fn a_peek_takes_nothing_away<C: Connection>() {
    let (mut a, mut b) = C::connected();
    a.write_all(&[1, 2, 3]).unwrap();
    let mut bytes = [0; 2];
    for _ in 0..2 {
        assert_eq!(b.peek(&mut bytes).unwrap(), 2);
        assert_eq!(bytes, [1, 2]);
    }
    let mut bytes = [0; 8];
    assert_eq!(b.read(&mut bytes).unwrap(), 3);
    b.set_nonblocking(true).unwrap();
    let error = b.peek(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

fn a_peek_waits<C: Connection>() {
    let (mut a, b) = C::connected();
    let peeker = spawn(move || {
        assert_eq!(b.peek(&mut [0; 8]).unwrap(), 1);
        assert_eq!(b.read_shared(&mut [0; 8]).unwrap(), 1);
        assert_eq!(b.peek(&mut [0; 8]).unwrap(), 0);
    });
    settle();
    a.write_all(&[1]).unwrap();
    yield_now();
    drop(a);
    peeker.join().unwrap();
}

fn readers_are_served_in_the_order_in_which_they_came<C: Connection>() {
    let (mut a, b) = C::connected();
    let b = Rc::new(b);
    let log = Rc::new(RefCell::new(Vec::new()));
    let readers: Vec<_> = (1..=5)
        .map(|n| {
            let (b, log) = (b.clone(), log.clone());
            spawn(move || {
                let mut byte = [0];
                b.read_all_shared(&mut byte);
                log.borrow_mut().push((n, byte[0]));
            })
        })
        .collect();
    settle();
    a.write_all(&[1, 2]).unwrap();
    settle();
    a.write_all(&[3, 4, 5]).unwrap();
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(*log.borrow(), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
}

fn writers_are_served_in_the_order_in_which_they_came<C: Connection>() {
    let (a, mut b) = C::connected();
    let a = Rc::new(a);
    let before = fill(&*a);
    let writers: Vec<_> = (1..=5)
        .map(|n| {
            let a = a.clone();
            spawn(move || assert_eq!(a.write_shared(&[n]).unwrap(), 1))
        })
        .collect();
    settle();
    drop(a);
    let mut bytes = Vec::new();
    b.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes[before..], [1, 2, 3, 4, 5]);
    for writer in writers {
        writer.join().unwrap();
    }
}

fn both_directions_at_once<C: Connection>() {
    let (a, b) = C::connected();
    let send = |stream: &Rc<C>| {
        let stream = stream.clone();
        spawn(move || {
            for n in 0..2000_u32 {
                let mut rest = &n.to_le_bytes()[..];
                while !rest.is_empty() {
                    rest = &rest[stream.write_shared(rest).unwrap()..];
                }
            }
        })
    };
    let receive = |stream: &Rc<C>| {
        let stream = stream.clone();
        spawn(move || {
            for n in 0..2000_u32 {
                let mut number = [0; 4];
                stream.read_all_shared(&mut number);
                assert_eq!(u32::from_le_bytes(number), n);
            }
        })
    };
    let (a, b) = (Rc::new(a), Rc::new(b));
    for task in [send(&a), send(&b), receive(&a), receive(&b)] {
        task.join().unwrap();
    }
}

fn much_more_than_fits<C: Connection>() {
    const LENGTH: usize = 8 << 20;
    let byte = |n: usize| (n % 251) as u8;
    let (mut a, mut b) = C::connected();
    let writer = spawn(move || {
        let bytes: Vec<u8> = (0..LENGTH).map(byte).collect();
        a.write_all(&bytes).unwrap();
    });
    let mut bytes = Vec::new();
    b.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), LENGTH);
    assert!(bytes.iter().enumerate().all(|(n, got)| *got == byte(n)));
    writer.join().unwrap();
}

fn byte_by_byte<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let writer = spawn(move || {
        for n in 0..500 {
            a.write_all(&[n as u8]).unwrap();
            yield_now();
        }
    });
    let mut whole = [0; 500];
    b.read_exact(&mut whole).unwrap();
    assert!(whole.iter().enumerate().all(|(n, got)| *got == n as u8));
    writer.join().unwrap();
}

fn lines_through_a_reader_of_std<C: Connection>() {
    let (mut a, b) = C::connected();
    let writer = spawn(move || {
        for n in 0..100 {
            writeln!(a, "line {n}").unwrap();
        }
    });
    let lines: io::Result<Vec<String>> = BufReader::new(b).lines().collect();
    let lines = lines.unwrap();
    assert_eq!((lines.len(), lines[99].as_str()), (100, "line 99"));
    writer.join().unwrap();
}

fn closing_wakes_all_who_wait<C: Connection>() {
    let (a, _b) = C::connected();
    let a = Rc::new(a);
    fill(&*a);
    let read = |stream: &C| stream.read_shared(&mut [0; 8]);
    let write = |stream: &C| stream.write_shared(&[0; 4096]);
    let peek = |stream: &C| stream.peek(&mut [0; 8]);
    let calls: [fn(&C) -> io::Result<usize>; 6] = [read, read, write, write, peek, peek];
    let tasks = calls.map(|call| {
        let a = a.clone();
        spawn(move || call(&a).unwrap_err())
    });
    settle();
    a.close();
    for task in tasks {
        let error = task.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        assert!(error.to_string().contains("tests/net_support"), "{error}");
    }
}

fn after_a_close_every_call_fails<C: Connection>() {
    let (mut a, _b) = C::connected();
    a.close();
    a.close();
    let results = [
        a.read(&mut [0; 8]),
        a.write(&[0; 8]),
        a.peek(&mut [0; 8]),
        a.read(&mut []),
        a.try_clone().map(|_| 0),
        a.shutdown(Shutdown::Both).map(|()| 0),
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }
    a.set_nonblocking(true).unwrap();
    let error = a.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

fn closing_tells_the_other_end<C: Connection>() {
    let (mut a, mut b) = C::connected();
    let reader = spawn(move || {
        let mut bytes = Vec::new();
        b.read_to_end(&mut bytes).unwrap();
        bytes
    });
    a.write_all(&[1, 2]).unwrap();
    settle();
    a.close();
    assert_eq!(reader.join().unwrap(), [1, 2]);
}

fn closing_tells_the_other_end_though_a_clone_lives<C: Connection>() {
    let (a, mut b) = C::connected();
    let mut clone = a.try_clone().unwrap();
    let theirs = spawn(move || clone.read(&mut [0; 8]).unwrap());
    settle();
    a.close();
    assert_eq!(theirs.join().unwrap(), 0);
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
}

fn a_drop_tells_the_other_end<C: Connection>() {
    let (a, mut b) = C::connected();
    let reader = spawn(move || b.read(&mut [0; 8]).unwrap());
    settle();
    drop(a);
    assert_eq!(reader.join().unwrap(), 0);
}

fn a_stream_that_is_dropped_by_another_reader_in_the_same_turn<C: Connection>() {
    // Both become ready at once; whoever is first drops what the other would read.
    let (mut a, b) = C::connected();
    let (mut c, d) = C::connected();
    let shared = Rc::new(RefCell::new(Some((b, d))));
    let read = |first: bool| {
        let shared = shared.clone();
        spawn(move || {
            // Cloned out, so that the streams can be dropped meanwhile.
            let stream = shared.borrow().as_ref().map(|(b, d)| match first {
                true => b.try_clone().unwrap(),
                false => d.try_clone().unwrap(),
            });
            let read = stream.unwrap().read_shared(&mut [0; 8]).unwrap();
            shared.take();
            read
        })
    };
    let readers = [read(true), read(false)];
    settle();
    a.write_all(&[1]).unwrap();
    c.write_all(&[1]).unwrap();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 1);
    }
}
