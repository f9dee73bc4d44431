//! Channels as their users see them: order, bounds, disconnection, kills, time-outs.
use maypole::channel::{
    Builder, Prefer, RecvTimeoutError, SendError, TryRecvError, TrySendError, after, at, bounded,
    never, select, select_biased, tick, unbounded,
};
use maypole::{Clock, run, scope, sleep, spawn, time, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn in_virtual_time<T>(main: impl FnOnce() -> T) -> T {
    maypole::Builder::new()
        .clock(Clock::Virtual)
        .run(main)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The order of events of a sender and a receiver of three messages.
fn rendezvous_order(prefer: Prefer) -> String {
    let log = RefCell::new(Vec::new());
    run(|| {
        let (sender, receiver) = Builder::new().capacity(0).prefer(prefer).build();
        scope(|s| {
            s.spawn(|| {
                for _ in 0..3 {
                    let n: usize = receiver.recv().unwrap();
                    log.borrow_mut().push(format!("rx{n}"));
                }
            });
            s.spawn(|| {
                for n in 0..3 {
                    log.borrow_mut().push(format!("tx{n}"));
                    sender.send(n).unwrap();
                }
            });
        });
    });
    log.take().join(" ")
}

#[test]
fn a_preferred_receiver_runs_at_once() {
    let order = rendezvous_order(Prefer::Receiver);
    assert_eq!(order, "tx0 rx0 tx1 rx1 tx2 rx2");
}

#[test]
fn a_preferred_sender_runs_at_once() {
    let order = rendezvous_order(Prefer::Sender);
    assert_eq!(order, "tx0 tx1 rx0 tx2 rx1 rx2");
}

#[test]
fn without_a_preference_whoever_came_second_goes_on() {
    let order = rendezvous_order(Prefer::Neither);
    assert_eq!(order, "tx0 tx1 rx0 rx1 tx2 rx2");
}

#[test]
fn messages_come_in_the_order_of_sending() {
    for capacity in [0, 1, 2, 7, 100] {
        run(|| {
            let (sender, receiver) = bounded(capacity);
            let producer = spawn(move || (0..50).for_each(|n| sender.send(n).unwrap()));
            assert!(receiver.iter().eq(0..50), "capacity {capacity}");
            producer.join().unwrap();
        });
    }
}

#[test]
fn a_receiver_drains_the_channel_before_it_is_disconnected() {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn a_parked_sender_gets_its_message_back_when_the_receivers_are_gone() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let child = spawn(move || sender.send("mine"));
        yield_now();
        drop(receiver);
        assert_eq!(child.join().unwrap(), Err(SendError("mine")));
    });
}

#[test]
fn a_late_sender_gets_its_message_back() {
    in_virtual_time(|| {
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        let late = sender.send_timeout(2, SECOND).unwrap_err();
        assert!(late.is_timeout());
        assert_eq!(late.into_inner(), 2);
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_killed_sender_drops_its_message() {
    let dropped = Rc::new(());
    run(|| {
        let (sender, receiver) = bounded(0);
        let message = dropped.clone();
        let child = spawn(move || sender.send(message));
        yield_now();
        child.kill("enough");
        assert!(child.join().unwrap_err().is_killed());
        assert_eq!(Rc::strong_count(&dropped), 1);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn a_message_that_was_handed_over_survives_the_kill_of_its_receiver() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let got = Rc::new(RefCell::new(None));
        let theirs = got.clone();
        let child = spawn(move || {
            *theirs.borrow_mut() = receiver.recv().ok();
            maypole::task::park();
        });
        yield_now();
        sender.send(7).unwrap();
        child.kill("too late");
        assert!(child.join().unwrap_err().is_killed());
        assert_eq!(got.take(), Some(7));
    });
}

#[test]
fn a_receive_times_out_once_and_gets_the_message_the_second_time() {
    in_virtual_time(|| {
        let (sender, receiver) = unbounded();
        let start = time::now();
        spawn(move || {
            sleep(Duration::from_millis(50));
            sender.send("item").unwrap();
        });
        let early = receiver.recv_timeout(Duration::from_millis(10));
        assert_eq!(early, Err(RecvTimeoutError::Timeout));
        let second = receiver.recv_timeout(Duration::from_millis(100));
        assert_eq!(second, Ok("item"));
        assert_eq!(time::now() - start, Duration::from_millis(50));
    });
}

#[test]
fn a_message_whose_destructor_panics_leaves_the_others_undropped() {
    struct Grumpy(Rc<RefCell<Vec<u8>>>, u8);
    impl Drop for Grumpy {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
            if self.1 == 2 {
                panic!("dropped");
            }
        }
    }
    let log = Rc::new(RefCell::new(Vec::new()));
    let (sender, receiver) = unbounded();
    for n in 1..=3 {
        sender.send(Grumpy(log.clone(), n)).unwrap();
    }
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(receiver)));
    assert!(dropped.is_err());
    drop(sender);
    assert_eq!(log.take(), [1, 2]);
}

