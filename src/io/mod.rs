//! The outside world: what a task waits for that is no task.
mod copy;
#[doc(hidden)]
pub mod faults;
mod inbox;
mod reactor;
mod ready;
mod retries;
mod source;
mod stdin;
mod stream;
mod sys;
mod waits;

pub use copy::copy;
pub use ready::{wait_readable, wait_readable_timeout, wait_writable, wait_writable_timeout};
pub use stdin::{Lines, Stdin, stdin};

pub(crate) use inbox::{Address, AtWork, Caller, Follower, Following, Letter};
pub(crate) use reactor::{Waiting, World, address, prepare};
pub(crate) use source::{Again, Manner, Source, Way, closed, deadline, refuse_exploring, too_late};
pub(crate) use stream::{Stream, check_timeout};
pub(crate) use sys::{
    await_end, bell, forget_signal, is_ready, last_arrival, listen_to_signal, open_process, send,
    send_to, set_nonblocking, signals_so_far,
};
pub(crate) use sys::{bind_reuse_port, is_read_over, peek, widen_backlog};
pub(crate) use waits::Ticket;
