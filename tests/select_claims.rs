//! What a select has made sure of and does not use: it is given back, and nobody misses it.
mod channel_support;

use channel_support::{SECOND, panic_text, virtually};
use maypole::channel::{
    Receiver, Select, SelectedOperation, Sender, TryRecvError, TrySendError, after, bounded, never,
    select, tick, unbounded,
};
use maypole::{JoinHandle, sleep, spawn, yield_now};

/// Makes sure of a receive, and after two seconds drops it.
fn receives_but_does_not<T: 'static>(receiver: &Receiver<T>) -> JoinHandle<()> {
    let receiver = receiver.clone();
    let task = spawn(move || {
        let mut select = Select::new();
        select.recv(&receiver);
        let operation = select.select();
        sleep(2 * SECOND);
        drop(operation);
    });
    yield_now();
    task
}

/// Makes sure of a send, and after two seconds drops it.
fn sends_but_does_not<T: 'static>(sender: &Sender<T>) -> JoinHandle<()> {
    let sender = sender.clone();
    let task = spawn(move || {
        let mut select = Select::new();
        select.send(&sender);
        let operation = select.select();
        sleep(2 * SECOND);
        drop(operation);
    });
    yield_now();
    task
}

#[track_caller]
fn dropped_its_operation(task: JoinHandle<()>) {
    let error = task.join().expect_err("it panics");
    assert!(
        error
            .message()
            .unwrap()
            .contains("dropped without being completed")
    );
}

#[test]
fn a_message_that_is_given_back_goes_to_a_parked_receiver() {
    for capacity in [0, 1] {
        virtually(|| {
            let (sender, receiver) = bounded(capacity);
            let fickle = receives_but_does_not(&receiver);
            sender.send(7).unwrap();
            assert_eq!(receiver.recv(), Ok(7));
            dropped_its_operation(fickle);
        });
    }
}

#[test]
fn a_message_that_is_given_back_wakes_those_who_wait_to_be_ready() {
    for capacity in [0, 1] {
        virtually(|| {
            let (sender, receiver) = bounded(capacity);
            let fickle = receives_but_does_not(&receiver);
            sender.send(7).unwrap();
            let mut select = Select::new();
            select.recv(&receiver);
            assert_eq!(select.ready_timeout(SECOND).ok(), None);
            select.ready();
            assert_eq!(receiver.try_recv(), Ok(7));
            dropped_its_operation(fickle);
        });
    }
}

#[test]
fn a_message_that_is_given_back_wakes_a_select() {
    for capacity in [0, 1] {
        virtually(|| {
            let (sender, receiver) = bounded(capacity);
            let fickle = receives_but_does_not(&receiver);
            sender.send(7).unwrap();
            let silence = never::<u8>();
            select! {
                recv(silence) -> _ => unreachable!(),
                recv(receiver) -> message => assert_eq!(message, Ok(7)),
            }
            dropped_its_operation(fickle);
        });
    }
}

#[test]
fn a_message_that_a_killed_task_had_selected_goes_to_another() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let fickle = receives_but_does_not(&receiver);
        sender.send(7).unwrap();
        let other = spawn(move || receiver.recv());
        yield_now();
        fickle.kill("before it has received");
        assert!(fickle.join().unwrap_err().is_killed());
        assert_eq!(other.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_message_that_is_given_back_is_not_overtaken() {
    for capacity in [0, 1, 2] {
        virtually(|| {
            let (sender, receiver) = bounded(capacity);
            let fickle = receives_but_does_not(&receiver);
            spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
            sleep(SECOND);
            assert_eq!(receiver.recv(), Ok(1), "capacity {capacity}");
            dropped_its_operation(fickle);
            assert!(receiver.iter().eq([2, 3]), "capacity {capacity}");
        });
    }
}

#[test]
fn a_channel_is_full_with_one_message_too_many() {
    let (sender, receiver) = bounded(1);
    sender.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&receiver);
    let operation = select.try_select().unwrap();
    // The first message is as good as received.
    sender.send(2).unwrap();
    assert!(panic_text(|| drop(operation)).is_some());
    assert_eq!((sender.len(), receiver.len()), (2, 2));
    assert!(sender.is_full() && receiver.is_full());
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert!(receiver.try_iter().eq([1, 2]));
    assert!(sender.try_send(3).is_ok());
}

