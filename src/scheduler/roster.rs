//! Where tasks get their coroutines: the idle ones of tasks that have ended, hottest first, then
//! new ones on stacks of the arena.
//!
//! A task reserves its place when it is spawned and takes a coroutine at its first turn. An idle
//! coroutine keeps the reservation of the task that it served, as a spare one for the next: so
//! there are never more stacks out than reservations.
use crate::coroutine::{Arena, Class, Coroutine, Label, StackLimit};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// More idle coroutines than this are dismissed, and their stacks pooled or trimmed.
const IDLE_AT_MOST: usize = 1024;

pub(super) struct Roster {
    arena: Rc<Arena>,
    /// Stack size of a task that asks for none, and of the idle coroutines.
    class: Class,
    /// The hottest last.
    idle: RefCell<Vec<Coroutine>>,
    /// Reservations that no task holds.
    spare: Cell<usize>,
    /// What a coroutine runs each time it serves a task.
    function: fn(),
}

impl Roster {
    pub(super) fn new(stack_size: usize, function: fn()) -> Self {
        Roster {
            arena: Arena::of_this_thread(),
            class: Class::of(stack_size),
            idle: RefCell::new(Vec::new()),
            spare: Cell::new(0),
            function,
        }
    }

    /// The size class for a task that asks for so many bytes, or does not ask.
    #[inline]
    pub(super) fn class_of(&self, stack_size: Option<usize>) -> Class {
        stack_size.map_or(self.class, Class::of)
    }

    /// Reserves a place for a task.
    ///
    /// # Errors
    ///
    /// The limit that stands against one more stack.
    #[inline]
    pub(super) fn reserve(&self, class: Class) -> Result<(), StackLimit> {
        if class == self.class && self.spare.get() > 0 {
            self.spare.set(self.spare.get() - 1);
            return Ok(());
        }
        self.arena.reserve(class)
    }

    /// A coroutine for a task that has reserved its place.
    ///
    /// # Errors
    ///
    /// What the operating system refused; the reservation stays.
    #[inline]
    pub(super) fn take(&self, class: Class, label: Label) -> Result<Coroutine, StackLimit> {
        if class == self.class
            && let Some(coroutine) = self.idle.borrow_mut().pop()
        {
            coroutine.relabel(label);
            return Ok(coroutine);
        }
        let stack = self.arena.take(class, label)?;
        Ok(Coroutine::new(stack, self.function))
    }

    /// The idle coroutine of a task that has ended comes back, with its place.
    #[inline]
    pub(super) fn put_back(&self, class: Class, coroutine: Coroutine) {
        let mut idle = self.idle.borrow_mut();
        let at_most = IDLE_AT_MOST.min(class.idle_limit());
        if class == self.class && idle.len() < at_most {
            idle.push(coroutine);
            self.spare.set(self.spare.get() + 1);
        } else {
            coroutine.dismiss();
            self.arena.release(class);
        }
    }

    /// Gives back the reservation of a task that never took a coroutine.
    pub(super) fn release(&self, class: Class) {
        self.arena.release(class);
    }

    /// Dismisses the idle coroutines, so that nothing is left for the next run.
    pub(super) fn dismiss_all(&self) {
        for coroutine in self.idle.take() {
            coroutine.dismiss();
        }
        for _ in 0..self.spare.take() {
            self.arena.release(self.class);
        }
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        self.dismiss_all();
    }
}
