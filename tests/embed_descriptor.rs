//! The descriptor of a scheduler, in an epoll of somebody else's.
mod task_support;

use maypole::net::{TcpListener, TcpStream};
use maypole::{Budget, Builder, Scheduler, Tick, run, sleep, task};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};
use task_support::Log;

/// Longer than a machine is ever busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

const TASKS: Token = Token(1);
const OTHER: Token = Token(2);

/// A host whose loop is a `poll` of its own.
struct Host {
    scheduler: Scheduler,
    poll: Poll,
    events: Events,
}

impl Host {
    fn new() -> Self {
        let scheduler = Builder::new().build();
        let poll = Poll::new().unwrap();
        let descriptor = scheduler.as_fd().as_raw_fd();
        let mut source = SourceFd(&descriptor);
        poll.registry()
            .register(&mut source, TASKS, Interest::READABLE)
            .unwrap();
        Host {
            scheduler,
            poll,
            events: Events::with_capacity(8),
        }
    }

    /// Waits for at most `timeout`; tells what happened.
    fn wait(&mut self, timeout: Duration) -> Vec<Token> {
        self.poll.poll(&mut self.events, Some(timeout)).unwrap();
        self.events.iter().map(|event| event.token()).collect()
    }

    /// Ticks, and sleeps in between, until the tasks are done or `over`.
    fn run_until(&mut self, mut over: impl FnMut() -> bool) -> Tick {
        let start = Instant::now();
        loop {
            let tick = self.scheduler.tick(Budget::turns(1000));
            if tick == Tick::Done || over() {
                return tick;
            }
            assert!(start.elapsed() < PATIENCE, "{}", self.scheduler.report());
            let timeout = match tick {
                Tick::Idle { next_deadline } => next_deadline.map_or(PATIENCE, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                }),
                _ => Duration::ZERO,
            };
            self.wait(timeout);
        }
    }
}

#[test]
fn it_is_quiet_while_nothing_comes_from_outside() {
    let mut host = Host::new();
    assert_eq!(host.wait(Duration::ZERO), []);
    let parked = host.scheduler.spawn(task::park);
    host.scheduler.spawn(|| sleep(Duration::from_millis(1)));
    host.scheduler.run_until_idle();
    parked.task().unpark(); // the host knows of it
    assert_eq!(host.wait(Duration::from_millis(5)), []);
    let start = Instant::now();
    while host.scheduler.tick(Budget::round()) != Tick::Done {
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!(host.wait(Duration::ZERO), []);
}

#[test]
fn a_connection_makes_it_readable_and_a_tick_takes_that_away() {
    let mut host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let log = Log::new();
    let words = log.clone();
    let server = host.scheduler.spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        words.say("accepted");
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        words.say(text);
        stream.write_all(b"bye").unwrap();
    });
    // The socket is new, and its first event says that it can be used.
    while host.scheduler.tick(Budget::turns(100)) == Tick::Ready {}
    while host.wait(Duration::ZERO) == [TASKS] {
        host.scheduler.run_until_idle();
    }
    let mut client = std::net::TcpStream::connect(address).unwrap();
    assert_eq!(host.wait(PATIENCE), [TASKS]);
    assert_eq!(log.text(), "", "nothing runs without a tick");
    host.run_until(|| log.len() == 1);
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(host.run_until(|| false), Tick::Done);
    assert_eq!(log.text(), "accepted hello");
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "bye");
    server.join().unwrap();
}

#[test]
fn a_call_of_another_os_thread_makes_it_readable() {
    let mut host = Host::new();
    let remote = host.scheduler.remote();
    host.scheduler.run_until_idle();
    assert_eq!(host.wait(Duration::ZERO), []);
    let caller = std::thread::spawn(move || {
        let first = remote.call(|| 20).unwrap();
        first + remote.call(|| 22).unwrap()
    });
    assert_eq!(host.run_until(|| false), Tick::Done);
    assert_eq!(caller.join().unwrap(), 42);
}

#[test]
fn the_end_of_the_last_remote_makes_it_readable_so_that_a_tick_can_tell_that_all_is_done() {
    let mut host = Host::new();
    let remote = host.scheduler.remote();
    let idle = Tick::Idle {
        next_deadline: None,
    };
    assert_eq!(host.scheduler.tick(Budget::round()), idle);
    assert_eq!(host.wait(Duration::ZERO), []);
    std::thread::spawn(move || drop(remote)).join().unwrap();
    assert_eq!(host.wait(PATIENCE), [TASKS]);
    assert_eq!(host.scheduler.tick(Budget::round()), Tick::Done);
}

#[test]
fn a_letter_is_seen_by_a_tick_without_turns_and_its_task_is_ready() {
    let mut scheduler = Builder::new().build();
    let remote = scheduler.remote();
    std::thread::spawn(move || remote.spawn(|| ()).unwrap())
        .join()
        .unwrap();
    assert_eq!(scheduler.tick(Budget::turns(0)), Tick::Ready);
    assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Done);
}

#[test]
fn work_done_in_another_os_thread_makes_it_readable() {
    let mut host = Host::new();
    let handle = host.scheduler.spawn(|| {
        let halves = [1, 2];
        (0..10)
            .map(|n| maypole::thread::offload(|| halves[n % 2]))
            .sum::<i32>()
    });
    assert_eq!(host.run_until(|| false), Tick::Done);
    assert_eq!(handle.join().unwrap(), 15);
}

