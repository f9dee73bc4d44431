//! The bank is killed at random moments, a hundred times: its file is consistent, and the next run
//! goes on where it was.
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KILLS: usize = 100;

/// So many of these at least must have hit it at work, or the moments were badly chosen.
const HITS_AT_LEAST: usize = 20;

const ACCOUNTS: usize = 20;
const ENTRIES: usize = 2000;

/// Numbers that look like chance and are the same every time (Marsaglia's xorshift, 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("maypole-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("there is room");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A ledger in which deposits and withdrawals follow each other; the balances of its accounts in
/// the end.
fn make_ledger(chance: &mut Chance) -> (String, [i64; ACCOUNTS]) {
    let mut text = "date,account,kind,counterparty,amount,balance\n".to_string();
    let mut balances = [0; ACCOUNTS];
    for _ in 0..ENTRIES {
        let account = chance.below(ACCOUNTS as u64) as usize;
        let balance = &mut balances[account];
        let takes = *balance > 1000 && chance.below(2) == 0;
        let (kind, amount) = match takes {
            true => ("withdrawal", -(chance.below(*balance as u64) as i64)),
            false => ("transfer-in", 1000 + chance.below(100_000) as i64),
        };
        *balance += amount;
        let other = ["CASH", "AB", "CD"][chance.below(3) as usize];
        let (amount, balance) = (crowns(amount), crowns(*balance));
        writeln!(
            text,
            "2024-01-02,{account},{kind},{other},{amount},{balance}"
        )
        .unwrap();
    }
    (text, balances)
}

