//! Time: now, sleeping, deadlines, and regular ticks, on the scheduler's clock.
//!
//! On the real clock nothing happens early. On virtual time
//! ([`Clock::Virtual`](crate::Clock::Virtual)) a sleep costs no waiting: when no task is ready the
//! clock jumps to the next deadline.
use crate::coroutine::Extent;
use crate::scheduler::kill;
use crate::scheduler::wait::{Wait, What};
use crate::scheduler::{self, park, with_kernel};
use crate::task::apart;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// The time on the scheduler's clock; outside of [`run`](crate::run) the system's.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::Builder::new()
///     .clock(maypole::Clock::Virtual)
///     .run(|| {
///         let start = maypole::time::now();
///         maypole::sleep(Duration::from_secs(86_400));
///         assert_eq!(maypole::time::now() - start, Duration::from_secs(86_400));
///     })
///     .unwrap();
/// ```
pub fn now() -> Instant {
    scheduler::now()
}

/// Parks the task for `duration`, never less; [`Duration::MAX`] is for ever, and zero gives the
/// other ready tasks a turn.
///
/// Parks: for `duration`. A kill unwinds the task from here.
///
/// # Panics
///
/// Outside of [`run`](crate::run), and where parking is forbidden.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| maypole::sleep(Duration::from_millis(1)));
/// ```
#[inline(always)]
#[track_caller]
pub fn sleep(duration: Duration) {
    let wait = wait(Location::caller());
    if duration.is_zero() {
        return park::yield_as(wait);
    }
    park::enter(wait);
    park::ask(wait);
    park::park(&[], scheduler::deadline_after(duration), wait);
}

/// Parks the task until `deadline`; a moment that is past gives the other ready tasks a turn.
///
/// Parks: until `deadline`. A kill unwinds the task from here.
///
/// # Panics
///
/// As [`sleep`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| maypole::time::sleep_until(maypole::time::now() + Duration::from_millis(1)));
/// ```
#[inline(always)]
#[track_caller]
pub fn sleep_until(deadline: Instant) {
    let wait = wait(Location::caller());
    if deadline <= now() {
        return park::yield_as(wait);
    }
    park::enter(wait);
    park::ask(wait);
    park::park(&[], Some(scheduler::deadline_at(deadline)), wait);
}

fn wait(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Sleep,
        at,
    }
}

/// The time of a [`timeout`] was over.
///
/// # Examples
///
/// ```
/// use maypole::time::{Elapsed, timeout};
/// use std::time::Duration;
/// maypole::run(|| {
///     let late = timeout(Duration::from_millis(1), || maypole::task::park());
///     assert_eq!(late, Err(Elapsed));
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the timeout has elapsed")
    }
}

impl Error for Elapsed {}

/// Runs `f` here, for at most `duration`.
///
/// After the deadline each park inside unwinds, but for those under a
/// [`shield`](crate::task::shield) inside `f`, and destructors run as for a kill. An `f` that
/// returns is `Ok` even if late, and a wake that came before the deadline keeps its value. Of
/// nested timeouts the outermost that has expired wins; a pending kill wins over all.
///
/// Parks: no more than `f` does.
///
/// # Errors
///
/// [`Elapsed`], if `f` was unwound because of this deadline.
///
/// # Panics
///
/// As `f` does; outside of [`run`](crate::run).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| {
///     let slow = maypole::time::timeout(Duration::from_millis(5), || maypole::task::park());
///     assert!(slow.is_err());
///     let quick = maypole::time::timeout(Duration::from_secs(5), || 42);
///     assert_eq!(quick, Ok(42));
/// });
/// ```
#[inline]
#[track_caller]
pub fn timeout<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    if !scheduler::is_in_task() {
        scheduler::outside(wait(Location::caller()));
    }
    let _extent = Extent::enter();
    if std::thread::panicking() {
        // In a destructor. Not in the panic hook, where parks must stay refused.
        park::heed(wait(Location::caller()));
        return apart(|| bounded(duration, f));
    }
    bounded(duration, f)
}

fn bounded<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let deadline = scheduler::deadline_after(duration);
    let bound = with_kernel(|kernel| kernel.enter_bound(deadline));
    let result = catch_unwind(AssertUnwindSafe(f));
    with_kernel(|kernel| kernel.leave_bound(bound));
    result.map_err(|payload| {
        if kill::is_bound(&*payload, bound.serial) {
            Elapsed
        } else {
            resume_unwind(payload)
        }
    })
}

/// A tick every `period`; see [`interval`].
///
/// # Examples
///
/// ```
/// use maypole::time::Interval;
/// use std::time::Duration;
/// fn beat(interval: &mut Interval, times: u32) {
///     for _ in 0..times {
///         interval.tick();
///     }
/// }
/// maypole::run(|| beat(&mut maypole::time::interval(Duration::from_millis(1)), 3));
/// ```
#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
}

/// Ticks every `period`, the first time one period from now.
///
/// Parks: no; its [ticks](Interval::tick) do.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::Builder::new()
///     .clock(maypole::Clock::Virtual)
///     .run(|| {
///         let start = maypole::time::now();
///         let mut interval = maypole::time::interval(Duration::from_secs(1));
///         for _ in 0..3 {
///             interval.tick();
///         }
///         assert_eq!(maypole::time::now() - start, Duration::from_secs(3));
///     })
///     .unwrap();
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "maypole: an interval of no length");
    Interval {
        next: later(now(), period),
        period,
    }
}

impl Interval {
    /// Parks until the next tick and tells when it was due. Ticks that the task was too late for
    /// are left out; the rhythm stays.
    ///
    /// Parks: until the next tick. A kill unwinds the task from here, and the tick is not lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let mut interval = maypole::time::interval(Duration::from_millis(1));
    ///     let first = interval.tick();
    ///     assert!(interval.tick() > first);
    /// });
    /// ```
    #[track_caller]
    pub fn tick(&mut self) -> Instant {
        let due = self.next;
        sleep_until(due);
        let late = now().saturating_duration_since(due).as_nanos() / self.period.as_nanos();
        let skipped = u32::try_from(late).unwrap_or(u32::MAX);
        let due = later(due, self.period.saturating_mul(skipped));
        self.next = later(due, self.period);
        due
    }

    /// The time from tick to tick.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// assert_eq!(maypole::time::interval(second).period(), second);
    /// ```
    pub fn period(&self) -> Duration {
        self.period
    }
}

/// `duration` after `moment`, or the last moment that can be told.
fn later(moment: Instant, duration: Duration) -> Instant {
    moment
        .checked_add(duration)
        .or_else(|| moment.checked_add(Duration::from_secs(86_400 * 365 * 100)))
        .unwrap_or(moment)
}
