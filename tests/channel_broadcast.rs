//! Broadcasts as their users see them: who receives what, who waits for whom, how it ends.
use maypole::channel::broadcast::{self, broadcast};
use maypole::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use maypole::{Builder, Clock, RunError, run, scope, sleep, spawn, time, yield_now};
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

// ── who receives what ────────────────────────────────────────────────────────────────────────

#[test]
fn what_has_room_needs_no_scheduler() {
    let (sender, receiver) = broadcast(2);
    let other = sender.subscribe();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Ok(2)));
    assert_eq!((other.recv(), other.recv()), (Ok(1), Ok(2)));
}

#[test]
fn every_receiver_gets_every_message_in_the_order_of_sending() {
    for capacity in [1, 2, 3, 100] {
        for seed in 0..20 {
            let program = || {
                let (sender, first) = broadcast(capacity);
                let receivers = [first, sender.subscribe(), sender.subscribe()];
                let orders = receivers.map(|receiver| spawn(move || receiver.iter().collect()));
                let other = sender.clone();
                spawn(move || (0..20).for_each(|n| other.send((1, n)).unwrap()));
                (0..20).for_each(|n| sender.send((0, n)).unwrap());
                drop(sender);
                orders.map(|order| order.join().unwrap())
            };
            let run = Builder::new().seed(seed).run(program);
            let orders: [Vec<(u8, i32)>; 3] = run.unwrap_or_else(|error| panic!("{error}"));
            let [first, second, third] = &orders;
            assert_eq!((first, first), (second, third));
            for from in [0, 1] {
                let sent = first.iter().filter(|message| message.0 == from);
                assert!(
                    sent.map(|message| message.1).eq(0..20),
                    "from {from} in {first:?}"
                );
            }
        }
    }
}

#[test]
fn a_receiver_gets_what_is_sent_after_it_subscribed() {
    let (sender, first) = broadcast(4);
    sender.send(1).unwrap();
    let second = sender.subscribe();
    sender.send(2).unwrap();
    let third = sender.subscribe();
    assert_eq!(drain(&first), [1, 2]);
    assert_eq!(drain(&second), [2]);
    assert_eq!(drain(&third), []);
}

#[test]
fn a_clone_gets_what_its_original_has_still_to_receive() {
    let (sender, original) = broadcast(4);
    (1..=3).for_each(|n| sender.send(n).unwrap());
    assert_eq!(original.recv(), Ok(1));
    let clone = original.clone();
    sender.send(4).unwrap();
    assert_eq!(drain(&original), [2, 3, 4]);
    assert_eq!(drain(&clone), [2, 3, 4]);
    assert_eq!(sender.receiver_count(), 2);
}

#[test]
fn a_message_of_a_parked_sender_counts_as_sent_when_it_finds_room() {
    run(|| {
        let (sender, first) = broadcast(1);
        sender.send(1).unwrap();
        scope(|s| {
            s.spawn(|| sender.send(2).unwrap());
            yield_now();
            let second = sender.subscribe();
            assert_eq!(first.recv(), Ok(1));
            assert_eq!(drain(&second), [2]);
            let third = sender.subscribe();
            assert_eq!(drain(&third), []);
        });
    });
}

#[test]
fn tasks_that_share_a_receiver_share_its_messages_in_the_order_of_waiting() {
    run(|| {
        let (sender, receiver) = broadcast(8);
        let (receiver, other) = (Rc::new(receiver), sender.subscribe());
        let tasks = [(); 3].map(|()| {
            let receiver = receiver.clone();
            spawn(move || receiver.recv())
        });
        yield_now();
        (1..=3).for_each(|n| sender.send(n).unwrap());
        assert_eq!(receiver.len(), 0, "each of them is promised to a task");
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let got = tasks.map(|task| task.join().unwrap());
        assert_eq!(got, [Ok(1), Ok(2), Ok(3)]);
        assert_eq!(drain(&other), [1, 2, 3]);
    });
}

#[test]
fn a_message_may_borrow() {
    let words = ["may", "pole"].map(String::from);
    let (sender, receiver) = broadcast(2);
    let other = receiver.clone();
    words
        .iter()
        .for_each(|word| sender.send(word.as_str()).unwrap());
    assert_eq!(drain(&receiver), drain(&other));
}

// ── who waits for whom ───────────────────────────────────────────────────────────────────────

