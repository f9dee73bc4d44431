//! The Santa Claus problem in three styles: the rules of the story, and the checker of these rules.
#[path = "../examples/santa/channels.rs"]
mod channels;
#[path = "../examples/santa/checker.rs"]
mod checker;
#[path = "../examples/santa/events.rs"]
mod events;
#[allow(dead_code)] // what the chapter alone needs
#[path = "../examples/beautiful_concurrency/gates.rs"]
mod gates;
#[path = "../examples/santa/stm.rs"]
mod stm;
#[allow(dead_code)] // what is printed
#[path = "../examples/santa/world.rs"]
mod world;

use checker::{Summary, check};
use events::{Group, Joining};
use maypole::explore::Explorer;
use maypole::{Builder, Clock, run, scope, yield_now};
use std::cell::Cell;
use std::collections::BTreeSet;
use world::{Chance, Entry, Kind, Log, Sizes, World};

type Style = fn(&World);

fn by_events(world: &World) {
    events::perform(world, Joining::InOnePiece);
}

const STYLES: [(&str, Style); 3] = [
    ("events", by_events),
    ("channels", channels::perform),
    ("stm", stm::perform),
];

fn world(sizes: Sizes, rounds: usize, chance: Chance) -> World {
    World {
        sizes,
        rounds,
        log: Log::silent(),
        chance,
    }
}

/// The log of so many rounds. The tasks take turns in an order of this seed, 0 for first in, first
/// out, and their naps are of the same.
fn log_of(style: Style, rounds: usize, seed: u64) -> Vec<Entry> {
    let world = world(Sizes::STORY, rounds, Chance::seeded(seed));
    let builder = Builder::new().clock(Clock::Virtual).seed(seed);
    builder
        .run(|| style(&world))
        .unwrap_or_else(|error| panic!("{error}"));
    world.log.take()
}

#[track_caller]
fn summary_of(log: &[Entry]) -> Summary {
    check(log, Sizes::STORY).unwrap_or_else(|violation| panic!("{violation}"))
}

fn lines(log: &[Entry]) -> Vec<&str> {
    let lines = log.iter().filter_map(|entry| match entry {
        Entry::Line(line) => Some(line.as_str()),
        Entry::Joined(..) => None,
    });
    lines.collect()
}

// ── the programs ─────────────────────────────────────────────────────────────────────────────

#[track_caller]
fn keeps_the_rules(style: Style) {
    for seed in 0..6 {
        let summary = summary_of(&log_of(style, 1000, seed));
        assert_eq!(summary.rounds, 1000);
        // The reindeer went first, or the checker would have complained.
        assert!(summary.both_ready > 10, "seed {seed}: {summary}");
        assert!(summary.with_reindeer > 50, "seed {seed}: {summary}");
        assert!(summary.with_reindeer < 500, "seed {seed}: {summary}");
    }
}

#[test]
fn events_keep_the_rules_for_a_thousand_rounds() {
    keeps_the_rules(by_events);
}

#[test]
fn channels_keep_the_rules_for_a_thousand_rounds() {
    keeps_the_rules(channels::perform);
}

#[test]
fn transactions_keep_the_rules_for_a_thousand_rounds() {
    keeps_the_rules(stm::perform);
}

#[track_caller]
fn keeps_the_rules_in_every_order_of_turns(style: Style, sizes: Sizes) {
    let both_ready = Cell::new(0);
    let outcome = Explorer::new().forced(0).check(|| {
        let world = world(sizes, 1, Chance::none());
        style(&world);
        match check(&world.log.take(), world.sizes) {
            Ok(summary) => {
                assert_eq!(summary.rounds, 1);
                both_ready.set(both_ready.get() + summary.both_ready);
            }
            Err(violation) => panic!("{violation}"),
        }
    });
    assert!(outcome.failure.is_none(), "{outcome}");
    assert_eq!(outcome.forced, Some(0), "{outcome}");
    assert!(outcome.schedules < 100_000, "not all: {outcome}");
    assert!(both_ready.get() > 0);
}

#[test]
fn events_keep_the_rules_in_every_order_of_turns() {
    let two_elves_meet = Sizes {
        reindeer: 1,
        elves: 2,
        elf_group: 2,
    };
    keeps_the_rules_in_every_order_of_turns(by_events, two_elves_meet);
}

#[test]
fn channels_keep_the_rules_in_every_order_of_turns() {
    let one_elf_of_two = Sizes {
        reindeer: 1,
        elves: 2,
        elf_group: 1,
    };
    keeps_the_rules_in_every_order_of_turns(channels::perform, one_elf_of_two);
}

#[test]
fn transactions_keep_the_rules_in_every_order_of_turns() {
    keeps_the_rules_in_every_order_of_turns(stm::perform, Sizes::SMALL);
}

#[test]
fn same_seed_gives_the_same_winter_and_another_seed_another() {
    for (name, style) in STYLES {
        let winter = log_of(style, 50, 7);
        assert_eq!(winter, log_of(style, 50, 7), "{name}");
        assert_ne!(winter, log_of(style, 50, 8), "{name}");
    }
}

