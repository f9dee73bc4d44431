//! What came out of a day at the bank.

pub struct Outcome {
    /// Of each account, in the order of the ledger.
    pub balances: Vec<i64>,
    pub transactions: usize,
    pub mismatches: usize,
    pub first_mismatch: Option<Mismatch>,
    pub total: i64,
    pub imbalance: i64,
    pub seconds: f64,
    pub turns: u64,
    pub waits: u64,
    pub observations: u64,
    pub observed_imbalances: u64,
    pub undone: Undone,
    pub refused: u64,
    pub first_refused: Option<usize>,
    /// What became of the withdrawals that had to wait, where the ledger is short.
    pub told: Vec<String>,
}

/// An account that did not end as recorded.
pub struct Mismatch {
    pub account: u64,
    pub balance: i64,
    pub recorded: i64,
}

/// Changes of balances that somebody else's write has undone.
#[derive(Clone, Copy, Default)]
pub struct Undone {
    /// Money put into accounts and overwritten.
    pub lost: Overwritten,
    /// Money taken out of accounts and overwritten: it is in two places now.
    pub made: Overwritten,
}

#[derive(Clone, Copy, Default)]
pub struct Overwritten {
    pub times: u64,
    pub together: i64,
    /// The account, the line of the transaction that overwrote it, and how much it was.
    pub first: Option<(u64, usize, i64)>,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.mismatches == 0
            && self.imbalance == 0
            && self.refused == 0
            && self.observed_imbalances == 0
    }

    pub fn per_second(&self) -> f64 {
        self.transactions as f64 / self.seconds.max(1e-9)
    }
}
