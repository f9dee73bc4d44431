//! Transactions: what they see and leave of their variables, and that nobody comes in between.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, check, retry, try_atomically};
use maypole::{run, scope, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use steps::{Log, ms, on_virtual_time};

fn withdraw<E>(tx: &Transaction, from: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
    check(from.read(tx) >= amount)?;
    from.update(tx, |balance| balance - amount);
    Ok(())
}

fn deposit(tx: &Transaction, to: &TVar<i64>, amount: i64) {
    to.update(tx, |balance| balance + amount);
}

/// Numbers by chance, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % n
    }
}

#[test]
fn a_transfer_takes_here_and_gives_there() {
    let (from, to) = (TVar::new(200), TVar::new(100));
    atomically(|tx| {
        deposit(tx, &to, 50);
        withdraw(tx, &from, 50)
    });
    assert_eq!((from.get(), to.get()), (150, 150));
}

#[test]
fn a_transaction_reads_what_it_has_written_itself() {
    let variable = TVar::new(1);
    let seen = atomically(|tx| {
        variable.write(tx, 2);
        let first = variable.read(tx);
        variable.update(tx, |n| n * 10);
        Ok((first, variable.with(tx, |n| *n)))
    });
    assert_eq!((seen, variable.get()), ((2, 20), 20));
}

#[test]
fn swap_gives_what_was_there_and_state_what_is_made_of_it() {
    let variable = TVar::new(5);
    let found = atomically(|tx| {
        let found = variable.swap(tx, 6);
        let made = variable.state(tx, |n| (format!("was {n}"), n + 1));
        Ok((found, made))
    });
    assert_eq!(found, (5, "was 6".to_string()));
    assert_eq!(variable.get(), 7);
}

#[test]
fn what_cannot_be_cloned_is_read_by_reference() {
    struct Ledger(Vec<i64>);
    let ledger = TVar::new(Ledger(vec![1, 2, 3]));
    let sum = atomically(|tx| {
        let sum: i64 = ledger.with(tx, |ledger| ledger.0.iter().sum());
        ledger.write(tx, Ledger(vec![sum]));
        Ok(sum)
    });
    assert_eq!(sum, 6);
    assert_eq!(atomically(|tx| Ok(ledger.with(tx, |l| l.0.clone()))), [6]);
}

#[test]
fn a_variable_within_a_variable_is_part_of_the_transaction() {
    let (first, second) = (TVar::new(1), TVar::new(2));
    let chosen = TVar::new(first.clone());
    atomically(|tx| {
        chosen.read(tx).write(tx, 10);
        chosen.write(tx, second.clone());
        chosen.read(tx).update(tx, |n| n + 10);
        Ok(())
    });
    assert_eq!((first.get(), second.get()), (10, 12));
    assert!(chosen.get().same_variable(&second));
}

#[test]
fn a_clone_is_the_same_variable_and_an_equal_value_is_not() {
    let variable = TVar::new(1);
    let other = TVar::new(1);
    let clone = variable.clone();
    clone.set(2);
    assert_eq!(variable.get(), 2);
    assert!(variable == clone && variable.same_variable(&clone));
    assert!(variable != other && !variable.same_variable(&other));
}

#[test]
fn both_handles_of_a_variable_see_one_value_inside_of_a_transaction() {
    let variable = TVar::new(1);
    let clone = variable.clone();
    let sum = atomically(|tx| {
        variable.write(tx, 2);
        clone.update(tx, |n| n + 1);
        Ok(variable.read(tx) + clone.read(tx))
    });
    assert_eq!((sum, variable.get()), (6, 3));
}

#[test]
fn variables_are_made_of_values_and_of_nothing() {
    assert_eq!(TVar::<String>::default().get(), "");
    assert_eq!(TVar::from(7).get(), 7);
    assert_eq!(TVar::named("seven", 7).get(), 7);
    assert_eq!(TVar::shown("sevens", vec![7, 7]).get(), [7, 7]);
}

#[test]
fn debug_shows_the_value_of_the_moment() {
    let variable = TVar::new(7);
    assert_eq!(format!("{variable:?}"), "TVar { value: 7, .. }");
    let inside = atomically(|tx| {
        variable.write(tx, 8);
        Ok(format!("{variable:?}"))
    });
    assert_eq!(inside, "TVar { value: 8, .. }");
    let of_itself = atomically(|tx| Ok(variable.with(tx, |_| format!("{variable:?}"))));
    assert_eq!(of_itself, inside);
}

