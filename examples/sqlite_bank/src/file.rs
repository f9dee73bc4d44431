//! The books in a SQLite file, and why they are consistent whenever the process is killed.
//!
//! A batch of transactions of the ledger is one of SQLite: their entries, both balances of each,
//! and how many there are, come into the file together or not at all. So there is no progress to be
//! kept elsewhere, which could say more or less than what was done: an entry is in the file or it
//! is not, and its line is the key, so it cannot be there twice.
//!
//! The file is written by a log that is put before it (WAL). A batch that is cut off by a kill is
//! an end of that log without its mark, and whoever opens the file next leaves it out. What the
//! process has handed to the system outlives a `kill -9`, so nothing is flushed to the disk on the
//! way (`synchronous = NORMAL`): if the power fails, the last batches may be missing, the file is
//! still consistent, and they are worked again.
use super::ledger::{Entry, Ledger};
use super::money::Crowns;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const TABLES: &str = "
    CREATE TABLE accounts (number INTEGER PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
    CREATE TABLE counterparties (name TEXT PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
    CREATE TABLE entries (
        line INTEGER PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts,
        counterparty TEXT NOT NULL REFERENCES counterparties,
        amount INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE progress (ledger INTEGER NOT NULL, recorded INTEGER NOT NULL) STRICT;
";

pub struct BankFile(Connection);

impl BankFile {
    /// Removes the file, and its log with it.
    pub fn remove(path: &Path) -> Result<(), String> {
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", name.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the file, or makes a new one for this ledger.
    pub fn open(path: &Path, bytes: &[u8], ledger: &Ledger) -> Result<Self, String> {
        let opened = Connection::open(path).and_then(|mut connection| {
            // Whoever opens it next is refused, until this process has ended, however it ends.
            connection.busy_timeout(Duration::from_secs(1))?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let made_for = make_tables(&mut connection, fingerprint(bytes), ledger)?;
            Ok((connection, made_for))
        });
        let (connection, made_for) = opened.map_err(|error| {
            let name = path.display();
            match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy) => {
                    format!("{name}: another run is at work on it")
                }
                _ => format!("{name}: {error}"),
            }
        })?;
        match made_for == fingerprint(bytes) {
            true => Ok(BankFile(connection)),
            false => Err(format!(
                "{}: this is of another ledger; --fresh begins a new file",
                path.display()
            )),
        }
    }

    /// Writes down all of these, or none.
    pub fn record(&mut self, ledger: &Ledger, batch: &[&Entry]) -> Result<(), String> {
        self.try_record(ledger, batch).map_err(complain)
    }

    fn try_record(&mut self, ledger: &Ledger, batch: &[&Entry]) -> rusqlite::Result<()> {
        let transaction = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut entries =
                transaction.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?;
            let mut accounts = transaction
                .prepare_cached("UPDATE accounts SET balance = balance + ?2 WHERE number = ?1")?;
            let mut counterparties = transaction.prepare_cached(
                "UPDATE counterparties SET balance = balance - ?2 WHERE name = ?1",
            )?;
            for entry in batch {
                let account = ledger.accounts[entry.account].number as i64;
                let counterparty = &ledger.counterparties[entry.counterparty];
                entries.execute(params![
                    entry.line as i64,
                    account,
                    counterparty,
                    entry.amount
                ])?;
                accounts.execute(params![account, entry.amount])?;
                counterparties.execute(params![counterparty, entry.amount])?;
            }
        }
        transaction.execute(
            "UPDATE progress SET recorded = recorded + ?1",
            [batch.len()],
        )?;
        transaction.commit()
    }

    /// The lines of the ledger that are in the file.
    pub fn recorded(&mut self) -> Result<BTreeSet<usize>, String> {
        let lines = |connection: &mut Connection| -> rusqlite::Result<BTreeSet<usize>> {
            let mut lines = connection.prepare("SELECT line FROM entries")?;
            lines.query_map([], |row| row.get(0))?.collect()
        };
        lines(&mut self.0).map_err(complain)
    }

    /// Of the accounts, in the order of the ledger.
    pub fn balances(&mut self, ledger: &Ledger) -> Result<Vec<i64>, String> {
        let balances = |connection: &mut Connection| -> rusqlite::Result<Vec<i64>> {
            let mut balance =
                connection.prepare("SELECT balance FROM accounts WHERE number = ?1")?;
            let accounts = ledger.accounts.iter();
            let read = |number| balance.query_row([number], |row| row.get(0));
            accounts
                .map(|account| account.number as i64)
                .map(read)
                .collect()
        };
        balances(&mut self.0).map_err(complain)
    }

    /// The sum of all that anybody has: 0, since money is only moved.
    pub fn imbalance(&mut self) -> Result<i64, String> {
        self.ask(
            "SELECT COALESCE(SUM(balance), 0)
             FROM (SELECT balance FROM accounts UNION ALL SELECT balance FROM counterparties)",
        )
    }

    /// Whether the file keeps its promises, whatever has become of those who wrote it.
    pub fn verify(&mut self, ledger: &Ledger) -> Result<(), String> {
        let whole: String = self.ask("PRAGMA integrity_check")?;
        if whole != "ok" {
            return Err(format!("the file is damaged: {whole}"));
        }
        let imbalance = self.imbalance()?;
        if imbalance != 0 {
            return Err(format!("inconsistent: {} is missing", Crowns(-imbalance)));
        }
        let missing: i64 =
            self.ask("SELECT recorded - (SELECT COUNT(*) FROM entries) FROM progress")?;
        if missing != 0 {
            return Err(format!(
                "inconsistent: {missing} entries more are told of than there are"
            ));
        }
        let differing: i64 = self.ask(
            "SELECT COUNT(*) FROM accounts
             LEFT JOIN (SELECT account, SUM(amount) AS total FROM entries GROUP BY account)
             ON account = number WHERE balance != COALESCE(total, 0)",
        )?;
        if differing != 0 {
            return Err(format!(
                "inconsistent: {differing} balances are not their entries' sums"
            ));
        }
        for (account, balance) in ledger.accounts.iter().zip(self.balances(ledger)?) {
            if balance < account.limit() {
                let number = account.number;
                return Err(format!(
                    "inconsistent: account {number} has only {}",
                    Crowns(balance)
                ));
            }
        }
        Ok(())
    }

    fn ask<T: rusqlite::types::FromSql>(&mut self, question: &str) -> Result<T, String> {
        let answer = self.0.query_row(question, [], |row| row.get(0));
        answer.map_err(complain)
    }
}

/// Makes the tables, unless they are there; gives the fingerprint of the ledger that they are for.
fn make_tables(
    connection: &mut Connection,
    fingerprint: i64,
    ledger: &Ledger,
) -> rusqlite::Result<i64> {
    // In one transaction, too: a kill in the middle leaves an empty file.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables = "SELECT 1 FROM sqlite_schema WHERE name = 'progress'";
    let are_there = transaction.query_row(tables, [], |_| Ok(())).optional()?;
    if are_there.is_none() {
        transaction.execute_batch(TABLES)?;
        for account in &ledger.accounts {
            let number = account.number as i64;
            transaction.execute("INSERT INTO accounts VALUES (?1, 0)", [number])?;
        }
        for name in &ledger.counterparties {
            transaction.execute("INSERT INTO counterparties VALUES (?1, 0)", [name])?;
        }
        transaction.execute("INSERT INTO progress VALUES (?1, 0)", [fingerprint])?;
    }
    let made_for = transaction.query_row("SELECT ledger FROM progress", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(made_for)
}

/// FNV-1a (Fowler, Noll, Vo 1991): tells one ledger from another, and the same in every build.
fn fingerprint(bytes: &[u8]) -> i64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash as i64
}

fn complain(error: rusqlite::Error) -> String {
    format!("the file: {error}")
}
