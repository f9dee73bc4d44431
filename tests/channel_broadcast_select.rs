//! Both ends of a broadcast as cases of a select: what wins is kept, what loses leaves no trace.
use maypole::channel::__private::{Order, poll};
use maypole::channel::broadcast::{self, broadcast};
use maypole::channel::{
    RecvError, SendError, TryRecvError, TrySendError, never, select, unbounded,
};
use maypole::{Builder, Clock, run, scope, spawn, yield_now};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn in_virtual_time<T>(main: impl FnOnce() -> T) -> T {
    let run = Builder::new().clock(Clock::Virtual).run(main);
    run.unwrap_or_else(|error| panic!("{error}"))
}

/// What is there for a receiver.
fn drain<T: Clone>(receiver: &broadcast::Receiver<T>) -> Vec<T> {
    receiver.try_iter().collect()
}

#[test]
fn a_select_receives_from_several_receivers() {
    run(|| {
        let (sender, first) = broadcast(2);
        let second = sender.subscribe();
        spawn(move || (1..=2).for_each(|n| sender.send(n).unwrap()));
        let mut got = Vec::new();
        while got.len() < 4 {
            select! {
                recv(first) -> message => got.extend(message),
                recv(second) -> message => got.extend(message),
            }
        }
        got.sort();
        assert_eq!(got, [1, 1, 2, 2]);
        select! {
            recv(first) -> message => assert_eq!(message, Err(RecvError)),
        }
    });
}

#[test]
fn a_select_that_another_case_wins_takes_no_message() {
    in_virtual_time(|| {
        let (sender, receiver) = broadcast(2);
        let (first, winner) = unbounded();
        select! {
            recv(receiver) -> _ => unreachable!(),
            default(SECOND) => {}
        }
        spawn(move || first.send(1));
        select! {
            recv(receiver) -> _ => unreachable!(),
            recv(winner) -> message => assert_eq!(message, Ok(1)),
        }
        sender.send(7).unwrap();
        assert_eq!(drain(&receiver), [7]);
    });
}

#[test]
fn a_select_sends_when_there_is_room() {
    run(|| {
        let (sender, slow) = broadcast(1);
        let fast = sender.subscribe();
        let (_silent, other) = unbounded::<u8>();
        scope(|s| {
            s.spawn(|| {
                for n in 1..=3 {
                    select! {
                        send(sender, n) -> sent => sent.unwrap(),
                        recv(other) -> _ => unreachable!(),
                    }
                }
            });
            for n in 1..=3 {
                assert_eq!(fast.recv(), Ok(n));
                yield_now();
                assert_eq!(fast.try_recv(), Err(TryRecvError::Empty));
                assert_eq!(slow.recv(), Ok(n));
            }
        });
    });
}

#[test]
fn a_place_that_a_select_has_won_is_kept_for_it() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let (_silent, other) = unbounded::<u8>();
        sender.send(1).unwrap();
        scope(|s| {
            s.spawn(|| {
                select! {
                    send(sender, 2) -> sent => sent.unwrap(),
                    recv(other) -> _ => unreachable!(),
                }
            });
            yield_now();
            assert_eq!(receiver.recv(), Ok(1));
            assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
            assert_eq!(receiver.recv(), Ok(2));
        });
    });
}

#[test]
fn a_place_that_a_select_does_not_use_goes_to_the_next() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let (_silent, other) = unbounded::<u8>();
        let sends = |message: fn() -> u8| {
            select! {
                send(sender, message()) -> sent => sent.unwrap(),
                recv(other) -> _ => unreachable!(),
            }
        };
        sender.send(1).unwrap();
        scope(|s| {
            let fails = s.spawn(move || catch_unwind(AssertUnwindSafe(|| sends(|| panic!("no")))));
            s.spawn(|| sender.send(2).unwrap());
            yield_now();
            assert_eq!(receiver.recv(), Ok(1));
            assert!(fails.join().unwrap().is_err());
            assert_eq!(receiver.recv(), Ok(2));
        });
    });
}

#[test]
fn a_select_gets_its_message_back_when_there_is_no_receiver() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let (_silent, other) = unbounded::<u8>();
        let send = || {
            select! {
                send(sender, 2) -> sent => sent,
                recv(other) -> _ => unreachable!(),
            }
        };
        sender.send(1).unwrap();
        scope(|s| {
            let parked = s.spawn(send);
            yield_now();
            drop(receiver);
            assert_eq!(parked.join().unwrap(), Err(SendError(2)));
        });
        assert_eq!(send(), Err(SendError(2)));
        let receiver = sender.subscribe();
        assert_eq!(send(), Ok(()));
        assert_eq!(receiver.recv(), Ok(2));
    });
}

#[test]
fn a_message_that_a_select_makes_may_end_the_broadcast() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let (_silent, other) = unbounded::<u8>();
        let receiver = RefCell::new(Some(receiver));
        let sent = select! {
            send(sender, { receiver.take(); 1 }) -> sent => sent,
            recv(other) -> _ => unreachable!(),
        };
        assert_eq!(sent, Err(SendError(1)));
        let receiver = sender.subscribe();
        sender.send(2).unwrap();
        assert_eq!(receiver.recv(), Ok(2), "the place is free again");
    });
}

#[test]
fn a_message_that_a_select_was_woken_for_is_taken_by_nobody_else() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let receiver = Rc::new(receiver);
        let theirs = receiver.clone();
        let child = spawn(move || {
            let (_silent, other) = unbounded::<u8>();
            select! {
                recv(theirs) -> message => message,
                recv(other) -> _ => unreachable!(),
            }
        });
        yield_now();
        sender.send(7).unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(child.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_select_killed_while_parked_takes_and_sends_nothing() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let (receiver, slow) = (Rc::new(receiver), sender.subscribe());
        let theirs = receiver.clone();
        let receives = spawn(move || {
            select! {
                recv(theirs) -> _ => unreachable!(),
                recv(never::<u8>()) -> _ => unreachable!(),
            }
        });
        yield_now();
        receives.kill("enough");
        sender.send(1).unwrap();
        assert_eq!(receiver.try_recv(), Ok(1));

        let theirs = sender.clone();
        let sends = spawn(move || {
            select! {
                send(theirs, 2) -> _ => unreachable!(),
                recv(never::<u8>()) -> _ => unreachable!(),
            }
        });
        yield_now();
        sends.kill("enough");
        assert_eq!(slow.recv(), Ok(1));
        assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
        sender.try_send(3).expect("the place is free");
    });
}

#[test]
fn one_receiver_may_be_two_cases() {
    run(|| {
        let (sender, receiver) = broadcast(2);
        let sends = spawn(move || (1..=2).for_each(|n| sender.send(n).unwrap()));
        let got = select! {
            recv(receiver) -> message => message,
            recv(receiver) -> message => message,
        };
        assert_eq!(got, Ok(1));
        sends.join().unwrap();
        assert_eq!(drain(&receiver), [2]);
    });
}

#[test]
fn a_message_that_was_chosen_and_is_not_taken_goes_to_whoever_waits() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let receiver = Rc::new(receiver);
        sender.send(7).unwrap();
        // As when a select ends by a panic.
        let chosen = poll([receiver.__case()], Order::Biased).expect("there is a message");
        let theirs = receiver.clone();
        let child = spawn(move || theirs.recv());
        yield_now();
        assert!(!child.is_finished());
        drop(chosen);
        assert_eq!(child.join().unwrap(), Ok(7));
    });
}