#[test]
fn a_message_may_send_into_its_own_channel_when_it_is_dropped() {
    struct Echo(Option<maypole::channel::Sender<Echo>>);
    impl Drop for Echo {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                assert!(sender.send(Echo(None)).is_err());
            }
        }
    }
    let (sender, receiver) = unbounded();
    sender.send(Echo(Some(sender.clone()))).unwrap();
    drop(receiver);
}

#[test]
fn select_takes_what_is_ready_and_leaves_the_rest() {
    run(|| {
        let (a, from_a) = unbounded();
        let (b, from_b) = unbounded();
        a.send(1).unwrap();
        b.send(2).unwrap();
        let taken = select! {
            recv(from_a) -> n => n.unwrap(),
            recv(from_b) -> n => n.unwrap(),
        };
        let left = from_a.try_iter().chain(from_b.try_iter());
        assert_eq!(taken + left.sum::<i32>(), 3);
    });
}

#[test]
fn a_biased_select_takes_the_first() {
    let (a, from_a) = unbounded();
    let (b, from_b) = unbounded();
    let mut order = Vec::new();
    for n in [1, 2] {
        a.send(format!("x{n}")).unwrap();
        b.send(format!("y{n}")).unwrap();
    }
    loop {
        select_biased! {
            recv(from_b) -> message => order.push(message.unwrap()),
            recv(from_a) -> message => order.push(message.unwrap()),
            default => break,
        }
    }
    assert_eq!(order, ["y1", "y2", "x1", "x2"]);
}

#[test]
fn select_gives_way_to_its_default_after_the_time() {
    in_virtual_time(|| {
        let (_sender, receiver) = unbounded::<u8>();
        let start = time::now();
        select! {
            recv(receiver) -> _ => unreachable!(),
            default(Duration::from_millis(50)) => {}
        }
        assert_eq!(time::now() - start, Duration::from_millis(50));
    });
}

#[test]
fn two_selects_meet() {
    run(|| {
        let (s, r) = bounded(0);
        let (never_s, never_r) = bounded::<u8>(0);
        let child = {
            let (s, never_r) = (s.clone(), never_r.clone());
            spawn(move || {
                select! {
                    send(s, 7) -> result => result.unwrap(),
                    recv(never_r) -> _ => unreachable!(),
                }
            })
        };
        yield_now();
        select! {
            recv(r) -> n => assert_eq!(n, Ok(7)),
            send(never_s, 1) -> _ => unreachable!(),
        }
        child.join().unwrap();
    });
}

#[test]
fn a_select_does_not_meet_itself() {
    in_virtual_time(|| {
        let (s, r) = bounded(0);
        select! {
            send(s, 1) -> _ => unreachable!(),
            recv(r) -> _ => unreachable!(),
            default(SECOND) => {}
        }
    });
}

#[test]
fn a_select_waits_for_the_end_of_a_task() {
    run(|| {
        let (_sender, receiver) = unbounded::<u8>();
        let mut child = spawn(|| 42);
        let answer = select! {
            join(&mut child) -> result => result.unwrap(),
            recv(receiver) -> _ => unreachable!(),
        };
        assert_eq!(answer, 42);
    });
}

#[test]
fn timers_are_channels() {
    in_virtual_time(|| {
        let start = time::now();
        assert_eq!(after(SECOND).recv(), Ok(start + SECOND));
        assert_eq!(at(start + 3 * SECOND).recv(), Ok(start + 3 * SECOND));
        let ticks = tick(SECOND);
        assert!(ticks.iter().take(3).eq((4..7).map(|n| start + n * SECOND)));
        assert!(never::<u8>().recv_timeout(SECOND).is_err());
    });
}

#[test]
fn a_full_channel_says_so() {
    let (sender, receiver) = bounded(2);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!((sender.len(), sender.is_full()), (2, true));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(sender.try_send(3).is_ok());
}

#[test]
fn a_kill_in_the_destructor_of_a_message_leaves_none_behind() {
    struct Slow(Rc<RefCell<Vec<u8>>>, u8);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
            sleep(SECOND);
        }
    }
    let log = Rc::new(RefCell::new(Vec::new()));
    in_virtual_time(|| {
        let (sender, receiver) = unbounded();
        for n in 1..=3 {
            sender.send(Slow(log.clone(), n)).unwrap();
        }
        let child = spawn(move || drop(receiver));
        yield_now();
        child.kill("in the middle");
        let _ = child.join();
    });
    assert_eq!(log.take(), [1, 2, 3]);
}

#[test]
fn two_that_only_watch_a_rendezvous_deadlock() {
    use maypole::channel::Select;
    let stuck = maypole::Builder::new().max_turns(10_000).run(|| {
        let (sender, receiver) = bounded::<u8>(0);
        scope(|s| {
            s.spawn(|| {
                let mut select = Select::new();
                select.recv(&receiver);
                select.ready()
            });
            let mut select = Select::new();
            select.send(&sender);
            select.ready()
        });
    });
    assert!(matches!(stuck, Err(maypole::RunError::Deadlock(_))));
}

#[test]
fn a_select_may_have_thirty_two_cases() {
    let (sender, r) = unbounded();
    sender.send(1).unwrap();
    drop(sender);
    let received = select! {
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
        recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m, recv(r) -> m => m,
    };
    assert_eq!(received, Ok(1));
}
