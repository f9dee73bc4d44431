//! The source of the crate as lines, with and without comments and literals.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Source {
    /// Relative to `src`, with `/`.
    pub(crate) path: String,
    pub(crate) lines: Vec<String>,
    /// The same lines without comments and without what is in string literals.
    pub(crate) code: Vec<String>,
    /// Lines before the unit tests at the end of the file.
    pub(crate) before_tests: usize,
}

impl Source {
    fn new(path: String, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(String::from).collect();
        let code: Vec<String> = bare(text).lines().map(String::from).collect();
        let tests = (0..lines.len()).find(|&n| {
            lines[n].trim() == "#[cfg(test)]"
                && lines.get(n + 1).is_some_and(|line| line.ends_with('{'))
        });
        let before_tests = tests.unwrap_or(lines.len());
        Source {
            path,
            lines,
            code,
            before_tests,
        }
    }

    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// The top-level module that the file belongs to.
    pub(crate) fn module(&self) -> &str {
        let name = self.path.split('/').next().expect("a path has a part");
        name.trim_end_matches(".rs")
    }

    /// The lines of code outside of tests, numbered from 1.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.code.iter().take(self.before_tests).enumerate();
        code.map(|(n, line)| (n + 1, line.as_str()))
    }

    /// The places of `needle` in the code, for a rule that forbids it.
    pub(crate) fn places(&self, needle: &str) -> Vec<String> {
        let found = self.code().filter(|(_, line)| line.contains(needle));
        found
            .map(|(n, line)| format!("src/{}:{n}: {}", self.path, line.trim()))
            .collect()
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// The files of the crate, but for those that hold only tests.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    rust_files(&root().join("src"), &mut found);
    let sources = found.into_iter().filter_map(|path| {
        let text = fs::read_to_string(&path).expect("the file is readable");
        let relative = path.strip_prefix(root().join("src")).expect("it is in src");
        let path = relative.to_string_lossy().replace('\\', "/");
        let only_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        (!only_tests).then(|| Source::new(path, &text))
    });
    sources.collect()
}

/// The text with comments and the insides of literals blanked, line by line the same.
fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut n) = (String::new(), 0);
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    while n < chars.len() {
        let rest = &chars[n..];
        let after_name = n > 0 && (chars[n - 1].is_alphanumeric() || chars[n - 1] == '_');
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => end_of_comment(rest),
            ['"', ..] => end_of_string(rest),
            ['r', '"' | '#', ..] if !after_name => end_of_raw_string(rest),
            ['\'', '\\', ..] => 3 + rest[3..].iter().position(|&c| c == '\'').unwrap_or(0),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        match length {
            0 => out.push(chars[n]),
            length => out.extend(rest[..length].iter().map(|&c| blank(c))),
        }
        n += length.max(1);
    }
    out
}

fn end_of_comment(rest: &[char]) -> usize {
    let end = rest.windows(2).position(|pair| pair == ['*', '/']);
    end.map_or(rest.len(), |end| end + 2)
}

fn end_of_string(rest: &[char]) -> usize {
    let mut n = 1;
    while n < rest.len() && rest[n] != '"' {
        n += 1 + usize::from(rest[n] == '\\');
    }
    (n + 1).min(rest.len())
}

/// 0 for what only looks like one: a raw identifier.
fn end_of_raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let found = rest[2 + hashes..]
        .windows(end.len())
        .position(|part| part == end);
    found.map_or(rest.len(), |at| 2 + hashes + at + end.len())
}

pub(crate) fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

// ── floors and uses ──────────────────────────────────────────────────────────────────────────

/// Above every floor: what only gathers names.
pub(crate) const FRONT_DOOR: usize = usize::MAX;

/// The floor of each module: the groups of `mod` lines in `lib.rs`.
pub(crate) fn floors() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("there is a lib.rs");
    let (mut floor, mut floors) = (None, BTreeMap::new());
    for (n, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("// Floor ") {
            let number = rest
                .split(':')
                .next()
                .and_then(|number| number.parse().ok());
            floor = Some(number.expect("a floor has a number"));
        } else if line.starts_with("// Front door") {
            floor = Some(FRONT_DOOR);
        }
        let line = line
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ");
        let name = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'));
        if let Some(name) = name {
            let floor =
                floor.unwrap_or_else(|| panic!("src/lib.rs:{}: {name} is on no floor", n + 1));
            floors.insert(name.to_string(), floor);
        }
    }
    floors
}

/// Every `name` of a `crate::name`, groups in braces included.
fn names_of_the_crate(code: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        // Exported macros have no other path.
        if rest
            .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            .starts_with('!')
        {
            continue;
        }
        let Some(group) = rest.strip_prefix('{') else {
            names.extend(
                identifiers(rest)
                    .next()
                    .map(|name| (line, name.to_string())),
            );
            continue;
        };
        let (mut depth, mut first) = (0, true);
        for (n, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                c if first && c.is_alphabetic() => {
                    first = false;
                    names.extend(
                        identifiers(&group[n..])
                            .next()
                            .map(|name| (line, name.into())),
                    );
                }
                _ => {}
            }
        }
    }
    names
}

/// Who uses whom and where, from module to module.
pub(crate) fn uses() -> Vec<(String, String, String)> {
    let mut uses = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let code = source.code[..source.before_tests].join("\n");
        for (line, name) in names_of_the_crate(&code) {
            let place = format!("src/{}:{line}", source.path);
            uses.push((source.module().to_string(), name, place));
        }
    }
    uses
}
