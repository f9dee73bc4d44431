//! One task that receives from 2 and from 8 channels at once.

use criterion::Criterion;

use super::add_bare;
use crate::adapters::selecting;
use crate::measure::{Group, Nanoseconds};

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    for (name, ways) in [("select/2", 2), ("select/8", 8)] {
        let mut group = Group::new(criterion, name);
        add_bare(&mut group);
        for peer in selecting() {
            group.add_unless(peer.obstacle(ways + 1), peer.name(), |messages| {
                peer.select(ways, messages.max(10_000))
            });
        }
        group.skip(
            "may",
            "its select takes a new coroutine for each channel and each message",
        );
        group.skip("std_threads", "std waits for one channel at a time");
    }
}
