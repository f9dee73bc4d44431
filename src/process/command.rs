//! What process to start, and how.
use super::child::Child;
use super::reaper;
use super::{ExitStatus, Output, Stdio};
use crate::io::{faults, refuse_exploring};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::panic::Location;
use std::path::Path;
use std::process::{CommandArgs, CommandEnvs};

/// What process to start, and how: `std::process::Command` for tasks.
///
/// What it does not offer can be set on std's, which becomes one of these by `From`. The streams of
/// such a one are those that were set on it, also for [`output`](Self::output).
///
/// # Examples
///
/// ```
/// use maypole::process::Command;
/// maypole::run(|| {
///     let greet = |name: &'static str| {
///         maypole::spawn(move || {
///             let mut command = Command::new("sh");
///             command.args(["-c", "echo hello $NAME"]).env("NAME", name);
///             String::from_utf8(command.output().unwrap().stdout).unwrap()
///         })
///     };
///     let (first, second) = (greet("Ada"), greet("Grace")); // both at once
///     assert_eq!(first.join().unwrap(), "hello Ada\n");
///     assert_eq!(second.join().unwrap(), "hello Grace\n");
/// });
/// ```
///
/// All that can be set, none of which parks:
///
/// ```
/// use maypole::process::{Command, Stdio};
/// maypole::run(|| {
///     let mut command = Command::new("sh");
///     command
///         .arg0("shell")
///         .arg("-c")
///         .args(["echo $0 $A $B; pwd", "zero"])
///         .env_clear()
///         .env("A", "a")
///         .envs([("B", "b"), ("C", "c")])
///         .env_remove("C")
///         .current_dir("/")
///         .stdin(Stdio::null())
///         .stdout(Stdio::piped())
///         .stderr(Stdio::inherit())
///         .process_group(0);
///     assert_eq!(command.output().unwrap().stdout, b"zero a b\n/\n");
///     assert_eq!(command.get_program(), "sh");
///     assert_eq!(command.get_args().count(), 3);
///     assert_eq!(command.get_envs().count(), 2);
///     assert_eq!(command.get_current_dir(), Some("/".as_ref()));
/// });
/// ```
pub struct Command {
    inner: std::process::Command,
    /// Which of the three streams the user has set.
    set: [bool; 3],
    kills_on_drop: bool,
}

impl Command {
    /// A process of this program: a path, or a name to be looked up in `PATH`.
    ///
    /// # Examples
    ///
    /// See [`Command`].
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command {
            inner: std::process::Command::new(program),
            set: [false; 3],
            kills_on_drop: false,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(
        &mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> &mut Command {
        self.inner.args(arguments);
        self
    }

    /// Sets argument 0, which is the program otherwise.
    pub fn arg0(&mut self, argument: impl AsRef<OsStr>) -> &mut Command {
        self.inner.arg0(argument);
        self
    }

    /// Sets a variable of its environment, which is that of this process otherwise.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.inner.env(name, value);
        self
    }

    /// Sets variables of its environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Command {
        self.inner.envs(variables);
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.inner.env_remove(name);
        self
    }

    /// Has its environment hold only what is set from now on.
    pub fn env_clear(&mut self) -> &mut Command {
        self.inner.env_clear();
        self
    }

    /// Sets the directory that it starts in.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.inner.current_dir(directory);
        self
    }

    /// Sets what it reads: that of this process otherwise, and nothing for
    /// [`output`](Self::output).
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.inner.stdin(stream);
        self.set[0] = true;
        self
    }

    /// Sets where it writes to: as this process otherwise, and a pipe for
    /// [`output`](Self::output).
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.inner.stdout(stream);
        self.set[1] = true;
        self
    }

    /// Sets where it complains: as this process otherwise, and a pipe for
    /// [`output`](Self::output).
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Command {
        self.inner.stderr(stream);
        self.set[2] = true;
        self
    }

    /// Sets the user that it runs as.
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.inner.uid(id);
        self
    }

    /// Sets the group that it runs as.
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.inner.gid(id);
        self
    }

    /// Sets the process group that it is in; 0 is one of its own, which ^C at the terminal does not
    /// reach.
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.inner.process_group(group);
        self
    }

    /// Says whether the process is killed when its [`Child`] is dropped before its end. Otherwise it
    /// runs on.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::Command;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let mut forever = Command::new("sleep");
    ///     forever.arg("infinity").kill_on_drop(true);
    ///     let late = maypole::time::timeout(Duration::from_millis(1), || forever.status());
    ///     assert!(late.is_err()); // and it does not sleep on
    /// });
    /// ```
    pub fn kill_on_drop(&mut self, kills: bool) -> &mut Command {
        self.kills_on_drop = kills;
        self
    }

    /// Starts the process.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// As std's. If the system has no descriptor for it, no process is left.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// See [`Child`].
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.start([Stdio::inherit; 3], "Command::spawn", Location::caller())
    }

    /// Starts the process and waits for its end; gives all that it has written.
    ///
    /// Parks: as [`Child::wait_with_output`].
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run); while schedules are explored.
    ///
    /// # Examples
    ///
    /// See [`Command`].
    #[track_caller]
    pub fn output(&mut self) -> io::Result<Output> {
        let streams = [Stdio::null, Stdio::piped, Stdio::piped];
        let child = self.start(streams, "Command::output", Location::caller())?;
        child.wait_with_output()
    }

    /// Starts the process and waits for its end.
    ///
    /// Parks: as [`Child::wait`].
    ///
    /// # Errors
    ///
    /// As std's.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run); while schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::Command;
    /// maypole::run(|| assert!(!Command::new("false").status().unwrap().success()));
    /// ```
    #[track_caller]
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        let at = Location::caller();
        self.start([Stdio::inherit; 3], "Command::status", at)?
            .wait()
    }

    fn start(
        &mut self,
        otherwise: [fn() -> Stdio; 3],
        call: &'static str,
        at: &'static Location<'static>,
    ) -> io::Result<Child> {
        refuse_exploring(call, at);
        let set = [
            std::process::Command::stdin,
            std::process::Command::stdout,
            std::process::Command::stderr,
        ];
        for n in (0..3).filter(|n| !self.set[*n]) {
            set[n](&mut self.inner, otherwise[n]());
        }
        reaper::look();
        let child = faults::uninterrupted(|| self.inner.spawn())?;
        let mut child = Child::new(child, at)?;
        child.set_kill_on_drop(self.kills_on_drop);
        Ok(child)
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables that were set; `None` for those that were taken out.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The directory that it starts in, if that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }
}

impl From<std::process::Command> for Command {
    fn from(inner: std::process::Command) -> Command {
        Command {
            inner,
            set: [true; 3],
            kills_on_drop: false,
        }
    }
}

/// As std's.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
