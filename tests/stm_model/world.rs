//! A world: its variables and tasks, and what happens to them, in the model at the same time.
use super::handles::Handle;
use super::model::{Counts, Mind, Model};
use super::program::{Content, Deed, Step, Term};
use super::reference::{Before, Prediction};
use super::values::{Held, Name};
use super::waits::State;
use super::words::{Ledger, Made};
use maypole::stm::{Named, TVar};
use maypole::task::{self, Status};
use maypole::{Task, time};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// More variables than this are not shared.
const VARIABLES: usize = 10;

/// Runs of one transaction in which the words that it makes have destructors of their own, and it
/// makes delays. Else it could wake itself for ever.
pub const RUNS: usize = 3;

pub struct World {
    /// Whether the scheduler keeps the order.
    is_fair: bool,
    pub shared: RefCell<Vec<(Name, Handle)>>,
    pub model: RefCell<Model>,
    pub ledger: Rc<Ledger>,
    /// The first is main.
    pub tasks: RefCell<Vec<Task>>,
    pub named: Named,
    /// Nobody waits for it.
    pub scratch: TVar<()>,
    /// Hooks and destructors that are under way.
    pub busy: Cell<usize>,
    /// The run is over.
    pub over: Cell<bool>,
    pub counts: Cell<Counts>,
    failure: RefCell<Option<String>>,
    trace: Option<RefCell<Vec<String>>>,
}

impl World {
    pub fn new(is_fair: bool, traces: bool) -> Rc<World> {
        Rc::new(World {
            is_fair,
            shared: RefCell::default(),
            model: RefCell::default(),
            ledger: Rc::default(),
            tasks: RefCell::default(),
            named: Named::new("world"),
            scratch: TVar::new(()),
            busy: Cell::new(0),
            over: Cell::new(false),
            counts: Cell::default(),
            failure: RefCell::default(),
            trace: traces.then(RefCell::default),
        })
    }

    // ── what goes wrong ──────────────────────────────────────────────────────────────────────

    /// The first that goes wrong is kept.
    pub fn fail(&self, text: String) {
        self.note(|| format!("FAILED: {text}"));
        self.failure.borrow_mut().get_or_insert(text);
    }

