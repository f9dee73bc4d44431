//! The servers among the examples, as processes: clients of all manners, and then ^C.
#![cfg(unix)]
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// For anything that a server has to do.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// Starts it on a port of its own, which its first line tells after `before`.
    fn start(example: &str, arguments: &[&str], before: &str) -> Self {
        let mut command = program::command(example, arguments);
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example can be run");
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it prints text");
        let told = line
            .strip_prefix(before)
            .unwrap_or_else(|| panic!("{line}"));
        let address = told.trim_end().replace(' ', ":");
        let address = address.split([',', '/']).next().expect("it is not empty");
        Server {
            address: address.parse().unwrap_or_else(|_| panic!("{line}")),
            process,
            output,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Ends it as a user does, and gives what it printed after its first line.
    fn interrupt(mut self) -> String {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.expect("there is a kill").success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
        rest
    }
}

/// A test that fails leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Closes a connection so that the other end sees it reset.
fn reset(stream: TcpStream) {
    // What is not read when it is closed makes the system say so. It has come: it can be peeked at.
    let mut byte = [0];
    assert_eq!(stream.peek(&mut byte).unwrap(), 1);
}

#[test]
fn echo_serves_clients_who_reset_half_close_and_trickle_and_ends_by_an_interrupt() {
    let server = Server::start("echo", &["127.0.0.1:0"], "echoes at ");

    let mut rude = server.connect();
    rude.write_all(b"never read").unwrap();
    reset(rude);

    let mut done = server.connect();
    done.write_all(b"the last word").unwrap();
    done.shutdown(Shutdown::Write).unwrap();
    let mut echo = String::new();
    done.read_to_string(&mut echo).unwrap();
    assert_eq!(echo, "the last word");

    let mut slow = server.connect();
    for byte in b"byte by byte" {
        slow.write_all(&[*byte]).unwrap();
        let mut echo = [0];
        slow.read_exact(&mut echo).unwrap();
        assert_eq!(echo, [*byte]);
    }
    assert_eq!(
        server.interrupt(),
        "\nconnections: 3, of them still open: 1, bytes echoed: 35\n"
    );
    assert_eq!(slow.read(&mut [0]).unwrap(), 0, "the connection is closed");
}

#[test]
fn chat_tells_three_who_talk_that_it_closes_and_kills_three_tasks() {
    let before = "the room is open until ^C; try: nc ";
    let server = Server::start("chat", &["127.0.0.1:0"], before);
    let hear = |stream: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        line
    };
    let join = |name: &str| {
        let mut stream = server.connect();
        writeln!(stream, "{name}").unwrap();
        let mut stream = BufReader::new(stream);
        assert_eq!(hear(&mut stream), "* your name?\n");
        assert!(hear(&mut stream).starts_with("* here are: "));
        stream
    };
    let mut ann = join("ann");
    let mut bob = join("bob");
    let mut cleo = join("cleo");
    assert_eq!(hear(&mut ann), "* bob has joined\n");
    // As telnet ends its lines, and with an attempt at the terminals of others.
    write!(bob.get_mut(), "hello\u{1b}[2J\r\n").unwrap();
    for other in [&mut ann, &mut cleo] {
        let line = hear(other);
        let line = match line == "* cleo has joined\n" {
            true => hear(other),
            false => line,
        };
        assert_eq!(line, "bob: hello[2J\n");
    }
    let printed = server.interrupt();
    for other in [&mut ann, &mut cleo] {
        assert_eq!(hear(other), "* the room closes\n");
        assert_eq!(hear(other), "", "the connection is closed");
    }
    assert!(
        printed.ends_with("3 tasks killed: end of the run\n"),
        "{printed}"
    );
}

#[test]
fn http_gives_files_while_others_are_silent_and_ends_by_an_interrupt() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let server = Server::start("http", &[examples, "127.0.0.1:0"], "http://");
    let silent: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    let mut half = server.connect();
    half.write_all(b"GET /hello.rs HT").unwrap();

    let mut client = server.connect();
    // Larger than what is in memory at a time, so that it comes in chunks.
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let whole = Server::start("http", &[folder, "127.0.0.1:0"], "http://");
    let mut large = whole.connect();
    large
        .write_all(b"GET /Cargo.lock HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut response = Vec::new();
    large.read_to_end(&mut response).unwrap();
    let head = response.windows(4).position(|end| end == b"\r\n\r\n");
    assert_eq!(response[head.expect("it has a head") + 4..], file);
    drop(large);
    assert!(whole.interrupt().contains("requests: 1,"));

    client
        .write_all(b"GET /hello.rs HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.ends_with(include_str!("../examples/hello.rs")));
    drop(client);
    let printed = server.interrupt();
    let expected = "\nconnections: 52, of them still open: 51, requests: 1,";
    assert!(printed.starts_with(expected), "{printed}");
    drop(silent);
}