fn crowns(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

struct Bank {
    ledger: PathBuf,
    file: PathBuf,
}

impl Bank {
    fn command(&self, batch: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maypole-sqlite-bank"));
        command.arg("--ledger").arg(&self.ledger);
        command.arg("--file").arg(&self.file);
        command.args(["--batch", batch]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        // The auditor of debug builds would take half of the time, before there is anything to
        // kill.
        command.env("MAYPOLE_AUDIT", "0");
        command
    }

    fn start(&self) -> Child {
        // Small batches, so that many of the moments are in the middle of one.
        self.command("3").spawn().expect("the program can be run")
    }

    /// Runs it to its end and gives what it printed.
    fn finish(&self) -> String {
        let mut command = self.command("100");
        let ran = command.stdout(Stdio::piped()).output();
        let ran = ran.expect("the program can be run");
        let complaints = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{complaints}");
        String::from_utf8(ran.stdout).expect("it prints text")
    }

    fn has_file(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|about| about.len() > 0)
    }
}

/// How many entries there are in a file that keeps all its promises. It is looked at with other
/// eyes than the bank's.
fn consistent(file: &Path) -> i64 {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .expect("the file can be opened");
    let ask = |question: &str| -> i64 {
        let answer = connection.query_row(question, [], |row| row.get(0));
        answer.unwrap_or_else(|error| panic!("{question}: {error}"))
    };
    let whole: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(whole, "ok");
    let tables = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'progress'";
    if ask(tables) == 0 {
        return 0; // killed before there was anything
    }
    let recorded = ask("SELECT recorded FROM progress");
    assert_eq!(recorded, ask("SELECT COUNT(*) FROM entries"), "progress");
    let accounts = ask("SELECT SUM(balance) FROM accounts");
    let counterparties = ask("SELECT SUM(balance) FROM counterparties");
    assert_eq!(accounts + counterparties, 0, "the sum of all money");
    let differing = "SELECT COUNT(*) FROM accounts WHERE balance !=
        (SELECT COALESCE(SUM(amount), 0) FROM entries WHERE account = number)";
    assert_eq!(
        ask(differing),
        0,
        "balances that are not those of their entries"
    );
    assert_eq!(ask("SELECT COUNT(*) FROM accounts WHERE balance < 0"), 0);
    recorded
}

#[test]
fn a_kill_at_any_moment_leaves_a_file_from_which_the_next_run_goes_on() {
    let folder = Folder::new("kill");
    let mut chance = Chance(0x1234_5678_9abc_def1);
    let (ledger, balances) = make_ledger(&mut chance);
    let bank = Bank {
        ledger: folder.0.join("ledger.csv"),
        file: folder.0.join("bank.sqlite"),
    };
    std::fs::write(&bank.ledger, ledger).expect("there is room");
    let total = format!("total: {}", crowns(balances.iter().sum()));

    let began = Instant::now();
    assert!(bank.start().wait().expect("it ends").success());
    let takes = began.elapsed();
    assert_eq!(consistent(&bank.file), ENTRIES as i64);

    let (mut hits, mut recorded) = (0, ENTRIES as i64);
    for _ in 0..KILLS {
        if recorded == ENTRIES as i64 {
            let printed = bank.finish();
            for line in [&total, "mismatches: 0", "imbalance: 0.00"] {
                assert!(printed.lines().any(|printed| printed == line), "{printed}");
            }
            std::fs::remove_file(&bank.file).expect("the file is there");
            recorded = 0;
        }
        let mut run = bank.start();
        let moment = chance.below(takes.as_micros() as u64 / 2);
        std::thread::sleep(Duration::from_micros(moment));
        run.kill().expect("it can be killed");
        run.wait().expect("it ends");
        if bank.has_file() {
            let now = consistent(&bank.file);
            assert!(
                now >= recorded,
                "{now} entries are there, and {recorded} were"
            );
            hits += usize::from(recorded < now && now < ENTRIES as i64);
            recorded = now;
        }
    }
    assert!(hits >= HITS_AT_LEAST, "only {hits} kills hit it at work");

    let printed = bank.finish();
    assert!(printed.contains(&total), "{printed}");
    assert_eq!(consistent(&bank.file), ENTRIES as i64);
    let again = bank.finish();
    assert!(again.contains(&format!("{ENTRIES} of {ENTRIES} transactions are there")));
}

#[test]
fn an_interrupt_ends_it_in_order() {
    let folder = Folder::new("interrupt");
    let (ledger, _) = make_ledger(&mut Chance(2));
    let bank = Bank {
        ledger: folder.0.join("ledger.csv"),
        file: folder.0.join("bank.sqlite"),
    };
    std::fs::write(&bank.ledger, &ledger).expect("there is room");
    let run = bank.command("1").stdout(Stdio::piped()).spawn();
    let mut run = run.expect("the program can be run");
    let mut output = BufReader::new(run.stdout.take().expect("it is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it prints text");
    assert!(line.contains("0 of 2000 transactions are there"), "{line}");
    // It listens to signals before it writes anything.
    let log = folder.0.join("bank.sqlite-wal");
    let length = || std::fs::metadata(&log).map_or(0, |about| about.len());
    let at_first = length();
    let began = Instant::now();
    while length() == at_first && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status();
    assert!(interrupt.expect("there is a kill").success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("it prints text");
    assert_eq!(rest, "\nstopped; run it again and it goes on\n");
    assert_eq!(run.wait().expect("it ends").code(), Some(1));
    let recorded = consistent(&bank.file);
    assert!(recorded < ENTRIES as i64, "it had ended before");
    assert!(
        bank.finish()
            .contains(&format!("{recorded} of {ENTRIES} transactions are there"))
    );
}

#[test]
fn a_second_run_and_another_ledger_are_refused() {
    let folder = Folder::new("refuse");
    let (ledger, _) = make_ledger(&mut Chance(1));
    let bank = Bank {
        ledger: folder.0.join("ledger.csv"),
        file: folder.0.join("bank.sqlite"),
    };
    std::fs::write(&bank.ledger, &ledger).expect("there is room");
    let refused = || {
        let ran = bank
            .command("100")
            .output()
            .expect("the program can be run");
        assert_eq!(ran.status.code(), Some(1));
        String::from_utf8(ran.stderr).expect("it prints text")
    };

    let connection = Connection::open(&bank.file).expect("the file can be made");
    connection
        .execute_batch("BEGIN EXCLUSIVE; CREATE TABLE other (x);")
        .expect("nobody else is there");
    let complaint = refused();
    assert!(
        complaint.contains("another run is at work on it"),
        "{complaint}"
    );
    drop(connection);

    bank.finish();
    let half: String = ledger
        .lines()
        .take(ENTRIES / 2)
        .map(|line| line.to_string() + "\n")
        .collect();
    std::fs::write(&bank.ledger, half).expect("there is room");
    let complaint = refused();
    assert!(
        complaint.contains("this is of another ledger"),
        "{complaint}"
    );
}
