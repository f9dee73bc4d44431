//! What a run takes place on, and its first task.
use super::end::{End, Run};
use super::error::RunError;
use crate::coroutine;
use crate::io::World;
use crate::report::Report;
use crate::scheduler::task::{About, Flags};
use crate::scheduler::{self, First, Scheduler, Traits};
use crate::task::{Ending, Harvest, JoinError, Lender, Lent, Packet, install_panic_hook};
use std::any::Any;
use std::panic::Location;
use std::rc::Rc;

/// Does what any run needs, also one in a destructor: its tasks are not the ones that unwind.
pub(super) fn beside_panics<R>(body: impl FnOnce() -> R) -> R {
    coroutine::watch_for_overflow();
    install_panic_hook();
    let levels = match std::thread::panicking() {
        true => coroutine::hide_panics(),
        false => 0,
    };
    let in_hook = scheduler::swap_hook_mark(false);
    let result = body();
    scheduler::swap_hook_mark(in_hook);
    coroutine::restore_panics(levels);
    result
}

/// What a run takes place on.
pub(super) struct Stage<'a, 'env> {
    pub(super) scheduler: &'a Scheduler,
    pub(super) lender: &'a Lender<'env>,
    pub(super) at: &'static Location<'static>,
    pub(super) name: Rc<str>,
    pub(super) max_turns: u64,
    pub(super) detail: Detail,
    /// Where main has a stack of another size than all.
    pub(super) main_stack_size: Option<usize>,
}

/// What is told of a run that cannot go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Reports,
    /// Only what kind of trouble it is, in no time.
    Verdicts,
}

/// What a run came to.
pub(crate) struct Ended<T> {
    pub(crate) result: Option<Result<T, JoinError>>,
    pub(crate) trouble: Option<RunError>,
    pub(crate) panics: scheduler::UnjoinedPanics,
}

impl<'env> Stage<'_, 'env> {
    /// Runs `main` as the first task, until the last is gone.
    pub(super) fn perform<T: 'env>(&self, main: impl FnOnce() -> T + 'env) -> Ended<T> {
        let packet = Rc::new(Packet::new(
            About::named(self.at, self.name.clone()),
            main,
            MainEnding(self.lender.token()),
        ));
        let body = self.lender.erase(packet.clone());
        let trouble = self.scheduler.enter(|| {
            let traits = Traits {
                stack_size: self.main_stack_size,
                flags: Flags::default().with(Flags::SCOPED),
            };
            match scheduler::launch(body, traits, First::Parent, |_| ()) {
                Ok(id) => {
                    let mut world = World::begin();
                    let trouble = Run::new(self, id, &mut world).drive_to_the_end();
                    world.close();
                    if !self.scheduler.kernel(|kernel| kernel.is_empty()) {
                        // Those that were spawned by the destructors of what was in the inbox.
                        End::of(self, &mut world).kill_the_rest();
                    }
                    trouble
                }
                Err(limit) => {
                    packet.withdraw();
                    Some(RunError::Stacks(Report::new(format!(
                        "maypole: no stack for the first task: {limit}"
                    ))))
                }
            }
        });
        Ended {
            result: packet.outcome().take(),
            trouble,
            panics: self.scheduler.take_panics(),
        }
    }
}

struct MainEnding(Lent);

impl From<MainEnding> for Lent {
    fn from(ending: MainEnding) -> Lent {
        ending.0
    }
}

impl Ending for MainEnding {
    fn panicked(&self, _: &About, payload: Box<dyn Any + Send>) -> Option<Box<dyn Any + Send>> {
        Some(payload)
    }
    fn over(self) {
        drop(self.0);
    }
}
