//! Mutants: faults planted on purpose, which the tests must find.
//!
//! Each file in `tests/mutants` is one mutant: what is wrong with it, the test files that must find
//! it, and passages of the source with what stands in their place. The slow test builds each in a
//! folder of its own and runs these files on it, or `scheduler::tests` where none is named:
//!
//! ```text
//! cargo test --test mutants -- --ignored
//! ```
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A mutant that runs longer hangs, and is found out by it.
const AT_MOST: Duration = Duration::from_secs(30);

/// The source as it is may take its time, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(600);

/// Sections of the manifest that building the library's tests needs not.
const UNNEEDED: &[&str] = &[
    "[workspace",
    "[[bench",
    "[[test",
    "[[example",
    "[dev-dependencies",
];

struct Mutant {
    name: String,
    /// The test files that must find it; none for the scheduler's own tests.
    tests: Vec<String>,
    hunks: Vec<Hunk>,
}

struct Hunk {
    /// Relative to the root of the crate.
    file: String,
    find: String,
    replace: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads the mutants: lines of comment, perhaps test files, then hunks of
///
/// ```text
/// tests: select_claims
///
/// file: src/scheduler/kernel.rs
/// <<<<
/// what is there
/// ====
/// what the mutant has
/// >>>>
/// ```
fn mutants() -> Vec<Mutant> {
    let folder = fs::read_dir(root().join("tests/mutants")).expect("there is a folder of mutants");
    let mut paths: Vec<PathBuf> = folder
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| mutant(path)).collect()
}

fn mutant(path: &Path) -> Mutant {
    let text = fs::read_to_string(path).expect("the mutant is readable");
    let name = path
        .file_stem()
        .expect("it has a name")
        .to_string_lossy()
        .into_owned();
    let mut hunks = Vec::new();
    for part in text.split("file: ").skip(1) {
        let parts = part.split_once("\n<<<<\n").and_then(|(file, rest)| {
            let (find, rest) = rest.split_once("====\n")?;
            let (replace, _) = rest.split_once(">>>>")?;
            Some((file, find, replace))
        });
        let (file, find, replace) = parts.unwrap_or_else(|| panic!("{name}: a hunk is malformed"));
        hunks.push(Hunk {
            file: file.trim().to_string(),
            find: find.to_string(),
            replace: replace.to_string(),
        });
    }
    assert!(!hunks.is_empty(), "{name}: no hunk");
    let tests = text.lines().find_map(|line| line.strip_prefix("tests: "));
    let tests = tests.unwrap_or_default().split(' ').map(String::from);
    Mutant {
        name,
        tests: tests.filter(|test| !test.is_empty()).collect(),
        hunks,
    }
}

impl Mutant {
    /// What is wrong with a passage: it must be there exactly once.
    fn misfits(&self) -> Vec<String> {
        let misfits = self.hunks.iter().filter_map(|hunk| {
            let text = fs::read_to_string(root().join(&hunk.file)).unwrap_or_default();
            let count = text.matches(&hunk.find).count();
            let Hunk { file, find, .. } = hunk;
            (count != 1).then(|| format!("{}: {count} times in {file}:\n{find}", self.name))
        });
        misfits.collect()
    }

    fn plant(&self, copy: &Path) {
        for hunk in &self.hunks {
            let path = copy.join(&hunk.file);
            let text = fs::read_to_string(&path).expect("the file was copied");
            fs::write(&path, text.replacen(&hunk.find, &hunk.replace, 1)).expect("writable");
        }
    }

    fn withdraw(&self, copy: &Path) {
        for hunk in &self.hunks {
            fs::copy(root().join(&hunk.file), copy.join(&hunk.file)).expect("writable");
        }
    }
}

