//! Permits: so many tasks at a time, first come, first served.
use super::facts::{HolderKey, Holders, Label, Place};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::park::touch;
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{first_offer, wake_one};
use crate::select::{Case, Limit, block_on_within};
use std::cell::Cell;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

const KIND: &str = "Semaphore";

/// A number of permits, of which each task takes what it needs, or waits until there are enough.
///
/// Permits are given out first in, first out: whoever asks for many waits until there are many, and
/// those who come later wait behind, also if there would be enough for them. So a big request is
/// not starved by small ones. A task that is killed while it waits, or comes to its deadline, takes
/// nothing along and lets those behind it pass.
///
/// # Examples
///
/// ```
/// use maypole::{run, spawn, sync::Semaphore, yield_now};
/// use std::{cell::Cell, rc::Rc};
/// run(|| {
///     let connections = Rc::new(Semaphore::new(2));
///     let (open, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
///     let clients: Vec<_> = (0..10)
///         .map(|_| {
///             let (connections, open, most) = (connections.clone(), open.clone(), most.clone());
///             spawn(move || {
///                 let _permit = connections.acquire();
///                 open.set(open.get() + 1);
///                 most.set(most.get().max(open.get()));
///                 yield_now();
///                 open.set(open.get() - 1);
///             })
///         })
///         .collect();
///     clients.into_iter().for_each(|client| client.join().unwrap());
///     assert_eq!(most.get(), 2);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::Semaphore>();
/// ```
pub struct Semaphore {
    core: Rc<Core>,
}

struct Core {
    available: Cell<usize>,
    /// Each offers how many it waits for.
    queue: WaitQueue,
    /// Whether somebody may be parked: what is asked before the kernel is.
    contended: Cell<bool>,
    holders: Holders,
    label: Label,
}

impl Core {
    fn new(permits: usize, label: Label) -> Rc<Self> {
        Rc::new(Core {
            available: Cell::new(permits),
            queue: WaitQueue::new(),
            contended: Cell::new(false),
            holders: Holders::default(),
            label,
        })
    }

    /// Takes `permits` if there are enough, and nobody waits.
    #[inline(always)]
    fn take(&self, permits: usize) -> bool {
        match self.available.get().checked_sub(permits) {
            Some(left) if permits == 0 || !self.has_waiter() => {
                self.available.set(left);
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn has_waiter(&self) -> bool {
        self.contended.get() && self.ask_for_waiter()
    }

    #[inline(never)]
    fn ask_for_waiter(&self) -> bool {
        self.contended.set(first_offer(&self.queue).is_some());
        self.contended.get()
    }

    #[inline(always)]
    fn give_back(&self, permits: usize, at: Place) {
        match self.available.get().checked_add(permits) {
            Some(available) => self.available.set(available),
            None => too_many(&self.label, at),
        }
        if self.contended.get() {
            self.serve();
        }
    }

    /// Hands permits to those that wait, in order, as far as they go.
    #[inline(never)]
    fn serve(&self) {
        loop {
            let Some(permits) = first_offer(&self.queue) else {
                return self.contended.set(false);
            };
            let Some(left) = self.available.get().checked_sub(permits) else {
                return;
            };
            self.available.set(left);
            wake_one(&self.queue, 0);
        }
    }
}

#[cold]
#[inline(never)]
fn too_many(label: &Label, at: Place) {
    if !std::thread::panicking() {
        panic!("maypole: at {at} {label} would have more permits than a usize can count");
    }
}

impl Object for Core {
    fn view(&self) -> ObjectView {
        let state = match self.available.get() {
            1 => "1 permit available".to_string(),
            available => format!("{available} permits available"),
        };
        self.label.view(self.holders.list(), state)
    }

    fn each_owner(&self, show: &mut dyn FnMut(TaskId)) {
        self.holders.each(show);
    }
}

impl Semaphore {
    /// Makes one with so many permits. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::sync::Semaphore::new(3).available(), 3);
    /// ```
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        let label = Label::new(KIND, Location::caller());
        Semaphore {
            core: Core::new(permits, label),
        }
    }

    /// Makes one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::sync::Semaphore::named("seats", 4).available(), 4);
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>, permits: usize) -> Self {
        let label = Label::named(KIND, name, Location::caller());
        Semaphore {
            core: Core::new(permits, label),
        }
    }

    /// Takes a permit, waiting until there is one and it is this task's turn. It is given back when
    /// the guard is dropped.
    ///
    /// Parks: while there is none, or others wait already. A kill ends the wait; one that comes
    /// after the permit was handed over waits for the task's next park.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(1);
    /// let permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 0);
    /// drop(permit);
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        self.acquire_many(1)
    }