#[test]
fn a_place_that_is_given_back_goes_to_a_parked_sender() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let fickle = sends_but_does_not(&sender);
        assert!(sender.send_timeout(1, SECOND).is_err());
        sender.send(2).unwrap();
        assert_eq!(receiver.try_recv(), Ok(2));
        dropped_its_operation(fickle);
    });
}

#[test]
fn a_place_that_is_given_back_goes_to_a_select() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let fickle = sends_but_does_not(&sender);
        let silence = never::<u8>();
        select! {
            send(sender, 2) -> result => result.unwrap(),
            recv(silence) -> _ => unreachable!(),
        }
        assert_eq!(receiver.try_recv(), Ok(2));
        dropped_its_operation(fickle);
    });
}

#[test]
fn while_every_place_is_kept_a_receiver_meets_a_parked_sender() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let (proof, proofs) = bounded(0);
        let late = sender.clone();
        let late = spawn(move || {
            let silence = never::<u8>();
            select! {
                // Its message is made of what comes after another's was received.
                send(late, proofs.recv().unwrap()) -> result => result.unwrap(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        let parked = spawn(move || sender.send(2).unwrap());
        yield_now();
        assert_eq!(receiver.recv(), Ok(2));
        proof.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        late.join().unwrap();
        parked.join().unwrap();
    });
}

#[test]
fn while_every_place_is_kept_a_select_meets_a_parked_sender() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let fickle = sends_but_does_not(&sender);
        let parked = spawn(move || sender.send(2).unwrap());
        yield_now();
        let mut select = Select::new();
        select.recv(&receiver);
        assert_eq!(select.try_ready(), Ok(0));
        assert_eq!(select.try_select().unwrap().recv(&receiver), Ok(2));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        parked.join().unwrap();
        dropped_its_operation(fickle);
    });
}

#[test]
fn nobody_is_left_parked_when_the_place_that_was_kept_is_used() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let slow = sender.clone();
        let slow = spawn(move || {
            let silence = never::<u8>();
            select! {
                send(slow, {
                    sleep(SECOND);
                    1
                }) -> result => result.unwrap(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        // Or the end of the last sender would wake whoever is left.
        let _more = sender.clone();
        let quick = spawn(move || sender.send(2).unwrap());
        yield_now();
        let receivers = [receiver.clone(), receiver];
        let receivers = receivers.map(|receiver| spawn(move || receiver.recv().unwrap()));
        let sum: u8 = receivers.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 3);
        slow.join().unwrap();
        quick.join().unwrap();
    });
}

