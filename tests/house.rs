//! The rules of the house, checked by reading the source as text.
//!
//! Each test is one rule and says, where it fails, the place and the cure.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

#[path = "house/reading.rs"]
mod reading;
use reading::{FRONT_DOOR, Source, floors, identifiers, root, rust_files, sources, uses};

/// Where `unsafe` may be written; another room needs a proof and a line here.
const UNSAFE_ROOMS: &[&str] = &["coroutine/", "task/scope.rs", "io/sys.rs"];

/// Lines that are neither empty nor a comment, outside of tests.
const LINES_AT_MOST: usize = 500;

/// Words that name no idea of this crate, and what to say instead.
const WORDS: &[(&str, &str)] = &[
    ("fiber", "coroutine or task"),
    ("goroutine", "task"),
    ("continuation", "coroutine"),
    ("cancel", "kill"),
    ("cancelled", "killed"),
    ("canceled", "killed"),
    ("abort", "kill"),
    ("aborted", "killed"),
    ("runnable", "ready"),
    ("reschedule", "yield or wake"),
    ("cede", "yield"),
    ("notify", "wake"),
    ("notified", "woken"),
    ("freeze", "pause"),
    ("frozen", "paused"),
];

/// Words of a field of its own, and where they are at home: a transaction aborts, a task is killed.
const WORDS_AT_HOME: &[(&str, &str)] = &[("abort", "stm/")];

/// Calls of others that use such a word.
const WORDS_OF_OTHERS: &[&str] = &[
    "process::abort",
    "notify_one",
    "notify_all",
    "ConnectionAborted",
];

#[track_caller]
fn keep(rule: &str, cure: &str, faults: Vec<String>) {
    let list = faults.join("\n  ");
    assert!(
        faults.is_empty(),
        "\nrule: {rule}\ncure: {cure}\n  {list}\n"
    );
}

/// The rule that `needle` is written in `allowed` alone.
#[track_caller]
fn only_in(needles: &[&str], allowed: &[&str], rule: &str, cure: &str) {
    let sources = sources();
    let others = sources.iter().filter(|source| !source.is_in(allowed));
    let faults = others.flat_map(|source| needles.iter().flat_map(|needle| source.places(needle)));
    keep(rule, cure, faults.collect());
}

// ── floors ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_module_is_on_a_floor() {
    let floors = floors();
    let homeless = sources()
        .into_iter()
        .filter(|source| source.path != "lib.rs" && !floors.contains_key(source.module()));
    keep(
        "every module is on a floor",
        "add its `mod` line to a group in src/lib.rs",
        homeless
            .map(|source| format!("src/{}", source.path))
            .collect(),
    );
}

/// Macros live at the root of the crate, whichever module they belong to.
const MACROS: &[&str] = &["select_biased"];

#[test]
fn a_module_uses_lower_floors_only() {
    let floors = floors();
    let up = uses().into_iter().filter_map(|(from, to, place)| {
        if MACROS.contains(&to.as_str()) {
            return None;
        }
        let (mine, theirs) = (floors.get(&from)?, floors.get(&to));
        match theirs {
            Some(theirs) if theirs <= mine => None,
            Some(theirs) => Some(format!(
                "{place}: {from} (floor {mine}) uses {to} (floor {theirs})"
            )),
            // The front door may use its own names.
            None if *mine == FRONT_DOOR => None,
            None => Some(format!("{place}: crate::{to} goes through the front door")),
        }
    });
    keep(
        "a module uses lower floors only, by the names of their modules",
        "move what is needed down, or pass it in from above; write the module the name lives in",
        up.collect(),
    );
}

#[test]
fn uses_within_a_floor_form_no_circle() {
    let floors = floors();
    let mut next: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to, _) in uses() {
        if from != to && floors.contains_key(&to) && floors.get(&from) == floors.get(&to) {
            next.entry(from).or_default().insert(to);
        }
    }
    let circles = next.keys().filter_map(|start| circle(&next, &[start]));
    keep(
        "uses within a floor form no circle",
        "move what both need to a file of its own, or a floor down",
        circles.map(|circle| circle.join(" -> ")).collect(),
    );
}

fn circle(next: &BTreeMap<String, BTreeSet<String>>, path: &[&str]) -> Option<Vec<String>> {
    let last = *path.last().expect("a path is not empty");
    next.get(last)?.iter().find_map(|to| {
        let longer = [path, &[to]].concat();
        match path.iter().position(|module| module == to) {
            Some(0) => Some(longer.iter().map(|module| module.to_string()).collect()),
            Some(_) => None,
            None => circle(next, &longer),
        }
    })
}

// ── unsafe ───────────────────────────────────────────────────────────────────────────────────

