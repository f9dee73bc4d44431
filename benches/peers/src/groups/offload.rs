//! A function that another OS thread runs while its task waits: one at a time, and 100 at once.

use criterion::Criterion;

use crate::adapters::offloading;
use crate::measure::{Group, Nanoseconds};

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    for (name, tasks) in [("offload", 1), ("offload/100", 100)] {
        let mut group = Group::new(criterion, name);
        for peer in offloading() {
            group.add_unless(peer.obstacle(tasks), peer.name(), |count| {
                // Fewer would measure the making of the OS threads.
                peer.offload(tasks, count.max(2_000))
            });
        }
    }
}