/// A folder that is removed in the end.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("maypole-mutants-{}", std::process::id()));
        copy_all(&root().join("src"), &folder.join("src"));
        copy_all(&root().join("tests"), &folder.join("tests"));
        let _ = fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"));
        let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("there is a manifest");
        let (mut needed, mut kept) = (true, String::from("[workspace]\n\n"));
        for line in manifest.lines() {
            if line.starts_with('[') {
                needed = !UNNEEDED.iter().any(|section| line.starts_with(section));
            }
            if needed {
                kept += line;
                kept.push('\n');
            }
        }
        fs::write(folder.join("Cargo.toml"), kept).expect("writable");
        Copy(folder)
    }

    /// The programs of these test files, or of the library's tests where none is named; an error
    /// is the compiler's.
    fn build(&self, tests: &[String]) -> Result<Vec<PathBuf>, String> {
        let mut which: Vec<String> = tests.iter().map(|test| format!("--test={test}")).collect();
        if which.is_empty() {
            which.push("--lib".to_string());
        }
        let output = Command::new(env!("CARGO"))
            .args(["test", "--no-run", "--offline", "--color=never"])
            .args(which)
            .current_dir(&self.0)
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_INCREMENTAL", "1")
            .output()
            .expect("cargo starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let program = |line: &str| {
            let path = line.trim().strip_prefix("Executable ")?;
            // Relative where it is below the folder that cargo runs in.
            Some(self.0.join(path.split_once('(')?.1.trim_end_matches(')')))
        };
        let programs: Vec<PathBuf> = text.lines().filter_map(program).collect();
        match output.status.success() && programs.len() == tests.len().max(1) {
            true => Ok(programs),
            false => Err(text),
        }
    }

    /// Whether these test files pass, or the scheduler's tests where none is named.
    fn passes(&self, tests: &[String], at_most: Duration) -> Result<bool, String> {
        let filter = tests.is_empty().then_some("scheduler::tests");
        let programs = self.build(tests)?;
        let mut programs = programs.iter();
        Ok(programs.all(|program| passes(program, filter, at_most)))
    }
}

/// Whether the tests of a program pass, and end in time.
fn passes(program: &Path, filter: Option<&str>, at_most: Duration) -> bool {
    let mut child = Command::new(program)
        .args(filter)
        .arg("--test-threads=2")
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests start");
    let start = Instant::now();
    while start.elapsed() < at_most {
        if let Some(status) = child.try_wait().expect("the tests can be asked for") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("the tests can be ended");
    child.wait().expect("the tests have ended");
    false
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("readable").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy_all(&path, &target),
            false => _ = fs::copy(&path, &target).expect("writable"),
        }
    }
}

#[test]
fn every_mutant_finds_its_place_in_the_source() {
    let misfits: Vec<String> = mutants().iter().flat_map(Mutant::misfits).collect();
    let list = misfits.join("\n");
    assert!(
        misfits.is_empty(),
        "the source has changed; bring these mutants up to date:\n{list}"
    );
}

#[test]
#[ignore = "builds the crate once for each mutant"]
fn no_mutant_survives_its_tests() {
    let mutants = mutants();
    assert!(mutants.len() >= 10, "only {} mutants", mutants.len());
    let misfits: Vec<String> = mutants.iter().flat_map(Mutant::misfits).collect();
    assert!(
        misfits.is_empty(),
        "bring up to date:\n{}",
        misfits.join("\n")
    );
    let copy = Copy::new();
    let mut tests: Vec<String> = mutants.iter().flat_map(|m| m.tests.clone()).collect();
    tests.sort();
    tests.dedup();
    for tests in [&[], &tests[..]] {
        match copy.passes(tests, PATIENCE) {
            Ok(true) => {}
            Ok(false) => panic!("the tests fail without any mutant: {tests:?}"),
            Err(text) => panic!("the source does not build: {text}"),
        }
    }
    let mut survivors = Vec::new();
    for mutant in &mutants {
        mutant.plant(&copy.0);
        let start = Instant::now();
        let survives = copy
            .passes(&mutant.tests, AT_MOST)
            .unwrap_or_else(|text| panic!("{} does not build: {text}", mutant.name));
        let verdict = match survives {
            true => "SURVIVES",
            false => "found",
        };
        println!(
            "{verdict:8} {} ({:.1} s)",
            mutant.name,
            start.elapsed().as_secs_f32()
        );
        survivors.extend(survives.then_some(mutant.name.as_str()));
        mutant.withdraw(&copy.0);
    }
    assert!(
        survivors.is_empty(),
        "no test finds {}",
        survivors.join(", ")
    );
}
