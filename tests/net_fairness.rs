//! A socket that is always ready keeps nobody from a turn: other tasks, other sockets, timers.
use maypole::net::{TcpListener, TcpStream};
use maypole::{run, spawn, time, yield_now};
use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that lie ready for somebody who reads them one by one.
const FLOOD: usize = 50_000;

/// Calls that a task may make without waiting before the others have a turn.
const BUDGET: usize = 128;

/// Both ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// An end at which [`FLOOD`] bytes lie ready.
fn flooded() -> (TcpStream, TcpStream) {
    let (mut client, server) = connection();
    client.write_all(&[0; FLOOD]).unwrap();
    (client, server)
}

/// Starts a task that reads a flood byte by byte; it counts what it has read.
fn drink(mut stream: TcpStream) -> (Rc<Cell<usize>>, maypole::JoinHandle<()>) {
    let count = Rc::new(Cell::new(0));
    let theirs = count.clone();
    let task = spawn(move || {
        let mut byte = [0];
        while theirs.get() < FLOOD {
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            theirs.set(theirs.get() + 1);
        }
    });
    (count, task)
}

#[test]
fn a_flood_gives_way_to_the_other_tasks() {
    run(|| {
        let (_client, server) = flooded();
        let (count, task) = drink(server);
        let mut before = 0;
        while count.get() < FLOOD {
            yield_now();
            assert!(count.get() - before <= BUDGET, "it read on and on");
            before = count.get();
        }
        task.join().unwrap();
    });
}

#[test]
fn a_flood_that_is_written_gives_way_to_the_other_tasks() {
    run(|| {
        let (mut client, _server) = connection();
        let count = Rc::new(Cell::new(0));
        let theirs = count.clone();
        let task = spawn(move || {
            for _ in 0..10_000 {
                client.write_all(&[0]).unwrap();
                theirs.set(theirs.get() + 1);
            }
        });
        let mut before = 0;
        while !task.is_finished() {
            yield_now();
            assert!(count.get() - before <= BUDGET, "it wrote on and on");
            before = count.get();
        }
        task.join().unwrap();
    });
}

#[test]
fn a_flood_gives_way_to_timers() {
    run(|| {
        let (_client, server) = flooded();
        let (count, task) = drink(server);
        time::sleep(Duration::from_micros(10));
        assert!(count.get() < FLOOD, "the timer came only when all was read");
        task.join().unwrap();
    });
}

#[test]
fn a_flood_gives_way_to_other_sockets() {
    run(|| {
        let (_client, server) = flooded();
        let (mut polite, mut other) = connection();
        let answer = spawn(move || {
            let mut word = [0; 4];
            other.read_exact(&mut word).unwrap();
        });
        // It waits for an event by now.
        yield_now();
        let (count, task) = drink(server);
        polite.write_all(b"ping").unwrap();
        answer.join().unwrap();
        let read = count.get();
        // The system may hand the bytes over late; the look for them never is.
        assert!(read < FLOOD, "an event came only when all was read");
        task.join().unwrap();
    });
}

#[test]
fn tasks_that_yield_for_ever_do_not_keep_events_out() {
    run(|| {
        let (mut client, mut server) = connection();
        let served = Rc::new(Cell::new(false));
        let theirs = served.clone();
        let reader = spawn(move || {
            server.read_exact(&mut [0; 4]).unwrap();
            theirs.set(true);
        });
        yield_now();
        client.write_all(b"ping").unwrap();
        while !served.get() {
            yield_now();
        }
        reader.join().unwrap();
    });
}

#[test]
fn accepting_a_storm_gives_way_to_the_other_tasks() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..300)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let count = Rc::new(Cell::new(0));
        let theirs = count.clone();
        let total = clients.len();
        let task = spawn(move || {
            while theirs.get() < total {
                listener.accept().unwrap();
                theirs.set(theirs.get() + 1);
            }
        });
        let mut before = 0;
        while !task.is_finished() {
            yield_now();
            assert!(count.get() - before <= BUDGET, "it accepted on and on");
            before = count.get();
        }
        task.join().unwrap();
    });
}
