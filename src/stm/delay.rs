//! A variable that comes true after some time.
use super::TVar;
use super::variable::More;
use crate::scheduler;
use std::cell::Cell;
use std::panic::Location;
use std::time::Duration;

/// A variable that is false now, and true when `duration` has passed: a time limit for any
/// transaction. Haskell's `registerDelay`.
///
/// It needs no task and no timer of its own: whoever waits for it wakes when its time has come, and
/// one that is dropped leaves nothing behind.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use maypole::stm::{atomically, check, delay, TVar};
/// use maypole::{Builder, Clock};
/// use std::time::Duration;
/// Builder::new().clock(Clock::Virtual).run(|| {
///     let (letter, late) = (TVar::new(None::<&str>), delay(Duration::from_secs(60)));
///     let answer = atomically(|tx| {
///         tx.or_else(
///             |tx| check(letter.read(tx).is_some()).map(|()| "answered"),
///             |tx| check(late.read(tx)).map(|()| "no answer in a minute"),
///         )
///     });
///     assert_eq!(answer, "no answer in a minute");
/// }).unwrap();
/// ```
#[track_caller]
pub fn delay(duration: Duration) -> TVar<bool> {
    let due = scheduler::now().checked_add(duration);
    let more = More {
        name: None,
        due: Cell::new(due),
    };
    TVar::made(false, None, Some(more), Location::caller())
}
