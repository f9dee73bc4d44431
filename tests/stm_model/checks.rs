//! What must hold of a world: at any moment, between transactions, and when its run is over.
use super::handles::text;
use super::values::{Broke, Held, Id, Name};
use super::waits::{State, Wait};
use super::world::World;
use maypole::task::{Status, What};
use maypole::time;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// What must hold at any moment.
    pub fn check(&self) {
        self.model.borrow_mut().catch_up(time::now());
        self.check_values();
        if !self.is_ending() {
            self.check_waits();
        }
    }

    /// Whether every variable holds what it should, as far as that can be seen inside of a
    /// transaction. Of the delays nobody knows before they are read whether they have noticed what
    /// time it is.
    fn check_values(&self) {
        let model = self.model.borrow();
        for (name, handle) in self.shared.borrow().iter() {
            let Held::One(value) = model.values[name] else {
                continue;
            };
            let (found, expected) = (handle.text(), text(value));
            if found != expected && !model.delays.contains(name) {
                self.fail(format!("v{name} is {found}, and should be {expected}"));
            }
        }
    }

    /// Whether exactly those are parked who should be.
    fn check_waits(&self) {
        let (model, now, me) = (self.model.borrow(), time::now(), self.me());
        for wait in &model.waits.list {
            let mind = &model.minds[wait.task];
            if wait.task == me || mind.yields > 0 {
                continue;
            }
            let status = self.tasks.borrow()[wait.task].status();
            let is_parked = status == Status::Parked(What::Atomically);
            // It may have parked just now for a moment that was over.
            let is_over_at_once = is_parked && wait.since == now;
            let fits = match (wait.state, status) {
                (State::Killed, status) => status == Status::Killing,
                (_, Status::Killing) => mind.killed,
                (State::Parked, Status::Ready) => wait.is_due(now),
                (State::Parked, _) => is_parked && !wait.is_due(now) || is_over_at_once,
                (State::Woken, status) => status == Status::Ready,
                (State::Again, status) => status == Status::Ready || is_over_at_once,
            };
            if !fits {
                let task = wait.task;
                self.fail(format!("task {task} is {status:?} at {now:?}: {wait:?}"));
            }
        }
    }

    /// What must hold between transactions: nothing is left over of the latest.
    pub fn check_between(&self) {
        if self.busy.get() > 0 {
            return;
        }
        self.check_words();
        self.check_lists();
    }

    /// Whether there are exactly those words that variables hold.
    fn check_words(&self) {
        let (model, shared) = (self.model.borrow(), self.shared.borrow());
        let waits = model.waits.list.iter();
        let (loose, firm): (Vec<_>, Vec<_>) = waits.partition(|wait| wait.is_loose);
        let read = |waits: Vec<&Wait>| -> BTreeSet<Name> {
            waits.iter().flat_map(|wait| wait.read.clone()).collect()
        };
        let must: BTreeSet<Id> =
            model.words(shared.iter().map(|(name, _)| *name).chain(read(firm)));
        let may = model.words(read(loose));
        let alive = self.ledger.alive.borrow();
        let early: Vec<_> = must.difference(&alive).collect();
        let late = alive.difference(&must).filter(|id| !may.contains(id));
        let (late, copies): (Vec<_>, _) = (late.collect(), self.ledger.copies.get());
        if !early.is_empty() || !late.is_empty() || copies > 0 {
            self.fail(format!(
                "words dropped early: {early:?}, late: {late:?}, copies: {copies}"
            ));
        }
    }

    /// Whether there is in queues and the like what should be. To look takes a transaction, which is
    /// undone.
    fn check_lists(&self) {
        let shared = self.shared.borrow().clone();
        for (name, handle) in shared.iter().filter(|(_, handle)| !handle.is_one()) {
            let found = handle.snapshot();
            let expected = self.model.borrow().list(*name);
            if found != expected {
                self.fail(format!("v{name} has {found:?}, and should {expected:?}"));
            }
        }
    }

    /// Nothing moves any more: whoever was killed has ended.
    pub fn check_killed(&self) {
        for (number, task) in self.tasks.borrow().iter().enumerate() {
            if task.status() == Status::Killing {
                self.fail(format!("task {number} was killed, and has not ended"));
            }
        }
    }

    /// The run has ended in a deadlock: the model says the same, and of whom.
    pub fn check_deadlock(&self, report: &str) {
        self.count(|counts| &mut counts.deadlocks);
        let model = self.model.borrow();
        let waits = model.ending.clone().unwrap_or_default();
        let is_for_ever =
            |wait: &Wait| wait.state == State::Parked && wait.due.is_none() && wait.limit.is_none();
        if waits.list.is_empty() || !waits.list.iter().all(is_for_ever) {
            self.fail(format!("a deadlock, and {waits:?}: {report}"));
        }
        let is_named = |name: &&Name| match model.values[name] {
            Held::One(_) => !model.delays.contains(name),
            Held::Place(_) => true,
            _ => false,
        };
        let named = |read: &BTreeSet<Name>| read.iter().filter(is_named).copied().collect();
        let waits = waits.list.iter();
        let expected: BTreeMap<usize, BTreeSet<Name>> =
            waits.map(|wait| (wait.task, named(&wait.read))).collect();
        let found = waiting(report);
        if found != expected {
            self.fail(format!(
                "the report names {found:?}, and should {expected:?}: {report}"
            ));
        }
    }

    /// The run is over.
    pub fn settle(&self) {
        if self.has_failed() {
            return;
        }
        self.check_values();
        self.check_lists();
        for (name, handle) in self.shared.borrow().iter().filter(|it| it.1.is_one()) {
            let (found, model) = (Held::One(handle.get()), self.model.borrow());
            // Outside of the run it is another time.
            if found != model.values[name] && !model.delays.contains(name) {
                self.fail(format!("v{name} is {found:?} in the end"));
            }
        }
        let (found, counts) = (self.named.counters(), self.counts.get());
        let model = self.model.take();
        // While a run ends, nobody here counts the wakes.
        let most = match model.ending.is_some_and(|waits| !waits.list.is_empty()) {
            true => u64::MAX,
            false => counts.wakes + model.waits.uncounted,
        };
        let fits = (found.commits, found.aborts) == (counts.commits, counts.aborts)
            && (counts.retries..=counts.retries + counts.in_vain).contains(&found.retries)
            && (counts.wakes..=most).contains(&found.wakes);
        if !fits {
            self.fail(format!("it was counted {found}, and should be {counts:?}"));
        }
        drop(self.shared.take());
        let (alive, copies) = (self.ledger.alive.borrow(), self.ledger.copies.get());
        if !alive.is_empty() || copies > 0 {
            self.fail(format!("{alive:?} are never dropped, nor {copies} copies"));
        }
    }
}

