//! Running the bank, also on a ledger of a test's own.
use crate::program::{Ran, run};
use std::path::PathBuf;

pub const HEADER: &str = "date,account,kind,counterparty,amount,balance\n";

pub fn bank(arguments: &[&str]) -> Ran {
    run("bank", arguments)
}

/// A ledger of its own for one test, removed with it.
pub struct LedgerFile(PathBuf);

impl LedgerFile {
    pub fn new(name: &str, contents: impl AsRef<[u8]>) -> Self {
        let name = format!("maypole-bank-{}-{name}.csv", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, contents).expect("the directory for temporary files can be written");
        LedgerFile(path)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("its name is text")
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        bank(&[&["--ledger", self.path()], arguments].concat())
    }
}

impl Drop for LedgerFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[track_caller]
pub fn is_right(ran: &Ran) {
    assert_eq!(ran.value("mismatches"), "0", "{ran:#?}");
    assert_eq!(ran.value("imbalance"), "0.00", "{ran:#?}");
    let observed: Vec<&str> = lines(ran, "observed: ").collect();
    let is_well = |line: &&str| line.ends_with("out of balance 0 times");
    assert!(
        !observed.is_empty() && observed.iter().all(is_well),
        "{ran:#?}"
    );
    assert_eq!(ran.status, Some(0), "{ran:#?}");
}

/// What follows `start` in each line that begins so.
pub fn lines<'a>(ran: &'a Ran, start: &'a str) -> impl Iterator<Item = &'a str> {
    ran.output
        .lines()
        .filter_map(move |line| line.strip_prefix(start))
}

/// The full ledger, 47,527 transactions of 1,201 accounts, where `MAYPOLE_LEDGER` names its file.
pub fn full_ledger() -> Option<String> {
    let ledger = std::env::var_os("MAYPOLE_LEDGER")?;
    Some(ledger.into_string().expect("its name is text"))
}
