//! How a report calls tasks, objects and places.
use crate::scheduler::object::ObjectView;
use crate::scheduler::snapshot::TaskView;
use crate::scheduler::task::TaskId;
use std::collections::BTreeMap;
use std::panic::Location;

/// Longer names are cut.
const LONGEST: usize = 60;

/// What the tasks of a report are called.
pub(super) struct Names<'a> {
    /// In the order of their identities.
    tasks: &'a [TaskView],
    /// How many bear each name that was given.
    bearers: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    pub(super) fn new(tasks: &'a [TaskView]) -> Self {
        let mut bearers = BTreeMap::new();
        for task in tasks.iter().filter(|task| !task.unnamed) {
            *bearers.entry(&*task.name).or_default() += 1;
        }
        Names { tasks, bearers }
    }

    /// `phil-0`; `worker #7` where several are called so, `#7` without a name.
    pub(super) fn of(&self, task: &TaskView) -> String {
        match self.bearers.get(&*task.name) {
            _ if task.unnamed => task.id.to_string(),
            Some(1) => plain(&task.name),
            _ => format!("{} {}", plain(&task.name), task.id),
        }
    }

    /// The same for a task that may have ended.
    pub(super) fn of_id(&self, id: TaskId) -> String {
        match self.position(id) {
            Some(index) => self.of(&self.tasks[index]),
            None => id.to_string(),
        }
    }

    /// Where in the report's tasks this one is, if it lives.
    pub(super) fn position(&self, id: TaskId) -> Option<usize> {
        self.tasks.binary_search_by_key(&id, |task| task.id).ok()
    }
}

/// A name as it stands in a line: in quotes if it could be taken for something else.
pub(super) fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:+@".contains(c);
    match !name.is_empty() && name.chars().all(is_plain) && name.chars().count() <= LONGEST {
        true => name.to_string(),
        false => quoted(name),
    }
}

fn quoted(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST).collect();
    shown = shown.escape_debug().to_string();
    if name.chars().count() > LONGEST {
        shown.push('…');
    }
    format!("'{shown}'")
}

/// `Mutex 'fork 1'`; `a Mutex` without a name.
pub(super) fn object(view: &ObjectView) -> String {
    match &view.name {
        Some(name) => format!("{} {}", view.kind, quoted(name)),
        None => with_article(view.kind),
    }
}

/// The same for one that stands alone: without a name, it goes by its place.
pub(super) fn object_alone(view: &ObjectView) -> String {
    match &view.name {
        Some(_) => object(view),
        None => format!("{} ({})", view.kind, place(view.made_at)),
    }
}

pub(super) fn with_article(kind: &str) -> String {
    // As it is spoken: a one-shot.
    let vowel =
        kind != "oneshot" && kind.starts_with(['A', 'E', 'I', 'O', 'U', 'a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

/// `src/main.rs:14`.
pub(super) fn place(at: &Location<'_>) -> String {
    format!("{}:{}", at.file(), at.line())
}

/// The first few, and how many more there are.
pub(super) fn some(items: &[String]) -> String {
    const SHOWN: usize = 4;
    let first = items[..items.len().min(SHOWN)].join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_word_stands_as_it_is() {
        for name in ["main", "phil-0", "worker_7", "src/main.rs:14", "überträger"] {
            assert_eq!(plain(name), name);
        }
    }

    #[test]
    fn a_name_that_could_be_taken_for_more_is_quoted() {
        assert_eq!(plain("second army"), "'second army'");
        assert_eq!(plain(""), "''");
        assert_eq!(plain("a\n#2 b"), r"'a\n#2 b'");
        assert_eq!(plain("it's \u{1b}[31m"), r"'it\'s \u{1b}[31m'");
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "x".repeat(1000);
        assert_eq!(plain(&name), format!("'{}…'", "x".repeat(LONGEST)));
    }

    #[test]
    fn a_list_ends_with_how_many_more_there_are() {
        let items: Vec<String> = (1..=6).map(|n| n.to_string()).collect();
        assert_eq!(some(&items[..1]), "1");
        assert_eq!(some(&items[..4]), "1, 2, 3, 4");
        assert_eq!(some(&items), "1, 2, 3, 4 and 2 more");
    }
}
