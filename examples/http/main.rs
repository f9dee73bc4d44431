//! A small web server: HTTP/1.1 with keep-alive, files and ranges, and a task per connection.
//!
//! Try, and see:
//!
//! - `cargo run --release --example http`, and a browser at <http://127.0.0.1:8080/>: a page of its
//!   own, and the examples of this folder to click through. ^C ends it, with a summary;
//! - `curl -i http://127.0.0.1:8080/hello.rs`, `curl -r 0-99 ...`, `curl -I ...`;
//! - `wrk -c 100 -d 5 http://127.0.0.1:8080/`: requests per second, on one core;
//! - `... -- FOLDER`: the files of a folder of yours; `... -- FOLDER 127.0.0.1:9000`: there;
//! - `nc 127.0.0.1 8080` and half a request: it loses patience, and the others did not notice;
//! - `... -- --check`: it is its own client, well-behaved and not, prints what it saw, and ends.
//!
//! Read `connection.rs` first: the life of a connection from top to bottom, as in a book, since
//! everything that waits just waits. `request.rs` makes requests of bytes with `httparse`, a parser
//! that knows nothing of tasks; `files.rs` finds what is asked for; `response.rs` writes;
//! `check.rs` is the client.
mod check;
mod connection;
mod files;
mod request;
mod response;

use connection::Patience;
use files::Site;
use maypole::net::{TcpListener, TcpStream};
use maypole::{run, signal, spawn};
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

const USAGE: &str = "usage: http [FOLDER [ADDRESS]] | --check";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["--check"] => run(check::check),
        [option, ..] if option.starts_with('-') => return refuse(),
        [] => run(|| listen(Site::with_page(), "127.0.0.1:8080")),
        [folder] => run(|| listen(Site::of(folder)?, "127.0.0.1:8080")),
        [folder, address] => run(|| listen(Site::of(folder)?, address)),
        _ => return refuse(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn listen(site: Site, address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!(
        "http://{}/ has the files of {}, until ^C",
        listener.local_addr()?,
        site.folder().display()
    );
    let server = Rc::new(Server::new(site, Patience::default()));
    let accepting = spawn({
        let server = server.clone();
        move || server.serve(&listener)
    });
    signal::ctrl_c()?;
    accepting.kill("the server ends");
    // The tasks that are left are killed at the end of the run, and close their connections.
    println!("\n{}", server.summary());
    Ok(())
}

/// What all connections share, without a lock: between two calls that may park, a task is alone.
struct Server {
    site: Site,
    patience: Patience,
    connections: Cell<u64>,
    open: Cell<u64>,
    requests: Cell<u64>,
    bytes: Cell<u64>,
}

impl Server {
    fn new(site: Site, patience: Patience) -> Self {
        Server {
            site,
            patience,
            connections: Cell::new(0),
            open: Cell::new(0),
            requests: Cell::new(0),
            bytes: Cell::new(0),
        }
    }

    fn serve(self: &Rc<Self>, listener: &TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            let server = self.clone();
            spawn(move || server.converse(&stream));
        }
    }

    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        self.connections.update(|connections| connections + 1);
        self.open.update(|open| open + 1);
        // A client that is gone is its own business: the next has a task of its own.
        let ended = connection::serve(stream, self);
        self.open.update(|open| open - 1);
        ended
    }

    fn summary(&self) -> String {
        format!(
            "connections: {}, of them still open: {}, requests: {}, bytes sent: {}",
            self.connections.get(),
            self.open.get(),
            self.requests.get(),
            self.bytes.get()
        )
    }
}

/// The folder of the examples, for those who name none.
fn examples() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
}
