//! With transactions, after Simon Peyton Jones, "Beautiful concurrency" (2007).
//!
//! `Gate` and `Group` are those of `examples/beautiful_concurrency/gates.rs`, where the chapter is
//! gone through step by step. Here the helpers take a nap at work, so that both groups come to wait
//! for Santa now and then, and what happens goes into the log.
use crate::gates::{Gates, Group, await_group, join_group, operate_gate, pass_gate};
use crate::world::{Kind, World, start};
use maypole::scope;
use maypole::stm::atomically;

pub fn perform(world: &World) {
    let elves = Group::new("elves", world.sizes.elf_group);
    let reindeer = Group::new("reindeer", world.sizes.reindeer);
    scope(|s| {
        for number in 1..=world.sizes.elves {
            let (elves, name) = (&elves, format!("Elf {number}"));
            start(s, &name.clone(), move || {
                helper(world, elves, &name, Kind::Elf);
            });
        }
        for number in 1..=world.sizes.reindeer {
            let (reindeer, name) = (&reindeer, format!("Reindeer {number}"));
            start(s, &name.clone(), move || {
                helper(world, reindeer, &name, Kind::Reindeer);
            });
        }
        for _ in 0..world.rounds {
            santa(world, &reindeer, &elves);
        }
        s.kill("Santa has retired");
    });
}

fn santa(world: &World, reindeer: &Group, elves: &Group) {
    world.log.say("----------");
    let (what, (gate_in, gate_out)) = await_either(reindeer, elves);
    world.log.say(format!("Ho! Ho! Ho! let's {what}"));
    operate_gate(&gate_in);
    // Now the helpers do their work.
    operate_gate(&gate_out);
}

/// Waits for both groups at once. When both are complete, the left alternative is taken.
fn await_either(reindeer: &Group, elves: &Group) -> (&'static str, Gates) {
    atomically(|tx| {
        tx.or_else(
            |tx| Ok(("deliver toys", await_group(tx, reindeer)?)),
            |tx| Ok(("meet in my study", await_group(tx, elves)?)),
        )
    })
}

fn helper(world: &World, group: &Group, name: &str, kind: Kind) {
    let work = match kind {
        Kind::Reindeer => "delivering toys",
        Kind::Elf => "meeting in the study",
    };
    loop {
        let (gate_in, gate_out) = join_group(group);
        world.log.joined(kind, name);
        pass_gate(&gate_in);
        world.log.say(format!("{name} {work}"));
        world.nap(300);
        pass_gate(&gate_out);
        world.nap(1000);
    }
}
