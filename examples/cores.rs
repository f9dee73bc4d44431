//! An echo server on every core: one scheduler in each OS thread, all listening at one address.
//!
//! Try: `cargo run --release --example cores`, and in other terminals `nc 127.0.0.1 7008`, as many
//! as you like. The system gives each connection to one of the cores (`SO_REUSEPORT`), where a task
//! serves it. ^C ends the server, which tells what each core has done; so does `-- --for 10` after
//! ten seconds. `-- --cores 4` takes four, `-- --check` is its own load and ends.
//!
//! No core shares anything with another, so nothing is locked: what is said between them is said
//! through a channel between OS threads, and by calls into the other scheduler.
use maypole::net::{TcpListener, TcpStream};
use maypole::sync::Event;
use maypole::thread::{self, Remote, Sender};
use maypole::{run, signal, spawn};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

fn main() -> ExitCode {
    let Some(wish) = Wish::of(std::env::args().skip(1)) else {
        eprintln!("cores: [--cores NUMBER] [--for SECONDS | --check] is expected");
        return ExitCode::from(2);
    };
    match wish.fulfil() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cores: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Wish {
    cores: usize,
    until: Until,
}

enum Until {
    CtrlC,
    After(Duration),
    Checked,
}

impl Wish {
    fn of(mut arguments: impl Iterator<Item = String>) -> Option<Wish> {
        let mut wish = Wish {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            until: Until::CtrlC,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--cores" => {
                    let cores = arguments.next()?.parse().ok();
                    wish.cores = cores.filter(|cores| *cores > 0)?;
                }
                "--for" => {
                    let seconds = arguments.next()?.parse().ok()?;
                    wish.until = Until::After(Duration::try_from_secs_f64(seconds).ok()?);
                }
                "--check" => wish.until = Until::Checked,
                _ => return None,
            }
        }
        Some(wish)
    }

    fn fulfil(self) -> io::Result<()> {
        let port = match self.until {
            Until::Checked => 0,
            _ => 7008,
        };
        // The first to listen learns which port it is; the others share it.
        let first = Core::start(0, ([127, 0, 0, 1], port).into())?;
        let address = first.address;
        let mut cores = vec![first];
        for number in 1..self.cores {
            cores.push(Core::start(number, address)?);
        }
        match self.until {
            Until::CtrlC => {
                println!("{} cores echo at {address}, until ^C", cores.len());
                run(signal::ctrl_c)?;
                println!();
            }
            Until::After(time) => {
                println!("{} cores echo at {address}, for {time:?}", cores.len());
                std::thread::sleep(time);
            }
            Until::Checked => check(address, cores.len())?,
        }
        let mut total = Counts::default();
        for core in cores {
            let number = core.number;
            let counts = core.stop();
            println!("core {number}: {counts}");
            total.connections += counts.connections;
            total.messages += counts.messages;
        }
        println!("all cores: {total}");
        Ok(())
    }
}

// ── one core ─────────────────────────────────────────────────────────────────────────────────

/// What a core has done.
#[derive(Clone, Copy, Default)]
struct Counts {
    connections: u64,
    messages: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts {
            connections,
            messages,
        } = self;
        write!(f, "{connections} connections, {messages} messages")
    }
}

thread_local! {
    /// Each OS thread has its own: all tasks of a core share them, and no others.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { connections: 0, messages: 0 }) };
    static STOP: Event = Event::new();
}

fn count(change: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
}

/// A core as the others see it.
struct Core {
    number: usize,
    address: SocketAddr,
    remote: Remote,
    os_thread: JoinHandle<()>,
}

impl Core {
    fn start(number: usize, address: SocketAddr) -> io::Result<Core> {
        let (sender, started) = thread::bounded(1);
        let os_thread = std::thread::Builder::new()
            .name(format!("core {number}"))
            .spawn(move || run(|| serve(address, sender)))?;
        let (address, remote) = started.recv().map_err(io::Error::other)??;
        Ok(Core {
            number,
            address,
            remote,
            os_thread,
        })
    }

    /// Ends it; tells what it has done.
    fn stop(self) -> Counts {
        // It runs as a task of that core: no lock is needed to see what is there.
        let counts = self.remote.call(|| {
            STOP.with(Event::set);
            COUNTS.get()
        });
        self.os_thread.join().expect("no core panics");
        counts.expect("a core runs until it is stopped")
    }
}

/// The first task of a core. When it returns, the others are killed, and close their connections.
fn serve(address: SocketAddr, sender: Sender<io::Result<(SocketAddr, Remote)>>) {
    let listening = TcpListener::bind_reuse_port(address).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    let (listener, started) = match listening {
        Ok((listener, address)) => (Some(listener), Ok((address, thread::remote()))),
        Err(error) => (None, Err(error)),
    };
    let _ = sender.send(started);
    let Some(listener) = listener else { return };
    spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    count(|counts| counts.connections += 1);
                    // A client that is gone is no concern of the others.
                    spawn(move || drop(echo(stream)));
                }
                Err(error) => eprintln!("cores: a connection failed: {error}"),
            }
        }
    });
    STOP.with(Event::wait);
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
        count(|counts| counts.messages += 1);
    }
}

// ── the check ────────────────────────────────────────────────────────────────────────────────

const CLIENTS: u32 = 200;
const MESSAGES: u32 = 10;

/// As many schedulers again, full of clients.
fn check(address: SocketAddr, cores: usize) -> io::Result<()> {
    let (sender, done) = thread::unbounded();
    let loads: Vec<_> = (0..cores as u32)
        .map(|nth| {
            let sender = sender.clone();
            let clients = (nth..CLIENTS).step_by(cores);
            std::thread::spawn(move || run(|| load(address, clients, sender)))
        })
        .collect();
    drop(sender);
    let mut echoed = 0;
    for client in done.iter() {
        echoed += client?;
    }
    for load in loads {
        load.join().expect("no load panics");
    }
    println!("{CLIENTS} clients: {echoed} messages came back");
    Ok(())
}

/// What one OS thread has of the load: each client a task.
fn load(address: SocketAddr, numbers: impl Iterator<Item = u32>, sender: Sender<io::Result<u32>>) {
    let clients: Vec<_> = numbers
        .map(|number| {
            let sender = sender.clone();
            spawn(move || sender.send(talk(address, number)))
        })
        .collect();
    for client in clients {
        let told = client.join().expect("no client panics");
        told.expect("somebody counts");
    }
}

fn talk(address: SocketAddr, number: u32) -> io::Result<u32> {
    let mut stream = TcpStream::connect(address)?;
    for round in 0..MESSAGES {
        let sent = (number * MESSAGES + round).to_le_bytes();
        stream.write_all(&sent)?;
        let mut came = [0; 4];
        stream.read_exact(&mut came)?;
        assert_eq!(came, sent, "the echo of client {number}");
    }
    Ok(MESSAGES)
}
