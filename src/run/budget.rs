//! How long a tick may take, and what it leaves.
use std::time::{Duration, Instant};

/// How much a [`tick`](super::Scheduler::tick) may do.
///
/// # Examples
///
/// ```
/// use maypole::{Budget, Builder, Tick, yield_now};
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// let mut scheduler = Builder::new().build();
/// let count = Rc::new(Cell::new(0));
/// let counts = count.clone();
/// scheduler.spawn(move || {
///     loop {
///         counts.set(counts.get() + 1);
///         yield_now();
///     }
/// });
/// scheduler.tick(Budget::turns(10));
/// assert_eq!(count.get(), 10);
/// assert_eq!(scheduler.tick(Budget::time(Duration::from_micros(500))), Tick::Ready);
/// assert!(count.get() > 10);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget(pub(super) Limit);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    Turns(u64),
    Time(Duration),
    Round,
}

impl Budget {
    /// So many turns of tasks, exactly, unless fewer are to be had. A turn is what a task does from
    /// a park or a yield to the next. None: the tick only looks outside.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Budget, Builder};
    /// let mut scheduler = Builder::new().build();
    /// let handle = scheduler.spawn(|| 42);
    /// scheduler.tick(Budget::turns(0));
    /// assert!(!handle.is_finished());
    /// scheduler.tick(Budget::turns(1));
    /// assert!(handle.is_finished());
    /// ```
    pub fn turns(turns: u64) -> Self {
        Budget(Limit::Turns(turns))
    }

    /// So much time, by the system's clock, also where that of the tasks is virtual. It is looked
    /// at after every few turns, and no turn is cut short: a task that computes for long makes the
    /// tick as long.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Budget, Builder, Tick};
    /// use std::time::Duration;
    /// let mut scheduler = Builder::new().build();
    /// scheduler.spawn(|| println!("soon done"));
    /// assert_eq!(scheduler.tick(Budget::time(Duration::from_secs(1))), Tick::Done);
    /// ```
    pub fn time(time: Duration) -> Self {
        Budget(Limit::Time(time))
    }

    /// One turn for each task that is ready now.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Budget, Builder, Tick, yield_now};
    /// let mut scheduler = Builder::new().build();
    /// for name in ["a", "b", "c"] {
    ///     scheduler.spawn(move || {
    ///         for step in 0..3 {
    ///             println!("{name}{step}");
    ///             yield_now();
    ///         }
    ///     });
    /// }
    /// // a0 b0 c0, then a1 b1 c1, then a2 b2 c2, then they end.
    /// for _ in 0..3 {
    ///     assert_eq!(scheduler.tick(Budget::round()), Tick::Ready);
    /// }
    /// assert_eq!(scheduler.tick(Budget::round()), Tick::Done);
    /// ```
    pub fn round() -> Self {
        Budget(Limit::Round)
    }
}

/// What a [`tick`](super::Scheduler::tick) leaves.
///
/// # Examples
///
/// ```
/// use maypole::{Budget, Builder, Tick, task, yield_now};
/// let mut scheduler = Builder::new().build();
/// let handle = scheduler.spawn(|| {
///     yield_now();
///     task::park();
/// });
/// assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Ready);
/// assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Idle { next_deadline: None });
/// handle.task().unpark();
/// assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Done);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// A task has a turn to come: the host calls again as soon as it likes.
    Ready,
    /// Every task waits. The host may sleep until [the scheduler's
    /// descriptor](super::Scheduler#impl-AsFd-for-Scheduler) is readable, or until `next_deadline`.
    Idle {
        /// When a timer is due; `None` if there is none. With no timer, and nothing outside that
        /// anybody waits for, the tasks are in a deadlock, unless the host itself wakes one of
        /// them: [`Scheduler::report`](super::Scheduler::report) tells who waits for what.
        next_deadline: Option<Instant>,
    },
    /// No task is left, and no [`Remote`](crate::thread::Remote) from which one could come. The
    /// scheduler can be given further tasks.
    Done,
}
