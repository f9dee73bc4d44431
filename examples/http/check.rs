//! The client: asks its own server, well and badly, and prints what came.
use super::Server;
use super::connection::Patience;
use super::files::Site;
use httparse::{EMPTY_HEADER, Status};
use maypole::net::{SocketAddr, TcpListener, TcpStream};
use maypole::{sleep, spawn};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

/// What to send, as it is printed: each line of it, and then an empty one.
const REQUESTS: [&str; 17] = [
    "GET / HTTP/1.1|Host: me",
    "HEAD / HTTP/1.1|Host: me",
    "GET /hello.rs HTTP/1.0",
    "GET /hello.rs?query HTTP/1.1|Host: me|Range: bytes=4-12",
    "GET /hello.rs HTTP/1.1|Host: me|Range: bytes=1000000-",
    "GET http://me/hello%2Ers HTTP/1.1|Host: me|If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
    "GET /bank HTTP/1.1|Host: me",
    "GET /bank/ HTTP/1.1|Host: me",
    "GET /none HTTP/1.1|Host: me",
    "GET /../Cargo.toml HTTP/1.1|Host: me",
    "GET /bank/%2e%2e/%2e%2e/Cargo.toml HTTP/1.1|Host: me",
    "GET /bank%2F..%2F..%2FCargo.toml HTTP/1.1|Host: me",
    "GET / HTTP/1.1",
    "GET / HTTP/2.0|Host: me",
    "POST / HTTP/1.1|Host: me|Content-Length: 3||abc",
    "BREW / HTTP/1.1|Host: me",
    "hello?",
];

pub fn check() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let patience = Patience {
        head: Duration::from_millis(200),
        ..Patience::default()
    };
    let server = Rc::new(Server::new(Site::with_page(), patience));
    let accepting = spawn({
        let server = server.clone();
        move || server.serve(&listener)
    });

    for request in REQUESTS {
        println!("{request}");
        let bytes = request.replace('|', "\r\n") + "\r\n\r\n";
        let mut client = Client::connect(address)?;
        (&client.stream).write_all(bytes.as_bytes())?;
        println!("    {}", client.response(!request.starts_with("HEAD"))?);
    }

    println!("three requests at once, on one connection");
    let mut client = Client::connect(address)?;
    let request = "GET / HTTP/1.1\r\nHost: me\r\n\r\n";
    (&client.stream).write_all(request.repeat(3).as_bytes())?;
    for _ in 0..3 {
        println!("    {}", client.response(true)?);
    }

    println!("a request that comes byte by byte");
    for byte in request.bytes() {
        (&client.stream).write_all(&[byte])?;
        sleep(Duration::from_millis(1));
    }
    println!("    {}", client.response(true)?);

    println!("half a request, and then silence");
    (&client.stream).write_all(b"GET / HTTP/1.1\r\nHo")?;
    println!("    {}", client.response(true)?);

    println!("{}", client.rest()?);
    drop(client);
    accepting.kill("the check is over");
    let requests = server.requests.get();
    println!(
        "connections: {}, requests: {requests}",
        server.connections.get()
    );
    Ok(())
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Client {
            stream: TcpStream::connect(address)?,
            received: Vec::new(),
        })
    }

    /// The next response in a line.
    fn response(&mut self, has_body: bool) -> io::Result<String> {
        let (told, head, length) = loop {
            let mut headers = [EMPTY_HEADER; 16];
            let mut parsed = httparse::Response::new(&mut headers);
            let parsing = parsed.parse(&self.received).map_err(io::Error::other)?;
            if let Status::Complete(head) = parsing {
                break tell(&parsed, head);
            }
            self.receive()?;
        };
        if has_body {
            while self.received.len() < head + length {
                self.receive()?;
            }
            self.received.drain(..head + length);
        } else {
            self.received.drain(..head);
        }
        Ok(told)
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.received.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }

    /// What the server has to say after that.
    fn rest(&mut self) -> io::Result<&'static str> {
        let more = self.stream.read_to_end(&mut self.received)?;
        Ok(match more {
            0 => "    and the connection is closed",
            _ => "    and there is more",
        })
    }
}

/// The status and what matters of the headers; the lengths of the head and the body.
fn tell(parsed: &httparse::Response<'_, '_>, head: usize) -> (String, usize, usize) {
    let mut told = format!(
        "{} {}",
        parsed.code.unwrap_or(0),
        parsed.reason.unwrap_or("")
    );
    let mut length = 0;
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        match header.name {
            "Content-Length" => length = value.parse().unwrap_or(0),
            "Content-Range" | "Location" | "Allow" | "Connection" => {
                told += &format!(", {}: {value}", header.name);
            }
            _ => {}
        }
    }
    (told, head, length)
}
