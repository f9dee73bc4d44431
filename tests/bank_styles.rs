//! The three styles of the bank agree, each does wrong in its own way, and every order is explored.
mod bank_support;
mod program;

use bank_support::{HEADER, LedgerFile, bank, full_ledger, is_right, lines};
use program::{Ran, run_with};

const STYLES: [&str; 3] = ["coop", "stm", "locks"];
const SEEDS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

/// The row of the table of times that begins so, without its name.
fn row<'a>(ran: &'a Ran, name: &'a str) -> Vec<&'a str> {
    let row = lines(ran, name).next();
    let row = row.unwrap_or_else(|| panic!("no row {name:?} in {ran:#?}"));
    row.split_whitespace().collect()
}

// ── side by side ─────────────────────────────────────────────────────────────────────────────

#[test]
fn three_styles_agree_to_the_hundredth_under_every_order() {
    for seed in SEEDS {
        let ran = bank(&["--style", "all", "--seed", seed]);
        is_right(&ran);
        assert_eq!(lines(&ran, "observed: ").count(), 3, "{ran:#?}");
        assert_eq!(
            ran.value("they agree"),
            "all 8 accounts have the same balance in each style, to the hundredth"
        );
        assert_eq!(
            (ran.value("total"), ran.complaints.as_str()),
            ("4444.94", "")
        );
    }
}

#[test]
fn their_times_are_printed_side_by_side_when_nothing_else_is_asked_for() {
    let ran = bank(&[]);
    assert_eq!(row(&ran, "# side by side"), STYLES);
    for name in ["  in seconds:", "  transactions/s:"] {
        let times: Vec<f64> = row(&ran, name)
            .iter()
            .map(|time| time.parse().expect(name))
            .collect();
        assert_eq!(times.len(), 3, "{ran:#?}");
        assert!(times.iter().all(|time| *time > 0.0), "{ran:#?}");
    }
    let waits: Vec<usize> = row(&ran, "  waited:")
        .iter()
        .map(|times| times.parse().expect("a number of waits"))
        .collect();
    assert!(waits.iter().all(|times| *times > 10), "{ran:#?}");
}

