//! Transactions: a transfer between two variables, a read, a wake-up by `retry`, a queue.

use criterion::Criterion;

use super::add_bare;
use crate::adapters::{stm_queues, stms};
use crate::measure::{Group, Nanoseconds};
use crate::workload::StmPeer;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    every(criterion, "stm", 1, StmPeer::transfer);
    every(criterion, "stm/read", 1, StmPeer::read);
    every(criterion, "stm/retry", 2, StmPeer::wake);

    for (name, capacity) in [("stm/queue", None), ("stm/queue/128", Some(128))] {
        let mut group = Group::new(criterion, name);
        add_bare(&mut group);
        for peer in stm_queues() {
            group.add_unless(peer.obstacle(2), peer.name(), |messages| {
                peer.stream(capacity, at_least(messages))
            });
        }
        for contender in ["stm", "fast-stm"] {
            group.skip(contender, "it has variables and no queue made of them");
        }
        group.skip("std_threads", "std's queues are in the groups of channels");
    }
}

fn every(
    criterion: &mut Criterion<Nanoseconds>,
    name: &'static str,
    tasks: usize,
    measure: impl Fn(&(dyn StmPeer + 'static), usize) -> f64,
) {
    let mut group = Group::new(criterion, name);
    add_bare(&mut group);
    for peer in stms() {
        group.add_unless(peer.obstacle(tasks), peer.name(), |count| {
            measure(&*peer, at_least(count))
        });
    }
}

/// Fewer operations than this would measure the clock.
fn at_least(operations: usize) -> usize {
    operations.max(10_000)
}
