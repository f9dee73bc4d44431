//! Every way to send against every way to receive, with every trouble, under every schedule.
mod channel_support;

use channel_support::ways::{RECEIVINGS, Receiving, Sending, meet};
use channel_support::{Ledger, Sent, channel, every_schedule};
use maypole::{JoinError, spawn};

/// What happens meanwhile, at any moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    None,
    KilledSender,
    KilledReceiver,
    /// There is no other receiver.
    KilledLastReceiver,
    /// The receivers go when one has had its messages.
    Deserted,
}

const TROUBLES: [Trouble; 5] = [
    Trouble::None,
    Trouble::KilledSender,
    Trouble::KilledReceiver,
    Trouble::KilledLastReceiver,
    Trouble::Deserted,
];

/// One sender, one receiver, and main, which receives what is left.
fn program(capacity: Option<usize>, sending: Sending, receiving: Receiving, trouble: Trouble) {
    let ledger = Ledger::new();
    let (sender, receiver) = channel(capacity);
    let sends = {
        let ledger = ledger.clone();
        spawn(move || {
            let _ = sending.send(1, &ledger, &sender) && sending.send(1, &ledger, &sender);
        })
    };
    let receives = {
        let (ledger, receiver) = (ledger.clone(), receiver.clone());
        spawn(move || {
            for _ in 0..2 {
                match receiving.receive(&receiver) {
                    Some(message) => ledger.received(2, message),
                    None => break,
                }
            }
        })
    };
    let rest = (trouble != Trouble::KilledLastReceiver).then_some(receiver);
    let victim = match trouble {
        Trouble::KilledSender => Some(sends.task().clone()),
        Trouble::KilledReceiver | Trouble::KilledLastReceiver => Some(receives.task().clone()),
        Trouble::None | Trouble::Deserted => None,
    };
    if let Some(victim) = victim {
        spawn(move || victim.kill("at any moment"));
    }
    let received = receives.join();
    if let (Some(rest), false) = (rest, trouble == Trouble::Deserted) {
        rest.iter().for_each(|message| ledger.received(0, message));
    }
    let sent = sends.join();
    let killed = |end: &Result<(), JoinError>| end.as_ref().is_err_and(JoinError::is_killed);
    match trouble {
        Trouble::KilledSender => assert!(received.is_ok() && (sent.is_ok() || killed(&sent))),
        Trouble::KilledReceiver | Trouble::KilledLastReceiver => {
            assert!(sent.is_ok() && (received.is_ok() || killed(&received)));
        }
        Trouble::None | Trouble::Deserted => assert!(sent.is_ok() && received.is_ok()),
    }
    ledger.settle(match trouble {
        Trouble::Deserted | Trouble::KilledLastReceiver => Sent::MayBeDropped,
        Trouble::None | Trouble::KilledSender | Trouble::KilledReceiver => Sent::Arrives,
    });
}

#[track_caller]
fn check(sending: Sending) {
    for capacity in [Some(0), Some(1), None] {
        for receiving in RECEIVINGS {
            for trouble in TROUBLES {
                if meet(capacity, sending, receiving) {
                    let context = format!("{capacity:?}, {sending:?}, {receiving:?}, {trouble:?}");
                    every_schedule(&context, 1, 300, || {
                        program(capacity, sending, receiving, trouble);
                    });
                }
            }
        }
    }
}

#[test]
fn plain_sends_are_accounted_for() {
    check(Sending::Plain);
}

#[test]
fn timed_sends_are_accounted_for() {
    check(Sending::Timed);
}

#[test]
fn sends_of_a_select_are_accounted_for() {
    check(Sending::Case);
}

#[test]
fn sends_of_a_select_with_a_slow_message_are_accounted_for() {
    check(Sending::SlowCase);
}

#[test]
fn sends_of_a_select_whose_message_panics_are_accounted_for() {
    check(Sending::PanickingCase);
}

#[test]
fn sends_of_a_dynamic_select_are_accounted_for() {
    check(Sending::Dynamic);
}

#[test]
fn dropped_sends_of_a_dynamic_select_are_accounted_for() {
    check(Sending::Dropped);
}

#[test]
fn sends_after_ready_are_accounted_for() {
    check(Sending::Ready);
}
