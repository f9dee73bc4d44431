//! The bank ends as recorded under every order of its tasks, and says what is wrong with a ledger.
mod bank_support;
mod program;

use bank_support::{HEADER, LedgerFile, bank, full_ledger, is_right};

/// Runs the bank on a bad ledger, which it must refuse with `complaint` after the file's name.
#[track_caller]
fn refuses(name: &str, contents: impl AsRef<[u8]>, complaint: &str) {
    let ledger = LedgerFile::new(name, contents);
    let ran = ledger.run(&[]);
    let expected = format!("bank: {}{complaint}\n", ledger.path());
    assert_eq!(ran.complaints, expected);
    assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)));
}

/// A ledger whose third line is `row`.
#[track_caller]
fn refuses_row(name: &str, row: &str, complaint: &str) {
    let first = "1993-01-01,1,deposit,CASH,10.00,10.00\n";
    refuses(
        name,
        format!("{HEADER}{first}{row}\n"),
        &format!(":3: {complaint}"),
    );
}

#[test]
fn the_sample_ends_as_recorded_under_every_order_and_both_ways_to_wait() {
    for seed in ["0", "1", "2", "3", "4", "5", "6", "7"] {
        for wait in ["queue", "poll"] {
            let ran = bank(&["--seed", seed, "--wait", wait]);
            is_right(&ran);
            assert_eq!(ran.value("total"), "4444.94");
            assert_eq!(ran.complaints, "");
        }
    }
}

#[test]
fn the_last_lines_are_the_result() {
    let ran = bank(&[]);
    let lines: Vec<&str> = ran.output.lines().collect();
    let (names, values): (Vec<&str>, Vec<&str>) = lines[lines.len() - 7..]
        .iter()
        .map(|line| line.split_once(": ").expect("name: value"))
        .unzip();
    assert_eq!(
        names,
        [
            "accounts",
            "transactions",
            "mismatches",
            "total",
            "imbalance",
            "seconds",
            "transactions/s"
        ]
    );
    assert_eq!(values[..5], ["8", "60", "0", "4444.94", "0.00"]);
    assert!(values[5].parse::<f64>().is_ok() && values[6].parse::<f64>().is_ok());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let told = |seed| {
        let output = bank(&["--seed", seed]).output;
        let end = output.find("seconds: ").expect("it ends with its time");
        output[..end].to_string()
    };
    assert_eq!(told("7"), told("7"));
    assert_ne!(told("7"), told("8"));
}

#[test]
fn withdrawals_wait_for_cover_also_first_in_first_out() {
    let ran = bank(&[]);
    let waited = ran.value("waited");
    let times = waited.split_once(" times (queue), turns: ");
    let times: usize = times.expect(waited).0.parse().unwrap();
    assert!(times > 10, "{ran:#?}");
    // Covered at look n: the withdrawal has waited n - 1 times.
    let waits = ran.output.lines().filter_map(|line| {
        let (_, look) = line.split_once(" is covered at look ")?;
        Some(look.parse::<usize>().unwrap() - 1)
    });
    assert_eq!(waits.sum::<usize>(), times);
}

#[test]
fn a_withdrawal_that_polls_takes_more_turns() {
    let ran = bank(&["--wait", "both"]);
    is_right(&ran);
    let turns: Vec<u64> = ran
        .output
        .lines()
        .filter(|line| line.starts_with("waited: "))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    let [queue, poll] = turns[..] else {
        panic!("two runs are expected: {ran:#?}");
    };
    assert!(queue < poll, "{queue} turns in a queue, {poll} polling");
    let difference = format!("polls has {} more turns", poll - queue);
    assert!(ran.value("difference").contains(&difference), "{ran:#?}");
}

#[test]
fn a_yield_between_read_and_write_loses_money_under_every_order() {
    for seed in ["0", "1", "2", "3"] {
        for wait in ["queue", "poll"] {
            let ran = bank(&["--broken", "--seed", seed, "--wait", wait]);
            assert_eq!(ran.status, Some(1), "{ran:#?}");
            assert_ne!(ran.value("mismatches"), "0");
            assert_ne!(ran.value("imbalance"), "0.00");
            assert!(!ran.value("observed").ends_with("out of balance 0 times"));
            assert!(ran.value("lost").contains(" in account 10"), "{ran:#?}");
        }
    }
}

