//! flume between tasks of tokio, and of smol where smol's own channels cannot do the work.

use super::smol::Smol;
use super::tokio::Tokio;
use crate::peer::{Awaiting, AwaitingChannel, AwaitingSelect};

pub struct OnTokio;

pub struct OnSmol;

macro_rules! between_tasks_of {
    ($peer:ident, $kind:ident, $name:expr) => {
        impl AwaitingChannel for $kind {
            const NAME: &'static str = $name;

            type Tasks = $peer;
            type Sender = flume::Sender<u64>;
            type Receiver = flume::Receiver<u64>;

            fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
                capacity.map_or_else(flume::unbounded, flume::bounded)
            }

            async fn send(sender: &Self::Sender, message: u64) {
                let sent = sender.send_async(message).await;
                sent.expect("the receiver is there");
            }

            async fn receive(receiver: &mut Self::Receiver) -> u64 {
                receiver.recv_async().await.expect("a sender is there")
            }
        }
    };
}

between_tasks_of!(Tokio, OnTokio, "flume");
between_tasks_of!(Smol, OnSmol, Smol::NAME);

impl AwaitingSelect for OnTokio {
    async fn select(receivers: &mut [Self::Receiver]) -> u64 {
        let message = match receivers {
            [a, b] => tokio::select! {
                message = a.recv_async() => message,
                message = b.recv_async() => message,
            },
            [a, b, c, d, e, f, g, h] => tokio::select! {
                message = a.recv_async() => message,
                message = b.recv_async() => message,
                message = c.recv_async() => message,
                message = d.recv_async() => message,
                message = e.recv_async() => message,
                message = f.recv_async() => message,
                message = g.recv_async() => message,
                message = h.recv_async() => message,
            },
            _ => unreachable!("the groups select over 2 and 8 channels"),
        };
        message.expect("a sender is there")
    }
}
