//! crossbeam-channel between OS threads.

use crossbeam_channel::{Receiver, Sender, select};

use super::std_threads::StdThreads;
use crate::peer::{BlockingChannel, BlockingSelect};

pub struct Channel;

impl BlockingChannel for Channel {
    const NAME: &'static str = "crossbeam";

    type Tasks = StdThreads;
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        capacity.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded)
    }

    fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).expect("the receiver is there");
    }

    fn receive(receiver: &mut Self::Receiver) -> u64 {
        receiver.recv().expect("a sender is there")
    }
}

impl BlockingSelect for Channel {
    fn select(receivers: &mut [Self::Receiver]) -> u64 {
        let message = match receivers {
            [a, b] => select! {
                recv(a) -> message => message,
                recv(b) -> message => message,
            },
            [a, b, c, d, e, f, g, h] => select! {
                recv(a) -> message => message,
                recv(b) -> message => message,
                recv(c) -> message => message,
                recv(d) -> message => message,
                recv(e) -> message => message,
                recv(f) -> message => message,
                recv(g) -> message => message,
                recv(h) -> message => message,
            },
            _ => unreachable!("the groups select over 2 and 8 channels"),
        };
        message.expect("a sender is there")
    }
}
