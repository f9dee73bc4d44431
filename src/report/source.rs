//! Lines of the program's source, where the file is at hand.
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;

/// Larger files are not read.
const LARGEST: u64 = 4 << 20;

/// Longer lines are cut.
const WIDEST: usize = 100;

/// The source files that a report has asked for, and the places that it has shown.
#[derive(Default)]
pub(super) struct Sources {
    files: BTreeMap<String, Option<String>>,
    shown: BTreeSet<(String, u32)>,
}

impl Sources {
    /// The lines of `held` and of `here`, which is marked if there are others, unless that was
    /// shown before. Of other files than that of `here` nothing is shown.
    pub(super) fn around(
        &mut self,
        here: &Location<'_>,
        held: impl Iterator<Item = u32>,
    ) -> Vec<String> {
        if !self.shown.insert((here.file().to_string(), here.line())) {
            return Vec::new();
        }
        let mut numbers: BTreeSet<u32> = held.collect();
        numbers.insert(here.line());
        let text = self.files.entry(here.file().to_string());
        let Some(text) = text.or_insert_with_key(|file| read(file)) else {
            return Vec::new();
        };
        let mark = numbers.len() > 1;
        let numbered = numbers.into_iter().filter_map(|number| {
            let line = tidy(text.lines().nth(number.checked_sub(1)? as usize)?);
            let here = match mark && number == here.line() {
                true => "      <- here",
                false => "",
            };
            Some(format!("{number:>7} ┊ {line}{here}"))
        });
        numbered.collect()
    }
}

fn read(file: &str) -> Option<String> {
    let facts = std::fs::metadata(file).ok()?;
    let readable = facts.is_file() && facts.len() <= LARGEST;
    readable.then(|| std::fs::read_to_string(file).ok())?
}

/// Without what would disturb a terminal.
fn tidy(line: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut tidy: String = line.trim().chars().take(WIDEST).map(clean).collect();
    if line.trim().chars().count() > WIDEST {
        tidy.push('…');
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once() {
        let mut sources = Sources::default();
        let here = Location::caller();
        let line = here.line();
        assert_eq!(
            sources.around(here, std::iter::empty()),
            [format!("{line:>7} ┊ let here = Location::caller();")]
        );
        assert!(sources.around(here, std::iter::empty()).is_empty());
    }

    #[test]
    fn of_several_lines_the_place_itself_is_marked() {
        let before = Location::caller();
        let here = Location::caller();
        let held = std::iter::once(before.line());
        assert_eq!(
            Sources::default().around(here, held),
            [
                format!("{:>7} ┊ let before = Location::caller();", before.line()),
                format!(
                    "{:>7} ┊ let here = Location::caller();      <- here",
                    here.line()
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_readable_file_is_left_out() {
        assert_eq!(read("src/no such file.rs"), None);
        assert_eq!(read("src"), None);
        assert_eq!(read("/dev/zero"), None);
    }

    #[test]
    fn a_line_cannot_disturb_the_terminal() {
        assert_eq!(tidy("\t a\u{1b}[31mb \t"), "a [31mb");
        let long = "x".repeat(1000);
        assert_eq!(tidy(&long), format!("{}…", "x".repeat(WIDEST)));
    }
}
