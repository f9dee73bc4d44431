//! What a report says of one task: what it does, who holds what it waits for, what it holds.
//!
//! ```text
//!   #2 phil-0  waits to lock Mutex 'fork 1' at src/p.rs:15 (spawned at src/p.rs:33)
//!              made at src/p.rs:31, held by phil-1 since src/p.rs:14
//!              holds Mutex 'fork 0' since src/p.rs:14
//!      14 ┊ let _left = forks[i].lock();
//!      15 ┊ let _right = forks[(i + 1) % n].lock();      <- here
//! ```
use super::groups::Group;
use super::names::{self, Names, place, some};
use super::source::Sources;
use crate::scheduler::object::{Awaited, ObjectView};
use crate::scheduler::snapshot::TaskView;
use crate::scheduler::task::{Status, TaskId};
use crate::scheduler::wait::What;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

/// Names are padded up to here.
const WIDEST_HEAD: usize = 24;

/// Longer contents are cut.
const LONGEST_CONTENT: usize = 100;

/// Writes the entries of one report.
pub(super) struct Entries<'a> {
    tasks: &'a [TaskView],
    names: &'a Names<'a>,
    holdings: Holdings<'a>,
    sources: Sources,
    /// The column that all text begins in.
    column: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(tasks: &'a [TaskView], names: &'a Names<'a>, groups: &[Group]) -> Self {
        let heads = groups.iter().map(|group| head(&tasks[group.first()]));
        let widest = heads.map(|head| head.chars().count()).max().unwrap_or(0);
        Entries {
            tasks,
            names,
            holdings: Holdings::new(tasks),
            sources: Sources::default(),
            column: widest.min(WIDEST_HEAD) + 4,
        }
    }

    /// All lines of one task, or of a group of them.
    pub(super) fn write(&mut self, group: &Group, text: &mut String) {
        let task = &self.tasks[group.first()];
        let mut head = format!("  {}", head(task));
        let column = self.column;
        if head.chars().count() >= column {
            head.push_str("  ");
        }
        let does = self.does(task);
        let flags = flags(task);
        let site = place(task.site);
        let alike = alike(group, task, self.tasks);
        text.push_str(&format!(
            "{head:<column$}{does}{flags} (spawned at {site}){alike}\n"
        ));
        for fact in self.facts(task) {
            text.push_str(&format!("{:column$}{fact}\n", ""));
        }
        if !is_ready(task) {
            let here = task.wait.place(task.site);
            let held = self.holdings.of(task.id).iter();
            let held = held.filter(|(_, since)| since.file() == here.file());
            let lines = held.map(|(_, since)| since.line());
            for line in self.sources.around(here, lines) {
                text.push_str(&format!("{line}\n"));
            }
        }
    }

    /// `waits to lock Mutex 'fork 1' at src/p.rs:15`.
    fn does(&self, task: &TaskView) -> String {
        if is_ready(task) {
            return "waits for a turn".to_string();
        }
        let at = place(task.wait.place(task.site));
        let object = |kind: &str| match distinct(&task.objects)[..] {
            [object] => names::object(&object.view),
            _ => names::with_article(kind),
        };
        let does = match task.wait.what {
            What::Join(id) => format!("joins {}", self.names.of_id(id)),
            What::Scope => "waits for the end of a scope's tasks".to_string(),
            What::Sleep => "sleeps".to_string(),
            What::Unpark => "waits to be unparked".to_string(),
            What::Send => format!("is sending to {}", object("channel")),
            What::Recv => format!("is receiving from {}", object("channel")),
            What::Select => "waits in a select".to_string(),
            What::Lock => format!("waits to lock {}", object("Mutex")),
            What::Read => format!("waits to read {}", object("RwLock")),
            What::Write => format!("waits to write {}", object("RwLock")),
            What::Condvar => format!("waits for {} to wake it", object("Condvar")),
            What::Acquire => format!("waits for permits of {}", object("Semaphore")),
            What::Barrier => format!("waits for the others at {}", object("Barrier")),
            What::Once => format!("waits for the value of {}", object("OnceCell")),
            What::Event => format!("waits for {} to be set", object("Event")),
            What::WaitGroup => format!("waits for the end of {}", object("WaitGroup")),
            What::Atomically if objects_of(task) > 1 => {
                "waits for a change of what its transaction has read".to_string()
            }
            What::Atomically => format!("waits for a change of {}", object("TVar")),
            What::Input => format!("waits for data from {}", object("descriptor")),
            What::Output => format!("waits for room in {}", object("descriptor")),
            What::Accept => format!("waits for a connection at {}", object("TcpListener")),
            What::Connect => "waits for the answer to a connect".to_string(),
            What::Offload => "waits for an OS thread that works for it".to_string(),
            What::Thread => "waits for another OS thread".to_string(),
            What::Job => "waits for a job".to_string(),
            What::Future => "waits for a future".to_string(),
            What::Signal => "waits for a signal".to_string(),
            What::Process => "waits for a process to end".to_string(),
            what => format!("waits in {what}"),
        };
        format!("{does} at {at}")
    }

    /// A line for each thing that it waits for, and one for what it holds.
    fn facts(&self, task: &TaskView) -> Vec<String> {
        let mut facts = Vec::new();
        let objects = distinct(&task.objects);
        for Awaited { view, .. } in &objects {
            match (task.wait.what, objects.len()) {
                (What::Scope, _) => facts.extend(self.children(view)),
                (What::Select, _) | (_, 2..) => {
                    let object = names::object(view);
                    facts.push(format!("for {object}: {}", self.stands(task, view)));
                }
                _ => facts.push(self.stands(task, view)),
            }
        }
        let held = self.holdings.of(task.id).iter().map(|(object, since)| {
            let object = names::object_alone(&object.view);
            format!("{object} since {}", place(since))
        });
        let held: Vec<String> = held.collect();
        if !held.is_empty() {
            facts.push(format!("holds {}", some(&held)));
        }
        facts
    }

    /// How an object stands, where it was made, who holds it.
    fn stands(&self, task: &TaskView, view: &ObjectView) -> String {
        let mut facts = Vec::new();
        if !view.state.is_empty() {
            facts.push(view.state.clone());
        }
        facts.extend(content(view));
        facts.push(format!("made at {}", place(view.made_at)));
        let owners = view.owners.iter();
        let (known, gone): (Vec<_>, Vec<_>) =
            owners.partition(|(id, _)| self.names.position(*id).is_some());
        let known = known.iter().map(|(id, since)| {
            let owner = match *id == task.id {
                true => "itself".to_string(),
                false => self.names.of_id(*id),
            };
            format!("{owner} since {}", place(since))
        });
        let known: Vec<String> = known.collect();
        if !known.is_empty() {
            facts.push(format!("held by {}", some(&known)));
        }
        let gone = gone.iter().map(|(id, since)| {
            format!(
                "{id} ended with the guard alive that it took at {}",
                place(since)
            )
        });
        let gone: Vec<String> = gone.collect();
        if !gone.is_empty() {
            facts.push(format!("owner unknown: {}", some(&gone)));
        } else if view.owners.is_empty() && is_for_owner(task.wait.what) {
            facts.push("owner unknown".to_string());
        }
        facts.join(", ")
    }

    /// The tasks that a scope waits for.
    fn children(&self, view: &ObjectView) -> Option<String> {
        let owners = view.owners.iter();
        let left = owners.filter(|(id, _)| {
            let child = self.names.position(*id);
            child.is_some_and(|index| !self.tasks[index].daemon)
        });
        let left: Vec<String> = left.map(|(id, _)| self.names.of_id(*id)).collect();
        match left.len() {
            0 => None,
            1 => Some(format!("1 of them is left: {}", some(&left))),
            count => Some(format!("{count} of them are left: {}", some(&left))),
        }
    }
}

