//! Work that a task need not wait for to its end: what a resolver of names does, which may hang.
use super::exchange::{Attempt, park_for};
use super::pool::{Job, Pool};
use super::reply::Reply;
use super::sleeper::{Finish, Sleeper};
use crate::io::{deadline, too_late};
use crate::scheduler::wait::{Wait, What};
use crate::scheduler::{is_in_task, park};
use crate::select::Limit;
use std::io;
use std::panic::Location;
use std::sync::{Arc, LazyLock};

/// OS threads that may hang in it at a time, in the whole process; others wait their turn. Those
/// of [`offload`](super::offload) are others.
const LIMIT: usize = 16;

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| Arc::new(Pool::new(LIMIT, "maypole-detached")));

/// Has another OS thread do `work`, and lets it go when the task is killed or its time is over:
/// nobody hears of the outcome then, and work that has not begun is not done. Outside of a task it
/// is done here.
///
/// # Errors
///
/// Those of the work; when the system has no OS thread for it; `TimedOut` for a task that unwinds.
pub(crate) fn detached<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
    at: &'static Location<'static>,
) -> io::Result<T> {
    if !is_in_task() {
        return work();
    }
    let wait = Wait {
        what: What::Offload,
        at,
    };
    park::enter(wait);
    let waits = Waits {
        reply: Arc::new(Reply::new()),
        work: Some(work),
    };
    match park_for(waits, || deadline(Limit::Never), wait) {
        Some(result) => result,
        None => Err(too_late(wait.what)),
    }
}

struct Waits<T, F> {
    reply: Arc<Reply<io::Result<T>>>,
    /// Until it is handed over.
    work: Option<F>,
}

impl<T, F> Attempt for Waits<T, F>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    type Output = io::Result<T>;

    fn try_now(&mut self) -> Option<Self::Output> {
        None
    }

    fn enlist(&mut self, sleeper: Sleeper) -> bool {
        let work = self.work.take().expect("it is handed over once");
        self.reply.await_by(sleeper);
        let theirs = self.reply.clone();
        let job = Job {
            work: Box::new(move || {
                // Unless whoever wanted it has gone.
                if Arc::strong_count(&theirs) > 1 {
                    theirs.give(work());
                }
            }),
            finish: Finish::nobody(),
        };
        match POOL.submit(job) {
            Ok(()) => false,
            Err((_job, error)) => {
                let text = format!("the system starts no OS thread: {error}");
                self.reply.give(Err(io::Error::new(error.kind(), text)));
                true
            }
        }
    }

    fn look(&mut self) -> Option<Self::Output> {
        self.reply.take()
    }

    fn withdraw(&mut self) -> Option<Self::Output> {
        self.reply.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Status, check_killed};
    use crate::thread::offload;
    use crate::{run, spawn, yield_now};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    fn here() -> &'static Location<'static> {
        Location::caller()
    }

    #[test]
    fn work_that_hangs_holds_up_neither_kills_nor_offloads_and_what_nobody_wants_is_not_done() {
        let (hang, begun) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicUsize::new(0)),
        );
        run(|| {
            let tasks: Vec<_> = (0..2 * LIMIT)
                .map(|_| {
                    let (hang, begun) = (hang.clone(), begun.clone());
                    spawn(move || {
                        detached(
                            move || {
                                begun.fetch_add(1, Ordering::SeqCst);
                                while hang.load(Ordering::SeqCst) {
                                    std::thread::yield_now();
                                }
                                Ok(())
                            },
                            here(),
                        )
                    })
                })
                .collect();
            while begun.load(Ordering::SeqCst) < LIMIT {
                yield_now();
            }
            assert_eq!(offload(|| 1), 1);
            for task in tasks {
                assert_eq!(task.task().status(), Status::Parked(What::Offload));
                task.kill("enough");
                assert!(task.join().unwrap_err().is_killed());
            }
        });
        // The run is over though they hang still.
        assert_eq!(begun.load(Ordering::SeqCst), LIMIT);
        hang.store(false, Ordering::SeqCst);
        run(|| assert_eq!(detached(|| Ok(2), here()).unwrap(), 2));
        assert_eq!(begun.load(Ordering::SeqCst), LIMIT);
    }

    #[test]
    fn errors_come_back_and_a_killed_task_does_nothing() {
        run(|| {
            let refused = || Err::<(), _>(io::ErrorKind::NotFound.into());
            let error = detached(refused, here()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            let never = || -> io::Result<()> { unreachable!() };
            let killed = spawn(move || {
                crate::task::current().kill("enough");
                let _ = detached(never, here()).map(|()| check_killed());
            });
            assert!(killed.join().unwrap_err().is_killed());
        });
    }
}