/// Two deposits of the same turn: both read 0.00, and the second write undoes the first.
#[test]
fn the_broken_bank_says_how_much_is_lost_and_where_first() {
    let ledger = LedgerFile::new(
        "lost",
        format!(
            "{HEADER}1993-01-01,5,deposit,CASH,300.00,300.00\n\
             1993-01-01,5,deposit,CASH,20.50,320.50\n"
        ),
    );
    let ran = ledger.run(&["--broken"]);
    assert_eq!(
        ran.value("lost"),
        "300.00 in 1 overwritten balances, first 300.00 in account 5 by line 3"
    );
    assert_eq!(
        ran.value("first mismatch"),
        "account 5 has 20.50, recorded is 320.50"
    );
    assert_eq!((ran.value("imbalance"), ran.status), ("-300.00", Some(1)));
    assert_eq!(ledger.run(&[]).value("total"), "320.50");
}

#[test]
fn a_balance_that_is_recorded_wrong_is_a_mismatch() {
    let ledger = LedgerFile::new(
        "mismatch",
        format!("{HEADER}1993-01-01,7,deposit,CASH,10.00,10.01\n"),
    );
    let ran = ledger.run(&[]);
    assert_eq!((ran.value("mismatches"), ran.status), ("1", Some(1)));
    assert_eq!(
        ran.value("first mismatch"),
        "account 7 has 10.00, recorded is 10.01"
    );
    assert_eq!(ran.value("imbalance"), "0.00");
}

#[test]
fn a_withdrawal_that_nothing_can_cover_is_refused_and_the_bank_closes() {
    let ledger = LedgerFile::new(
        "uncovered",
        format!(
            "{HEADER}1993-01-01,7,withdrawal,CASH,-10.01,5.00\n\
             1993-01-02,7,deposit,CASH,10.00,10.00\n"
        ),
    );
    for wait in ["queue", "poll"] {
        let ran = ledger.run(&["--wait", wait]);
        assert_eq!(
            ran.value("refused"),
            "1 withdrawals that no deposit could cover, the first in line 2"
        );
        assert_eq!((ran.value("total"), ran.status), ("10.00", Some(1)));
    }
}

#[test]
fn an_account_may_go_down_to_its_lowest_recorded_balance() {
    let ledger = LedgerFile::new(
        "overdraft",
        format!(
            "{HEADER}1993-01-01,7,withdrawal,CASH,-40.00,-40.00\n\
             1993-01-02,7,transfer-in,AB,50,10\n\
             1993-01-03,7,card,CASH,-0.5,9.5\n"
        ),
    );
    let ran = ledger.run(&[]);
    is_right(&ran);
    assert_eq!(ran.value("total"), "9.50");
    assert!(
        !ran.output.contains("line 2: "),
        "it need not wait: {ran:#?}"
    );
    assert!(
        ran.output.contains("line 4: account 7 has "),
        "this one must wait: {ran:#?}"
    );
}

#[test]
fn a_ledger_of_a_header_only_is_an_empty_bank() {
    let ran = LedgerFile::new("header", HEADER).run(&[]);
    is_right(&ran);
    assert_eq!((ran.value("accounts"), ran.value("total")), ("0", "0.00"));
}

#[test]
fn progress_is_shown_on_long_work_only() {
    let row = "1993-01-01,7,deposit,CASH,1.00,5000.00\r\n";
    let ledger = LedgerFile::new("long", format!("{HEADER}{}", row.repeat(5_000)));
    let ran = ledger.run(&[]);
    is_right(&ran);
    assert!(
        ran.complaints
            .starts_with("bank: 5000 of 5000 transactions after "),
        "{ran:#?}"
    );
    assert_eq!(bank(&[]).complaints, "");
}

#[test]
fn help_is_no_error() {
    let ran = bank(&["--help"]);
    assert!(ran.output.starts_with("usage: bank "), "{ran:#?}");
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
}

#[test]
fn a_bad_option_gets_the_usage() {
    let cases: [(&[&str], &str); 7] = [
        (&["--sed", "1"], "unknown option --sed"),
        (&["ledger.csv"], "unknown option ledger.csv"),
        (
            &["--seed", "x"],
            "--seed expects a number from 0 on, found \"x\"",
        ),
        (
            &["--seed", "-1"],
            "--seed expects a number from 0 on, found \"-1\"",
        ),
        (&["--seed"], "--seed expects a number after it"),
        (
            &["--wait", "long"],
            "--wait expects queue, poll or both, found \"long\"",
        ),
        (&["--ledger"], "--ledger expects a file after it"),
    ];
    for (arguments, complaint) in cases {
        let ran = bank(arguments);
        let expected = format!("bank: {complaint}\n\nusage: bank ");
        assert!(
            ran.complaints.starts_with(&expected),
            "{arguments:?}: {ran:#?}"
        );
        assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)));
    }
}

