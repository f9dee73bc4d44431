//! Running a transaction until it commits or aborts.
use super::attempt::Attempt;
use super::line::Places;
use super::named::Tally;
use super::transaction::Transaction;
use super::variable::{AnyVariable, Place};
use super::wake::next_offer;
use super::{LastRetry, Stop};
use crate::scheduler::wait::{Packed, Wait, WaitQueue, What};
use crate::scheduler::{deadline_at, kill, park};
use crate::select::{Case, complete, enter};
use crate::task::Apart;
use std::panic::Location;
use std::rc::Rc;
use std::time::Instant;

/// Runs a transaction: all of `f` or nothing of it, and nobody comes in between.
///
/// `f` reads and writes [`TVar`](super::TVar)s. Where it ends with [`retry`](super::retry), what it
/// wrote is undone, and it runs again when another transaction has written to a variable that it
/// read. It may run any number of times before that counts, so anything else it does (printing,
/// sending) happens each time: put it into [`Transaction::on_commit`], or after the call.
///
/// The semantics are those of Haskell (Harris, Marlow, Peyton Jones and Herlihy, *Composable Memory
/// Transactions*, 2005). As no other task runs meanwhile there are no conflicts: writes are done in
/// place, and a transaction that does not retry runs exactly once. A commit makes those ready who
/// wait for what it wrote, in the order in which they parked.
///
/// Parks: while it must retry. A kill ends the wait, with nothing written; inside of `f` no kill and
/// no timeout arrives.
///
/// # Panics
///
/// When `f` panics: nothing was written. When `f` parks, yields, or begins another transaction, with
/// both places. When it retries and has read no variable, not even one that it wrote itself; outside
/// of [`run`](crate::run) when it retries at all.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, check, TVar};
/// maypole::run(|| {
///     let (mine, yours) = (TVar::new(0), TVar::new(100));
///     let (from, to) = (mine.clone(), yours.clone());
///     let payment = maypole::spawn(move || {
///         atomically(|tx| {
///             check(from.read(tx) >= 50)?; // waits until it has that much
///             from.update(tx, |balance| balance - 50);
///             to.update(tx, |balance| balance + 50);
///             Ok(())
///         })
///     });
///     maypole::yield_now();
///     mine.set(60);
///     payment.join().unwrap();
///     assert_eq!((mine.get(), yours.get()), (10, 150));
/// });
/// ```
#[inline(always)]
#[track_caller]
pub fn atomically<T>(f: impl FnMut(&Transaction) -> Result<T, Stop>) -> T {
    let Ok(value) = run(f, None, Location::caller());
    value
}

/// Runs a transaction like [`atomically`], which may also [`abort`](super::abort).
///
/// Parks: while it must retry. A kill ends the wait, with nothing written.
///
/// # Errors
///
/// What the transaction aborted with; then nothing was written.
///
/// # Panics
///
/// As [`atomically`].
///
/// # Examples
///
/// ```
/// use maypole::stm::{abort, try_atomically, TVar};
/// let account = TVar::new(100);
/// let withdraw = |amount| {
///     try_atomically(|tx| {
///         account.update(tx, |balance| balance - amount);
///         match account.read(tx) {
///             left if left < 0 => abort("not enough"),
///             left => Ok(left),
///         }
///     })
/// };
/// assert_eq!(withdraw(30), Ok(70));
/// assert_eq!(withdraw(80), Err("not enough"));
/// assert_eq!(account.get(), 70);
/// ```
#[inline(always)]
#[track_caller]
pub fn try_atomically<T, E>(f: impl FnMut(&Transaction) -> Result<T, Stop<E>>) -> Result<T, E> {
    run(f, None, Location::caller())
}

#[inline(always)]
pub(super) fn run<T, E>(
    f: impl FnMut(&Transaction) -> Result<T, Stop<E>>,
    tally: Option<&Tally>,
    at: Place,
) -> Result<T, E> {
    let wait = Wait {
        what: What::Atomically,
        at,
    };
    // A panic that unwinds already must not be taken for one of the transaction's own.
    let _apart = std::thread::panicking().then(Apart::begin);
    enter(wait);
    perform(f, tally, wait)
}

/// The closure is called in one place, so that it can be inlined there.
#[inline(always)]
fn perform<T, E>(
    mut f: impl FnMut(&Transaction) -> Result<T, Stop<E>>,
    tally: Option<&Tally>,
    wait: Wait,
) -> Result<T, E> {
    let at = wait.at;
    let mut attempt = Attempt::begin(at);
    let mut kept = None;
    loop {
        match run_once(&mut f, tally, attempt, at, || kept.take()) {
            Ok(ended) => return ended,
            Err(mut stay) => {
                wait_for_change(&mut stay, tally, wait);
                attempt = stay.begin(at);
                kept = Some(stay);
            }
        }
    }
}

