//! Signals of the system: ^C, and the others.
//!
//! Any number of listeners, in tasks of any OS thread, may wait for the same signal, and each is
//! told. While there is a listener the signal does nothing else: ^C ends no process that waits for
//! it. When the last one is gone the signal does again what it did before. So a program that waits
//! for one [`ctrl_c`] and then ends in order can be ended at once by a second ^C; whoever wants to
//! hear all of them keeps [`Signals`].
//!
//! A signal that comes several times before it is received is received once, as the system itself
//! does it. A handler that a host, a C library say, had installed before runs as well, after the
//! signal was noted; one that is installed later, over the listeners', is left in its place. Listeners
//! do not change which signals an OS thread blocks. No other signals than those listened to are
//! touched: not SIGCHLD, not the faults by which maypole tells of an overflowed stack.
mod listener;
mod name;

pub use listener::{Iter, Signals};
pub use name::*;

use crate::io::{faults, refuse_exploring, send};
use crate::select::Limit;
use std::io;
use std::panic::Location;

/// Waits for the next ^C, and for whatever else sends [`SIGINT`].
///
/// The first ^C ends the wait, and not the process. After that, if nobody else listens, the next one
/// ends the process as always, also if the program hangs in its cleanup. To hear every ^C, keep
/// [`Signals`].
///
/// Parks: until then. A kill ends the wait. A ^C that comes when the wait has just been ended by a
/// kill or a time-out is not lost: it does what it would have done a moment later.
///
/// # Errors
///
/// When the system has no descriptor for it. `TimedOut` in a destructor of a task that unwinds,
/// after the time it has for that.
///
/// # Panics
///
/// Outside of [`run`](crate::run); while schedules are explored.
///
/// # Examples
///
/// ```
/// use maypole::signal::{SIGINT, ctrl_c, raise};
/// maypole::run(|| {
///     let main = maypole::task::current();
///     maypole::spawn(move || {
///         ctrl_c().unwrap();
///         main.kill("^C");
///     });
///     maypole::yield_now();
///     raise(SIGINT).unwrap(); // the user presses ^C
///     let served = std::panic::catch_unwind(|| {
///         loop {
///             maypole::sleep(std::time::Duration::from_secs(1)); // serves
///         }
///     });
///     assert!(served.is_err());
/// #   std::process::exit(0); // a kill that was caught would be raised again
/// });
/// ```
#[track_caller]
pub fn ctrl_c() -> io::Result<()> {
    let at = Location::caller();
    refuse_exploring("ctrl_c", at);
    let mut interrupts = Signals::listen([SIGINT], "ctrl_c", at)?;
    interrupts.pass_on_what_is_left();
    interrupts.recv_within(Limit::Never, at).map(drop)
}

/// Sends a signal to this process, as Python's `signal.raise_signal`.
///
/// Parks: no. Listeners are told at their next turn, and some OS thread may be quicker or slower.
///
/// # Errors
///
/// The system's, for a number that names no signal.
///
/// # Examples
///
/// See [`Signals`].
pub fn raise(signal: Signal) -> io::Result<()> {
    faults::call(|| send(std::process::id(), signal.number()))
}
