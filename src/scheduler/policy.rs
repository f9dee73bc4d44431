//! Who chooses: the one source of chance.

/// Answers each choice of the scheduler with an index below `among`.
///
/// Without a policy index 0 is taken: first in, first out. An execution is determined by these
/// answers, the clock and the driver.
pub(crate) trait Policy {
    fn choose(&mut self, among: usize) -> usize;

    /// A task to kill before the next turn, by its place in the order of spawning; for tests that
    /// kill at every step.
    fn victim(&mut self) -> Option<u64> {
        None
    }
}

/// Chooses at random, the same way for the same seed.
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Seeded(seed)
    }
}

impl Policy for Seeded {
    fn choose(&mut self, among: usize) -> usize {
        // SplitMix64 (Steele, Lea and Flood, 2014); the high bits scaled to the range.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        ((u128::from(word) * among as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let choices = |seed| {
            let mut policy = Seeded::new(seed);
            (1..100).map(move |n| policy.choose(n)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }

    #[test]
    fn every_index_is_chosen_and_none_beyond() {
        let mut policy = Seeded::new(1);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[policy.choose(5)] += 1);
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }
}
