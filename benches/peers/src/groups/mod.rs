//! What is compared with what: one file for each workload.

pub mod channel;
pub mod explore;
pub mod generator;
pub mod lock;
pub mod offload;
pub mod select;
pub mod skynet;
pub mod spawn;
pub mod stm;
pub mod switch;
pub mod timers;

use crate::adapters::corosensei;
use crate::measure::Group;

/// One round trip of the bare coroutine, the unit in which groups of other work are counted.
fn add_bare(group: &mut Group<'_>) {
    group.add("corosensei", |operations| {
        corosensei::switch(switch::one_lap(1, operations), 0)[0]
    });
}
