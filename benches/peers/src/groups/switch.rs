//! One yield, among 1 to 1,000,000 tasks, in the loop itself and some calls below it.

use criterion::Criterion;

use crate::adapters::{corosensei, generator, task_peers};
use crate::measure::{Group, Nanoseconds};
use crate::workload::Yields;

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    few(criterion, "switch/1", 1);
    few(criterion, "switch/2", 2);
    few(criterion, "switch/1k", 1_000);
    many(criterion, "switch/100k", 100_000, 4);
    many(criterion, "switch/1m", 1_000_000, 1);
    called(criterion, "switch_called/1", 1);
    called(criterion, "switch_called/8", 8);
}

/// New tasks for every sample.
fn few(criterion: &mut Criterion<Nanoseconds>, name: &'static str, tasks: usize) {
    let mut group = Group::new(criterion, name);
    group.add("corosensei", |yields| {
        corosensei::switch(one_lap(tasks, yields), 0)[0]
    });
    if tasks == 1 {
        group.add("generator", |yields| {
            generator::round_trip(at_least(yields), 0)
        });
    }
    for peer in task_peers() {
        group.add_unless(peer.obstacle_to_yields(tasks), peer.name(), |yields| {
            peer.switch(one_lap(tasks, yields))[0]
        });
    }
}

/// Making the tasks takes far longer than a lap of theirs, so one set of tasks serves all samples.
fn many(criterion: &mut Criterion<Nanoseconds>, name: &'static str, tasks: usize, rounds: usize) {
    let mut group = Group::new(criterion, name).few_samples();
    let yields = Yields {
        tasks,
        laps: 11,
        rounds,
    };
    group.add("corosensei", in_turn(|| corosensei::switch(yields, 0)));
    for peer in task_peers() {
        let measure = in_turn(|| peer.switch(yields));
        group.add_unless(peer.obstacle_to_yields(tasks), peer.name(), measure);
    }
}

fn called(criterion: &mut Criterion<Nanoseconds>, name: &'static str, depth: usize) {
    let mut group = Group::new(criterion, name);
    group.add("corosensei", |yields| {
        corosensei::switch(one_lap(1, yields), depth)[0]
    });
    group.add("generator", |yields| {
        generator::round_trip(at_least(yields), depth)
    });
    for peer in task_peers() {
        group.add_unless(peer.obstacle_to_yields(1), peer.name(), |yields| {
            peer.switch_called(one_lap(1, yields), depth)[0]
        });
    }
}

/// Fewer yields than this would measure the clock.
fn at_least(yields: usize) -> usize {
    yields.max(10_000)
}

pub fn one_lap(tasks: usize, yields: usize) -> Yields {
    Yields {
        tasks,
        laps: 1,
        rounds: at_least(yields).div_ceil(tasks),
    }
}

/// Hands out the laps of a run one by one, and makes another run when they are used up.
fn in_turn(mut run: impl FnMut() -> Vec<f64>) -> impl FnMut(usize) -> f64 {
    let mut laps = Vec::new();
    move |_| {
        if laps.is_empty() {
            laps = run();
        }
        laps.pop().expect("a run has laps")
    }
}
