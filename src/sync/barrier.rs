//! A place where so many tasks wait for each other.
use super::facts::Label;
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{count_waiters, wake_all};
use crate::select::{Case, block_on_within};
use std::cell::Cell;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};

const KIND: &str = "Barrier";

/// Holds tasks back until so many have come; then all go on, and it may be used again.
///
/// As [`std::sync::Barrier`], between tasks. A task that is killed, or runs into a
/// [`timeout`](crate::time::timeout), while it waits leaves the barrier, which then waits for
/// another in its place.
///
/// # Examples
///
/// ```
/// use maypole::{run, scope, sync::Barrier};
/// use std::cell::Cell;
/// run(|| {
///     let (barrier, arrived) = (Barrier::new(3), Cell::new(0));
///     scope(|s| {
///         for _ in 0..3 {
///             s.spawn(|| {
///                 arrived.set(arrived.get() + 1);
///                 barrier.wait();
///                 assert_eq!(arrived.get(), 3); // nobody is here before all are there
///             });
///         }
///     });
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::Barrier>();
/// ```
pub struct Barrier {
    core: Rc<Core>,
}

struct Core {
    /// How many go on together.
    parties: usize,
    /// How many wait, at most: those that left are still counted until it matters.
    waiting: Cell<usize>,
    queue: WaitQueue,
    label: Label,
}

impl Object for Core {
    fn view(&self) -> ObjectView {
        // Who left is only known to the kernel, which is not to be asked here.
        let state = format!("for {} tasks", self.parties);
        self.label.view(Vec::new(), state)
    }
}

/// What [`Barrier::wait`] tells: whether this task is the one that leads.
///
/// # Examples
///
/// ```
/// use maypole::sync::{Barrier, BarrierWaitResult};
/// let alone: BarrierWaitResult = Barrier::new(1).wait();
/// assert!(alone.is_leader());
/// ```
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this task leads: exactly one of each round does, the one that came last. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(maypole::sync::Barrier::new(1).wait().is_leader());
    /// ```
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// Makes one for `parties` tasks; 0 counts as 1. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::sync::Barrier::new(1).wait(); // nobody to wait for
    /// ```
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        Barrier::labelled(parties, Label::new(KIND, Location::caller()))
    }

    /// Makes one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::sync::Barrier::named("start", 1).wait();
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, parties: usize) -> Self {
        Barrier::labelled(parties, Label::named(KIND, name, Location::caller()))
    }

    fn labelled(parties: usize, label: Label) -> Self {
        Barrier {
            core: Rc::new(Core {
                parties,
                waiting: Cell::new(0),
                queue: WaitQueue::new(),
                label,
            }),
        }
    }

    /// Waits until as many tasks wait here as it was made for. The last one to come leads, and goes
    /// on without waiting.
    ///
    /// Parks: until the others are there. A kill ends the wait and takes the task out of the count;
    /// one that comes when all were there waits for the task's next park.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, scope, sync::Barrier};
    /// run(|| {
    ///     let barrier = Barrier::new(2);
    ///     scope(|s| {
    ///         let other = s.spawn(|| barrier.wait().is_leader());
    ///         let leads = barrier.wait().is_leader();
    ///         assert!(other.join().unwrap() != leads);
    ///     });
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let wait = Wait {
            what: What::Barrier,
            at: Location::caller(),
        };
        block_on_within(Arriving(&self.core), || None, wait)
            .expect("a wait without a deadline does not time out")
    }
}

/// Waits for the others.
struct Arriving<'a>(&'a Rc<Core>);

impl Case for Arriving<'_> {
    type Output = BarrierWaitResult;

    fn try_now(&mut self) -> Option<BarrierWaitResult> {
        let core = self.0;
        if core.waiting.get().saturating_add(1) < core.parties {
            return None;
        }
        // Those that were killed meanwhile have left the queue and not the count.
        core.waiting.set(count_waiters(&core.queue));
        if core.waiting.get().saturating_add(1) < core.parties {
            return None;
        }
        core.waiting.set(0);
        wake_all(&core.queue, 0);
        Some(BarrierWaitResult(true))
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let core = self.0;
        core.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Core>::downgrade(core);
            object
        });
        core.waiting.set(core.waiting.get() + 1);
        (&core.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<BarrierWaitResult> {
        Some(BarrierWaitResult(false))
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.core.parties)
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}
