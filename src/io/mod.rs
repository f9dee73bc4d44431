//! The outside world: what a task waits for that is no task.
#[doc(hidden)]
pub mod faults;
mod inbox;
mod reactor;
mod source;
mod stream;
mod sys;
mod waits;

pub(crate) use inbox::{Address, AtWork, Caller, Letter};
pub(crate) use reactor::{Waiting, World, address};
pub(crate) use source::{Manner, Source, Way, refuse_exploring};
pub(crate) use stream::Stream;
pub(crate) use sys::widen_backlog;
pub(crate) use waits::Ticket;
