//! What the three styles have in common: who lives at the North Pole, chance, and the log.
use maypole::{Scope, sleep, task};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// The two kinds of helpers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Reindeer,
    Elf,
}

/// How many helpers there are. The reindeer come all together.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub reindeer: usize,
    pub elves: usize,
    pub elf_group: usize,
}

impl Sizes {
    pub const STORY: Sizes = Sizes {
        reindeer: 9,
        elves: 10,
        elf_group: 3,
    };

    /// Small enough for trying every order of turns.
    pub const SMALL: Sizes = Sizes {
        reindeer: 2,
        elves: 1,
        elf_group: 1,
    };

    pub fn group(self, kind: Kind) -> usize {
        match kind {
            Kind::Reindeer => self.reindeer,
            Kind::Elf => self.elf_group,
        }
    }
}

/// What a program is given to play with.
pub struct World {
    pub sizes: Sizes,
    /// After so many groups Santa retires.
    pub rounds: usize,
    pub log: Log,
    pub chance: Chance,
}

impl World {
    /// Sleeps for a time by chance. It is virtual time, which stands still while any task is ready:
    /// so whoever was ready has had its turn meanwhile.
    #[track_caller]
    pub fn nap(&self, most_ms: u64) {
        sleep(Duration::from_millis(self.chance.up_to(most_ms)));
    }
}

/// Starts a task with a name, for the reports.
#[track_caller]
pub fn start<'s>(s: &'s Scope<'s, '_>, name: &str, lives: impl FnOnce() + 's) {
    task::Builder::new()
        .name(name)
        .spawn_scoped(s, lives)
        .expect("there is room for a stack");
}

/// Numbers by chance, the same for the same seed: SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Chance(Option<Cell<u64>>);

impl Chance {
    pub fn seeded(seed: u64) -> Chance {
        Chance(Some(Cell::new(seed)))
    }

    /// Every number is 1.
    pub fn none() -> Chance {
        Chance(None)
    }

    /// A number from 1 to `most`.
    pub fn up_to(&self, most: u64) -> u64 {
        let Some(state) = &self.0 else { return 1 };
        let seed = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        1 + (mixed ^ (mixed >> 31)) % most
    }
}

/// What has happened, in order. The checker reads it.
pub struct Log {
    entries: RefCell<Vec<Entry>>,
    prints: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A line that was printed.
    Line(String),
    /// A helper is a member of the group that forms. Nobody says so, but the checker must know.
    Joined(Kind, String),
}

impl Log {
    pub fn printed() -> Log {
        Log {
            entries: RefCell::default(),
            prints: true,
        }
    }

    pub fn silent() -> Log {
        Log {
            entries: RefCell::default(),
            prints: false,
        }
    }

    pub fn say(&self, line: impl Into<String>) {
        let line = line.into();
        if self.prints {
            println!("{line}");
        }
        self.entries.borrow_mut().push(Entry::Line(line));
    }

    pub fn joined(&self, kind: Kind, name: &str) {
        let joined = Entry::Joined(kind, name.to_string());
        self.entries.borrow_mut().push(joined);
    }

    pub fn take(&self) -> Vec<Entry> {
        self.entries.take()
    }
}
