//! The examples of "Beautiful concurrency" print what the chapter says they do.
mod program;

use program::{Ran, run, run_with};

/// What the example of this number prints, below its heading.
#[track_caller]
fn printed(number: usize) -> String {
    let ran = run("beautiful_concurrency", &[&number.to_string()]);
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
    let (heading, rest) = ran.output.split_once('\n').expect("there is a heading");
    assert!(heading.starts_with(&format!("## {number} ")), "{heading}");
    rest.to_string()
}

/// The lines, without those that tell how long an exploration took.
fn without_times(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines
        .filter(|line| !line.starts_with("maypole explore: ok: all "))
        .collect()
}

// ── effects ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn h_echo_line_says_what_it_read_and_returns_it() {
    assert_eq!(
        printed(1),
        "I just read: Merry Christmas\nit returned: Merry Christmas\n"
    );
}

#[test]
fn inc_ref_adds_one() {
    assert_eq!(printed(2), "1\n");
}

#[test]
fn two_tasks_print_in_either_order() {
    let output = printed(3);
    let expected = ["\" worldHello\"", "\"Hello world\""];
    assert_eq!(without_times(&output), expected);
}

#[test]
fn inc_ref_from_two_tasks_loses_an_update_unless_it_is_in_one_piece() {
    let output = printed(4);
    let parts: Vec<&str> = output.split("# ").skip(1).collect();
    let [yields, in_a_run, plain, transactions] = parts[..] else {
        panic!("{output}");
    };
    assert!(yields.contains("FAILED in schedule 1;"), "{yields}");
    assert!(yields.contains("an update is lost\n"), "{yields}");
    assert_eq!(yields.matches("yield_now  ").count(), 2, "{yields}");
    assert_eq!(in_a_run, "the same, in a run\n1\n");
    for holds in [plain, transactions] {
        let (_, outcome) = holds.split_once('\n').expect("there is an outcome");
        assert!(outcome.starts_with("maypole explore: ok: all "), "{holds}");
        assert!(outcome.contains(" schedules hold ("), "{holds}");
    }
}

#[test]
fn lost_update_is_seen_again_by_the_line_in_its_report() {
    let steps = |ran: &Ran| {
        let steps = ran.output.split("  step  task").nth(1);
        let steps = steps.and_then(|rest| rest.split("  again:").next());
        steps.unwrap_or_else(|| panic!("{ran:#?}")).to_string()
    };
    let found = run("beautiful_concurrency", &["4"]);
    let trail = found.output.split("MAYPOLE_REPLAY=").nth(1);
    let trail = trail.and_then(|rest| rest.split_whitespace().next());
    let order = [("MAYPOLE_REPLAY", trail.expect("there is a trail"))];
    for arguments in [&["4"][..], &[]] {
        let again = run_with(&order, "beautiful_concurrency", arguments);
        assert!(again.output.contains("FAILED in the replay"), "{again:#?}");
        assert_eq!(steps(&again), steps(&found));
    }
}

// ── accounts ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn transfer_of_50_leaves_150_in_both() {
    assert_eq!(printed(5), "150, 150\n");
}

#[test]
fn two_increments_in_one_transaction_are_one_step() {
    assert_eq!(
        printed(6),
        "\
incT1, and again incT1: another task may see {0, 1, 2}
incT2: another task may see {0, 2}
"
    );
}

#[test]
fn effects_in_a_transaction_are_done_again_and_those_on_commit_once() {
    assert_eq!(
        printed(7),
        "launched in the transaction: 2\nlaunched on commit: 1\n"
    );
}

#[test]
fn limited_withdraw_waits_for_cover_by_retry_and_by_check_alike() {
    let expected = "\
60 of 100: done, balance 40
60 of 40: waits, balance 40
10 more, balance 50
10 more, balance 60
60 of 60: done, balance 0
";
    assert_eq!(printed(8), expected);
    assert_eq!(printed(9), expected);
}

#[test]
fn limited_withdraw_of_101_waits_for_the_delayed_deposit() {
    assert_eq!(
        printed(10),
        "\
Trying to withdraw money...
Getting ready to deposit money...hunting through pockets...
OK! Depositing now!
Successful withdrawal!
balance 0
"
    );
}