    pub fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    pub fn note(&self, text: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace.borrow_mut().push(text());
        }
    }

    pub fn trace(&self) -> Vec<String> {
        self.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }

    pub fn count(&self, which: impl FnOnce(&mut Counts) -> &mut u64) {
        let mut counts = self.counts.get();
        *which(&mut counts) += 1;
        self.counts.set(counts);
    }

    // ── tasks ────────────────────────────────────────────────────────────────────────────────

    pub fn add_task(&self, task: Task) {
        self.tasks.borrow_mut().push(task);
        self.model.borrow_mut().minds.push(Mind::default());
    }

    /// The number of the running task.
    pub fn me(&self) -> usize {
        let id = task::current().id();
        let tasks = self.tasks.borrow();
        let me = tasks.iter().position(|task| task.id() == id);
        me.expect("every task of the world has a number")
    }

    pub fn mind<R>(&self, task: usize, with: impl FnOnce(&mut Mind) -> R) -> R {
        with(&mut self.model.borrow_mut().minds[task])
    }

    /// Whether the run kills all that are left.
    pub fn is_ending(&self) -> bool {
        if self.over.get() || self.model.borrow().ending.is_some() {
            return true;
        }
        let main = self.tasks.borrow()[0].status();
        let ends = matches!(main, Status::Killing | Status::Killed);
        if ends {
            self.begin_end();
        }
        ends
    }

    pub fn begin_end(&self) {
        let model = &mut *self.model.borrow_mut();
        let waits = &model.waits;
        model.ending.get_or_insert_with(|| waits.clone());
    }

    pub fn kill(&self, task: usize) {
        let tasks = self.tasks.borrow();
        let number = task % tasks.len();
        let victim = tasks[number].clone();
        drop(tasks);
        // Main is killed by the run alone.
        if number == 0 || victim.kill("by chance") == task::Killed::Finished {
            return;
        }
        self.note(|| format!("task {number} is killed"));
        let model = &mut *self.model.borrow_mut();
        if std::mem::replace(&mut model.minds[number].killed, true) {
            return;
        }
        self.count(|counts| &mut counts.kills);
        if model.minds[number].shields == 0 {
            let is_late = model.minds[number].yields > 0;
            let woken = model.waits.kill(number, time::now(), is_late);
            (0..woken).for_each(|_| self.count(|counts| &mut counts.wakes));
        }
    }

    // ── variables ────────────────────────────────────────────────────────────────────────────

    pub fn pick(&self, variable: usize) -> (Name, Handle) {
        let shared = self.shared.borrow();
        shared[variable % shared.len()].clone()
    }

    pub fn share(&self, name: Name, handle: Handle) {
        let mut shared = self.shared.borrow_mut();
        if shared.len() < VARIABLES {
            shared.push((name, handle));
        }
    }

    /// A new variable for all.
    pub fn make(self: &Rc<Self>, content: Content, term: &Term) {
        let model = &mut *self.model.borrow_mut();
        let id = (model.next_event(), 0);
        let name = model.make(content, term.plus, id, time::now());
        let made = Made::new(self, term.plus, term, id);
        self.share(name, Handle::new(name, content, made));
    }

    pub fn forget(&self, variable: usize) {
        let mut shared = self.shared.borrow_mut();
        if shared.len() > 2 {
            let at = variable % shared.len();
            let forgotten = shared.remove(at);
            drop(shared);
            self.note(|| format!("v{} is forgotten", forgotten.0));
        }
    }

    /// Sets the variable; to more than a value something is done that does not wait.
    pub fn set(self: &Rc<Self>, variable: usize, number: i64, deed: Option<Deed>) {
        let (me, (name, handle)) = (self.me(), self.pick(variable));
        let term = Term { plus: number, deed };
        if !handle.is_one() {
            return self.transact(&vec![Step::Update(variable, term)]);
        }
        self.check();
        let mut model = self.model.borrow_mut();
        let id = (model.next_event(), 0);
        let Held::One(before) = model.values[&name] else {
            unreachable!("it holds one value");
        };
        let value = before.like(number, id);
        self.note(|| format!("task {me} sets v{name} to {value:?}"));
        let written = BTreeMap::from([(name, Held::One(value))]);
        model.change(me, written, time::now());
        drop(model);
        handle.set(Made::new(self, number, &term, id));
    }

    pub fn get(self: &Rc<Self>, variable: usize) {
        let (name, handle) = self.pick(variable);
        if !handle.is_one() {
            return self.transact(&vec![Step::Read(variable)]);
        }
        self.check();
        let (found, model) = (Held::One(handle.get()), self.model.borrow());
        let expected = &model.values[&name];
        if found != *expected {
            self.fail(format!("v{name} is {found:?}, and should be {expected:?}"));
        }
    }

    // ── attempts ─────────────────────────────────────────────────────────────────────────────

    /// An attempt begins, the first of its call or not; tells what it will come to.
    pub fn begin(
        &self,
        (me, call): (usize, usize),
        run: usize,
        predict: impl FnOnce(Before<'_>) -> Prediction,
    ) -> Prediction {
        self.check();
        let (is_ending, now) = (self.is_ending(), time::now());
        let model = &mut *self.model.borrow_mut();
        if run > 1 {
            match model.runs_again(call, self.is_fair, now) {
                // A shield may hold it here while the others are killed.
                _ if is_ending => model.waits.uncounted += 1,
                Ok(State::Again) => self.count(|counts| &mut counts.again),
                Ok(_) => self.count(|counts| &mut counts.wakes),
                Err(text) => self.fail(format!("task {me} runs a transaction again: {text}")),
            }
        }
        let event = model.next_event();
        let shared = self.shared.borrow();
        let prediction = predict(Before {
            values: &model.values,
            shared: shared.iter().map(|(name, _)| *name).collect(),
            next: model.values.len(),
            event,
            now,
            is_early: run <= RUNS,
        });
        model.adopt(&prediction);
        prediction
    }

    /// The attempt commits.
    pub fn commits(&self, me: usize, written: BTreeMap<Name, Held>) {
        self.count(|counts| &mut counts.commits);
        self.model.borrow_mut().change(me, written, time::now());
    }

    /// The attempt retries.
    pub fn retries(&self, (me, call): (usize, usize), prediction: Prediction) {
        self.count(|counts| &mut counts.retries);
        let model = &mut *self.model.borrow_mut();
        model.retried(me, call, prediction.read, time::now());
    }

    /// The task is in a destructor, and lets others run.
    pub fn delayed(self: &Rc<Self>, others: impl FnOnce()) {
        let me = self.me();
        let delays = || {
            let model = &mut *self.model.borrow_mut();
            model.waits.is_delayed(me, time::now());
        };
        delays();
        self.mind(me, |mind| mind.yields += 1);
        others();
        self.mind(me, |mind| mind.yields -= 1);
        delays();
    }
}
