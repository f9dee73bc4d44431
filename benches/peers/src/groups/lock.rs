//! A lock: taken unopposed, and handed from task to task.

use criterion::Criterion;

use super::add_bare;
use crate::adapters::locks;
use crate::measure::{Group, Nanoseconds};

/// A lock that is handed over less often than this is not, and the figure would be of something else.
const ALWAYS: f64 = 0.9;

/// Takes enough to know whether a lock is handed over.
const TRIAL: usize = 10_000;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    let mut group = Group::new(criterion, "mutex");
    add_bare(&mut group);
    for peer in locks() {
        group.add_unless(peer.obstacle(1), peer.name(), |count| {
            peer.uncontended(count.max(10_000))
        });
    }
    drop(group);

    let mut group = Group::new(criterion, "mutex_handoff");
    add_bare(&mut group);
    for peer in locks() {
        let obstacle = peer.obstacle(3).or_else(|| {
            let alternation = peer.hand_over(TRIAL).alternation;
            (alternation < ALWAYS).then(|| {
                let percent = 100.0 * alternation;
                format!("{percent:.0} % of its locks go to the task that waits, the others to the one that had it")
            })
        });
        group.add_unless(obstacle, peer.name(), |count| {
            peer.hand_over(count.max(10_000)).time
        });
    }
}
