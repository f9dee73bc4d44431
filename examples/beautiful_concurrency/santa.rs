//! Santa Claus: gates, groups, and the program itself, with `or_else` and with `choose`.
//!
//! With naps at work, two other styles, and a checker of the rules: `examples/santa`.
use crate::gates::{
    Gate, Gates, Group, await_group, join_group, operate_gate, operate_gate_merged, pass_gate,
};
use crate::on_virtual_time;
use maypole::stm::{Stop, Transaction, atomically, retry};
use maypole::{Scope, explore, run, scope, sleep, task, yield_now};
use std::cell::RefCell;
use std::time::Duration;

// ── gates and groups ─────────────────────────────────────────────────────────────────────────

/// Nobody passes a gate that is closed. Whoever operates it lets a number through, and goes on when
/// they have passed; then it is closed again.
pub fn opens_a_gate() {
    run(|| at_a_gate_for_two(operate_gate));
}

/// With both transactions in one, the gate is never open for anybody.
pub fn never_opens_the_gate() {
    at_a_gate_for_two(operate_gate_merged);
}

fn at_a_gate_for_two(operate: fn(&Gate)) {
    let gate = Gate::new("gate", 2);
    scope(|s| {
        for number in 1..=3 {
            let gate = &gate;
            start(s, format!("helper {number}"), move || {
                println!("helper {number} comes to the gate");
                pass_gate(gate);
                println!("helper {number} has passed");
            });
        }
        yield_now();
        println!("Santa opens the gate");
        operate(&gate);
        println!("Santa has seen two of them");
        s.kill("the others go home");
    });
}

/// A group has room for so many, and who comes later waits. Santa takes a complete group over, and
/// in the same step another begins, with gates of its own.
pub fn forms_groups() {
    run(|| {
        let group = Group::new("group", 3);
        let members = RefCell::new(Vec::new());
        scope(|s| {
            for number in 1..=5 {
                let (group, members) = (&group, &members);
                start(s, format!("helper {number}"), move || {
                    join_group(group);
                    members.borrow_mut().push(number);
                });
            }
            yield_now();
            println!("members: {:?}", members.take());
            atomically(|tx| await_group(tx, &group));
            println!("Santa takes them over");
            yield_now();
            println!("members: {:?}", members.take());
        });
    });
}

// ── elves and reindeer ───────────────────────────────────────────────────────────────────────

/// What elves and reindeer have in common: one round.
fn helper1(group: &Group, do_task: impl FnOnce()) {
    let (gate_in, gate_out) = join_group(group);
    pass_gate(&gate_in);
    do_task();
    pass_gate(&gate_out);
}

fn elf1(group: &Group, number: usize) {
    helper1(group, || println!("Elf {number} meeting in the study"));
}

fn reindeer1(group: &Group, number: usize) {
    helper1(group, || println!("Reindeer {number} delivering toys"));
}

/// Up to a second, by chance that is the same in every run.
fn random_delay() {
    sleep(Duration::from_millis(1 + explore::any(1000) as u64));
}

/// Ten elves, nine reindeer, and Santa, who retires after four groups.
fn north_pole(santa: fn(&Group, &Group)) {
    let elves = Group::new("elves", 3);
    let reindeer = Group::new("reindeer", 9);
    let example = || {
        scope(|s| {
            for number in 1..=10 {
                let elves = &elves;
                start(s, format!("Elf {number}"), move || {
                    loop {
                        elf1(elves, number);
                        random_delay();
                    }
                });
            }
            for number in 1..=9 {
                let reindeer = &reindeer;
                start(s, format!("Reindeer {number}"), move || {
                    loop {
                        reindeer1(reindeer, number);
                        random_delay();
                    }
                });
            }
            for _ in 0..4 {
                santa(&elves, &reindeer);
            }
            s.kill("Santa has retired");
        });
    };
    on_virtual_time(example).expect("the helpers come back again and again");
}

/// Starts a task with a name, for the reports.
#[track_caller]
fn start<'s>(s: &'s Scope<'s, '_>, name: String, lives: impl FnOnce() + 's) {
    let helper = task::Builder::new().name(name);
    helper
        .spawn_scoped(s, lives)
        .expect("there is room for a stack");
}

// ── Santa ────────────────────────────────────────────────────────────────────────────────────

/// Santa waits for whichever group is complete. If both are, it is the reindeer: theirs is the left
/// alternative.
fn santa(elves: &Group, reindeer: &Group) {
    println!("----------");
    let (task, gates) = atomically(|tx| {
        tx.or_else(
            |tx| choose_group(tx, reindeer, "deliver toys"),
            |tx| choose_group(tx, elves, "meet in my study"),
        )
    });
    serve(task, gates);
}

fn choose_group<E>(
    tx: &Transaction,
    group: &Group,
    task: &'static str,
) -> Result<(&'static str, Gates), Stop<E>> {
    Ok((task, await_group(tx, group)?))
}

fn serve(task: &str, (gate_in, gate_out): Gates) {
    println!("Ho! Ho! Ho! let's {task}");
    operate_gate(&gate_in);
    // Now the helpers do their task.
    operate_gate(&gate_out);
}

pub fn with_or_else() {
    north_pole(santa);
}

/// A guard, which may wait, and what to do with what it brings. The guard runs in a transaction, the
/// action after it.
type Choice<'a, T> = (Guard<'a, T>, &'a dyn Fn(T));
type Guard<'a, T> = &'a dyn Fn(&Transaction) -> Result<T, Stop>;

/// Waits until one of the guards goes through, the first of those that do, and performs its action:
/// a `select!` of any transactions, in a few lines.
fn choose<T>(choices: &[Choice<'_, T>]) {
    let (action, value) = atomically(|tx| first_of(tx, choices));
    action(value);
}

fn first_of<'a, T>(
    tx: &Transaction,
    choices: &[Choice<'a, T>],
) -> Result<(&'a dyn Fn(T), T), Stop> {
    let Some(((guard, action), others)) = choices.split_first() else {
        return retry();
    };
    tx.or_else(|tx| Ok((*action, guard(tx)?)), |tx| first_of(tx, others))
}

/// The same Santa: a list of guards, each with its action beside it.
fn santa_who_chooses(elves: &Group, reindeer: &Group) {
    println!("----------");
    choose(&[
        (&|tx| await_group(tx, reindeer), &|gates| {
            serve("deliver toys", gates);
        }),
        (&|tx| await_group(tx, elves), &|gates| {
            serve("meet in my study", gates);
        }),
    ]);
}

pub fn with_choose() {
    north_pole(santa_who_chooses);
}
