//! Waiting for an unknown number of tasks to be done with something.
use super::facts::Label;
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::wake_all;
use crate::select::{Case, block_on_within};
use std::cell::Cell;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};

const KIND: &str = "WaitGroup";

/// Waits until every clone of it is gone, as crossbeam's.
///
/// Each task gets a clone and drops it when it is done, by a panic or a kill as well.
///
/// # Examples
///
/// ```
/// use maypole::{run, spawn, sync::WaitGroup, yield_now};
/// use std::{cell::Cell, rc::Rc};
/// run(|| {
///     let (group, done) = (WaitGroup::new(), Rc::new(Cell::new(0)));
///     for _ in 0..4 {
///         let (group, done) = (group.clone(), done.clone());
///         spawn(move || {
///             yield_now();
///             done.set(done.get() + 1);
///             drop(group);
///         });
///     }
///     group.wait();
///     assert_eq!(done.get(), 4);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::sync::WaitGroup>();
/// ```
pub struct WaitGroup {
    core: Rc<Core>,
    /// Until it has left the group.
    counts: bool,
}

struct Core {
    members: Cell<usize>,
    queue: WaitQueue,
    label: Label,
}

impl Object for Core {
    fn view(&self) -> ObjectView {
        let state = match self.members.get() {
            1 => "1 clone left".to_string(),
            members => format!("{members} clones left"),
        };
        self.label.view(Vec::new(), state)
    }
}

impl WaitGroup {
    /// Makes a group of one. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::sync::WaitGroup::new().wait(); // nobody else is in it
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        WaitGroup::labelled(Label::new(KIND, Location::caller()))
    }

    /// Makes a group of one with a name for the reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::sync::WaitGroup::named("workers").wait();
    /// ```
    #[track_caller]
    pub fn named(name: impl AsRef<str>) -> Self {
        WaitGroup::labelled(Label::named(KIND, name, Location::caller()))
    }

    fn labelled(label: Label) -> Self {
        WaitGroup {
            core: Rc::new(Core {
                members: Cell::new(1),
                queue: WaitQueue::new(),
                label,
            }),
            counts: true,
        }
    }

    /// Leaves the group, and waits until all others have.
    ///
    /// Parks: until then. A kill ends the wait; the task has left the group in any case.
    ///
    /// # Panics
    ///
    /// Outside of a task, if others are in the group.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{run, spawn, sync::WaitGroup};
    /// run(|| {
    ///     let group = WaitGroup::new();
    ///     let member = group.clone();
    ///     spawn(move || drop(member));
    ///     group.wait();
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn wait(self) {
        let wait = Wait {
            what: What::WaitGroup,
            at: Location::caller(),
        };
        let core = self.core.clone();
        let leaving = Leaving {
            core: &core,
            member: self,
        };
        block_on_within(leaving, || None, wait)
            .expect("a wait without a deadline does not time out");
    }
}

/// Waits until nobody is left.
struct Leaving<'a> {
    core: &'a Rc<Core>,
    member: WaitGroup,
}

impl Case for Leaving<'_> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        self.member.leave();
        (self.core.members.get() == 0).then_some(())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let core = self.core;
        core.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Core>::downgrade(core);
            object
        });
        (&core.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        Some(())
    }
}

impl WaitGroup {
    fn leave(&mut self) {
        if !std::mem::take(&mut self.counts) {
            return;
        }
        let members = self.core.members.get() - 1;
        self.core.members.set(members);
        if members == 0 {
            wake_all(&self.core.queue, 0);
        }
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        if self.counts {
            touch("leave", self.core.label.made_at);
            self.leave();
        }
    }
}

/// Another member of the same group.
impl Clone for WaitGroup {
    fn clone(&self) -> Self {
        self.core.members.set(self.core.members.get() + 1);
        WaitGroup {
            core: self.core.clone(),
            counts: true,
        }
    }
}

impl Default for WaitGroup {
    #[track_caller]
    fn default() -> Self {
        WaitGroup::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("members", &self.core.members.get())
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}
