//! A chat room: whoever connects talks to all others.
//!
//! Try: `cargo run --example chat`, and in three other terminals `nc localhost 7000`. Each is asked
//! for a name; you will see who comes, what they say and who goes (`/who` and `/quit` help). ^C in
//! the first terminal ends the room in order: it says good-bye, and its last line is
//! `3 tasks killed: end of the run`.
//!
//! Stop one of the clients with ^Z and let the others talk a lot, say `yes | nc localhost 7000`:
//! what they say goes on at full speed, and the one who does not listen is thrown out. Then
//! `cargo run --example chat -- --check`: all that with clients of its own.
//!
//! Each client has two tasks, one that reads its lines and one that waits, with `select!`, for
//! these or for what others say. In between are channels with a bound: a client who is slow fills
//! its own, and no other.
use maypole::channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};
use maypole::net::{TcpListener, TcpStream};
use maypole::task::{Builder, current};
use maypole::{JoinError, JoinHandle, Task, run, scope, signal, sleep, spawn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// How many lines a client may be behind.
const BEHIND_AT_MOST: usize = 64;
/// Longer lines come in pieces.
const LINE_AT_MOST: u64 = 4096;
/// For the last words to be read.
const GRACE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let done = run(|| match argument.as_deref() {
        Some("--check") => check(),
        address => open(address.unwrap_or("127.0.0.1:7000")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn open(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    println!(
        "the room is open until ^C; try: nc {} {}",
        address.ip(),
        address.port()
    );
    let (close, closing) = bounded(1);
    let interrupt = spawn(move || {
        signal::ctrl_c()?;
        println!();
        let _ = close.send(());
        io::Result::Ok(())
    });
    host(listener, closing);
    // It may have ended by itself, too, when it could not listen any more.
    interrupt.kill("the room is closed");
    interrupt.join().unwrap_or(Ok(()))
}

// ── the room ─────────────────────────────────────────────────────────────────────────────────

/// Lets in whoever comes, until it is told to close.
fn host(listener: TcpListener, closing: Receiver<()>) {
    let room = Rc::new(Room::default());
    let (door, arrivals) = bounded(0);
    let (leave, gone) = unbounded();
    let porter = spawn(move || -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            // Lines are short, and the system would hold them back for company.
            stream.set_nodelay(true)?;
            if door.send(stream).is_err() {
                return Ok(());
            }
        }
    });
    let mut clients: BTreeMap<usize, JoinHandle<()>> = BTreeMap::new();
    let mut number = 0;
    loop {
        select! {
            recv(arrivals) -> stream => {
                let Ok(stream) = stream else {
                    // It cannot listen any more; the last sender of `door` is gone with it.
                    eprintln!("chat: {:?}", porter.join());
                    break;
                };
                number += 1;
                let (room, leaving) = (room.clone(), Leaving(leave.clone(), number));
                let client = Builder::new().name(format!("client {number}")).spawn(move || {
                    let _leaving = leaving;
                    // Whoever resets the connection has left, too.
                    let _ = converse(&stream, &room);
                });
                match client {
                    Ok(client) => drop(clients.insert(number, client)),
                    Err(error) => eprintln!("chat: no room for client {number}: {error}"),
                }
            },
            recv(gone) -> number => {
                let number = number.expect("this function has a sender, too");
                clients.remove(&number);
            },
            recv(closing) -> _ => break,
        }
    }
    room.announce("the room closes", None);
    sleep(GRACE);
    close(clients.into_values().collect());
}

/// Kills the tasks of all clients, and tells how many that were.
fn close(clients: Vec<JoinHandle<()>>) {
    for client in &clients {
        client.kill("end of the run");
    }
    let ends = clients.into_iter().map(JoinHandle::join);
    let killed = ends.filter(|end| end.as_ref().is_err_and(JoinError::is_killed));
    println!("{} tasks killed: end of the run", killed.count());
}

/// Tells that a client is gone, also when its task was killed.
struct Leaving(Sender<usize>, usize);

impl Drop for Leaving {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// Who is there. All tasks share it without a lock: none of its methods parks, so nobody comes in
/// between.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<String, Member>>,
}

struct Member {
    task: Task,
    queue: Sender<Rc<str>>,
    is_slow: Cell<bool>,
}

impl Room {
    /// What the room itself has to say, here and to all but one.
    fn announce(&self, what: &str, except: Option<&str>) {
        println!("* {what}");
        self.tell(&format!("* {what}\n"), except);
    }

    /// Gives a line to all but one.
    fn tell(&self, line: &str, except: Option<&str>) {
        let line: Rc<str> = line.into();
        let members = self.members.borrow();
        for (_, member) in members.iter().filter(|(name, _)| except != Some(name)) {
            // To wait for the slow one would be to keep all waiting. A kill only flags and wakes,
            // so it is no trouble here: that task unwinds when it has its turn.
            if let Err(TrySendError::Full(_)) = member.queue.try_send(line.clone()) {
                member.is_slow.set(true);
                member.task.kill("too slow");
            }
        }
    }

    fn names(&self) -> String {
        let members = self.members.borrow();
        members
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Takes the task that calls in, if the name is free.
    fn join(&self, name: &str) -> Option<(Seat<'_>, Receiver<Rc<str>>)> {
        if self.members.borrow().contains_key(name) {
            return None;
        }
        let (queue, said) = bounded(BEHIND_AT_MOST);
        let member = Member {
            task: current(),
            queue,
            is_slow: Cell::new(false),
        };
        self.members.borrow_mut().insert(name.to_string(), member);
        self.announce(&format!("{name} has joined"), Some(name));
        let seat = Seat {
            room: self,
            name: name.to_string(),
        };
        Some((seat, said))
    }
}

/// A place in the room. However its task ends, also by a kill, the others are told.
struct Seat<'a> {
    room: &'a Room,
    name: String,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let member = self.room.members.borrow_mut().remove(&self.name);
        let is_slow = member.is_some_and(|member| member.is_slow.get());
        let why = if is_slow { ": too slow" } else { "" };
        self.room
            .announce(&format!("{} has left{why}", self.name), None);
    }
}

// ── a client ─────────────────────────────────────────────────────────────────────────────────

fn converse(mut stream: &TcpStream, room: &Room) -> io::Result<()> {
    // Only one line is between the two tasks: so one who talks a lot takes turns with the others.
    let (type_line, typed) = bounded(1);
    scope(|s| {
        // It borrows the connection, and is killed when the rest is done.
        s.spawn_daemon(|| {
            let _ = read_lines(stream, type_line);
        });
        let (seat, said) = loop {
            stream.write_all(b"* your name?\n")?;
            let Ok(name) = typed.recv() else {
                return Ok(());
            };
            if !is_name(&name) {
                stream.write_all(b"* up to 20 letters and digits, please\n")?;
                continue;
            }
            match room.join(&name) {
                Some(joined) => break joined,
                None => stream.write_all(b"* that is somebody else's\n")?,
            }
        };
        writeln!(stream, "* here are: {}", room.names())?;
        loop {
            select! {
                recv(typed) -> line => match line.as_deref() {
                    Err(_) | Ok("/quit") => return Ok(()),
                    Ok("/who") => writeln!(stream, "* here are: {}", room.names())?,
                    Ok("") => {}
                    Ok(line) => room.tell(&format!("{}: {line}\n", seat.name), Some(&seat.name)),
                },
                recv(said) -> line => {
                    let line = line.expect("the room has the sender as long as the seat is taken");
                    stream.write_all(line.as_bytes())?;
                },
            }
        }
    })
}

fn read_lines(stream: &TcpStream, typed: Sender<String>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut stream)
            .take(LINE_AT_MOST)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(()); // the client has nothing more to say
        }
        // Nobody may write on the terminals of others but letters.
        let line = String::from_utf8_lossy(&line);
        let line = line.replace(|letter: char| letter.is_control() && letter != '\t', "");
        if typed.send(line.trim_end().to_string()).is_err() {
            return Ok(());
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=20).contains(&name.chars().count()) && name.chars().all(char::is_alphanumeric)
}

