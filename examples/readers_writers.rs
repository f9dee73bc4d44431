//! Readers and writers: a lock that many may read under, and that is first in, first out.
//!
//! Try: `cargo run --example readers_writers`. You will see who waits (`.`), reads (`r`) and writes
//! (`W`), a column for each millisecond. Readers share; a writer is alone. A reader that comes while
//! a writer waits goes behind it, though others are reading: no stream of readers can keep a writer
//! out. Then edit `VISITORS`: let a writer come first, or all at once.
//!
//! Time is virtual: the picture is always the same.
use maypole::sync::RwLock;
use maypole::{Builder, Clock, scope, sleep, time};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
enum Role {
    Reader,
    Writer,
}
use Role::{Reader, Writer};

/// Who comes, when, and how long they stay.
const VISITORS: [(Role, u64, u64); 8] = [
    (Reader, 0, 6),
    (Reader, 2, 6),
    (Writer, 3, 4),
    (Reader, 4, 5),
    (Reader, 5, 3),
    (Writer, 6, 3),
    (Writer, 7, 3),
    (Reader, 8, 4),
];

fn main() -> ExitCode {
    match Builder::new().clock(Clock::Virtual).run(all_come) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn all_come() {
    let start = time::now();
    let book = RwLock::named("the book", 1);
    scope(|s| {
        let visits = VISITORS.map(|(role, comes, stays)| {
            let book = &book;
            s.spawn(move || {
                sleep(Duration::from_millis(comes));
                visit(role, stays, book, start)
            })
        });
        for visit in visits {
            println!("{}", visit.join().unwrap());
        }
    });
}

/// Waits, stays, and draws a picture of it.
fn visit(role: Role, stays: u64, book: &RwLock<u32>, start: Instant) -> String {
    let now = || (time::now() - start).as_millis() as usize;
    let came = now();
    let (entered, letter, does) = match role {
        Reader => {
            let edition = book.read();
            let entered = now();
            sleep(Duration::from_millis(stays));
            (entered, "r", format!("reads edition {edition}"))
        }
        Writer => {
            let mut edition = book.write();
            let entered = now();
            sleep(Duration::from_millis(stays));
            *edition += 1;
            (entered, "W", format!("writes edition {edition}"))
        }
    };
    let waits = ".".repeat(entered - came);
    let picture = " ".repeat(came) + &waits + &letter.repeat(now() - entered);
    format!("{picture:<30} {does}")
}
