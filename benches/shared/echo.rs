//! Both ends of an echo: the clients that load a server, and the barest server there can be.
//!
//! Bare mio, so that what a server costs stands out. A client sends a message, and the next when
//! the echo of the last has come.
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bytes of a message.
pub const MESSAGE: usize = 64;

/// Bytes of the buffer that a server reads into: larger than a message, so that a read tells that
/// it has taken all there is.
pub const BUFFER: usize = 1024;

/// Events of one look.
const EVENTS: usize = 1024;

/// Nothing takes so long, unless an echo was lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A new connection is known to be served before so many others are made: some servers let no more
/// wait, and the system then tries again only after a second.
const UNANSWERED: usize = 64;

// ── clients ──────────────────────────────────────────────────────────────────────────────────

/// Clients of one server, on the OS thread that uses this.
pub struct Load {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
}

struct Client {
    stream: TcpStream,
    sent: Instant,
    /// Bytes of the echo that have come.
    come: usize,
}

/// What came of a load.
pub struct Outcome {
    pub elapsed: Duration,
    /// Of each request in that time, in nanoseconds.
    pub latencies: Vec<u32>,
}

impl Load {
    /// Connects so many clients to the server at `address`.
    pub fn connect(address: SocketAddr, connections: usize) -> io::Result<Load> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(connections);
        for index in 0..connections {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            if index % UNANSWERED == 0 || index + 1 == connections {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(&[0; MESSAGE])?;
                stream.read_exact(&mut [0; MESSAGE])?;
            }
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut stream, Token(index), Interest::READABLE)?;
            clients.push(Client {
                stream,
                sent: Instant::now(),
                come: 0,
            });
        }
        Ok(Load {
            poll,
            events: Events::with_capacity(EVENTS),
            clients,
        })
    }

    /// Keeps every client busy until `is_enough`, which is told how many echoes have come and what
    /// time it is, and waits for the echoes that are still to come.
    ///
    /// An echo that was lost, or is none, is an error.
    pub fn run(
        &mut self,
        mut is_enough: impl FnMut(usize, Instant) -> bool,
    ) -> io::Result<Outcome> {
        let start = Instant::now();
        for client in &mut self.clients {
            client.sent = Instant::now();
            client.send()?;
        }
        let mut under_way = self.clients.len();
        let mut latencies = Vec::new();
        let mut elapsed = None;
        while under_way > 0 {
            match self.poll.poll(&mut self.events, Some(PATIENCE)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            if self.events.is_empty() {
                let error = format!("{under_way} echoes did not come");
                return Err(io::Error::new(io::ErrorKind::TimedOut, error));
            }
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                if !client.receive()? {
                    continue;
                }
                let now = Instant::now();
                if elapsed.is_some() {
                    under_way -= 1;
                    continue;
                }
                let latency = now.duration_since(client.sent).as_nanos();
                latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
                if is_enough(latencies.len(), now) {
                    elapsed = Some(now - start);
                    under_way -= 1;
                    continue;
                }
                client.sent = now;
                client.send()?;
            }
        }
        Ok(Outcome {
            elapsed: elapsed.unwrap_or_default(),
            latencies,
        })
    }
}

impl Client {
    fn send(&mut self) -> io::Result<()> {
        self.come = 0;
        match self.stream.write(&[0xA5; MESSAGE])? {
            MESSAGE => Ok(()),
            sent => Err(io::Error::other(format!("only {sent} bytes were sent"))),
        }
    }

    /// Whether the echo is complete.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; BUFFER];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) if buffer[..length].iter().all(|byte| *byte == 0xA5) => {
                self.come += length;
                Ok(self.come == MESSAGE)
            }
            Ok(_) => Err(io::Error::other("this is no echo")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

// ── the barest server ────────────────────────────────────────────────────────────────────────

/// Echoes with mio alone: edge-triggered, a table of connections, nothing else. Returns when
/// everybody who came has gone.
///
/// An output that is full ends the connection, which no client of [`Load`] brings about.
pub fn serve_bare(listener: std::net::TcpListener) -> io::Result<()> {
    const LISTENER: Token = Token(usize::MAX - 1);
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS);
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut open = 0;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let token = Token(connections.len());
                    registry.register(&mut stream, token, Interest::READABLE)?;
                    connections.push(Some(stream));
                    open += 1;
                }
                continue;
            }
            let connection = &mut connections[event.token().0];
            if connection.as_mut().is_some_and(|stream| !echo(stream)) {
                *connection = None;
                open -= 1;
                if open == 0 {
                    return Ok(());
                }
            }
        }
    }
}

/// Echoes what has come; false at the end.
fn echo(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                if !matches!(stream.write(&buffer[..length]), Ok(sent) if sent == length) {
                    return false;
                }
                if length < BUFFER {
                    return true;
                }
            }
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
