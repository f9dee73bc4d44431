//! What a transaction means: Haskell's semantics over plain values, by copying.
//!
//! A block of steps takes a state and gives a state. Whoever undoes something goes on with the
//! state that it had before; there is no log here, and nothing is ever put back.
use super::program::{Begins, Block, Content, Misuse, Step};
use super::values::{Broke, Ended, Held, Id, Name, Value, mix, number};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What is undone together.
#[derive(Clone, Default)]
pub struct State {
    written: BTreeMap<Name, Held>,
    hooks: Vec<Id>,
}

/// What was there before the attempt.
pub struct Before<'a> {
    pub values: &'a BTreeMap<Name, Held>,
    /// The variables that the steps can name.
    pub shared: Vec<Name>,
    /// Of the next variable that is made.
    pub next: Name,
    pub event: u64,
    pub now: Instant,
    pub is_early: bool,
}

/// What an attempt comes to.
#[derive(Debug)]
pub struct Prediction {
    pub event: u64,
    pub ended: Ended,
    /// What was read, step by step.
    pub seen: Vec<(u64, Value)>,
    /// What it waits for if it retries.
    pub read: BTreeSet<Name>,
    pub written: BTreeMap<Name, Held>,
    /// What the variables held that were made, which are never unmade.
    pub made: BTreeMap<Name, Held>,
    /// Those of them that steps can name.
    pub named: Vec<Name>,
    /// When those of them come true that do so by themselves.
    pub due: BTreeMap<Name, Instant>,
    pub hooks: Vec<Id>,
}

pub fn predict(before: Before<'_>, block: &Block) -> Prediction {
    let mut trial = Trial {
        before,
        made: BTreeMap::new(),
        named: Vec::new(),
        due: BTreeMap::new(),
        read: BTreeSet::new(),
        read_own: false,
        wrote: BTreeSet::new(),
        seen: Vec::new(),
        steps: 0,
        over: false,
    };
    let (ended, state) = trial.block(block, 0, State::default());
    if trial.read.is_empty() && trial.read_own {
        trial.read = trial.wrote.clone();
    }
    let ended = match ended {
        Ended::Went(_) | Ended::Retry if trial.over => Ended::Broke(Broke::Over),
        Ended::Retry if trial.read.is_empty() => Ended::Broke(Broke::NothingRead),
        ended => ended,
    };
    let state = match ended {
        Ended::Went(_) => state,
        _ => State::default(),
    };
    Prediction {
        event: trial.before.event,
        ended,
        seen: trial.seen,
        read: trial.read,
        written: state.written,
        made: trial.made,
        named: trial.named,
        due: trial.due,
        hooks: state.hooks,
    }
}

/// What stays, whatever is undone.
pub struct Trial<'a> {
    before: Before<'a>,
    made: BTreeMap<Name, Held>,
    named: Vec<Name>,
    due: BTreeMap<Name, Instant>,
    read: BTreeSet<Name>,
    /// It has read what it had written itself, which tells it nothing of others.
    read_own: bool,
    wrote: BTreeSet<Name>,
    seen: Vec<(u64, Value)>,
    steps: u64,
    /// It was undone in the middle.
    over: bool,
}

type Outcome = (Ended, State);

