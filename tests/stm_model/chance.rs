//! Programs by chance: the same for the same seed.
use super::program::Begins;
use super::program::{
    Act, Block, Content, Deed, End, Hook, Misuse, Program, SPAN, Step, Term, Test,
};
use std::cell::Cell;

/// Numbers that are the same for the same seed.
pub struct Chance(Cell<u64>);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(Cell::new((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// A number below `among`.
    pub fn below(&self, among: u64) -> u64 {
        // xorshift64* (Vigna, 2016), from a state that is never 0.
        let mut state = self.0.get().max(1);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.set(state);
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % among
    }

    fn one_in(&self, among: u64) -> bool {
        self.below(among) == 0
    }

    fn any(&self) -> usize {
        self.below(60) as usize
    }

    fn small(&self) -> i64 {
        self.below(SPAN as u64) as i64
    }

    fn moment(&self) -> u64 {
        1 + self.below(6)
    }
}

/// How large the programs are.
#[derive(Clone, Copy)]
pub struct Size {
    pub tasks: u64,
    pub acts: u64,
    pub steps: u64,
    pub depth: u64,
    /// How many of ten variables are places, queues and channels.
    pub queues: u64,
}

pub fn program(seed: u64, size: Size) -> Program {
    let chance = Chance::new(seed);
    let maker = Maker {
        chance: &chance,
        size,
        wild: !seed.is_multiple_of(4),
    };
    let variables = (0..2 + chance.below(4)).map(|_| maker.content()).collect();
    let tasks = (0..1 + chance.below(size.tasks)).map(|_| maker.acts());
    Program {
        // Half of the worlds keep the order, so that it can be checked.
        seed: [0, seed][seed as usize % 2],
        variables,
        tasks: tasks.collect(),
        main: maker.acts(),
        end: [End::Return, End::Wait, End::Join, End::Join, End::Kill][chance.below(5) as usize],
    }
}

struct Maker<'a> {
    chance: &'a Chance,
    size: Size,
    /// Whether destructors and hooks do anything, and panics and misuse occur.
    wild: bool,
}

impl Maker<'_> {
    fn acts(&self) -> Vec<Act> {
        (0..1 + self.chance.below(self.size.acts))
            .map(|_| self.act(true))
            .collect()
    }

    fn act(&self, nests: bool) -> Act {
        let chance = self.chance;
        match chance.below(24) {
            0..=9 => Act::Transact(self.block(self.size.depth)),
            10 | 11 => Act::Yield,
            12 | 13 => Act::Sleep(chance.moment()),
            14 => Act::Get(chance.any()),
            15 | 16 => Act::Set(chance.any(), self.term(true)),
            17 => Act::Kill(chance.any()),
            18 | 19 if nests => {
                let acts = (0..1 + chance.below(3)).map(|_| self.act(false));
                Act::Timeout(chance.moment(), acts.collect())
            }
            20 => Act::Shield(chance.moment(), self.block(self.size.depth)),
            21 => Act::Make(self.content(), self.term(true)),
            22 => Act::Forget(chance.any()),
            _ => Act::Transact(self.block(1)),
        }
    }

    fn content(&self) -> Content {
        if self.chance.below(10) < self.size.queues {
            return match self.chance.below(8) {
                0 | 1 => Content::Place,
                2 | 3 => Content::Queue(None),
                4 | 5 => Content::Queue(Some(1 + self.chance.below(3) as usize)),
                _ => Content::Channel,
            };
        }
        match self.chance.below(10) {
            0..=4 => Content::Number,
            5..=7 => Content::Word,
            8 => Content::Flag,
            _ => Content::Delay(self.chance.moment()),
        }
    }

    /// `simple` are those whose destructor does nothing.
    fn term(&self, simple: bool) -> Term {
        let deed = !simple && self.wild && self.chance.one_in(6);
        Term {
            plus: self.chance.small(),
            deed: deed.then(|| self.destructor()),
        }
    }

    fn test(&self) -> Test {
        let modulus = 2 + self.chance.below(3) as i64;
        Test {
            modulus,
            rest: self.chance.small() % modulus,
            equal: self.chance.one_in(2),
        }
    }

    fn block(&self, depth: u64) -> Block {
        (0..1 + self.chance.below(self.size.steps))
            .map(|_| self.step(depth))
            .collect()
    }

    /// One that ends as it must be undone, more often than not.
    fn failing(&self, depth: u64, end: Step) -> Block {
        let mut block = self.block(depth);
        match self.chance.below(5) {
            0 | 1 => block.push(end),
            2 | 3 => block.push(Step::If(self.chance.any(), self.test(), vec![end])),
            _ => {}
        }
        block
    }

    fn step(&self, depth: u64) -> Step {
        let chance = self.chance;
        let variable = chance.any();
        match chance.below(100) {
            0..=13 => Step::Read(variable),
            14..=17 => Step::With(variable),
            18..=36 => Step::Write(variable, self.term(false)),
            37..=43 => Step::Update(variable, self.term(false)),
            44..=47 => Step::Swap(variable, self.term(false)),
            48..=50 => Step::State(variable, self.term(false)),
            51..=53 => Step::Add(variable, chance.any(), self.term(false)),
            54..=60 => Step::Check(variable, self.test()),
            // Without a deed: it may be dropped in the transaction.
            61..=63 => Step::Make(self.content(), self.term(true)),
            64..=67 => Step::OnCommit(self.hook(depth)),
            68..=91 if depth > 0 => self.nested(depth - 1),
            92 => self.rare(depth),
            93 => Step::If(variable, self.test(), vec![Step::Retry]),
            94 => Step::If(variable, self.test(), vec![Step::Abort(chance.small())]),
            95 if self.wild => Step::If(variable, self.test(), vec![Step::Panic(chance.small())]),
            96 if self.wild => Step::Kill(chance.any()),
            97 if self.size.queues > 0 => Step::Flush(variable),
            98 if self.size.queues > 0 => {
                Step::End(variable, [Begins::Here, Begins::Behind][chance.any() % 2])
            }
            _ => Step::Write(variable, self.term(false)),
        }
    }

    fn nested(&self, depth: u64) -> Step {
        let chance = self.chance;
        match chance.below(14) {
            0..=5 => Step::OrElse(self.failing(depth, Step::Retry), self.block(depth)),
            6..=9 => {
                let failing = self.failing(depth, Step::Abort(chance.small()));
                Step::Catch(failing, self.block(depth))
            }
            10 => Step::Ignore(self.failing(
                depth,
                [Step::Retry, Step::Abort(3)][chance.any() % 2].clone(),
            )),
            11 if self.wild => Step::CatchUnwind(self.failing(depth, Step::Panic(chance.small()))),
            _ => Step::If(chance.any(), self.test(), self.block(depth)),
        }
    }

    fn rare(&self, depth: u64) -> Step {
        let chance = self.chance;
        if !self.wild {
            return Step::Read(chance.any());
        }
        match chance.below(6) {
            0 => Step::WriteWithin(chance.any(), self.term(false)),
            1 | 2 => {
                let depth = depth.saturating_sub(1);
                let block = self.failing(depth, Step::Panic(chance.small()));
                Step::Beside(self.destructor(), block)
            }
            3 => Step::Retry,
            _ => Step::Misuse(
                [
                    Misuse::Get,
                    Misuse::Set,
                    Misuse::Nest,
                    Misuse::Yield,
                    Misuse::Sleep,
                    Misuse::SpawnNow,
                ][chance.below(6) as usize],
            ),
        }
    }

    fn hook(&self, depth: u64) -> Hook {
        let chance = self.chance;
        let deed = match chance.below(10) {
            _ if !self.wild => None,
            0 | 1 => Some(Deed::Set(chance.any(), chance.small())),
            2 if depth > 0 => Some(Deed::Transact(self.block(depth - 1))),
            3 => Some(Deed::Yield),
            4 => Some(Deed::Kill(chance.any())),
            5 => Some(Deed::Sleep(chance.moment())),
            6 => Some(Deed::Panic(chance.small())),
            _ => None,
        };
        Hook {
            holds: chance.one_in(2),
            deed,
        }
    }

    /// What a destructor does: nothing that waits or fails.
    fn destructor(&self) -> Deed {
        let chance = self.chance;
        match chance.below(8) {
            0..=2 => Deed::Set(chance.any(), chance.small()),
            3 | 4 => Deed::Transact(self.plain()),
            5 => Deed::Yield,
            6 => Deed::Sleep(chance.moment()),
            _ => Deed::Kill(chance.any()),
        }
    }

    /// A block that always commits.
    fn plain(&self) -> Block {
        let chance = self.chance;
        let step = |_| match chance.below(4) {
            0 => Step::Read(chance.any()),
            1 => Step::Update(chance.any(), self.term(true)),
            2 => {
                let arm = vec![Step::Write(chance.any(), self.term(true)), Step::Retry];
                Step::OrElse(arm, vec![Step::Read(chance.any())])
            }
            _ => Step::Swap(chance.any(), self.term(true)),
        };
        (0..1 + chance.below(3)).map(step).collect()
    }
}
