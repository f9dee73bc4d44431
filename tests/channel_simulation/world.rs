//! The channels of a simulated world, and who waits at which of them without a limit.
use super::channel_support::{Ledger, Message, Sent, channel};
use maypole::Task;
use maypole::channel::{Receiver, Sender};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Numbers that are the same for the same seed.
pub struct Random(Cell<u64>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(Cell::new(seed))
    }

    /// A number below `among`.
    pub fn below(&self, among: usize) -> usize {
        // xorshift64* (Vigna, 2016), from a state that is never 0.
        let mut state = self.0.get().max(1);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.set(state);
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % among
    }

    pub fn one_in(&self, among: usize) -> bool {
        self.below(among) == 0
    }
}

/// A channel, as the world holds it.
pub struct Line {
    pub capacity: Option<usize>,
    sender: RefCell<Option<Sender<Message>>>,
    receiver: RefCell<Option<Receiver<Message>>>,
    /// The world has let go of it.
    closed: Cell<bool>,
    /// Its receivers are gone, and with them what was queued.
    deserted: Cell<bool>,
}

/// What somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    Send,
    /// To send a message that is made when the channel is ready for it.
    SendLater,
    /// To send a message that was made when the channel was ready for it.
    SendAfterAll,
    /// Until a message could be sent.
    CanSend,
    Recv,
    /// Until a message could be received.
    CanRecv,
    /// For nothing here; but it has an end of the channel.
    Keeps,
}

/// A task, a channel, and what the one waits for at the other.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    task: usize,
    line: usize,
    wait: Wait,
}

#[derive(Default)]
pub struct World {
    pub ledger: Ledger,
    lines: RefCell<Vec<Rc<Line>>>,
    waiting: RefCell<BTreeMap<usize, Waiting>>,
    entered: Cell<usize>,
    numbers: Cell<usize>,
    pub tasks: RefCell<Vec<Task>>,
    pub operations: Cell<usize>,
}

/// Somebody waits, until this is dropped.
pub struct Waits<'a> {
    world: &'a World,
    numbers: Vec<usize>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let waiting = &mut self.world.waiting.borrow_mut();
        self.numbers.iter().for_each(|number| {
            waiting.remove(number);
        });
    }
}

/// More tasks than any world has.
const TASKS: usize = 1 << 32;

/// The sender that is this task at this channel.
pub fn from(task: usize, line: usize) -> usize {
    line * TASKS + task
}

impl World {
    pub fn add_line(&self, capacity: Option<usize>) {
        let (sender, receiver) = channel(capacity);
        self.lines.borrow_mut().push(Rc::new(Line {
            capacity,
            sender: RefCell::new(Some(sender)),
            receiver: RefCell::new(Some(receiver)),
            closed: Cell::new(false),
            deserted: Cell::new(false),
        }));
    }

    /// A number for a task.
    pub fn new_number(&self) -> usize {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    pub fn lines(&self) -> usize {
        self.lines.borrow().len()
    }

    pub fn line(&self, line: usize) -> Rc<Line> {
        self.lines.borrow()[line].clone()
    }

    /// The task is about to wait, for whatever of these comes first, however long it takes.
    pub fn waits(&self, task: usize, waits: &[(usize, Wait)]) -> Waits<'_> {
        let enter = |&(line, wait)| {
            let number = self.entered.get();
            self.entered.set(number + 1);
            let waiting = Waiting { task, line, wait };
            self.waiting.borrow_mut().insert(number, waiting);
            number
        };
        Waits {
            world: self,
            numbers: waits.iter().map(enter).collect(),
        }
    }

    /// How many wait.
    pub fn patient(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Checks that nobody waits who could go on. Nobody is ready, and no time runs.
    pub fn check(&self) {
        for (number, line) in self.lines.borrow().iter().enumerate() {
            let waiting = self.waiting.borrow();
            let here: Vec<Waiting> = waiting
                .values()
                .filter(|waiting| waiting.line == number)
                .copied()
                .collect();
            if let Some(fault) = line.fault(&here) {
                panic!("channel {number} of {:?}: {fault}: {here:?}", line.capacity);
            }
        }
    }

    /// Checks what became of the messages, at the end.
    pub fn settle(&self) {
        assert_eq!(self.patient(), 0);
        self.ledger
            .settle_each(|from| match self.line(from / TASKS).deserted.get() {
                true => Sent::MayBeDropped,
                false => Sent::Arrives,
            });
    }
}

impl Line {
    pub fn sender(&self) -> Option<Sender<Message>> {
        self.sender.borrow().clone()
    }

    pub fn receiver(&self) -> Option<Receiver<Message>> {
        self.receiver.borrow().clone()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// What is queued may come to nobody.
    pub fn may_drop(&self) {
        self.deserted.set(true);
    }

    /// The world lets go of both ends, the receivers first.
    pub fn desert(&self) {
        self.closed.set(true);
        self.deserted.set(true);
        drop(self.receiver.take());
        drop(self.sender.take());
    }

    /// The world lets go of the senders; the answer is to be received from to the end.
    pub fn close(&self) -> Option<Receiver<Message>> {
        self.closed.set(true);
        drop(self.sender.take());
        self.receiver.take()
    }

    /// Why somebody of those who wait here should not.
    fn fault(&self, here: &[Waiting]) -> Option<&'static str> {
        let with = |wait| {
            here.iter()
                .filter(move |waiting: &&Waiting| waiting.wait == wait)
        };
        let meet = |one, other| {
            with(one).any(|one| with(other).any(|other: &Waiting| one.task != other.task))
        };
        let receivers = with(Wait::Recv).chain(with(Wait::CanRecv)).count();
        let keepers = with(Wait::Keeps).count();
        let senders = here.len() - receivers - keepers;
        if let Some(receiver) = self.receiver() {
            if receivers > 0 && !receiver.is_empty() {
                return Some("somebody waits for a message that is there");
            }
            if senders > 0 && !receiver.is_full() {
                return Some("somebody waits for room that is there");
            }
        }
        let sends = [Wait::Send, Wait::SendLater, Wait::SendAfterAll];
        if sends.into_iter().any(|send| meet(Wait::Recv, send)) {
            return Some("a sender and a receiver wait for each other");
        }
        let met = meet(Wait::Recv, Wait::CanSend)
            || sends.into_iter().any(|send| meet(Wait::CanRecv, send));
        if self.capacity == Some(0) && met {
            return Some("somebody waits for a partner that is there");
        }
        if self.closed.get() && keepers == 0 && (receivers > 0) != (senders > 0) {
            return Some("it is disconnected");
        }
        None
    }
}
