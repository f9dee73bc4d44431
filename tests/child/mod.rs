//! Runs the body of a test in a process of its own, for what a process does not survive.
#![allow(dead_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
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
    let test = name_of_test::<F>();
    if std::env::var_os(CHOSEN).is_some_and(|chosen| *chosen == *test) {
        std::thread::spawn(end_when_it_hangs);
        body();
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env_remove("RUST_BACKTRACE")
        .envs(variables.iter().copied())
        .env(CHOSEN, test)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let chosen = |(variable, _): &(&str, &str)| *variable == name;
        if name.starts_with("MAYPOLE_") && !variables.iter().any(chosen) && name != CHOSEN {
            command.env_remove(&*name);
        }
    }
    Ended::from(command.output().unwrap())
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
