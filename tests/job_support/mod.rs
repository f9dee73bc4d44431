//! What the tests of jobs have in common.
#![allow(dead_code)]

use maypole::generator::Yielder;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A flag that bodies on other OS threads set and tests wait for.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Sets a flag when it is dropped.
pub struct Closing(pub Flag);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Counts how many are alive.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicUsize>);

pub struct One(Alive);

impl Alive {
    pub fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::SeqCst);
        One(self.clone())
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What bodies note, in order, from any OS thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

const PATIENCE: usize = 60_000;

/// Waits, in a task, until something is so.
#[track_caller]
pub fn until(is_so: impl Fn() -> bool) {
    wait(is_so, || {
        maypole::sleep(std::time::Duration::from_millis(1))
    });
}

/// The same, outside of a task.
#[track_caller]
pub fn until_outside(is_so: impl Fn() -> bool) {
    wait(is_so, || {
        std::thread::sleep(std::time::Duration::from_millis(1))
    });
}

#[track_caller]
fn wait(is_so: impl Fn() -> bool, between: impl Fn()) {
    for _ in 0..PATIENCE {
        if is_so() {
            return;
        }
        between();
    }
    panic!("it is not so after {PATIENCE} looks");
}

/// Yields numbers for ever.
pub fn count(y: &Yielder<u64>) {
    for n in 0.. {
        y.yield_(n);
    }
}

/// Computes for ever, and passes checkpoints.
pub fn compute(y: &Yielder<u64>) {
    loop {
        y.checkpoint();
    }
}

/// Writes each test once for the two hosts: `start!(body)` starts a job in the one or the other,
/// and `start!(builder, body)` does with options.
#[macro_export]
macro_rules! under_both_hosts {
    ($($(#[$attribute:meta])* fn $name:ident($start:ident) $body:block)*) => {
        mod in_task {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                $(#[$attribute])*
                fn $name() {
                    #[allow(unused_macros)]
                    macro_rules! $start {
                        ($job:expr) => { maypole::job::in_task($job) };
                        ($builder:expr, $job:expr) => { $builder.in_task($job).unwrap() };
                    }
                    maypole::run(|| $body);
                }
            )*
        }
        mod in_thread {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                $(#[$attribute])*
                fn $name() {
                    #[allow(unused_macros)]
                    macro_rules! $start {
                        ($job:expr) => { maypole::job::in_thread($job) };
                        ($builder:expr, $job:expr) => { $builder.in_thread($job).unwrap() };
                    }
                    maypole::run(|| $body);
                }
            )*
        }
    };
}