#[test]
fn a_variable_made_in_a_transaction_outlives_its_undoing() {
    let kept = RefCell::new(None);
    let result: Result<(), &str> = try_atomically(|tx| {
        let made = TVar::new(1);
        made.write(tx, 2);
        kept.replace(Some(made));
        abort("not today")
    });
    assert_eq!(result, Err("not today"));
    let made = kept.take().unwrap();
    // It was made with 1; the write was undone, the making was not.
    assert_eq!(made.get(), 1);
}

#[test]
fn an_abort_gives_its_error_and_leaves_nothing_behind() {
    let variable = TVar::new(vec![1]);
    let result: Result<u8, String> = try_atomically(|tx| {
        variable.write(tx, vec![2]);
        variable.write(tx, vec![3]);
        abort("no".to_string())
    });
    assert_eq!(result, Err("no".to_string()));
    assert_eq!(variable.get(), [1]);
}

#[test]
fn a_transaction_that_need_not_wait_runs_exactly_once() {
    let (runs, variable) = (Cell::new(0), TVar::new(0));
    run(|| {
        for _ in 0..10 {
            atomically(|tx| {
                runs.set(runs.get() + 1);
                variable.update(tx, |n| n + 1);
                Ok(())
            });
            yield_now();
        }
    });
    assert_eq!((runs.get(), variable.get()), (10, 10));
}

#[test]
fn the_question_mark_stops_at_a_retry() {
    let (variable, further) = (TVar::new(1), Cell::new(false));
    run(|| {
        let task = {
            let variable = variable.clone();
            spawn(move || atomically(|tx| withdraw(tx, &variable, 5)))
        };
        yield_now();
        let arm = try_atomically::<_, ()>(|tx| {
            tx.or_else(
                |tx| {
                    withdraw(tx, &variable, 2)?;
                    further.set(true);
                    Ok("there was enough")
                },
                |_| Ok("there was too little"),
            )
        });
        assert_eq!((arm, further.get()), (Ok("there was too little"), false));
        variable.set(9);
        task.join().unwrap();
    });
    assert_eq!(variable.get(), 4);
}

#[test]
fn a_stop_taken_apart_by_match_undoes_nothing() {
    let variable = TVar::new(0);
    let seen = atomically(|tx| {
        let part = || -> Result<(), Stop<&str>> {
            variable.write(tx, 1);
            abort("half done")
        };
        let Err(Stop::Abort(error)) = part() else {
            unreachable!()
        };
        Ok((error, variable.read(tx)))
    });
    assert_eq!((seen, variable.get()), (("half done", 1), 1));
}

#[test]
fn parts_for_any_error_and_for_none_compose() {
    fn part_for_none(tx: &Transaction, variable: &TVar<i64>) -> Result<i64, Stop> {
        Ok(variable.read(tx))
    }
    fn part_with_another(n: i64) -> Result<(), Stop<u8>> {
        if n > 200 { abort(7) } else { Ok(()) }
    }
    let variable = TVar::new(300);
    let result: Result<(), String> = try_atomically(|tx| {
        withdraw(tx, &variable, 50)?;
        let left = part_for_none(tx, &variable).map_err(Stop::widen)?;
        part_with_another(left).map_err(|stop| stop.map_abort(|code| format!("code {code}")))
    });
    assert_eq!((result, variable.get()), (Err("code 7".to_string()), 300));
}

#[test]
fn stops_say_in_a_phrase_what_they_are() {
    use std::error::Error;
    let parse = "x".parse::<i32>().unwrap_err();
    let stop = Stop::Abort(parse.clone());
    assert_eq!(
        stop.to_string(),
        format!("the transaction has failed: {parse}")
    );
    assert_eq!(stop.source().unwrap().to_string(), parse.to_string());
    let waits = Stop::<std::num::ParseIntError>::Retry;
    assert_eq!(waits.to_string(), "the transaction must wait for a change");
    assert!(waits.source().is_none());
    assert_eq!(retry::<(), u8>(), Err(Stop::Retry));
    assert_eq!(abort::<(), _>(1), Err(Stop::Abort(1)));
    assert_eq!(
        (check::<()>(true), check::<()>(false)),
        (Ok(()), Err(Stop::Retry))
    );
}

