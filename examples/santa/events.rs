//! With events, after Christian Wyglendowski's example for diesel (2009).
//!
//! Santa looks from time to time whether a group is full. The members of a group wait for two
//! events, its start and its end. An event is fired, not set: those that wait for it go on, and who
//! comes later waits for the next time.
use crate::world::{Kind, World, start};
use maypole::scope;
use maypole::sync::Event;
use std::cell::RefCell;

pub const REINDEER: [&str; 9] = [
    "Dasher", "Dancer", "Prancer", "Vixen", "Comet", "Cupid", "Donner", "Blitzen", "Rudolph",
];

/// Whether a helper may hand over between its look at the group and its joining it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    InOnePiece,
    AfterSomeThought,
}

/// The group that forms, or is with Santa.
pub struct Group {
    size: usize,
    members: RefCell<Vec<String>>,
    started: Event,
    done: Event,
}

impl Group {
    pub fn new(kind: &str, size: usize) -> Group {
        Group {
            size,
            members: RefCell::default(),
            started: Event::named(format!("{kind}-group-started")),
            done: Event::named(format!("{kind}-group-done")),
        }
    }

    pub fn count(&self) -> usize {
        self.members.borrow().len()
    }

    pub fn is_full(&self) -> bool {
        self.count() >= self.size
    }

    pub fn join(&self, name: &str) {
        self.members.borrow_mut().push(name.to_string());
    }

    pub fn excuse(&self) {
        self.members.borrow_mut().clear();
        self.done.fire();
    }
}

pub fn perform(world: &World, joining: Joining) {
    let deer = Group::new("deer", world.sizes.reindeer);
    let elves = Group::new("elf", world.sizes.elf_group);
    scope(|s| {
        for number in 0..world.sizes.elves {
            let (elves, name) = (&elves, format!("Elf {number}"));
            start(s, &name.clone(), move || {
                helper(world, elves, &name, Kind::Elf, joining);
            });
        }
        for name in &REINDEER[..world.sizes.reindeer] {
            let deer = &deer;
            start(s, name, move || {
                helper(world, deer, name, Kind::Reindeer, joining);
            });
        }
        santa(world, &deer, &elves);
        s.kill("Santa has retired");
    });
}

fn santa(world: &World, deer: &Group, elves: &Group) {
    let mut rounds = 0;
    while rounds < world.rounds {
        if deer.is_full() {
            work_with(world, deer, "deliver toys");
            rounds += 1;
        }
        if elves.is_full() && rounds < world.rounds {
            work_with(world, elves, "meet in my study");
            rounds += 1;
        }
        world.nap(1000);
    }
}

fn work_with(world: &World, group: &Group, what: &str) {
    world.log.say(format!("Ho! Ho! Ho! Let's {what}"));
    group.started.fire();
    world.nap(3000); // everyone who was woken has its turn meanwhile
    group.excuse();
}

fn helper(world: &World, group: &Group, name: &str, kind: Kind, joining: Joining) {
    let (work, holidays_ms) = match kind {
        Kind::Reindeer => ("delivers toys", 9000),
        Kind::Elf => ("meets in study", 3000),
    };
    loop {
        world.nap(holidays_ms);
        // The look and the joining are in one piece, with no call in between that might hand over:
        // so no other fills the group meanwhile, and there is no lock. Nor is an event missed before
        // the wait. (A task that has done 127 calls without having to wait gives way before the
        // next. This one has just had a nap.)
        if !group.is_full() {
            if joining == Joining::AfterSomeThought {
                world.nap(100); // now there is
            }
            group.join(name);
            world.log.joined(kind, name);
            group.started.wait();
            world.log.say(format!("{name} {work}"));
            group.done.wait();
        }
    }
}