#[test]
fn the_slowest_receiver_parks_the_sender() {
    run(|| {
        let (sender, slow) = broadcast(2);
        let fast = sender.subscribe();
        let child = spawn(move || (1..=4).for_each(|n| sender.send(n).unwrap()));
        yield_now();
        assert_eq!(drain(&fast), [1, 2]);
        yield_now();
        assert_eq!(
            drain(&fast),
            [],
            "there is no room before the slow one comes"
        );
        assert_eq!(slow.recv(), Ok(1));
        assert_eq!(drain(&fast), [3]);
        assert!(!child.is_finished());
        assert_eq!(slow.iter().collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(fast.iter().collect::<Vec<_>>(), [4]);
    });
}

#[test]
fn parked_senders_are_served_first_in_first_out() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        sender.send(0).unwrap();
        for n in 1..=3 {
            let sender = sender.clone();
            spawn(move || sender.send(n).unwrap());
        }
        yield_now();
        drop(sender);
        assert_eq!(receiver.recv(), Ok(0));
        let overtakes = receiver.try_recv();
        assert_eq!(overtakes, Ok(1), "the place went to whoever waited");
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [2, 3]);
    });
}

#[test]
fn nobody_overtakes_a_parked_sender() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        sender.send(0).unwrap();
        let parked = sender.clone();
        let child = spawn(move || parked.send(1).unwrap());
        yield_now();
        assert_eq!(receiver.recv(), Ok(0));
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(receiver.recv(), Ok(1));
        child.join().unwrap();
    });
}

#[test]
fn a_slow_receiver_that_goes_lets_the_sender_go_on() {
    run(|| {
        let (sender, slow) = broadcast(1);
        let fast = sender.subscribe();
        let child = spawn(move || (1..=2).try_for_each(|n| sender.send(n)));
        yield_now();
        assert_eq!(fast.recv(), Ok(1));
        assert!(!child.is_finished());
        drop(slow);
        assert_eq!(fast.recv(), Ok(2));
        assert_eq!(child.join().unwrap(), Ok(()));
    });
}

#[test]
fn room_for_several_wakes_several() {
    run(|| {
        let (sender, slow) = broadcast(2);
        let fast = sender.subscribe();
        (0..2).for_each(|n| sender.send(n).unwrap());
        let children = [2, 3, 4].map(|n| {
            let sender = sender.clone();
            spawn(move || sender.send(n).unwrap())
        });
        assert_eq!(drain(&fast), [0, 1]);
        yield_now();
        drop(slow);
        assert_eq!(drain(&fast), [2, 3, 4]);
        children.into_iter().for_each(|child| child.join().unwrap());
    });
}

#[test]
fn the_slowest_is_told_by_the_queue() {
    let (sender, slow) = broadcast(2);
    let fast = sender.subscribe();
    assert!(sender.is_empty() && fast.is_empty());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    fast.recv().unwrap();
    assert_eq!((sender.len(), slow.len(), fast.len()), (2, 2, 1));
    assert!(sender.is_full());
    assert_eq!(sender.capacity(), 2);
    slow.recv().unwrap();
    assert_eq!((sender.len(), slow.len(), fast.len()), (1, 1, 1));
    drop(slow);
    drop(fast);
    assert_eq!((sender.len(), sender.receiver_count()), (0, 0));
}

// ── the other side is gone ───────────────────────────────────────────────────────────────────

#[test]
fn without_a_receiver_a_message_comes_back_until_somebody_subscribes() {
    let (sender, receiver) = broadcast(1);
    sender.send(1).unwrap();
    drop(receiver);
    assert_eq!(sender.send(2), Err(SendError(2)));
    assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    let receiver = sender.subscribe();
    sender.send(4).unwrap();
    assert_eq!(receiver.recv(), Ok(4));
}

#[test]
fn a_parked_sender_gets_its_message_back_when_the_last_receiver_goes() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        sender.send(1).unwrap();
        let others = [2, 3].map(|n| {
            let sender = sender.clone();
            spawn(move || sender.send(n))
        });
        yield_now();
        drop(receiver);
        let back = others.map(|other| other.join().unwrap());
        assert_eq!(back, [Err(SendError(2)), Err(SendError(3))]);
    });
}

#[test]
fn a_parked_sender_whose_last_receiver_went_may_reach_a_new_one() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        sender.send(1).unwrap();
        let parked = sender.clone();
        let child = spawn(move || parked.send(2));
        yield_now();
        drop(receiver);
        let receiver = sender.subscribe();
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(child.join().unwrap(), Ok(()));
    });
}

