//! Two senders and two receivers of all kinds on one channel, under schedules by chance.
mod channel_support;

use channel_support::ways::{RECEIVINGS, Receiving, SENDINGS, Sending, meet};
use channel_support::{CAPACITIES, Ledger, Sent, channel};
use maypole::explore::{self, Explorer};
use maypole::{JoinError, spawn};

/// Each sends or receives one message; main receives what is left. One of them may be killed.
fn crowd(capacity: Option<usize>, sendings: [Sending; 2], receivings: [Receiving; 2]) {
    let ledger = Ledger::new();
    let (sender, receiver) = channel(capacity);
    let mut tasks = Vec::new();
    for (from, sending) in sendings.into_iter().enumerate() {
        let (ledger, sender) = (ledger.clone(), sender.clone());
        tasks.push(spawn(move || {
            sending.send(from, &ledger, &sender);
        }));
    }
    drop(sender);
    for (by, receiving) in receivings.into_iter().enumerate() {
        let (ledger, receiver) = (ledger.clone(), receiver.clone());
        tasks.push(spawn(move || {
            if let Some(message) = receiving.receive(&receiver) {
                ledger.received(1 + by, message);
            }
        }));
    }
    let victim = explore::any(2 * tasks.len());
    if let Some(victim) = tasks.get(victim) {
        let victim = victim.task().clone();
        spawn(move || victim.kill("at any moment"));
    }
    // Main comes when the receivers have had their chance.
    let receivers = tasks.split_off(2);
    for task in receivers {
        assert!(ended(task.join()));
    }
    receiver
        .iter()
        .for_each(|message| ledger.received(0, message));
    for task in tasks {
        assert!(ended(task.join()));
    }
    ledger.settle(Sent::Arrives);
}

/// Whether a task came to its end, or a kill did.
fn ended(end: Result<(), JoinError>) -> bool {
    end.is_ok() || end.is_err_and(|error| error.is_killed())
}

/// Two of them, in no order.
fn pairs<T: Copy>(all: &[T]) -> Vec<[T; 2]> {
    let mut pairs = Vec::new();
    for (nth, one) in all.iter().enumerate() {
        pairs.extend(all[nth..].iter().map(|other| [*one, *other]));
    }
    pairs
}

#[track_caller]
fn check(capacity: Option<usize>) {
    for sendings in pairs(&SENDINGS) {
        for receivings in pairs(&RECEIVINGS) {
            // One that meets nobody could wait for ever.
            let meets = |one| sendings.iter().all(|&other| meet(capacity, other, one));
            if !receivings.into_iter().all(meets) {
                continue;
            }
            let outcome = Explorer::new()
                .random(7)
                .schedules(20)
                .check(|| crowd(capacity, sendings, receivings));
            if let Some(failure) = outcome.failure {
                panic!("{capacity:?}, {sendings:?}, {receivings:?}: {failure}");
            }
        }
    }
}

#[test]
fn crowds_at_a_rendezvous_are_accounted_for() {
    check(CAPACITIES[0]);
}

#[test]
fn crowds_at_a_channel_for_one_are_accounted_for() {
    check(CAPACITIES[1]);
}

#[test]
fn crowds_at_a_channel_for_two_are_accounted_for() {
    check(CAPACITIES[2]);
}

#[test]
fn crowds_at_a_channel_without_a_bound_are_accounted_for() {
    check(CAPACITIES[3]);
}
