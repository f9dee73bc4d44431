//! Random transactions on the ends of a channel, next to a model of it that is a list: what each end
//! reads, what is undone with an arm or the whole, and how many items are alive.
mod steps;
mod stm_structures;

use maypole::stm::{Stop, TChan, Transaction, abort, retry, try_atomically};
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::resume_unwind;
use steps::unwinds;
use stm_structures::{Mint, Token};

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// What the channel should be.
#[derive(Clone)]
struct Model {
    /// All that was ever written.
    written: Vec<u32>,
    ends: Vec<End>,
}

#[derive(Clone)]
struct End {
    /// What was put back; the last is read first.
    put_back: Vec<u32>,
    /// Where in what was written it reads next; nowhere if it was made for its dups.
    at: Option<usize>,
}

impl Model {
    fn next(&self, end: usize) -> Option<u32> {
        let End { put_back, at } = &self.ends[end];
        let written = at.and_then(|at| self.written.get(at));
        put_back.last().or(written).copied()
    }

    fn advance(&mut self, end: usize) {
        let End { put_back, at } = &mut self.ends[end];
        if put_back.pop().is_none() {
            *at = at.map(|at| at + 1);
        }
    }

    /// How many items some end can still read.
    fn alive(&self) -> usize {
        let unread = |end: &End| {
            let first = end.at.unwrap_or(self.written.len());
            [&end.put_back, &self.written[first..]].concat()
        };
        self.ends
            .iter()
            .flat_map(unread)
            .collect::<HashSet<_>>()
            .len()
    }
}

struct World {
    dice: Dice,
    mint: Mint,
    numbers: u32,
    ends: Vec<TChan<Token>>,
    model: Model,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (chan, at) = match dice.roll(2) {
            0 => (TChan::new(), Some(0)),
            _ => (TChan::new_broadcast(), None),
        };
        let put_back = Vec::new();
        World {
            dice,
            mint: Mint::new(),
            numbers: 0,
            ends: vec![chan],
            model: Model {
                written: Vec::new(),
                ends: vec![End { put_back, at }],
            },
        }
    }

    fn token(&mut self) -> Token {
        self.numbers += 1;
        self.mint.token(self.numbers)
    }

    fn step(&mut self, tx: &Transaction) {
        let end = self.dice.roll(self.ends.len());
        let chan = self.ends[end].clone();
        let expected = self.model.next(end);
        let number = |token: Option<Token>| token.map(|token| token.number);
        match self.dice.roll(14) {
            0..4 => {
                chan.write(tx, self.token());
                self.model.written.push(self.numbers);
            }
            4..6 => {
                chan.unget(tx, self.token());
                self.model.ends[end].put_back.push(self.numbers);
            }
            6..10 => {
                assert_eq!(number(chan.try_read(tx)), expected);
                if expected.is_some() {
                    self.model.advance(end);
                }
            }
            10 => assert_eq!(number(chan.try_peek(tx)), expected),
            11 => assert_eq!(chan.is_empty(tx), expected.is_none()),
            _ if self.ends.len() == 5 => {}
            12 => {
                self.ends.push(chan.dup(tx));
                self.model.ends.push(End {
                    put_back: Vec::new(),
                    at: Some(self.model.written.len()),
                });
            }
            _ => {
                self.ends.push(chan.clone_chan(tx));
                self.model.ends.push(self.model.ends[end].clone());
            }
        }
    }

    /// Everything as it was when the model was this; the ends made since are gone.
    fn restore(&mut self, model: Model) {
        self.ends.truncate(model.ends.len());
        self.model = model;
    }

    /// All that can be read in the end is what the model has.
    fn finish(mut self) {
        while let Some(chan) = self.ends.pop() {
            let end = self.ends.len();
            let rest: Result<Vec<u32>, ()> = try_atomically(|tx| {
                let rest = std::iter::from_fn(|| chan.try_read(tx));
                Ok(rest.map(|token| token.number).collect())
            });
            let expected = std::iter::from_fn(|| {
                let next = self.model.next(end)?;
                self.model.advance(end);
                Some(next)
            });
            assert_eq!(rest.unwrap(), expected.collect::<Vec<_>>());
            self.model.ends.pop();
            drop(chan);
            assert_eq!(self.mint.alive(), self.model.alive());
        }
    }
}

/// Some steps, and arms of steps, of which some are undone.
fn act(world: &RefCell<World>, tx: &Transaction, depth: usize) -> Result<(), Stop<()>> {
    let steps = world.borrow_mut().dice.roll(5);
    for _ in 0..steps {
        let choice = world.borrow_mut().dice.roll(8);
        let before = world.borrow().model.clone();
        match choice {
            0 | 1 if depth < 4 => tx.or_else(
                |tx| {
                    act(world, tx, depth + 1)?;
                    match choice {
                        0 => Ok(()),
                        _ => retry(),
                    }
                },
                |tx| {
                    world.borrow_mut().restore(before.clone());
                    act(world, tx, depth + 1)
                },
            )?,
            2 if depth < 4 => {
                let caught: Result<(), Stop<()>> = tx.catch(
                    |tx| {
                        act(world, tx, depth + 1)?;
                        abort(())
                    },
                    |_, ()| Ok(()),
                );
                world.borrow_mut().restore(before);
                caught?;
            }
            _ => world.borrow_mut().step(tx),
        }
    }
    Ok(())
}

#[test]
fn ends_of_a_channel_do_what_the_model_does() {
    for seed in 0..1_000 {
        let world = RefCell::new(World::new(seed));
        for _ in 0..30 {
            let before = world.borrow().model.clone();
            let ending = world.borrow_mut().dice.roll(4);
            let run = || {
                try_atomically(|tx| {
                    act(&world, tx, 0)?;
                    match ending {
                        0 => abort(()),
                        1 => resume_unwind(Box::new("in the middle")),
                        _ => Ok(()),
                    }
                })
            };
            match ending {
                0 => assert_eq!(run(), Err(())),
                1 => assert!(unwinds(run)),
                _ => assert_eq!(run(), Ok(())),
            }
            let mut world = world.borrow_mut();
            if ending < 2 {
                world.restore(before);
            }
            if world.ends.len() > 1 && world.dice.roll(3) == 0 {
                let count = world.ends.len();
                let gone = world.dice.roll(count);
                drop(world.ends.remove(gone));
                world.model.ends.remove(gone);
            }
            assert_eq!(world.mint.alive(), world.model.alive(), "seed {seed}");
        }
        world.into_inner().finish();
    }
}
