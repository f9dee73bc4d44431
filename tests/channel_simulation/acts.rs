//! What the tasks of a simulated world do.
use super::channel_support::{Message, panics_with};
use super::world::{Random, Wait, World, from};
use maypole::channel::{
    Receiver, Select, SendError, SendTimeoutError, Sender, TrySendError, select,
};
use maypole::{scope, sleep, task, time, yield_now};
use std::cell::Cell;
use std::panic::resume_unwind;
use std::time::Duration;

/// A message that was selected may be given back when the others think that there is no other.
struct GivesBack<'a> {
    world: &'a World,
    line: usize,
}

impl Drop for GivesBack<'_> {
    fn drop(&mut self) {
        let line = self.world.line(self.line);
        if line.is_closed() {
            line.may_drop();
        }
    }
}

/// A task of the world.
#[derive(Clone, Copy)]
pub struct Actor<'a> {
    pub number: usize,
    pub world: &'a World,
    pub random: &'a Random,
}

impl Actor<'_> {
    fn moment(&self) -> Duration {
        Duration::from_millis(self.random.below(5) as u64)
    }

    /// A channel, if the world still has that end of it.
    fn sender(&self) -> Option<(usize, Sender<Message>)> {
        let line = self.random.below(self.world.lines());
        Some((line, self.world.line(line).sender()?))
    }

    fn receiver(&self) -> Option<(usize, Receiver<Message>)> {
        let line = self.random.below(self.world.lines());
        Some((line, self.world.line(line).receiver()?))
    }

    fn received<E>(&self, message: Result<Message, E>) {
        if let Ok(message) = message {
            self.world.ledger.received(self.number, message);
        }
    }

    /// Takes some time at times, as making a message may.
    fn dawdle(&self) {
        match self.random.below(8) {
            0 => yield_now(),
            1 => sleep(self.moment()),
            2 => resume_unwind(Box::new("no message")),
            _ => {}
        }
    }

    /// Does one thing.
    pub fn act(&self) {
        self.world.operations.set(self.world.operations.get() + 1);
        match self.random.below(16) {
            0 | 1 => self.send(),
            2 | 3 => self.recv(),
            4 => self.try_send(),
            5 => self.try_recv(),
            6 => self.send_timeout(),
            7 => self.recv_timeout(),
            8 => drop(panics_with("no message", || self.select_two())),
            9 => drop(panics_with("no message", || self.select_to_receive())),
            10 => drop(panics_with("no message", || self.select_with_default())),
            11 => self.dynamic(),
            12 => self.ready(),
            13 => drop(time::timeout(self.moment(), || self.act())),
            14 if self.random.one_in(4) => self.scope(),
            14 => sleep(self.moment()),
            _ => yield_now(),
        }
    }

    fn send(&self) {
        let Some((line, sender)) = self.sender() else {
            return;
        };
        let _waits = self.world.waits(self.number, &[(line, Wait::Send)]);
        self.world.ledger.send(from(self.number, line), |message| {
            sender.send(message).map_err(SendError::into_inner)
        });
    }

    fn recv(&self) {
        if let Some((line, receiver)) = self.receiver() {
            let _waits = self.world.waits(self.number, &[(line, Wait::Recv)]);
            self.received(receiver.recv());
        }
    }

    fn try_send(&self) {
        if let Some((line, sender)) = self.sender() {
            self.world.ledger.send(from(self.number, line), |message| {
                sender.try_send(message).map_err(TrySendError::into_inner)
            });
        }
    }

    fn try_recv(&self) {
        if let Some((_, receiver)) = self.receiver() {
            self.received(receiver.try_recv());
        }
    }

    fn send_timeout(&self) {
        if let Some((line, sender)) = self.sender() {
            self.world.ledger.send(from(self.number, line), |message| {
                let sent = sender.send_timeout(message, self.moment());
                sent.map_err(SendTimeoutError::into_inner)
            });
        }
    }

    fn recv_timeout(&self) {
        if let Some((_, receiver)) = self.receiver() {
            self.received(receiver.recv_timeout(self.moment()));
        }
    }

    /// Sends or receives, at two channels or at one.
    fn select_two(&self) {
        let (Some((there, sender)), Some((here, receiver))) = (self.sender(), self.receiver())
        else {
            return;
        };
        let message = self.world.ledger.later(from(self.number, there));
        let waits = [(there, Wait::SendLater), (here, Wait::Recv)];
        let waits = Cell::new(Some(self.world.waits(self.number, &waits)));
        select! {
            send(sender, {
                drop(waits.take());
                self.dawdle();
                // Its receiver may have gone meanwhile.
                let after_all = [(there, Wait::SendAfterAll), (here, Wait::Keeps)];
                waits.set(Some(self.world.waits(self.number, &after_all)));
                message.make()
            }) -> result => {
                message.told(result.map_err(SendError::into_inner));
            }
            recv(receiver) -> message => self.received(message),
        }
    }

    fn select_to_receive(&self) {
        let (Some((first, one)), Some((second, other))) = (self.receiver(), self.receiver()) else {
            return;
        };
        let waits = [(first, Wait::Recv), (second, Wait::Recv)];
        let _waits = self.world.waits(self.number, &waits);
        select! {
            recv(one) -> message => self.received(message),
            recv(other) -> message => self.received(message),
        }
    }

    fn select_with_default(&self) {
        let (Some((there, sender)), Some((here, receiver))) = (self.sender(), self.receiver())
        else {
            return;
        };
        let message = self.world.ledger.later(from(self.number, there));
        let waits = Cell::new(None);
        let make = || {
            self.dawdle();
            let after_all = [(there, Wait::SendAfterAll), (here, Wait::Keeps)];
            waits.set(Some(self.world.waits(self.number, &after_all)));
            message.make()
        };
        let sent = match self.random.one_in(2) {
            true => select! {
                send(sender, make()) -> result => Some(result),
                recv(receiver) -> message => {
                    self.received(message);
                    None
                }
                default => None,
            },
            false => select! {
                recv(receiver) -> message => {
                    self.received(message);
                    None
                }
                send(sender, make()) -> result => Some(result),
                default(self.moment()) => None,
            },
        };
        if let Some(sent) = sent {
            message.told(sent.map_err(SendError::into_inner));
        }
    }

    /// Some operations at some channels; now and then the one that was selected is dropped.
    fn dynamic(&self) {
        let senders: Vec<_> = (0..self.random.below(4))
            .filter_map(|_| self.sender())
            .collect();
        let receivers: Vec<_> = (0..1 + self.random.below(3))
            .filter_map(|_| self.receiver())
            .collect();
        let mut select = match self.random.one_in(4) {
            true => Select::new_biased(),
            false => Select::new(),
        };
        senders
            .iter()
            .for_each(|(_, sender)| _ = select.send(sender));
        receivers
            .iter()
            .for_each(|(_, receiver)| _ = select.recv(receiver));
        let mut waits: Vec<_> = senders.iter().map(|of| (of.0, Wait::SendLater)).collect();
        waits.extend(receivers.iter().map(|of| (of.0, Wait::Recv)));
        if waits.is_empty() {
            return;
        }
        let waiting = self.world.waits(self.number, &waits);
        let operation = select.select();
        drop(waiting);
        waits.iter_mut().for_each(|(_, wait)| *wait = Wait::Keeps);
        let index = operation.index();
        let gives_back = index.checked_sub(senders.len()).map(|nth| GivesBack {
            world: self.world,
            line: receivers[nth].0,
        });
        match self.random.below(6) {
            0 => yield_now(),
            1 => sleep(self.moment()),
            2 => {
                assert!(panics_with("without being completed", || drop(operation)));
                return;
            }
            _ => {}
        }
        std::mem::forget(gives_back);
        match senders.get(index) {
            Some((line, sender)) => {
                waits.push((*line, Wait::SendAfterAll));
                let _waits = self.world.waits(self.number, &waits);
                self.world.ledger.send(from(self.number, *line), |message| {
                    let sent = operation.send(sender, message);
                    sent.map_err(SendError::into_inner)
                });
            }
            None => self.received(operation.recv(&receivers[index - senders.len()].1)),
        }
    }

    fn ready(&self) {
        let (Some((there, sender)), Some((here, receiver))) = (self.sender(), self.receiver())
        else {
            return;
        };
        let mut select = Select::new();
        select.send(&sender);
        select.recv(&receiver);
        let waits = [(there, Wait::CanSend), (here, Wait::CanRecv)];
        let waits = self.world.waits(self.number, &waits);
        let index = select.ready();
        drop(waits);
        match index {
            0 => {
                self.world.ledger.send(from(self.number, there), |message| {
                    sender.try_send(message).map_err(TrySendError::into_inner)
                });
            }
            _ => self.received(receiver.try_recv()),
        }
    }

    fn scope(&self) {
        scope(|scope| {
            scope.spawn(|| {
                let number = self.world.new_number();
                Actor { number, ..*self }.act();
            });
            match self.random.one_in(2) {
                true => self.act(),
                false => task::shield(|| self.recv_timeout()),
            }
        });
    }
}
