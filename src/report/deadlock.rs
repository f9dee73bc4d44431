//! The report of a run that cannot go on: every task, what it waits for, and where.
use super::Report;
use crate::scheduler::snapshot::TaskView;
use crate::scheduler::task::{Status, TaskId};
use crate::scheduler::wait::What;
use std::fmt::Write;

/// More tasks than this are shown in groups of those that wait at the same place.
const SHOWN_SINGLY: usize = 12;

/// The headline, then a line for each task or group of tasks.
pub(crate) fn stuck(headline: &str, tasks: &[TaskView]) -> Report {
    let mut text = format!("maypole: {headline}\n\n");
    if tasks.len() <= SHOWN_SINGLY {
        for task in tasks {
            let _ = writeln!(text, "  {} {}", task.id, line(task, tasks));
        }
    } else {
        for group in groups(tasks) {
            let first = group[0];
            let line = line(first, tasks);
            let _ = match group.len() {
                1 => writeln!(text, "  {} {line}", first.id),
                more => writeln!(text, "  {} {line}; {} tasks like this", first.id, more),
            };
        }
    }
    Report::new(text)
}

/// Tasks that do the same at the same place, in the order of their first.
fn groups(tasks: &[TaskView]) -> Vec<Vec<&TaskView>> {
    let mut groups: Vec<Vec<&TaskView>> = Vec::new();
    for task in tasks {
        let alike = |group: &&mut Vec<&TaskView>| {
            let first = group[0];
            first.site == task.site
                && first.wait.at == task.wait.at
                && std::mem::discriminant(&first.wait.what)
                    == std::mem::discriminant(&task.wait.what)
                && first.unnamed == task.unnamed
                && first.paused == task.paused
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(task),
            None => groups.push(vec![task]),
        }
    }
    groups
}

fn line(task: &TaskView, all: &[TaskView]) -> String {
    let mut line = String::new();
    if !task.unnamed {
        let _ = write!(line, "'{}' ", task.name);
    }
    line.push_str(&doing(task, all));
    if task.paused {
        line.push_str(", is paused");
    }
    if task.daemon {
        line.push_str(", is a daemon");
    }
    let site = task.site;
    let _ = write!(line, " (spawned at {}:{})", site.file(), site.line());
    line
}

fn doing(task: &TaskView, all: &[TaskView]) -> String {
    let place = task.wait.place(task.site);
    let at = format!("{}:{}", place.file(), place.line());
    match (task.status, task.wait.what) {
        (Status::Ready | Status::Running, _)
        | (_, What::Turn | What::Nest | What::Check | What::Call(_)) => {
            "waits for a turn".to_string()
        }
        (_, What::Join(id)) => format!("joins task {} at {at}", name(id, all)),
        (_, What::Scope) => format!("waits for the end of a scope's tasks at {at}"),
        (_, What::Sleep) => format!("sleeps at {at}"),
        (_, What::Unpark) => format!("waits to be unparked at {at}"),
        (_, what) => format!("waits in {what} at {at}"),
    }
}

fn name(id: TaskId, all: &[TaskView]) -> String {
    match all.iter().find(|task| task.id == id) {
        Some(task) if !task.unnamed => format!("{id} '{}'", task.name),
        _ => id.to_string(),
    }
}