#[test]
fn a_style_alone_ends_as_recorded_under_every_order() {
    for style in STYLES {
        for seed in SEEDS {
            let ran = bank(&["--style", style, "--seed", seed]);
            is_right(&ran);
            let last: Vec<&str> = ran.output.lines().rev().take(7).collect();
            let start = ["accounts: 8", "transactions: 60", "mismatches: 0"];
            assert_eq!([last[6], last[5], last[4]], start);
            assert_eq!([last[3], last[2]], ["total: 4444.94", "imbalance: 0.00"]);
            assert!(last[1].starts_with("seconds: ") && last[0].starts_with("transactions/s: "));
            assert!(!ran.output.contains("side by side"), "{ran:#?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run_in_every_style() {
    for style in STYLES {
        let told = |seed| {
            let output = bank(&["--style", style, "--seed", seed]).output;
            let end = output.find("seconds: ").expect("it ends with its time");
            output[..end].to_string()
        };
        assert_eq!(told("7"), told("7"));
        assert_ne!(told("7"), told("8"));
    }
}

#[test]
fn withdrawals_wait_for_cover_in_every_style() {
    for (style, how) in [("stm", "retry"), ("locks", "condition variable")] {
        let ran = bank(&["--style", style]);
        let times = ran.value("waited").strip_suffix(&format!(" times ({how})"));
        let times: usize = times.expect(style).parse().expect("a number of waits");
        assert!(times > 10, "{ran:#?}");
        let looks = ran.output.lines().filter_map(|line| {
            let (_, look) = line.split_once(" is covered at look ")?;
            Some(look.parse::<usize>().expect("a number of looks") - 1)
        });
        assert_eq!(looks.sum::<usize>(), times, "{ran:#?}");
    }
}

#[test]
fn every_style_goes_down_to_the_lowest_recorded_balance_and_no_further() {
    let ledger = LedgerFile::new(
        "styles-overdraft",
        format!(
            "{HEADER}1993-01-01,7,withdrawal,CASH,-40.00,-40.00\n\
             1993-01-02,7,transfer-in,AB,50,10\n\
             1993-01-03,7,card,CASH,-0.5,9.5\n"
        ),
    );
    for style in STYLES {
        let ran = ledger.run(&["--style", style]);
        is_right(&ran);
        assert!(!ran.output.contains("line 2: "), "{ran:#?}");
        assert!(ran.output.contains("line 4: account 7 has "), "{ran:#?}");
    }
}

#[test]
fn every_style_refuses_what_nothing_can_cover() {
    let ledger = LedgerFile::new(
        "styles-uncovered",
        format!(
            "{HEADER}1993-01-01,7,withdrawal,CASH,-10.01,5.00\n\
             1993-01-02,7,deposit,CASH,10.00,10.00\n"
        ),
    );
    for style in STYLES {
        let ran = ledger.run(&["--style", style]);
        assert_eq!(
            ran.value("refused"),
            "1 withdrawals that no deposit could cover, the first in line 2"
        );
        let told = "line 2: account 7 has 10.00: the withdrawal of 10.01 is refused: no deposit is \
                    to come";
        assert!(ran.output.contains(told), "{ran:#?}");
        assert_eq!((ran.value("total"), ran.status), ("10.00", Some(1)));
    }
}

/// More withdrawals than tasks are alive at once, all of them before what covers some.
#[test]
fn main_does_not_wait_for_ever_for_room() {
    let withdrawal = "1993-01-01,7,withdrawal,CASH,-1.00,5.00\n".repeat(1_500);
    let deposit = "1993-01-02,7,deposit,AB,1200.00,0.00\n";
    let ledger = LedgerFile::new("styles-room", format!("{HEADER}{withdrawal}{deposit}"));
    for style in STYLES {
        let ran = ledger.run(&["--style", style]);
        assert_eq!(
            ran.value("refused"),
            "300 withdrawals that no deposit could cover, the first in line 1202",
            "{style}"
        );
        assert_eq!((ran.value("mismatches"), ran.value("total")), ("0", "0.00"));
        assert_eq!(ran.status, Some(1));
    }
}

// ── broken ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn two_transactions_instead_of_one_let_main_miss_money() {
    for seed in SEEDS {
        let ran = bank(&["--style", "stm", "--broken", "--seed", seed]);
        assert_eq!(ran.status, Some(1), "{ran:#?}");
        assert!(!ran.value("observed").ends_with("out of balance 0 times"));
        assert_eq!(
            (ran.value("mismatches"), ran.value("total")),
            ("0", "4444.94")
        );
        assert_eq!(ran.value("imbalance"), "0.00");
    }
}

#[test]
fn locks_in_the_order_of_the_transfer_end_in_a_deadlock_with_the_report() {
    for seed in ["0", "1", "2"] {
        let ran = bank(&["--style", "locks", "--broken", "--seed", seed]);
        assert_eq!(ran.status, Some(1), "{ran:#?}");
        let (_, report) = ran
            .complaints
            .split_once("maypole: deadlock: nothing left that could wake")
            .unwrap_or_else(|| panic!("{ran:#?}"));
        let cycle = report.lines().find(|line| line.starts_with("  cycle"));
        let cycle = cycle.unwrap_or_else(|| panic!("no circle in {ran:#?}"));
        assert!(cycle.contains("Mutex 'account 10"), "{cycle}");
        assert!(cycle.contains("Mutex 'CASH'"), "{cycle}");
    }
}

#[test]
fn broken_styles_disagree_and_the_one_that_does_not_close_is_named() {
    let ran = bank(&["--style", "all", "--broken"]);
    assert_eq!(row(&ran, "# side by side"), ["coop", "stm"]);
    assert!(ran.value("not closed").contains("stderr"), "{ran:#?}");
    assert!(ran.value("they disagree").starts_with("account 10"));
    // The last lines are those of the first that is wrong.
    assert_ne!(ran.value("mismatches"), "0");
    assert_eq!(ran.status, Some(1));
}

// ── every order ──────────────────────────────────────────────────────────────────────────────

#[test]
fn every_style_holds_in_every_order() {
    let ran = bank(&["--explore"]);
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
    let headings: Vec<&str> = lines(&ran, "# ").collect();
    assert_eq!(headings, STYLES);
    let proofs: Vec<&str> = lines(&ran, "maypole explore: ok: all ").collect();
    assert_eq!(proofs.len(), 9, "{ran:#?}");
    for proof in proofs {
        assert!(proof.contains(" schedules hold ("), "{ran:#?}");
    }
    let alone = bank(&["--explore", "--style", "stm"]);
    assert_eq!(lines(&alone, "maypole explore: ok: all ").count(), 3);
}

/// The table of steps in a text.
fn steps(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| !line.starts_with("  step  task"))
        .skip(1)
        .take_while(|line| !line.is_empty() && !line.starts_with("  again:"))
        .collect()
}

/// Explores a broken style, which must fail with `message` and do this to the money; runs it
/// again by its trail.
#[track_caller]
fn fails_and_fails_again(style: &str, message: &str, money: &[&str]) {
    let arguments = ["--explore", "--broken", "--style", style];
    let found = bank(&arguments);
    assert_eq!((found.complaints.as_str(), found.status), ("", Some(1)));
    assert!(found.output.contains("explore: FAILED"), "{found:#?}");
    assert!(found.output.contains(message), "{found:#?}");
    let table = steps(&found.output);
    assert!((5..=12).contains(&table.len()), "{found:#?}");
    let journal = found
        .output
        .lines()
        .skip_while(|line| !line.starts_with("what this does"));
    let journal: Vec<&str> = journal.skip(1).map(str::trim).collect();
    assert_eq!(journal, money);

    let trail = found.output.split("MAYPOLE_REPLAY=").nth(1);
    let trail = trail.and_then(|rest| rest.split_whitespace().next());
    let order = [("MAYPOLE_REPLAY", trail.expect("a trail"))];
    let again = || run_with(&order, "bank", &arguments);
    let (once, twice) = (again(), again());
    assert_eq!(once.status, Some(1), "{once:#?}");
    assert!(once.output.contains(message), "{once:#?}");
    assert_eq!(steps(&once.output), table);
    assert_eq!(once.output, twice.output);

    // What is not broken does something else.
    let mended = run_with(&order, "bank", &["--explore", "--style", style]);
    assert_eq!(mended.status, Some(1), "{mended:#?}");
    assert!(
        mended.output.contains("replay diverged at step "),
        "{mended:#?}"
    );
}

#[test]
fn exploring_finds_the_lost_update() {
    let money = [
        "-30.00  reads 0.00",
        "+100.00  reads 0.00",
        "-30.00  writes -30.00",
        "+100.00  writes 100.00",
    ];
    fails_and_fails_again(
        "coop",
        "account 7 ends with 100.00, which should be 70.00",
        &money,
    );
    // This is what was always broken.
    let output = bank(&["--broken", "--explore"]).output;
    assert!(output.contains("account 7 ends with 100.00"), "{output}");
}

#[test]
fn exploring_finds_the_money_that_is_nowhere() {
    let money = [
        "-30.00  has taken 30.00, which is nowhere now",
        "+100.00  has taken 100.00, which is nowhere now",
        "main  finds 130.00 missing",
    ];
    fails_and_fails_again("stm", "main finds 130.00 missing", &money);
}

#[test]
fn exploring_finds_the_deadlock() {
    let money = [
        "-30.00  has locked the account",
        "+100.00  has locked the counterparty",
    ];
    let cycle = "cycle   -30.00 ─waits for─> Mutex 'CASH' ─held by─> +100.00 ─waits for─> Mutex \
                 'account 7' ─held by─> -30.00";
    fails_and_fails_again("locks", cycle, &money);
}

// ── the command line ─────────────────────────────────────────────────────────────────────────

#[test]
fn words_that_do_not_go_together_are_refused() {
    let cases: [(&[&str], &str); 9] = [
        (
            &["--explore", "--wait", "poll"],
            "--explore refuses --wait poll, which never ends",
        ),
        (
            &["--explore", "--wait", "both"],
            "--explore refuses --wait poll, which never ends",
        ),
        (
            &["--explore", "--ledger", "x.csv"],
            "--explore has ledgers of its own",
        ),
        (
            &["--explore", "--seed", "1"],
            "--explore tries every order of the tasks",
        ),
        (
            &["--explore", "--broken", "--style", "all"],
            "--explore --broken expects one --style",
        ),
        (
            &["--style", "stm", "--wait", "poll"],
            "--wait poll is for --style coop",
        ),
        (
            &["--style", "all", "--wait", "both"],
            "--wait poll is for --style coop",
        ),
        (
            &["--style", "actors"],
            "--style expects coop, stm, locks or all, found \"actors\"",
        ),
        (
            &["--style"],
            "--style expects coop, stm, locks or all after it",
        ),
    ];
    for (arguments, complaint) in cases {
        let ran = bank(arguments);
        let expected = format!("bank: {complaint}");
        assert!(
            ran.complaints.starts_with(&expected),
            "{arguments:?}: {ran:#?}"
        );
        assert!(ran.complaints.contains("\n\nusage: bank "), "{ran:#?}");
        assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)));
    }
}

#[test]
fn waiting_in_a_queue_is_allowed_everywhere() {
    for style in STYLES {
        is_right(&bank(&["--style", style, "--wait", "queue"]));
    }
    let explored = bank(&["--explore", "--style", "coop", "--wait", "queue"]);
    assert_eq!(explored.status, Some(0), "{explored:#?}");
}

// ── the full ledger ──────────────────────────────────────────────────────────────────────────

#[test]
fn three_styles_agree_on_the_full_ledger() {
    let Some(ledger) = full_ledger() else {
        return;
    };
    for seed in ["0", "1"] {
        let ran = bank(&["--style", "all", "--ledger", &ledger, "--seed", seed]);
        is_right(&ran);
        assert!(ran.value("they agree").starts_with("all 1201 accounts "));
        assert_eq!(ran.value("total"), "38221131.50");
    }
    for style in STYLES {
        let ran = bank(&["--style", style, "--ledger", &ledger, "--broken"]);
        assert_eq!(ran.status, Some(1), "{style}");
    }
}
