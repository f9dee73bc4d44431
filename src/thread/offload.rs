//! Work that would block or hog the core, done by another OS thread while its task waits.
use super::pool::{Job, Pool};
use super::remote::on_behalf_of;
use super::sleeper::{Bed, Finish};
use crate::io::refuse_exploring;
use crate::scheduler::kill::Shield;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{is_in_task, park};
use crate::select::{Case, wait_out};
use crate::task::{Away, Errand, adopt_panic, lend, take_panic_of_job, watch_offload};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Runs `f` in another OS thread and gives its value; the other tasks go on meanwhile.
///
/// For what blocks, such as calls of the system on files, or computes for long. `f` may borrow
/// from the task, which waits for it in any case. The OS threads come from a pool that the run
/// keeps and that grows on demand up to [`Builder::offload_limit`](crate::Builder::offload_limit);
/// beyond that, calls wait their turn, first in, first out. An OS thread that has been idle for
/// some seconds ends.
///
/// Outside of a task there is nobody to go on meanwhile: `f` runs here.
///
/// Parks: until `f` is done. A kill is looked for before `f` is handed over, and waits from then on
/// until `f` is done: the call returns its value, and the kill comes at the next park. So does the
/// end of the run.
///
/// # Panics
///
/// With the panic of `f`, its payload unchanged. Where parking is forbidden, inside of
/// [`explore`](crate::explore), and when the system has no OS thread for `f` and the pool has none
/// either.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let text = String::from("borrowed");
///     let length = maypole::thread::offload(|| text.len());
///     assert_eq!(length, 8);
/// });
/// ```
///
/// What belongs to the tasks stays with them:
///
/// ```compile_fail,E0277
/// maypole::run(|| {
///     let count = std::rc::Rc::new(1);
///     maypole::thread::offload(move || *count + 1);
/// });
/// ```
#[track_caller]
pub fn offload<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    if !is_in_task() {
        return f();
    }
    let wait = Wait {
        what: What::Offload,
        at: Location::caller(),
    };
    refuse_exploring("thread::offload", wait.at);
    park::enter(wait);
    park::ask(wait);
    let mut outcome = None;
    lend(|lender| {
        let work = || {
            watch_offload(wait.at);
            let done = catch_unwind(AssertUnwindSafe(f));
            outcome = Some(done.map_err(|payload| (payload, take_panic_of_job())));
        };
        let (errand, away) = lender.erase_call(work);
        do_elsewhere(errand, &away, wait);
    });
    match outcome.expect("the call was made") {
        Ok(value) => value,
        Err((payload, note)) => {
            adopt_panic(note);
            resume_unwind(payload)
        }
    }
}

/// Hands the errand over and waits for it, whatever happens to the task meanwhile.
fn do_elsewhere(errand: Errand, away: &Away, wait: Wait) {
    let at = wait.at;
    let bed = Bed::make()
        .unwrap_or_else(|error| panic!("maypole: thread::offload at {at} cannot wait: {error}"));
    let _shield = Shield::open();
    let employer = bed.address().clone();
    let job = Job {
        work: Box::new(move || on_behalf_of(&employer, || errand.run())),
        finish: Finish {
            sleeper: Some(bed.sleeper()),
            work: Some(bed.address().work()),
        },
    };
    if let Err((job, error)) = pool().submit(job) {
        drop(job);
        panic!(
            "maypole: thread::offload at {at}: the system starts no OS thread for it: {error}; a \
             limit on processes may stand against it (ulimit -u, pids.max of a container)"
        );
    }
    let queue = bed.queue();
    wait_out(Back { away, queue }, wait);
}

struct Back<'a> {
    away: &'a Away,
    queue: &'a WaitQueue,
}

impl Case for Back<'_> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        self.away.is_back().then_some(())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (self.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        self.try_now()
    }
}

// ── the pool of the run ──────────────────────────────────────────────────────────────────────

thread_local! {
    static STAFF: RefCell<Staff> = const { RefCell::new(Staff { limit: None, pool: None }) };
}

/// The OS threads that work for the run of this one.
struct Staff {
    limit: Option<usize>,
    /// Once it was needed.
    pool: Option<Arc<Pool>>,
}

fn pool() -> Arc<Pool> {
    let make = |limit| Arc::new(Pool::new(limit, "maypole-offload"));
    let staffed = STAFF.try_with(|staff| {
        let mut staff = staff.borrow_mut();
        let limit = staff.limit;
        let make = || make(limit.unwrap_or_else(usual_limit));
        staff.pool.get_or_insert_with(make).clone()
    });
    // A run in the destructor of a thread-local has one for each call.
    staffed.unwrap_or_else(|_| make(1))
}

/// Enough for calls that block, and not so many that those which compute are in each other's way.
fn usual_limit() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(16, 64)
}

/// The OS threads of a run may be used while this lives; then they end.
pub(crate) struct Offices(());

impl Offices {
    /// For the run that begins on this OS thread, with at most `limit` of them.
    pub(crate) fn open(limit: Option<usize>) -> Self {
        let _ = STAFF.try_with(|staff| staff.borrow_mut().limit = limit);
        Offices(())
    }
}

impl Drop for Offices {
    fn drop(&mut self) {
        let pool = STAFF.try_with(|staff| staff.borrow_mut().pool.take());
        if let Ok(Some(pool)) = pool {
            pool.close();
        }
    }
}
