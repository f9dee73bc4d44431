//! Something that happens, and that tasks wait for.
use super::facts::{Label, Place};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::wake_all;
use crate::select::{Case, Limit, block_on_within};
use std::cell::Cell;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

const KIND: &str = "Event";

/// Tells any number of tasks that something has happened, as Python's `threading.Event`.
///
/// An event that is [`set`](Self::set) stays so until it is [cleared](Self::clear): whoever waits
/// for it meanwhile goes on at once. [`fire`](Self::fire) tells only those that wait already, and is
/// lost if nobody does. All are woken in the order in which they came, and whoever was woken goes on,
/// also if the event is cleared before its turn.
///
/// # Examples
///
/// ```
/// use maypole::{run, spawn, sync::Event};
/// use std::rc::Rc;
/// run(|| {
///     let started = Rc::new(Event::new());
///     let theirs = started.clone();
///     let runner = spawn(move || {
///         theirs.wait();
///         "off"
///     });
///     started.set();
///     assert_eq!(runner.join().unwrap(), "off");
///     started.wait(); // it has happened: at once
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::Event>();
/// ```
pub struct Event {
    core: Rc<Core>,
}

struct Core {
    set: Cell<bool>,
    queue: WaitQueue,
    label: Label,
}

impl Object for Core {
    fn view(&self) -> ObjectView {
        let state = match self.set.get() {
            true => "set",
            false => "not set",
        };
        self.label.view(Vec::new(), state.to_string())
    }
}

impl Event {
    /// Makes one that is not set. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!maypole::sync::Event::new().is_set());
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        Event::labelled(Label::new(KIND, Location::caller()))
    }

    /// Makes one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!maypole::sync::Event::named("started").is_set());
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>) -> Self {
        Event::labelled(Label::named(KIND, name, Location::caller()))
    }

    fn labelled(label: Label) -> Self {
        Event {
            core: Rc::new(Core {
                set: Cell::new(false),
                queue: WaitQueue::new(),
                label,
            }),
        }
    }

    /// Sets it, and wakes all that wait. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = maypole::sync::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// event.wait(); // at once
    /// ```
    #[inline]
    #[track_caller]
    pub fn set(&self) {
        touch("set", Location::caller());
        self.core.set.set(true);
        wake_all(&self.core.queue, 0);
    }

    /// Sets it back: whoever waits from now on waits for the next time. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = maypole::sync::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    #[track_caller]
    pub fn clear(&self) {
        touch("clear", Location::caller());
        self.core.set.set(false);
    }

    /// Wakes those that wait now, and does not set it: if nobody waits it is lost. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, spawn, sync::Event, yield_now};
    /// use std::rc::Rc;
    /// run(|| {
    ///     let gong = Rc::new(Event::new());
    ///     gong.fire(); // nobody hears it
    ///     let listeners = [(); 2].map(|()| {
    ///         let gong = gong.clone();
    ///         spawn(move || gong.wait())
    ///     });
    ///     yield_now();
    ///     gong.fire();
    ///     for listener in listeners {
    ///         listener.join().unwrap();
    ///     }
    ///     assert!(!gong.is_set());
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn fire(&self) {
        touch("fire", Location::caller());
        wake_all(&self.core.queue, 0);
    }

    /// Whether it is set. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = maypole::sync::Event::new();
    /// event.fire();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    pub fn is_set(&self) -> bool {
        self.core.set.get()
    }

    /// Waits until it is set or fired; at once if it is set.
    ///
    /// Parks: until then. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, scope, sync::Event};
    /// run(|| {
    ///     let event = Event::new();
    ///     scope(|s| {
    ///         s.spawn(|| event.wait());
    ///         event.set();
    ///     });
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait(&self) {
        self.wait_for(Limit::Never, Location::caller());
    }

    /// Waits for at most `timeout` until it is set or fired; tells whether it was.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let never = maypole::sync::Event::new();
    ///     assert!(!never.wait_timeout(Duration::from_millis(1)));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_for(Limit::After(timeout), Location::caller())
    }

    /// Waits until `deadline` at the latest until it is set or fired; tells whether it was.
    ///
    /// Parks: until `deadline` at the latest. A kill ends the wait.
    ///
    /// # Panics
    ///
    /// Outside of a task, if it is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let event = maypole::sync::Event::new();
    ///     assert!(!event.wait_deadline(maypole::time::now()));
    ///     event.set();
    ///     assert!(event.wait_deadline(maypole::time::now()));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_for(Limit::At(deadline), Location::caller())
    }

    #[inline(always)]
    fn wait_for(&self, limit: Limit, at: Place) -> bool {
        let wait = Wait {
            what: What::Event,
            at,
        };
        block_on_within(Waiting(&self.core), || limit.deadline(), wait).is_some()
    }
}

/// Waits until it happens.
struct Waiting<'a>(&'a Rc<Core>);

impl Case for Waiting<'_> {
    type Output = ();

    #[inline]
    fn try_now(&mut self) -> Option<()> {
        self.0.set.get().then_some(())
    }

    #[inline]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let core = self.0;
        core.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Core>::downgrade(core);
            object
        });
        (&core.queue, 0)
    }

    #[inline]
    fn accept(&mut self, _: usize) -> Option<()> {
        Some(())
    }
}

impl Default for Event {
    #[track_caller]
    fn default() -> Self {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for Event {}
impl RefUnwindSafe for Event {}
