//! Calls of `atomically`: each attempt beside what the model says of it.
use super::checks::broke;
use super::program::{Block, Deed};
use super::reference::{Prediction, predict};
use super::stage::Stage;
use super::values::{Broke, Ended, Id};
use super::world::World;
use maypole::stm::{Stop, Transaction};
use maypole::time;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

impl World {
    pub fn transact(self: &Rc<Self>, block: &Block) {
        if self.has_failed() {
            return;
        }
        let (me, number) = (self.me(), self.model.borrow_mut().next_call());
        let call = Rc::new(Call {
            world: self.clone(),
            me,
            number,
            was_killed: self.mind(me, |mind| {
                mind.killed && mind.shields == 0 && mind.deeds == 0
            }),
            runs: Cell::new(0),
            expected: Cell::new(None),
            hooks: RefCell::default(),
            panics: Cell::new(None),
            unwound: Cell::new(0),
        });
        let _end = EndOfCall(call.clone());
        let transaction = |tx: &Transaction| call.attempt(tx, block);
        let ended = catch_unwind(AssertUnwindSafe(|| self.named.try_atomically(transaction)));
        let ended = match ended {
            Ok(Ok(sum)) => Ended::Went(sum),
            Ok(Err(error)) => Ended::Abort(error),
            Err(payload) => Ended::Broke(self.own(payload)),
        };
        self.note(|| format!("task {me} ends with {ended:?}"));
        let expected = match (call.expected.get(), call.panics.get()) {
            (Some(Ended::Went(_)), Some(number)) => Some(Ended::Broke(Broke::Planned(number))),
            (expected, _) => expected,
        };
        if Some(ended) != expected {
            self.fail(format!(
                "task {me} ends with {ended:?}, and should with {expected:?}"
            ));
        }
    }

    /// What has broken; anything else that unwinds, a kill or a timeout, goes on.
    pub fn own(&self, payload: Box<dyn Any + Send>) -> Broke {
        match broke(&*payload) {
            None => {
                let (me, now) = (self.me(), time::now());
                let is_due = self.mind(me, |mind| {
                    mind.killed || mind.limits.iter().any(|(limit, _)| *limit <= now)
                });
                if !is_due && !self.is_ending() {
                    self.fail(format!("task {me} unwinds for nothing"));
                }
                resume_unwind(payload)
            }
            Some(Ok(broke)) => broke,
            Some(Err(text)) => {
                self.fail(format!("an unknown panic: {text}"));
                resume_unwind(payload)
            }
        }
    }
}

/// A call of `atomically`.
pub struct Call {
    pub world: Rc<World>,
    me: usize,
    number: usize,
    /// Before it began.
    was_killed: bool,
    pub runs: Cell<usize>,
    /// What the latest attempt is to end with.
    expected: Cell<Option<Ended>>,
    /// Those that are to run.
    hooks: RefCell<VecDeque<Id>>,
    /// What the first hook panics with that panics.
    panics: Cell<Option<i64>>,
    /// How many hooks and destructors of the task had unwound when it committed.
    unwound: Cell<usize>,
}

/// However the call ends, nothing is left of it.
struct EndOfCall(Rc<Call>);

impl Drop for EndOfCall {
    fn drop(&mut self) {
        let Call { world, me, .. } = &*self.0;
        let hooks = self.0.hooks.take();
        if !hooks.is_empty() && !world.has_failed() {
            world.fail(format!(
                "task {me} has committed, and not run these hooks: {hooks:?}"
            ));
        }
        let is_ending = world.is_ending();
        let wait = world.model.borrow_mut().waits.remove(self.0.number);
        if let Some(wait) = wait {
            let is_late = wait.limit.is_some_and(|limit| limit <= time::now());
            let killed = world.mind(*me, |mind| mind.killed);
            if !is_late && !killed && !is_ending {
                world.fail(format!("task {me} has left for nothing: {wait:?}"));
            }
        }
    }
}

impl Call {
    fn attempt(self: &Rc<Self>, tx: &Transaction, block: &Block) -> Result<i64, Stop<i64>> {
        let Call { world, me, .. } = &**self;
        let run = self.runs.get() + 1;
        self.runs.set(run);
        if self.was_killed && !std::thread::panicking() {
            world.fail(format!("task {me} begins a transaction after its kill"));
        }
        let prediction = world.begin((*me, self.number), run, |before| predict(before, block));
        world.note(|| {
            format!(
                "task {me}: attempt {} of {block:?}: {prediction:?}",
                prediction.event
            )
        });
        self.expected.set(Some(prediction.ended));
        if let Ended::Broke(_) = prediction.ended {
            world.count(|counts| &mut counts.panics);
        }
        let stage = Stage::new(self, tx, &prediction);
        let ended = stage.block(block, 0);
        self.compare(&stage, &ended, prediction);
        ended
    }

    /// The attempt has come to its end; what the model says of it comes true.
    fn compare(&self, stage: &Stage<'_>, ended: &Result<i64, Stop<i64>>, prediction: Prediction) {
        let Call { world, me, .. } = self;
        let ended = match ended {
            Ok(sum) => Ended::Went(*sum),
            Err(Stop::Retry) => Ended::Retry,
            Err(Stop::Abort(error)) => Ended::Abort(*error),
        };
        let seen = stage.seen.take();
        if seen != prediction.seen {
            world.fail(format!(
                "task {me} has read {seen:?}, and should {:?}",
                prediction.seen
            ));
        }
        let breaks_later = match prediction.ended {
            Ended::Broke(Broke::NothingRead) => ended == Ended::Retry,
            Ended::Broke(Broke::Over) => stage.is_over.get(),
            _ => false,
        };
        if ended != prediction.ended && !breaks_later {
            world.fail(format!(
                "an attempt of task {me} ends with {ended:?}: {prediction:?}"
            ));
        }
        match prediction.ended {
            Ended::Went(_) => {
                let named = prediction.named.into_iter().zip(stage.made.take());
                named.for_each(|(name, handle)| world.share(name, handle));
                let hooks = prediction.hooks;
                let planned = stage.panics.take();
                let first = planned.iter().find(|(id, _)| hooks.contains(id));
                self.panics.set(first.map(|(_, number)| *number));
                self.hooks.borrow_mut().extend(hooks);
                self.unwound.set(world.mind(*me, |mind| mind.unwound));
                world.commits(*me, prediction.written);
            }
            Ended::Retry => world.retries((*me, self.number), prediction),
            Ended::Abort(_) => world.count(|counts| &mut counts.aborts),
            Ended::Broke(_) if ended == Ended::Retry => world.count(|counts| &mut counts.in_vain),
            Ended::Broke(_) => {}
        }
    }

    /// A hook runs.
    pub fn hook(&self, id: Id, deed: Option<&Deed>) {
        let Call { world, me, .. } = self;
        if world.over.get() || world.has_failed() {
            return;
        }
        world.count(|counts| &mut counts.hooks);
        let next = self.hooks.borrow_mut().pop_front();
        if next != Some(id) || world.me() != *me {
            world.fail(format!(
                "the hook {id:?} of task {me} runs, and {next:?} should"
            ));
        }
        world.check();
        let waits = matches!(deed, Some(Deed::Transact(_) | Deed::Yield | Deed::Sleep(_)));
        let is_cleanup = world.mind(*me, |mind| mind.unwound) != self.unwound.get();
        // Once something has unwound, the rest of the hooks may be beyond the reach of kills.
        if let Some(deed) = deed
            && !(waits && is_cleanup)
        {
            world.hook(deed);
        }
    }
}
