//! A crawler: a task per page, and at most eight requests at once.
//!
//! Try: `cargo run --example crawl`. You will see every page of a site that a server in the same
//! program serves on a port of its own: with how many tries, and what was wrong with some. Pages
//! that are busy are asked again, after a while; one that does not answer costs its time-out and is
//! given up in the end; and none of that keeps the other pages waiting. Then `cargo run --example
//! crawl -- 1`: one request at a time, the same pages, and more time.
//!
//! The tasks live in a `scope`, so they borrow what they share; a semaphore bounds the requests;
//! what is found comes through a channel.
use maypole::net::{TcpListener, TcpStream};
use maypole::sync::Semaphore;
use maypole::{channel, run, scope, sleep, spawn, time};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(400);
const TRIES: u32 = 3;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let at_once = argument.as_deref().unwrap_or("8").parse();
    let Ok(at_once @ 1..) = at_once else {
        eprintln!("crawl: how many requests at once? A number from 1 on is expected");
        return ExitCode::from(2);
    };
    match run(|| crawl_own_site(at_once)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crawl: {error}");
            ExitCode::FAILURE
        }
    }
}

fn crawl_own_site(at_once: usize) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let site = Rc::new(Site::default());
    let server = spawn({
        let site = site.clone();
        move || site.serve(&listener)
    });

    let started = time::now();
    let pages = crawl(address, at_once);
    let took = time::now() - started;
    server.kill("the crawl is over");

    for (page, visit) in &pages {
        println!("{page:>4}  {visit}");
    }
    let count = |wanted: fn(&Visit) -> bool| pages.values().filter(|visit| wanted(visit)).count();
    println!(
        "pages: {}, dead links: {}, given up: {}",
        count(|visit| matches!(visit.end, Ok(Answer::Page(_)))),
        count(|visit| matches!(visit.end, Ok(Answer::Missing))),
        count(|visit| visit.end.is_err()),
    );
    println!(
        "requests: {}, at most at once: {}",
        site.requests.get(),
        site.most_at_once.get()
    );
    println!("took {:.1} s", took.as_secs_f64());
    Ok(())
}

// ── the crawler ──────────────────────────────────────────────────────────────────────────────

enum Answer {
    /// With its links.
    Page(Vec<u32>),
    Missing,
    /// Ask again later.
    Busy,
}

/// How it went with a page.
struct Visit {
    tries: u32,
    /// What came in the end, or what was wrong with the last try.
    end: Result<Answer, String>,
}

impl Visit {
    fn links(&self) -> &[u32] {
        match &self.end {
            Ok(Answer::Page(links)) => links,
            _ => &[],
        }
    }
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            Ok(Answer::Page(links)) => write!(f, "{} links", links.len())?,
            Ok(_) => f.write_str("missing")?,
            Err(reason) => write!(f, "given up: {reason}")?,
        }
        match self.tries {
            1 => Ok(()),
            tries => write!(f, ", after {tries} tries"),
        }
    }
}

/// Visits page 0, whatever it links to, and so on.
fn crawl(address: SocketAddr, at_once: usize) -> BTreeMap<u32, Visit> {
    let permits = Semaphore::new(at_once);
    let (visited, visits) = channel::unbounded();
    let mut seen = BTreeSet::from([0]);
    let mut pages = BTreeMap::new();
    scope(|s| {
        // A task that waits for its permit costs next to nothing, so there may be one for each
        // page.
        let start = |page| {
            let (permits, visited) = (&permits, visited.clone());
            s.spawn(move || visited.send((page, visit(address, page, permits))));
        };
        start(0);
        while pages.len() < seen.len() {
            let (page, visit) = visits.recv().expect("the sender is alive in this function");
            for &link in visit.links() {
                if seen.insert(link) {
                    start(link);
                }
            }
            pages.insert(page, visit);
        }
    });
    pages
}

fn visit(address: SocketAddr, page: u32, permits: &Semaphore) -> Visit {
    let mut tries = 1;
    loop {
        let end = {
            let _permit = permits.acquire();
            // Whatever takes its time in there, the connection, the request or the answer: it
            // unwinds when the time is over, and the connection is closed.
            match time::timeout(TIMEOUT, || get(address, page)) {
                Ok(Ok(Answer::Busy)) => Err("busy".to_string()),
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(error.to_string()),
                Err(elapsed) => Err(elapsed.to_string()),
            }
        };
        if end.is_ok() || tries == TRIES {
            return Visit { tries, end };
        }
        // Without a permit: it is others' turn.
        sleep(Duration::from_millis(20) * 2_u32.pow(tries));
        tries += 1;
    }
}

fn get(address: SocketAddr, page: u32) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET /{page} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_whitespace().nth(1) {
        Some("200") => Ok(Answer::Page(links(&text))),
        Some("404") => Ok(Answer::Missing),
        Some("503") => Ok(Answer::Busy),
        _ => Err(io::Error::other("this is no answer")),
    }
}

fn links(page: &str) -> Vec<u32> {
    let links = page.split("href=\"/").skip(1);
    let links = links.filter_map(|link| link.split('"').next());
    links.filter_map(|link| link.parse().ok()).collect()
}

// ── the site ─────────────────────────────────────────────────────────────────────────────────

const PAGES: u32 = 30;

/// Pages that link to each other. Some are busy when they are first asked for, one answers to the
/// second request only, and one never.
#[derive(Default)]
struct Site {
    asked_before: RefCell<BTreeSet<u32>>,
    requests: Cell<u32>,
    open: Cell<u32>,
    most_at_once: Cell<u32>,
}

impl Site {
    fn serve(self: &Rc<Self>, listener: &TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            let site = self.clone();
            spawn(move || {
                site.requests.update(|requests| requests + 1);
                site.open.update(|open| open + 1);
                let most = site.most_at_once.get().max(site.open.get());
                site.most_at_once.set(most);
                let answered = site.answer(&stream);
                site.open.update(|open| open - 1);
                answered
            });
        }
    }

    fn answer(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut request = BufReader::new(stream);
        let mut line = String::new();
        request.read_line(&mut line)?;
        let page = line.split(['/', ' ']).nth(2);
        let page = page.and_then(|page| page.parse().ok()).unwrap_or(PAGES);
        sleep(Duration::from_millis(5));
        let is_new = self.asked_before.borrow_mut().insert(page);
        match page {
            23 => wait_for_the_end(request),
            17 if is_new => wait_for_the_end(request),
            PAGES.. => stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n"),
            _ if page % 9 == 4 && is_new => stream.write_all(b"HTTP/1.0 503 Busy\r\n\r\n"),
            _ => {
                // Beyond the last page there is nothing, and some link there.
                let links = [2 * page + 1, 2 * page + 2, page * 7 % PAGES];
                let links = links.map(|link| link.min(PAGES));
                let links = links.map(|link| format!("<a href=\"/{link}\">{link}</a>"));
                let body = links.join("\n");
                write!(
                    stream,
                    "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{body}\n"
                )
            }
        }
    }
}

/// Never answers: it reads until the client has lost patience.
fn wait_for_the_end(mut request: impl Read) -> io::Result<()> {
    io::copy(&mut request, &mut io::sink())?;
    Ok(())
}