#[test]
fn nobody_overtakes_a_select_that_waits_to_send() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let first = sender.clone();
        let first = spawn(move || {
            let silence = never::<u8>();
            select! {
                send(first, 1) -> sent => sent.unwrap(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        let second = spawn(move || sender.send(2).unwrap());
        yield_now();
        assert!(receiver.iter().eq([1, 2]));
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn a_receiver_whose_partner_makes_no_message_meets_the_next() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let first = sender.clone();
        let first = spawn(move || {
            let silence = never::<u8>();
            select! {
                send(first, fails_slowly()) -> _ => unreachable!(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        let second = spawn(move || {
            sleep(2 * SECOND);
            sender.send(2).unwrap();
        });
        assert_eq!(receiver.recv(), Ok(2));
        assert!(first.join().unwrap_err().is_panic());
        second.join().unwrap();
    });
}

fn fails_slowly() -> u8 {
    sleep(SECOND);
    panic!("no message")
}

#[test]
fn a_receiver_whose_partner_forgot_it_hears_of_the_end() {
    virtually(|| {
        let (sender, receiver) = bounded::<u8>(0);
        let forgetful = spawn(move || {
            let mut select = Select::new();
            select.send(&sender);
            let operation = select.select();
            std::mem::forget(operation);
            sleep(SECOND);
        });
        yield_now();
        assert!(receiver.recv().is_err());
        forgetful.join().unwrap();
    });
}

#[test]
fn a_moment_that_is_given_back_goes_to_another() {
    virtually(|| {
        let timeout = after(SECOND);
        let fickle = receives_but_does_not(&timeout);
        let start = maypole::time::now();
        assert_eq!(timeout.recv(), Ok(start + SECOND));
        assert_eq!(maypole::time::now(), start + 3 * SECOND);
        dropped_its_operation(fickle);
    });
}

#[test]
fn a_tick_that_is_given_back_goes_to_another() {
    virtually(|| {
        let start = maypole::time::now();
        let ticks = tick(10 * SECOND);
        let fickle = receives_but_does_not(&ticks);
        assert_eq!(ticks.recv(), Ok(start + 10 * SECOND));
        assert_eq!(maypole::time::now(), start + 12 * SECOND);
        dropped_its_operation(fickle);
    });
}

#[test]
fn an_operation_is_completed_at_its_own_end_alone() {
    let (sender, receiver) = bounded(1);
    sender.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&receiver);
    let operation = select.try_select().unwrap();
    let text = panic_text(|| operation.send(&sender, 2)).expect("it receives, and does not send");
    assert!(text.contains("not the channel that was selected"), "{text}");
    assert_eq!(receiver.try_recv(), Ok(1));

    let mut select = Select::new();
    select.send(&sender);
    let operation = select.try_select().unwrap();
    assert!(panic_text(|| operation.recv(&receiver)).is_some());
    assert!(sender.try_send(2).is_ok(), "the place was given back");
}

#[test]
fn an_operation_is_completed_at_its_own_channel_alone() {
    let (sender, receiver) = unbounded();
    let (_other_sender, other) = unbounded::<u8>();
    sender.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&receiver);
    let operation = select.try_select().unwrap();
    assert!(panic_text(|| operation.recv(&other)).is_some());
    assert_eq!(receiver.try_recv(), Ok(1), "the message was given back");

    let operation = {
        let mut select = Select::new();
        select.send(&sender);
        select.try_select().unwrap()
    };
    operation.send(&sender.clone(), 2).unwrap();
    assert_eq!(
        receiver.clone().recv(),
        Ok(2),
        "a clone is the same channel"
    );
}

/// Makes sure of one operation and forgets it.
fn forget<'a>(add: impl FnOnce(&mut Select<'a>) -> usize) {
    let mut select = Select::new();
    add(&mut select);
    let operation: SelectedOperation<'_> = select.try_select().unwrap();
    std::mem::forget(operation);
}

#[test]
fn a_forgotten_receive_keeps_one_message_and_no_more() {
    let (sender, receiver) = unbounded();
    (1..=3).for_each(|n| sender.send(n).unwrap());
    forget(|select| select.recv(&receiver));
    assert_eq!(receiver.len(), 2);
    assert!(receiver.try_iter().eq([1, 2]));
    sender.send(4).unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
    drop(receiver);
    assert!(sender.try_send(5).unwrap_err().is_disconnected());
}

#[test]
fn a_forgotten_send_keeps_one_place_and_no_more() {
    let (sender, receiver) = bounded(2);
    forget(|select| select.send(&sender));
    sender.try_send(1).unwrap();
    assert!(sender.try_send(2).unwrap_err().is_full());
    assert_eq!(receiver.try_recv(), Ok(1));
    sender.try_send(2).unwrap();
    drop(sender);
    assert!(receiver.try_iter().eq([2]));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}
