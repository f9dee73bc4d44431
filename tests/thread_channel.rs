//! Channels between OS threads: between runs, between tasks and OS threads, kills and time-outs.
use maypole::channel::{RecvError, RecvTimeoutError, TryRecvError};
use maypole::task::{self, Killed, Status, What, no_yield, park};
use maypole::thread::{Receiver, Sender, bounded, offload, unbounded};
use maypole::{Builder, Clock, run, scope, sleep, spawn, time, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread as os;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(3);

// ── as any channel ───────────────────────────────────────────────────────────────────────────

#[test]
fn messages_come_in_order_whatever_the_capacity() {
    for capacity in [0, 1, 2, 128, usize::MAX] {
        let (sender, receiver) = bounded(capacity);
        let other = os::spawn(move || (0..500).for_each(|n| sender.send(n).unwrap()));
        run(|| assert!(receiver.iter().eq(0..500)));
        other.join().unwrap();
        let (sender, receiver) = bounded(capacity);
        let other = os::spawn(move || assert!(receiver.iter().eq(0..500)));
        run(|| (0..500).for_each(|n| sender.send(n).unwrap()));
        drop(sender);
        other.join().unwrap();
    }
}

#[test]
fn it_works_between_os_threads_without_any_run() {
    for capacity in [0, 1, 16] {
        let (sender, receiver) = bounded(capacity);
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                os::spawn(move || (0..250).for_each(|n| sender.send(n).unwrap()))
            })
            .collect();
        drop(sender);
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let receiver = receiver.clone();
                os::spawn(move || receiver.iter().sum::<usize>())
            })
            .collect();
        drop(receiver);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        let sums = receivers.into_iter().map(|one| one.join().unwrap());
        assert_eq!(sums.sum::<usize>(), 4 * (0..250).sum::<usize>());
    }
}

#[test]
fn it_works_between_tasks_of_one_run() {
    for capacity in [0, 1, 16] {
        run(|| {
            let (sender, receiver) = bounded(capacity);
            let collector = spawn(move || receiver.iter().collect::<Vec<u32>>());
            (0..300).for_each(|n| sender.send(n).unwrap());
            drop(sender);
            assert!(collector.join().unwrap().into_iter().eq(0..300));
        });
    }
}

#[test]
fn a_thousand_producers_and_one_collector_lose_nothing() {
    // Half of them tasks of the collector's run, half of another one.
    let (sender, receiver) = unbounded();
    let theirs = sender.clone();
    let other = os::spawn(move || {
        run(|| {
            scope(|s| {
                for n in 0..500 {
                    let sender = theirs.clone();
                    s.spawn(move || sender.send(n).unwrap());
                }
            });
        });
    });
    let mut collected: Vec<u32> = run(move || {
        for n in 500..1000 {
            let sender = sender.clone();
            spawn(move || sender.send(n).unwrap());
        }
        drop(sender);
        receiver.iter().collect()
    });
    other.join().unwrap();
    collected.sort_unstable();
    assert!(collected.into_iter().eq(0..1000));
}

#[test]
fn the_ends_tell_how_full_it_is() {
    let (sender, receiver) = bounded(2);
    assert!(sender.is_empty() && !sender.is_full());
    sender.send(1).unwrap();
    assert!(sender.try_send(2).is_ok());
    assert!(receiver.is_full() && receiver.len() == 2);
    assert_eq!(sender.try_send(3).unwrap_err().into_inner(), 3);
    assert_eq!(receiver.capacity(), Some(2));
    assert_eq!(unbounded::<u8>().0.capacity(), None);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    assert!(sender.same_channel(&sender.clone()));
    assert!(!sender.same_channel(&bounded(2).0));
}

#[test]
fn disconnection_wakes_both_sides_wherever_they_are() {
    let (sender, receiver) = bounded::<u8>(0);
    let blocked = {
        let receiver = receiver.clone();
        os::spawn(move || receiver.recv())
    };
    run(|| {
        let parked = spawn(move || receiver.recv());
        yield_now();
        drop(sender);
        assert_eq!(parked.join().unwrap(), Err(RecvError));
    });
    assert_eq!(blocked.join().unwrap(), Err(RecvError));

    let (sender, receiver) = bounded(0);
    let blocked = {
        let sender = sender.clone();
        os::spawn(move || sender.send(1).unwrap_err().into_inner())
    };
    run(|| {
        let parked = spawn(move || sender.send(2).unwrap_err().into_inner());
        yield_now();
        drop(receiver);
        assert_eq!(parked.join().unwrap(), 2);
    });
    assert_eq!(blocked.join().unwrap(), 1);
}

