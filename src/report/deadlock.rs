//! The report of a run that cannot go on: every task, what it waits for, and who holds that.
use super::Report;
use super::entry::Entries;
use super::graph::{Edge, Graph, Through};
use super::groups::{Group, SHOWN_SINGLY, alike, singly};
use super::names::{Names, object_alone};
use crate::coroutine::say;
use crate::scheduler::cycle::Others;
use crate::scheduler::snapshot::TaskView;
use crate::scheduler::wait::What;

/// More cycles than this are only counted.
const CYCLES_SHOWN: usize = 4;

/// Tasks of a long cycle that are shown.
const CYCLE_SHOWN: usize = 6;

/// Nothing is left that could wake any of the tasks.
pub(crate) fn deadlock(tasks: &[TaskView]) -> Report {
    let survey = Survey::new(tasks);
    let whom = match tasks.len() {
        1 => "the only task".to_string(),
        count => format!("any of these {count} tasks"),
    };
    let mut text = format!(
        "maypole: deadlock: nothing left that could wake {whom} (no timers, no I/O, no OS threads)\n\n"
    );
    match survey.cycles.is_empty() {
        true => text.push_str(
            "  all are waiting, but in no circle: something was never sent or released\n",
        ),
        false => survey.write_cycles(&mut text),
    }
    text.push('\n');
    survey.write_tasks(&survey.groups(), &mut text);
    survey.write_cures(&mut text);
    Report::new(text)
}

/// The tasks of a run that was ended for another reason.
pub(crate) fn stuck(headline: &str, tasks: &[TaskView]) -> Report {
    let mut text = format!("maypole: {headline}\n\n");
    let survey = Survey::new(tasks);
    if !survey.cycles.is_empty() {
        survey.write_cycles(&mut text);
        text.push('\n');
    }
    survey.write_tasks(&survey.groups(), &mut text);
    Report::new(text)
}

/// Tells of a cycle that has closed, in full if no report of all tasks is about to follow. `tasks`
/// are those in the cycle, and those that are to be mentioned with them.
pub(crate) fn cycle_closed(tasks: &[TaskView], others: Others) {
    let survey = Survey::new(tasks);
    let cycle = survey.cycle_groups();
    let mut text = match survey.cycles.iter().map(Vec::len).sum() {
        1usize => "maypole: this task waits for itself, for ever\n\n".to_string(),
        count => format!("maypole: these {count} tasks wait for each other, for ever\n\n"),
    };
    survey.write_cycles(&mut text);
    text.push('\n');
    if others == Others::GoOn {
        survey.write_tasks(&cycle, &mut text);
        survey.write_cures(&mut text);
    }
    say(format_args!("{}", text.trim_end()));
}

/// What there is to say of some tasks.
struct Survey<'a> {
    tasks: &'a [TaskView],
    names: Names<'a>,
    cycles: Vec<Vec<(usize, Edge)>>,
}

impl<'a> Survey<'a> {
    fn new(tasks: &'a [TaskView]) -> Self {
        let names = Names::new(tasks);
        let cycles = Graph::new(tasks, &names).cycles();
        Survey {
            tasks,
            names,
            cycles,
        }
    }

    fn write_cycles(&self, text: &mut String) {
        for cycle in self.cycles.iter().take(CYCLES_SHOWN) {
            text.push_str(&format!("  cycle   {}\n", self.cycle_line(cycle)));
        }
        if let more @ 1.. = self.cycles.len().saturating_sub(CYCLES_SHOWN) {
            text.push_str(&format!("  and {more} more\n"));
        }
    }

