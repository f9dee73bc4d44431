//! What the tests of channels share: a ledger of messages, runs on virtual time, every schedule.
#![allow(dead_code, reason = "each test file uses a part")]
pub mod ways;

use maypole::channel::{Receiver, Sender, bounded, unbounded};
use maypole::explore::Explorer;
use maypole::{Builder, Clock};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

/// `None` is a channel without a bound.
pub const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(2), None];

pub fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    match capacity {
        Some(capacity) => bounded(capacity),
        None => unbounded(),
    }
}

/// Runs `main` where waiting takes no time.
#[track_caller]
pub fn virtually<T>(main: impl FnOnce() -> T) -> T {
    let ended = Builder::new().clock(Clock::Virtual).run(main);
    ended.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `program` under every schedule with at most `forced` forced switches, or the first
/// `at_most` of them.
#[track_caller]
pub fn every_schedule(context: &str, forced: usize, at_most: u64, program: impl Fn()) {
    let outcome = Explorer::new()
        .forced(forced)
        .schedules(at_most)
        .check(program);
    if let Some(failure) = &outcome.failure {
        panic!("{context}: {failure}");
    }
    assert_eq!(outcome.cut, 0, "{context}: a schedule does not end");
    println!("{context}: {outcome}");
}

/// What `f` panics with, as text; nothing if it does not.
pub fn panic_text<T>(f: impl FnOnce() -> T) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>()?.to_string(),
    };
    Some(text)
}

/// Whether `f` panics with such a text. Anything else that unwinds, a kill say, goes on.
pub fn panics_with(part: &str, f: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        return false;
    };
    match payload.downcast_ref::<&str>() {
        Some(text) if text.contains(part) => true,
        _ => resume_unwind(payload),
    }
}

/// Knows of each message who sent it, what the sender was told, and what became of it.
#[derive(Clone, Default)]
pub struct Ledger(Rc<RefCell<Book>>);

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    /// The message that a receiver had last from a sender.
    latest: BTreeMap<(usize, usize), usize>,
}

struct Entry {
    from: usize,
    told: Told,
    received: usize,
    dropped: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// The call has not returned: its task was killed, or it panicked.
    Nothing,
    Sent,
    /// The message came back.
    Refused,
}

/// A message with a number.
pub struct Message {
    pub number: usize,
    ledger: Ledger,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.ledger.0.borrow_mut().entries[self.number].dropped += 1;
    }
}

/// What may become of a message that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Somebody receives it.
    Arrives,
    /// Or it is dropped with the last receiver.
    MayBeDropped,
}

impl Ledger {
    pub fn new() -> Self {
        Ledger::default()
    }

    /// A message of the sender `from`.
    pub fn message(&self, from: usize) -> Message {
        let entries = &mut self.0.borrow_mut().entries;
        entries.push(Entry {
            from,
            told: Told::Nothing,
            received: 0,
            dropped: 0,
        });
        Message {
            number: entries.len() - 1,
            ledger: self.clone(),
        }
    }

    /// Sends a message by `send`, which gives it back if it fails; tells whether it was sent.
    pub fn send(&self, from: usize, send: impl FnOnce(Message) -> Result<(), Message>) -> bool {
        let message = self.message(from);
        let number = message.number;
        let result = send(message);
        self.told(number, result)
    }

    /// The sender of this message has learned what became of it.
    pub fn told(&self, number: usize, result: Result<(), Message>) -> bool {
        let told = match &result {
            Ok(()) => Told::Sent,
            Err(message) => {
                assert_eq!(message.number, number, "another message came back");
                Told::Refused
            }
        };
        self.0.borrow_mut().entries[number].told = told;
        told == Told::Sent
    }

    /// A message for which a select makes room first.
    pub fn later(&self, from: usize) -> Later {
        Later {
            ledger: self.clone(),
            from,
            number: RefCell::new(None),
        }
    }

    /// The receiver `by` has this message.
    pub fn received(&self, by: usize, message: Message) {
        let Book { entries, latest } = &mut *self.0.borrow_mut();
        let entry = &mut entries[message.number];
        entry.received += 1;
        let latest = latest.insert((by, entry.from), message.number);
        let overtaken = latest.is_some_and(|latest| latest > message.number);
        assert!(
            !overtaken,
            "message {} was overtaken by {latest:?}",
            message.number
        );
    }

    /// How many messages these have received.
    pub fn count_by(&self, receivers: RangeInclusive<usize>) -> usize {
        let book = self.0.borrow();
        let who = book.latest.keys().map(|(by, _)| by);
        who.filter(|by| receivers.contains(by)).count()
    }

    /// How many messages there were.
    pub fn len(&self) -> usize {
        self.0.borrow().entries.len()
    }

    /// Checks that every message has come to one end, the one that its sender was told of.
    pub fn settle(&self, sent: Sent) {
        self.settle_each(|_| sent);
    }

    /// The same, where it depends on the sender what may become of a message.
    pub fn settle_each(&self, sent: impl Fn(usize) -> Sent) {
        for (number, entry) in self.0.borrow().entries.iter().enumerate() {
            let fits = match (entry.told, entry.received) {
                (Told::Sent, 1) => true,
                (Told::Sent, 0) => sent(entry.from) == Sent::MayBeDropped,
                (Told::Refused | Told::Nothing, received) => received == 0,
                (Told::Sent, _) => false,
            };
            assert!(
                fits && entry.dropped == 1,
                "message {number} of {}: its sender was told {:?}, it was received {} times and \
                 dropped {} times",
                entry.from,
                entry.told,
                entry.received,
                entry.dropped
            );
        }
    }
}

/// A message that is made when its case of a select has won.
pub struct Later {
    ledger: Ledger,
    from: usize,
    number: RefCell<Option<usize>>,
}

impl Later {
    pub fn make(&self) -> Message {
        let message = self.ledger.message(self.from);
        self.number.replace(Some(message.number));
        message
    }

    /// The select has sent the message, or given it back.
    pub fn told(&self, result: Result<(), Message>) -> bool {
        let number = self.number.borrow();
        self.ledger
            .told(number.expect("a message that was sent was made"), result)
    }
}
