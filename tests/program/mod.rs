//! Runs an example as a process of its own, for the tests that look at what it prints.
use std::path::PathBuf;
use std::process::Command;

/// What a run of an example came to.
#[derive(Debug)]
#[allow(dead_code)] // each test file is a crate of its own
pub struct Ran {
    pub output: String,
    pub complaints: String,
    pub status: Option<i32>,
}

impl Ran {
    /// The value of the line `name: value`.
    #[allow(dead_code)] // each test file is a crate of its own
    pub fn value(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let line = self
            .output
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no line {name:?} in {self:#?}"))
    }
}

/// Runs an example to its end.
#[allow(dead_code)] // each test file is a crate of its own
pub fn run(example: &str, arguments: &[&str]) -> Ran {
    run_with(&[], example, arguments)
}

/// The same, with these environment variables.
#[allow(dead_code)] // each test file is a crate of its own
pub fn run_with(variables: &[(&str, &str)], example: &str, arguments: &[&str]) -> Ran {
    let mut command = command(example, arguments);
    command.envs(variables.iter().copied());
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    Ran {
        output: String::from_utf8(output.stdout).expect("examples print text"),
        complaints: String::from_utf8(output.stderr).expect("examples print text"),
        status: output.status.code(),
    }
}

/// What starts an example.
pub fn command(example: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path_of(example));
    command.args(arguments);
    // What these tests expect holds without orders from outside.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAYPOLE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The program lies beside the directory of the test that runs: `debug/deps/bank-0123456789abcdef`,
/// `debug/examples/bank`.
fn path_of(example: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its own file");
    let profile = this.ancestors().nth(2).expect("a test lies in deps");
    let program = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(program);
    assert!(
        program.is_file(),
        "the example is missing: {}\n`cargo test` builds it, `cargo test --test NAME` does not; run \
         `cargo build --examples` first, with `--release` where the tests are run with it",
        program.display()
    );
    program
}
