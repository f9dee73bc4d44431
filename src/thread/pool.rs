//! OS threads that do jobs: as many as are needed, up to a limit, and none that idles for long.
//!
//! ```text
//!   submit ──► queue ──► somebody idle: called, the latest to become idle first
//!                  ├──► fewer than the limit: one more OS thread
//!                  └──► else it waits its turn, first in, first out
//! ```
use super::sleeper::Finish;
use crate::{io, scheduler};
use std::collections::VecDeque;
use std::io::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// What an OS thread is to do.
pub(super) struct Job {
    pub(super) work: Box<dyn FnOnce() + Send>,
    /// Whom to tell.
    pub(super) finish: Finish,
}

/// How long an OS thread that has nothing to do stays.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Pool {
    state: Mutex<State>,
    limit: usize,
    name: &'static str,
}

struct State {
    queue: VecDeque<Job>,
    /// Those that have nothing to do, each until it is called.
    idle: Vec<Arc<Worker>>,
    threads: usize,
    /// Nobody will submit any more.
    closed: bool,
}

struct Worker {
    /// There may be a job for it: whoever says so has taken it from the idle ones.
    called: AtomicBool,
    thread: Thread,
}

impl Pool {
    /// For at most `limit` OS threads at a time, and at least one. They bear the name `name`.
    pub(super) const fn new(limit: usize, name: &'static str) -> Self {
        Pool {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                idle: Vec::new(),
                threads: 0,
                closed: false,
            }),
            limit: match limit {
                0 => 1,
                limit => limit,
            },
            name,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of a user's runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a job done, at some time.
    ///
    /// # Errors
    ///
    /// Gives the job back when the system has no OS thread for it and the pool has none either.
    pub(super) fn submit(self: &Arc<Self>, job: Job) -> std::result::Result<(), (Job, Error)> {
        let mut state = self.state();
        state.queue.push_back(job);
        if let Some(worker) = state.idle.pop() {
            worker.called.store(true, Ordering::Release);
            drop(state);
            worker.thread.unpark();
            return Ok(());
        }
        if state.threads == self.limit {
            return Ok(());
        }
        // Under the lock: whoever fails, and is told that nobody else is there, takes back its own.
        match self.start() {
            Ok(()) => state.threads += 1,
            Err(error) if state.threads == 0 => {
                let job = state.queue.pop_back().expect("it was just put there");
                return Err((job, error));
            }
            // Those who are at work will come to it.
            Err(_) => {}
        }
        Ok(())
    }

    fn start(self: &Arc<Self>) -> Result<()> {
        let pool = self.clone();
        let builder = std::thread::Builder::new().name(self.name.to_string());
        let work = move || {
            let worker = Arc::new(Worker {
                called: AtomicBool::new(true),
                thread: std::thread::current(),
            });
            pool.work(&worker);
        };
        io::faults::call(|| builder.spawn(work)).map(drop)
    }

    /// What each of the OS threads does.
    fn work(&self, worker: &Arc<Worker>) {
        while self.wait_for_call(worker) {
            let mut job = self.next(worker);
            while let Some(Job { work, finish }) = job {
                // It keeps its own panics; a pool is not to lose an OS thread in any case.
                let worked = catch_unwind(AssertUnwindSafe(work));
                std::mem::forget(worked);
                // Idle before anybody hears that it is done, so that who then has another job
                // finds it.
                job = self.next(worker);
                finish.tell();
            }
        }
    }

    /// Takes the oldest job, else joins the idle ones.
    fn next(&self, worker: &Arc<Worker>) -> Option<Job> {
        let mut state = self.state();
        let job = state.queue.pop_front();
        if job.is_none() {
            state.idle.push(worker.clone());
        }
        job
    }

    /// Waits until it is called; false if it has ended instead. It is idle, or called already.
    fn wait_for_call(&self, worker: &Arc<Worker>) -> bool {
        let deadline = scheduler::now() + PATIENCE;
        loop {
            if worker.called.swap(false, Ordering::Acquire) {
                return true;
            }
            let left = deadline.saturating_duration_since(scheduler::now());
            let mut state = self.state();
            if left.is_zero() || state.closed {
                let place = state.idle.iter().position(|idle| Arc::ptr_eq(idle, worker));
                // One that is idle no more was called a moment ago.
                if let Some(place) = place {
                    state.idle.remove(place);
                    state.threads -= 1;
                    return false;
                }
                continue;
            }
            drop(state);
            std::thread::park_timeout(left);
        }
    }

    /// Lets the OS threads end when all is done.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        for worker in &state.idle {
            worker.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(pool: &Pool) -> usize {
        pool.state().threads
    }

    fn job(work: impl FnOnce() + Send + 'static) -> Job {
        Job {
            work: Box::new(work),
            finish: Finish::nobody(),
        }
    }

    /// Waits until all have done their work.
    fn settle(pool: &Pool) {
        let busy = || {
            let state = pool.state();
            state.idle.len() < state.threads || !state.queue.is_empty()
        };
        while busy() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_job_after_another_needs_one_os_thread() {
        let pool = Arc::new(Pool::new(8, "test"));
        for _ in 0..1000 {
            assert!(pool.submit(job(|| ())).is_ok());
            settle(&pool);
        }
        assert_eq!(threads(&pool), 1);
        pool.close();
    }

    #[test]
    fn a_job_that_panics_costs_no_os_thread_and_a_closed_pool_ends_them_all() {
        let pool = Arc::new(Pool::new(3, "test"));
        let unwinds = || std::panic::resume_unwind(Box::new(()));
        for _ in 0..9 {
            assert!(pool.submit(job(unwinds)).is_ok());
        }
        settle(&pool);
        assert!((1..=3).contains(&threads(&pool)));
        pool.close();
        while threads(&pool) > 0 {
            std::thread::yield_now();
        }
    }
}
