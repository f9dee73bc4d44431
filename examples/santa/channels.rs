//! With channels: nothing is shared, and whoever needs something is sent it.
//!
//! ```text
//!   9 reindeer ── Helper ──► stable   ── 9 of them ──┐
//!                                                    ├──► Santa ─── call ──► each of them
//!   10 elves   ── Helper ──► workshop ── 3 of them ──┘          ◄── done ───
//! ```
//!
//! A helper that is back sends how to call it, and waits for the call. When Santa has retired, his
//! ends of the channels are gone: the two tasks that gather learn it when they send, and the
//! helpers from these. Nobody is killed.
use crate::events::REINDEER;
use crate::world::{Kind, World, start};
use maypole::channel::{Receiver, Select, Sender, oneshot, select_biased, unbounded};
use maypole::scope;

/// A helper that waits to be called. The call says where to tell that the work is done.
struct Helper {
    name: String,
    call: oneshot::Sender<Sender<()>>,
}

type Group = Vec<Helper>;

pub fn perform(world: &World) {
    let (to_stable, stable) = unbounded();
    let (to_workshop, workshop) = unbounded();
    let (from_stable, reindeer) = unbounded();
    let (from_workshop, elves) = unbounded();
    scope(|s| {
        for number in 0..world.sizes.elves {
            let (back, name) = (to_workshop.clone(), format!("Elf {number}"));
            start(s, &name.clone(), move || {
                helper(world, &back, &name, Kind::Elf)
            });
        }
        for name in &REINDEER[..world.sizes.reindeer] {
            let back = to_stable.clone();
            start(s, name, move || helper(world, &back, name, Kind::Reindeer));
        }
        start(s, "workshop", || {
            gather(world, workshop, from_workshop, Kind::Elf);
        });
        start(s, "stable", || {
            gather(world, stable, from_stable, Kind::Reindeer);
        });
        // Nobody but the helpers is to keep the way to those who gather.
        drop((to_stable, to_workshop));
        santa(world, reindeer, elves);
    });
}

fn santa(world: &World, reindeer: Receiver<Group>, elves: Receiver<Group>) {
    let mut rounds = 0;
    while rounds < world.rounds {
        // `select_biased!` alone would not do. A task that is asleep in it is handed the first
        // message that comes; by the time of its turn the reindeer may have come too. So Santa is
        // only woken here, and chooses when he is awake.
        let mut doors = Select::new();
        doors.recv(&reindeer);
        doors.recv(&elves);
        doors.ready();
        select_biased! {
            recv(reindeer) -> group => work_with(world, group.unwrap(), "deliver toys"),
            recv(elves) -> group => work_with(world, group.unwrap(), "meet in my study"),
        }
        rounds += 1;
    }
}

fn work_with(world: &World, group: Group, what: &str) {
    world.log.say(format!("Ho! Ho! Ho! Let's {what}"));
    let (done, all_done) = unbounded();
    for helper in group {
        // A helper waits for nothing but this.
        helper.call.send(done.clone()).unwrap();
    }
    drop(done);
    all_done.iter().for_each(|()| {}); // it ends when the last of them has dropped its end
}

/// Makes groups of those that come back.
fn gather(world: &World, back: Receiver<Helper>, groups: Sender<Group>, kind: Kind) {
    loop {
        let group: Group = back.iter().take(world.sizes.group(kind)).collect();
        let names: Vec<String> = group.iter().map(|helper| helper.name.clone()).collect();
        if groups.send(group).is_err() {
            return;
        }
        for name in names {
            world.log.joined(kind, &name);
        }
    }
}

fn helper(world: &World, back: &Sender<Helper>, name: &str, kind: Kind) {
    let (work, holidays_ms) = match kind {
        Kind::Reindeer => ("delivers toys", 9000),
        Kind::Elf => ("meets in study", 3000),
    };
    loop {
        let (call, called) = oneshot();
        let helper = Helper {
            name: name.to_string(),
            call,
        };
        if back.send(helper).is_err() {
            return; // nobody gathers any more
        }
        let Ok(done) = called.recv() else { return };
        world.log.say(format!("{name} {work}"));
        world.nap(1000);
        drop(done);
        world.nap(holidays_ms);
    }
}
