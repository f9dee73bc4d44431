//! Chance that is the same for the same seed.
use super::{Choice, Policy};

/// Chooses at random, the same way for the same seed.
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Seeded(seed)
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn bits(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `among`.
    #[inline]
    pub(crate) fn draw(&mut self, among: usize) -> usize {
        // The high bits scaled to the range.
        ((u128::from(self.bits()) * among as u128) >> 64) as usize
    }
}

impl Policy for Seeded {
    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize> {
        Some(self.draw(choice.among))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let choices = |seed| {
            let mut policy = Seeded::new(seed);
            (1..100).map(move |n| policy.draw(n)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }

    #[test]
    fn every_index_is_chosen_and_none_beyond() {
        let mut policy = Seeded::new(1);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[policy.draw(5)] += 1);
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
    }
}
