//! A web server over TLS, and its client: `rustls`, which knows of blocking streams only, over
//! sockets of tasks.
//!
//! Try: `cargo run --release -p maypole-https`, and in another terminal `curl -k
//! https://127.0.0.1:8443/`, or a browser, which warns you of a certificate that the server has
//! made for itself. You will see by which version of TLS and which cipher you came. ^C ends the
//! server in order. Then `cargo run -p maypole-https -- --check`: it is its own client, a hundred
//! times at once, and some of these come to no good end.
//!
//! There is no adapter in between: a `TcpStream` of maypole is `Read` and `Write`, and where it
//! waits the task waits, in the middle of rustls. What is to be minded is the stack: cryptography
//! has large frames, larger still where nothing is optimised. With rustls and `ring` all of this
//! file needs less than 48 KiB in a debug build, tried out, of the 256 KiB that a task has by
//! default; whoever needs more asks for it with `maypole::Builder::stack_size`, and pays for the
//! pages that are touched.
use maypole::net::{SocketAddr, TcpListener, TcpStream};
use maypole::time::timeout;
use maypole::{run, signal, spawn};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};
use std::cell::Cell;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// For the handshake, for a request, and for a client to take the response.
const PATIENCE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let done = run(|| match argument.as_deref() {
        Some("--check") => check(),
        address => listen(address.unwrap_or("127.0.0.1:8443")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("https: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A certificate that is its own issuer, for this process.
struct Identity {
    server: Arc<ServerConfig>,
    /// For clients: trust in nobody else.
    roots: RootCertStore,
}

fn make_identity() -> Result<Identity, Failure> {
    let names = ["localhost".to_string(), "127.0.0.1".to_string()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let certificate = made.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Identity {
        server: Arc::new(server),
        roots,
    })
}

// ── the server ───────────────────────────────────────────────────────────────────────────────

/// What the server has done.
#[derive(Default)]
struct Served {
    connections: Cell<u64>,
    requests: Cell<u64>,
    failed: Cell<u64>,
}

fn listen(address: &str) -> Result<(), Failure> {
    let identity = make_identity()?;
    let listener = TcpListener::bind(address)?;
    println!(
        "try: curl -k https://{}/     ^C ends it",
        listener.local_addr()?
    );
    let served = Rc::new(Served::default());
    let accepting = spawn({
        let served = served.clone();
        move || serve(&listener, &identity.server, &served)
    });
    signal::ctrl_c()?;
    accepting.kill("the server ends");
    println!(
        "\nconnections: {}, requests: {}, failed: {}",
        served.connections.get(),
        served.requests.get(),
        served.failed.get()
    );
    Ok(())
}

fn serve(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    served: &Rc<Served>,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let (config, served) = (config.clone(), served.clone());
        spawn(move || {
            served.connections.update(|connections| connections + 1);
            if converse(stream, config, &served).is_err() {
                // Whoever it was; the others have tasks of their own.
                served.failed.update(|failed| failed + 1);
            }
        });
    }
}

fn converse(stream: TcpStream, config: Arc<ServerConfig>, served: &Served) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut tls = StreamOwned::new(ServerConnection::new(config)?, stream);
    let shaken = timeout(PATIENCE, || tls.conn.complete_io(&mut tls.sock))?;
    if let Err(error) = shaken {
        // An alert is waiting that tells the client why.
        let _ = tls.conn.write_tls(&mut tls.sock);
        return Err(error.into());
    }
    let mut tls = BufReader::new(tls);
    for number in 1.. {
        let Some(request) = timeout(PATIENCE, || read_head(&mut tls))?? else {
            break;
        };
        served.requests.update(|requests| requests + 1);
        let conn = &tls.get_ref().conn;
        let version = conn.protocol_version().expect("the handshake is over");
        let suite = conn
            .negotiated_cipher_suite()
            .expect("the handshake is over")
            .suite();
        let text = format!(
            "{request}\nby {version:?} with {suite:?}\nrequest {number} of this connection\n"
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        timeout(PATIENCE, || {
            tls.get_mut().write_all((head + &text).as_bytes())
        })??;
    }
    // So the client knows that nobody has cut the connection.
    let tls = tls.get_mut();
    tls.conn.send_close_notify();
    tls.conn.complete_io(&mut tls.sock)?;
    Ok(())
}

/// The first line of the next request; none at the end. `examples/http` of maypole reads them with
/// more care.
fn read_head(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    let mut stream = stream.take(16 * 1024);
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return match head.is_empty() {
                true => Ok(None),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
    }
    Ok(head.lines().next().map(str::to_string))
}

// ── clients of its own ───────────────────────────────────────────────────────────────────────

fn check() -> Result<(), Failure> {
    let identity = make_identity()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let served = Rc::new(Served::default());
    let accepting = spawn({
        let (config, served) = (identity.server.clone(), served.clone());
        move || serve(&listener, &config, &served)
    });

    // It says nothing until the end, and nobody waits for it.
    let silent = TcpStream::connect(address)?;
    for version in [&TLS13, &TLS12] {
        let config = trusting(identity.roots.clone(), version);
        println!("{}", get(address, &config, 2)?.trim_end());
    }
    let config = trusting(identity.roots, &TLS13);
    let clients = (0..100).map(|_| || get(address, &config, 3));
    for client in maypole::task::join_all(clients) {
        client.expect("no client panics")?;
    }
    println!("100 at once have got 3 pages each");

    let suspicious = trusting(RootCertStore::empty(), &TLS13);
    let refused = get(address, &suspicious, 1).expect_err("it trusts nobody");
    println!("one that trusts nobody: {refused}");

    let mut plain = TcpStream::connect(address)?;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer)?;
    println!(
        "one that speaks plainly gets {} bytes, an alert",
        answer.len()
    );

    drop(silent);
    maypole::yield_now();
    accepting.kill("the check is over");
    println!(
        "connections: {}, requests: {}",
        served.connections.get(),
        served.requests.get()
    );
    Ok(())
}

fn trusting(roots: RootCertStore, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_protocol_versions(&[version]);
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// Asks that many times on one connection, and gives the last page.
fn get(address: SocketAddr, config: &Arc<ClientConfig>, times: usize) -> Result<String, Failure> {
    let name = ServerName::try_from("localhost")?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut tls = StreamOwned::new(ClientConnection::new(config.clone(), name)?, stream);
    let mut page = String::new();
    for _ in 0..times {
        tls.write_all(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        page = read_page(&mut tls)?;
    }
    tls.conn.send_close_notify();
    tls.flush()?;
    // The server says that this was all, too: nobody has cut it off.
    assert_eq!(tls.read_to_end(&mut Vec::new())?, 0);
    Ok(page)
}

fn read_page(stream: &mut impl Read) -> Result<String, Failure> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse()?,
            _ if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut page = vec![0; length];
    stream.read_exact(&mut page)?;
    Ok(String::from_utf8(page)?)
}