#[test]
fn a_withdrawal_waits_until_there_is_enough() {
    let log = Log::new();
    run(|| {
        let account = TVar::new(100);
        log.add("trying");
        let withdrawal = {
            let (account, log) = (account.clone(), log.clone());
            spawn(move || {
                atomically(|tx| withdraw(tx, &account, 101));
                log.add("withdrawn");
            })
        };
        yield_now();
        yield_now();
        log.add("depositing");
        atomically(|tx| Ok(deposit(tx, &account, 1)));
        withdrawal.join().unwrap();
        assert_eq!(account.get(), 0);
    });
    assert_eq!(log.text(), "trying depositing withdrawn");
}

#[test]
fn of_two_accounts_the_left_is_charged_if_it_can_be() {
    run(|| {
        let (left, right) = (TVar::new(500), TVar::new(500));
        let either = |amount| {
            atomically(|tx| {
                tx.or_else(
                    |tx| withdraw(tx, &left, amount),
                    |tx| withdraw(tx, &right, amount),
                )
            });
        };
        either(10);
        assert_eq!((left.get(), right.get()), (490, 500));
        either(495);
        assert_eq!((left.get(), right.get()), (490, 5));
    });
}

#[test]
fn of_two_poor_accounts_the_one_is_charged_that_gets_enough() {
    run(|| {
        let (left, right) = (TVar::new(100), TVar::new(100));
        let withdrawal = {
            let (left, right) = (left.clone(), right.clone());
            spawn(move || {
                atomically(|tx| {
                    tx.or_else(
                        |tx| withdraw(tx, &left, 101),
                        |tx| withdraw(tx, &right, 101),
                    )
                })
            })
        };
        yield_now();
        atomically(|tx| Ok(deposit(tx, &right, 1)));
        withdrawal.join().unwrap();
        assert_eq!((left.get(), right.get()), (100, 0));
    });
}

#[test]
fn no_money_is_lost_among_ten_accounts_and_ten_tasks() {
    on_virtual_time(|| {
        let accounts: Vec<TVar<i64>> = (0..10).map(|_| TVar::new(100)).collect();
        let total = || atomically(|tx| Ok(accounts.iter().map(|account| account.read(tx)).sum()));
        let busy = Cell::new(10);
        scope(|s| {
            for n in 0..10 {
                let (accounts, busy, total) = (&accounts, &busy, &total);
                s.spawn(move || {
                    let mut chance = Chance(n);
                    for _ in 0..200 {
                        let (from, to) = (chance.below(10), chance.below(10));
                        let amount = chance.below(50) as i64;
                        atomically(|tx| {
                            let enough = accounts[from].read(tx) >= amount;
                            if enough && from != to {
                                accounts[from].update(tx, |balance| balance - amount);
                                accounts[to].update(tx, |balance| balance + amount);
                            }
                            Ok(())
                        });
                        yield_now();
                        let sum: i64 = total();
                        assert_eq!(sum, 1000);
                    }
                    busy.set(busy.get() - 1);
                });
            }
            s.spawn(|| {
                while busy.get() > 0 {
                    let sum: i64 = accounts.iter().map(TVar::get).sum();
                    assert_eq!(sum, 1000);
                    maypole::sleep(ms(1));
                }
            });
        });
        assert!(accounts.iter().all(|account| account.get() >= 0));
    });
}

#[test]
fn tickets_drawn_by_many_tasks_are_all_different() {
    run(|| {
        let next = TVar::new(0);
        let drawn = RefCell::new(HashSet::new());
        scope(|s| {
            for _ in 0..20 {
                s.spawn(|| {
                    for _ in 0..50 {
                        let ticket = atomically(|tx| Ok(next.state(tx, |n| (*n, n + 1))));
                        yield_now();
                        assert!(drawn.borrow_mut().insert(ticket));
                    }
                });
            }
        });
        assert_eq!((drawn.borrow().len(), next.get()), (1000, 1000));
    });
}

#[test]
fn a_step_of_its_own_is_seen_by_the_next_transaction() {
    let variable = TVar::new(1);
    for n in 0..5 {
        variable.set(n);
        assert_eq!(atomically(|tx| Ok(variable.read(tx))), n);
        atomically(|tx| Ok(variable.write(tx, n + 10)));
        assert_eq!(variable.get(), n + 10);
    }
}