/// `#2 phil-0`.
fn head(task: &TaskView) -> String {
    match task.unnamed {
        true => task.id.to_string(),
        false => format!("{} {}", task.id, names::plain(&task.name)),
    }
}

/// Whether nothing but a turn is missing.
fn is_ready(task: &TaskView) -> bool {
    use What::*;
    !task.parked
        || matches!(task.status, Status::Ready | Status::Running)
        || matches!(task.wait.what, Turn | Nest | Check | Call(_))
}

/// Whether somebody must hold what such a wait is for.
fn is_for_owner(what: What) -> bool {
    use What::*;
    matches!(what, Lock | Read | Write | Once)
}

fn flags(task: &TaskView) -> String {
    let flags = [
        (task.status == Status::Killing, ", was killed"),
        (task.paused, ", is paused"),
        (task.daemon, ", is a daemon"),
    ];
    flags
        .iter()
        .filter(|flag| flag.0)
        .map(|flag| flag.1)
        .collect()
}

fn alike(group: &Group, first: &TaskView, tasks: &[TaskView]) -> String {
    let count = group.members.len();
    if count == 1 {
        return String::new();
    }
    match (group.objects(tasks), &first.objects[..]) {
        (0 | 1, _) | (_, []) => format!("; {count} tasks like this"),
        (objects, [object, ..]) => {
            let kind = object.view.kind;
            format!("; {count} tasks like this, for {objects} of such a {kind}; of the first:")
        }
    }
}

fn objects_of(task: &TaskView) -> usize {
    distinct(&task.objects).len()
}

/// `holds 7`. A description is code of the user, which may fail.
fn content(view: &ObjectView) -> Option<String> {
    let content = &view.content.as_ref()?.0;
    let told = catch_unwind(AssertUnwindSafe(|| content.describe()));
    match told {
        Ok(text) => Some(cut(&text?)),
        Err(payload) => {
            // Whatever its destructor does, the report goes on.
            std::mem::forget(payload);
            Some("holds what cannot be shown: its Debug panicked".to_string())
        }
    }
}

/// A text of one line and no great length.
fn cut(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST_CONTENT).collect();
    line = line.replace('\n', " ");
    if text.chars().count() > LONGEST_CONTENT {
        line.push('…');
    }
    line
}

/// Each object once: two cases of a `select` may be for one.
fn distinct(objects: &[Awaited]) -> Vec<&Awaited> {
    let mut seen = BTreeSet::new();
    let objects = objects.iter();
    objects
        .filter(|object| seen.insert(object.identity))
        .collect()
}

/// What each task holds of the things that others wait for, and since where.
struct Holdings<'a> {
    of: BTreeMap<TaskId, Vec<(&'a Awaited, &'static Location<'static>)>>,
}

impl<'a> Holdings<'a> {
    fn new(tasks: &'a [TaskView]) -> Self {
        let mut seen = BTreeSet::new();
        let mut of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        // The end of a scope is no thing that its children hold.
        let waiting = tasks.iter().filter(|task| task.wait.what != What::Scope);
        for object in waiting.flat_map(|task| &task.objects) {
            if seen.insert(object.identity) {
                for (owner, since) in &object.view.owners {
                    of.entry(*owner).or_default().push((object, *since));
                }
            }
        }
        Holdings { of }
    }

    fn of(&self, id: TaskId) -> &[(&'a Awaited, &'static Location<'static>)] {
        self.of.get(&id).map_or(&[], |held| held)
    }
}
