//! The bank of `examples/bank` with its books in a SQLite file. It may be killed at any moment.
//!
//! Try: `cargo run --release -p maypole-sqlite-bank`, and look:
//! `sqlite3 bank.sqlite 'SELECT * FROM accounts'`. You will see a small ledger worked, every transaction by a task, and the same last
//! lines as `cargo run --example bank` has. Run it again: all of it is in the file already, and
//! `... -- --fresh` begins anew. `... -- --ledger FILE`, or a file named by `MAYPOLE_LEDGER`, is a
//! ledger of yours, with the columns of `examples/bank/sample.csv`.
//!
//! Then kill it, as often as you like, at any moment:
//! `timeout -s KILL 0.2 target/release/maypole-sqlite-bank --batch 1`, with a long ledger.
//! The file is consistent whenever that was, which each start checks first, and the next run goes
//! on where it was. ^C ends it in order, after the transactions that are on their way to the file.
//!
//! Read `bank.rs`: the tasks, and the one that writes. `file.rs` is the file: what is in it, and
//! why it bears a `kill -9`. SQLite blocks the OS thread, so its calls are made in another one, by
//! `offload`; meanwhile the tasks here go on with what is written next.
mod bank;
mod file;
// The ledger is that of the bank, but for what is of use only there.
#[allow(dead_code)]
#[path = "../../bank/ledger.rs"]
mod ledger;
#[path = "../../bank/money.rs"]
mod money;

use file::BankFile;
use ledger::Ledger;
use maypole::channel::{bounded, select};
use maypole::{Builder, signal, spawn, time};
use money::Crowns;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

const SAMPLE: &str = include_str!("../../bank/sample.csv");

const USAGE: &str = "\
usage: maypole-sqlite-bank [--ledger FILE] [--file FILE] [--batch N] [--fresh]

  --ledger FILE  the transactions, a CSV file (default: what MAYPOLE_LEDGER names, or else a small
                 sample)
  --file FILE    where the books are (default: bank.sqlite)
  --batch N      so many transactions at most are written in one of SQLite (default: 500)
  --fresh        begins a new file";

struct Options {
    ledger: Option<PathBuf>,
    file: PathBuf,
    batch: usize,
    fresh: bool,
}

fn main() -> ExitCode {
    let options = match read_options() {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("sqlite_bank: {complaint}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match work(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(complaint) => {
            eprintln!("sqlite_bank: {complaint}");
            ExitCode::FAILURE
        }
    }
}

fn read_options() -> Result<Options, String> {
    let mut options = Options {
        ledger: std::env::var_os("MAYPOLE_LEDGER").map(PathBuf::from),
        file: "bank.sqlite".into(),
        batch: 500,
        fresh: false,
    };
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let name = argument.to_string_lossy();
        let mut value = || arguments.next().ok_or(format!("{name} expects a value"));
        match &*name {
            "--ledger" => options.ledger = Some(value()?.into()),
            "--file" => options.file = value()?.into(),
            "--batch" => {
                let value = value()?;
                let batch = value.to_str().and_then(|text| text.parse().ok());
                let batch = batch.filter(|&batch: &usize| batch > 0);
                options.batch = batch.ok_or("--batch expects a number from 1 on")?;
            }
            "--fresh" => options.fresh = true,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}

/// Whether the books are right in the end.
fn work(options: &Options) -> Result<bool, String> {
    let (name, bytes) = match &options.ledger {
        Some(path) => {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
            (name, bytes)
        }
        None => ("sample.csv".to_string(), SAMPLE.as_bytes().to_vec()),
    };
    let ledger = Ledger::parse(&name, &bytes).map_err(|bad| bad.to_string())?;
    let ledger = Rc::new(ledger);
    if options.fresh {
        BankFile::remove(&options.file)?;
    }
    let mut file = BankFile::open(&options.file, &bytes, &ledger)?;
    file.verify(&ledger)?;
    println!(
        "{}: {} of {} transactions are there, and it is consistent",
        options.file.display(),
        file.recorded()?.len(),
        ledger.entries.len()
    );

    let opened = time::now();
    let (batch, all) = (options.batch, ledger.clone());
    let report = Builder::new().run(|| {
        let (interrupt, interrupted) = bounded(1);
        let watch = spawn(move || {
            let _ = interrupt.send(signal::ctrl_c());
        });
        let mut work = spawn(move || {
            let done = bank::work(&all, &mut file, batch);
            (done, file)
        });
        let worked = select! {
            join(&mut work) -> worked => worked,
            recv(interrupted) -> _ => {
                // It ends when what is on its way is written: a kill waits for an offload.
                work.kill("^C");
                work.join()
            },
        };
        watch.kill("the work is done");
        worked
    });
    let seconds = (time::now() - opened).as_secs_f64();
    let worked = report.map_err(|report| report.to_string())?;
    let (done, mut file) = match worked {
        Ok((done, file)) => (done?, file),
        Err(error) if error.is_killed() => {
            println!("\nstopped; run it again and it goes on");
            return Ok(false);
        }
        Err(error) => return Err(error.to_string()),
    };
    file.verify(&ledger)?;
    println!(
        "waited: {} times for cover; batches: {}",
        done.waits, done.batches
    );
    print_result(&mut file, &ledger, done.transactions, seconds)
}

/// The last lines are those of `examples/bank`.
fn print_result(
    file: &mut BankFile,
    ledger: &Ledger,
    transactions: usize,
    seconds: f64,
) -> Result<bool, String> {
    let balances = file.balances(ledger)?;
    let recorded = ledger.accounts.iter().zip(&balances);
    let mismatches = recorded.filter(|(account, balance)| account.last_balance != **balance);
    let mismatches = mismatches.count();
    let imbalance = file.imbalance()?;
    println!("accounts: {}", balances.len());
    println!("transactions: {}", file.recorded()?.len());
    println!("mismatches: {mismatches}");
    println!("total: {}", Crowns(balances.iter().sum()));
    println!("imbalance: {}", Crowns(imbalance));
    println!("seconds: {seconds:.3}");
    println!(
        "transactions/s: {:.0}",
        transactions as f64 / seconds.max(1e-9)
    );
    Ok(mismatches == 0 && imbalance == 0)
}