#[test]
fn a_receiver_drains_what_is_queued_and_then_learns_of_the_end() {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.recv(), Err(RecvError));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    let (sender, receiver) = unbounded();
    sender
        .send(Rc::<()>::as_ptr(&Rc::new(())) as usize)
        .unwrap();
    drop(receiver);
    assert!(sender.send(1).is_err());
}

#[test]
fn messages_that_nobody_receives_are_dropped_once() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = bounded(1);
    sender.send(Counts(drops.clone())).unwrap();
    let late = sender.send_timeout(Counts(drops.clone()), SHORT);
    assert!(late.as_ref().is_err_and(|error| error.is_timeout()));
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(late);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(receiver);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    drop(sender.send(Counts(drops.clone())));
    assert_eq!(drops.load(Ordering::SeqCst), 3);
}

// ── time-outs ────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_wait_that_is_too_long_gives_back_what_it_had() {
    let both = || {
        let (sender, receiver) = bounded(0);
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(sender.send_timeout(7, SHORT).unwrap_err().into_inner(), 7);
        let soon = time::now() + SHORT;
        assert_eq!(receiver.recv_deadline(soon), Err(RecvTimeoutError::Timeout));
        assert!(sender.send_deadline(7, soon).unwrap_err().is_timeout());
        // Nobody is left in the line: a send finds none, a receive neither.
        assert!(sender.try_send(8).unwrap_err().is_full());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    };
    both();
    run(both);
}

#[test]
fn in_a_task_the_deadline_is_on_the_clock_of_the_run() {
    let (_sender, receiver) = bounded::<u8>(0);
    // With nobody at work elsewhere, but the channel may be fed from outside: the real clock.
    run(|| {
        let start = time::now();
        assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
        assert!(time::now() - start >= Duration::from_millis(20));
    });
}

#[test]
fn virtual_time_stands_still_while_a_task_waits_for_another_os_thread() {
    let (sender, receiver) = bounded(0);
    let other = os::spawn(move || {
        os::sleep(Duration::from_millis(10));
        sender.send(1).unwrap();
    });
    Builder::new()
        .clock(Clock::Virtual)
        .run(|| {
            let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
            assert_eq!(receiver.recv(), Ok(1));
            assert!(!sleeper.is_finished());
        })
        .unwrap();
    other.join().unwrap();
}

#[test]
fn a_timeout_around_a_wait_takes_no_message() {
    run(|| {
        let (sender, receiver) = bounded(1);
        assert!(time::timeout(SHORT, || receiver.recv()).is_err());
        sender.send(1).unwrap();
        assert!(time::timeout(SHORT, || sender.send(2)).is_err());
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

// ── kills ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_receiver_takes_no_message_and_leaves_the_line() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let (one, two) = (receiver.clone(), receiver.clone());
        let killed = spawn(move || one.recv());
        yield_now();
        let served = spawn(move || two.recv());
        yield_now();
        assert_eq!(killed.task().status(), Status::Parked(What::Thread));
        assert_eq!(killed.kill("enough"), Killed::Parked);
        sender.send(1).unwrap();
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(served.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_killed_sender_withdraws_its_message() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let dropped = Rc::new(Cell::new(false));
        struct Tells(u8, Option<Arc<AtomicBool>>);
        impl Drop for Tells {
            fn drop(&mut self) {
                if let Some(dropped) = &self.1 {
                    dropped.store(true, Ordering::SeqCst);
                }
            }
        }
        let flag = Arc::new(AtomicBool::new(false));
        let (one, two, message) = (sender.clone(), sender.clone(), Tells(1, Some(flag.clone())));
        let killed = spawn(move || one.send(message).is_ok());
        let served = spawn(move || two.send(Tells(2, None)).is_ok());
        yield_now();
        killed.kill("enough");
        assert!(killed.join().unwrap_err().is_killed());
        assert!(flag.load(Ordering::SeqCst) && !dropped.get());
        assert_eq!(receiver.recv().unwrap().0, 2);
        assert!(served.join().unwrap());
    });
}

#[test]
fn a_kill_that_comes_after_the_hand_over_waits_for_the_next_park() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let log = Rc::new(RefCell::new(Vec::new()));
        let theirs = log.clone();
        let receives = spawn(move || {
            theirs.borrow_mut().push(receiver.recv().unwrap());
            park();
            theirs.borrow_mut().push(0);
        });
        yield_now();
        // Another OS thread hands over, and its wake is not yet read when the kill comes.
        let sent = os::spawn(move || sender.send(1).unwrap());
        sent.join().unwrap();
        assert_eq!(receives.kill("too late"), Killed::Parked);
        assert!(receives.join().unwrap_err().is_killed());
        assert_eq!(*log.borrow(), [1]);
    });
}