    /// Takes `permits` at once, waiting until there are so many and it is this task's turn.
    ///
    /// Parks: while there are too few, or others wait already. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(5);
    /// let all_but_one = semaphore.acquire_many(4);
    /// assert_eq!((all_but_one.permits(), semaphore.available()), (4, 1));
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> SemaphorePermit<'_> {
        self.wait_for(permits, Limit::Never, Location::caller())
            .expect("a wait without a deadline does not time out")
    }

    /// Takes a permit if there is one and nobody waits; `None` otherwise.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some() && semaphore.try_acquire().is_none());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes `permits` if there are so many and nobody waits; `None` otherwise.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(2);
    /// assert!(semaphore.try_acquire_many(3).is_none());
    /// assert!(semaphore.try_acquire_many(2).is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_acquire_many(&self, permits: usize) -> Option<SemaphorePermit<'_>> {
        let at = Location::caller();
        touch("try_acquire", at);
        self.core.take(permits).then(|| self.permit(permits, at))
    }

    /// Takes a permit, waiting for at most `timeout`; `None` when there was none by then.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let none = maypole::sync::Semaphore::new(0);
    ///     assert!(none.acquire_timeout(Duration::from_millis(1)).is_none());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        self.wait_for(1, Limit::After(timeout), Location::caller())
    }

    /// Takes a permit, waiting until `deadline` at the latest; `None` when there was none by then.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let none = maypole::sync::Semaphore::new(0);
    ///     assert!(none.acquire_deadline(maypole::time::now()).is_none());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn acquire_deadline(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        self.wait_for(1, Limit::At(deadline), Location::caller())
    }

    /// Takes `permits` at once, waiting for at most `timeout`; `None` when there were too few by
    /// then.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let two = maypole::sync::Semaphore::new(2);
    ///     assert!(two.acquire_many_timeout(3, Duration::from_millis(1)).is_none());
    ///     assert_eq!(two.available(), 2);
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn acquire_many_timeout(
        &self,
        permits: usize,
        timeout: Duration,
    ) -> Option<SemaphorePermit<'_>> {
        self.wait_for(permits, Limit::After(timeout), Location::caller())
    }

    /// Takes `permits` at once, waiting until `deadline` at the latest; `None` when there were too
    /// few by then.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let two = maypole::sync::Semaphore::new(2);
    ///     assert!(two.acquire_many_deadline(2, maypole::time::now()).is_some());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn acquire_many_deadline(
        &self,
        permits: usize,
        deadline: Instant,
    ) -> Option<SemaphorePermit<'_>> {
        self.wait_for(permits, Limit::At(deadline), Location::caller())
    }

    /// Adds permits to those there are, and hands them to whoever waits.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// If a `usize` cannot count the permits any more.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert!(semaphore.try_acquire_many(2).is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        let at = Location::caller();
        touch("add_permits", at);
        self.core.give_back(permits, at);
    }

    /// How many permits nobody holds. A task that waits for more than these keeps them from those
    /// that come after it. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(2);
    /// let _permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn available(&self) -> usize {
        self.core.available.get()
    }

    #[inline(always)]
    fn wait_for(&self, permits: usize, limit: Limit, at: Place) -> Option<SemaphorePermit<'_>> {
        let case = Acquiring {
            semaphore: self,
            permits,
            at,
            waits: false,
        };
        let wait = Wait {
            what: What::Acquire,
            at,
        };
        block_on_within(case, || limit.deadline(), wait)
    }

    /// The guard of permits that were just taken.
    #[inline(always)]
    fn permit(&self, permits: usize, at: Place) -> SemaphorePermit<'_> {
        SemaphorePermit {
            semaphore: self,
            permits,
            at,
            holder: self.core.holders.add(at),
        }
    }
}

/// Waits for permits.
struct Acquiring<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    at: Place,
    /// Whether it stands in the line.
    waits: bool,
}

impl<'a> Case for Acquiring<'a> {
    type Output = SemaphorePermit<'a>;

    #[inline(always)]
    fn try_now(&mut self) -> Option<Self::Output> {
        let semaphore = self.semaphore;
        let taken = semaphore.core.take(self.permits);
        taken.then(|| semaphore.permit(self.permits, self.at))
    }

    #[inline(never)]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let core = &self.semaphore.core;
        core.contended.set(true);
        core.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Core>::downgrade(core);
            object
        });
        self.waits = true;
        (&core.queue, self.permits)
    }

    #[inline(always)]
    fn accept(&mut self, _: usize) -> Option<Self::Output> {
        self.waits = false;
        Some(self.semaphore.permit(self.permits, self.at))
    }
}

impl Drop for Acquiring<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.waits {
            // It left the line without its permits: there may be enough for the next.
            self.semaphore.core.serve();
        }
    }
}

/// Permits of a [`Semaphore`]; gives them back when dropped.
///
/// # Examples
///
/// ```
/// use maypole::sync::{Semaphore, SemaphorePermit};
/// fn work(permit: SemaphorePermit<'_>) -> usize {
///     permit.permits()
/// } // given back here
/// let semaphore = Semaphore::new(2);
/// assert_eq!(work(semaphore.acquire()), 1);
/// assert_eq!(semaphore.available(), 2);
/// ```
#[must_use = "if unused the permits are given back at once"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    at: Place,
    holder: HolderKey,
}

impl SemaphorePermit<'_> {
    /// How many permits it holds. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(3);
    /// assert_eq!(semaphore.acquire_many(3).permits(), 3);
    /// ```
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Takes the permits out of the semaphore for good; [`Semaphore::add_permits`] brings back as
    /// many. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = maypole::sync::Semaphore::new(3);
    /// semaphore.acquire().forget();
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    pub fn forget(self) {
        self.semaphore.core.holders.remove(self.holder);
        std::mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        touch("release", self.at);
        let core = &self.semaphore.core;
        core.holders.remove(self.holder);
        core.give_back(self.permits, self.at);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}
impl UnwindSafe for SemaphorePermit<'_> {}
impl RefUnwindSafe for SemaphorePermit<'_> {}
