//! `Mutex` and `Condvar` of tasks, with std's results: nothing is ever poisoned.
use maypole::sync::MutexGuard;
use std::convert::Infallible;

pub use std::sync::Arc;

pub struct Mutex<T>(maypole::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Mutex(maypole::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Infallible> {
        Ok(self.0.lock())
    }
}

#[derive(Default)]
pub struct Condvar(maypole::sync::Condvar);

impl Condvar {
    pub fn new() -> Self {
        Condvar::default()
    }

    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, Infallible> {
        Ok(self.0.wait(guard))
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