/// One run. If it must retry, what `kept` gives from the run before is brought up to date.
#[inline(always)]
fn run_once<T, E>(
    f: &mut impl FnMut(&Transaction) -> Result<T, Stop<E>>,
    tally: Option<&Tally>,
    attempt: Attempt,
    at: Place,
    kept: impl FnOnce() -> Option<Stay>,
) -> Result<Result<T, E>, Stay> {
    match f(attempt.tx()) {
        Ok(value) => {
            attempt.commit(|| Tally::count(tally, |tally| &tally.commits));
            Ok(Ok(value))
        }
        Err(Stop::Abort(error)) => {
            Tally::count(tally, |tally| &tally.aborts);
            drop(attempt);
            Ok(Err(error))
        }
        Err(Stop::Retry) => {
            Tally::count(tally, |tally| &tally.retries);
            let mut stay = kept().unwrap_or_default();
            stay.retry(attempt, at);
            Err(stay)
        }
    }
}

/// Parks until something may have changed of what a run has read that has retried.
#[inline(always)]
fn wait_for_change(stay: &mut Stay, tally: Option<&Tally>, wait: Wait) {
    let changed = complete(Change { stay, tally }, || None, wait);
    changed.expect("a wait without a deadline does not time out");
    // Nothing has been done yet.
    kill::raise_if_pending(wait);
}

/// The case of [`wait_for_change`].
struct Change<'a> {
    stay: &'a mut Stay,
    tally: Option<&'a Tally>,
}

/// What a call keeps from a run that has retried to the next.
#[derive(Default)]
pub(super) struct Stay {
    /// What it has read; nothing when it may try again.
    read: Vec<Rc<AnyVariable>>,
    /// When that run began.
    begun: u64,
    places: Places,
}

impl Case for Change<'_> {
    type Output = ();

    #[inline(always)]
    fn try_now(&mut self) -> Option<()> {
        None
    }

    /// It waits in several queues, see [`begin`](Case::begin).
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (self.stay.read[0].queue(), next_offer())
    }

    fn begin(&mut self, until: Option<u64>, wait: Packed) -> bool {
        begin(&self.stay.read, until, wait)
    }

    /// At once if a destructor of what was undone, or somebody while it was parked, has written to
    /// what was read: nobody would wake it for that.
    fn due(&self) -> Option<u64> {
        match self.stay.has_changed() {
            true => Some(0),
            false => self.stay.due().map(deadline_at),
        }
    }

    /// The closure, or a destructor of what was undone, may have killed the task.
    const RUNS_CODE: bool = true;

    #[inline(always)]
    fn accept(&mut self, _: usize) -> Option<()> {
        Tally::count(self.tally, |tally| &tally.wakes);
        Attempt::give_back(std::mem::take(&mut self.stay.read));
        Some(())
    }
}

impl Stay {
    /// The next run.
    #[inline(always)]
    pub(super) fn begin(&self, at: Place) -> Attempt {
        let attempt = Attempt::begin(at);
        self.places.resume(attempt.tx());
        attempt
    }

    /// Undoes a run that retries, and remembers what it has read.
    #[cold]
    #[inline(never)]
    pub(super) fn retry(&mut self, attempt: Attempt, at: Place) {
        self.begun = attempt.start();
        self.read = attempt.retry(&mut self.places);
        self.places.leave_the_others();
        let retried_at = LastRetry::of(self.begun);
        if self.read.is_empty() {
            let place = match retried_at {
                Some(place) => format!(" at {place}"),
                None => String::new(),
            };
            panic!(
                "maypole: retry{place} in the transaction begun at {at}, which has read no \
                 variable: nothing could ever wake it; read what it waits for first"
            );
        }
    }

    pub(super) fn read(&self) -> &[Rc<AnyVariable>] {
        &self.read
    }

    /// Whether somebody has written since to what was read.
    pub(super) fn has_changed(&self) -> bool {
        let mut read = self.read.iter();
        read.any(|variable| variable.core.saved_at.get() > self.begun)
    }

    /// When one of the variables changes by itself.
    pub(super) fn due(&self) -> Option<Instant> {
        self.read
            .iter()
            .filter_map(|variable| variable.core.due())
            .min()
    }
}

/// Variables that need no allocation to wait for.
const FEW: usize = 4;

/// Parks on all of the variables.
fn begin(read: &[Rc<AnyVariable>], until: Option<u64>, wait: Packed) -> bool {
    let offer = next_offer();
    if let [variable] = read {
        return park::begin_in(variable.queue(), offer, until, wait);
    }
    if read.len() > FEW {
        let places: Vec<_> = read.iter().map(|it| (it.queue(), offer)).collect();
        return park::begin(&places, until, wait);
    }
    let mut places = [(read[0].queue(), offer); FEW];
    for (place, variable) in places.iter_mut().zip(read) {
        place.0 = variable.queue();
    }
    park::begin(&places[..read.len()], until, wait)
}
