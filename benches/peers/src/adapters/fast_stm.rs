//! fast-stm: the crate stm, carried on by others with its speed in view.

use fast_stm::{TVar, atomically, guard};

use super::std_threads::StdThreads;
use crate::peer::BlockingStm;

pub struct FastStm;

impl BlockingStm for FastStm {
    const NAME: &'static str = "fast-stm";

    type Tasks = StdThreads;
    type Variable = TVar<i64>;

    fn variable(value: i64) -> TVar<i64> {
        TVar::new(value)
    }

    fn transfer(from: &TVar<i64>, to: &TVar<i64>, amount: i64) {
        atomically(|transaction| {
            let left = from.read(transaction)?;
            let right = to.read(transaction)?;
            from.write(transaction, left - amount)?;
            to.write(transaction, right + amount)
        });
    }

    fn read(variable: &TVar<i64>) -> i64 {
        atomically(|transaction| variable.read(transaction))
    }

    fn pass(variable: &TVar<i64>, awaited: i64, next: i64) {
        atomically(|transaction| {
            guard(variable.read(transaction)? == awaited)?;
            variable.write(transaction, next)
        });
    }
}