    /// `phil-0 ─waits for─> Mutex 'fork 1' ─held by─> phil-1 ─joins─> phil-0`.
    fn cycle_line(&self, cycle: &[(usize, Edge)]) -> String {
        let mut line = self.names.of(&self.tasks[cycle[0].0]);
        let left_out = match cycle.len() > SHOWN_SINGLY {
            true => CYCLE_SHOWN..cycle.len() - 1,
            false => 0..0,
        };
        for (nth, (task, edge)) in cycle.iter().enumerate() {
            if left_out.contains(&nth) {
                if nth == left_out.start {
                    line.push_str(&format!(" ─> … {} more tasks … ─> ", left_out.len() - 1));
                    line.push_str(&self.names.of(&self.tasks[cycle[left_out.end].0]));
                }
                continue;
            }
            match edge.through {
                Through::Join => line.push_str(" ─joins─> "),
                Through::Object(index) => {
                    let object = object_alone(&self.tasks[*task].objects[index].view);
                    line.push_str(&format!(" ─waits for─> {object} ─held by─> "));
                }
            }
            line.push_str(&self.names.of(&self.tasks[edge.to]));
        }
        line
    }

    fn write_tasks(&self, groups: &[Group], text: &mut String) {
        let mut entries = Entries::new(self.tasks, &self.names, groups);
        for group in groups {
            entries.write(group, text);
        }
    }

    /// Those in a cycle first, one by one if they are few; then the others, in groups if there are
    /// many in all.
    fn groups(&self) -> Vec<Group> {
        let mut is_inside = vec![false; self.tasks.len()];
        for (task, _) in self.cycles.iter().flatten() {
            is_inside[*task] = true;
        }
        let outside = (0..self.tasks.len()).filter(|&task| !is_inside[task]);
        let outside: Vec<usize> = outside.collect();
        let mut groups = self.cycle_groups();
        groups.extend(match self.tasks.len() <= SHOWN_SINGLY {
            true => singly(&outside),
            false => alike(&outside, self.tasks),
        });
        groups
    }

    fn cycle_groups(&self) -> Vec<Group> {
        let inside = self.cycles.iter().flatten().map(|(task, _)| *task);
        let inside: Vec<usize> = inside.collect();
        match inside.len() <= SHOWN_SINGLY {
            true => singly(&inside),
            false => alike(&inside, self.tasks),
        }
    }

    /// What to do next.
    fn write_cures(&self, text: &mut String) {
        let waits = |wanted: What| {
            let mut parked = self.tasks.iter().filter(|task| task.parked);
            parked.any(|task| task.wait.what == wanted)
        };
        let edges = self.cycles.iter().flatten().map(|(_, edge)| edge.through);
        let (joins, locks): (Vec<_>, Vec<_>) = edges.partition(|edge| *edge == Through::Join);
        let (joins, locks) = (!joins.is_empty(), !locks.is_empty());
        let no_cycle = !joins && !locks;
        let cures = [
            (
                locks,
                "to break the circle:",
                "lock in one order everywhere, or limit the wait with maypole::time::timeout(..)",
            ),
            (
                locks && joins,
                "to join safely:",
                "let go, before a join, of what the joined task waits for",
            ),
            (
                joins && !locks,
                "to break the circle:",
                "let no task join one that joins it, directly or through others",
            ),
            (
                no_cycle && waits(What::Recv),
                "to end a receiver:",
                "send to it, or drop every sender of its channel, those of its own task too",
            ),
            (
                no_cycle && waits(What::Send),
                "to end a sender:",
                "receive what it sends, or drop every receiver of its channel",
            ),
            (
                no_cycle && waits(What::Atomically),
                "to end a retry:",
                "commit a write to what it has read, or give it a time with maypole::stm::delay(..)",
            ),
            (
                self.tasks.iter().any(|task| task.paused),
                "to end a pause:",
                "maypole::Task::resume",
            ),
            (
                true,
                "to search for others:",
                "maypole::explore::check(..) tries every order of the tasks, in a test",
            ),
        ];
        text.push('\n');
        for (_, aim, cure) in cures.iter().filter(|cure| cure.0) {
            text.push_str(&format!("  {aim:<22} {cure}\n"));
        }
    }
}
