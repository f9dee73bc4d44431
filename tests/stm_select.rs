//! Transactions as cases of a `select!`.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::channel::{after, bounded, select, select_biased, unbounded};
use maypole::stm::{TVar, Transaction, atomically, check, delay, retry};
use maypole::task::{Killed, Status, What};
use maypole::time::{now, timeout};
use maypole::{run, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, message_of, ms, on_virtual_time, payload_of};

/// Takes what is in the variable, waiting until something is.
fn take<T: Clone>(tx: &Transaction, from: &TVar<Option<T>>) -> Result<T, maypole::stm::Stop> {
    match from.read(tx) {
        Some(value) => {
            from.write(tx, None);
            Ok(value)
        }
        None => retry(),
    }
}

#[test]
fn a_transaction_that_can_commit_does_and_gives_its_value() {
    run(|| {
        let (place, (_sender, receiver)) = (TVar::new(Some(7)), bounded::<u8>(1));
        let value = select! {
            recv(receiver) -> message => message.unwrap(),
            atomically(|tx| take(tx, &place)) -> value => value + 1,
        };
        assert_eq!((value, place.get()), (8, None));
    });
}

#[test]
fn one_that_loses_is_undone_and_not_committed() {
    for biased in [false, true] {
        run(|| {
            let (place, (sender, receiver)) = (TVar::new(None::<u8>), bounded::<u8>(1));
            let written = TVar::new(0);
            sender.send(1).unwrap();
            let transaction = |tx: &Transaction| {
                written.update(tx, |n| n + 1);
                tx.on_commit(|| unreachable!());
                take(tx, &place)
            };
            let value = match biased {
                true => select_biased! {
                    recv(receiver) -> message => message.unwrap(),
                    atomically(transaction) -> _ => unreachable!(),
                },
                false => select! {
                    atomically(transaction) -> _ => unreachable!(),
                    recv(receiver) -> message => message.unwrap(),
                },
            };
            assert_eq!((value, written.get()), (1, 0));
        });
    }
}

#[test]
fn of_two_ready_cases_the_loser_leaves_no_trace() {
    run(|| {
        let mut won = [0, 0];
        for _ in 0..100 {
            let (place, (sender, receiver)) = (TVar::new(Some(1)), bounded::<u8>(1));
            let hooks = Rc::new(Cell::new(0));
            sender.send(1).unwrap();
            select! {
                atomically(|tx| {
                    let hooks = hooks.clone();
                    tx.on_commit(move || hooks.set(hooks.get() + 1));
                    take(tx, &place)
                }) -> _ => {
                    won[0] += 1;
                    assert_eq!((place.get(), receiver.len(), hooks.get()), (None, 1, 1));
                }
                recv(receiver) -> _ => {
                    won[1] += 1;
                    assert_eq!((place.get(), receiver.len(), hooks.get()), (Some(1), 0, 0));
                }
            }
        }
        assert!(won[0] > 20 && won[1] > 20, "{won:?}");
    });
}

#[test]
fn biased_takes_the_first_that_can_commit() {
    run(|| {
        let places = [None, Some('b'), Some('c')].map(TVar::new);
        let [a, b, c] = &places;
        for expected in ['b', 'c'] {
            let value = select_biased! {
                atomically(|tx| take(tx, a)) -> value => value,
                atomically(|tx| take(tx, b)) -> value => value,
                atomically(|tx| take(tx, c)) -> value => value,
            };
            assert_eq!(value, expected);
        }
    });
}

#[test]
fn a_write_to_any_of_the_variables_of_any_case_wakes_it() {
    run(|| {
        for written in 0..4 {
            let places = [None; 4].map(TVar::<Option<usize>>::new);
            let [a, b, c, d] = places.clone();
            let task = spawn(move || {
                select! {
                    atomically(|tx| tx.or_else(|tx| take(tx, &a), |tx| take(tx, &b))) -> n => n,
                    atomically(|tx| tx.or_else(|tx| take(tx, &c), |tx| take(tx, &d))) -> n => n,
                }
            });
            yield_now();
            assert_eq!(task.task().status(), Status::Parked(What::Select));
            places[written].set(Some(written));
            assert_eq!(task.join().unwrap(), written);
            assert!(places.iter().all(|place| place.get().is_none()));
        }
    });
}

