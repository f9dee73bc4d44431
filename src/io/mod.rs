//! The outside world: what a task waits for that is no task.
mod copy;
#[doc(hidden)]
pub mod faults;
mod inbox;
mod reactor;
mod ready;
mod source;
mod stdin;
mod stream;
mod sys;
mod waits;

pub use copy::copy;
pub use ready::{wait_readable, wait_readable_timeout, wait_writable, wait_writable_timeout};
pub use stdin::{Lines, Stdin, stdin};

pub(crate) use inbox::{Address, AtWork, Caller, Letter};
pub(crate) use reactor::{Waiting, World, address};
pub(crate) use source::{Manner, Source, Way, refuse_exploring};
pub(crate) use stream::Stream;
pub(crate) use sys::widen_backlog;
pub(crate) use waits::Ticket;
