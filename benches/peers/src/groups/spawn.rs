//! An empty task: one at a time, and 100,000 at once before the first is joined.

use criterion::Criterion;

use crate::adapters::maypole::MaypoleChildFirst;
use crate::adapters::{corosensei, task_peers};
use crate::measure::{Group, Nanoseconds};
use crate::workload::{Stackful, TaskPeer};

const BATCH: usize = 100_000;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    // Fewer than this would measure the first task's stack.
    let at_least = |tasks: usize| tasks.max(1_000);
    let mut one = Group::new(criterion, "spawn");
    one.add("corosensei", |tasks| corosensei::spawn(at_least(tasks)));
    for peer in contenders() {
        one.add_unless(peer.obstacle(1), peer.name(), |tasks| {
            peer.spawn(at_least(tasks))
        });
    }
    drop(one);

    let mut batch = Group::new(criterion, "spawn_batch").few_samples();
    batch.add("corosensei", |_| corosensei::spawn_batch(BATCH));
    for peer in contenders() {
        batch.add_unless(peer.obstacle(BATCH), peer.name(), |_| {
            peer.spawn_batch(BATCH)
        });
    }
}

fn contenders() -> Vec<Box<dyn TaskPeer>> {
    let mut contenders = task_peers();
    contenders.push(Stackful::<MaypoleChildFirst>::tasks());
    contenders
}