#[test]
fn a_message_wakes_it_and_leaves_no_waiter_at_the_variables() {
    run(|| {
        let (place, (sender, receiver)) = (TVar::new(None), bounded(1));
        let runs = Rc::new(Cell::new(0));
        let (theirs, count) = (place.clone(), runs.clone());
        let task = spawn(move || {
            let message = select! {
                recv(receiver) -> message => message.unwrap(),
                atomically(|tx| {
                    count.set(count.get() + 1);
                    take(tx, &theirs)
                }) -> value => value,
            };
            yield_now();
            message
        });
        yield_now();
        sender.send("message").unwrap();
        yield_now();
        let before = runs.get();
        place.set(Some("late"));
        assert_eq!(task.join().unwrap(), "message");
        assert_eq!((runs.get(), place.get()), (before, Some("late")));
    });
}

#[test]
fn a_wake_for_nothing_parks_it_again() {
    run(|| {
        let (level, log) = (TVar::new(0), Log::new());
        let (read, steps) = (level.clone(), log.clone());
        let (_sender, receiver) = bounded::<u8>(0);
        let task = spawn(move || {
            select! {
                recv(receiver) -> _ => unreachable!(),
                atomically(|tx| {
                    steps.add(read.read(tx));
                    check(read.read(tx) > 2)
                }) -> () => {}
            }
        });
        for n in 0..=3 {
            yield_now();
            level.set(n);
        }
        task.join().unwrap();
        // Once to see whether it could, and once more to commit.
        assert_eq!(log.text(), "0 0 1 2 3 3");
    });
}

#[test]
fn it_waits_with_a_time_limit() {
    on_virtual_time(|| {
        let (place, begin) = (TVar::new(None::<u8>), now());
        let late = select! {
            atomically(|tx| take(tx, &place)) -> _ => false,
            default(ms(50)) => true,
        };
        assert!(late && now() - begin == ms(50));
        let theirs = place.clone();
        spawn(move || {
            sleep(ms(10));
            theirs.set(Some(7));
        });
        let value = select! {
            atomically(|tx| take(tx, &place)) -> value => value,
            default(ms(50)) => 0,
        };
        assert_eq!((value, now() - begin), (7, ms(60)));
    });
}

#[test]
fn without_patience_it_is_tried_once() {
    let place = TVar::new(None::<u8>);
    let try_take = || {
        select! {
            atomically(|tx| take(tx, &place)) -> value => Some(value),
            default => None,
        }
    };
    // No scheduler is needed for that.
    assert_eq!(try_take(), None);
    place.set(Some(7));
    assert_eq!((try_take(), place.get()), (Some(7), None));
    run(|| assert_eq!(try_take(), None));
}

#[test]
fn outside_of_a_run_it_cannot_wait() {
    let place = TVar::new(None::<u8>);
    let message = message_of(|| select! { atomically(|tx| take(tx, &place)) -> value => value });
    assert!(message.contains("outside of maypole::run"), "{message}");
    place.set(Some(7));
    assert_eq!(
        select! { atomically(|tx| take(tx, &place)) -> value => value },
        7
    );
}

#[test]
fn it_stands_beside_joins_sends_and_timers() {
    on_virtual_time(|| {
        let (place, (sender, receiver)) = (TVar::new(None), bounded::<u8>(0));
        let theirs = place.clone();
        let mut child = spawn(move || {
            sleep(ms(5));
            theirs.set(Some("from the child"));
            sleep(ms(5));
            "result"
        });
        let (timer, log) = (after(ms(15)), Log::new());
        for _ in 0..2 {
            select! {
                atomically(|tx| take(tx, &place)) -> text => log.add(text),
                join(&mut child) -> result => log.add(result.unwrap()),
                send(sender, 1) -> _ => unreachable!(),
                recv(timer) -> _ => unreachable!(),
            }
        }
        for _ in 0..2 {
            select! {
                atomically(|tx| take(tx, &place)) -> text => log.add(text),
                send(sender, 1) -> sent => {
                    sent.unwrap();
                    log.add("sent");
                }
                recv(timer) -> _ => {
                    log.add("timer");
                    let receiver = receiver.clone();
                    spawn(move || receiver.recv().unwrap());
                }
            }
        }
        assert_eq!(log.steps(), ["from the child", "result", "timer", "sent"]);
    });
}

#[test]
fn a_delay_in_its_transaction_is_a_time_limit_too() {
    on_virtual_time(|| {
        let (place, begin) = (TVar::new(None::<u8>), now());
        let (_sender, receiver) = bounded::<u8>(0);
        let late = delay(ms(30));
        let value = select! {
            recv(receiver) -> _ => unreachable!(),
            atomically(|tx| {
                tx.or_else(
                    |tx| take(tx, &place).map(Some),
                    |tx| check(late.read(tx)).map(|()| None),
                )
            }) -> value => value,
            default(ms(50)) => unreachable!(),
        };
        assert_eq!((value, now() - begin), (None, ms(30)));
    });
}

