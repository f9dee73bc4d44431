//! An echo server for WebSockets: `tungstenite`, which knows of blocking streams only, over sockets
//! of tasks.
//!
//! Try: `cargo run -p maypole-websocket`, and in the console of a browser
//!
//! ```js
//! ws = new WebSocket("ws://127.0.0.1:9001");
//! ws.onmessage = message => console.log(message.data);
//! ws.onopen = () => ws.send("hello");
//! ```
//!
//! You will see `hello` come back, and so does whatever you send after it, as long as you like and
//! by as many as like to. ^C ends the server in order. Then
//! `cargo run -p maypole-websocket -- --check`: it is its own client, a hundred times at once.
//!
//! There is no adapter in between: a `TcpStream` of maypole is `Read` and `Write`, and where it
//! waits the task waits, in the middle of tungstenite.
use maypole::net::{TcpListener, TcpStream};
use maypole::time::timeout;
use maypole::{run, signal, spawn};
use std::cell::Cell;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{HandshakeError, Message, WebSocket};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let done = run(|| match argument.as_deref() {
        Some("--check") => check(),
        address => listen(address.unwrap_or("127.0.0.1:9001")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the server has done.
#[derive(Default)]
struct Served {
    connections: Cell<u64>,
    messages: Cell<u64>,
}

fn listen(address: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind(address)?;
    println!("ws://{} echoes, until ^C", listener.local_addr()?);
    let served = Rc::new(Served::default());
    let accepting = spawn({
        let served = served.clone();
        move || serve(&listener, &served)
    });
    signal::ctrl_c()?;
    accepting.kill("the server ends");
    println!(
        "\nconnections: {}, messages: {}",
        served.connections.get(),
        served.messages.get()
    );
    Ok(())
}

fn serve(listener: &TcpListener, served: &Rc<Served>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let served = served.clone();
        spawn(move || {
            served.connections.update(|connections| connections + 1);
            // The end of a connection comes as an error, too; none of them is others' business.
            if let Err(error) = echo(stream, &served) {
                match error.downcast_ref() {
                    Some(tungstenite::Error::ConnectionClosed) => {}
                    _ => eprintln!("a connection ended: {error}"),
                }
            }
        });
    }
}

fn echo(stream: TcpStream, served: &Served) -> Result<(), Failure> {
    let mut socket = timeout(Duration::from_secs(10), || {
        tungstenite::accept(stream).map_err(whole)
    })??;
    loop {
        // Pings are answered in there.
        let message = match socket.read() {
            Ok(message) => message,
            Err(error) => {
                tell_why(&mut socket, &error)?;
                return Err(error.into());
            }
        };
        if message.is_text() || message.is_binary() {
            socket.send(message)?;
            served.messages.update(|messages| messages + 1);
        }
    }
}

/// A client that breaks the protocol is told which part of it.
fn tell_why(socket: &mut WebSocket<TcpStream>, error: &tungstenite::Error) -> Result<(), Failure> {
    let code = match error {
        tungstenite::Error::Protocol(_) => CloseCode::Protocol,
        tungstenite::Error::Utf8(_) => CloseCode::Invalid,
        tungstenite::Error::Capacity(_) => CloseCode::Size,
        _ => return Ok(()),
    };
    socket.close(Some(CloseFrame {
        code,
        reason: "".into(),
    }))?;
    Ok(())
}

/// A handshake that is interrupted is one that found nothing to read. These streams wait instead.
fn whole<R: tungstenite::handshake::HandshakeRole>(error: HandshakeError<R>) -> Failure {
    match error {
        HandshakeError::Failure(error) => error.into(),
        HandshakeError::Interrupted(_) => unreachable!("the stream blocks its task"),
    }
}

fn check() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let served = Rc::new(Served::default());
    let accepting = spawn({
        let served = served.clone();
        move || serve(&listener, &served)
    });
    let clients = (0..100_usize).map(|number| {
        move || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let (socket, _) =
                tungstenite::client(format!("ws://{address}/"), stream).map_err(whole)?;
            converse(socket, number)
        }
    });
    for client in maypole::task::join_all(clients) {
        client.expect("no client panics")?;
    }
    accepting.kill("the check is over");
    println!(
        "{} clients got back their {} messages",
        served.connections.get(),
        served.messages.get()
    );
    Ok(())
}

fn converse(mut socket: WebSocket<TcpStream>, number: usize) -> Result<(), Failure> {
    for round in 0..10 {
        // From one byte to some hundred thousand: more than a socket holds.
        let text = format!("{number}").repeat(4_usize.pow(round));
        socket.send(Message::text(text.as_str()))?;
        assert_eq!(socket.read()?, Message::text(text.as_str()));
        socket.send(Message::binary(text.clone().into_bytes()))?;
        assert_eq!(socket.read()?, Message::binary(text.into_bytes()));
    }
    socket.send(Message::Ping("are you there?".into()))?;
    assert_eq!(socket.read()?, Message::Pong("are you there?".into()));
    socket.close(None)?;
    loop {
        match socket.read() {
            Ok(message) => assert!(message.is_close(), "{message}"),
            Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
