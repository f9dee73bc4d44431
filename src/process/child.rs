//! A process that was started.
use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use super::running::Process;
use super::{ExitStatus, Output};
use crate::select::Limit;
use crate::signal::{SIGKILL, Signal};
use crate::task::both;
use std::fmt;
use std::io::{self, Read};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

/// A process that was started: `std::process::Child` for tasks.
///
/// Dropped, it leaves the process running, which is waited for in the background; see the
/// [module](super).
///
/// # Examples
///
/// ```
/// use maypole::process::{Command, Stdio};
/// use std::io::{Read, Write};
/// maypole::run(|| {
///     let mut child = Command::new("tr")
///         .args(["a-z", "A-Z"])
///         .stdin(Stdio::piped())
///         .stdout(Stdio::piped())
///         .spawn()
///         .unwrap();
///     let mut input = child.stdin.take().unwrap();
///     let writer = maypole::spawn(move || input.write_all(b"aloud").unwrap());
///     let mut output = String::new();
///     child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
///     assert_eq!(output, "ALOUD");
///     assert!(child.wait().unwrap().success());
///     writer.join().unwrap();
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::process::Child>();
/// ```
pub struct Child {
    /// What it reads, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// What it writes, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// What it complains of, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    process: Process,
}

impl Child {
    /// # Errors
    ///
    /// When something is missing; the process was killed then.
    pub(super) fn new(
        mut child: std::process::Child,
        at: &'static Location<'static>,
    ) -> io::Result<Self> {
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Process::new(child, at)?;
        let mut child = Child {
            stdin: None,
            stdout: None,
            stderr: None,
            process,
        };
        let connect = || -> io::Result<()> {
            child.stdin = pipes.0.map(|pipe| ChildStdin::new(pipe, at)).transpose()?;
            child.stdout = pipes.1.map(|pipe| ChildStdout::new(pipe, at)).transpose()?;
            child.stderr = pipes.2.map(|pipe| ChildStderr::new(pipe, at)).transpose()?;
            Ok(())
        };
        match connect() {
            Ok(()) => Ok(child),
            Err(error) => {
                let _ = child.kill();
                Err(error)
            }
        }
    }

    pub(super) fn set_kill_on_drop(&mut self, kills: bool) {
        self.process.kills_on_drop = kills;
    }

    /// The system's number for the process. After its end it may be another's.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::Command;
    /// maypole::run(|| {
    ///     let mut child = Command::new("true").spawn().unwrap();
    ///     assert_ne!(child.id(), std::process::id());
    ///     child.wait().unwrap();
    /// });
    /// ```
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process, whatever it does: sends it SIGKILL. It reaches no other process, also if
    /// this one has ended long ago, which is no error.
    ///
    /// Parks: no. The process is gone when [`wait`](Self::wait) says so.
    ///
    /// # Errors
    ///
    /// The system's, as of a process that has become another user's.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::Command;
    /// use std::os::unix::process::ExitStatusExt;
    /// maypole::run(|| {
    ///     let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    ///     child.kill().unwrap();
    ///     assert_eq!(child.wait().unwrap().signal(), Some(9));
    ///     child.kill().unwrap(); // it is dead already
    /// });
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(SIGKILL)
    }

    /// Sends the process a signal. It reaches no other process, also if this one has ended long ago,
    /// which is no error.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{process::Command, signal::SIGTERM};
    /// use std::os::unix::process::ExitStatusExt;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    ///     child.signal(SIGTERM).unwrap(); // asks it to end
    ///     if child.wait_timeout(Duration::from_secs(5)).unwrap().is_none() {
    ///         child.kill().unwrap(); // it has had its time
    ///     }
    ///     assert_eq!(child.wait().unwrap().signal(), Some(15));
    /// });
    /// ```
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.process.signal(signal)
    }

    /// Waits for the end of the process. Its input, if it is a pipe that is still here, is closed
    /// first. What it has written is still to be read.
    ///
    /// Parks: until it has ended. A kill ends the wait, and the process runs on, or is waited for
    /// again.
    ///
    /// # Errors
    ///
    /// The system's: that there is no such child, where SIGCHLD is ignored or somebody else has
    /// waited for it. `TimedOut` in a destructor of a task that unwinds, after the time it has for
    /// that.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has not ended; while schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::Command;
    /// maypole::run(|| {
    ///     let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    ///     assert_eq!(child.wait().unwrap().code(), Some(3));
    ///     assert_eq!(child.wait().unwrap().code(), Some(3)); // it is remembered
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process.wait(Limit::Never, Location::caller())
    }

    /// Waits for the end of the process for at most `timeout`; `None` if it runs on. Its input is
    /// left open.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// See [`signal`](Self::signal).
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let limit = Limit::After(timeout);
        in_time(self.process.wait(limit, Location::caller()))
    }

    /// Waits for the end of the process until `deadline` at the latest; `None` if it runs on. Its
    /// input is left open.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{process::Command, time};
    /// maypole::run(|| {
    ///     let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    ///     assert_eq!(child.wait_deadline(time::now()).unwrap(), None);
    ///     child.kill().unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn wait_deadline(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        let limit = Limit::At(deadline);
        in_time(self.process.wait(limit, Location::caller()))
    }

    /// How the process has ended; `None` if it has not.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::Command;
    /// maypole::run(|| {
    ///     let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    ///     assert_eq!(child.try_wait().unwrap(), None);
    ///     child.kill().unwrap();
    ///     let status = child.wait().unwrap();
    ///     assert_eq!(child.try_wait().unwrap(), Some(status));
    /// });
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Reads what the process writes and complains of, both to the end, and waits for its end. Its
    /// input, if it is a pipe that is still here, is closed first.
    ///
    /// Both pipes are read at once, so it is no matter how much comes from which. A pipe is at its
    /// end when all have closed it who could write: a child of the child, too.
    ///
    /// Parks: until then. A kill ends the wait; what was read is lost, and the process is as one
    /// whose `Child` is dropped.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run); while schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::process::{Command, Stdio};
    /// maypole::run(|| {
    ///     let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn().unwrap();
    ///     let output = child.wait_with_output().unwrap();
    ///     assert!(output.status.success());
    ///     assert_eq!(output.stdout, b"hello\n");
    /// });
    /// ```
    #[track_caller]
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = match (self.stdout.take(), self.stderr.take()) {
            (Some(stdout), Some(stderr)) => both(|| read_all(stdout), || read_all(stderr)),
            (stdout, stderr) => (
                stdout.map_or(Ok(Vec::new()), read_all),
                stderr.map_or(Ok(Vec::new()), read_all),
            ),
        };
        Ok(Output {
            stdout: stdout?,
            stderr: stderr?,
            status: self.process.wait(Limit::Never, Location::caller())?,
        })
    }
}

fn read_all(mut pipe: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    pipe.read_to_end(&mut all)?;
    Ok(all)
}

fn in_time(ended: io::Result<ExitStatus>) -> io::Result<Option<ExitStatus>> {
    match ended {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for Child {}
impl RefUnwindSafe for Child {}
