//! Runs the body of a test in a process of its own, for what a process does not survive.
#![allow(dead_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Set in the child: the name of the test whose body it runs.
const CHOSEN: &str = "MAYPOLE_TEST_CHILD";

const PATIENCE: Duration = Duration::from_secs(60);

/// How a child process ended and what it wrote.
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub status: Option<i32>,
    pub signal: Option<i32>,
}

/// Runs `body` in a fresh process of this test binary. Nothing after this call runs there.
pub fn run<F: FnOnce()>(body: F) -> Ended {
    run_with(&[], body)
}

/// The same, with variables in its environment. Of the crate's own ones it has no others.
pub fn run_with<F: FnOnce()>(variables: &[(&str, &str)], body: F) -> Ended {
    let mut command = command::<F>();
    command.envs(variables.iter().copied());
    run_as(command, |_| (), body)
}

/// The same, with what `input` says as its standard input; `meanwhile` feeds it, or plays tricks.
pub fn run_on<F: FnOnce()>(input: Stdio, meanwhile: impl FnOnce(&mut Child), body: F) -> Ended {
    let mut command = command::<F>();
    command.stdin(input);
    run_as(command, meanwhile, body)
}

/// The same on a terminal of its own, on which `typed` is typed; what it writes is in `stdout`.
/// `None` where script(1) is missing.
pub fn run_on_terminal<F: FnOnce()>(typed: impl FnOnce(&mut Child), body: F) -> Option<Ended> {
    let there = Command::new("script").arg("--version").output();
    if !there.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux")) {
        return None;
    }
    let inner = command::<F>();
    let mut words = vec![inner.get_program().to_string_lossy().into_owned()];
    words.extend(
        inner
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    let mut outer = Command::new("script");
    outer.args(["-qefc", &format!("exec {}", words.join(" ")), "/dev/null"]);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.stdin(Stdio::piped());
    Some(run_as(outer, typed, body))
}

fn run_as<F: FnOnce()>(mut command: Command, meanwhile: impl FnOnce(&mut Child), body: F) -> Ended {
    if is_child::<F>() {
        std::thread::spawn(end_when_it_hangs);
        body();
        std::process::exit(0);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    meanwhile(&mut child);
    Ended::from(child.wait_with_output().unwrap())
}

fn is_child<F>() -> bool {
    std::env::var_os(CHOSEN).is_some_and(|chosen| *chosen == *name_of_test::<F>())
}

/// The child process, not started yet.
fn command<F>() -> Command {
    let test = name_of_test::<F>();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAYPOLE_") {
            command.env_remove(name);
        }
    }
    command.env(CHOSEN, test);
    command
}

/// A scheduler that never comes back would keep the tests waiting for ever.
fn end_when_it_hangs() {
    std::thread::sleep(PATIENCE);
    eprintln!("the child process hangs");
    std::process::exit(124);
}

/// A test that calls [`run`] with a closure has the closure's path as its own.
fn name_of_test<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let (_, path) = path.split_once("::").expect("a closure is in a crate");
    path.split("::{{closure}}")
        .next()
        .expect("a split has a first part")
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code(),
            signal: output.status.signal(),
        }
    }
}

impl Ended {
    /// Fails with all that the child wrote, unless it ended with status 0.
    #[track_caller]
    pub fn succeeds(self) -> Ended {
        assert_eq!(
            (self.status, self.signal),
            (Some(0), None),
            "the child failed:\n{}{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails with all that the child wrote, unless this signal ended it.
    #[track_caller]
    pub fn dies_of(self, signal: i32) -> Ended {
        assert_eq!(
            (self.status, self.signal),
            (None, Some(signal)),
            "the child ended otherwise:\n{}{}",
            self.stdout,
            self.stderr
        );
        self
    }
}
