//! What the tasks of a world do: transactions as trees of steps, and acts around them.

/// Numbers in variables are below this, so that what is waited for comes about.
pub const SPAN: i64 = 8;

pub type Block = Vec<Step>;

/// A step of a transaction. What was read so far is summed up in one number, which it may use.
/// Variables are named by any number, taken modulo those there are.
#[derive(Clone, Debug)]
pub enum Step {
    Read(usize),
    With(usize),
    Write(usize, Term),
    Update(usize, Term),
    Swap(usize, Term),
    State(usize, Term),
    /// Updates the first by a closure that reads the second.
    Add(usize, usize, Term),
    /// Writes to a variable while its content is being read, which panics.
    WriteWithin(usize, Term),
    /// Goes on if the test holds of the variable, else retries.
    Check(usize, Test),
    /// Does this if the test holds of the variable.
    If(usize, Test, Block),
    Retry,
    Abort(i64),
    Panic(i64),
    OrElse(Block, Block),
    Catch(Block, Block),
    /// Goes on whatever this ends with, and undoes nothing.
    Ignore(Block),
    /// Catches what unwinds out of this, and undoes nothing.
    CatchUnwind(Block),
    /// Beside a local value whose destructor does something: it panics there, or ends the
    /// transaction if that unwinds.
    Beside(Deed, Block),
    OnCommit(Hook),
    Make(Content, Term),
    /// Takes all there is.
    Flush(usize),
    /// Another end of the channel, which begins at the same word, or behind all.
    End(usize, Begins),
    Kill(usize),
    Misuse(Misuse),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begins {
    Here,
    Behind,
}

/// What a step does to a variable that is more than a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    TryPeek,
    IsEmpty,
    /// Waits for room.
    Put,
    /// Puts it where it is taken next, or where there is room.
    TryPut,
    TryTake,
    /// Waits for a word.
    Take,
    Overwrite,
    Flush,
    /// Waits for a word, and leaves it there.
    Peek,
}

impl Step {
    /// What it does to a variable that is more than a value.
    pub fn as_use(&self) -> Option<(usize, Use)> {
        Some(match self {
            Step::Read(variable) | Step::If(variable, ..) => (*variable, Use::TryPeek),
            Step::With(variable) | Step::WriteWithin(variable, _) => (*variable, Use::IsEmpty),
            Step::Write(variable, _) => (*variable, Use::Put),
            Step::Update(variable, _) => (*variable, Use::TryPut),
            Step::Swap(variable, _) => (*variable, Use::TryTake),
            Step::State(variable, _) => (*variable, Use::Take),
            Step::Add(variable, ..) => (*variable, Use::Overwrite),
            Step::Check(variable, _) => (*variable, Use::Peek),
            Step::Flush(variable) => (*variable, Use::Flush),
            _ => return None,
        })
    }

    /// What it writes.
    pub fn term(&self) -> Option<&Term> {
        match self {
            Step::Write(_, term)
            | Step::Update(_, term)
            | Step::Swap(_, term)
            | Step::State(_, term)
            | Step::Add(_, _, term)
            | Step::WriteWithin(_, term) => Some(term),
            _ => None,
        }
    }
}

/// A number to be written, and what its destructor does if it is written as a word.
#[derive(Clone, Default, Debug)]
pub struct Term {
    /// Added to what was read so far.
    pub plus: i64,
    pub deed: Option<Deed>,
}

#[derive(Clone, Copy, Debug)]
pub struct Test {
    pub modulus: i64,
    pub rest: i64,
    /// Whether it is to be equal.
    pub equal: bool,
}

impl Test {
    pub fn holds(self, number: i64) -> bool {
        (number % self.modulus == self.rest) == self.equal
    }
}

#[derive(Clone, Debug)]
pub struct Hook {
    /// Whether it holds a word, which must be dropped with it.
    pub holds: bool,
    pub deed: Option<Deed>,
}

/// What a hook or a destructor does.
#[derive(Clone, Debug)]
pub enum Deed {
    Set(usize, i64),
    Transact(Block),
    Yield,
    Kill(usize),
    /// In milliseconds.
    Sleep(u64),
    /// Hooks alone.
    Panic(i64),
}

/// What a variable holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    Number,
    Word,
    Flag,
    /// A flag that comes true after so many milliseconds.
    Delay(u64),
    /// A `TMVar` of words.
    Place,
    /// A `TQueue` of words, or a `TBQueue` where there is a capacity.
    Queue(Option<usize>),
    /// An end of a `TChan` of words.
    Channel,
}

/// What a transaction must not do: it panics.
#[derive(Clone, Copy, Debug)]
pub enum Misuse {
    Get,
    Set,
    Nest,
    Yield,
    Sleep,
    SpawnNow,
}

impl Content {
    /// What a transaction makes in one of its first runs, or in a later one: if each made a delay, it
    /// could wait for them for ever.
    pub fn in_run(self, is_early: bool) -> Content {
        match self {
            Content::Delay(_) if !is_early => Content::Flag,
            content => content,
        }
    }
}

/// What a task does between transactions.
#[derive(Clone, Debug)]
pub enum Act {
    Transact(Block),
    Yield,
    Sleep(u64),
    Get(usize),
    Set(usize, Term),
    Kill(usize),
    Timeout(u64, Vec<Act>),
    /// A transaction under a shield, with a time limit inside.
    Shield(u64, Block),
    Make(Content, Term),
    /// The world lets go of the variable.
    Forget(usize),
}

/// How main ends the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It returns while the others are at work.
    Return,
    /// It returns when nothing moves any more.
    Wait,
    /// It joins all, which is a deadlock if one waits for ever.
    Join,
    /// It kills all that are left, and joins them.
    Kill,
}

#[derive(Clone, Debug)]
pub struct Program {
    /// Of the scheduler: 0 is first in, first out.
    pub seed: u64,
    pub variables: Vec<Content>,
    pub tasks: Vec<Vec<Act>>,
    pub main: Vec<Act>,
    pub end: End,
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "scheduler's seed {}", self.seed)?;
        writeln!(f, "variables {:?}", self.variables)?;
        let main = std::iter::once(&self.main);
        for (number, acts) in main.chain(&self.tasks).enumerate() {
            writeln!(f, "task {number}:")?;
            for act in acts {
                writeln!(f, "    {act:?}")?;
            }
        }
        writeln!(f, "end: {:?}", self.end)
    }
}