#[test]
fn limited_withdraw2_waits_for_either_account_and_charges_the_left_one_first() {
    assert_eq!(
        printed(11),
        "\
left 100, right 100
Withdrawing 101 from either account
Depositing 1 into the right account
left 100, right 0
# enough in both
b1 490, b2 500
"
    );
}

// ── Santa ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn gate_lets_two_through_and_whoever_opened_it_sees_them() {
    assert_eq!(
        printed(12),
        "\
helper 1 comes to the gate
helper 2 comes to the gate
helper 3 comes to the gate
Santa opens the gate
helper 1 has passed
helper 2 has passed
Santa has seen two of them
"
    );
}

#[test]
fn gate_in_one_transaction_is_a_deadlock_whose_report_names_the_gate() {
    let ran = run("beautiful_concurrency", &["--merged"]);
    assert_eq!(ran.status, Some(1), "{ran:#?}");
    assert!(ran.output.ends_with("\nSanta opens the gate\n"), "{ran:#?}");
    let report = ran.complaints;
    let head = "maypole: deadlock: nothing left that could wake any of these 4 tasks";
    assert!(report.starts_with(head), "{report}");
    for who in ["#1 main", "#2 'helper 1'", "#3 'helper 2'", "#4 'helper 3'"] {
        let waits = report
            .lines()
            .find(|line| line.trim_start().starts_with(who));
        let waits = waits.unwrap_or_else(|| panic!("no {who} in {report}"));
        assert!(waits.contains("TVar 'gate'"), "{waits}");
        assert!(
            waits.contains("examples/beautiful_concurrency/gates.rs:"),
            "{waits}"
        );
    }
    assert_eq!(report.matches("holds 0, made at ").count(), 4, "{report}");
}

#[test]
fn group_that_is_taken_over_is_followed_by_another() {
    assert_eq!(
        printed(13),
        "members: [1, 2, 3]\nSanta takes them over\nmembers: [4, 5]\n"
    );
}

#[test]
fn santa_serves_the_reindeer_first_and_then_elves_in_threes() {
    let output = printed(14);
    assert_eq!(printed(15), output, "`choose` is `or_else` in general");

    let blocks: Vec<Vec<&str>> = output
        .split("----------\n")
        .skip(1)
        .map(|block| block.lines().collect())
        .collect();
    assert_eq!(blocks.len(), 4, "{output}");
    assert_eq!(blocks[0][0], "Ho! Ho! Ho! let's deliver toys");
    let reindeer = (1..=9).map(|number| format!("Reindeer {number} delivering toys"));
    assert_eq!(sorted(&blocks[0][1..]), reindeer.collect::<Vec<_>>());

    for block in &blocks[1..] {
        assert_eq!(block[0], "Ho! Ho! Ho! let's meet in my study");
        let elves = sorted(&block[1..]);
        let distinct = elves.iter().zip(&elves[1..]).all(|(one, next)| one != next);
        assert!(elves.len() == 3 && distinct, "{block:?}");
        for elf in elves {
            let number = elf.strip_prefix("Elf ").and_then(|rest| {
                let number = rest.strip_suffix(" meeting in the study")?;
                number.parse::<u32>().ok()
            });
            assert!(
                number.is_some_and(|number| (1..=10).contains(&number)),
                "{elf}"
            );
        }
    }
}

fn sorted(lines: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
    lines.sort();
    lines
}

// ── the command line ─────────────────────────────────────────────────────────────────────────

#[test]
fn all_examples_are_printed_in_order_when_none_is_named() {
    let ran = run("beautiful_concurrency", &[]);
    assert_eq!((ran.complaints.as_str(), ran.status), ("", Some(0)));
    let together: Vec<String> = (1..=15)
        .map(|number| run("beautiful_concurrency", &[&number.to_string()]).output)
        .collect();
    let together = together.join("\n");
    // The line that runs the lost update again has the arguments in it.
    let plain = |text: &str| {
        let lines = without_times(text).into_iter().map(String::from);
        let lines = lines.filter(|line| !line.starts_with("  again:"));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(plain(&ran.output), plain(&together));
}

#[test]
fn number_that_does_not_exist_gets_the_usage() {
    for arguments in [&["0"][..], &["16"], &["four"], &["1", "2"]] {
        let ran = run("beautiful_concurrency", arguments);
        assert_eq!((ran.output.as_str(), ran.status), ("", Some(2)), "{ran:#?}");
        assert!(ran.complaints.starts_with("usage: "), "{ran:#?}");
    }
}
