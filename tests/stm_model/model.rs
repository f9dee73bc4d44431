//! What the model knows of a world: what variables hold, what tasks are in, who waits.
use super::program::Content;
use super::reference::Prediction;
use super::values::{Held, Id, Item, Name, Value};
use super::waits::{State, Wait, Waits};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What the model knows of a task.
#[derive(Default)]
pub struct Mind {
    pub killed: bool,
    pub shields: usize,
    /// When its timeouts expire, and how many shields each was entered under.
    pub limits: Vec<(Instant, usize)>,
    /// Hooks and destructors that it is in.
    pub deeds: usize,
    /// How many of them were left by an unwind.
    pub unwound: usize,
    /// Destructors in which it lets others go first.
    pub yields: usize,
}

impl Mind {
    /// When the first timeout expires that no shield inside of it holds back.
    fn limit(&self) -> Option<Instant> {
        let limits = self.limits.iter();
        let free = limits.filter(|(_, shields)| *shields == self.shields);
        free.map(|(limit, _)| *limit).min()
    }
}

/// What has happened.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    pub commits: u64,
    pub aborts: u64,
    pub retries: u64,
    pub wakes: u64,
    /// Woken before it came to park.
    pub again: u64,
    /// Retries that had read nothing, or came when all was over: they may count or not.
    pub in_vain: u64,
    pub panics: u64,
    pub kills: u64,
    pub timeouts: u64,
    pub hooks: u64,
    pub destructors: u64,
    pub deadlocks: u64,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.retries += other.retries;
        self.wakes += other.wakes;
        self.again += other.again;
        self.in_vain += other.in_vain;
        self.panics += other.panics;
        self.kills += other.kills;
        self.timeouts += other.timeouts;
        self.hooks += other.hooks;
        self.destructors += other.destructors;
        self.deadlocks += other.deadlocks;
    }
}

#[derive(Default)]
pub struct Model {
    /// Of every variable that there ever was.
    pub values: BTreeMap<Name, Held>,
    /// When those come true that have not yet.
    due: BTreeMap<Name, Instant>,
    /// Those that come true by themselves, at any time.
    pub delays: BTreeSet<Name>,
    pub waits: Waits,
    pub minds: Vec<Mind>,
    /// Of the next event that may make values.
    event: u64,
    calls: usize,
    /// Who waited when the run began to end.
    pub ending: Option<Waits>,
}

impl Model {
    pub fn next_event(&mut self) -> u64 {
        self.event += 1;
        self.event
    }

    /// The number of a new call of `atomically`.
    pub fn next_call(&mut self) -> usize {
        self.calls += 1;
        self.calls
    }

    // ── variables ────────────────────────────────────────────────────────────────────────────

    pub fn make(&mut self, content: Content, number: i64, id: Id, now: Instant) -> Name {
        let name = self.values.len();
        let held = Held::new(content, number, id, name);
        self.values.extend((name..).zip(held));
        if let Content::Delay(moment) = content {
            self.due.insert(name, now + Duration::from_millis(moment));
            self.delays.insert(name);
        }
        name
    }

    /// What an attempt does however it ends: the variables that it has made are there.
    pub fn adopt(&mut self, prediction: &Prediction) {
        self.values.extend(prediction.made.clone());
        self.delays.extend(prediction.due.keys());
        self.due.extend(&prediction.due);
    }

    /// Delays whose moment has come are true.
    pub fn catch_up(&mut self, now: Instant) {
        let values = &mut self.values;
        self.due.retain(|name, due| {
            let is_due = *due <= now;
            if is_due {
                values.insert(*name, Held::One(Value::Flag(true)));
            }
            !is_due
        });
    }

    /// The words that these variables hold, and those that they lead to.
    pub fn words(&self, names: impl IntoIterator<Item = Name>) -> BTreeSet<Id> {
        let (mut words, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut names: Vec<Name> = names.into_iter().collect();
        while let Some(name) = names.pop() {
            if seen.insert(name) {
                let (ids, others) = self.values[&name].keeps();
                words.extend(ids);
                names.extend(others);
            }
        }
        words
    }

    /// What can be taken out of a variable, if it holds more than a value.
    pub fn list(&self, name: Name) -> Option<Vec<Value>> {
        let word = |item: &Item| Value::Word(item.0, item.1);
        Some(match &self.values[&name] {
            Held::Place(item) => item.iter().map(word).collect(),
            Held::Queue(_, items) => items.iter().map(word).collect(),
            Held::End { first, .. } => {
                let node = |name: &Name| match &self.values[name] {
                    Held::Node(node) => *node,
                    _ => None,
                };
                let next = |(_, name): &(Item, Name)| node(name);
                let nodes = std::iter::successors(node(first), next);
                nodes.map(|(item, _)| word(&item)).collect()
            }
            _ => return None,
        })
    }

    // ── transactions ─────────────────────────────────────────────────────────────────────────

    /// A call begins another run; what is wrong with that.
    pub fn runs_again(
        &mut self,
        call: usize,
        is_fair: bool,
        now: Instant,
    ) -> Result<State, String> {
        let is_first = self.waits.is_first_in_line(call);
        let Some(wait) = self.waits.remove(call) else {
            return Err("it had not retried".to_string());
        };
        match wait.state {
            State::Woken if is_fair && !is_first => {
                Err(format!("it is too early, of {:?}", self.waits))
            }
            State::Parked if !wait.goes_on(now) => Err(format!("for nothing: {wait:?}")),
            State::Killed => Err("and was killed".to_string()),
            state => Ok(state),
        }
    }

    /// A call is on its way into a park, or lets others run in a destructor.
    fn is_late(minds: &[Mind], me: usize) -> impl Fn(usize) -> bool + '_ {
        move |task| task == me || minds[task].yields > 0
    }

    /// These are written, and whoever waits for one of them is woken.
    pub fn change(&mut self, me: usize, written: BTreeMap<Name, Held>, now: Instant) {
        let changed = written.keys().copied().collect();
        self.values.extend(written);
        let is_late = Self::is_late(&self.minds, me);
        self.waits.wake(&changed, now, is_late);
    }

    /// An attempt has retried.
    pub fn retried(&mut self, me: usize, call: usize, read: BTreeSet<Name>, now: Instant) {
        let mind = &self.minds[me];
        let due = read.iter().filter_map(|name| self.due.get(name));
        self.waits.add(Wait {
            call,
            task: me,
            state: match mind.killed && mind.shields == 0 {
                true => State::Killed,
                false => State::Parked,
            },
            is_loose: false,
            since: now,
            due: due.min().copied(),
            limit: mind.limit(),
            read,
        });
    }
}
