//! What the tests of reports share: runs that come to a deadlock, and texts with places in them.
#![allow(dead_code)] // each test file is a crate of its own

use maypole::{Builder, Clock, RunError};

/// Runs `main`, which must come to a deadlock, and gives the report.
#[track_caller]
pub fn deadlock(main: impl FnOnce()) -> String {
    deadlock_of(Builder::new().clock(Clock::Virtual), main)
}

#[track_caller]
pub fn deadlock_of(builder: Builder, main: impl FnOnce()) -> String {
    match builder.run(main) {
        Err(RunError::Deadlock(report)) => report.to_string(),
        other => panic!("no deadlock: {other:?}"),
    }
}

/// The first line of the report of a deadlock of so many tasks, and the empty one after it.
pub fn head(of: &str) -> String {
    format!(
        "maypole: deadlock: nothing left that could wake {of} (no timers, no I/O, no OS threads)\n\n"
    )
}

/// A text with places: `@name` is the place of the nearest line above this one that ends with
/// `// @name` or comes after such a comment. A line `|name` is that line as a report shows it,
/// `|name <-` the same with a mark.
#[macro_export]
macro_rules! expected {
    ($text:expr) => {
        $crate::deadlock_support::with_places(file!(), line!(), $text)
    };
}

pub fn with_places(file: &str, line: u32, text: &str) -> String {
    let source = std::fs::read_to_string(file).expect("tests run where their source is");
    let above: Vec<&str> = source.lines().take(line as usize - 1).collect();
    let find = |name: &str| {
        let mark = format!("// @{name}");
        let found = above.iter().rposition(|line| line.ends_with(&mark));
        let found = found.unwrap_or_else(|| panic!("no line above {line} ends with {mark}"));
        found + usize::from(above[found].trim() == mark)
    };
    let mut lines = Vec::new();
    // A text may begin on a line of its own.
    for line in text.strip_prefix('\n').unwrap_or(text).lines() {
        lines.push(match line.trim_start().strip_prefix('|') {
            Some(shown) => {
                let (name, mark) = match shown.split_once(" <-") {
                    Some((name, _)) => (name, "      <- here"),
                    None => (shown, ""),
                };
                let index = find(name);
                format!("{:>7} ┊ {}{mark}", index + 1, above[index].trim())
            }
            None => {
                let mut parts = line.split('@');
                let mut filled = parts.next().unwrap_or_default().to_string();
                for part in parts {
                    let is_name = |c: char| c.is_alphanumeric() || c == '_';
                    let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
                    filled += &format!("{file}:{}{}", find(&part[..end]) + 1, &part[end..]);
                }
                filled
            }
        });
    }
    lines.join("\n") + "\n"
}
