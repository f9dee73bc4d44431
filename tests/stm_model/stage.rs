//! Performing the steps of one attempt.
use super::calls::Call;
use super::checks::{Planned, ReadWhenOver};
use super::handles::Handle;
use super::program::{Block, Deed, Misuse, Step, Term, Use};
use super::reference::Prediction;
use super::values::{Id, Name, Value, mix, number};
use super::words::{Made, Word};
use super::world::{RUNS, World};
use maypole::stm::{Stop, Transaction, abort, atomically, check, retry};
use maypole::{sleep, spawn_now, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

/// One attempt.
pub struct Stage<'a> {
    call: &'a Rc<Call>,
    tx: &'a Transaction,
    event: u64,
    /// The names of those variables that it will make.
    named: Vec<Name>,
    variables: RefCell<Vec<Handle>>,
    pub made: RefCell<Vec<Handle>>,
    steps: Cell<u64>,
    pub seen: RefCell<Vec<(u64, Value)>>,
    /// A destructor has undone it.
    pub is_over: Cell<bool>,
    /// The hooks that will panic.
    pub panics: RefCell<Vec<(Id, i64)>>,
}

impl<'a> Stage<'a> {
    pub fn new(call: &'a Rc<Call>, tx: &'a Transaction, prediction: &Prediction) -> Self {
        let shared = call.world.shared.borrow();
        Stage {
            call,
            tx,
            event: prediction.event,
            named: prediction.named.clone(),
            variables: RefCell::new(shared.iter().map(|(_, handle)| handle.clone()).collect()),
            made: RefCell::default(),
            steps: Cell::new(0),
            seen: RefCell::default(),
            is_over: Cell::new(false),
            panics: RefCell::default(),
        }
    }

    fn world(&self) -> &Rc<World> {
        &self.call.world
    }

    fn id(&self) -> Id {
        (self.event, self.steps.get())
    }

    fn variable(&self, variable: usize) -> Handle {
        let variables = self.variables.borrow();
        variables[variable % variables.len()].clone()
    }

    fn made(&self, number: i64, term: &Term) -> Made {
        let mut made = Made::new(self.world(), number, term, self.id());
        if !self.is_early() {
            made.deed = None;
        }
        made
    }

    fn is_early(&self) -> bool {
        self.call.runs.get() <= RUNS
    }

    /// A step is about to read.
    fn reads(&self) {
        if self.is_over.get() {
            resume_unwind(Box::new(ReadWhenOver));
        }
    }

    fn saw(&self, value: Value) -> i64 {
        self.seen.borrow_mut().push((self.steps.get(), value));
        value.number()
    }

    fn adds(&self, handle: Handle) {
        self.variables.borrow_mut().push(handle.clone());
        self.made.borrow_mut().push(handle);
    }

    pub fn block(&self, block: &Block, mut sum: i64) -> Result<i64, Stop<i64>> {
        for step in block {
            self.steps.set(self.steps.get() + 1);
            sum = self.step(step, sum)?;
        }
        Ok(sum)
    }

    /// A step on a variable that holds more than a value, or nothing.
    fn on_many(&self, handle: &Handle, how: Use, step: &Step, sum: i64) -> Result<i64, Stop<i64>> {
        self.reads();
        let mut made = match step.term() {
            Some(term) => self.made(number(sum, term.plus), term),
            None => self.made(0, &Term::default()),
        };
        if let Handle::Bounded(_) = handle {
            // Without a deed: one that is refused is dropped inside of the transaction.
            made.deed = None;
        }
        let (mut sum, mut seen) = (sum, 0);
        let mut saw = |value| {
            seen = self.saw(value);
            sum = mix(sum, seen);
        };
        handle.does(self.tx, how, made, &mut saw)?;
        match step {
            Step::Check(_, test) if !test.holds(seen) => retry(),
            Step::If(_, test, block) if test.holds(seen) => self.block(block, sum),
            _ => Ok(sum),
        }
    }

