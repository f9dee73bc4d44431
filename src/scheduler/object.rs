//! What a report can tell of a thing that tasks wait for: a channel, a lock.
use super::task::TaskId;
use super::wait::What;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

/// Something with a wait queue. The queue keeps a weak reference, by which a report finds it.
pub(crate) trait Object {
    /// Read while the kernel is borrowed: it must not call back.
    fn view(&self) -> ObjectView;

    /// Shows the tasks that hold it. Asked whenever a task parks for it without a deadline, so a
    /// lock that is often waited for has a cheaper way than this.
    fn each_owner(&self, show: &mut dyn FnMut(TaskId)) {
        self.view().owners.iter().for_each(|(id, _)| show(*id));
    }

    /// Whether a task that waits for `what` would be let in beside the owners, were it the first
    /// in line.
    fn has_room_for(&self, what: What) -> bool {
        let _ = what;
        false
    }
}

/// An object that a task waits for.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    /// Tells it from others that look the same.
    pub(crate) identity: usize,
    pub(crate) view: ObjectView,
}

/// How such a thing stands.
#[derive(Clone, Debug)]
pub(crate) struct ObjectView {
    /// `Mutex`, `channel`.
    pub(crate) kind: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) made_at: &'static Location<'static>,
    /// The tasks that hold it, and where they took it.
    pub(crate) owners: Vec<(TaskId, &'static Location<'static>)>,
    /// Whatever else there is to say: `bounded(4), 0 queued, 1 sender alive`.
    pub(crate) state: String,
    /// What it holds, if that can be told.
    pub(crate) content: Option<Content>,
}

/// Something whose content can be told, by code of the user: never while the kernel is borrowed.
pub(crate) trait Describe {
    fn describe(&self) -> Option<String>;
}

/// The content of an object.
#[derive(Clone)]
pub(crate) struct Content(pub(crate) Rc<dyn Describe>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}