// ── clients of its own ───────────────────────────────────────────────────────────────────────

/// Three who talk and one who does not listen; what is printed is what the room prints.
fn check() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (close, closing) = bounded(1);
    let room = spawn(move || host(listener, closing));

    let mut ann = Client::join(address, "ann")?;
    let mut bob = Client::join(address, "bob")?;
    let mut cleo = Client::join(address, "cleo")?;
    assert_eq!(bob.hear()?, "* cleo has joined");
    ann.say("hello")?;
    assert_eq!(bob.hear()?, "ann: hello");
    assert_eq!(cleo.hear()?, "ann: hello");
    bob.say("/quit")?;
    assert_eq!(cleo.hear()?, "* bob has left");

    // Dora never reads. What is on its way to her fills the system's buffers, and then her queue.
    let _dora = Client::join(address, "dora")?;
    assert_eq!(cleo.hear()?, "* dora has joined");
    let dora_is_there = Rc::new(Cell::new(true));
    let talk = spawn({
        let dora_is_there = dora_is_there.clone();
        move || {
            let line = "bla ".repeat(1000);
            let mut said = 0;
            while dora_is_there.get() {
                ann.say(&line)?;
                said += 1;
            }
            ann.say("that was all")?;
            io::Result::Ok((ann, said))
        }
    });
    let mut heard = 0;
    loop {
        match cleo.hear()?.as_str() {
            "ann: that was all" => break,
            "* dora has left: too slow" => dora_is_there.set(false),
            line => {
                assert!(line.starts_with("ann: bla bla"), "who has said {line:?}?");
                heard += 1;
            }
        }
    }
    let (_ann, said) = talk.join().expect("she does not panic")?;
    assert_eq!(heard, said, "what cleo has heard of what ann has said");

    close.send(()).expect("the room is open");
    assert_eq!(cleo.hear()?, "* the room closes");
    room.join().expect("it does not panic");
    Ok(())
}

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn join(address: SocketAddr, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = BufReader::new(stream);
        let mut client = Client { stream };
        client.say(name)?;
        assert_eq!(client.hear()?, "* your name?");
        assert!(client.hear()?.starts_with("* here are: "));
        Ok(client)
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stream.get_mut(), "{line}")
    }

    fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_string()),
        }
    }
}