impl Trial<'_> {
    fn name(&self, variable: usize) -> Name {
        let shared = &self.before.shared;
        let index = variable % (shared.len() + self.named.len());
        match shared.get(index) {
            Some(name) => *name,
            None => self.named[index - shared.len()],
        }
    }

    pub fn held(&self, name: Name, state: &State) -> Held {
        let written = state.written.get(&name);
        let held = written.or_else(|| self.made.get(&name));
        held.unwrap_or_else(|| &self.before.values[&name]).clone()
    }

    /// The name of what is made or written now.
    pub fn id(&self) -> Id {
        (self.before.event, self.steps)
    }

    pub fn make(&mut self, held: Held) -> Name {
        let name = self.before.next + self.made.len();
        self.made.insert(name, held);
        name
    }

    /// Reads a variable that is written as a whole.
    pub fn look(&mut self, name: Name, state: &State) -> Held {
        match state.written.contains_key(&name) {
            true => self.read_own = true,
            false => _ = self.read.insert(name),
        }
        self.held(name, state)
    }

    /// Reads a variable of which writes change a part: what it wrote itself tells of others too.
    pub fn look_at_part(&mut self, name: Name, state: &State) -> Held {
        self.read.insert(name);
        self.held(name, state)
    }

    pub fn put(&mut self, name: Name, held: Held, state: &mut State) {
        state.written.insert(name, held);
        self.wrote.insert(name);
    }

    /// A step has seen this; its number.
    pub fn sees(&mut self, value: Value) -> i64 {
        self.seen.push((self.steps, value));
        value.number()
    }

    fn read(&mut self, variable: usize, state: &State) -> Result<Value, Ended> {
        if self.over {
            return Err(Ended::Broke(Broke::Over));
        }
        let name = self.name(variable);
        let Held::One(value) = self.look(name, state) else {
            unreachable!("it holds one value");
        };
        self.sees(value);
        Ok(value)
    }

    /// Writes a number of the variable's own kind.
    fn write(&mut self, variable: usize, number: i64, state: &mut State) -> Result<(), Ended> {
        if self.over {
            return Err(Ended::Broke(Broke::Over));
        }
        let name = self.name(variable);
        if let Held::One(value) = self.held(name, state) {
            let value = value.like(number, self.id());
            self.put(name, Held::One(value), state);
        }
        Ok(())
    }

    // ── blocks ───────────────────────────────────────────────────────────────────────────────

    fn block(&mut self, block: &Block, mut sum: i64, mut state: State) -> Outcome {
        for step in block {
            self.steps += 1;
            let (ended, after) = match step {
                Step::OrElse(..) | Step::Catch(..) if self.over => {
                    (Ended::Broke(Broke::Over), state)
                }
                Step::OrElse(first, second) => self.or_else(first, second, sum, state),
                Step::Catch(first, handler) => self.catch(first, handler, sum, state),
                Step::Ignore(block) => self.ignore(block, sum, state),
                Step::CatchUnwind(block) => self.catch_unwind(block, sum, state),
                Step::Beside(_, block) => self.beside(block, sum, state),
                Step::If(_, test, block) => match self.plain(step, sum, &mut state) {
                    Ok((sum, seen)) if test.holds(seen) => self.block(block, sum, state),
                    Ok((sum, _)) => (Ended::Went(sum), state),
                    Err(ended) => (ended, state),
                },
                step => match self.plain(step, sum, &mut state) {
                    Ok((sum, _)) => (Ended::Went(sum), state),
                    Err(ended) => (ended, state),
                },
            };
            match ended {
                Ended::Went(after) => sum = after,
                ended => return (ended, after),
            }
            state = after;
        }
        (Ended::Went(sum), state)
    }

    /// The block, undone unless it goes well.
    fn undone(&mut self, block: &Block, sum: i64, state: State) -> Outcome {
        match self.block(block, sum, state.clone()) {
            (Ended::Went(sum), after) => (Ended::Went(sum), after),
            (ended, _) => (ended, state),
        }
    }

    fn or_else(&mut self, first: &Block, second: &Block, sum: i64, state: State) -> Outcome {
        match self.undone(first, sum, state) {
            (Ended::Retry, state) if self.over => (Ended::Broke(Broke::Over), state),
            (Ended::Retry, state) => self.undone(second, sum, state),
            outcome => outcome,
        }
    }

    fn catch(&mut self, first: &Block, handler: &Block, sum: i64, state: State) -> Outcome {
        match self.undone(first, sum, state) {
            (Ended::Abort(_), state) if self.over => (Ended::Broke(Broke::Over), state),
            (Ended::Abort(error), state) => self.undone(handler, mix(sum, error), state),
            outcome => outcome,
        }
    }

    fn ignore(&mut self, block: &Block, sum: i64, state: State) -> Outcome {
        match self.block(block, sum, state) {
            (Ended::Retry, state) => (Ended::Went(mix(sum, 500)), state),
            (Ended::Abort(error), state) => (Ended::Went(mix(sum, 600 + error)), state),
            outcome => outcome,
        }
    }

    fn catch_unwind(&mut self, block: &Block, sum: i64, state: State) -> Outcome {
        match self.block(block, sum, state) {
            (Ended::Broke(_), state) => (Ended::Went(mix(sum, 700)), state),
            outcome => outcome,
        }
    }

    fn beside(&mut self, block: &Block, sum: i64, state: State) -> Outcome {
        let (ended, state) = self.block(block, sum, state);
        match ended {
            ended if self.over => (ended, state),
            Ended::Broke(_) => {
                self.over = true;
                (ended, state)
            }
            _ => (Ended::Broke(Broke::Nested), state),
        }
    }

    // ── steps ────────────────────────────────────────────────────────────────────────────────

    /// A step without a block, or what comes before its block: the sum after it, and what it has
    /// seen last.
    fn plain(&mut self, step: &Step, sum: i64, state: &mut State) -> Result<(i64, i64), Ended> {
        let new = step.term().map_or(0, |term| number(sum, term.plus));
        if let Some((variable, how)) = step.as_use() {
            let name = self.name(variable);
            return match self.held(name, state) {
                Held::One(_) => self.on_one(step, variable, sum, new, state),
                _ if self.over => Err(Ended::Broke(Broke::Over)),
                _ => {
                    let from = self.seen.len();
                    let ended = self.on_many(name, how, new, state);
                    let seen = self.seen[from..].iter().map(|(_, value)| value.number());
                    let sums = seen.fold((sum, 0), |(sum, _), seen| (mix(sum, seen), seen));
                    ended.and(match step {
                        Step::Check(_, test) if !test.holds(sums.1) => Err(Ended::Retry),
                        _ => Ok(sums),
                    })
                }
            };
        }
        match step {
            Step::Retry => Err(Ended::Retry),
            Step::Abort(error) => Err(Ended::Abort(number(sum, *error))),
            Step::Panic(number) => Err(Ended::Broke(Broke::Planned(*number))),
            Step::OnCommit(_) if self.over => Err(Ended::Broke(Broke::Over)),
            Step::OnCommit(_) => {
                state.hooks.push(self.id());
                Ok((sum, 0))
            }
            Step::Make(content, term) => {
                let content = content.in_run(self.before.is_early);
                let name = self.before.next + self.made.len();
                let held = Held::new(content, number(sum, term.plus), self.id(), name);
                held.into_iter().for_each(|held| _ = self.make(held));
                if let Content::Delay(moment) = content {
                    let due = self.before.now + Duration::from_millis(moment);
                    self.due.insert(name, due);
                }
                self.named.push(name);
                Ok((sum, 0))
            }
            Step::End(variable, begins) => self.other_end(*variable, *begins, sum, state),
            Step::Misuse(_) if self.over => Ok((sum, 0)),
            Step::Misuse(Misuse::Get | Misuse::Set | Misuse::Nest) => {
                Err(Ended::Broke(Broke::Nested))
            }
            Step::Misuse(_) => Err(Ended::Broke(Broke::Refused)),
            _ => Ok((sum, 0)),
        }
    }

    fn other_end(
        &mut self,
        variable: usize,
        begins: Begins,
        sum: i64,
        state: &State,
    ) -> Result<(i64, i64), Ended> {
        let name = self.name(variable);
        let Held::End { back, .. } = self.held(name, state) else {
            return Ok((sum, 0));
        };
        if self.over {
            return Err(Ended::Broke(Broke::Over));
        }
        let looks_at = match begins {
            Begins::Here => name,
            Begins::Behind => back,
        };
        let (Held::End { first, .. } | Held::Back(first)) = self.look(looks_at, state) else {
            unreachable!("it is a channel");
        };
        let name = self.make(Held::End { first, back });
        self.named.push(name);
        Ok((sum, 0))
    }

    /// A step on a variable that holds one value.
    fn on_one(
        &mut self,
        step: &Step,
        variable: usize,
        sum: i64,
        new: i64,
        state: &mut State,
    ) -> Result<(i64, i64), Ended> {
        if let Step::Write(..) = step {
            self.write(variable, new, state)?;
            return Ok((sum, 0));
        }
        let seen = self.read(variable, state)?.number();
        let sum_after = mix(sum, seen);
        match step {
            Step::Update(..) => {
                self.write(variable, number(seen, new), state)?;
                Ok((sum, seen))
            }
            Step::Swap(..) => {
                self.write(variable, new, state)?;
                Ok((sum_after, seen))
            }
            Step::State(..) => {
                self.write(variable, number(seen, new), state)?;
                Ok((sum_after, seen))
            }
            Step::Add(_, other, _) => {
                let other = match self.held(self.name(*other), state) {
                    Held::One(_) => self.read(*other, state)?.number(),
                    _ => 0,
                };
                self.write(variable, number(seen + other, new), state)?;
                Ok((sum, seen))
            }
            Step::WriteWithin(..) => Err(Ended::Broke(Broke::BeingRead)),
            Step::Check(_, test) if !test.holds(seen) => Err(Ended::Retry),
            _ => Ok((sum_after, seen)),
        }
    }
}
