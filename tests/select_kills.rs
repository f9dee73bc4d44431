//! Kills and time-outs that reach a task in a select, at each of its steps.
mod channel_support;

use channel_support::{SECOND, every_schedule, panic_text, virtually};
use maypole::channel::{Receiver, Select, after, bounded, never, select, tick, unbounded};
use maypole::task::Killed;
use maypole::{sleep, spawn, task, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// The ways to wait for a moment that another takes.
const WAYS: [fn(Receiver<Instant>); 4] = [
    |timer| _ = timer.recv(),
    |timer| {
        let silence = never::<()>();
        select! {
            recv(timer) -> _ => {}
            recv(silence) -> _ => {}
        }
    },
    |timer| {
        let mut select = Select::new();
        select.recv(&timer);
        _ = select.select().recv(&timer);
    },
    |timer| {
        let mut select = Select::new();
        select.recv(&timer);
        while timer.try_recv().is_err() {
            select.ready();
        }
    },
];

#[test]
fn a_task_whose_moment_was_taken_by_another_can_be_killed() {
    for way in WAYS {
        virtually(|| {
            let timeout = after(SECOND);
            let theirs = timeout.clone();
            let loser = spawn(move || way(theirs));
            // Both are woken, and main is the first to look.
            timeout.recv().unwrap();
            assert_eq!(loser.kill("too late"), Killed::Ready);
            assert!(loser.join().unwrap_err().is_killed());
        });
    }
}

#[test]
fn the_clones_of_a_ticker_share_its_ticks_and_die_alone() {
    virtually(|| {
        let ticks = tick(SECOND);
        let count = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (ticks, count) = (ticks.clone(), count.clone());
                spawn(move || ticks.iter().for_each(|_| count.set(count.get() + 1)))
            })
            .collect();
        sleep(10 * SECOND + SECOND / 2);
        assert_eq!(count.get(), 10);
        tasks[0].kill("one");
        tasks[2].kill("another");
        sleep(10 * SECOND);
        assert_eq!(count.get(), 20);
    });
}

#[test]
fn a_kill_at_any_moment_of_a_select_leaves_its_channels_whole() {
    every_schedule("whole", 2, 20_000, || {
        let (s, r) = bounded(0);
        let (t, u) = bounded(1);
        let victim = {
            let (r, t) = (r.clone(), t.clone());
            spawn(move || {
                for _ in 0..2 {
                    select! {
                        recv(r) -> n => assert_eq!(n, Ok(1)),
                        send(t, 2) -> sent => sent.unwrap(),
                    }
                }
            })
        };
        let prey = victim.task().clone();
        let killer = spawn(move || prey.kill("at any moment"));
        killer.join().unwrap();
        drop(victim.join());
        let sent = u.try_iter().count();
        assert!(sent <= 1 && u.is_empty());
        // Nothing of it is left: each channel is as empty as it looks.
        assert!(s.try_send(1).is_err() && r.try_recv().is_err());
        assert!(t.try_send(2).is_ok() && u.try_recv().is_ok());
        let receiver = spawn(move || r.recv());
        s.send(1).unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(1));
    });
}

fn never_made() -> u8 {
    unreachable!("it was killed before")
}

#[test]
fn a_killed_select_does_not_make_its_message() {
    virtually(|| {
        let (sender, receiver) = bounded::<u8>(0);
        let (_silent, silence) = bounded::<u8>(0);
        let victim = spawn(move || {
            select! {
                send(sender, never_made()) -> _ => {}
                recv(silence) -> _ => {}
            }
        });
        yield_now();
        assert_eq!(victim.kill("while it waits"), Killed::Parked);
        assert!(victim.join().unwrap_err().is_killed());
        assert!(receiver.recv().is_err());
    });
}

#[test]
fn a_select_that_was_woken_keeps_its_message_though_it_is_killed() {
    virtually(|| {
        let (sender, receiver) = unbounded();
        let silence = never::<u8>();
        let got = Rc::new(Cell::new(0));
        let theirs = got.clone();
        let victim = spawn(move || {
            select! {
                recv(receiver) -> n => theirs.set(n.unwrap()),
                recv(silence) -> _ => unreachable!(),
            }
            task::check_killed();
            unreachable!();
        });
        yield_now();
        sender.send(7).unwrap();
        assert_eq!(victim.kill("too late for the message"), Killed::Ready);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(got.get(), 7);
    });
}

#[test]
fn a_select_that_was_woken_before_its_time_keeps_its_message() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let silence = never::<u8>();
        spawn(move || {
            sleep(SECOND);
            sender.send(7).unwrap();
            // The clock moves on before the receiver has its turn.
            yield_now();
        });
        let got = select! {
            recv(receiver) -> n => n.ok(),
            recv(silence) -> _ => unreachable!(),
            default(SECOND + SECOND / 2) => None,
        };
        assert_eq!(got, Some(7));
    });
}

#[test]
fn a_shield_holds_a_kill_back_from_a_select() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let silence = never::<u8>();
        let got = Rc::new(Cell::new(0));
        let theirs = got.clone();
        let victim = spawn(move || {
            task::shield(|| {
                select! {
                    recv(receiver) -> n => theirs.set(n.unwrap()),
                    recv(silence) -> _ => unreachable!(),
                }
            })
        });
        yield_now();
        assert_eq!(victim.kill("later"), Killed::Shielded);
        sender.send(7).unwrap();
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(got.get(), 7);
    });
}

#[test]
fn try_select_is_killed_only_where_it_waits_for_a_message_being_made() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let maker = spawn(move || {
            let silence = never::<u8>();
            select! {
                send(sender, {
                    sleep(10 * SECOND);
                    7
                }) -> sent => sent,
                recv(silence) -> _ => unreachable!(),
            }
        });
        let rest = receiver.clone();
        let victim = spawn(move || {
            let me = task::current();
            let mut select = Select::new();
            select.recv(&receiver);
            me.kill("by itself");
            let _ = select.try_select();
            unreachable!("it would wait");
        });
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(rest.recv(), Ok(7));
        maker.join().unwrap().unwrap();
    });
}

#[test]
fn where_parking_is_forbidden_only_what_is_ready_is_selected() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        spawn(move || {
            let silence = never::<u8>();
            select! {
                send(sender, 7) -> sent => sent.unwrap(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        let silence = never::<u8>();
        let text = panic_text(|| {
            task::no_yield(|| {
                // The partner's message is not made, and could not be waited for.
                select! {
                    recv(receiver) -> _ => unreachable!(),
                    default => {}
                }
                select! {
                    recv(receiver) -> _ => unreachable!(),
                    recv(silence) -> _ => unreachable!(),
                }
            })
        });
        assert!(text.unwrap().contains("no_yield"));
        select! {
            recv(receiver) -> n => assert_eq!(n, Ok(7)),
            default => unreachable!(),
        }
    });
}
