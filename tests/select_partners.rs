//! Selects that meet in a rendezvous while messages are being made: each receiver wins one sender.
mod channel_support;

use channel_support::{SECOND, virtually};
use maypole::channel::{Sender, bounded, never, select};
use maypole::{JoinHandle, sleep, spawn, yield_now};

/// Sends `message` when it has taken a second to make, or gives up after two without a receiver.
fn sends_slowly(sender: &Sender<u8>, message: Option<u8>) -> JoinHandle<bool> {
    let sender = sender.clone();
    let make = move || {
        sleep(SECOND);
        message.expect("no message")
    };
    spawn(move || {
        let silence = never::<u8>();
        select! {
            send(sender, make()) -> sent => sent.is_ok(),
            recv(silence) -> _ => unreachable!(),
            default(2 * SECOND) => false,
        }
    })
}

#[test]
fn one_receiver_lets_one_select_win() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let rest = receiver.clone();
        let receives = spawn(move || receiver.recv());
        yield_now();
        let tasks = [1, 2].map(|n| sends_slowly(&sender, Some(n)));
        let sent = tasks.map(|task| task.join().unwrap());
        assert_eq!(sent.iter().filter(|sent| **sent).count(), 1);
        assert!(receives.join().unwrap().is_ok());
        assert!(rest.try_recv().is_err());
    });
}

#[test]
fn two_receivers_let_two_selects_win() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let receives = [receiver.clone(), receiver].map(|r| spawn(move || r.recv().unwrap()));
        yield_now();
        let tasks = [1, 2, 3].map(|n| sends_slowly(&sender, Some(n)));
        let sent = tasks.map(|task| task.join().unwrap());
        assert_eq!(sent.iter().filter(|sent| **sent).count(), 2);
        assert_ne!(receives.map(|task| task.join().unwrap()), [0, 0]);
    });
}

#[test]
fn a_receiver_that_a_message_is_made_for_is_left_to_it() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let receives = spawn(move || (receiver.recv(), receiver.recv()));
        yield_now();
        let slow = sends_slowly(&sender, Some(1));
        yield_now();
        assert!(sender.try_send(2).is_err());
        sender.send(2).unwrap();
        assert_eq!(receives.join().unwrap(), (Ok(1), Ok(2)));
        assert!(slow.join().unwrap());
    });
}

#[test]
fn a_receiver_whose_message_is_not_made_is_given_to_the_next_sender() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let receives = spawn(move || (receiver.recv(), receiver.recv()));
        yield_now();
        let fails = sends_slowly(&sender, None);
        yield_now();
        let more = sender.clone();
        let parked = spawn(move || more.send(2));
        let waits = sends_slowly(&sender, Some(3));
        assert!(fails.join().unwrap_err().is_panic());
        parked.join().unwrap().unwrap();
        assert!(waits.join().unwrap());
        assert_eq!(receives.join().unwrap(), (Ok(2), Ok(3)));
    });
}

#[test]
fn a_message_may_be_made_of_one_that_comes_through_its_own_channel() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let theirs = receiver.clone();
        let waits = spawn(move || theirs.recv());
        yield_now();
        let other = sender.clone();
        let other = spawn(move || other.send(1));
        let silence = never::<u8>();
        select! {
            // `waits` has won this message, so what `other` sends is the next receiver's.
            send(sender, receiver.recv().unwrap() + 1) -> sent => sent.unwrap(),
            recv(silence) -> _ => unreachable!(),
        }
        assert_eq!(waits.join().unwrap(), Ok(2));
        other.join().unwrap().unwrap();
    });
}
