//! A job in an OS thread of its own, where it is born and dies.
//!
//! The body runs on that thread's own stack. A checkpoint that nobody wants anything at is a load
//! of one flag; everything else goes through the [`Desk`].
use super::desk::{Desk, Hold, Stage, State};
use super::seat::{DROPPED, LAST_WORDS, Seat};
use crate::channel::{RecvTimeoutError, TryRecvError};
use crate::coroutine::{OUTSIDE, attention};
use crate::generator::{Answer, Ended, Host, Yielder, catch_under};
use crate::io::{self, AtWork, refuse_exploring};
use crate::scheduler::task::KillNote;
use crate::scheduler::wait::{Wait, What};
use crate::scheduler::{self, UnjoinedPanic};
use crate::select::Limit;
use crate::task::{
    JoinError, Killed, Status, Who, drop_in_turn, drop_quietly, install_panic_hook,
    take_panic_of_job, watch_job,
};
use crate::thread::{Attempt, Finish, Sleeper, exchange, on_behalf_of, run_of_this_thread};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

/// How often a body may catch its kill before it is given up, as a task's.
const RAISES: u32 = 64;

// ── the body's side ──────────────────────────────────────────────────────────────────────────

struct ThreadHost<Y, R>(Arc<Desk<Y, R>>);

impl<Y: Send + 'static, R: Send + 'static> Host<Y, ()> for ThreadHost<Y, R> {
    /// In a run within the body, tasks are not the body.
    #[inline]
    fn is_asked_by_body(&self) -> bool {
        attention() == OUTSIDE
    }

    fn take(&self, value: Y, _: &'static Location<'static>) -> Answer<()> {
        let desk = &*self.0;
        let state = desk.state();
        if std::thread::panicking() {
            self.take_last_words(state, value);
            return Answer::GoOn(());
        }
        let state = put(desk, state, value);
        if state.kill.is_none() && !state.paused && !desk.is_full(&state) {
            return Answer::GoOn(());
        }
        self.wait(state, Hold::Yield)
    }

    #[inline]
    fn hold(&self, _: &'static Location<'static>) -> Answer<()> {
        match self.0.heed.load(Ordering::Relaxed) {
            false => Answer::GoOn(()),
            true => self.wait(self.0.state(), Hold::Checkpoint),
        }
    }
}

impl<Y, R> ThreadHost<Y, R> {
    /// Holds the body back for as long as it must be, and tells what it is to do then.
    #[cold]
    #[inline(never)]
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State<Y, R>>, hold: Hold) -> Answer<()> {
        if std::thread::panicking() {
            // Nothing holds a body back that unwinds, and nothing unwinds it a second time.
            return Answer::GoOn(());
        }
        let desk = &*self.0;
        if desk.holds(&state, hold) {
            state = wait_out(desk, state, hold);
        }
        if state.kill.is_none() {
            return Answer::GoOn(());
        }
        if state.raised >= RAISES {
            give_up(desk, state);
        }
        state.raised += 1;
        Answer::Close
    }

    /// What destructors yield while the body unwinds. One that never ends is given up.
    #[cold]
    fn take_last_words(&self, mut state: MutexGuard<'_, State<Y, R>>, value: Y) {
        if state.kill.is_some() {
            if state.last_words == LAST_WORDS {
                give_up(&self.0, state);
            }
            state.last_words += 1;
        }
        drop(put(&self.0, state, value));
    }
}

/// Keeps a value, or hands it to whoever waits for one.
#[inline]
fn put<'a, Y, R>(
    desk: &'a Desk<Y, R>,
    mut state: MutexGuard<'a, State<Y, R>>,
    value: Y,
) -> MutexGuard<'a, State<Y, R>> {
    if !state.takers {
        drop(state);
        drop(value);
        return desk.state();
    }
    match state.put(value) {
        None => state,
        Some(sleeper) => {
            drop(state);
            sleeper.wake();
            desk.state()
        }
    }
}

/// Waits, not at work, until nothing holds the body any more.
fn wait_out<'a, Y, R>(
    desk: &'a Desk<Y, R>,
    mut state: MutexGuard<'a, State<Y, R>>,
    hold: Hold,
) -> MutexGuard<'a, State<Y, R>> {
    state.stage = Stage::Held(hold);
    drop(state.work.take());
    while matches!(state.stage, Stage::Held(_)) {
        let waited = desk.go_on.wait(state);
        state = waited.unwrap_or_else(PoisonError::into_inner);
    }
    state
}

/// The body will not die. Its OS thread sleeps for ever with all that is on its stack, and with its
/// thread-locals, which others may borrow.
#[cold]
fn give_up<Y, R>(desk: &Desk<Y, R>, state: MutexGuard<'_, State<Y, R>>) -> ! {
    let error = JoinError::end_of_patience(desk.who.clone(), state.kill.clone());
    drop(state);
    end(desk, Status::Abandoned, Err(error));
    loop {
        std::thread::park();
    }
}