#[test]
fn it_sits_beside_descriptors_of_the_host() {
    let mut host = Host::new();
    let mut timer = mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let own = timer.local_addr().unwrap();
    host.poll
        .registry()
        .register(&mut timer, OTHER, Interest::READABLE)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = Log::new();
    let words = served.clone();
    host.scheduler.spawn(move || {
        for connection in 0..10 {
            let (mut stream, _) = listener.accept().unwrap();
            let words = words.clone();
            maypole::spawn(move || {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
                words.say(connection);
            });
        }
    });
    let clients = std::thread::spawn(move || {
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..10 {
            sender.send_to(&[n], own).unwrap();
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(&[n]).unwrap();
            let mut echo = [0];
            stream.read_exact(&mut echo).unwrap();
            assert_eq!(echo, [n]);
        }
    });
    let (mut datagrams, start) = (0, Instant::now());
    let mut done = false;
    while !done || datagrams < 10 {
        assert!(start.elapsed() < PATIENCE, "{datagrams} {}", served.text());
        // The host ticks after whatever woke it: what it does itself may make tasks ready.
        done = host.scheduler.tick(Budget::turns(10)) == Tick::Done;
        let timeout = match done {
            false if host.scheduler.tick(Budget::turns(0)) == Tick::Ready => Duration::ZERO,
            _ => Duration::from_millis(100),
        };
        if host.wait(timeout).contains(&OTHER) {
            let mut datagram = [0; 8];
            while timer.recv(&mut datagram).is_ok() {
                datagrams += 1;
            }
        }
    }
    clients.join().unwrap();
    assert_eq!(served.len(), 10);
}

#[test]
fn it_is_the_same_as_long_as_the_scheduler_lives_and_may_be_asked_for_late() {
    let mut scheduler = Builder::new().build();
    let handle = scheduler.spawn(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = maypole::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"x").unwrap();
        });
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        client.join().unwrap();
        byte
    });
    let start = Instant::now();
    while scheduler.tick(Budget::turns(1)) != Tick::Done {
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!(handle.join().unwrap(), *b"x");
    let first = scheduler.as_fd().as_raw_fd();
    scheduler.run_until_idle();
    let moved = scheduler;
    assert_eq!(moved.as_fd().as_raw_fd(), first);
}

/// Descriptors that are open in this process, one test at a time.
#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
#[cfg(target_os = "linux")]
fn no_descriptor_is_left_of_a_scheduler() {
    // In a process of its own: others open and close theirs meanwhile.
    let name = "no_descriptor_is_left_of_a_scheduler";
    if std::env::var_os("EMBED_ALONE").is_none() {
        let this = std::env::current_exe().unwrap();
        let status = std::process::Command::new(this)
            .args(["--exact", name])
            .env("EMBED_ALONE", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let round = || {
        let scheduler = Builder::new().build();
        let remote = scheduler.remote();
        let _ = scheduler.as_fd();
        drop(scheduler);
        assert!(remote.spawn(|| ()).is_err());
        run(|| ());
    };
    round();
    let before = descriptors();
    (0..100).for_each(|_| round());
    assert_eq!(descriptors(), before);
    for _ in 0..10 {
        std::thread::spawn(round).join().unwrap();
    }
    assert_eq!(descriptors(), before);
}

#[test]
#[cfg(target_os = "linux")]
fn more_events_than_a_look_takes_are_not_left_behind() {
    use maypole::net::UdpSocket;
    const MANY: usize = 1100;
    let sockets: Result<Vec<UdpSocket>, _> =
        (0..MANY).map(|_| UdpSocket::bind("127.0.0.1:0")).collect();
    let Ok(sockets) = sockets else {
        return eprintln!("the system allows too few descriptors for this test");
    };
    let addresses: Vec<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().unwrap())
        .collect();
    let mut host = Host::new();
    // Nobody waits for any but the last, though each has been waited for.
    let sockets: Vec<_> = sockets.into_iter().map(std::rc::Rc::new).collect();
    for (n, socket) in sockets.iter().enumerate() {
        let socket = socket.clone();
        let handle = host.scheduler.spawn(move || {
            let mut byte = [0];
            while socket.recv(&mut byte).is_err() {}
        });
        host.scheduler.run_until_idle();
        if n + 1 < MANY {
            handle.kill("nobody waits");
        }
    }
    host.scheduler.run_until_idle();
    while host.wait(Duration::ZERO) == [TASKS] {
        host.scheduler.run_until_idle();
    }
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for address in addresses {
        sender.send_to(&[1], address).unwrap();
    }
    assert_eq!(host.wait(PATIENCE), [TASKS]);
    // An edge: it does not tell of what it told before.
    assert_eq!(host.scheduler.tick(Budget::turns(10)), Tick::Done);
    assert_eq!(host.wait(Duration::ZERO), []);
}

#[test]
#[cfg(target_os = "linux")]
fn a_call_that_must_be_tried_again_has_a_deadline() {
    let mut scheduler = Builder::new().build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = scheduler.spawn(move || listener.accept().is_ok());
    scheduler.run_until_idle();
    let _client = std::net::TcpStream::connect(address).unwrap();
    let start = Instant::now();
    // The system has no descriptor to accept it with, for a while, and will not say when it has.
    maypole::io::faults::inject(0, 1, libc::EMFILE);
    let mut deadline = None;
    while deadline.is_none() {
        assert!(start.elapsed() < PATIENCE);
        if let Tick::Idle { next_deadline } = scheduler.tick(Budget::turns(10)) {
            deadline = next_deadline;
        }
    }
    maypole::io::faults::lift();
    let left = deadline.unwrap().saturating_duration_since(Instant::now());
    assert!(left < Duration::from_secs(10));
    std::thread::sleep(left);
    while scheduler.tick(Budget::turns(10)) != Tick::Done {
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(accepted.join().unwrap());
}
