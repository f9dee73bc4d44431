//! An echo server: each connection has a task, in code that simply waits.
//!
//! Try: `cargo run --example echo`, and in other terminals `nc 127.0.0.1 7007`, as many as you
//! like. You will see every line come back, whatever the others do. ^C ends the server, which tells
//! how much it has echoed and how many were still connected.
//!
//! Then `... -- 127.0.0.1:9000`, which listens there, and `... -- --check`: it is its own client, a
//! hundred times at once, and ends.
use maypole::net::{TcpListener, TcpStream};
use maypole::{JoinHandle, run, signal, spawn};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::rc::Rc;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let done = run(|| match argument.as_deref() {
        Some("--check") => check(),
        address => listen(address.unwrap_or("127.0.0.1:7007")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the server has done. All its tasks share it, and need no lock: between two calls that may
/// park, a task is alone.
#[derive(Default)]
struct Served {
    connections: Cell<u64>,
    open: Cell<u64>,
    bytes: Cell<u64>,
}

fn listen(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    println!(
        "echoes at {address}, until ^C; try: nc {} {}",
        address.ip(),
        address.port()
    );
    let served = Rc::new(Served::default());
    let _server = start(listener, served.clone());
    signal::ctrl_c()?;
    // The tasks that are left are killed at the end of the run, and close their connections.
    println!(
        "\nconnections: {}, of them still open: {}, bytes echoed: {}",
        served.connections.get(),
        served.open.get(),
        served.bytes.get()
    );
    Ok(())
}

fn start(listener: TcpListener, served: Rc<Served>) -> JoinHandle<io::Result<()>> {
    spawn(move || {
        loop {
            let (connection, _) = listener.accept()?;
            let served = served.clone();
            spawn(move || echo(connection, &served));
        }
    })
}

/// A client that resets its connection makes this end with an error, and nobody else.
fn echo(mut connection: TcpStream, served: &Served) -> io::Result<()> {
    served.connections.update(|connections| connections + 1);
    served.open.update(|open| open + 1);
    let echoed = echo_all(&mut connection, served);
    served.open.update(|open| open - 1);
    echoed
}

fn echo_all(connection: &mut TcpStream, served: &Served) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            return Ok(()); // the client has said that nothing more will come
        }
        connection.write_all(&buffer[..length])?;
        served.bytes.update(|bytes| bytes + length as u64);
    }
}

/// The server with a hundred clients of its own.
fn check() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let served = Rc::new(Served::default());
    let server = start(listener, served.clone());
    let clients = (0..100_u8).map(|number| {
        move || -> io::Result<()> {
            let mut stream = TcpStream::connect(address)?;
            for round in 1..=10 {
                let sent = vec![number; 100 * round];
                stream.write_all(&sent)?;
                let mut came = vec![0; sent.len()];
                stream.read_exact(&mut came)?;
                assert_eq!(came, sent, "the echo of client {number}");
            }
            Ok(())
        }
    });
    for client in maypole::task::join_all(clients) {
        client.expect("no client panics")?;
    }
    server.kill("the check is over");
    println!(
        "{} clients got back what they had sent, {} bytes",
        served.connections.get(),
        served.bytes.get()
    );
    Ok(())
}