#[test]
fn santa_turns_to_the_reindeer_if_all_are_there_when_he_first_looks() {
    // They join before they nap, so all are there before Santa has his second turn.
    let log = log_of(stm::perform, 1, 0);
    assert_eq!(summary_of(&log).both_ready, 1);
    assert_eq!(lines(&log)[1], "Ho! Ho! Ho! let's deliver toys");
}

#[test]
fn transactions_print_the_lines_of_the_chapter_and_no_others() {
    let mut expected = BTreeSet::from([
        "----------".to_string(),
        "Ho! Ho! Ho! let's deliver toys".to_string(),
        "Ho! Ho! Ho! let's meet in my study".to_string(),
    ]);
    expected.extend((1..=9).map(|number| format!("Reindeer {number} delivering toys")));
    expected.extend((1..=10).map(|number| format!("Elf {number} meeting in the study")));
    let log = log_of(stm::perform, 200, 0);
    let printed: BTreeSet<String> = lines(&log).into_iter().map(String::from).collect();
    assert_eq!(printed, expected);
    // A rule, a call, the lines of a block.
    for (index, line) in lines(&log).into_iter().enumerate() {
        let calls = index > 0 && lines(&log)[index - 1] == "----------";
        assert_eq!(
            line.starts_with("Ho! Ho! Ho! "),
            calls,
            "line {index}: {line}"
        );
    }
}

#[test]
fn events_and_channels_print_the_lines_of_the_program_for_diesel_and_no_others() {
    let deer = "Dasher Dancer Prancer Vixen Comet Cupid Donner Blitzen Rudolph";
    let mut expected = BTreeSet::from([
        "Ho! Ho! Ho! Let's deliver toys".to_string(),
        "Ho! Ho! Ho! Let's meet in my study".to_string(),
    ]);
    expected.extend(deer.split(' ').map(|name| format!("{name} delivers toys")));
    expected.extend((0..10).map(|number| format!("Elf {number} meets in study")));
    for style in [by_events, channels::perform] {
        let log = log_of(style, 200, 0);
        let printed: BTreeSet<String> = lines(&log).into_iter().map(String::from).collect();
        assert_eq!(printed, expected);
    }
}

// ── look, then join, without a lock ──────────────────────────────────────────────────────────

/// Ten elves try again and again to join a group of three, which is excused when it is full. The
/// most members it has had, and how often an elf found it full.
fn crowd(tries: usize, hands_over: impl Fn()) -> (usize, usize) {
    let group = Group::new("elf", 3);
    let (most, refused) = (Cell::new(0), Cell::new(0));
    run(|| {
        scope(|s| {
            for number in 0..10 {
                let (group, most, refused, hands_over) = (&group, &most, &refused, &hands_over);
                s.spawn(move || {
                    for _ in 0..tries {
                        if group.is_full() {
                            refused.set(refused.get() + 1);
                        } else {
                            hands_over();
                            group.join(&format!("Elf {number}"));
                        }
                        most.set(most.get().max(group.count()));
                        yield_now();
                    }
                });
            }
            s.spawn_daemon(|| {
                loop {
                    if group.is_full() {
                        group.excuse();
                    }
                    yield_now();
                }
            });
        });
    });
    (most.get(), refused.get())
}

#[test]
fn look_and_join_without_a_yield_in_between_never_exceeds_the_limit() {
    let (most, refused) = crowd(100_000, || ());
    assert_eq!(most, 3);
    assert!(refused > 100_000, "{refused}");
}

#[test]
fn yield_between_the_look_and_the_joining_exceeds_the_limit() {
    let (most, _) = crowd(10, yield_now);
    assert!(most > 3, "{most}");
}

#[test]
fn helpers_who_think_before_they_join_are_found_out() {
    let log = log_of(
        |world| events::perform(world, Joining::AfterSomeThought),
        100,
        1,
    );
    let violation = check(&log, Sizes::STORY).unwrap_err();
    assert_eq!(violation.rule, "the block has its 3 lines already");
}

// ── the checker ──────────────────────────────────────────────────────────────────────────────

const SIZES: Sizes = Sizes {
    reindeer: 2,
    elves: 4,
    elf_group: 2,
};

/// A log: `+name` for one that joins, all else as it is printed.
fn log(entries: &[&str]) -> Vec<Entry> {
    let entry = |text: &&str| match text.strip_prefix('+') {
        Some(name) if name.starts_with("Elf") => Entry::Joined(Kind::Elf, name.to_string()),
        Some(name) => Entry::Joined(Kind::Reindeer, name.to_string()),
        None => Entry::Line(text.to_string()),
    };
    entries.iter().map(entry).collect()
}

