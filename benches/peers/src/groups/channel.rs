//! Messages: two tasks that answer each other, streams, many to one, a ring, communicating processes.

use criterion::Criterion;

use super::add_bare;
use crate::adapters::{
    bounded_channels, one_place_channels, rendezvous_channels, unbounded_channels,
};
use crate::measure::{Group, Nanoseconds};
use crate::workload::ChannelPeer;

const NO_RENDEZVOUS: &str = "its channels hold one message at least";
const NO_BOUND: &str = "its channels have no bound";

/// The number of producers, and of tasks in the ring (Armstrong's is of 503).
const PRODUCERS: usize = 1_000;
const RING: usize = 503;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    let mut group = Group::new(criterion, "rendezvous");
    add_bare(&mut group);
    for peer in rendezvous_channels() {
        add(&mut group, &*peer, 2, |messages| {
            peer.ping_pong(0, at_least(messages))
        });
    }
    skip_without_rendezvous(&mut group);
    drop(group);

    let mut group = Group::new(criterion, "channel/1");
    add_bare(&mut group);
    for peer in one_place_channels() {
        add(&mut group, &*peer, 2, |messages| {
            peer.ping_pong(1, at_least(messages))
        });
    }
    drop(group);

    for (name, capacity) in [("channel/128", Some(128)), ("channel/unbounded", None)] {
        let mut group = Group::new(criterion, name);
        add_bare(&mut group);
        let peers = if capacity.is_some() {
            group.skip("may", NO_BOUND);
            bounded_channels()
        } else {
            unbounded_channels()
        };
        for peer in peers {
            add(&mut group, &*peer, 2, |messages| {
                peer.stream(capacity, at_least(messages))
            });
        }
    }

    let mut group = Group::new(criterion, "fanin").few_samples();
    add_bare(&mut group);
    group.skip("may", NO_BOUND);
    for peer in bounded_channels() {
        add(&mut group, &*peer, PRODUCERS + 1, |messages| {
            peer.fan_in(PRODUCERS, messages.div_ceil(PRODUCERS).max(200))
        });
    }
    drop(group);

    let mut group = Group::new(criterion, "ring");
    add_bare(&mut group);
    for peer in one_place_channels() {
        add(&mut group, &*peer, RING, |passes| {
            peer.ring(RING, at_least(passes).div_ceil(RING))
        });
    }
    drop(group);

    let mut group = Group::new(criterion, "commstime");
    add_bare(&mut group);
    for peer in rendezvous_channels() {
        add(&mut group, &*peer, 4, |communications| {
            peer.commstime(0, at_least(communications).div_ceil(4))
        });
    }
    skip_without_rendezvous(&mut group);
    drop(group);

    let mut group = Group::new(criterion, "commstime/1");
    add_bare(&mut group);
    group.skip("may", NO_BOUND);
    for peer in bounded_channels() {
        add(&mut group, &*peer, 4, |communications| {
            peer.commstime(1, at_least(communications).div_ceil(4))
        });
    }
}

fn add(
    group: &mut Group<'_>,
    peer: &dyn ChannelPeer,
    tasks: usize,
    measure: impl FnMut(usize) -> f64,
) {
    group.add_unless(peer.obstacle(tasks), peer.name(), measure);
}

fn skip_without_rendezvous(group: &mut Group<'_>) {
    for contender in ["tokio", "monoio", "glommio"] {
        group.skip(contender, NO_RENDEZVOUS);
    }
    group.skip("may", NO_BOUND);
}

/// Fewer messages than this would measure the clock.
fn at_least(messages: usize) -> usize {
    messages.max(10_000)
}
