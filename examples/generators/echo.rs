//! Step 7: an echo server that stays alive while it waits.
//!
//! Its calls would block all tasks, were they made too early: so each waits first for the moment at
//! which it will not.
use super::system::{First, Scheduler, System, new_task, pass, read_wait, wait_task, write_wait};
use maypole::generator::Generator;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn server(system: &System, listener: TcpListener, connections: usize) {
    println!("Server starting");
    for number in 1..=connections {
        read_wait(system, &listener);
        let (client, _) = listener.accept().expect("somebody connects");
        println!("Connection {number}");
        new_task(
            system,
            Generator::new(move |system| handle_client(system, client)),
        );
    }
}

/// A client that goes away in the middle ends this task, and no other.
fn handle_client(system: &System, mut client: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        read_wait(system, &client);
        let length = match client.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            write_wait(system, &client);
            match client.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(_) => return,
            }
        }
    }
}

/// Sends a word and waits for its echo.
fn call(system: &System, stream: &mut TcpStream, name: &str) {
    let word = format!("hello from {name}");
    write_wait(system, stream);
    stream.write_all(word.as_bytes()).expect("there is room");
    read_wait(system, stream);
    let mut echo = [0; 64];
    let length = stream.read(&mut echo).expect("the server answers");
    println!("{name} got: {}", String::from_utf8_lossy(&echo[..length]));
}

/// Bob is served while ann's connection is open and silent.
fn ann(system: &System, address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let bob = new_task(
        system,
        Generator::new(move |system| {
            let mut stream = TcpStream::connect(address).expect("the server listens");
            call(system, &mut stream, "bob");
        }),
    );
    wait_task(system, bob);
    call(system, &mut stream, "ann");
}

pub fn step_7() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let mut scheduler = Scheduler::new(First::Child);
    scheduler.spawn(Generator::new(move |system| server(system, listener, 2)));
    scheduler.spawn(Generator::new(move |system| {
        for _ in 0..3 {
            println!("I'm alive!");
            pass(system);
        }
        let ann = new_task(system, Generator::new(move |system| ann(system, address)));
        wait_task(system, ann);
        println!("I'm alive!");
    }));
    scheduler.run();
}

/// The same server for whoever connects. The other task never waits, so this keeps a core busy.
pub fn serve() -> ! {
    let listener = TcpListener::bind("127.0.0.1:45000").expect("the port is free");
    let mut scheduler = Scheduler::new(First::Child);
    scheduler.spawn(Generator::new(|system| {
        server(system, listener, usize::MAX);
    }));
    scheduler.spawn(Generator::new(|system| {
        let mut next = Instant::now();
        loop {
            if next <= Instant::now() {
                println!("I'm alive!");
                next += Duration::from_secs(1);
            }
            pass(system);
        }
    }));
    scheduler.run();
    unreachable!("one of its tasks never ends")
}
