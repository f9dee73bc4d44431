//! Faults on purpose: makes the n-th system call of this OS thread fail, for tests of what comes
//! then. Nothing is armed unless [`inject`] was called.
use std::cell::Cell;
use std::io;

/// What the next system calls are to do.
#[derive(Clone, Copy)]
struct Plan {
    /// Calls that go through first.
    after: u64,
    /// Calls that fail then.
    times: u64,
    errno: i32,
    /// Calls since the plan was made.
    seen: u64,
    hit: u64,
}

thread_local! {
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
}

/// Lets `after` system calls of this OS thread go through and makes the `times` calls after them
/// fail with `errno`, until [`lift`].
pub fn inject(after: u64, times: u64, errno: i32) {
    PLAN.set(Some(Plan {
        after,
        times,
        errno,
        seen: 0,
        hit: 0,
    }));
}

/// Ends the faults; tells how many calls were seen and how many of them failed.
pub fn lift() -> (u64, u64) {
    PLAN.take().map_or((0, 0), |plan| (plan.seen, plan.hit))
}

/// Makes a system call, unless it is to fail.
#[inline(always)]
pub(crate) fn call<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if PLAN.get().is_some()
        && let Some(error) = fail()
    {
        return Err(error);
    }
    call()
}

/// Makes a system call again and again until no signal comes in between.
pub(crate) fn uninterrupted<T>(mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call(&mut make) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cold]
#[inline(never)]
fn fail() -> Option<io::Error> {
    let mut plan = PLAN.get()?;
    let nth = plan.seen;
    plan.seen += 1;
    let fails = nth >= plan.after && nth - plan.after < plan.times;
    plan.hit += u64::from(fails);
    PLAN.set(Some(plan));
    fails.then(|| io::Error::from_raw_os_error(plan.errno))
}