#[test]
fn a_kill_that_comes_after_a_message_was_taken_finds_it_sent() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let sent = Rc::new(Cell::new(false));
        let theirs = sent.clone();
        let sends = spawn(move || {
            theirs.set(sender.send(1).is_ok());
            park();
        });
        yield_now();
        let taken = os::spawn(move || receiver.recv()).join().unwrap();
        assert_eq!(taken, Ok(1));
        sends.kill("too late");
        assert!(sends.join().unwrap_err().is_killed());
        assert!(sent.get());
    });
}

#[test]
fn a_time_that_is_over_after_the_hand_over_does_not_undo_it() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let receives = spawn(move || receiver.recv_timeout(Duration::from_millis(1)));
        let times_out = {
            let (sender, receiver) = bounded::<u8>(0);
            drop(sender.clone());
            let task = spawn(move || time::timeout(Duration::from_millis(1), || receiver.recv()));
            yield_now();
            os::spawn(move || sender.send(5).unwrap()).join().unwrap();
            task
        };
        os::spawn(move || sender.send_timeout(1, LONG).unwrap())
            .join()
            .unwrap();
        // Nobody looks at the letters until both times are over.
        os::sleep(Duration::from_millis(5));
        assert_eq!(receives.join().unwrap(), Ok(1));
        assert_eq!(times_out.join().unwrap().unwrap(), Ok(5));
    });
}

#[test]
fn a_task_that_cannot_park_leaves_no_trace_in_the_line() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let refused = catch_unwind(AssertUnwindSafe(|| no_yield(|| receiver.recv())));
        let text = *refused.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("tests/thread_channel.rs"), "{text}");
        assert!(sender.try_send(1).unwrap_err().is_full());
        let refused = catch_unwind(AssertUnwindSafe(|| no_yield(|| sender.send(1))));
        assert!(refused.is_err());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_destructor_that_unwinds_may_wait_and_is_not_killed() {
    struct Waits(Receiver<u8>, Sender<u8>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.1.send(self.0.recv().unwrap()).unwrap();
        }
    }
    let (question, questions) = bounded(0);
    let (answer, answers) = bounded(0);
    let other = os::spawn(move || {
        os::sleep(SHORT);
        question.send(3).unwrap();
        answers.recv()
    });
    run(|| {
        let killed = spawn(move || {
            let _waits = Waits(questions, answer);
            park();
        });
        yield_now();
        killed.kill("enough");
        yield_now();
        killed.kill("again");
        assert!(killed.join().unwrap_err().is_killed());
    });
    assert_eq!(other.join().unwrap(), Ok(3));
}

#[test]
fn the_end_of_a_run_withdraws_those_who_wait_in_it() {
    let (sender, receiver) = bounded(0);
    let theirs = receiver.clone();
    run(|| {
        drop(spawn(move || theirs.recv()));
        yield_now();
    });
    assert!(sender.try_send(1).unwrap_err().is_full());
    let theirs = sender.clone();
    run(|| {
        drop(spawn(move || theirs.send(1)));
        yield_now();
    });
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    // And in another run they serve as before.
    run(|| {
        let receives = spawn(move || receiver.recv());
        sender.send(2).unwrap();
        assert_eq!(receives.join().unwrap(), Ok(2));
    });
}

