//! What a job's OS thread and its handle share.
//!
//! ```text
//!   Fresh ──► Running ◄──► Held (paused, or its backlog is full) ──► Ended
//!     └──────────┴── killed: `kill` is set, and the body meets it at its next yield ──►┘
//! ```
//!
//! Whoever lets a body that is held go on says in the same moment that its OS thread is at work
//! again, so that the run never finds nobody at work in between.
use crate::io::{Address, AtWork, Follower, Following};
use crate::scheduler::task::KillNote;
use crate::task::{JoinError, Killed, Status, What, Who};
use crate::thread::Sleeper;
use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(super) struct Desk<Y, R> {
    pub(super) who: Who,
    pub(super) made_at: &'static Location<'static>,
    /// Whether the body has to look at `state` at its next checkpoint.
    pub(super) heed: AtomicBool,
    state: Mutex<State<Y, R>>,
    /// Where the body waits while it is held.
    pub(super) go_on: Condvar,
    /// The run that it works for.
    pub(super) employer: Option<Address>,
    backlog: usize,
}

pub(super) struct State<Y, R> {
    pub(super) output: VecDeque<Y>,
    /// Whether anybody may still take values.
    pub(super) takers: bool,
    pub(super) stage: Stage,
    pub(super) paused: bool,
    pub(super) kill: Option<KillNote>,
    /// How often the body has met its kill.
    pub(super) raised: u32,
    /// How much its destructors have yielded since.
    pub(super) last_words: u32,
    pub(super) result: Option<Result<R, JoinError>>,
    /// Whether anybody may still take the result.
    pub(super) wanted: bool,
    /// Those who wait for a value, by their numbers; there is no output then.
    readers: VecDeque<(u64, Sleeper)>,
    /// Values that were handed to readers and not fetched yet.
    handed: Vec<(u64, Y)>,
    next_reader: u64,
    /// Who waits for the end.
    joiner: Option<Sleeper>,
    /// While the OS thread is at work for a run.
    pub(super) work: Option<AtWork>,
    pub(super) following: Option<Following>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The body has not begun.
    Fresh,
    Running,
    Held(Hold),
    Ended(Status),
}

/// Where the body is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    BeforeStart,
    Checkpoint,
    /// Here a full backlog holds it too.
    Yield,
}

impl<Y, R> Desk<Y, R> {
    pub(super) fn new(
        who: Who,
        made_at: &'static Location<'static>,
        backlog: usize,
        employer: Option<Address>,
    ) -> Self {
        let work = employer.as_ref().map(Address::work);
        Desk {
            who,
            made_at,
            heed: AtomicBool::new(false),
            state: Mutex::new(State {
                output: VecDeque::new(),
                takers: true,
                stage: Stage::Fresh,
                paused: false,
                kill: None,
                raised: 0,
                last_words: 0,
                result: None,
                wanted: true,
                readers: VecDeque::new(),
                handed: Vec::new(),
                next_reader: 0,
                joiner: None,
                work,
                following: None,
            }),
            go_on: Condvar::new(),
            employer,
            backlog,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<Y, R>> {
        // Nothing of a user's runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the body has to wait at a yield until a value is taken.
    pub(super) fn is_full(&self, state: &State<Y, R>) -> bool {
        state.takers && state.output.len() >= self.backlog
    }

    /// Whether a body that is held at `hold` has to stay there.
    pub(super) fn holds(&self, state: &State<Y, R>, hold: Hold) -> bool {
        let full = hold == Hold::Yield && self.is_full(state);
        state.kill.is_none() && (state.paused || full)
    }

    /// Lets the body go on if it is held and nothing holds it any more. To be called after every
    /// change that may have that effect.
    pub(super) fn release(&self, state: &mut State<Y, R>) {
        let heed = state.paused || state.kill.is_some();
        self.heed.store(heed, Ordering::Relaxed);
        if let Stage::Held(hold) = state.stage
            && !self.holds(state, hold)
        {
            state.stage = match hold {
                Hold::BeforeStart => Stage::Fresh,
                Hold::Checkpoint | Hold::Yield => Stage::Running,
            };
            state.work = self.employer.as_ref().map(Address::work);
            self.go_on.notify_one();
        }
    }

    /// Flags the body as killed, and lets it go on to meet that.
    pub(super) fn kill(&self, note: impl FnOnce() -> KillNote) -> Killed {
        if cfg!(not(panic = "unwind")) {
            return Killed::Unsupported;
        }
        let mut state = self.state();
        let answer = match state.stage {
            Stage::Ended(Status::Abandoned) => return Killed::Abandoned,
            Stage::Ended(_) => return Killed::Finished,
            _ if state.kill.is_some() => return Killed::Already,
            Stage::Fresh | Stage::Held(Hold::BeforeStart) => Killed::BeforeStart,
            Stage::Running => Killed::Running,
            Stage::Held(_) => Killed::Parked,
        };
        state.kill = Some(note());
        self.release(&mut state);
        answer
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Ended(_)) && state.kill.is_none() {
            state.paused = paused;
            self.release(&mut state);
        }
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state();
        match state.stage {
            Stage::Ended(status) => status,
            _ if state.kill.is_some() => Status::Killing,
            _ if state.paused => Status::Paused,
            Stage::Fresh | Stage::Held(Hold::BeforeStart) => Status::Ready,
            Stage::Running => Status::Running,
            Stage::Held(_) => Status::Parked(What::Send),
        }
    }
}

impl<Y, R> State<Y, R> {
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Hands a value to the first who waits for one, who is then to be woken; else keeps it.
    pub(super) fn put(&mut self, value: Y) -> Option<Sleeper> {
        while let Some((reader, sleeper)) = self.readers.pop_front() {
            if !sleeper.is_lost() {
                self.handed.push((reader, value));
                return Some(sleeper);
            }
        }
        self.output.push_back(value);
        None
    }

    /// Gets in line for a value, unless there is one, or there will be none: then it need not
    /// wait.
    pub(super) fn enlist(&mut self, sleeper: Sleeper) -> (u64, bool) {
        self.next_reader += 1;
        let reader = self.next_reader;
        if let Some(value) = self.output.pop_front() {
            self.handed.push((reader, value));
            return (reader, true);
        }
        if !self.has_ended() {
            self.readers.push_back((reader, sleeper));
        }
        (reader, self.has_ended())
    }

    /// The value that was handed to a reader; it leaves the line with it.
    pub(super) fn fetch(&mut self, reader: u64) -> Option<Y> {
        let at = self.handed.iter().position(|(to, _)| *to == reader)?;
        Some(self.handed.swap_remove(at).1)
    }

    pub(super) fn withdraw(&mut self, reader: u64) {
        self.readers.retain(|(other, _)| *other != reader);
    }

    /// Gets in line for the end.
    pub(super) fn await_end(&mut self, sleeper: Sleeper) {
        self.joiner = Some(sleeper);
    }

    pub(super) fn withdraw_joiner(&mut self) {
        self.joiner = None;
    }

    /// All who wait, to be woken when the lock is free.
    pub(super) fn take_all_who_wait(&mut self) -> Vec<Sleeper> {
        let readers = std::mem::take(&mut self.readers);
        let readers = readers.into_iter().map(|(_, sleeper)| sleeper);
        readers.chain(self.joiner.take()).collect()
    }
}

impl<Y: Send, R: Send> Follower for Desk<Y, R> {
    fn run_is_over(&self) {
        self.kill(|| KillNote {
            by: None,
            at: self.made_at,
            reason: "the end of the run".to_string(),
            caught: None,
        });
    }
}
