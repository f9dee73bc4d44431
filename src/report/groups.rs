//! Tasks that do the same at the same place, shown as one.
use crate::scheduler::snapshot::TaskView;
use std::collections::BTreeSet;

/// More tasks than this are shown in groups.
pub(super) const SHOWN_SINGLY: usize = 12;

/// Indices of tasks that are alike, at least one.
pub(super) struct Group {
    pub(super) members: Vec<usize>,
}

impl Group {
    pub(super) fn first(&self) -> usize {
        self.members[0]
    }

    /// How many objects its tasks wait for.
    pub(super) fn objects(&self, tasks: &[TaskView]) -> usize {
        let members = self.members.iter();
        let objects = members.flat_map(|&task| &tasks[task].objects);
        let distinct: BTreeSet<usize> = objects.map(|object| object.identity).collect();
        distinct.len()
    }
}

/// Those together that are alike, in the order of their first.
pub(super) fn alike(order: &[usize], tasks: &[TaskView]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for &task in order {
        let found = groups
            .iter_mut()
            .find(|group| are_alike(&tasks[group.first()], &tasks[task]));
        match found {
            Some(group) => group.members.push(task),
            None => groups.push(Group {
                members: vec![task],
            }),
        }
    }
    groups
}

/// The tasks one by one.
pub(super) fn singly(order: &[usize]) -> Vec<Group> {
    let alone = order.iter().map(|&task| Group {
        members: vec![task],
    });
    alone.collect()
}

/// Whether two tasks were spawned at one place and wait at one place, in the same way and for the
/// same kind of things.
fn are_alike(a: &TaskView, b: &TaskView) -> bool {
    let place = |task: &TaskView| (task.site, task.wait.at);
    let manner = |task: &TaskView| {
        let what = std::mem::discriminant(&task.wait.what);
        let flags = (task.unnamed, task.paused, task.daemon, task.parked);
        (what, std::mem::discriminant(&task.status), flags)
    };
    let object = |task: &TaskView, index: usize| {
        let view = &task.objects[index].view;
        (view.kind, view.made_at)
    };
    place(a) == place(b)
        && manner(a) == manner(b)
        && a.objects.len() == b.objects.len()
        && (0..a.objects.len()).all(|index| object(a, index) == object(b, index))
}
