//! Chance for tests: the same numbers for the same seed.
use std::cell::Cell;

/// SplitMix64 (Steele, Lea and Flood, 2014); shared by the tasks of a simulated run.
pub(super) struct Random(Cell<u64>);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    pub(super) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }
}
