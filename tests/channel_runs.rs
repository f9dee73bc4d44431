//! Channels outside of a run, in several runs, and of tasks that are paused, nested or given up.
mod channel_support;

use channel_support::{SECOND, panic_text, virtually};
use maypole::channel::{
    Receiver, Select, SendError, TryRecvError, TrySendError, bounded, never, select, unbounded,
};
use maypole::task::Killed;
use maypole::{Builder, RunError, run, scope, spawn, spawn_now, task, yield_now};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

#[test]
fn everything_that_needs_no_waiting_works_outside_of_a_run() {
    let (sender, receiver) = bounded(2);
    sender.send(1).unwrap();
    sender.send_timeout(2, SECOND).unwrap();
    assert!(sender.try_send(3).unwrap_err().is_full());
    assert_eq!(receiver.recv_timeout(SECOND), Ok(1));
    select! {
        recv(receiver) -> n => assert_eq!(n, Ok(2)),
        default => unreachable!(),
    }
    select! {
        recv(receiver) -> _ => unreachable!(),
        default => {}
    }
    select! {
        send(sender, 3) -> sent => sent.unwrap(),
        default(SECOND) => unreachable!(),
    }
    let mut select = Select::new();
    select.recv(&receiver);
    assert_eq!(select.ready(), 0);
    assert_eq!(select.select().recv(&receiver), Ok(3));
    drop(sender);
    assert!(receiver.recv().is_err());
}

#[test]
fn what_would_wait_outside_of_a_run_is_refused_and_leaves_nothing() {
    let dropped = Rc::new(());
    let (sender, receiver) = bounded(0);
    let silence = never::<u8>();
    let refused = [
        panic_text(|| sender.send(dropped.clone())),
        panic_text(|| sender.send_timeout(dropped.clone(), SECOND)),
        panic_text(|| receiver.recv()),
        panic_text(|| receiver.recv_timeout(SECOND)),
        panic_text(|| select! { recv(receiver) -> _ => {} recv(silence) -> _ => {} }),
        panic_text(|| {
            let mut select = Select::new();
            select.send(&sender);
            select.ready()
        }),
    ];
    for text in refused {
        let text = text.expect("it would wait for ever");
        assert!(text.contains("outside of maypole::run"), "{text}");
    }
    assert_eq!(Rc::strong_count(&dropped), 1);
    assert_eq!((sender.len(), receiver.len()), (0, 0));
    run(|| {
        let receives = spawn(move || receiver.recv());
        sender.send(dropped.clone()).unwrap();
        assert!(receives.join().unwrap().is_ok());
    });
}

