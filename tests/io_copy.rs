//! Copying from any reader to any writer.
use maypole::io::copy;
use maypole::{run, spawn, yield_now};
use std::io::{self, Read, Write};

/// Gives `left` bytes, `step` at a time, with the interruptions and failures it is told to.
struct Source {
    left: usize,
    step: usize,
    interruptions: usize,
    fails_at: Option<usize>,
}

impl Source {
    fn of(left: usize) -> Self {
        Source {
            left,
            step: usize::MAX,
            interruptions: 0,
            fails_at: None,
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interruptions > 0 {
            self.interruptions -= 1;
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.fails_at.is_some_and(|left| self.left <= left) {
            return Err(io::Error::other("no more"));
        }
        let bytes = buffer.len().min(self.left).min(self.step);
        for (n, byte) in buffer[..bytes].iter_mut().enumerate() {
            *byte = (self.left - n) as u8;
        }
        self.left -= bytes;
        Ok(bytes)
    }
}

fn all_of(source: &mut Source) -> Vec<u8> {
    let mut all = Vec::new();
    io::copy(source, &mut all).unwrap();
    all
}

#[test]
fn it_gives_what_stds_gives() {
    for bytes in [0, 1, 65_535, 65_536, 65_537, 1_000_000] {
        for step in [1 << 10, 1 << 20] {
            let source = || Source {
                step,
                interruptions: 3,
                ..Source::of(bytes)
            };
            let mut copied = Vec::new();
            assert_eq!(copy(&mut source(), &mut copied).unwrap(), bytes as u64);
            assert_eq!(copied, all_of(&mut source()));
        }
    }
}

#[test]
fn ends_may_be_trait_objects_and_references() {
    let mut sink = Vec::new();
    let reader: &mut dyn Read = &mut "abc".as_bytes();
    let writer: &mut dyn Write = &mut sink;
    assert_eq!(copy(reader, writer).unwrap(), 3);
    assert_eq!(sink, b"abc");
    assert_eq!(copy(&mut io::empty(), &mut io::sink()).unwrap(), 0);
}

#[test]
fn what_was_read_before_a_failure_is_written() {
    let mut source = Source {
        step: 1000,
        fails_at: Some(500),
        ..Source::of(4500)
    };
    let mut copied = Vec::new();
    let error = copy(&mut source, &mut copied).unwrap_err();
    assert_eq!(error.to_string(), "no more");
    assert_eq!(copied.len(), 4000);

    let mut full = [0; 10];
    let error = copy(&mut Source::of(20), &mut &mut full[..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

#[test]
fn a_copy_that_never_waits_gives_the_others_their_turns() {
    run(|| {
        let other = spawn(|| {
            for _ in 0..10 {
                yield_now();
            }
        });
        copy(&mut Source::of(4 << 20), &mut io::sink()).unwrap();
        assert!(other.is_finished());

        // Byte by byte, and without any byte at all.
        for (step, interruptions) in [(1, 0), (usize::MAX, 4096)] {
            let other = spawn(|| {
                for _ in 0..10 {
                    yield_now();
                }
            });
            let mut source = Source {
                step,
                interruptions,
                ..Source::of(4096)
            };
            copy(&mut source, &mut io::sink()).unwrap();
            assert!(other.is_finished(), "{step} {interruptions}");
        }
    });
}

#[test]
fn a_kill_between_two_blocks_loses_nothing_that_was_read() {
    use std::cell::Cell;
    use std::rc::Rc;
    struct Counted<T>(T, Rc<Cell<usize>>);
    impl<T: Read> Read for Counted<T> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.read(buffer)?;
            self.1.set(self.1.get() + bytes);
            Ok(bytes)
        }
    }
    impl<T: Write> Write for Counted<T> {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let bytes = self.0.write(buffer)?;
            self.1.set(self.1.get() + bytes);
            Ok(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    run(|| {
        let (read, written) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let ends = (read.clone(), written.clone());
        let copies = spawn(move || {
            let mut reader = Counted(io::repeat(1), ends.0);
            copy(&mut reader, &mut Counted(io::sink(), ends.1)).unwrap()
        });
        yield_now();
        copies.kill("enough");
        assert!(copies.join().unwrap_err().is_killed());
        assert!(read.get() > 0);
        assert_eq!(read.get(), written.get());
    });
}

#[test]
fn it_may_run_where_nobody_may_yield_and_where_nobody_else_is() {
    let bytes = 8 << 20;
    assert_eq!(
        copy(&mut Source::of(bytes), &mut io::sink()).unwrap(),
        bytes as u64
    );
    run(|| {
        let copied = maypole::task::no_yield(|| copy(&mut Source::of(bytes), &mut io::sink()));
        assert_eq!(copied.unwrap(), bytes as u64);
    });
}

#[test]
fn bytes_go_from_socket_to_socket() {
    use maypole::net::{TcpListener, TcpStream};
    use std::net::Shutdown;
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let echo = spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            copy(&mut &stream, &mut &stream).unwrap()
        });
        let stream = TcpStream::connect(address).unwrap();
        let bytes = 3_000_000;
        let (sent, received) = maypole::task::both(
            || {
                let sent = copy(&mut Source::of(bytes), &mut &stream).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                sent
            },
            || {
                let mut all = Vec::new();
                copy(&mut &stream, &mut all).unwrap();
                all
            },
        );
        assert_eq!(sent, bytes as u64);
        assert_eq!(echo.join().unwrap(), bytes as u64);
        assert_eq!(received, all_of(&mut Source::of(bytes)));
    });
}