const TOYS: &str = "Ho! Ho! Ho! let's deliver toys";
const STUDY: &str = "Ho! Ho! Ho! let's meet in my study";
const ELF_1: &str = "Elf 1 meeting in the study";
const ELF_2: &str = "Elf 2 meeting in the study";
const DEER_1: &str = "Reindeer 1 delivering toys";
const DEER_2: &str = "Reindeer 2 delivering toys";

#[track_caller]
fn rejects(entries: &[&str], line: usize, rule: &str) {
    let violation = check(&log(entries), SIZES).expect_err("it is a bad log");
    assert_eq!((violation.line, violation.rule.as_str()), (line, rule));
    let text = lines(&log(entries))
        .get(line - 1)
        .map(|text| text.to_string());
    assert_eq!(violation.text, text.unwrap_or("the end".to_string()));
}

#[test]
fn checker_accepts_a_good_log_and_counts_what_is_in_it() {
    let entries = [
        "----------",
        "+Elf 1",
        "+Elf 2",
        "+Reindeer 1",
        "+Reindeer 2",
        TOYS,
        DEER_2,
        DEER_1,
        "----------",
        "+Elf 3",
        STUDY,
        ELF_1,
        "+Reindeer 2",
        ELF_2,
        "----------",
        "+Elf 4",
        STUDY,
        "Elf 4 meeting in the study",
        "Elf 3 meeting in the study",
        "----------",
    ];
    let expected = Summary {
        rounds: 3,
        with_reindeer: 1,
        both_ready: 1,
    };
    assert_eq!(check(&log(&entries), SIZES), Ok(expected));
}

#[test]
fn checker_reads_the_words_of_both_programs() {
    let entries = [
        "+Dasher",
        "+Dancer",
        "Ho! Ho! Ho! Let's deliver toys",
        "Dasher delivers toys",
        "Dancer delivers toys",
        "+Elf 0",
        "+Elf 9",
        "Ho! Ho! Ho! Let's meet in my study",
        "Elf 9 meets in study",
        "Elf 0 meets in study",
    ];
    let expected = Summary {
        rounds: 2,
        with_reindeer: 1,
        both_ready: 0,
    };
    assert_eq!(check(&log(&entries), SIZES), Ok(expected));
}

#[test]
fn checker_rejects_a_mixed_block() {
    let entries = [
        "+Elf 1",
        "+Elf 2",
        STUDY,
        ELF_1,
        "+Reindeer 1",
        DEER_1,
        ELF_2,
    ];
    rejects(&entries, 3, "it is the block of the other kind, Elf");
}

#[test]
fn checker_rejects_an_over_full_block() {
    let entries = [
        "+Elf 1",
        "+Elf 2",
        "+Elf 3",
        STUDY,
        ELF_1,
        ELF_2,
        "Elf 3 meeting in the study",
    ];
    rejects(&entries, 4, "the block has its 2 lines already");
}

#[test]
fn checker_rejects_a_member_that_comes_twice() {
    let entries = ["+Elf 1", "+Elf 2", STUDY, ELF_1, ELF_1];
    rejects(&entries, 3, "Elf 1 is in this block already");
}

#[test]
fn checker_rejects_a_member_of_another_group() {
    let entries = [
        "+Elf 1",
        "+Elf 2",
        "+Elf 3",
        STUDY,
        ELF_1,
        "Elf 3 meeting in the study",
    ];
    rejects(&entries, 3, "Elf 3 did not join this group");
}

#[test]
fn checker_rejects_a_line_after_the_next_block_began() {
    let both = ["+Elf 1", "+Elf 2", "+Reindeer 1", "+Reindeer 2"];
    let late = [&both[..], &[TOYS, DEER_1, STUDY, ELF_1, DEER_2, ELF_2]].concat();
    rejects(&late, 3, "the block before has 1 lines of 2");
    let late = [&both[..], &[TOYS, DEER_1, "----------", DEER_2]].concat();
    rejects(&late, 3, "the block before has 1 lines of 2");
    let later = [&both[..], &[TOYS, DEER_1, DEER_2, "----------", DEER_2]].concat();
    rejects(&later, 5, "no group is with Santa");
}

#[test]
fn checker_rejects_a_block_that_is_not_finished() {
    let entries = ["+Elf 1", "+Elf 2", STUDY, ELF_1];
    rejects(&entries, 3, "the block before has 1 lines of 2");
}

#[test]
fn checker_rejects_a_group_that_is_called_too_early() {
    let entries = ["+Elf 1", STUDY, ELF_1];
    rejects(&entries, 1, "the group has 1 members, not 2");
}

#[test]
fn checker_rejects_elves_before_reindeer_who_are_ready() {
    let entries = ["+Elf 1", "+Elf 2", "+Reindeer 1", "+Reindeer 2", STUDY];
    rejects(&entries, 1, "the reindeer are ready too and go first");
}

#[test]
fn checker_rejects_a_line_before_any_call_and_one_that_nobody_says() {
    rejects(&["+Elf 1", ELF_1], 1, "no group is with Santa");
    rejects(&["Ho! Ho!"], 1, "nobody says so");
}
