//! What a workload asks of a peer's channels. The messages are numbers.

use std::future::Future;

use super::{Awaiting, Blocking};

/// A kind of channel between tasks that block.
pub trait BlockingChannel: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks send and receive.
    type Tasks: Blocking;
    type Sender: Clone + Send + 'static;
    type Receiver: Send + 'static;

    /// A channel that holds `capacity` messages, 0 being a rendezvous; `None` is no bound.
    ///
    /// A kind is asked only for what the lists in `adapters` say of it.
    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, message: u64);
    fn receive(receiver: &mut Self::Receiver) -> u64;
}

/// Channels of which a task can wait for several at once.
pub trait BlockingSelect: BlockingChannel {
    /// A message of any of 2 or 8 channels, none of which is preferred.
    fn select(receivers: &mut [Self::Receiver]) -> u64;
}

/// A kind of channel between tasks that are futures.
pub trait AwaitingChannel: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks send and receive.
    type Tasks: Awaiting;
    type Sender: Clone + 'static;
    type Receiver: 'static;

    /// A channel that holds `capacity` messages, 0 being a rendezvous; `None` is no bound.
    ///
    /// A kind is asked only for what the lists in `adapters` say of it.
    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, message: u64) -> impl Future<Output = ()>;
    fn receive(receiver: &mut Self::Receiver) -> impl Future<Output = u64>;
}

/// Channels of which a task can wait for several at once.
pub trait AwaitingSelect: AwaitingChannel {
    /// A message of any of 2 or 8 channels, none of which is preferred.
    fn select(receivers: &mut [Self::Receiver]) -> impl Future<Output = u64>;
}
