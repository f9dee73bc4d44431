//! What a workload asks of a peer: in one form for tasks that block, in another for futures.

mod channel;
mod explore;
mod lock;
mod net;
mod offload;
mod stm;
mod tasks;

pub use channel::{AwaitingChannel, AwaitingSelect, BlockingChannel, BlockingSelect};
pub use explore::Explored;
pub use lock::{AwaitingLock, BlockingLock};
pub use net::{AwaitingNet, BlockingNet};
pub use offload::{AwaitingOffload, BlockingOffload};
pub use stm::{AwaitingStm, AwaitingStmQueue, BlockingStm, BlockingStmQueue};
pub use tasks::{Awaiting, Blocking};