#[test]
fn tasks_are_served_first_in_first_out_beside_os_threads() {
    let order = run(|| {
        let (sender, receiver) = bounded(0);
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let (receiver, order) = (receiver.clone(), order.clone());
                let task = spawn(move || {
                    let message = receiver.recv().unwrap();
                    order.borrow_mut().push((n, message));
                });
                yield_now();
                task
            })
            .collect();
        os::spawn(move || (0..10).for_each(|n| sender.send(n).unwrap()))
            .join()
            .unwrap();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        order.take()
    });
    assert!(order.into_iter().all(|(task, message)| task == message));
}

#[test]
fn calls_that_never_wait_let_the_others_go_on() {
    run(|| {
        let (sender, receiver) = unbounded();
        let turns = Rc::new(Cell::new(0));
        let theirs = turns.clone();
        let daemon = task::Builder::new().daemon(true);
        let beside = move || {
            loop {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        };
        let _daemon = daemon.spawn::<()>(beside).unwrap();
        for n in 0..1280 {
            sender.send(n).unwrap();
        }
        for _ in 0..1280 {
            receiver.recv().unwrap();
        }
        assert!(turns.get() >= 19, "{}", turns.get());
    });
}

#[test]
fn it_is_refused_where_schedules_are_explored() {
    let (_sender, receiver) = bounded::<u8>(0);
    for f in [
        &(|| drop(bounded::<u8>(1))) as &dyn Fn(),
        &|| drop(unbounded::<u8>()),
        &|| assert!(receiver.recv().is_err()),
    ] {
        let outcome = maypole::explore::Explorer::new().check(f);
        let text = outcome.failure.unwrap().report().to_string();
        assert!(text.contains("inside explore"), "{text}");
    }
}

// ── two runs ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn two_runs_on_two_os_threads_exchange_over_channels() {
    let (question, questions) = bounded::<String>(1);
    let (answer, answers) = bounded(1);
    let server = os::spawn(move || {
        run(|| {
            for question in questions {
                if question == "QUIT" {
                    answer.send("bye".to_string()).unwrap();
                    break;
                }
                answer.send(question.to_lowercase()).unwrap();
            }
        });
    });
    let heard = run(|| {
        let ask = spawn(move || {
            for n in 1..=3 {
                question.send(format!("ECHO {n}")).unwrap();
            }
            question.send("QUIT".to_string()).unwrap();
        });
        let heard: Vec<String> = answers.iter().collect();
        ask.join().unwrap();
        heard
    });
    server.join().unwrap();
    assert_eq!(heard, ["echo 1", "echo 2", "echo 3", "bye"]);
}

#[test]
fn runs_that_end_while_messages_come_lose_none_of_those_that_were_received() {
    // Each short run receives some and leaves a receiver parked, which the end kills.
    let (sender, receiver) = bounded(0);
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let producer = os::spawn(move || {
        let mut sent = 0_u64;
        while !theirs.load(Ordering::SeqCst) {
            match sender.send_timeout(sent, Duration::from_millis(1)) {
                Ok(()) => sent += 1,
                Err(error) => assert!(error.is_timeout()),
            }
        }
        sent
    });
    let mut received = Vec::new();
    for round in 0..100 {
        let log = Rc::new(RefCell::new(Vec::new()));
        let (theirs, receiver) = (log.clone(), receiver.clone());
        run(move || {
            spawn(move || {
                for message in &receiver {
                    theirs.borrow_mut().push(message);
                }
            });
            for _ in 0..round % 7 {
                offload(|| ());
            }
        });
        received.extend(log.take());
    }
    stop.store(true, Ordering::SeqCst);
    let sent = producer.join().unwrap();
    assert!(
        received.iter().copied().eq(0..sent),
        "{} of {sent}",
        received.len()
    );
}

#[test]
fn random_kills_and_time_outs_on_both_sides_lose_and_double_nothing() {
    for (seed, capacity) in [(1, 0), (2, 1), (3, 8), (4, 0)] {
        storm(seed, capacity);
    }
}

