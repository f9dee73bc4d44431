//! Tasks killed, timed out and closed upon in every call that waits for a socket: afterwards the
//! socket works or is closed, the next in line has its turn, and nothing is left behind.
mod net_support;

use maypole::net::unix::{UnixDatagram, UnixListener, UnixStream};
use maypole::net::{TcpListener, TcpStream, UdpSocket};
use maypole::task::{self, Status};
use maypole::{JoinHandle, run, scope, spawn, time, yield_now};
use net_support::{Connection, Name, descriptors, settle};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Descriptors are counted by one test at a time.
static COUNTS: Mutex<()> = Mutex::new(());

/// Runs `main` twice, first to have made whatever is made once; the second time it must leave no
/// descriptor behind.
#[track_caller]
fn leaves_nothing(main: impl Fn() + Sync) {
    let _alone = COUNTS.lock().unwrap_or_else(|poison| poison.into_inner());
    // In an OS thread of its own, whose reactor is gone with it, before others count.
    let counts = std::thread::scope(|scope| {
        let counted = scope.spawn(|| {
            run(&main);
            let before = descriptors();
            run(&main);
            (before, descriptors())
        });
        counted.join()
    });
    match counts {
        Ok((before, after)) => assert_eq!(after, before),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A call that waits until `Self::serve` is called.
struct Call {
    name: &'static str,
    /// What it is to be called on.
    make: fn() -> Box<dyn Waits>,
}

/// A socket, or two, with a call that waits.
trait Waits {
    /// The call; the byte that it moved, if any.
    fn call(&self) -> io::Result<()>;
    /// Does what one such call waits for.
    fn serve(&self);
    fn close(&self);
    fn set_timeout(&self, timeout: Option<Duration>) -> bool;
}

struct Reads<C>(C, C);

impl<C: Connection> Waits for Reads<C> {
    fn call(&self) -> io::Result<()> {
        let mut byte = [0];
        let read = self.0.read_shared(&mut byte)?;
        assert_eq!((read, byte), (1, [9]));
        Ok(())
    }
    fn serve(&self) {
        assert_eq!(self.1.write_shared(&[9]).unwrap(), 1);
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, timeout: Option<Duration>) -> bool {
        self.0.set_read_timeout(timeout).is_ok()
    }
}

/// Writes to a connection without room, byte by byte.
struct Writes<C>(C, C);

impl<C: Connection> Writes<C> {
    fn full() -> Box<dyn Waits> {
        let (a, b) = C::connected();
        a.set_nonblocking(true).unwrap();
        while a.write_shared(&[9; 4096]).is_ok() {}
        while a.write_shared(&[9; 1]).is_ok() {}
        a.set_nonblocking(false).unwrap();
        Box::new(Writes(a, b))
    }
}

impl<C: Connection> Waits for Writes<C> {
    fn call(&self) -> io::Result<()> {
        assert_eq!(self.0.write_shared(&[9])?, 1);
        Ok(())
    }
    fn serve(&self) {
        // Room for one is told of when there is much.
        self.1.set_nonblocking(true).unwrap();
        loop {
            match self.1.read_shared(&mut [0; 65536]) {
                Ok(read) => assert_ne!(read, 0),
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, timeout: Option<Duration>) -> bool {
        self.0.set_write_timeout(timeout).is_ok()
    }
}

struct Peeks<C>(C, C);

impl<C: Connection> Waits for Peeks<C> {
    fn call(&self) -> io::Result<()> {
        let mut byte = [0];
        assert_eq!(self.0.peek(&mut byte)?, 1);
        Ok(())
    }
    fn serve(&self) {
        assert_eq!(self.1.write_shared(&[9]).unwrap(), 1);
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, timeout: Option<Duration>) -> bool {
        self.0.set_read_timeout(timeout).is_ok()
    }
}

struct AcceptsTcp(TcpListener, RefCell<Vec<TcpStream>>);

impl Waits for AcceptsTcp {
    fn call(&self) -> io::Result<()> {
        self.0.accept().map(drop)
    }
    fn serve(&self) {
        let client = TcpStream::connect(self.0.local_addr().unwrap());
        self.1.borrow_mut().push(client.unwrap());
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, _: Option<Duration>) -> bool {
        false
    }
}

struct AcceptsUnix(UnixListener, Name, RefCell<Vec<UnixStream>>);

impl Waits for AcceptsUnix {
    fn call(&self) -> io::Result<()> {
        self.0.accept().map(drop)
    }
    fn serve(&self) {
        let client = UnixStream::connect(&self.1).unwrap();
        self.2.borrow_mut().push(client);
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, _: Option<Duration>) -> bool {
        false
    }
}

struct ReceivesUdp(UdpSocket, UdpSocket);

impl Waits for ReceivesUdp {
    fn call(&self) -> io::Result<()> {
        self.0.recv_from(&mut [0; 8]).map(drop)
    }
    fn serve(&self) {
        self.1.send_to(&[9], self.0.local_addr().unwrap()).unwrap();
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, timeout: Option<Duration>) -> bool {
        self.0.set_read_timeout(timeout).is_ok()
    }
}

struct ReceivesUnix(UnixDatagram, UnixDatagram);

impl Waits for ReceivesUnix {
    fn call(&self) -> io::Result<()> {
        self.0.recv(&mut [0; 8]).map(drop)
    }
    fn serve(&self) {
        self.1.send(&[9]).unwrap();
    }
    fn close(&self) {
        self.0.close();
    }
    fn set_timeout(&self, timeout: Option<Duration>) -> bool {
        self.0.set_read_timeout(timeout).is_ok()
    }
}

fn reads<C: Connection>() -> Box<dyn Waits> {
    let (a, b) = C::connected();
    Box::new(Reads(a, b))
}

fn peeks<C: Connection>() -> Box<dyn Waits> {
    let (a, b) = C::connected();
    Box::new(Peeks(a, b))
}

macro_rules! call {
    ($name:literal, $make:expr) => {
        Call {
            name: $name,
            make: $make,
        }
    };
}

type Pair = maypole::net::PairStream;

const CALLS: [Call; 13] = [
    call!("read, TCP", reads::<TcpStream>),
    call!("read, Unix", reads::<UnixStream>),
    call!("read, pair", reads::<Pair>),
    call!("write, TCP", Writes::<TcpStream>::full),
    call!("write, Unix", Writes::<UnixStream>::full),
    call!("write, pair", Writes::<Pair>::full),
    call!("peek, TCP", peeks::<TcpStream>),
    call!("peek, Unix", peeks::<UnixStream>),
    call!("peek, pair", peeks::<Pair>),
    call!("accept, TCP", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Box::new(AcceptsTcp(listener, RefCell::default()))
    }),
    call!("accept, Unix", || {
        let name = Name::new();
        let listener = UnixListener::bind(&name).unwrap();
        Box::new(AcceptsUnix(listener, name, RefCell::default()))
    }),
    call!("recv_from, UDP", || {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        Box::new(ReceivesUdp(bind(), bind()))
    }),
    call!("recv, Unix", || {
        let (a, b) = UnixDatagram::pair().unwrap();
        Box::new(ReceivesUnix(a, b))
    }),
];

fn start(waits: &Rc<dyn Waits>) -> JoinHandle<io::Result<()>> {
    let waits = waits.clone();
    spawn(move || waits.call())
}

fn for_each_call(test: impl Fn(&Rc<dyn Waits>) + Sync) {
    for call in CALLS {
        eprintln!("{}", call.name);
        leaves_nothing(|| {
            let waits: Rc<dyn Waits> = Rc::from((call.make)());
            test(&waits);
            assert_eq!(Rc::strong_count(&waits), 1, "{} is held still", call.name);
        });
    }
}

#[track_caller]
fn is_killed(task: JoinHandle<io::Result<()>>) {
    assert!(task.join().unwrap_err().is_killed());
}

#[test]
fn a_kill_of_the_one_who_waits_for_the_event() {
    for_each_call(|waits| {
        let (first, second) = (start(waits), start(waits));
        settle();
        first.kill("test");
        assert!(first.is_finished() || !matches!(first.task().status(), Status::Parked(_)));
        is_killed(first);
        waits.serve();
        second.join().unwrap().unwrap();
        // It serves on.
        let third = start(waits);
        waits.serve();
        third.join().unwrap().unwrap();
    });
}

#[test]
fn a_kill_of_one_in_the_line() {
    for_each_call(|waits| {
        let tasks: Vec<_> = (0..4).map(|_| start(waits)).collect();
        settle();
        tasks[1].kill("test");
        tasks[2].kill("test");
        settle();
        for (n, task) in tasks.into_iter().enumerate() {
            match n {
                1 | 2 => is_killed(task),
                _ => {
                    waits.serve();
                    task.join().unwrap().unwrap();
                }
            }
        }
    });
}

#[test]
fn a_kill_of_one_to_whom_the_turn_is_on_its_way() {
    for_each_call(|waits| {
        let (first, second, third) = (start(waits), start(waits), start(waits));
        settle();
        // The kill of the first hands its turn over when it unwinds; the second is killed then,
        // before it has run, and so on.
        first.kill("test");
        let second_task = second.task().clone();
        spawn(move || second_task.kill("test"));
        yield_now();
        is_killed(first);
        is_killed(second);
        waits.serve();
        third.join().unwrap().unwrap();
    });
}

#[test]
fn a_kill_of_one_who_was_woken_by_the_event_and_has_not_run() {
    for_each_call(|waits| {
        let (first, second) = (start(waits), start(waits));
        settle();
        waits.serve();
        // Wherever the event is: on its way, or just delivered.
        for _ in 0..3 {
            first.kill("test");
        }
        let first = first.join();
        let served = match &first {
            Ok(done) => {
                done.as_ref().unwrap();
                true
            }
            Err(error) => {
                assert!(error.is_killed());
                false
            }
        };
        if served {
            waits.serve();
        }
        second.join().unwrap().unwrap();
    });
}

/// Kills at every turn of the victim, from the first on.
#[test]
fn a_kill_at_every_turn() {
    for turns in 0..6 {
        for_each_call(|waits| {
            let (first, second) = (start(waits), start(waits));
            for _ in 0..turns {
                yield_now();
            }
            waits.serve();
            for _ in 0..turns {
                yield_now();
            }
            first.kill("test");
            if first.join().is_ok() {
                waits.serve();
            }
            second.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_time_out_of_the_one_who_waits_and_of_those_in_the_line() {
    for_each_call(|waits| {
        if !waits.set_timeout(Some(Duration::from_millis(2))) {
            return;
        }
        let tasks: Vec<_> = (0..3).map(|_| start(waits)).collect();
        for task in tasks {
            let error = task.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        waits.set_timeout(None);
        let next = start(waits);
        waits.serve();
        next.join().unwrap().unwrap();
    });
}

#[test]
fn a_timeout_around_it() {
    for_each_call(|waits| {
        let limit = Duration::from_millis(2);
        let late = {
            let waits = waits.clone();
            spawn(move || time::timeout(limit, || waits.call()).is_err())
        };
        let second = start(waits);
        assert!(late.join().unwrap());
        waits.serve();
        second.join().unwrap().unwrap();
    });
}

#[test]
fn a_close_under_all_who_wait_and_a_kill_of_one_of_them() {
    for_each_call(|waits| {
        let tasks: Vec<_> = (0..4).map(|_| start(waits)).collect();
        settle();
        tasks[1].kill("test");
        waits.close();
        tasks[2].kill("test");
        let [first, second, third, fourth] = <[_; 4]>::try_from(tasks).ok().unwrap();
        is_killed(second);
        is_killed(third);
        for task in [first, fourth] {
            let error = task.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        }
        let error = waits.call().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn the_end_of_a_run_ends_all_waits() {
    for call in CALLS {
        let left = Arc::new(AtomicU32::new(0));
        struct Left(Arc<AtomicU32>);
        impl Drop for Left {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        leaves_nothing(|| {
            let waits: Rc<dyn Waits> = Rc::from((call.make)());
            for _ in 0..3 {
                let (waits, left) = (waits.clone(), Left(left.clone()));
                spawn(move || {
                    let _left = left;
                    waits.call()
                });
            }
            settle();
        });
        assert_eq!(left.load(Ordering::Relaxed), 6, "{}", call.name);
    }
}

#[test]
fn a_kill_that_is_swallowed_comes_again_at_the_next_call() {
    leaves_nothing(|| {
        let (a, b) = <TcpStream as Connection>::connected();
        let a = Rc::new(a);
        let theirs = a.clone();
        let victim = spawn(move || {
            for _ in 0..3 {
                let swallowed = catch_unwind(AssertUnwindSafe(|| theirs.read_shared(&mut [0])));
                assert!(swallowed.is_err());
            }
            let _ = theirs.read_shared(&mut [0]);
        });
        settle();
        victim.kill("test");
        assert!(victim.join().unwrap_err().is_killed());
        b.write_shared(&[1]).unwrap();
        assert_eq!(a.read_shared(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn a_shield_holds_a_kill_back_until_the_byte_has_come() {
    leaves_nothing(|| {
        let (a, b) = <UnixStream as Connection>::connected();
        let got = Rc::new(Cell::new(0));
        let theirs = got.clone();
        let victim = spawn(move || {
            task::shield(|| {
                let mut byte = [0];
                a.read_all_shared(&mut byte);
                theirs.set(byte[0]);
            });
            yield_now();
            unreachable!("the kill comes first");
        });
        settle();
        victim.kill("test");
        settle();
        b.write_shared(&[7]).unwrap();
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(got.get(), 7);
    });
}

#[test]
fn a_scope_that_fails_ends_the_calls_of_its_tasks() {
    leaves_nothing(|| {
        let (a, _b) = <TcpStream as Connection>::connected();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.spawn(|| a.read_shared(&mut [0]));
                s.spawn(|| a.read_shared(&mut [0]));
                s.spawn(|| panic!("on purpose"));
            });
        }));
        assert!(failed.is_err());
    });
}

#[test]
fn a_paused_reader_keeps_its_turn_and_what_it_gets() {
    leaves_nothing(|| {
        let (mut a, b) = <TcpStream as Connection>::connected();
        let b = Rc::new(b);
        let read = || {
            let b = b.clone();
            spawn(move || {
                let mut byte = [0];
                b.read_all_shared(&mut byte);
                byte[0]
            })
        };
        let (first, second) = (read(), read());
        settle();
        first.task().pause();
        a.write_all(&[1, 2]).unwrap();
        settle();
        assert!(!first.is_finished() && !second.is_finished());
        first.task().resume();
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 2));
    });
}

#[test]
fn many_connections_come_and_go_and_leave_nothing() {
    leaves_nothing(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let mut tasks = Vec::new();
            for n in 0..300 {
                let (mut stream, _) = listener.accept().unwrap();
                let task = spawn(move || {
                    let mut buffer = [0; 64];
                    loop {
                        match stream.read(&mut buffer).unwrap_or(0) {
                            0 => break,
                            read => stream.write_all(&buffer[..read]).unwrap(),
                        }
                    }
                });
                if n % 3 == 0 {
                    task.kill("every third");
                }
                tasks.push(task);
            }
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join().is_err(), n % 3 == 0);
            }
        });
        let clients: Vec<_> = (0..300)
            .map(|_| {
                spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    let _ = stream.write_all(b"hello");
                    let _ = stream.read(&mut [0; 8]);
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        server.join().unwrap();
    });
}

/// A script of a client and a server; the k-th task that parks is killed at its park, for k = 1, 2,
/// … until nothing is left to kill.
#[test]
fn a_kill_at_every_park_of_a_script() {
    fn script(kill_at: u32) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut line = [0; 6];
            for _ in 0..3 {
                stream.read_exact(&mut line)?;
                stream.write_all(&line)?;
            }
            io::Result::Ok(())
        });
        let client = spawn(move || {
            let mut stream = TcpStream::connect(address)?;
            let mut line = [0; 6];
            for n in 0..3 {
                stream.write_all(format!("line {n}").as_bytes())?;
                stream.read_exact(&mut line)?;
            }
            io::Result::Ok(())
        });
        let tasks = [server.task().clone(), client.task().clone()];
        // Each turn in which one of them is parked counts.
        let mut parks = 0;
        let mut hit = false;
        while !(server.is_finished() && client.is_finished()) {
            for task in &tasks {
                let parked = matches!(task.status(), Status::Parked(_));
                parks += u32::from(parked);
                if parked && parks == kill_at {
                    hit = true;
                    task.kill("test");
                }
            }
            yield_now();
        }
        for end in [server.join(), client.join()] {
            match end {
                Ok(Ok(())) => {}
                Ok(Err(error)) => assert!(hit, "{error}"),
                Err(error) => assert!(hit && error.is_killed(), "{error}"),
            }
        }
        hit
    }
    let mut kill_at = 0;
    let goes_on = AtomicBool::new(true);
    while goes_on.load(Ordering::Relaxed) && kill_at < 60 {
        kill_at += 1;
        leaves_nothing(|| goes_on.store(script(kill_at), Ordering::Relaxed));
    }
    assert!(kill_at > 5, "{kill_at}");
}