/// The variables that each task waits for and that have a name of their own, after a report.
fn waiting(report: &str) -> BTreeMap<usize, BTreeSet<Name>> {
    let mut found = BTreeMap::new();
    let mut current = None;
    for line in report.lines() {
        if let Some(head) = line.strip_prefix("  #") {
            let name = head.split_whitespace().nth(1).unwrap_or_default();
            let number = match name {
                "main" => Some(0),
                name => name.strip_prefix('t').and_then(|name| name.parse().ok()),
            };
            current = number.filter(|_| line.contains("waits for a change of"));
            if let Some(task) = current {
                found.insert(task, BTreeSet::new());
            }
        }
        let Some(read) = current.and_then(|task| found.get_mut(&task)) else {
            continue;
        };
        let names = line.split("Var 'v").skip(1);
        read.extend(names.filter_map(|rest| rest.split('\'').next()?.parse::<Name>().ok()));
    }
    found
}

// ── what has unwound ─────────────────────────────────────────────────────────────────────────

/// The payload of a panic that a program has planned.
pub struct Planned(pub i64);

/// A transaction that is over reads nothing more.
pub struct ReadWhenOver;

/// What has unwound, if it is of the world's own or the library's making; an error is unknown.
pub fn broke(payload: &(dyn Any + Send)) -> Option<Result<Broke, String>> {
    if let Some(Planned(number)) = payload.downcast_ref() {
        return Some(Ok(Broke::Planned(*number)));
    }
    if payload.is::<ReadWhenOver>() {
        return Some(Ok(Broke::Over));
    }
    let text = match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => payload.downcast_ref::<&str>()?.to_string(),
    };
    let messages = [
        ("do not nest", Broke::Nested),
        ("it runs in one piece", Broke::Refused),
        (" is over: ", Broke::Over),
        ("while its content is being read", Broke::BeingRead),
        ("which has read no variable", Broke::NothingRead),
    ];
    let known = messages.iter().find(|(part, _)| text.contains(part));
    Some(known.map(|(_, broke)| *broke).ok_or(text))
}