    fn step(&self, step: &Step, sum: i64) -> Result<i64, Stop<i64>> {
        if let Some((variable, how)) = step.as_use() {
            let handle = self.variable(variable);
            if !handle.is_one() {
                return self.on_many(&handle, how, step, sum);
            }
        }
        let (tx, new) = (self.tx, |term: &Term| number(sum, term.plus));
        match step {
            Step::Read(variable) | Step::Flush(variable) => {
                self.reads();
                Ok(mix(sum, self.saw(self.variable(*variable).read(tx))))
            }
            Step::With(variable) => {
                self.reads();
                let seen = self.variable(*variable).with(tx, |value| self.saw(value));
                Ok(mix(sum, seen))
            }
            Step::Write(variable, term) => {
                let made = self.made(new(term), term);
                self.variable(*variable).write(tx, made);
                Ok(sum)
            }
            Step::Update(variable, term) => {
                self.reads();
                let update = |value| self.made(number(self.saw(value), new(term)), term);
                self.variable(*variable).update(tx, update);
                Ok(sum)
            }
            Step::Swap(variable, term) => {
                self.reads();
                let made = self.made(new(term), term);
                Ok(mix(sum, self.saw(self.variable(*variable).swap(tx, made))))
            }
            Step::State(variable, term) => {
                self.reads();
                let update = |value| self.made(number(self.saw(value), new(term)), term);
                let before = self.variable(*variable).state(tx, update);
                Ok(mix(sum, before.number()))
            }
            Step::Add(variable, other, term) => {
                self.reads();
                self.variable(*variable).update(tx, |value| {
                    let value = self.saw(value);
                    let other = match self.variable(*other) {
                        other if other.is_one() => self.saw(other.read(tx)),
                        _ => 0,
                    };
                    self.made(number(value + other, new(term)), term)
                });
                Ok(sum)
            }
            Step::WriteWithin(variable, term) => {
                self.reads();
                let variable = self.variable(*variable);
                variable.with(tx, |value| {
                    self.saw(value);
                    // Without a deed: its destructor runs where nothing can be undone.
                    let made = Made {
                        deed: None,
                        ..self.made(0, term)
                    };
                    variable.write(tx, made);
                });
                Ok(sum)
            }
            Step::Check(variable, test) => {
                self.reads();
                let seen = self.saw(self.variable(*variable).read(tx));
                check(test.holds(seen))?;
                Ok(mix(sum, seen))
            }
            Step::If(variable, test, block) => {
                self.reads();
                let seen = self.saw(self.variable(*variable).read(tx));
                match test.holds(seen) {
                    true => self.block(block, mix(sum, seen)),
                    false => Ok(mix(sum, seen)),
                }
            }
            Step::Retry => retry(),
            Step::Abort(error) => abort(number(sum, *error)),
            Step::Panic(number) => resume_unwind(Box::new(Planned(*number))),
            Step::OrElse(first, second) => {
                tx.or_else(|_| self.block(first, sum), |_| self.block(second, sum))
            }
            Step::Catch(first, handler) => tx.catch(
                |_| self.block(first, sum),
                |_, error: i64| self.block(handler, mix(sum, error)),
            ),
            Step::Ignore(block) => Ok(match self.block(block, sum) {
                Ok(sum) => sum,
                Err(Stop::Retry) => mix(sum, 500),
                Err(Stop::Abort(error)) => mix(sum, 600 + error),
            }),
            Step::CatchUnwind(block) => {
                let ended = catch_unwind(AssertUnwindSafe(|| self.block(block, sum)));
                ended.unwrap_or_else(|payload| {
                    self.world().own(payload);
                    Ok(mix(sum, 700))
                })
            }
            Step::Beside(deed, block) => {
                let beside = Beside { stage: self, deed };
                let ended = self.block(block, sum);
                drop(beside);
                ended
            }
            Step::OnCommit(hook) => {
                let (call, id, hook) = (self.call.clone(), self.id(), hook.clone());
                if let Some(Deed::Panic(number)) = &hook.deed {
                    self.panics.borrow_mut().push((id, *number));
                }
                let term = Term {
                    plus: 0,
                    deed: None,
                };
                let word = hook.holds.then(|| Word::new(self.made(0, &term)));
                tx.on_commit(move || {
                    call.hook(id, hook.deed.as_ref());
                    drop(word);
                });
                Ok(sum)
            }
            Step::Make(content, term) => {
                let content = content.in_run(self.is_early());
                let name = self.named.get(self.made.borrow().len());
                let name = name.copied().unwrap_or_default();
                self.adds(Handle::new(name, content, self.made(new(term), term)));
                Ok(sum)
            }
            Step::End(variable, begins) => {
                let handle = self.variable(*variable);
                if let Handle::Channel(_) = handle {
                    self.reads();
                }
                if let Some(end) = handle.end(tx, *begins) {
                    self.adds(end);
                }
                Ok(sum)
            }
            Step::Kill(victim) => {
                self.world().kill(*victim);
                Ok(sum)
            }
            Step::Misuse(misuse) => {
                if !self.is_over.get() {
                    self.misuse(*misuse);
                }
                Ok(sum)
            }
        }
    }

    fn misuse(&self, misuse: Misuse) {
        let scratch = &self.world().scratch;
        match misuse {
            Misuse::Get => scratch.get(),
            Misuse::Set => scratch.set(()),
            Misuse::Nest => atomically(|_| Ok(())),
            Misuse::Yield => yield_now(),
            Misuse::Sleep => sleep(Duration::from_millis(1)),
            Misuse::SpawnNow => drop(spawn_now(|| ())),
        }
        self.world()
            .fail(format!("{misuse:?} is possible inside of a transaction"));
    }
}

/// A local value of a transaction whose destructor does something.
struct Beside<'a> {
    stage: &'a Stage<'a>,
    deed: &'a Deed,
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        let world = self.stage.world();
        // A transaction of its own: it panics, unless the other unwinds, which it then ends.
        world.scratch.get();
        self.stage.is_over.set(true);
        world.destructor(self.deed);
    }
}
