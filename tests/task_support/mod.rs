//! What the tests of tasks share: a log, an action on drop, runs on virtual time.
#![allow(dead_code, reason = "each test file uses a part")]

use maypole::{Builder, Clock};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Longer than any test waits.
pub const LONG: Duration = Duration::from_secs(1_000_000);

/// Runs its closure when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A list of words that tasks share.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn new() -> Self {
        Log::default()
    }

    pub fn say(&self, word: impl ToString) {
        let word = word.to_string();
        self.0.borrow_mut().push(word);
    }

    pub fn words(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub fn text(&self) -> String {
        self.words().join(" ")
    }

    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Says `word` when the answer is dropped.
    pub fn on_drop(&self, word: &'static str) -> OnDrop<impl FnMut() + use<>> {
        let log = self.clone();
        OnDrop(move || log.say(word))
    }
}

/// A run on virtual time, which must succeed.
pub fn virtually<T>(main: impl FnOnce() -> T) -> T {
    Builder::new().clock(Clock::Virtual).run(main).unwrap()
}

/// What `f` panics with, as text; panics itself if `f` does not.
pub fn panic_text<T>(f: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("a panic was expected"),
        Err(payload) => text_of(&*payload),
    }
}

pub fn text_of(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string()))
        .unwrap_or_else(|| "a payload that is no text".to_string())
}

/// Lets the others have `turns` turns.
pub fn yield_times(turns: usize) {
    (0..turns).for_each(|_| maypole::yield_now());
}
