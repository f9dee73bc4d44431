//! Selects against selects, under every schedule: each message has one end, and nobody is left
//! waiting who could go on.
mod channel_support;

use channel_support::{Ledger, Message, SECOND, Sent, channel, every_schedule, panics_with};
use maypole::channel::{Receiver, SendError, Sender, after, bounded, never, select, unbounded};
use maypole::explore::any;
use maypole::{Task, sleep, spawn, yield_now};

/// Kills the task at any moment, if this schedule does so at all.
fn may_kill(victim: &Task) -> bool {
    let kills = any(2) == 1;
    if kills {
        let victim = victim.clone();
        spawn(move || victim.kill("at any moment"));
    }
    kills
}

/// Which way a message is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Making {
    AtOnce,
    Slowly,
    /// By panicking, which the sender catches.
    Never,
}

const MAKINGS: [Making; 3] = [Making::AtOnce, Making::Slowly, Making::Never];

/// One turn of a task that would send or receive, whatever comes first, for a second.
fn exchange(
    me: usize,
    ledger: &Ledger,
    sender: &Sender<Message>,
    receiver: &Receiver<Message>,
    making: Making,
) {
    let message = ledger.later(me);
    let make = || {
        if making != Making::AtOnce {
            yield_now();
        }
        match making {
            Making::Never => panic!("no message"),
            Making::AtOnce | Making::Slowly => message.make(),
        }
    };
    panics_with("no message", || {
        select! {
            send(sender, make()) -> result => {
                message.told(result.map_err(SendError::into_inner));
            }
            recv(receiver) -> other => if let Ok(other) = other {
                ledger.received(me, other);
            },
            default(SECOND) => {}
        }
    });
}

/// Starts a task that receives when the selects have had their time: messages that are queued, and
/// those of senders whose receiver was killed while they made it.
fn receives_what_is_left(ledger: &Ledger, receiver: Receiver<Message>) {
    let ledger = ledger.clone();
    spawn(move || {
        sleep(10 * SECOND);
        receiver
            .iter()
            .for_each(|message| ledger.received(0, message));
    });
}

/// Two tasks with two channels, one each way.
fn crossing(capacity: Option<usize>, makings: [Making; 2]) {
    let ledger = Ledger::new();
    let there = channel(capacity);
    let back = channel(capacity);
    let tasks = [(1, &there.0, &back.1), (2, &back.0, &there.1)].map(|(me, sender, receiver)| {
        let (ledger, sender, receiver) = (ledger.clone(), sender.clone(), receiver.clone());
        spawn(move || exchange(me, &ledger, &sender, &receiver, makings[me - 1]))
    });
    receives_what_is_left(&ledger, there.1);
    receives_what_is_left(&ledger, back.1);
    drop((there.0, back.0));
    let killed = may_kill(tasks[0].task());
    for task in tasks {
        assert!(task.join().is_ok() || killed);
    }
    sleep(100 * SECOND);
    ledger.settle(Sent::Arrives);
}

#[test]
fn two_selects_that_cross_exchange_whole_messages() {
    for capacity in [Some(0), Some(1)] {
        for first in MAKINGS {
            for second in MAKINGS {
                let context = format!("{capacity:?} {first:?} {second:?}");
                every_schedule(&context, 1, 1500, || crossing(capacity, [first, second]));
            }
        }
    }
}

/// Three tasks that send and receive on one channel, and never meet themselves.
fn meeting(making: Making) {
    let ledger = Ledger::new();
    let (sender, receiver) = bounded(0);
    let tasks: Vec<_> = (1..=3)
        .map(|me| {
            let (ledger, sender, receiver) = (ledger.clone(), sender.clone(), receiver.clone());
            spawn(move || exchange(me, &ledger, &sender, &receiver, making))
        })
        .collect();
    receives_what_is_left(&ledger, receiver);
    drop(sender);
    let killed = may_kill(tasks[1].task());
    for task in tasks {
        assert!(task.join().is_ok() || killed);
    }
    sleep(100 * SECOND);
    assert!(killed || making == Making::Never || ledger.count_by(1..=3) == 1);
    ledger.settle(Sent::Arrives);
}

#[test]
fn of_three_selects_on_one_rendezvous_two_meet() {
    for making in MAKINGS {
        every_schedule(&format!("{making:?}"), 1, 2000, || meeting(making));
    }
}

fn fails_slowly() {
    yield_now();
    panic!("no message")
}

#[test]
fn a_select_that_waits_for_a_message_being_made_can_be_killed() {
    every_schedule("killed", 2, 20_000, || {
        let (sender, receiver) = bounded::<()>(0);
        let _more = sender.clone();
        let (_silent, silence) = bounded::<()>(0);
        let maker = spawn(move || {
            let nothing = never::<()>();
            select! {
                send(sender, fails_slowly()) -> _ => unreachable!(),
                recv(nothing) -> _ => unreachable!(),
            }
        });
        let waiter = spawn(move || {
            select! {
                recv(receiver) -> _ => unreachable!(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        let victim = waiter.task().clone();
        let killer = spawn(move || {
            yield_now();
            victim.kill("at any moment")
        });
        killer.join().unwrap();
        assert!(waiter.join().unwrap_err().is_killed());
        // Nobody receives any more: a select that has not won goes on waiting.
        maker.kill("the end");
        assert!(maker.join().is_err());
    });
}

#[test]
fn a_message_arrives_whoever_is_selected_beside_its_channel() {
    for capacity in [Some(0), Some(1), None] {
        every_schedule(&format!("{capacity:?}"), 2, 4000, || {
            let ledger = Ledger::new();
            let (sender, receiver) = channel(capacity);
            let rest = receiver.clone();
            let sends = {
                let ledger = ledger.clone();
                spawn(move || {
                    if any(2) == 1 {
                        sleep(SECOND);
                    }
                    ledger.send(1, |message| {
                        sender.send(message).map_err(SendError::into_inner)
                    })
                })
            };
            let theirs = ledger.clone();
            let receives = spawn(move || {
                let mut child = spawn(|| sleep(SECOND));
                let timeout = after(SECOND);
                select! {
                    recv(receiver) -> message => if let Ok(message) = message {
                        theirs.received(1, message);
                    },
                    join(&mut child) -> end => end.unwrap(),
                    recv(timeout) -> moment => assert!(moment.is_ok()),
                }
            });
            let killed = may_kill(receives.task());
            assert!(receives.join().is_ok() || killed);
            rest.iter().for_each(|message| ledger.received(0, message));
            sends.join().unwrap();
            ledger.settle(Sent::Arrives);
        });
    }
}

#[test]
fn a_select_that_loses_leaves_no_waiter_behind() {
    every_schedule("losing", 2, 20_000, || {
        let (first, from_first) = unbounded();
        let (second, from_second) = bounded(0);
        let waiter = {
            let (from_first, from_second) = (from_first.clone(), from_second.clone());
            spawn(move || {
                select! {
                    recv(from_first) -> n => n.unwrap(),
                    recv(from_second) -> n => n.unwrap(),
                }
            })
        };
        let (_first, _second) = (first.clone(), second.clone());
        let sender = spawn(move || {
            first.send(1).unwrap();
            // Whichever of the two the select takes, a second receive finds the other.
            second.send(2).unwrap();
        });
        let rest = spawn(move || {
            select! {
                recv(from_first) -> n => n.unwrap_or(0),
                recv(from_second) -> n => n.unwrap_or(0),
            }
        });
        let other = rest.join().unwrap();
        let one = waiter.join().unwrap();
        sender.join().unwrap();
        assert_eq!(one + other, 3);
    });
}
