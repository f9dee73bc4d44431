//! What tests share: a log of steps, destructors that act, caught panics, runs on virtual time.
#![allow(dead_code, reason = "each test file uses a part of it")]
use maypole::{Builder, Clock};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Runs a closure when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What happened, in order; clones share it.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn new() -> Self {
        Log::default()
    }

    pub fn add(&self, step: impl ToString) {
        self.0.borrow_mut().push(step.to_string());
    }

    /// Adds `step` when the answer is dropped.
    pub fn on_drop(&self, step: impl ToString) -> OnDrop<Box<dyn FnMut()>> {
        let (log, step) = (self.clone(), step.to_string());
        OnDrop(Box::new(move || log.add(&step)))
    }

    pub fn steps(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// The steps, separated by spaces.
    pub fn text(&self) -> String {
        self.0.borrow().join(" ")
    }
}

/// Runs `main` where sleeping takes no time.
pub fn on_virtual_time<T>(main: impl FnOnce() -> T) -> T {
    Builder::new()
        .clock(Clock::Virtual)
        .run(main)
        .expect("the run ends well")
}

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The payload of the panic in `f`.
#[track_caller]
pub fn payload_of<T>(f: impl FnOnce() -> T) -> Box<dyn Any + Send> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => payload,
    }
}

/// The message of the panic in `f`.
#[track_caller]
pub fn message_of<T>(f: impl FnOnce() -> T) -> String {
    let payload = payload_of(f);
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .expect("the payload is a text")
            .to_string(),
    }
}

/// Catches whatever unwinds `f`; tells whether something did.
pub fn unwinds<T>(f: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

/// Runs the test `name` of this test file again in a process of its own, in which
/// [`is_on_its_own`] holds; gives whether it succeeded, and its stderr.
pub fn on_its_own(name: &str) -> (bool, String) {
    on_its_own_after("true", name)
}

/// The same, once the shell has run `preparation` (a `ulimit`, say).
pub fn on_its_own_after(preparation: &str, name: &str) -> (bool, String) {
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("{preparation} && exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("MAYPOLE_TEST_ALONE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text)
}

pub fn is_on_its_own() -> bool {
    std::env::var_os("MAYPOLE_TEST_ALONE").is_some()
}
