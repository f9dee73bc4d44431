//! The work itself, written once and expanded twice: for tasks that block and for futures.
//!
//! In the bodies `task!` makes a task (a closure or an async block) and `wait!` waits for a call (which
//! is nothing, or `.await`). Both expansions implement the same trait ([`TaskPeer`], [`ChannelPeer`],
//! [`SelectPeer`], [`LockPeer`], [`OffloadPeer`],
//! [`StmPeer`], [`StmQueuePeer`]), which is all that the groups see. Results are nanoseconds per operation.

mod channel;
mod echo;
pub mod explore;
mod lock;
mod offload;
mod select;
mod stm;
mod tasks;

use std::marker::PhantomData;

pub use channel::ChannelPeer;
pub use echo::EchoPeer;
pub use lock::{HandOver, LockPeer};
pub use offload::OffloadPeer;
pub use select::SelectPeer;
pub use stm::{StmPeer, StmQueuePeer};
pub use tasks::{Held, Sleeps, TaskPeer, Yields};

/// A peer whose tasks block, ready for its workloads.
pub struct Stackful<P>(PhantomData<P>);

/// A peer whose tasks are futures, ready for its workloads.
pub struct Stackless<P>(PhantomData<P>);
