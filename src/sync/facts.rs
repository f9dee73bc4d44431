//! What a report can tell of a primitive: its kind, its name, where it was made, who holds it.
use crate::scheduler::current_id;
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::task::TaskId;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;

pub(super) type Place = &'static Location<'static>;

/// Kind, name and birthplace.
pub(super) struct Label {
    pub(super) kind: &'static str,
    pub(super) name: Option<Box<str>>,
    pub(super) made_at: Place,
}

impl Label {
    pub(super) fn new(kind: &'static str, made_at: Place) -> Self {
        Label {
            kind,
            name: None,
            made_at,
        }
    }

    pub(super) fn named(kind: &'static str, name: impl AsRef<str>, made_at: Place) -> Self {
        Label {
            kind,
            name: Some(name.as_ref().into()),
            made_at,
        }
    }

    pub(super) fn view(&self, owners: Vec<(TaskId, Place)>, state: String) -> ObjectView {
        ObjectView {
            kind: self.kind,
            name: self.name.as_deref().map(String::from),
            made_at: self.made_at,
            owners,
            state,
            content: None,
        }
    }
}

/// As in `Mutex 'fork 1' (made at src/main.rs:31:13)`.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " '{name}'")?;
        }
        write!(f, " (made at {})", self.made_at)
    }
}

/// What is known of a thing that one task holds at a time. It exists from the first wait on, or
/// from the beginning if there is a name to keep.
pub(super) struct Facts {
    pub(super) label: Label,
    pub(super) holder: Cell<Option<(TaskId, Place)>>,
}

impl Facts {
    pub(super) fn new(label: Label) -> Self {
        Facts {
            label,
            holder: Cell::new(None),
        }
    }
}

impl Object for Facts {
    fn view(&self) -> ObjectView {
        let holders = self.holder.get().into_iter().collect();
        self.label.view(holders, String::new())
    }

    fn each_owner(&self, show: &mut dyn FnMut(TaskId)) {
        if let Some((holder, _)) = self.holder.get() {
            show(holder);
        }
    }
}

/// The tasks that hold parts of a thing, and where they took them.
#[derive(Default)]
pub(super) struct Holders(RefCell<Slab<(TaskId, Place)>>);

/// Names an entry in [`Holders`].
pub(super) type HolderKey = usize;

impl Holders {
    /// Adds the running task.
    #[inline]
    pub(super) fn add(&self, at: Place) -> HolderKey {
        self.0.borrow_mut().insert((current_id(), at))
    }

    #[inline]
    pub(super) fn remove(&self, key: HolderKey) {
        self.0.borrow_mut().remove(key);
    }

    /// Where the running task took a part that it has not given back.
    pub(super) fn mine(&self) -> Option<Place> {
        let me = current_id();
        let holders = self.0.borrow();
        let mine = holders.iter().find(|(_, (task, _))| *task == me);
        mine.filter(|_| me != TaskId::NOBODY)
            .map(|(_, (_, at))| *at)
    }

    pub(super) fn list(&self) -> Vec<(TaskId, Place)> {
        let holders = self.0.borrow();
        let tasks = holders.iter().map(|(_, holder)| *holder);
        tasks.filter(|(task, _)| *task != TaskId::NOBODY).collect()
    }

    pub(super) fn each(&self, show: &mut dyn FnMut(TaskId)) {
        let holders = self.0.borrow();
        holders.iter().for_each(|(_, (task, _))| show(*task));
    }
}
