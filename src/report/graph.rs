//! Who waits for whom: the edges between the tasks of a report, and the cycles that they form.
use super::names::Names;
use crate::scheduler::snapshot::TaskView;
use crate::scheduler::task::Status;
use crate::scheduler::wait::What;

/// One task waits for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Edge {
    /// Index of the task that is waited for.
    pub(super) to: usize,
    pub(super) through: Through,
}

/// Why a task waits for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Through {
    /// It waits for its end.
    Join,
    /// The other holds the object of this index.
    Object(usize),
}

/// The edges that leave each task, by its index.
pub(super) struct Graph {
    edges: Vec<Vec<Edge>>,
}

impl Graph {
    pub(super) fn new(tasks: &[TaskView], names: &Names<'_>) -> Self {
        let edges = tasks.iter().map(|task| edges(task, tasks, names));
        Graph {
            edges: edges.collect(),
        }
    }

    /// Disjoint cycles, so that each task that must be in one is in a cycle or leads to one. Each
    /// begins with its first task, and they come in the order of these.
    pub(super) fn cycles(&self) -> Vec<Vec<(usize, Edge)>> {
        let inside = self.inside();
        let mut walks = vec![None; self.edges.len()];
        let mut cycles: Vec<Vec<(usize, Edge)>> = Vec::new();
        for start in (0..inside.len()).filter(|&task| inside[task]) {
            let (mut path, mut task) = (Vec::new(), start);
            while walks[task].is_none() {
                walks[task] = Some(start);
                let edge = self.edges[task].iter().find(|edge| inside[edge.to]);
                let edge = *edge.expect("a task that is left waits for one that is left");
                path.push((task, edge));
                task = edge.to;
            }
            if walks[task] == Some(start) {
                let closes = path.iter().position(|(from, _)| *from == task);
                cycles.push(path.split_off(closes.expect("this walk came by")));
            }
        }
        for cycle in &mut cycles {
            let first = (0..cycle.len()).min_by_key(|&at| cycle[at].0);
            cycle.rotate_left(first.expect("a cycle has a task"));
        }
        cycles.sort_unstable_by_key(|cycle| cycle[0].0);
        cycles
    }

    /// Which tasks are left when those are taken away, again and again, that wait for none left.
    fn inside(&self) -> Vec<bool> {
        let mut waiters = vec![Vec::new(); self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            edges.iter().for_each(|edge| waiters[edge.to].push(from));
        }
        let mut left: Vec<usize> = self.edges.iter().map(Vec::len).collect();
        let mut free: Vec<usize> = (0..left.len()).filter(|&task| left[task] == 0).collect();
        while let Some(task) = free.pop() {
            for &waiter in &waiters[task] {
                left[waiter] -= 1;
                if left[waiter] == 0 {
                    free.push(waiter);
                }
            }
        }
        left.into_iter().map(|left| left > 0).collect()
    }
}

fn edges(task: &TaskView, tasks: &[TaskView], names: &Names<'_>) -> Vec<Edge> {
    let mut edges = Vec::new();
    if !task.parked {
        return edges;
    }
    if let What::Join(id) = task.wait.what {
        edges.extend(names.position(id).map(|to| Edge {
            to,
            through: Through::Join,
        }));
    }
    for (index, object) in task.objects.iter().enumerate() {
        let owners = object.view.owners.iter();
        for to in owners.filter_map(|(id, _)| names.position(*id)) {
            match task.wait.what {
                // A scope does not wait for its daemons.
                What::Scope if tasks[to].daemon && tasks[to].status != Status::Killing => {}
                What::Scope => edges.push(Edge {
                    to,
                    through: Through::Join,
                }),
                _ => edges.push(Edge {
                    to,
                    through: Through::Object(index),
                }),
            }
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cycles of a graph in which each task waits for those given.
    fn cycles(waits: &[&[usize]]) -> Vec<Vec<usize>> {
        let edge = |&to: &usize| Edge {
            to,
            through: Through::Join,
        };
        let graph = Graph {
            edges: waits
                .iter()
                .map(|to| to.iter().map(edge).collect())
                .collect(),
        };
        let cycles = graph.cycles().into_iter();
        cycles
            .map(|cycle| cycle.into_iter().map(|(task, _)| task).collect())
            .collect()
    }

    #[test]
    fn a_chain_is_no_cycle() {
        assert!(cycles(&[]).is_empty());
        assert!(cycles(&[&[1], &[2], &[]]).is_empty());
        assert!(cycles(&[&[1, 2], &[3], &[3], &[]]).is_empty());
    }

    #[test]
    fn a_cycle_begins_with_its_first_task_and_leaves_out_who_leads_to_it() {
        assert_eq!(cycles(&[&[0]]), [[0]]);
        assert_eq!(cycles(&[&[2], &[3], &[3], &[1]]), [[1, 3]]);
        assert_eq!(cycles(&[&[4], &[0], &[3], &[1], &[2]]), [[0, 4, 2, 3, 1]]);
    }

    #[test]
    fn a_way_that_leads_out_is_not_taken() {
        // The first task waits for a task that is free, and for one that waits for it.
        assert_eq!(cycles(&[&[1, 2], &[], &[0]]), [[0, 2]]);
    }

    #[test]
    fn cycles_apart_are_all_found_in_order() {
        assert_eq!(
            cycles(&[&[5], &[2], &[1], &[4], &[3], &[0], &[1]]),
            [[0, 5], [1, 2], [3, 4]]
        );
    }

    #[test]
    fn a_long_chain_into_a_long_cycle_takes_no_time() {
        let count = 100_000;
        let waits: Vec<Vec<usize>> = (0..count)
            .map(|task| {
                vec![if task + 1 == count {
                    count / 2
                } else {
                    task + 1
                }]
            })
            .collect();
        let waits: Vec<&[usize]> = waits.iter().map(|to| &**to).collect();
        let found = cycles(&waits);
        assert_eq!((found.len(), found[0].len()), (1, count / 2));
        assert_eq!(found[0][0], count / 2);
    }
}
