//! The end of a run, or of a scheduler: every task that is left is killed, and waited for.
use super::error::RunError;
use super::stage::{Detail, Stage};
use crate::coroutine;
use crate::report::{self, Report};
use crate::scheduler::driver::Driver;
use crate::scheduler::task::{Flags, TaskId};
use crate::scheduler::{self, Scheduler, Stop};
use std::panic::Location;

/// Enough for any cleanup, and soon over for tasks that spin under a shield.
const LEAST_TURNS_TO_DIE: u64 = 1_000_000;

/// A run under way.
pub(super) struct Run<'a> {
    main: TaskId,
    end: End<'a>,
}

/// The trouble that ended a run, with no word about it.
fn verdict(stop: Stop) -> RunError {
    let nothing = Report::new(String::new());
    match stop {
        Stop::Turns => RunError::TurnLimit(nothing),
        Stop::Stacks(_) => RunError::Stacks(nothing),
        Stop::Deadlock => RunError::Deadlock(nothing),
        Stop::Diverged => RunError::Diverged(nothing),
        Stop::Watched | Stop::Quiet | Stop::Empty | Stop::Hopeless | Stop::Idle => {
            unreachable!("a run stops so only while it is being ended, or has a host")
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(stage: &Stage<'a, '_>, main: TaskId, driver: &'a mut dyn Driver) -> Self {
        stage.scheduler.watch(main);
        Run {
            main,
            end: End::of(stage, driver),
        }
    }

    /// Runs main to its end and kills what is left; tells what went wrong.
    pub(super) fn drive_to_the_end(mut self) -> Option<RunError> {
        let trouble = match self.end.scheduler.drive(self.end.driver) {
            Stop::Watched => None,
            stop => Some(self.trouble(stop)),
        };
        if let Some(trouble) = &trouble {
            self.kill_all_main_first(trouble);
        }
        // The panic of main itself comes out of the run.
        scheduler::panic_joined(self.main);
        self.end.kill_the_rest();
        debug_assert!(
            self.end.scheduler.kernel(|kernel| kernel.is_clean()),
            "something is left in the kernel after the last task"
        );
        trouble
    }

    fn trouble(&self, stop: Stop) -> RunError {
        if self.end.detail == Detail::Verdicts {
            return verdict(stop);
        }
        let tasks = self.end.scheduler.kernel(|kernel| kernel.snapshot());
        match stop {
            Stop::Turns => RunError::TurnLimit(report::stuck(
                "the turn limit is reached: the run would not end",
                &tasks,
            )),
            Stop::Stacks(limit) => RunError::Stacks(report::stuck(
                &format!("tasks wait for a stack and none can come back: {limit}"),
                &tasks,
            )),
            Stop::Deadlock => RunError::Deadlock(report::deadlock(&tasks)),
            stop => verdict(stop),
        }
    }

    /// Ends main, and with it the run, by kills.
    fn kill_all_main_first(&mut self, trouble: &RunError) {
        let reason = match trouble {
            RunError::Deadlock(_) => "deadlock",
            RunError::TurnLimit(_) => "the turn limit is reached",
            RunError::Stacks(_) => "no stack for a task",
            RunError::Panicked(_) => "a task panicked",
            RunError::Diverged(_) => "the program is not the recorded one",
        };
        self.end.scheduler.kernel(|kernel| {
            kernel.limit_turns(self.end.turns_to_die());
            kernel.killing = true;
        });
        // Main is the first that was spawned.
        for id in self.end.scheduler.kernel(|kernel| kernel.unkilled_tasks()) {
            scheduler::kill(id, reason, self.end.at);
        }
        if cfg!(panic = "unwind")
            && self
                .end
                .scheduler
                .kernel(|kernel| kernel.find(self.main).is_none())
        {
            return;
        }
        match self.end.scheduler.drive(self.end.driver) {
            Stop::Watched => {}
            _ => {
                let left = self.end.scheduler.kernel(|kernel| kernel.snapshot());
                let left = report::stuck("these tasks would not die", &left);
                coroutine::say(format_args!("{trouble}\n{left}"));
                coroutine::say(format_args!(
                    "maypole: main cannot be ended, what it borrows may still be in use"
                ));
                std::process::abort();
            }
        }
    }
}

/// What ends the tasks that are left on a scheduler.
pub(super) struct End<'a> {
    pub(super) scheduler: &'a Scheduler,
    pub(super) driver: &'a mut dyn Driver,
    /// Whom the tasks hear to have killed them.
    pub(super) at: &'static Location<'static>,
    pub(super) reason: &'static str,
    /// Turns that all tasks together had.
    pub(super) max_turns: u64,
    pub(super) detail: Detail,
}

impl<'a> End<'a> {
    /// That of a run.
    pub(super) fn of(stage: &Stage<'a, '_>, driver: &'a mut dyn Driver) -> Self {
        End {
            scheduler: stage.scheduler,
            driver,
            at: stage.at,
            max_turns: stage.max_turns,
            detail: stage.detail,
            reason: "the end of the run",
        }
    }

    /// Turns that the tasks get to die in, where turns are limited at all.
    fn turns_to_die(&self) -> u64 {
        match self.max_turns {
            u64::MAX => u64::MAX,
            limited => limited.max(LEAST_TURNS_TO_DIE),
        }
    }

    /// Kills the tasks that are left, one after another, and waits for them.
    pub(super) fn kill_the_rest(&mut self) {
        self.scheduler.kernel(|kernel| {
            kernel.limit_turns(self.turns_to_die());
            kernel.hold_ready();
            (kernel.ending, kernel.killing) = (true, true);
        });
        if cfg!(not(panic = "unwind")) {
            return self.scheduler.leak_all();
        }
        self.release_the_killed();
        loop {
            for id in self.scheduler.kernel(|kernel| kernel.held_or_unkilled()) {
                scheduler::kill(id, self.reason, self.at);
                self.scheduler.kernel(|kernel| kernel.release_held(id));
                if self.drive_until_quiet() {
                    return;
                }
            }
            if self.drive_until_quiet() {
                return;
            }
        }
    }

    fn has_unkilled(&self) -> bool {
        self.scheduler
            .kernel(|kernel| !kernel.unkilled_tasks().is_empty())
    }

    /// Lets those go on that were killed before the end of the run, in the order of spawning: no
    /// further kill would reach them.
    fn release_the_killed(&mut self) {
        self.scheduler.kernel(|kernel| {
            for id in kernel.held_or_unkilled() {
                if kernel
                    .find(id)
                    .is_some_and(|task| task.flags.has(Flags::KILLED))
                {
                    kernel.release_held(id);
                }
            }
        });
    }

    /// Lets the tasks that die have their turns; true when none is left.
    fn drive_until_quiet(&mut self) -> bool {
        match self.scheduler.drive(self.driver) {
            Stop::Empty => true,
            Stop::Quiet | Stop::Watched | Stop::Idle => false,
            // Those that no kill has reached yet may still die.
            Stop::Hopeless if self.has_unkilled() => false,
            Stop::Deadlock | Stop::Hopeless | Stop::Turns | Stop::Stacks(_) | Stop::Diverged => {
                if self.detail == Detail::Reports {
                    let left = self.scheduler.kernel(|kernel| kernel.snapshot());
                    coroutine::say(format_args!(
                        "{}",
                        report::stuck("these tasks would not die and are leaked", &left)
                    ));
                }
                self.scheduler.leak_all();
                true
            }
        }
    }
}