#[test]
fn bodies_may_return_break_and_use_the_question_mark() {
    fn first_number(place: &TVar<Option<&'static str>>) -> Result<u8, std::num::ParseIntError> {
        loop {
            let number: u8 = select! {
                atomically(|tx| take(tx, place)) -> text => match text {
                    "again" => {
                        place.set(Some("8"));
                        continue;
                    }
                    "break" => break,
                    _ => text.parse()?,
                },
                default => return Ok(255),
            };
            return Ok(number);
        }
        Ok(100)
    }
    let place = TVar::new(Some("7"));
    assert_eq!(first_number(&place), Ok(7));
    assert_eq!(first_number(&place), Ok(255));
    place.set(Some("break"));
    assert_eq!(first_number(&place), Ok(100));
    place.set(Some("again"));
    assert_eq!(first_number(&place), Ok(8));
    place.set(Some("seven"));
    assert!(first_number(&place).is_err());
    assert_eq!(place.get(), None);
}

#[test]
fn a_kill_ends_the_wait_with_nothing_committed() {
    run(|| {
        let (place, (_sender, receiver)) = (TVar::new(None), bounded::<u8>(0));
        let theirs = place.clone();
        let task = spawn(move || {
            select! {
                recv(receiver) -> _ => unreachable!(),
                atomically(|tx| take(tx, &theirs)) -> () => unreachable!(),
            }
        });
        yield_now();
        assert_eq!(task.kill("while it waits"), Killed::Parked);
        assert!(task.join().unwrap_err().is_killed());
        place.set(Some(()));
        yield_now();
        assert_eq!(place.get(), Some(()));
    });
}

#[test]
fn a_timeout_ends_the_wait_too() {
    on_virtual_time(|| {
        let place = TVar::new(None::<u8>);
        let waited = timeout(ms(5), || {
            select! { atomically(|tx| take(tx, &place)) -> value => value }
        });
        assert!(waited.is_err());
        place.set(Some(1));
        assert_eq!(place.get(), Some(1));
    });
}

#[test]
fn a_panic_in_its_transaction_comes_out_with_nothing_done() {
    run(|| {
        let (place, (sender, receiver)) = (TVar::new(Some(1)), bounded(1));
        sender.send(7).unwrap();
        let payload = payload_of(|| {
            select! {
                atomically(|tx| -> Result<(), _> {
                    take(tx, &place)?;
                    std::panic::panic_any("on purpose")
                }) -> _ => {}
                recv(receiver) -> _ => {}
            }
        });
        assert_eq!(*payload.downcast::<&str>().unwrap(), "on purpose");
        assert_eq!((place.get(), receiver.len()), (Some(1), 1));
        yield_now();
    });
}

#[test]
fn one_that_retries_and_has_read_nothing_panics() {
    run(|| {
        let (_sender, receiver) = bounded::<u8>(0);
        let message = message_of(|| {
            select! {
                recv(receiver) -> _ => {}
                atomically(|_| retry::<(), _>()) -> _ => {}
            }
        });
        assert!(message.contains("has read no variable"), "{message}");
    });
}

#[test]
fn two_cases_may_wait_for_one_variable() {
    run(|| {
        let (level, log) = (TVar::new(0), Log::new());
        let (read, steps) = (level.clone(), log.clone());
        let task = spawn(move || {
            for _ in 0..2 {
                select! {
                    atomically(|tx| check(read.read(tx) == 1)) -> () => steps.add("one"),
                    atomically(|tx| check(read.read(tx) == 2)) -> () => steps.add("two"),
                }
                yield_now();
            }
        });
        yield_now();
        level.set(2);
        yield_now();
        level.set(1);
        task.join().unwrap();
        assert_eq!(log.text(), "two one");
    });
}

#[test]
fn two_cases_that_write_in_vain_to_each_others_variables_wait() {
    run(|| {
        let (account, runs) = (TVar::new(5), Rc::new(Cell::new(0)));
        let (theirs, count) = (account.clone(), runs.clone());
        let task = spawn(move || {
            let withdraw = |tx: &Transaction, amount: i32| {
                count.set(count.get() + 1);
                theirs.update(tx, |balance| balance - amount);
                check(theirs.read(tx) >= 0)
            };
            select! {
                atomically(|tx| tx.or_else(|tx| withdraw(tx, 10), |_| retry())) -> () => 10,
                atomically(|tx| tx.or_else(|tx| withdraw(tx, 20), |_| retry())) -> () => 20,
            }
        });
        (0..10).for_each(|_| yield_now());
        // Each was run once, and undone.
        assert_eq!((runs.get(), account.get()), (2, 5));
        account.set(15);
        assert_eq!(task.join().unwrap(), 10);
        assert_eq!(account.get(), 5);
    });
}

