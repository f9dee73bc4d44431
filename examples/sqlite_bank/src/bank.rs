//! Every transaction of the ledger is a task; one more task writes down what they have done.
//!
//! ```text
//!   task of a transaction ──atomically: move the money, put it into the queue──► queue ──►
//!   the writer ──offload: a batch of these in one transaction of SQLite──► file
//! ```
//!
//! The order in the queue is that in which the money was moved, since both are one transaction, of
//! memory. So whatever is in the file is a beginning of what happened here: nobody has spent there
//! what has not come yet. Where the file is slow, the queue does not grow without end: only so many
//! transactions are under way, from their start until they are written.
use super::file::BankFile;
use super::ledger::{Entry, Ledger};
use maypole::stm::{TQueue, TVar, atomically, check};
use maypole::sync::Semaphore;
use maypole::thread::offload;
use maypole::{scope, yield_now};
use std::cell::Cell;
use std::time::Duration;

/// So many transactions are under way.
const UNDER_WAY: usize = 500;

/// After so long there is one more all the same: those that are under way could all be withdrawals
/// that wait for a deposit which has no task yet.
const PATIENCE: Duration = Duration::from_millis(200);

pub struct Done {
    pub transactions: usize,
    pub batches: usize,
    /// How many withdrawals had to wait for cover.
    pub waits: u64,
}

struct Bank<'a> {
    ledger: &'a Ledger,
    /// Of the accounts, in hundredths.
    balances: Vec<TVar<i64>>,
    /// A permit for each transaction that is under way.
    under_way: Semaphore,
    /// Places in the ledger of what is to be written, and nothing after the last.
    queue: TQueue<Option<usize>>,
    waits: Cell<u64>,
}

/// Works whatever is not in the file yet.
pub fn work(ledger: &Ledger, file: &mut BankFile, batch: usize) -> Result<Done, String> {
    let recorded = file.recorded()?;
    let todo = (0..ledger.entries.len())
        .filter(|place| !recorded.contains(&ledger.entries[*place].line))
        .collect::<Vec<_>>();
    let bank = Bank {
        ledger,
        balances: file.balances(ledger)?.into_iter().map(TVar::new).collect(),
        under_way: Semaphore::new(UNDER_WAY),
        queue: TQueue::new(),
        waits: Cell::new(0),
    };
    scope(|s| {
        s.spawn(|| bank.transact_all(&todo));
        let written = bank.write_all(file, batch);
        if written.is_err() {
            s.kill("the file cannot be written");
        }
        Ok(Done {
            transactions: todo.len(),
            batches: written?,
            waits: bank.waits.get(),
        })
    })
}

impl Bank<'_> {
    fn transact_all(&self, todo: &[usize]) {
        scope(|s| {
            for &place in todo {
                if let Some(permit) = self.under_way.acquire_timeout(PATIENCE) {
                    // It is given back when the transaction is written.
                    permit.forget();
                }
                s.spawn(move || self.transact(place));
            }
        });
        atomically(|tx| {
            self.queue.write(tx, None);
            Ok(())
        });
    }

    fn transact(&self, place: usize) {
        let entry = &self.ledger.entries[place];
        if entry.amount >= 0 {
            // It is on its way for some turns, so that withdrawals come before their cover.
            (0..entry.turns_on_its_way).for_each(|_| yield_now());
        }
        let is_covered = |balance: i64| balance + entry.amount >= self.limit(entry);
        let mut looks = 0;
        atomically(|tx| {
            looks += 1;
            let balance = &self.balances[entry.account];
            check(is_covered(balance.read(tx)))?;
            balance.update(tx, |balance| balance + entry.amount);
            self.queue.write(tx, Some(place));
            Ok(())
        });
        if looks > 1 {
            self.waits.update(|waits| waits + 1);
        }
    }

    /// A deposit is welcome whatever the balance is.
    fn limit(&self, entry: &Entry) -> i64 {
        match entry.amount {
            0.. => i64::MIN,
            _ => self.ledger.accounts[entry.account].limit(),
        }
    }

    /// Writes what is in the queue, what has come meanwhile at once, until the last.
    fn write_all(&self, file: &mut BankFile, at_most: usize) -> Result<usize, String> {
        for batches in 0.. {
            let mut places = atomically(|tx| {
                let mut places = vec![self.queue.read(tx)?];
                let more = std::iter::from_fn(|| self.queue.try_read(tx));
                places.extend(more.take(at_most - 1));
                Ok(places)
            });
            let is_last = places.last() == Some(&None);
            if is_last {
                places.pop();
            }
            let batch: Vec<&Entry> = places
                .into_iter()
                .flatten()
                .map(|place| &self.ledger.entries[place])
                .collect();
            // The other tasks go on with the next batch. A kill waits until this one is written.
            offload(|| file.record(self.ledger, &batch))?;
            self.under_way.add_permits(batch.len());
            if is_last {
                return Ok(batches + 1);
            }
        }
        unreachable!("that many batches there are not")
    }
}
