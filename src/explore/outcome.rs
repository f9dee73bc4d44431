//! What an exploration came to, and what it proves.
use super::Manner;
use crate::report::{Report, Steps};
use crate::scheduler::policy::Trail;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

/// What an exploration came to. Its `Display` says what was proved.
///
/// # Examples
///
/// ```
/// use maypole::explore::Explorer;
/// let outcome = Explorer::new().check(|| {
///     let tasks = [1, 2].map(|n| maypole::spawn(move || n));
///     assert_eq!(tasks.map(|task| task.join().unwrap()), [1, 2]);
/// });
/// assert!(outcome.complete && outcome.failure.is_none());
/// println!("{outcome}"); // maypole explore: ok: all .. schedules hold
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Schedules that were run.
    pub schedules: u64,
    /// Those among them that were longer than [`turns`](super::Explorer::turns) and so were left
    /// before their end.
    pub cut: u64,
    /// All schedules with at most so many forced switches were run, and none failed. `None` if not
    /// even all of those without one were run, and where the schedules are chosen by chance.
    pub forced: Option<usize>,
    /// Every schedule was run to its end.
    pub complete: bool,
    /// The first schedule that failed.
    pub failure: Option<Failure>,
    pub(super) coverage: Coverage,
}

/// How far the exploration went.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    pub(super) manner: Manner,
    pub(super) ended: Ended,
    pub(super) pruned: bool,
    pub(super) of_finished_levels: u64,
    pub(super) estimate: Option<f64>,
    pub(super) turns: u64,
    pub(super) took: Duration,
}

/// Why it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// No schedule is left, or one has failed.
    ByItself,
    /// The schedules or the time were used up.
    Stopped,
    /// It was a replay.
    Replayed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(failure) = &self.failure {
            return failure.fmt(f);
        }
        let coverage = &self.coverage;
        let took = Took(coverage.took);
        let done = Count(self.schedules as f64);
        match (coverage.manner, coverage.ended) {
            (_, Ended::Replayed) => f.write_str(
                "maypole explore: the replay came to the end of the program, and nothing failed",
            )?,
            (Manner::Random(seed) | Manner::Priorities(seed, _), _) => write!(
                f,
                "maypole explore: {done} schedules by chance (seed {seed}) hold ({took}); this \
                 proves nothing about the others"
            )?,
            (Manner::Depth, Ended::ByItself) if coverage.pruned => {
                let bound = self.forced.unwrap_or(0);
                write!(
                    f,
                    "maypole explore: ok: all {done} schedules {} hold ({took}); {} or more were \
                     not tried",
                    with_at_most(bound),
                    bound + 1
                )?;
            }
            (Manner::Depth, Ended::ByItself) => {
                write!(f, "maypole explore: ok: all {done} schedules hold ({took})")?;
            }
            (Manner::Depth, Ended::Stopped) => {
                write!(f, "maypole explore: stopped after {done}")?;
                if let Some(estimate) = coverage.estimate {
                    write!(f, " of about {}", Count(estimate))?;
                }
                write!(f, " schedules ({took}); no failure so far; ")?;
                match self.forced {
                    Some(bound) => write!(
                        f,
                        "all {} {} hold; this proves nothing about the others",
                        Count(coverage.of_finished_levels as f64),
                        with_at_most(bound)
                    )?,
                    None => f.write_str("this proves nothing about the rest")?,
                }
            }
        }
        match self.cut {
            0 => Ok(()),
            cut => write!(
                f,
                "; {} of them were cut after {} turns",
                Count(cut as f64),
                Count(coverage.turns as f64)
            ),
        }
    }
}

fn with_at_most(bound: usize) -> String {
    match bound {
        0 => "without a forced switch".to_string(),
        1 => "with at most 1 forced switch".to_string(),
        more => format!("with at most {more} forced switches"),
    }
}

/// A number of schedules: exact as long as it can be read.
struct Count(f64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1e15 => write!(f, "{n:.0e}"),
            n if n >= 1e12 => write!(f, "{:.1} million million", n / 1e12),
            n if n >= 1e9 => write!(f, "{:.1} thousand million", n / 1e9),
            n if n >= 1e7 => write!(f, "{:.1} million", n / 1e6),
            n => {
                let digits = format!("{n:.0}");
                let head = (digits.len() - 1) % 3 + 1;
                f.write_str(&digits[..head])?;
                for group in digits.as_bytes()[head..].chunks(3) {
                    write!(f, " {}", String::from_utf8_lossy(group))?;
                }
                Ok(())
            }
        }
    }
}

struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}

/// A schedule that failed.
///
/// # Examples
///
/// ```
/// use maypole::explore::{self, Explorer, Shared, Switches};
/// let both_add = || {
///     let total = Shared::new(0);
///     maypole::scope(|s| {
///         s.spawn(|| total.update(|n| n + 1));
///         s.spawn(|| total.update(|n| n + 1));
///     });
///     assert_eq!(total.get(), 2);
/// };
/// let explorer = Explorer::new().switches(Switches::Everywhere);
/// let failure = explorer.check(both_add).failure.unwrap();
/// assert_eq!(failure.forced(), 1);
/// println!("{}", failure.report());
/// // The same again:
/// let again = std::panic::catch_unwind(|| explore::replay(failure.trail(), both_add));
/// assert!(again.is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    steps: String,
    trail: String,
    report: Report,
    forced: usize,
}

impl Failure {
    pub(super) fn new(
        head: String,
        text: String,
        trail: &Trail,
        steps: &RefCell<Steps>,
        forced: usize,
    ) -> Self {
        let (trail, steps) = (trail.to_string(), steps.borrow().to_string());
        let lines = text.lines().map(|line| format!("  {line}"));
        let text: Vec<String> = lines.map(|line| line.trim_end().to_string()).collect();
        let text = text.join("\n");
        let report = format!(
            "{head}\n{text}\n{steps}  again:     MAYPOLE_REPLAY={trail} {}\n  \
             in a test: maypole::explore::replay(\"{trail}\", ..)\n",
            command_line()
        );
        Failure {
            steps,
            trail,
            report: Report::new(report),
            forced,
        }
    }

    /// A program that cannot be explored, as it is another every time.
    pub(super) fn unsteady(text: String) -> Self {
        Failure {
            steps: String::new(),
            trail: String::new(),
            report: Report::new(format!("{text}\n")),
            forced: 0,
        }
    }

    /// What each task did, step by step, as a table. Parks: no.
    ///
    /// Empty if the program did not do the same twice in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let stuck = Explorer::new().check(|| maypole::task::park()).failure.unwrap();
    /// assert!(stuck.steps().contains("park: waits"));
    /// ```
    pub fn steps(&self) -> &str {
        &self.steps
    }

    /// The schedule, for [`replay`](super::replay) and `MAYPOLE_REPLAY`; empty if the program did
    /// not do the same twice in it. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let failure = Explorer::new().check(|| panic!("always")).failure.unwrap();
    /// assert!(failure.trail().starts_with("mp1pv-"));
    /// ```
    pub fn trail(&self) -> &str {
        &self.trail
    }

    /// All of it, for people: what failed, the steps, and how to see it again. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let failure = Explorer::new().check(|| panic!("always")).failure.unwrap();
    /// assert!(failure.report().to_string().contains("FAILED in schedule 1"));
    /// ```
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// How many forced switches it needs; found depth first, no schedule with fewer fails.
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let failure = Explorer::new().check(|| panic!("always")).failure.unwrap();
    /// assert_eq!(failure.forced(), 0);
    /// ```
    pub fn forced(&self) -> usize {
        self.forced
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

/// How this program was called, for a shell. A test harness runs the test alone.
fn command_line() -> String {
    let mut words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let is_test = std::env::current_exe().is_ok_and(|program| {
        let folder = program.parent().and_then(|folder| folder.file_name());
        folder.is_some_and(|folder| folder == "deps")
    });
    if let (true, Some(test)) = (is_test, std::thread::current().name())
        && test != "main"
    {
        words.truncate(1);
        words.extend([test.to_string(), "--exact".to_string()]);
    }
    words
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_exact_as_long_as_it_can_be_read() {
        let text = |n| Count(n).to_string();
        assert_eq!(text(0.0), "0");
        assert_eq!(text(412.0), "412");
        assert_eq!(text(10_000.0), "10 000");
        assert_eq!(text(1_234_567.0), "1 234 567");
        assert_eq!(text(31e6), "31.0 million");
        assert_eq!(text(f64::INFINITY), "inf");
    }

    #[test]
    fn only_what_a_shell_would_change_is_quoted() {
        assert_eq!(quoted("--explore=2"), "--explore=2");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
