//! A process that was started: its end is waited for, and signals reach it and no other.
use super::reaper::{self, Orphan};
use crate::io::{
    Manner, Stream, Way, await_end, faults, is_ready, open_process, refuse_exploring, send, send_to,
};
use crate::scheduler::wait::{Wait, What};
use crate::select::{Limit, enter};
use crate::signal::Signal;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::Location;
use std::process::ExitStatus;
use std::thread;

pub(super) struct Process {
    id: u32,
    stage: Stage,
    pub(super) kills_on_drop: bool,
}

enum Stage {
    Runs(Running),
    /// It was waited for.
    Ended(ExitStatus),
    /// Somebody else has it now.
    Left,
}

struct Running {
    child: std::process::Child,
    /// Readable when it has ended.
    ending: Stream<OwnedFd>,
    reach: Reach,
}

/// How it is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// By the descriptor of its ending.
    Descriptor,
    /// By its number, which is nobody else's before it was waited for.
    Number,
}

impl Process {
    /// For a child that was just started by a call at `at`.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor for it; it was killed then.
    pub(super) fn new(
        mut child: std::process::Child,
        at: &'static Location<'static>,
    ) -> io::Result<Self> {
        let id = child.id();
        match watch(id) {
            Ok((ending, reach)) => Ok(Process {
                id,
                stage: Stage::Runs(Running {
                    child,
                    ending: Stream::new(ending, "process", at),
                    reach,
                }),
                kills_on_drop: false,
            }),
            Err(error) => {
                // It has hardly begun, and its end will not be long in coming.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Its status, if it has ended.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = match &mut self.stage {
            Stage::Runs(running) => running.try_wait()?,
            Stage::Ended(status) => Some(*status),
            Stage::Left => None,
        };
        if let Some(status) = ended {
            self.stage = Stage::Ended(status);
        }
        Ok(ended)
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the limit comes first; the system's.
    pub(super) fn wait(
        &mut self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> io::Result<ExitStatus> {
        refuse_exploring("Child::wait", at);
        let what = What::Process;
        enter(Wait { what, at });
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        let Stage::Runs(Running { child, ending, .. }) = &mut self.stage else {
            unreachable!("a process that has not ended runs");
        };
        let manner = Manner {
            way: Way::In,
            what,
            at,
            limit,
        };
        let status = ending.source().operate(manner, || {
            let ended = child.try_wait()?;
            ended.ok_or(io::ErrorKind::WouldBlock.into())
        })?;
        self.stage = Stage::Ended(status);
        Ok(status)
    }

    /// Sends it a signal. One that has ended needs none.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match &self.stage {
            Stage::Runs(running) => running.signal(signal),
            Stage::Ended(_) | Stage::Left => Ok(()),
        }
    }
}

impl Running {
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        faults::uninterrupted(|| self.child.try_wait())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let ending = self.ending.socket().as_fd();
        let number = signal.number();
        let sent = faults::uninterrupted(|| match self.reach {
            Reach::Descriptor => send_to(ending, number),
            // Where nobody need wait for children, the number may be free already.
            Reach::Number if is_ready(ending, Way::In)? => Ok(()),
            Reach::Number => send(self.child.id(), number),
        });
        match sent {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            sent => sent,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kills_on_drop {
            let _ = self.signal(crate::signal::SIGKILL);
        }
        if let Stage::Runs(mut running) = std::mem::replace(&mut self.stage, Stage::Left)
            && let Ok(None) = running.child.try_wait()
        {
            reaper::adopt(Orphan {
                child: running.child,
                ending: running.ending.into_socket(),
            });
        }
    }
}

/// A descriptor that is readable when the child has ended, and what it is.
fn watch(id: u32) -> io::Result<(OwnedFd, Reach)> {
    match faults::uninterrupted(|| open_process(id)) {
        Ok(process) => Ok((process, Reach::Descriptor)),
        Err(error) if is_short_of_something(&error) => Err(error),
        // The system has no such descriptors, or a sandbox allows none.
        Err(_) => Ok((watch_in_a_thread(id)?, Reach::Number)),
    }
}

fn is_short_of_something(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
    )
}

/// The same by an OS thread that waits, and ends a pipe then.
fn watch_in_a_thread(id: u32) -> io::Result<OwnedFd> {
    let (ending, ends) = faults::uninterrupted(io::pipe)?;
    let thread = thread::Builder::new().name("maypole-wait".into());
    thread.stack_size(64 << 10).spawn(move || {
        await_end(id);
        drop(ends);
    })?;
    Ok(ending.into())
}