/// Senders and receivers in two runs and in plain OS threads, most of them killed or timed out
/// again and again; the model is that each message that was sent is received once.
fn storm(seed: u64, capacity: usize) {
    let (sender, receiver) = bounded::<u64>(capacity);
    let (sent, got) = (unbounded::<u64>(), unbounded::<u64>());
    let next = Arc::new(AtomicUsize::new(0));
    let world = |seed: u64| {
        let (sender, receiver) = (sender.clone(), receiver.clone());
        let (sent, got, next) = (sent.0.clone(), got.0.clone(), next.clone());
        os::spawn(move || {
            run(move || {
                let mut random = Random(seed);
                for _ in 0..40 {
                    let mut tasks = Vec::new();
                    for kind in 0..12 {
                        let (sender, receiver) = (sender.clone(), receiver.clone());
                        let (sent, got, next) = (sent.clone(), got.clone(), next.clone());
                        tasks.push(spawn(move || {
                            loop {
                                // The note follows without a park: it is taken before any kill.
                                let message = next.fetch_add(1, Ordering::SeqCst) as u64;
                                let (did_send, did_get) = match kind % 4 {
                                    0 => (sender.send(message).is_ok(), None),
                                    1 => {
                                        let moment = Duration::from_micros(50);
                                        (sender.send_timeout(message, moment).is_ok(), None)
                                    }
                                    2 => (false, receiver.recv().ok()),
                                    _ => {
                                        let moment = Duration::from_micros(50);
                                        (false, receiver.recv_timeout(moment).ok())
                                    }
                                };
                                if did_send {
                                    sent.try_send(message).unwrap();
                                }
                                if let Some(message) = did_get {
                                    got.try_send(message).unwrap();
                                }
                            }
                        }));
                    }
                    while !tasks.is_empty() {
                        for _ in 0..random.below(3) {
                            yield_now();
                        }
                        let at = random.below(tasks.len() as u64) as usize;
                        tasks.swap_remove(at).kill("at random");
                    }
                }
            });
        })
    };
    let worlds = [world(seed), world(seed + 100)];
    let stop = Arc::new(AtomicBool::new(false));
    let plain = {
        let (sender, receiver, next) = (sender.clone(), receiver.clone(), next.clone());
        let (sent, got, stop) = (sent.0.clone(), got.0.clone(), stop.clone());
        os::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let message = next.fetch_add(1, Ordering::SeqCst) as u64;
                if sender
                    .send_timeout(message, Duration::from_micros(20))
                    .is_ok()
                {
                    sent.send(message).unwrap();
                }
                if let Ok(message) = receiver.recv_timeout(Duration::from_micros(20)) {
                    got.send(message).unwrap();
                }
            }
        })
    };
    worlds.into_iter().for_each(|world| world.join().unwrap());
    stop.store(true, Ordering::SeqCst);
    plain.join().unwrap();
    drop((sender, sent.0));
    let mut got: Vec<u64> = got.1.try_iter().chain(receiver.try_iter()).collect();
    let mut sent: Vec<u64> = sent.1.try_iter().collect();
    got.sort_unstable();
    sent.sort_unstable();
    assert!(!sent.is_empty());
    let lost: Vec<_> = sent
        .iter()
        .filter(|n| got.binary_search(n).is_err())
        .collect();
    let made: Vec<_> = got
        .iter()
        .filter(|n| sent.binary_search(n).is_err())
        .collect();
    assert_eq!(
        (sent == got, lost, made),
        (true, vec![], vec![]),
        "seed {seed}"
    );
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

#[test]
fn an_os_thread_that_waits_is_not_disturbed_by_what_others_do_to_it() {
    let (sender, receiver) = bounded::<u8>(0);
    let waits = os::spawn(move || receiver.recv());
    for _ in 0..100 {
        waits.thread().unpark();
    }
    sender.send(1).unwrap();
    assert_eq!(waits.join().unwrap(), Ok(1));
}

#[test]
fn a_waiting_os_thread_sees_the_message_at_once() {
    // No wake is lost between its look and its sleep.
    let (ping, pings) = bounded(0);
    let (pong, pongs) = bounded(0);
    let other = os::spawn(move || {
        for n in pings {
            pong.send(n).unwrap();
        }
    });
    for n in 0..2000 {
        ping.send_timeout(n, LONG).unwrap();
        assert_eq!(pongs.recv_timeout(LONG), Ok(n));
    }
    drop(ping);
    other.join().unwrap();
}
