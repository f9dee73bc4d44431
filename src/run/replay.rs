//! Obeying a trail: `MAYPOLE_REPLAY`, once in a process.
use super::builder::Clock;
use super::environment::variable;
use super::error::RunError;
use super::stage::Ended;
use crate::coroutine;
use crate::report::{Recorder, Report, Steps, divergence};
use crate::scheduler::Scheduler;
use crate::scheduler::policy::{Progress, Replay, Trail};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the environment wants the first run of the process to be.
pub(crate) struct Order {
    pub(crate) trail: Trail,
    progress: Rc<Progress>,
    steps: Rc<RefCell<Steps>>,
}

/// The order, for whoever comes first.
///
/// # Panics
///
/// If the variable holds no trail: a run that ignored it could pass for a replay that went well.
#[track_caller]
pub(crate) fn take_order() -> Option<Order> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let text = variable("MAYPOLE_REPLAY")?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    let trail: Trail = match text.parse() {
        Ok(trail) => trail,
        Err(error) => panic!("maypole: MAYPOLE_REPLAY={text} is no trail: {error}"),
    };
    coroutine::say(format_args!(
        "maypole: MAYPOLE_REPLAY: the first run of this process obeys the trail of {} choices",
        trail.tokens.len()
    ));
    Some(Order {
        trail,
        progress: Rc::default(),
        steps: Rc::default(),
    })
}

impl Order {
    pub(super) fn clock(&self) -> Clock {
        match self.trail.virtual_time {
            true => Clock::Virtual,
            false => Clock::Real,
        }
    }

    /// Makes the run obey.
    pub(super) fn direct(&self, scheduler: &Scheduler) {
        let replay = Replay::new(self.trail.clone(), self.progress.clone());
        let recorder = Recorder::new(self.steps.clone());
        scheduler.kernel(|kernel| {
            kernel.set_policy(Box::new(replay));
            kernel.set_observer(Box::new(recorder));
        });
    }

    /// A run that left its trail has failed; of one that failed the steps are told.
    pub(super) fn judge<T>(self, mut ended: Ended<T>) -> Ended<T> {
        let failed = ended.trouble.is_some()
            || ended.panics.count() > 0
            || ended.result.as_ref().is_none_or(Result::is_err);
        let has_left = self.progress.has_diverged() || !failed;
        let left = self.progress.divergence(&self.trail).filter(|_| has_left);
        if let Some(left) = left {
            let text = divergence(&left, &self.steps.borrow());
            ended.trouble = Some(RunError::Diverged(Report::new(format!("maypole: {text}"))));
        } else if failed {
            let steps = self.steps.borrow().to_string();
            coroutine::say(format_args!("{}", steps.trim_end()));
        }
        ended
    }
}
