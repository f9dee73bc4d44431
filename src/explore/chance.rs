//! Schedules by chance: plain, and by priorities that change a few times.
use crate::scheduler::policy::{Choice, Kind, Seeded};
use crate::scheduler::wait::What;

/// Chooses at random, the same way for the same seed.
pub(super) struct Chance {
    seed: u64,
    random: Seeded,
    manner: Manner,
}

enum Manner {
    /// A forced switch before one operation in so many.
    Plain {
        odds: usize,
    },
    Priorities(Priorities),
}

/// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi and Nagarakatte, 2010): the
/// task of the highest priority runs, and at some random steps the running task gets the lowest.
struct Priorities {
    depth: usize,
    /// By serial number; 0 for none yet.
    of: Vec<i64>,
    /// Steps at which the running task falls behind.
    falls: Vec<usize>,
    step: usize,
    /// Steps of the longest schedule so far.
    longest: usize,
    /// What the task gets that falls or yields next: less than all others.
    lowest: i64,
}

impl Chance {
    pub(super) fn plain(seed: u64) -> Self {
        Chance {
            seed,
            random: Seeded::new(seed),
            manner: Manner::Plain { odds: 2 },
        }
    }

    pub(super) fn priorities(seed: u64, depth: usize) -> Self {
        Chance {
            seed,
            random: Seeded::new(seed),
            manner: Manner::Priorities(Priorities {
                depth: depth.max(1),
                of: Vec::new(),
                falls: Vec::new(),
                step: 0,
                longest: 16,
                lowest: -1,
            }),
        }
    }

    /// Begins schedule `nth`; the one before had so many choices.
    pub(super) fn begin(&mut self, nth: u64, choices: usize) {
        // Far from the other schedules of this seed, and from the same schedule of other seeds.
        self.random = Seeded::new(Seeded::new(self.seed).bits().wrapping_add(nth << 20));
        match &mut self.manner {
            // From every other operation to one in 64: some errors need many forced switches and
            // most need few.
            Manner::Plain { odds } => *odds = 2 << (nth % 6),
            Manner::Priorities(priorities) => {
                priorities.longest = priorities.longest.max(choices);
                priorities.of.clear();
                (priorities.step, priorities.lowest) = (0, -1);
                let (random, longest) = (&mut self.random, priorities.longest);
                let fall = |_| random.draw(longest);
                // There are no more steps to fall at.
                let depth = priorities.depth.min(longest);
                priorities.falls = (1..depth).map(fall).collect();
            }
        }
    }

    pub(super) fn choose(&mut self, choice: &Choice<'_>) -> usize {
        let random = &mut self.random;
        match (choice.kind, &mut self.manner) {
            (Kind::Case | Kind::Any, _) => random.draw(choice.among),
            (Kind::Turn, Manner::Plain { .. }) => match random.draw(8) {
                0 => random.draw(choice.among),
                _ => random.draw(choice.free),
            },
            (Kind::Switch, Manner::Plain { odds }) => match random.draw(*odds) {
                0 => 1 + random.draw(choice.among - 1),
                _ => 0,
            },
            (_, Manner::Priorities(priorities)) => priorities.choose(choice, random),
        }
    }
}

impl Priorities {
    fn choose(&mut self, choice: &Choice<'_>, random: &mut Seeded) -> usize {
        // A task that yields waits for the others.
        let yields = choice.kind == Kind::Turn && choice.wait.what == What::Turn;
        if yields || self.falls.contains(&self.step) {
            *self.of(choice.task, random) = self.lowest;
            self.lowest -= 1;
        }
        self.step += 1;
        let priorities = choice.tasks.iter().map(|task| *self.of(*task, random));
        let best = priorities.enumerate().max_by_key(|(_, priority)| *priority);
        best.map_or(0, |(index, _)| index)
    }

    fn of(&mut self, task: u64, random: &mut Seeded) -> &mut i64 {
        let index = task as usize;
        if self.of.len() <= index {
            self.of.resize(index + 1, 0);
        }
        let priority = &mut self.of[index];
        if *priority == 0 {
            *priority = (random.bits() >> 2) as i64 + 1;
        }
        priority
    }
}
