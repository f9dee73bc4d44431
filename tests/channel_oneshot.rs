//! The channel of one message: it arrives once or comes back, whoever dies meanwhile.
use maypole::channel::__private::{Order, poll};
use maypole::channel::{RecvError, RecvTimeoutError, TryRecvError, oneshot, select, unbounded};
use maypole::task::Killed;
use maypole::{Builder, Clock, RunError, run, scope, sleep, spawn, time, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn in_virtual_time<T>(main: impl FnOnce() -> T) -> T {
    let run = Builder::new().clock(Clock::Virtual).run(main);
    run.unwrap_or_else(|error| panic!("{error}"))
}

/// Counts the messages that live.
#[derive(Clone, Default)]
struct Census(Rc<Cell<usize>>);

struct Message(Census);

impl Census {
    fn message(&self) -> Message {
        self.0.set(self.0.get() + 1);
        Message(self.clone())
    }

    fn alive(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

// ── one message ──────────────────────────────────────────────────────────────────────────────

#[test]
fn a_message_that_was_sent_needs_no_scheduler() {
    let (sender, receiver) = oneshot();
    assert_eq!(sender.send("hello"), Ok(()));
    assert_eq!(receiver.recv(), Ok("hello"));
}

#[test]
fn a_parked_receiver_is_woken_by_the_message() {
    run(|| {
        let (sender, receiver) = oneshot();
        let child = spawn(move || receiver.recv());
        yield_now();
        assert!(!child.is_finished());
        sender.send(7).unwrap();
        assert_eq!(child.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_message_may_borrow() {
    let words = ["may", "pole"].map(String::from);
    run(|| {
        let (sender, receiver) = oneshot();
        scope(|s| {
            s.spawn(|| sender.send(words[1].as_str()));
            assert_eq!(receiver.recv(), Ok("pole"));
        });
    });
}

#[test]
fn a_second_receive_finds_it_over() {
    let (sender, receiver) = oneshot();
    sender.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(receiver.recv(), Err(RecvError));
}

#[test]
fn a_try_tells_what_may_still_come() {
    let (sender, receiver) = oneshot::<u8>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

// ── the other side is gone ───────────────────────────────────────────────────────────────────

#[test]
fn a_dropped_sender_ends_the_wait() {
    run(|| {
        let (sender, receiver) = oneshot::<u8>();
        let child = spawn(move || receiver.recv());
        yield_now();
        drop(sender);
        assert_eq!(child.join().unwrap(), Err(RecvError));
    });
}

#[test]
fn without_a_receiver_the_message_comes_back() {
    let (sender, receiver) = oneshot();
    assert!(!sender.is_disconnected());
    drop(receiver);
    assert!(sender.is_disconnected());
    assert_eq!(sender.send("hello"), Err("hello"));
}

#[test]
fn a_message_that_is_not_received_is_dropped_with_the_receiver() {
    let census = Census::default();
    let (sender, receiver) = oneshot();
    assert!(sender.send(census.message()).is_ok());
    assert_eq!(census.alive(), 1);
    drop(receiver);
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_message_may_be_the_receiver_of_another() {
    let (sender, receiver) = oneshot();
    let (inner_sender, inner) = oneshot::<u8>();
    sender.send(inner).unwrap();
    drop(receiver);
    assert!(inner_sender.is_disconnected());
}

// ── time-outs and kills ──────────────────────────────────────────────────────────────────────

#[test]
fn a_time_out_takes_no_message() {
    in_virtual_time(|| {
        let (sender, receiver) = oneshot();
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
        let over = receiver.recv_timeout(SECOND);
        assert_eq!(over, Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn a_killed_receiver_leaves_the_message_to_its_sender() {
    run(|| {
        let (sender, receiver) = oneshot();
        let child = spawn(move || receiver.recv());
        yield_now();
        assert_eq!(child.kill("not interested"), Killed::Parked);
        assert!(child.join().unwrap_err().is_killed());
        assert_eq!(sender.send(7), Err(7));
    });
}

#[test]
fn a_receiver_that_was_woken_keeps_the_message_though_it_is_killed() {
    run(|| {
        let (sender, receiver) = oneshot();
        let got = Rc::new(Cell::new(None));
        let theirs = got.clone();
        let child = spawn(move || {
            theirs.set(Some(receiver.recv()));
            yield_now();
            unreachable!("the kill comes at the next park");
        });
        yield_now();
        sender.send(7).unwrap();
        assert_eq!(child.kill("too late"), Killed::Ready);
        assert!(child.join().unwrap_err().is_killed());
        assert_eq!(got.get(), Some(Ok(7)));
    });
}

#[test]
fn a_killed_sender_disconnects() {
    run(|| {
        let (sender, receiver) = oneshot::<u8>();
        let child = spawn(move || {
            sleep(SECOND);
            sender.send(1)
        });
        yield_now();
        child.kill("no answer");
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}

#[test]
fn a_killed_task_can_still_send_in_its_destructor() {
    struct Answer(Option<oneshot::Sender<&'static str>>);
    impl Drop for Answer {
        fn drop(&mut self) {
            let sender = self.0.take().unwrap();
            sender.send("was killed").unwrap();
        }
    }
    run(|| {
        let (sender, receiver) = oneshot();
        let child = spawn(move || {
            let _answer = Answer(Some(sender));
            maypole::task::park();
        });
        yield_now();
        child.kill("enough");
        assert_eq!(receiver.recv(), Ok("was killed"));
    });
}

// ── several that wait for one receiver ───────────────────────────────────────────────────────

#[test]
fn of_two_that_wait_the_first_gets_the_message_and_the_other_goes_on() {
    run(|| {
        let (sender, receiver) = oneshot();
        let receiver = Rc::new(receiver);
        let children = [(); 2].map(|()| {
            let receiver = receiver.clone();
            spawn(move || receiver.recv_timeout(SECOND))
        });
        yield_now();
        sender.send(7).unwrap();
        let got = children.map(|child| child.join().unwrap());
        assert_eq!(got, [Ok(7), Err(RecvTimeoutError::Disconnected)]);
    });
}

#[test]
fn nobody_takes_the_message_from_the_one_that_was_woken() {
    run(|| {
        let (sender, receiver) = oneshot();
        let receiver = Rc::new(receiver);
        let theirs = receiver.clone();
        let child = spawn(move || theirs.recv_timeout(SECOND));
        yield_now();
        sender.send(7).unwrap();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(child.join().unwrap(), Ok(7));
    });
}

// ── select ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_select_receives_the_message_parked_or_not() {
    run(|| {
        for parked in [false, true] {
            let (sender, receiver) = oneshot();
            let (_silent, other) = unbounded::<i32>();
            let sends = spawn(move || sender.send(7));
            if !parked {
                sends.join().unwrap().unwrap();
            }
            let got = select! {
                recv(receiver) -> message => message,
                recv(other) -> _ => unreachable!(),
            };
            assert_eq!(got, Ok(7));
            assert_eq!(receiver.recv(), Err(RecvError));
        }
    });
}

#[test]
fn a_select_learns_that_the_sender_is_gone() {
    run(|| {
        let (sender, receiver) = oneshot::<u8>();
        let (_silent, other) = unbounded::<u8>();
        spawn(move || drop(sender));
        select! {
            recv(receiver) -> message => assert_eq!(message, Err(RecvError)),
            recv(other) -> _ => unreachable!(),
        }
    });
}

#[test]
fn a_select_that_another_case_wins_leaves_the_message() {
    in_virtual_time(|| {
        let (sender, receiver) = oneshot();
        select! {
            recv(receiver) -> _ => unreachable!(),
            default => {}
        }
        select! {
            recv(receiver) -> _ => unreachable!(),
            default(SECOND) => {}
        }
        let (first, winner) = unbounded();
        spawn(move || first.send(1));
        select! {
            recv(receiver) -> _ => unreachable!(),
            recv(winner) -> message => assert_eq!(message, Ok(1)),
        }
        sender.send(7).unwrap();
        assert_eq!(receiver.recv(), Ok(7));
    });
}

#[test]
fn every_body_may_use_the_receiver_up() {
    in_virtual_time(|| {
        for (sent, at_once) in [(false, true), (false, false), (true, true), (true, false)] {
            let (sender, receiver) = oneshot();
            if sent {
                sender.send(7).unwrap();
            }
            let got = match at_once {
                true => select! {
                    recv(receiver) -> message => (message, receiver.recv()),
                    default => (Ok(0), receiver.recv_timeout(SECOND).map_err(|_| RecvError)),
                },
                false => select! {
                    recv(receiver) -> message => (message, receiver.recv()),
                    default(SECOND) => {
                        drop(receiver);
                        (Ok(0), Err(RecvError))
                    }
                },
            };
            assert_eq!(got, (Ok(if sent { 7 } else { 0 }), Err(RecvError)));
        }
    });
}

#[test]
fn one_receiver_may_be_two_cases() {
    run(|| {
        let (sender, receiver) = oneshot();
        spawn(move || sender.send(7));
        let got = select! {
            recv(receiver) -> message => message,
            recv(receiver) -> message => message,
        };
        assert_eq!(got, Ok(7));
    });
}

#[test]
fn a_select_killed_while_parked_takes_no_message() {
    run(|| {
        let (sender, receiver) = oneshot();
        let receiver = Rc::new(receiver);
        let theirs = receiver.clone();
        let child = spawn(move || {
            let (_silent, other) = unbounded::<u8>();
            select! {
                recv(theirs) -> _ => unreachable!(),
                recv(other) -> _ => unreachable!(),
            }
        });
        yield_now();
        child.kill("not interested");
        sender.send(7).unwrap();
        assert_eq!(receiver.try_recv(), Ok(7));
    });
}

#[test]
fn a_message_that_was_chosen_and_is_not_taken_can_be_had_again() {
    let (sender, receiver) = oneshot();
    sender.send(7).unwrap();
    // As when a select ends by a panic.
    let chosen = poll([receiver.__case()], Order::Biased).expect("there is a message");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    drop(chosen);
    assert_eq!(receiver.recv(), Ok(7));
}

// ── misuse and reports ───────────────────────────────────────────────────────────────────────

#[test]
fn a_wait_outside_of_a_run_is_refused() {
    let (_sender, receiver) = oneshot::<u8>();
    let payload = catch_unwind(AssertUnwindSafe(|| receiver.recv())).unwrap_err();
    let text = payload.downcast::<String>().unwrap();
    assert!(
        text.contains("recv") && text.contains("outside of maypole::run"),
        "{text}"
    );
}

#[test]
fn a_deadlock_report_says_which_oneshot_was_never_sent() {
    let mut line = 0;
    let stuck = Builder::new().run(|| {
        line = line!() + 1;
        let (_sender, receiver) = oneshot::<u8>();
        receiver.recv()
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody sends");
    };
    let report = report.to_string();
    for part in [
        "receiving from a oneshot".to_string(),
        "nothing sent, 1 sender alive".to_string(),
        format!("made at {}:{line}", file!()),
    ] {
        assert!(report.contains(&part), "{part:?} in {report}");
    }
}

#[test]
fn the_ends_print_without_their_message() {
    let (sender, receiver) = oneshot::<Message>();
    assert_eq!(
        format!("{sender:?} {receiver:?}"),
        "Sender { .. } Receiver { .. }"
    );
}
