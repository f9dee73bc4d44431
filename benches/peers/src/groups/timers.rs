//! 100,000 random sleeps, in processor time per timer; and a timeout that is armed and never fires.

use std::cell::RefCell;
use std::time::Duration;

use criterion::Criterion;

use crate::adapters::maypole::MaypoleCoarse;
use crate::adapters::task_peers;
use crate::measure::{Group, Nanoseconds};
use crate::workload::Stackful;

const TIMERS: usize = 100_000;
const LONGEST: Duration = Duration::from_secs(1);

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    sleeps(criterion);
    let mut group = Group::new(criterion, "timeout");
    for peer in task_peers() {
        group.add_unless(peer.obstacle(3), peer.name(), |count| {
            peer.timeout(count.max(1_000))
        });
    }
}

/// Each contender runs at its own slack: how late its timers may be, so that several fire in one go.
/// What that bought is printed beside, since processor time alone would reward lateness.
fn sleeps(criterion: &mut Criterion<Nanoseconds>) {
    let mut group = Group::new(criterion, "timers").few_samples();
    let mut peers = task_peers();
    peers.push(Stackful::<MaypoleCoarse>::tasks());
    for peer in peers {
        let lateness = RefCell::new(Vec::new());
        group.add_unless(peer.obstacle(TIMERS), peer.name(), |_| {
            let sleeps = peer.sleep(TIMERS, LONGEST);
            lateness.replace(sleeps.lateness);
            sleeps.cpu
        });
        let lateness = lateness.into_inner();
        if !lateness.is_empty() {
            let [median, late] = [50, 99].map(|percent| lateness[TIMERS * percent / 100]);
            println!("{}: lateness p50 {median:?}, p99 {late:?}", peer.name());
        }
    }
}
