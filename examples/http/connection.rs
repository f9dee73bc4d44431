//! The life of a connection: request, response, request, until one side has had enough.
use super::Server;
use super::files::{Body, CHUNK};
use super::request::{Reply, Request, read};
use super::response::{self, Response};
use maypole::net::{Shutdown, TcpStream};
use maypole::thread::offload;
use maypole::time::timeout;
use std::io::{self, Read, Write};
use std::time::Duration;

/// How long the server waits for a client.
pub struct Patience {
    /// For another request.
    pub idle: Duration,
    /// For the whole head of a request, however it trickles in.
    pub head: Duration,
    /// For a client to take a chunk of a response.
    pub chunk: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            idle: Duration::from_secs(15),
            head: Duration::from_secs(10),
            chunk: Duration::from_secs(30),
        }
    }
}

pub fn serve(stream: &TcpStream, server: &Server) -> io::Result<()> {
    // What is written here is whole, and the system need not wait for more.
    stream.set_nodelay(true)?;
    // What has come and is not read yet: clients may send several requests at once.
    let mut received = Vec::new();
    loop {
        match next(stream, &mut received, server)? {
            Next::Request(request) => {
                let response = server.site.respond(&request);
                send(stream, &request, response, server)?;
                if !request.keeps_alive {
                    return take_leave(stream);
                }
            }
            Next::Nonsense(reply) => {
                send(stream, &Request::nonsense(), reply.into(), server)?;
                return take_leave(stream);
            }
            Next::End => return Ok(()),
        }
    }
}

enum Next {
    Request(Request),
    Nonsense(Reply),
    /// The client has closed, or has nothing more to ask.
    End,
}

fn next(stream: &TcpStream, received: &mut Vec<u8>, server: &Server) -> io::Result<Next> {
    if received.is_empty() {
        match timeout(server.patience.idle, || receive(stream, received)) {
            Ok(Ok(0)) | Err(_) => return Ok(Next::End),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    // Mostly everything has come with the first packet.
    if let Some(next) = parse(received) {
        return Ok(next);
    }
    let rest = timeout(server.patience.head, || {
        loop {
            match receive(stream, received) {
                Ok(0) => return Ok(Next::End),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            if let Some(next) = parse(received) {
                return Ok(next);
            }
        }
    });
    rest.unwrap_or(Ok(Next::Nonsense(Reply::TooSlow)))
}

fn parse(received: &mut Vec<u8>) -> Option<Next> {
    match read(received) {
        Ok(None) => None,
        Ok(Some((request, length))) => {
            received.drain(..length);
            Some(Next::Request(request))
        }
        Err(reply) => Some(Next::Nonsense(reply)),
    }
}

/// More of what the client sends; nothing at its end.
fn receive(mut stream: &TcpStream, received: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer)?;
    received.extend_from_slice(&buffer[..length]);
    Ok(length)
}

fn send(
    stream: &TcpStream,
    request: &Request,
    response: Response,
    server: &Server,
) -> io::Result<()> {
    server.requests.update(|requests| requests + 1);
    let mut chunk = response::head(request, &response);
    if request.is_head {
        return send_chunk(stream, &chunk, server);
    }
    // The head goes with the beginning of the body: one packet, where that is enough.
    match response.body {
        Body::Bytes(bytes) => {
            chunk.extend_from_slice(&bytes);
            send_chunk(stream, &chunk, server)
        }
        Body::File(mut file) => {
            while offload(|| file.read_some(&mut chunk, CHUNK))? {
                send_chunk(stream, &chunk, server)?;
                chunk.clear();
            }
            send_chunk(stream, &chunk, server)
        }
    }
}

/// A client that takes nothing is waited for, but not for ever, and at the cost of one chunk.
fn send_chunk(mut stream: &TcpStream, chunk: &[u8], server: &Server) -> io::Result<()> {
    timeout(server.patience.chunk, || stream.write_all(chunk))
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    server.bytes.update(|bytes| bytes + chunk.len() as u64);
    Ok(())
}

/// Ends the connection so that the client gets the whole response: if something of the client's
/// were still unread, closing would reset the connection, and what is on its way would be lost.
fn take_leave(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let drained = timeout(Duration::from_secs(1), || {
        io::copy(&mut stream, &mut io::sink())
    });
    match drained {
        Ok(Err(error)) => Err(error),
        _ => Ok(()),
    }
}
