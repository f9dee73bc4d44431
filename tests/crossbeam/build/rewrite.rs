//! Carries one file over, by the rules and nothing else.
use super::rules::{IN_ONE_TEST, REPLACEMENTS, SKIPPED};
use std::collections::BTreeSet;

/// The rules that had something to do.
#[derive(Default)]
pub struct Used {
    replacements: BTreeSet<usize>,
    in_one_test: BTreeSet<usize>,
    skipped: BTreeSet<usize>,
}

impl Used {
    /// Fails if a rule is left over: what it names is not there.
    pub fn check(&self) {
        for (n, (from, _)) in REPLACEMENTS.iter().enumerate() {
            assert!(self.replacements.contains(&n), "nothing to replace: {from}");
        }
        for (n, (file, test, from, _)) in IN_ONE_TEST.iter().enumerate() {
            assert!(
                self.in_one_test.contains(&n),
                "no {from:?} in {file}::{test}"
            );
        }
        for (n, (file, test, _)) in SKIPPED.iter().enumerate() {
            assert!(self.skipped.contains(&n), "no test {file}::{test}");
        }
    }
}

/// The text of `file` on tasks, line for line, and the number of its tests.
pub fn rewrite(file: &str, original: &str, used: &mut Used) -> (String, usize) {
    let mut module = String::new();
    let mut test: Option<Test> = None;
    let mut tests = 0;
    let mut text = String::new();
    for line in original.lines() {
        if let Some(name) = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            module = format!("{name}::");
        } else if line == "}" {
            module.clear();
        }
        let line = match &mut test {
            None if line.trim() == "#[test]" => {
                let indent = &line[..line.len() - "#[test]".len()];
                test = Some(Test::new(indent));
                line.to_string()
            }
            Some(now) if now.name.is_empty() => match now.name_in(line) {
                None => line.to_string(),
                Some(name) => {
                    now.name = format!("{module}{name}");
                    tests += 1;
                    format!("{}{line} suite::run(|| {{", ignored(file, &now.name, used))
                }
            },
            Some(now) if line == now.end => {
                let line = format!("{}}}) }}", now.indent);
                test = None;
                line
            }
            Some(now) => replace_in(file, &now.name, line, used),
            None => line.to_string(),
        };
        let inner = line.starts_with("//!") || line.starts_with("#![");
        text += &if inner {
            String::new()
        } else {
            replace(line, used)
        };
        text.push('\n');
    }
    let open = test.map(|test| test.name).unwrap_or_default();
    assert!(open.is_empty(), "the end of {file}::{open} was not found");
    (text, tests)
}

/// A test that is being read. The files are formatted, so its end is the brace in its column.
struct Test {
    indent: String,
    end: String,
    name: String,
}

impl Test {
    fn new(indent: &str) -> Self {
        Test {
            indent: indent.to_string(),
            end: format!("{indent}}}"),
            name: String::new(),
        }
    }

    fn name_in<'a>(&self, line: &'a str) -> Option<&'a str> {
        let head = line.strip_prefix(&self.indent)?.strip_prefix("fn ")?;
        head.strip_suffix("() {")
    }
}

/// What stands before a test that is skipped.
fn ignored(file: &str, test: &str, used: &mut Used) -> String {
    let listed = |entry: &&(_, _, _)| (entry.0, entry.1) == (file, test);
    match SKIPPED.iter().enumerate().find(|(_, entry)| listed(entry)) {
        None => String::new(),
        Some((n, (_, _, reason))) => {
            used.skipped.insert(n);
            format!("#[ignore = {reason:?}] ")
        }
    }
}

fn replace_in(file: &str, test: &str, line: &str, used: &mut Used) -> String {
    for (n, (in_file, in_test, from, to)) in IN_ONE_TEST.iter().enumerate() {
        if (*in_file, *in_test) == (file, test) && line.contains(from) {
            used.in_one_test.insert(n);
            return line.replace(from, to);
        }
    }
    line.to_string()
}

fn replace(mut line: String, used: &mut Used) -> String {
    for (n, (from, to)) in REPLACEMENTS.iter().enumerate() {
        if line.contains(from) {
            used.replacements.insert(n);
            line = line.replace(from, to);
        }
    }
    line
}
