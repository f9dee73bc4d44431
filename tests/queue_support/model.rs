//! Random transactions on queues, and what they do to a `VecDeque`.
use super::{Item, Kind, Lives, Queue};
use maypole::stm::{Stop, Transaction, abort, retry, try_atomically};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Numbers that are the same for the same seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below `among`, by xorshift64* (Vigna, 2016).
    pub fn below(&mut self, among: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        (high % u64::from(among)) as u32
    }
}

type Block = Vec<Step>;

/// The number is that of the queue.
#[derive(Clone, Debug)]
pub enum Step {
    Write(usize, u32),
    Unget(usize, u32),
    Read(usize),
    Peek(usize),
    TryRead(usize),
    TryPeek(usize),
    Flush(usize),
    IsEmpty(usize),
    Fill(usize),
    /// From the first to the other.
    Move(usize, usize),
    OrElse(Block, Block),
    Catch(Block, Block),
    Retry,
    Abort(u32),
    Panic,
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Went,
    Retried,
    Aborted(u32),
    Panicked,
}

pub fn block(chance: &mut Chance, queues: u32, depth: u32) -> Block {
    let steps = 1 + chance.below(5);
    (0..steps).map(|_| step(chance, queues, depth)).collect()
}

fn step(chance: &mut Chance, queues: u32, depth: u32) -> Step {
    let at = chance.below(queues) as usize;
    let number = chance.below(1000);
    match chance.below(27) {
        0..=4 => Step::Write(at, number),
        5 | 6 => Step::Unget(at, number),
        7..=9 => Step::Read(at),
        10 => Step::Peek(at),
        11 | 12 => Step::TryRead(at),
        13 => Step::TryPeek(at),
        14 => Step::Flush(at),
        15 => Step::IsEmpty(at),
        16 => Step::Fill(at),
        17 => Step::Move(at, chance.below(queues) as usize),
        18 => Step::Retry,
        19 => Step::Abort(number),
        20 if chance.below(4) == 0 => Step::Panic,
        21..=23 if depth > 0 => {
            let [a, b] = [0; 2].map(|_| block(chance, queues, depth - 1));
            Step::OrElse(a, b)
        }
        24..=26 if depth > 0 => {
            let [a, b] = [0; 2].map(|_| block(chance, queues, depth - 1));
            Step::Catch(a, b)
        }
        _ => Step::TryRead(at),
    }
}

/// What the queues must hold and do.
pub struct Model {
    pub queues: Vec<VecDeque<u32>>,
    capacity: usize,
    seen: Vec<String>,
}

impl Model {
    pub fn new<K: Kind>(queues: usize) -> Self {
        Model {
            queues: vec![VecDeque::new(); queues],
            capacity: K::CAPACITY.unwrap_or(usize::MAX),
            seen: Vec::new(),
        }
    }

    /// Runs a transaction; gives what it has seen, in its undone arms, too.
    pub fn transact(&mut self, block: &Block) -> (End, Vec<String>) {
        self.seen.clear();
        let end = self.arm(block);
        (end, std::mem::take(&mut self.seen))
    }

    fn arm(&mut self, block: &Block) -> End {
        let before = self.queues.clone();
        for step in block {
            let end = self.step(step);
            if end != End::Went {
                self.queues = before;
                return end;
            }
        }
        End::Went
    }

    fn add(&mut self, at: usize, add: impl FnOnce(&mut VecDeque<u32>)) -> End {
        if self.queues[at].len() >= self.capacity {
            return End::Retried;
        }
        add(&mut self.queues[at]);
        End::Went
    }

    fn sees(&mut self, seen: impl std::fmt::Debug) -> End {
        self.seen.push(format!("{seen:?}"));
        End::Went
    }

