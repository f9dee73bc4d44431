//! async-stm: transactions of futures, here of tokio's tasks on one OS thread.

use async_stm::queues::TQueueLike;
use async_stm::queues::tbqueue::TBQueue;
use async_stm::queues::tchan::TChan;
use async_stm::{TVar, atomically, guard};

use super::tokio::Tokio;
use crate::peer::{AwaitingStm, AwaitingStmQueue};

pub struct AsyncStm;

impl AwaitingStm for AsyncStm {
    const NAME: &'static str = "async-stm";

    type Tasks = Tokio;
    type Variable = TVar<i64>;

    fn variable(value: i64) -> TVar<i64> {
        TVar::new(value)
    }

    async fn transfer(from: &TVar<i64>, to: &TVar<i64>, amount: i64) {
        atomically(|| {
            let left = from.read()?;
            let right = to.read()?;
            from.write(*left - amount)?;
            to.write(*right + amount)
        })
        .await;
    }

    async fn read(variable: &TVar<i64>) -> i64 {
        *atomically(|| variable.read()).await
    }

    async fn pass(variable: &TVar<i64>, awaited: i64, next: i64) {
        atomically(|| {
            guard(*variable.read()? == awaited)?;
            variable.write(next)
        })
        .await;
    }
}

/// Its `TQueue` copies all that waits in it at every operation, its `TChan` nothing.
#[derive(Clone)]
pub enum Queue {
    Bounded(TBQueue<u64>),
    Unbounded(TChan<u64>),
}

impl AwaitingStmQueue for AsyncStm {
    type Queue = Queue;

    fn queue(capacity: Option<usize>) -> Queue {
        match capacity {
            Some(capacity) => {
                let capacity = u32::try_from(capacity).expect("the groups' queues are short");
                Queue::Bounded(TBQueue::new(capacity))
            }
            None => Queue::Unbounded(TChan::new()),
        }
    }

    async fn put(queue: &Queue, message: u64) {
        match queue {
            Queue::Bounded(queue) => atomically(|| queue.write(message)).await,
            Queue::Unbounded(queue) => atomically(|| queue.write(message)).await,
        }
    }

    async fn take(queue: &Queue) -> u64 {
        match queue {
            Queue::Bounded(queue) => atomically(|| queue.read()).await,
            Queue::Unbounded(queue) => atomically(|| queue.read()).await,
        }
    }
}
