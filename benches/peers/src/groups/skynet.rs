//! skynet: a tree of tasks with ten children each and a million leaves; the operation is the whole tree.

use criterion::Criterion;

use crate::adapters::{bounded_channels, corosensei, maypole};
use crate::measure::{Group, Nanoseconds};
use crate::workload::{ChannelPeer, Stackful};

/// All nodes of the tree: of peers that start tasks in turn, nearly all live at once.
pub const TASKS: usize = 1_111_111;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    let mut group = Group::new(criterion, "skynet").few_samples();
    group.add("corosensei", |_| corosensei::skynet());
    for peer in contenders() {
        group.add_unless(peer.obstacle(TASKS), peer.name(), |_| peer.skynet());
    }
    group.skip("may", "its channels have no bound");
}

/// All that send the sums through channels, and maypole with child-first spawns.
pub fn contenders() -> Vec<Box<dyn ChannelPeer>> {
    let mut contenders = bounded_channels();
    contenders.push(Stackful::<maypole::ChannelChildFirst>::channel());
    contenders
}
