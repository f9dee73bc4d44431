//! One program run again and again on one scheduler, whose stacks stay hot.
use super::builder::STACK_SIZE;
use super::environment::audits;
use super::stage::{Detail, Ended, Stage, beside_panics};
use crate::scheduler::Scheduler;
use crate::scheduler::clock::Clock;
use crate::scheduler::observer::Observer;
use crate::scheduler::policy::Policy;
use crate::task::{Lender, lend, quietly};
use std::panic::Location;
use std::rc::Rc;

/// A program that can be run once more.
pub(crate) struct Repeat<'a, 'env> {
    scheduler: Scheduler,
    lender: &'a Lender<'env>,
    main: &'env dyn Fn(),
    at: &'static Location<'static>,
    name: Rc<str>,
    max_turns: u64,
    audit: bool,
}

/// Calls `body` with the program `main`. Panics inside print nothing. The caller has checked that
/// nothing runs on this OS thread.
pub(crate) fn repeat<R>(
    main: &dyn Fn(),
    clock: Clock,
    max_turns: u64,
    at: &'static Location<'static>,
    body: impl FnOnce(&Repeat<'_, '_>) -> R,
) -> R {
    beside_panics(|| {
        quietly(|| {
            lend(|lender| {
                body(&Repeat {
                    scheduler: Scheduler::new(clock, STACK_SIZE),
                    lender,
                    main,
                    at,
                    name: "main".into(),
                    max_turns,
                    audit: audits(),
                })
            })
        })
    })
}

impl Repeat<'_, '_> {
    /// Runs the program, as `policy` wants it.
    pub(crate) fn once(&self, policy: Box<dyn Policy>) -> Ended<()> {
        self.perform(policy, None, Detail::Verdicts)
    }

    /// The same, with reports, and watched.
    pub(crate) fn once_watched(
        &self,
        policy: Box<dyn Policy>,
        observer: Box<dyn Observer>,
    ) -> Ended<()> {
        self.perform(policy, Some(observer), Detail::Reports)
    }

    fn perform(
        &self,
        policy: Box<dyn Policy>,
        observer: Option<Box<dyn Observer>>,
        detail: Detail,
    ) -> Ended<()> {
        self.scheduler.restart();
        self.scheduler.kernel(|kernel| {
            kernel.audit = self.audit;
            kernel.set_policy(policy);
            if let Some(observer) = observer {
                kernel.set_observer(observer);
            }
            kernel.limit_turns(self.max_turns);
        });
        let main = self.main;
        let stage = Stage {
            scheduler: &self.scheduler,
            lender: self.lender,
            at: self.at,
            name: self.name.clone(),
            max_turns: self.max_turns,
            detail,
            // One that is idle from the schedule before.
            main_stack_size: None,
        };
        stage.perform(main)
    }
}