#[test]
fn a_ledger_that_is_not_there_is_named() {
    let ran = bank(&["--ledger", "no/such/ledger.csv"]);
    let expected = "bank: no/such/ledger.csv: expected a file that can be read, found ";
    assert!(ran.complaints.starts_with(expected), "{ran:#?}");
    assert_eq!(ran.status, Some(2));
}

#[test]
fn an_empty_ledger_lacks_its_header() {
    refuses(
        "empty",
        "",
        ":1: column 1 (date): expected the column date of the header \
         date,account,kind,counterparty,amount,balance, found the end of the line",
    );
}

#[test]
fn a_missing_column_is_named() {
    refuses(
        "column",
        "date,account,kind,counterparty,balance\n1993-01-01,1,deposit,CASH,10.00\n",
        ":1: column 5 (amount): expected the column amount of the header \
         date,account,kind,counterparty,amount,balance, found \"balance\"",
    );
}

#[test]
fn a_column_too_many_is_refused() {
    refuses(
        "seventh",
        "date,account,kind,counterparty,amount,balance,note\n",
        ":1: column 7: expected 6 fields, found 7",
    );
}

#[test]
fn a_row_of_the_wrong_length_is_refused() {
    refuses_row(
        "short",
        "1993-01-01,1,deposit",
        "column 4 (counterparty): expected 6 fields, found 3",
    );
    refuses_row(
        "long-row",
        "1993-01-01,1,deposit,CASH,1.00,2.00,",
        "column 7: expected 6 fields, found 7",
    );
}

#[test]
fn text_for_a_number_is_refused() {
    for (name, text) in [
        ("text", "ten"),
        ("plus", "+1.00"),
        ("point", "1."),
        ("none", ""),
    ] {
        refuses_row(
            name,
            &format!("1993-01-01,1,deposit,CASH,{text},2.00"),
            &format!("column 5 (amount): expected a number such as -12.50, found {text:?}"),
        );
    }
    refuses_row(
        "account",
        "1993-01-01,one,deposit,CASH,1.00,2.00",
        "column 2 (account): expected the number of an account, found \"one\"",
    );
}

#[test]
fn too_many_decimals_are_refused() {
    refuses_row(
        "decimals",
        "1993-01-01,1,deposit,CASH,1.00,2.001",
        "column 6 (balance): expected a number with at most two decimals, found \"2.001\"",
    );
}

#[test]
fn a_number_that_overflows_is_refused() {
    refuses_row(
        "overflow",
        "1993-01-01,1,deposit,CASH,92233720368547758.08,2.00",
        "column 5 (amount): expected a number no further from zero than 92233720368547758.07, \
         found \"92233720368547758.08\"",
    );
    refuses_row(
        "together",
        "1993-01-01,1,withdrawal,CASH,-23058430092136939.51,2.00",
        "column 5 (amount): expected amounts that come to at most 23058430092136939.51 together, \
         found \"-23058430092136939.51\"",
    );
}

#[test]
fn other_fields_are_checked_too() {
    refuses_row(
        "date",
        "1993-13-01,1,deposit,CASH,1.00,2.00",
        "column 1 (date): expected a date such as 1993-01-31, found \"1993-13-01\"",
    );
    refuses_row(
        "kind",
        "1993-01-01,1,theft,CASH,1.00,2.00",
        "column 3 (kind): expected one of deposit, withdrawal, card, transfer-in, transfer-out, \
         credit, found \"theft\"",
    );
    refuses_row(
        "counterparty",
        "1993-01-01,1,deposit,,1.00,2.00",
        "column 4 (counterparty): expected CASH, BANK or the code of another bank, found \"\"",
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let mut contents = format!("{HEADER}1993-01-01,1,deposit,").into_bytes();
    contents.extend(b"\xff\xfe,1.00,1.00\n");
    refuses(
        "bytes",
        contents,
        ":2: column 4 (counterparty): expected UTF-8, found the byte 0xff",
    );
}

#[test]
fn the_full_ledger_ends_as_recorded_under_several_orders() {
    let Some(ledger) = full_ledger() else {
        return;
    };
    for seed in ["0", "1", "2"] {
        for wait in ["queue", "poll"] {
            let ran = bank(&["--ledger", &ledger, "--seed", seed, "--wait", wait]);
            is_right(&ran);
            assert_eq!(ran.value("accounts"), "1201");
            assert_eq!(ran.value("transactions"), "47527");
            assert_eq!(ran.value("total"), "38221131.50");
        }
        let ran = bank(&["--ledger", &ledger, "--seed", seed, "--broken"]);
        assert_ne!(ran.value("imbalance"), "0.00");
        assert_eq!(ran.status, Some(1));
    }
}