#[test]
fn receivers_drain_what_is_queued_and_then_learn_of_the_end() {
    let (sender, slow) = broadcast(2);
    let fast = slow.clone();
    sender.send(1).unwrap();
    assert_eq!(fast.try_recv(), Ok(1));
    assert_eq!(fast.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(fast.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(slow.recv(), Ok(1));
    assert_eq!(slow.recv(), Err(RecvError));
}

#[test]
fn parked_receivers_learn_that_the_last_sender_is_gone() {
    run(|| {
        let (sender, receiver) = broadcast::<u8>(1);
        let children = [receiver.clone(), receiver].map(|receiver| spawn(move || receiver.recv()));
        let other = sender.clone();
        yield_now();
        drop(sender);
        yield_now();
        assert!(!children[0].is_finished(), "one sender is left");
        drop(other);
        let ends = children.map(|child| child.join().unwrap());
        assert_eq!(ends, [Err(RecvError), Err(RecvError)]);
    });
}

// ── time-outs ────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_receive_that_is_late_takes_no_message() {
    in_virtual_time(|| {
        let (sender, receiver) = broadcast(1);
        let began = time::now();
        assert_eq!(
            receiver.recv_timeout(SECOND),
            Err(RecvTimeoutError::Timeout)
        );
        let deadline = began + 3 * SECOND;
        assert_eq!(
            receiver.recv_deadline(deadline),
            Err(RecvTimeoutError::Timeout)
        );
        assert_eq!(time::now(), deadline);
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
        drop(sender);
        let over = receiver.recv_timeout(SECOND);
        assert_eq!(over, Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn a_send_that_is_late_reaches_nobody() {
    in_virtual_time(|| {
        let (sender, slow) = broadcast(1);
        let fast = sender.subscribe();
        sender.send_timeout(1, Duration::ZERO).unwrap();
        assert_eq!(drain(&fast), [1]);
        let late = sender.send_timeout(2, SECOND);
        assert_eq!(late, Err(SendTimeoutError::Timeout(2)));
        let late = sender.send_deadline(3, time::now());
        assert_eq!(late, Err(SendTimeoutError::Timeout(3)));
        assert_eq!(drain(&slow), [1]);
        assert_eq!(drain(&fast), []);
        drop((slow, fast));
        let late = sender.send_timeout(4, SECOND);
        assert_eq!(late, Err(SendTimeoutError::Disconnected(4)));
    });
}

#[test]
fn a_send_in_time_reaches_all() {
    in_virtual_time(|| {
        let (sender, slow) = broadcast(1);
        sender.send(1).unwrap();
        let child = spawn(move || {
            sleep(SECOND);
            slow.iter().collect::<Vec<_>>()
        });
        assert_eq!(sender.send_timeout(2, 2 * SECOND), Ok(()));
        drop(sender);
        assert_eq!(child.join().unwrap(), [1, 2]);
    });
}

// ── misuse and reports ───────────────────────────────────────────────────────────────────────

#[test]
fn a_broadcast_without_room_is_refused() {
    let payload = catch_unwind(|| broadcast::<u8>(0)).unwrap_err();
    let text = payload.downcast::<&str>().unwrap();
    assert!(text.contains("a broadcast needs room"), "{text}");
}

#[test]
fn a_wait_outside_of_a_run_is_refused() {
    let (sender, receiver) = broadcast(1);
    for (call, wait) in [
        (
            "recv",
            &(|| assert_eq!(receiver.recv(), Ok(0))) as &dyn Fn(),
        ),
        ("send", &|| (0..2).for_each(|n| sender.send(n).unwrap())),
    ] {
        let payload = catch_unwind(AssertUnwindSafe(wait)).unwrap_err();
        let text = payload.downcast::<String>().unwrap();
        assert!(
            text.contains(call) && text.contains("outside of maypole::run"),
            "{text}"
        );
    }
    assert_eq!(receiver.recv(), Ok(0), "what was refused left no trace");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_deadlock_report_says_how_full_the_broadcast_is() {
    let mut line = 0;
    let stuck = Builder::new().run(|| {
        line = line!() + 1;
        let (sender, _slow) = broadcast(2);
        let fast = sender.subscribe();
        let other = sender.clone();
        spawn(move || (1..=3).for_each(|n| other.send(n).unwrap()));
        fast.iter().for_each(drop);
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("the slow one never receives");
    };
    let report = report.to_string();
    for part in [
        "is sending to a broadcast".to_string(),
        "is receiving from a broadcast".to_string(),
        "bounded(2), 2 queued, 2 senders alive, 2 receivers alive".to_string(),
        format!("made at {}:{line}", file!()),
    ] {
        assert!(report.contains(&part), "{part:?} in {report}");
    }
}

#[test]
fn the_ends_print_without_their_messages() {
    #[derive(Clone)]
    struct Silent;
    let (sender, receiver) = broadcast::<Silent>(1);
    let text = format!("{sender:?} {receiver:?} {:?}", receiver.iter());
    assert_eq!(text, "Sender { .. } Receiver { .. } Iter { .. }");
}