fn says_unsafe(line: &str) -> bool {
    identifiers(line).any(|word| word == "unsafe")
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let sources = sources();
    let others = sources.iter().filter(|source| !source.is_in(UNSAFE_ROOMS));
    let faults = others.flat_map(|source| {
        let lines = source.code.iter().enumerate().filter(|(_, line)| {
            says_unsafe(line) || (line.contains("unsafe_code") && line.contains("allow"))
        });
        lines.map(|(n, line)| format!("src/{}:{}: {}", source.path, n + 1, line.trim()))
    });
    keep(
        "unsafe is written in coroutine/, task/scope.rs and io/sys.rs alone",
        "use what these rooms offer, or prove the new room and add it to the list",
        faults.collect(),
    );
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("there is a manifest");
    assert!(
        manifest.contains("unsafe_code = \"deny\""),
        "Cargo.toml: [lints.rust] denies unsafe_code"
    );
}

/// Whether the lines above `line`, up to the statement before, say `word`.
fn said_above(source: &Source, line: usize, word: &str) -> bool {
    let above = (0..line).rev().take_while(|&n| {
        let code = source.code[n].trim();
        code.is_empty() && !source.lines[n].trim().is_empty()
            || code.starts_with("#[")
            || !code.is_empty() && !code.ends_with([';', '{', '}'])
    });
    above.into_iter().any(|n| source.lines[n].contains(word))
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(UNSAFE_ROOMS)) {
        for (n, line) in source.code().filter(|(_, line)| says_unsafe(line)) {
            let declared = line.contains("unsafe fn") || line.contains("unsafe extern");
            let word = match declared {
                true => "# Safety",
                false => "SAFETY:",
            };
            if !said_above(source, n - 1, word) && !source.lines[n - 1].contains(word) {
                faults.push(format!(
                    "src/{}:{n}: no {word:?} above: {}",
                    source.path,
                    line.trim()
                ));
            }
        }
    }
    keep(
        "above every unsafe block stands `// SAFETY:`, above every unsafe fn `# Safety`",
        "name the fact that makes it sound, and who keeps it",
        faults,
    );
}

#[test]
fn nobody_keeps_a_glimpse_of_the_scheduler() {
    only_in(
        &["glimpse", "Glimpse", ".show("],
        &["coroutine/current.rs", "scheduler/door.rs"],
        "a glimpse of what is current is shown at once, by with_scheduler alone",
        "call with_scheduler or with_kernel",
    );
    let sources = sources();
    let door = sources
        .iter()
        .find(|source| source.path == "scheduler/door.rs");
    let shown = door.expect("there is a door").places(".show(").len();
    assert_eq!(shown, 1, "with_scheduler alone shows a glimpse");
}

// ── doors ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn only_park_suspends_a_task() {
    only_in(
        &["suspend("],
        &["coroutine/", "scheduler/park.rs", "generator/"],
        "only scheduler/park.rs suspends a task; generators mind their own coroutine",
        "make the call a Case and run it by select::block_on",
    );
    only_in(
        &["coroutine::suspend"],
        &["scheduler/park.rs"],
        "generator.rs suspends its own producer and no task",
        "use its Suspender",
    );
}

#[test]
fn only_the_loop_and_a_nested_spawn_resume_a_task() {
    only_in(
        &[".resume()", ".resume_from_the_loop()"],
        &["coroutine/", "scheduler/mod.rs", "generator/"],
        "only the loop and run_nested in scheduler/mod.rs resume a task",
        "wake the task and let the loop do it",
    );
    let sources = sources();
    let scheduler = sources
        .iter()
        .find(|source| source.path == "scheduler/mod.rs")
        .expect("there is a scheduler");
    for (call, place) in [
        ("coroutine.resume_from_the_loop()", "the loop"),
        ("coroutine.resume()", "run_nested"),
    ] {
        let calls = scheduler.places(call).len();
        assert_eq!(calls, 1, "{call} is for {place} alone, and only once");
    }
}

#[test]
fn only_wake_ends_a_park() {
    only_in(
        &[".state = ", ".woken = ", ".waiter = "],
        &["scheduler/kernel.rs", "scheduler/parking.rs"],
        "only Kernel::wake ends a park, and only kernel.rs and parking.rs move a task from state to \
         state",
        "call a method of the kernel",
    );
    only_in(
        // Not `.wake(`, which is also what a `std::task::Waker` does.
        &["self.wake(", "kernel.wake("],
        &[
            "scheduler/kernel.rs",
            "scheduler/parking.rs",
            "scheduler/kill.rs",
            "scheduler/bound.rs",
            "scheduler/hold.rs",
        ],
        "kills, bounds and the kernel's own methods end parks; all others wake through a queue",
        "call wake_one or wake_all",
    );
}

#[test]
fn only_kill_starts_an_unwind() {
    only_in(
        &["panic_any", "resume_unwind(Box::new"],
        // The pump starts unwinds that it stops half-way, a generator its own body's.
        &["scheduler/kill.rs", "generator/", "coroutine/pump.rs"],
        "only scheduler/kill.rs unwinds a task",
        "kill the task, or raise a bound",
    );
    only_in(
        &["resume_unwind("],
        &[
            "scheduler/kill.rs",
            "coroutine/pump.rs",
            "generator/",
            "task/scope.rs",
            "task/gather.rs",
            "task/cleanup.rs",
            "sync/condvar.rs",
            "time.rs",
            "run/",
            "thread/",
        ],
        "payloads are passed on only where they are caught: in scopes, timeouts, generators, \
         runs and other OS threads",
        "let the unwind pass, or end it",
    );
}

