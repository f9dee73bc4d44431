//! A program of three tasks under every schedule; the operation is one schedule.

use criterion::Criterion;

use super::add_bare;
use crate::adapters::{loom, maypole, shuttle};
use crate::measure::{Group, Nanoseconds};
use crate::peer::Explored;
use crate::workload::explore::explore;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    let mut group = Group::new(criterion, "explore");
    add_bare(&mut group);
    add::<maypole::Everywhere>(&mut group);
    add::<loom::Loom>(&mut group);
    // Last, since it leaves a panic hook behind that prints loom's inner panics.
    add::<shuttle::Shuttle>(&mut group);
}

fn add<E: Explored>(group: &mut Group<'_>) {
    group.add(E::NAME, |schedules| explore::<E>(schedules.max(500)));
}