#[test]
fn those_in_a_select_go_on_in_the_order_of_their_parking_with_all_the_others() {
    run(|| {
        let (flag, other, log) = (TVar::new(false), TVar::new(false), Log::new());
        let (_sender, receiver) = bounded::<u8>(0);
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                let (flag, other, log) = (flag.clone(), other.clone(), log.clone());
                let receiver = receiver.clone();
                let task = spawn(move || {
                    let wait = |tx: &Transaction| check(flag.read(tx) | other.read(tx));
                    match n % 2 {
                        0 => atomically(wait),
                        _ => select! {
                            recv(receiver) -> _ => unreachable!(),
                            atomically(wait) -> () => {}
                        },
                    }
                    log.add(n);
                });
                yield_now();
                task
            })
            .collect();
        atomically(|tx| {
            other.write(tx, true);
            flag.write(tx, true);
            Ok(())
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0 1 2 3 4 5");
    });
}

#[test]
fn many_cases_and_many_variables_may_wait_together() {
    run(|| {
        let places = [None; 20].map(TVar::<Option<usize>>::new);
        let (_sender, receiver) = bounded::<u8>(0);
        for n in 0..20 {
            let (theirs, receiver) = (places.clone(), receiver.clone());
            let task = spawn(move || {
                let any = |range: std::ops::Range<usize>| {
                    let places = &theirs[range];
                    move |tx: &Transaction| {
                        let full = places.iter().filter(|it| it.with(tx, Option::is_some));
                        match full.collect::<Vec<_>>()[..] {
                            [place] => take(tx, place),
                            _ => retry(),
                        }
                    }
                };
                select! {
                    recv(receiver) -> _ => unreachable!(),
                    atomically(any(0..5)) -> n => n,
                    atomically(any(5..10)) -> n => n,
                    recv(receiver) -> _ => unreachable!(),
                    atomically(any(10..15)) -> n => n,
                    atomically(any(15..20)) -> n => n,
                }
            });
            yield_now();
            places[n].set(Some(n));
            assert_eq!(task.join().unwrap(), n);
        }
    });
}

#[test]
fn the_value_is_dropped_once_by_whoever_gets_it() {
    let log = Log::new();
    let place = TVar::new(0);
    select! {
        atomically(|tx| {
            place.update(tx, |n| n + 1);
            Ok(log.on_drop(place.read(tx)))
        }) -> value => {
            log.add("body");
            drop(value);
        }
    }
    // The first run was only to see.
    assert_eq!((log.text().as_str(), place.get()), ("1 body 1", 1));
}

#[test]
fn a_message_that_comes_while_destructors_of_a_case_park_is_not_missed() {
    struct Parks(Rc<Cell<bool>>);
    impl Drop for Parks {
        fn drop(&mut self) {
            if self.0.replace(false) {
                sleep(ms(10));
            }
        }
    }
    on_virtual_time(|| {
        let (flag, (sender, receiver)) = (TVar::new(false), unbounded());
        let parks = Rc::new(Cell::new(true));
        let variable = TVar::new(Parks(Rc::new(Cell::new(false))));
        spawn(move || {
            sleep(ms(5));
            sender.send("while it parked").unwrap();
            maypole::task::park();
            drop(sender);
        });
        let message = select_biased! {
            recv(receiver) -> message => message,
            atomically(|tx| {
                variable.write(tx, Parks(parks.clone()));
                check(flag.read(tx))
            }) -> () => unreachable!(),
        };
        assert_eq!(message, Ok("while it parked"));
    });
}

#[test]
fn a_change_that_comes_while_destructors_of_another_case_park_is_not_missed() {
    struct Parks(Rc<Cell<bool>>);
    impl Drop for Parks {
        fn drop(&mut self) {
            if self.0.replace(false) {
                sleep(ms(10));
            }
        }
    }
    on_virtual_time(|| {
        let (flag, never) = (TVar::new(false), TVar::new(false));
        let parks = Rc::new(Cell::new(true));
        let variable = TVar::new(Parks(Rc::new(Cell::new(false))));
        let theirs = flag.clone();
        spawn(move || {
            sleep(ms(5));
            theirs.set(true);
        });
        let first = select_biased! {
            atomically(|tx| check(flag.read(tx))) -> () => true,
            atomically(|tx| {
                variable.write(tx, Parks(parks.clone()));
                check(never.read(tx))
            }) -> () => false,
        };
        assert!(first);
    });
}