/// The result is there, or the news that there will be none.
fn end<Y, R>(desk: &Desk<Y, R>, status: Status, result: Result<R, JoinError>) {
    let mut state = desk.state();
    state.stage = Stage::Ended(status);
    state.paused = false;
    let unwanted = match state.wanted {
        true => state.result.replace(result),
        false => Some(result),
    };
    let (mut sleepers, work) = (state.take_all_who_wait(), state.work.take());
    let following = state.following.take();
    drop(state);
    drop_quietly(unwanted);
    drop(following);
    let last = sleepers.pop();
    sleepers.iter().for_each(Sleeper::wake);
    match last {
        Some(sleeper) => Finish {
            sleeper: Some(sleeper),
            work,
        }
        .tell(),
        None => drop(work),
    }
}

/// What the OS thread does.
fn live<Y: Send + 'static, R: Send + 'static>(
    desk: &Arc<Desk<Y, R>>,
    body: impl FnOnce(&Yielder<Y>) -> R,
) {
    watch_job(desk.who.in_full());
    let mut state = desk.state();
    if desk.holds(&state, Hold::BeforeStart) {
        state = wait_out(desk, state, Hold::BeforeStart);
    }
    let begins = state.kill.is_none();
    if begins {
        state.stage = Stage::Running;
    }
    drop(state);
    let ended = match begins {
        true => catch_under(Rc::new(ThreadHost(desk.clone())), desk.made_at, body),
        false => match catch_unwind(AssertUnwindSafe(|| drop(body))) {
            Ok(()) => Ended::Closed,
            Err(payload) => Ended::Panicked(payload),
        },
    };
    let note = take_panic_of_job();
    let kill = desk.state().kill.clone();
    let who = || desk.who.clone();
    let (status, result) = match ended {
        Ended::Returned(value) if kill.is_none() => (Status::Finished, Ok(value)),
        Ended::Panicked(payload) => {
            let mut error = JoinError::panic_of(who(), note, &*payload);
            error.keep(payload);
            (Status::Panicked, Err(error))
        }
        // A killed job is never a success.
        Ended::Returned(value) => {
            drop_quietly(value);
            (Status::Killed, Err(JoinError::kill_of(who(), kill)))
        }
        Ended::Closed => (Status::Killed, Err(JoinError::kill_of(who(), kill))),
    };
    end(desk, status, result);
}

// ── the handle's side ────────────────────────────────────────────────────────────────────────

pub(super) struct ThreadSeat<Y: Send + 'static, R: Send + 'static>(Arc<Desk<Y, R>>);

impl<Y: Send + 'static, R: Send + 'static> ThreadSeat<Y, R> {
    /// Starts an OS thread for `body`.
    ///
    /// # Errors
    ///
    /// When the system has none, or no descriptor to wake the run by.
    #[track_caller]
    pub(super) fn start(
        name: Option<String>,
        stack_bytes: usize,
        backlog: usize,
        body: impl FnOnce(&Yielder<Y>) -> R + Send + 'static,
    ) -> std::io::Result<Self> {
        let made_at = Location::caller();
        refuse_exploring("job::in_thread", made_at);
        install_panic_hook();
        let name = name.unwrap_or_else(|| format!("{}:{}", made_at.file(), made_at.line()));
        let employer = run_of_this_thread()?;
        let who = Who::job(&name, made_at);
        let desk = Arc::new(Desk::new(who, made_at, backlog, employer));
        if let Some(employer) = &desk.employer {
            let weak: Weak<Desk<Y, R>> = Arc::downgrade(&desk);
            match employer.follow(weak) {
                Some(following) => desk.state().following = Some(following),
                // Started by a job that has outlived its run.
                None => io::Follower::run_is_over(&*desk),
            }
        }
        let theirs = desk.clone();
        let work = move || match &theirs.employer {
            Some(employer) => on_behalf_of(employer, || live(&theirs, body)),
            None => live(&theirs, body),
        };
        let thread = std::thread::Builder::new()
            // The system wants no zeroes in it.
            .name(name.replace('\0', "?"))
            .stack_size(stack_bytes);
        io::faults::call(|| thread.spawn(work))?;
        Ok(ThreadSeat(desk))
    }

    #[track_caller]
    fn note(reason: &str) -> KillNote {
        let task = scheduler::current().map(|(_, body)| body.about().name().to_string());
        KillNote {
            by: task.or_else(|| std::thread::current().name().map(str::to_string)),
            at: Location::caller(),
            reason: reason.to_string(),
            caught: None,
        }
    }

    /// Nobody takes values any more, and nobody will let the job go on.
    fn lift(&self) {
        let mut state = self.0.state();
        state.takers = false;
        state.paused = false;
        let left = std::mem::take(&mut state.output);
        self.0.release(&mut state);
        drop(state);
        drop_in_turn(left);
    }

