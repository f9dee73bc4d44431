//! The ways to send and to receive a message, each of which accounts for it.
use super::{Ledger, Message, SECOND, panics_with};
use maypole::channel::{
    Receiver, RecvTimeoutError, Select, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError, never, select,
};
use maypole::{explore, sleep, yield_now};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    Plain,
    /// A time-out at any moment, and a start before or after it.
    Timed,
    /// A case of a select.
    Case,
    /// The same, with a message that takes some turns to make.
    SlowCase,
    /// The same, but making the message panics; the second time it is made.
    PanickingCase,
    /// With the dynamic select.
    Dynamic,
    /// The same, but the operation is dropped some turns later; the second one is completed.
    Dropped,
    /// With `ready` and `try_send`.
    Ready,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receiving {
    Plain,
    Timed,
    Case,
    Dynamic,
    /// The dynamic select, but the operation is dropped some turns later; the second is completed.
    Dropped,
    /// With `ready` and `try_recv`.
    Ready,
}

pub const SENDINGS: [Sending; 8] = [
    Sending::Plain,
    Sending::Timed,
    Sending::Case,
    Sending::SlowCase,
    Sending::PanickingCase,
    Sending::Dynamic,
    Sending::Dropped,
    Sending::Ready,
];

pub const RECEIVINGS: [Receiving; 6] = [
    Receiving::Plain,
    Receiving::Timed,
    Receiving::Case,
    Receiving::Dynamic,
    Receiving::Dropped,
    Receiving::Ready,
];

impl Sending {
    /// Sends one message as the sender `from`; tells whether it was sent.
    pub fn send(self, from: usize, ledger: &Ledger, sender: &Sender<Message>) -> bool {
        match self {
            Sending::Plain => ledger.send(from, |message| {
                sender.send(message).map_err(SendError::into_inner)
            }),
            Sending::Timed => {
                if explore::any(2) == 1 {
                    sleep(SECOND);
                }
                ledger.send(from, |message| {
                    let sent = sender.send_timeout(message, SECOND);
                    sent.map_err(SendTimeoutError::into_inner)
                })
            }
            Sending::Case => case(from, ledger, sender, |message| message()),
            Sending::SlowCase => case(from, ledger, sender, |message| {
                dawdle();
                message()
            }),
            Sending::PanickingCase => {
                assert!(panics_with("no message", || {
                    case(from, ledger, sender, |_| {
                        dawdle();
                        panic!("no message")
                    });
                }));
                case(from, ledger, sender, |message| message())
            }
            Sending::Dynamic => dynamic(from, ledger, sender),
            Sending::Dropped => {
                let mut select = Select::new();
                select.send(sender);
                let operation = select.select();
                dawdle();
                assert!(panics_with("without being completed", || drop(operation)));
                dynamic(from, ledger, sender)
            }
            Sending::Ready => ready(from, ledger, sender),
        }
    }
}

/// Takes a turn, or until nobody else has one.
fn dawdle() {
    match explore::any(2) {
        0 => yield_now(),
        _ => sleep(SECOND),
    }
}

/// Sends what `make` makes of a function that makes messages.
fn case(
    from: usize,
    ledger: &Ledger,
    sender: &Sender<Message>,
    make: impl Fn(&dyn Fn() -> Message) -> Message,
) -> bool {
    let message = ledger.later(from);
    let silence = never::<()>();
    let sent = select! {
        send(sender, make(&|| message.make())) -> result => result,
        recv(silence) -> _ => unreachable!(),
    };
    message.told(sent.map_err(SendError::into_inner))
}

fn dynamic(from: usize, ledger: &Ledger, sender: &Sender<Message>) -> bool {
    let mut select = Select::new();
    select.send(sender);
    let operation = select.select();
    ledger.send(from, |message| {
        let sent = operation.send(sender, message);
        sent.map_err(SendError::into_inner)
    })
}

fn ready(from: usize, ledger: &Ledger, sender: &Sender<Message>) -> bool {
    let mut select = Select::new();
    select.send(sender);
    loop {
        select.ready();
        let mut full = false;
        let sent = ledger.send(from, |message| {
            let sent = sender.try_send(message);
            full = matches!(sent, Err(TrySendError::Full(_)));
            sent.map_err(TrySendError::into_inner)
        });
        if !full {
            return sent;
        }
    }
}

impl Receiving {
    /// Receives one message; none when every sender is gone.
    pub fn receive(self, receiver: &Receiver<Message>) -> Option<Message> {
        match self {
            Receiving::Plain => receiver.recv().ok(),
            Receiving::Timed => loop {
                match receiver.recv_timeout(SECOND) {
                    Ok(message) => return Some(message),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return None,
                }
            },
            Receiving::Case => {
                let silence = never::<()>();
                select! {
                    recv(silence) -> _ => unreachable!(),
                    recv(receiver) -> message => message.ok(),
                }
            }
            Receiving::Dynamic => {
                let mut select = Select::new();
                select.recv(receiver);
                select.select().recv(receiver).ok()
            }
            Receiving::Dropped => {
                let mut select = Select::new();
                select.recv(receiver);
                let operation = select.select();
                dawdle();
                assert!(panics_with("without being completed", || drop(operation)));
                select.select().recv(receiver).ok()
            }
            Receiving::Ready => {
                let mut select = Select::new();
                select.recv(receiver);
                loop {
                    select.ready();
                    match receiver.try_recv() {
                        Ok(message) => return Some(message),
                        Err(TryRecvError::Disconnected) => return None,
                        Err(TryRecvError::Empty) => {}
                    }
                }
            }
        }
    }
}

/// Whether the two can meet in a channel of this capacity. In a rendezvous one who waits to be
/// ready is no partner for one who does so too.
pub fn meet(capacity: Option<usize>, sending: Sending, receiving: Receiving) -> bool {
    let both_watch = (sending, receiving) == (Sending::Ready, Receiving::Ready);
    capacity != Some(0) || !both_watch
}