#[test]
fn only_the_clock_reads_the_time() {
    only_in(
        &["Instant::now", "SystemTime", ".elapsed()"],
        &["scheduler/clock.rs"],
        "only scheduler/clock.rs reads the time, so that virtual time is all there is",
        "ask scheduler::now or the kernel's clock",
    );
}

#[test]
fn no_order_depends_on_a_hash() {
    let floors = floors();
    let sources = sources();
    let low = sources.iter().filter(|source| {
        floors.get(source.module()).is_some_and(|floor| *floor <= 3)
            // The auditor asks its set for membership alone.
            && source.path != "scheduler/audit.rs"
    });
    let hashes = ["HashMap", "HashSet", "RandomState"];
    let faults = low.flat_map(|source| hashes.iter().flat_map(|hash| source.places(hash)));
    keep(
        "no random hash order on floors 0 to 3: the same seed gives the same run",
        "use a slab, a vector or a BTreeMap",
        faults.collect(),
    );
}

/// The argument of each call of `call`, with the line it begins in.
fn arguments<'a>(code: &'a str, call: &str) -> Vec<(usize, &'a str)> {
    let starts = code.match_indices(call).map(|(at, _)| at + call.len());
    let arguments = starts.map(|start| {
        let mut depth = 1;
        let end = code[start..].find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let line = code[..start].matches('\n').count() + 1;
        (
            line,
            &code[start..end.map_or(code.len(), |end| start + end)],
        )
    });
    arguments.collect()
}

#[test]
fn nothing_parks_while_the_kernel_is_borrowed() {
    let mut faults = Vec::new();
    for source in sources() {
        let code = source.code[..source.before_tests].join("\n");
        for call in ["with_kernel(", ".kernel("] {
            for (line, argument) in arguments(&code, call) {
                let parks = ["suspend", "park::", "block_on", "yield_now", "resume()"];
                let again = ["with_kernel(", "catch_unwind", "drop("];
                for text in parks
                    .iter()
                    .chain(&again)
                    .filter(|text| argument.contains(**text))
                {
                    faults.push(format!(
                        "src/{}:{line}: {text} inside {call}..)",
                        source.path
                    ));
                }
            }
        }
    }
    keep(
        "no borrow of the kernel lives across a park, and nothing of a user's runs inside one",
        "take out of the kernel what is needed, let it go, and then park or drop",
        faults,
    );
}

// ── files and words ──────────────────────────────────────────────────────────────────────────

#[test]
fn every_file_says_what_lives_in_it_and_is_short() {
    let mut faults = Vec::new();
    for source in sources() {
        if !source
            .lines
            .first()
            .is_some_and(|line| line.starts_with("//! "))
        {
            faults.push(format!("src/{}:1: no `//!` line", source.path));
        }
        let count = source
            .code()
            .filter(|(_, line)| !line.trim().is_empty())
            .count();
        if count > LINES_AT_MOST {
            faults.push(format!("src/{}: {count} lines of code", source.path));
        }
    }
    keep(
        "the first line of a file says what lives in it, and 500 lines of code are enough",
        "write the sentence; cut the file at an idea",
        faults,
    );
}

#[test]
fn one_word_stands_for_one_idea() {
    let mut faults = Vec::new();
    for source in sources() {
        for (n, line) in source.code() {
            let line = WORDS_OF_OTHERS
                .iter()
                .fold(line.to_string(), |line, other| line.replace(other, ""));
            for part in identifiers(&line).flat_map(parts) {
                let is_at_home =
                    |(word, home): &(&str, &str)| *word == part && source.is_in(&[home]);
                if WORDS_AT_HOME.iter().any(is_at_home) {
                    continue;
                }
                if let Some((_, instead)) = WORDS.iter().find(|(word, _)| *word == part) {
                    faults.push(format!("src/{}:{n}: {part:?}: say {instead}", source.path));
                }
            }
        }
    }
    keep(
        "one word for one idea",
        "say it in the crate's own words",
        faults,
    );
}

/// The words of an identifier, in lower case.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in identifier.chars() {
        if c == '_' || c.is_uppercase() {
            parts.push(String::new());
        }
        let last = parts.last_mut().expect("there is one at least");
        last.extend(c.to_lowercase().filter(|c| *c != '_'));
    }
    parts
}

#[test]
fn nothing_is_left_to_do() {
    let markers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("dbg", "!("),
    ];
    let mut found = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        rust_files(&root().join(folder), &mut found);
    }
    let faults = found.iter().flat_map(|path| {
        let text = fs::read_to_string(path).expect("the file is readable");
        let place = path
            .strip_prefix(root())
            .expect("it is in the crate")
            .display()
            .to_string();
        let lines: Vec<String> = text.lines().map(String::from).collect();
        let marked = lines.into_iter().enumerate();
        let marked = marked.filter(|(_, line)| markers.iter().any(|marker| line.contains(marker)));
        marked.map(move |(n, line)| format!("{place}:{}: {}", n + 1, line.trim()))
    });
    keep(
        "nothing is left to do in the main branch",
        "do it, or open an issue",
        faults.collect(),
    );
}