#[test]
fn a_channel_outlives_its_run() {
    for capacity in [0, 1, 3] {
        let (sender, receiver) = bounded(capacity);
        for round in 0..3 {
            run(|| {
                // Parked at the end of the run, in every way there is.
                let (s, r) = (sender.clone(), receiver.clone());
                let parked = [
                    spawn(move || _ = r.recv()),
                    {
                        let r: Receiver<usize> = receiver.clone();
                        spawn(move || {
                            let silence = never::<u8>();
                            select! {
                                recv(r) -> _ => {}
                                recv(silence) -> _ => {}
                            }
                        })
                    },
                    {
                        let r = receiver.clone();
                        spawn(move || {
                            let mut select = Select::new();
                            select.recv(&r);
                            select.ready();
                        })
                    },
                ];
                yield_now();
                for task in &parked {
                    assert!(matches!(task.task().status(), task::Status::Parked(_)));
                }
                drop(parked);
                drop(s);
            });
            run(|| {
                for n in 0..capacity + 1 {
                    let s = sender.clone();
                    spawn(move || _ = s.send(round * 10 + n));
                }
                yield_now();
            });
            // The last of them was killed in its send, which has taken its message back.
            assert_eq!(receiver.len(), capacity);
            let queued = (0..capacity).map(|n| round * 10 + n);
            assert!(receiver.try_iter().eq(queued));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn a_message_that_was_promised_at_the_end_of_a_run_is_not_lost() {
    let (sender, receiver) = unbounded();
    let got = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let (r, got) = (receiver.clone(), got.clone());
        spawn(move || {
            let n = r.recv().unwrap();
            got.borrow_mut().push(n);
            task::check_killed();
        });
        yield_now();
        // It has been woken, and the run ends before its turn.
        sender.send(1).unwrap();
    });
    assert_eq!((got.take(), receiver.len()), (vec![1], 0));
    sender.send(2).unwrap();
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_task_that_is_given_up_takes_no_message() {
    let (sender, receiver) = bounded(0);
    run(|| {
        let theirs = receiver.clone();
        let stubborn = spawn(move || {
            loop {
                let _ = catch_unwind(AssertUnwindSafe(|| theirs.recv()));
            }
        });
        yield_now();
        stubborn.kill("and it swallows it");
        assert!(stubborn.join().unwrap_err().is_abandoned());
        assert!(sender.try_send(1).unwrap_err().is_full());
        let receives = spawn(move || receiver.recv());
        sender.send(2).unwrap();
        assert_eq!(receives.join().unwrap(), Ok(2));
    });
    // Its receiver was never dropped.
    assert!(sender.try_send(3).unwrap_err().is_full());
}

#[test]
fn forgotten_handles_of_parked_tasks_change_nothing() {
    let (sender, receiver) = bounded(0);
    run(|| {
        let theirs = receiver.clone();
        std::mem::forget(spawn(move || theirs.recv()));
        let theirs = sender.clone();
        std::mem::forget(spawn(move || theirs.send(2)));
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(2));
        let theirs = receiver.clone();
        std::mem::forget(spawn(move || theirs.recv()));
        yield_now();
    });
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
}

#[test]
fn a_deadlock_gives_every_message_back() {
    let dropped = Rc::new(());
    let (sender, receiver) = bounded(1);
    let stuck = Builder::new().run(|| {
        scope(|s| {
            for _ in 0..3 {
                s.spawn(|| drop(sender.send(dropped.clone())));
            }
        });
    });
    assert!(matches!(stuck, Err(RunError::Deadlock(_))));
    assert_eq!((Rc::strong_count(&dropped), receiver.len()), (2, 1));
    drop(receiver);
    assert_eq!(Rc::strong_count(&dropped), 1);
}

#[test]
fn a_paused_receiver_keeps_its_message_until_it_goes_on() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let receives = spawn(move || receiver.recv());
        yield_now();
        receives.task().pause();
        sender.send(7).unwrap();
        yield_now();
        assert!(!receives.is_finished());
        receives.task().resume();
        assert_eq!(receives.join().unwrap(), Ok(7));
    });
}

#[test]
fn the_message_of_a_paused_sender_is_received() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let sends = spawn(move || sender.send(7));
        yield_now();
        sends.task().pause();
        assert_eq!(receiver.recv(), Ok(7));
        assert!(!sends.is_finished());
        sends.task().resume();
        sends.join().unwrap().unwrap();
    });
}

#[test]
fn a_paused_select_is_met_and_makes_its_message_when_it_goes_on() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let sends = spawn(move || {
            let silence = never::<u8>();
            select! {
                send(sender, 7) -> sent => sent,
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        sends.task().pause();
        assert!(receiver.recv_timeout(SECOND).unwrap_err().is_timeout());
        sends.task().resume();
        assert_eq!(receiver.recv(), Ok(7));
        sends.join().unwrap().unwrap();
    });
}

#[test]
fn a_nested_child_meets_its_parent() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let theirs = receiver.clone();
        let child = spawn_now(move || (theirs.recv(), theirs.recv()));
        sender.send(1).unwrap();
        let sends = spawn_now(move || sender.send(2));
        assert_eq!(child.join().unwrap(), (Ok(1), Ok(2)));
        sends.join().unwrap().unwrap();
        assert!(receiver.recv().is_err());
    });
}

#[test]
fn a_generator_receives_for_the_task_that_resumes_it() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
        let squares = maypole::generator::Generator::<_>::new(move |yielder| {
            receiver.iter().for_each(|n: u32| yielder.yield_(n * n));
        });
        assert!(squares.eq([1, 4, 9]));
    });
}

#[test]
fn a_kill_of_a_task_in_a_generator_takes_no_message() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let rest = receiver.clone();
        let victim = spawn(move || {
            let mut inner = maypole::generator::Generator::<_>::new(move |yielder| {
                yielder.yield_(receiver.recv());
            });
            inner.next()
        });
        yield_now();
        assert_eq!(victim.kill("inside of its generator"), Killed::Parked);
        assert!(victim.join().unwrap_err().is_killed());
        assert!(sender.try_send(1).unwrap_err().is_full());
        drop(rest);
        assert_eq!(sender.send(2), Err(SendError(2)));
    });
}