    fn step(&mut self, step: &Step) -> End {
        match step {
            Step::Write(at, number) => self.add(*at, |queue| queue.push_back(*number)),
            Step::Unget(at, number) => self.add(*at, |queue| queue.push_front(*number)),
            Step::Read(at) => match self.queues[*at].pop_front() {
                Some(first) => self.sees(first),
                None => End::Retried,
            },
            Step::Peek(at) => match self.queues[*at].front().copied() {
                Some(first) => self.sees(first),
                None => End::Retried,
            },
            Step::TryRead(at) => {
                let first = self.queues[*at].pop_front();
                self.sees(first)
            }
            Step::TryPeek(at) => self.sees(self.queues[*at].front().copied()),
            Step::Flush(at) => {
                let all = std::mem::take(&mut self.queues[*at]);
                self.sees(all)
            }
            Step::IsEmpty(at) => self.sees(self.queues[*at].is_empty()),
            Step::Fill(at) => {
                let count = self.queues[*at].len();
                match self.capacity {
                    usize::MAX => End::Went,
                    capacity => self.sees((count, count == capacity)),
                }
            }
            Step::Move(from, to) => match self.queues[*from].pop_front() {
                Some(first) => self.add(*to, |queue| queue.push_back(first)),
                None => End::Retried,
            },
            Step::OrElse(a, b) => match self.arm(a) {
                End::Retried => self.arm(b),
                end => end,
            },
            Step::Catch(a, b) => match self.arm(a) {
                End::Aborted(error) => {
                    self.sees(error);
                    self.arm(b)
                }
                end => end,
            },
            Step::Retry => End::Retried,
            Step::Abort(error) => End::Aborted(*error),
            Step::Panic => End::Panicked,
        }
    }
}

/// A payload that says that a panic was meant.
struct Meant;

/// The queues themselves.
pub struct Real<K: Kind> {
    pub queues: Vec<K::Of<Item>>,
    pub lives: Lives,
    seen: RefCell<Vec<String>>,
    /// Items that a transaction took, until it is over.
    taken: RefCell<Vec<Item>>,
}

impl<K: Kind> Real<K> {
    pub fn new(queues: usize) -> Self {
        Real {
            queues: (0..queues).map(|_| K::empty()).collect(),
            lives: Lives::new(),
            seen: RefCell::default(),
            taken: RefCell::default(),
        }
    }

    pub fn transact(&self, block: &Block) -> (End, Vec<String>) {
        self.seen.take();
        let transaction = || {
            try_atomically(|tx| match self.block(tx, block) {
                Ok(()) => Ok(()),
                Err(Stop::Retry) => abort(End::Retried),
                Err(Stop::Abort(error)) => abort(End::Aborted(error)),
            })
        };
        let end = match catch_unwind(AssertUnwindSafe(transaction)) {
            Ok(Ok(())) => End::Went,
            Ok(Err(end)) => end,
            Err(payload) if payload.is::<Meant>() => End::Panicked,
            Err(payload) => resume_unwind(payload),
        };
        self.taken.take();
        (end, self.seen.take())
    }

    fn sees(&self, seen: impl std::fmt::Debug) {
        self.seen.borrow_mut().push(format!("{seen:?}"));
    }

    fn takes(&self, items: impl IntoIterator<Item = Item>) {
        self.taken.borrow_mut().extend(items);
    }

    fn block(&self, tx: &Transaction, block: &Block) -> Result<(), Stop<u32>> {
        block.iter().try_for_each(|step| self.step(tx, step))
    }

    fn step(&self, tx: &Transaction, step: &Step) -> Result<(), Stop<u32>> {
        let queue = |at: &usize| &self.queues[*at];
        match step {
            Step::Write(at, number) => queue(at).write(tx, self.lives.item(*number))?,
            Step::Unget(at, number) => queue(at).unget(tx, self.lives.item(*number))?,
            Step::Read(at) => {
                let first = queue(at).read(tx)?;
                self.sees(&first);
                self.takes([first]);
            }
            Step::Peek(at) => {
                let first = queue(at).peek(tx)?;
                self.sees(&first);
                self.takes([first]);
            }
            Step::TryRead(at) => {
                let first = queue(at).try_read(tx);
                self.sees(&first);
                self.takes(first);
            }
            Step::TryPeek(at) => {
                let first = queue(at).try_peek(tx);
                self.sees(&first);
                self.takes(first);
            }
            Step::Flush(at) => {
                let all = queue(at).flush(tx);
                self.sees(&all);
                self.takes(all);
            }
            Step::IsEmpty(at) => self.sees(queue(at).is_empty(tx)),
            Step::Fill(at) => {
                if let Some(fill) = queue(at).fill(tx) {
                    self.sees(fill);
                }
            }
            Step::Move(from, to) => {
                let first = queue(from).read(tx)?;
                queue(to).write(tx, first)?;
            }
            Step::OrElse(a, b) => tx.or_else(|tx| self.block(tx, a), |tx| self.block(tx, b))?,
            Step::Catch(a, b) => tx.catch(
                |tx| self.block(tx, a),
                |tx, error| {
                    self.sees(error);
                    self.block(tx, b)
                },
            )?,
            Step::Retry => retry()?,
            Step::Abort(error) => abort(*error)?,
            Step::Panic => resume_unwind(Box::new(Meant)),
        }
        Ok(())
    }
}
