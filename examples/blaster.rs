//! Beazley's load: three processes, three hundred connections each, messages of a kilobyte, against a
//! server with a task per client, and against one with an OS thread per client.
//!
//! Try: `cargo run --release --example blaster`. You will see how many echoes each server has given,
//! every byte of them compared, and how long that took. Then `-- --connections 100 --messages 50`, or
//! more of either.
use maypole::net::{TcpListener, TcpStream};
use maypole::task::{JoinError, join_all};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// As in "Generators: The Final Frontier" (Beazley, 2014) and the talks before it.
const PROCESSES: usize = 3;
const MESSAGE: usize = 1024;

/// Longer than any answer takes, so that nothing waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

struct Load {
    connections: usize,
    messages: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, address, connections, messages] = &arguments[..]
        && word == "client"
    {
        return client(address, connections, messages);
    }
    let mut load = Load {
        connections: 300,
        messages: 20,
    };
    for pair in arguments.chunks(2) {
        match pair {
            [option, number] if option == "--connections" => load.connections = parsed(number),
            [option, number] if option == "--messages" => load.messages = parsed(number),
            _ => usage(),
        }
    }
    let total = PROCESSES * load.connections;
    println!(
        "{PROCESSES} processes, {} connections each, {} messages of {MESSAGE} bytes on each",
        load.connections, load.messages
    );
    let mut well = true;
    for (name, serve) in [
        ("a task per client", serve_by_tasks as fn(_, _) -> _),
        ("an OS thread per client", serve_by_threads),
    ] {
        match blast(&load, move |announce| serve(total, announce)) {
            Ok(seconds) => {
                let echoes = total * load.messages;
                let rate = echoes as f64 / seconds;
                println!("{name}: {echoes} echoes in {seconds:.2} s, {rate:.0} in a second");
            }
            Err(error) => {
                println!("{name}: {error}");
                well = false;
            }
        }
    }
    match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn parsed(number: &str) -> usize {
    number.parse().unwrap_or_else(|_| usage())
}

fn usage() -> ! {
    eprintln!("usage: blaster [--connections NUMBER] [--messages NUMBER]");
    std::process::exit(2);
}

/// Loads a server until all clients have their echoes; gives the seconds.
fn blast(
    load: &Load,
    serve: impl FnOnce(mpsc::Sender<SocketAddr>) -> io::Result<()> + Send + 'static,
) -> io::Result<f64> {
    let (announce, announced) = mpsc::channel();
    let server = std::thread::spawn(move || serve(announce));
    let Ok(address) = announced.recv() else {
        return server
            .join()
            .expect("a server does not panic")
            .map(|()| 0.0);
    };
    let before = maypole::time::now();
    let mut clients = Vec::new();
    for _ in 0..PROCESSES {
        let client = Command::new(std::env::current_exe()?)
            .arg("client")
            .args([&address.to_string(), &load.connections.to_string()])
            .arg(load.messages.to_string())
            .stdin(Stdio::null())
            .spawn()?;
        clients.push(client);
    }
    let mut failed = 0;
    for mut client in clients {
        failed += usize::from(!client.wait()?.success());
    }
    let seconds = (maypole::time::now() - before).as_secs_f64();
    if failed > 0 {
        return Err(io::Error::other(format!("{failed} clients have failed")));
    }
    server.join().expect("a server does not panic")?;
    Ok(seconds)
}

/// One OS thread for all.
fn serve_by_tasks(clients: usize, announce: mpsc::Sender<SocketAddr>) -> io::Result<()> {
    maypole::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let _ = announce.send(listener.local_addr()?);
        maypole::scope(|s| {
            for _ in 0..clients {
                let (connection, _) = listener.accept()?;
                s.spawn(move || echo(connection));
            }
            Ok(())
        })
    })
}

/// What std offers.
fn serve_by_threads(clients: usize, announce: mpsc::Sender<SocketAddr>) -> io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let _ = announce.send(listener.local_addr()?);
    std::thread::scope(|s| {
        for _ in 0..clients {
            let (connection, _) = listener.accept()?;
            s.spawn(move || echo(connection));
        }
        Ok(())
    })
}

/// The same code for both: where one waits, a task parks or an OS thread blocks.
fn echo(mut connection: impl Read + Write) {
    let mut buffer = [0; 4 * MESSAGE];
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        if connection.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

/// One of the processes: a task for each connection.
fn client(address: &str, connections: &str, messages: &str) -> ExitCode {
    let (Ok(address), Ok(connections), Ok(messages)) =
        (address.parse(), connections.parse(), messages.parse())
    else {
        return ExitCode::FAILURE;
    };
    let talks = (0..connections).map(|nth: usize| move || talk(address, nth, messages));
    let failed = |result: Result<io::Result<()>, JoinError>| match result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    let failures: Vec<String> = maypole::run(|| join_all(talks))
        .into_iter()
        .filter_map(failed)
        .collect();
    match failures.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            eprintln!("{} connections failed, the first: {first}", failures.len());
            ExitCode::FAILURE
        }
    }
}

fn talk(address: SocketAddr, nth: usize, messages: usize) -> io::Result<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut echoed = [0; MESSAGE];
    for round in 0..messages {
        let message: [u8; MESSAGE] = std::array::from_fn(|place| (nth + 7 * round + place) as u8);
        connection.write_all(&message)?;
        connection.read_exact(&mut echoed)?;
        if echoed != message {
            return Err(io::Error::other("an echo differs from what was sent"));
        }
    }
    Ok(())
}
