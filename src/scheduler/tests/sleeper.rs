//! A world in which nothing happens but the passing of time.
use crate::scheduler::driver::{Driver, Prospect};
use std::time::Duration;

pub(super) struct Sleeper;

impl Driver for Sleeper {
    fn wait(&mut self, timeout: Option<Duration>) {
        std::thread::sleep(timeout.expect("the loop waits for ever only where something can wake"));
    }

    fn is_open(&self) -> bool {
        false
    }

    fn prospect(&self) -> Prospect {
        Prospect::Nothing
    }
}