    /// A value, or the news that there will be none.
    fn next(&self, state: &mut State<Y, R>) -> Option<Result<Y, TryRecvError>> {
        match state.output.pop_front() {
            Some(value) => {
                self.0.release(state);
                Some(Ok(value))
            }
            None => state.has_ended().then_some(Err(TryRecvError::Disconnected)),
        }
    }
}

/// In a run that the job does not work for: it must not take the wait for a deadlock.
fn elsewhere<Y, R>(desk: &Desk<Y, R>, sleeper: &Sleeper) -> Option<AtWork> {
    let Sleeper::Task(address, _) = sleeper else {
        return None;
    };
    let at_home = desk.employer.as_ref().is_some_and(|own| own.is(address));
    (!at_home).then(|| address.work())
}

/// Somebody wants a value.
struct Reading<'a, Y: Send + 'static, R: Send + 'static> {
    seat: &'a ThreadSeat<Y, R>,
    /// The number in the line.
    reader: u64,
    _elsewhere: Option<AtWork>,
}

impl<Y: Send + 'static, R: Send + 'static> Attempt for Reading<'_, Y, R> {
    type Output = Result<Y, TryRecvError>;

    fn try_now(&mut self) -> Option<Self::Output> {
        self.seat.next(&mut self.seat.0.state())
    }

    fn enlist(&mut self, sleeper: Sleeper) -> bool {
        let desk = &self.seat.0;
        self._elsewhere = elsewhere(desk, &sleeper);
        let mut state = desk.state();
        let (reader, handed) = state.enlist(sleeper);
        self.reader = reader;
        desk.release(&mut state);
        handed
    }

    fn look(&mut self) -> Option<Self::Output> {
        let mut state = self.seat.0.state();
        match state.fetch(self.reader) {
            Some(value) => Some(Ok(value)),
            None => state.has_ended().then_some(Err(TryRecvError::Disconnected)),
        }
    }

    fn withdraw(&mut self) -> Option<Self::Output> {
        self.seat.0.state().withdraw(self.reader);
        self.look()
    }
}

/// Somebody wants the result.
struct Joining<'a, Y, R> {
    desk: &'a Desk<Y, R>,
    _elsewhere: Option<AtWork>,
}

impl<Y, R> Attempt for Joining<'_, Y, R> {
    type Output = Result<R, JoinError>;

    fn try_now(&mut self) -> Option<Self::Output> {
        self.desk.state().result.take()
    }

    fn enlist(&mut self, sleeper: Sleeper) -> bool {
        self._elsewhere = elsewhere(self.desk, &sleeper);
        let mut state = self.desk.state();
        state.await_end(sleeper);
        state.has_ended()
    }

    fn look(&mut self) -> Option<Self::Output> {
        self.try_now()
    }

    fn withdraw(&mut self) -> Option<Self::Output> {
        let mut state = self.desk.state();
        state.withdraw_joiner();
        state.result.take()
    }
}

impl<Y: Send + 'static, R: Send + 'static> Seat<Y, R> for ThreadSeat<Y, R> {
    #[track_caller]
    fn kill(&self, reason: &str) -> Killed {
        let note = Self::note(reason);
        self.0.kill(|| note)
    }

    fn pause(&self) {
        self.0.set_paused(true);
    }

    fn go_on(&self) {
        self.0.set_paused(false);
    }

    fn status(&self) -> Status {
        self.0.status()
    }

    #[track_caller]
    fn recv(&self, limit: Limit) -> Result<Y, RecvTimeoutError> {
        let reading = Reading {
            seat: self,
            reader: 0,
            _elsewhere: None,
        };
        match exchange(reading, limit, wait_at(Location::caller())) {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => Err(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    fn try_recv(&self) -> Result<Y, TryRecvError> {
        let next = self.next(&mut self.0.state());
        next.unwrap_or(Err(TryRecvError::Empty))
    }

    fn take_failure(&self) -> Option<JoinError> {
        let mut state = self.0.state();
        match state.result.take()? {
            Err(error) => Some(error),
            value => {
                state.result = Some(value);
                None
            }
        }
    }

    #[track_caller]
    fn join(&mut self) -> Result<R, JoinError> {
        self.lift();
        let joining = Joining {
            desk: &self.0,
            _elsewhere: None,
        };
        let joined = exchange(joining, Limit::Never, wait_at(Location::caller()));
        joined.expect("a join without a limit does not time out")
    }
}

fn wait_at(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Job,
        at,
    }
}

impl<Y: Send + 'static, R: Send + 'static> Drop for ThreadSeat<Y, R> {
    fn drop(&mut self) {
        self.0.kill(|| Self::note(DROPPED));
        let result = {
            let mut state = self.0.state();
            state.wanted = false;
            state.result.take()
        };
        if let Some(Err(error)) = &result
            && error.is_panic()
        {
            // Nobody has seen it: the end of the run tells.
            scheduler::keep_panic(UnjoinedPanic {
                id: error.task_id(),
                text: error.to_string(),
            });
        }
        drop(result);
        self.lift();
    }
}
