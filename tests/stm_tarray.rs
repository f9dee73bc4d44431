//! TArray: its elements as variables of their own, which a transaction changes all or none, and the
//! indices that there are not.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one operation that gives nothing"
)]
mod deadlock_support;
mod steps;
mod stm_structures;

use deadlock_support::deadlock;
use maypole::explore;
use maypole::stm::{
    Named, Stop, TArray, TVar, Transaction, abort, atomically, check, retry, try_atomically,
};
use maypole::task::{Killed, Status, What};
use maypole::{run, scope, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{message_of, unwinds};
use stm_structures::{Brittle, Mint, Restless};

const WAITS: Status = Status::Parked(What::Atomically);

fn elems<T: Clone>(array: &TArray<T>) -> Vec<T> {
    atomically(|tx| Ok(array.elems(tx)))
}

// ── what it is made of ───────────────────────────────────────────────────────────────────────

#[test]
fn it_is_made_of_one_value_of_a_function_or_of_values() {
    assert_eq!(elems(&TArray::new(3, 'x')), ['x', 'x', 'x']);
    assert_eq!(elems(&TArray::from_fn(3, |n| n * n)), [0, 1, 4]);
    assert_eq!(elems(&TArray::from_iter(["a", "b"])), ["a", "b"]);
    assert_eq!(elems(&(5..8).collect::<TArray<i32>>()), [5, 6, 7]);
    assert_eq!(elems(&TArray::named("seats", [true, false])), [true, false]);
}

#[test]
fn it_knows_its_length_and_its_bounds_without_a_transaction() {
    let array = TArray::new(3, 0);
    assert_eq!(
        (array.len(), array.is_empty(), array.bounds()),
        (3, false, 0..3)
    );
    let nothing = TArray::<u8>::from_iter([]);
    assert_eq!(
        (nothing.len(), nothing.is_empty(), nothing.bounds()),
        (0, true, 0..0)
    );
    assert!(elems(&nothing).is_empty());
}

#[test]
fn an_element_is_read_written_updated_and_swapped() {
    let array = TArray::from_iter([1, 2, 3]);
    let seen = atomically(|tx| {
        let seen = (array.read(tx, 0), array.with(tx, 1, |n| n * 100));
        array.write(tx, 0, 10);
        array.update(tx, 1, |n| n + 18);
        Ok((seen, array.swap(tx, 2, 30), array.read(tx, 2)))
    });
    assert_eq!(seen, ((1, 200), 3, 30));
    assert_eq!(elems(&array), [10, 20, 30]);
}

#[test]
fn all_elements_are_seen_at_once_with_their_indices_or_made_into_another_array() {
    let array = TArray::from_iter(["a", "bb"]);
    let (pairs, lengths) = atomically(|tx| {
        array.write(tx, 0, "aaa");
        Ok((array.assocs(tx), array.map(tx, |text| text.len())))
    });
    assert_eq!(pairs, [(0, "aaa"), (1, "bb")]);
    atomically(|tx| Ok(lengths.write(tx, 1, 7)));
    assert_eq!(
        (elems(&lengths), elems(&array)),
        (vec![3, 7], vec!["aaa", "bb"])
    );
}

#[test]
fn what_cannot_be_cloned_is_read_by_reference() {
    struct Unique(i32);
    let array = TArray::from_fn(2, |n| Unique(n as i32));
    let sum = atomically(|tx| {
        array.write(tx, 0, Unique(5));
        array.update(tx, 1, |unique| Unique(unique.0 + 1));
        let doubles = array.map(tx, |unique| unique.0 * 2);
        Ok(array.with(tx, 0, |unique| unique.0) + doubles.read(tx, 1))
    });
    assert_eq!(sum, 5 + 4);
}

#[test]
fn an_element_is_a_variable_like_others() {
    fn deposit(tx: &Transaction, to: &TVar<i64>, amount: i64) {
        to.update(tx, |balance| balance + amount);
    }
    let accounts = TArray::new(2, 100);
    let mine = accounts.variable(1).clone();
    atomically(|tx| {
        deposit(tx, accounts.variable(0), 1);
        deposit(tx, &mine, 2);
        Ok(())
    });
    assert_eq!(elems(&accounts), [101, 102]);
    mine.set(0);
    assert_eq!(accounts.variable(1).get(), 0);
}

#[test]
fn handles_are_equal_if_they_are_of_the_same_array() {
    let array = TArray::new(1, 5);
    let handle = array.clone();
    atomically(|tx| Ok(handle.write(tx, 0, 6)));
    assert_eq!(elems(&array), [6]);
    assert!(array == handle && array.same_array(&handle));
    assert!(array != TArray::new(1, 6));
    let (none, nothing) = (TArray::<u8>::new(0, 0), TArray::new(0, 0));
    assert!(none == none.clone() && none != nothing);
    assert!(format!("{array:?}").contains('6'));
}

// ── indices that there are not ───────────────────────────────────────────────────────────────

#[test]
fn an_index_out_of_range_panics_as_that_of_a_vector_does() {
    let array = TArray::new(3, String::new());
    let vector = Vec::from([0; 3]);
    let expected = message_of(|| vector[vector.len()]);
    let calls: [&dyn Fn(&Transaction); 6] = [
        &|tx| drop(array.read(tx, 3)),
        &|tx| array.with(tx, 3, |_| ()),
        &|tx| array.write(tx, 3, String::new()),
        &|tx| array.update(tx, 3, String::clone),
        &|tx| drop(array.swap(tx, 3, String::new())),
        &|_| drop(array.variable(3).clone()),
    ];
    for call in calls {
        assert_eq!(message_of(|| atomically(|tx| Ok(call(tx)))), expected);
    }
    assert_eq!(
        expected,
        "index out of bounds: the len is 3 but the index is 3"
    );
}

#[test]
fn the_place_of_the_panic_is_the_callers() {
    run(|| {
        let failed = spawn(|| {
            let array = TArray::new(1, 0);
            atomically(|tx| Ok(array.read(tx, 1)))
        });
        let line = line!() - 2;
        let error = failed.join().unwrap_err();
        let place = error.location().unwrap();
        assert_eq!((&*place.file, place.line), ("tests/stm_tarray.rs", line));
    });
}

#[test]
fn an_index_out_of_range_leaves_everything_as_it_was() {
    let array = TArray::from_iter([1, 2]);
    assert!(unwinds(|| atomically(|tx| {
        array.write(tx, 0, 10);
        array.write(tx, 1, 20);
        array.write(tx, 2, 30);
        Ok(())
    })));
    assert_eq!(elems(&array), [1, 2]);
}

// ── all or nothing ───────────────────────────────────────────────────────────────────────────

#[test]
fn an_abort_undoes_every_element() {
    let array = TArray::from_iter([1, 2, 3]);
    let failed: Result<(), &str> = try_atomically(|tx| {
        array.bounds().for_each(|n| array.update(tx, n, |n| n * 10));
        array.swap(tx, 0, 0);
        abort("no")
    });
    assert_eq!((failed, elems(&array)), (Err("no"), vec![1, 2, 3]));
}

#[test]
fn an_arm_undoes_what_it_wrote_and_no_more() {
    let array = TArray::new(3, 0);
    let seen = atomically(|tx| {
        array.write(tx, 0, 1);
        tx.or_else(
            |tx| {
                array.write(tx, 0, 2);
                array.write(tx, 1, 2);
                retry()
            },
            |tx| {
                array.write(tx, 2, 3);
                Ok(array.elems(tx))
            },
        )
    });
    assert_eq!((seen, elems(&array)), (vec![1, 0, 3], vec![1, 0, 3]));
}

#[test]
fn the_sum_stays_whatever_moves_between_the_elements_under_every_schedule() {
    explore::check(|| {
        let accounts = TArray::new(3, 10);
        let transfer = |from: usize, to: usize| {
            atomically(|tx| {
                check(accounts.read(tx, from) >= 10)?;
                accounts.update(tx, from, |balance| balance - 10);
                accounts.update(tx, to, |balance| balance + 10);
                Ok(())
            })
        };
        scope(|s| {
            s.spawn(|| {
                transfer(0, 1);
                transfer(0, 2); // waits for the other task
            });
            s.spawn(|| transfer(1, 0));
            assert_eq!(elems(&accounts).iter().sum::<i32>(), 30);
        });
        assert_eq!(elems(&accounts), [0, 10, 20]);
    });
}

#[test]
fn seats_are_booked_together_or_not_at_all_under_every_schedule() {
    explore::check(|| {
        let (seats, most) = (TArray::new(2, None), Cell::new(0));
        scope(|s| {
            for who in ["ada", "grace"] {
                let (seats, most) = (&seats, &most);
                s.spawn(move || {
                    atomically(|tx| {
                        check(seats.elems(tx).iter().all(Option::is_none))?;
                        seats.write(tx, 0, Some(who));
                        seats.write(tx, 1, Some(who));
                        Ok(())
                    });
                    most.set(most.get() + 1);
                    yield_now();
                    assert_eq!(elems(seats), [Some(who); 2]);
                    atomically(|tx| {
                        seats.bounds().for_each(|seat| seats.write(tx, seat, None));
                        Ok(())
                    });
                });
            }
        });
        assert_eq!((most.get(), elems(&seats)), (2, vec![None, None]));
    });
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_transaction_waits_for_the_elements_it_has_read_and_for_no_others() {
    run(|| {
        let (array, waits) = (TArray::new(3, 0), Named::new("waits"));
        let (own, counted) = (array.clone(), waits.clone());
        let waiter = spawn(move || {
            counted.atomically(|tx| {
                check(own.read(tx, 1) > 0)?;
                Ok(own.elems(tx))
            })
        });
        yield_now();
        array.variable(0).set(1);
        atomically(|tx| Ok(array.write(tx, 2, 1)));
        yield_now();
        assert_eq!(
            (waiter.task().status(), waits.counters().retries),
            (WAITS, 1)
        );
        array.variable(1).set(1);
        assert_eq!(waiter.join().unwrap(), [1, 1, 1]);
        assert_eq!((waits.counters().retries, waits.counters().commits), (1, 1));
    });
}

#[test]
fn who_waits_for_all_elements_is_woken_by_any() {
    run(|| {
        let array = TArray::new(100, 0);
        for n in [0, 57, 99] {
            let own = array.clone();
            let waiter = spawn(move || {
                atomically(|tx| {
                    let found = own.elems(tx).iter().position(|value| *value == 7);
                    check(found.is_some())?;
                    Ok(found)
                })
            });
            yield_now();
            atomically(|tx| Ok(array.write(tx, n, 7)));
            assert_eq!(waiter.join().unwrap(), Some(n));
            array.variable(n).set(0);
        }
    });
}

#[test]
fn a_killed_waiter_has_written_nothing() {
    run(|| {
        let array = TArray::new(2, 0);
        let own = array.clone();
        let waiter = spawn(move || {
            atomically(|tx| {
                own.write(tx, 0, 5);
                check(own.read(tx, 1) > 0)
            })
        });
        yield_now();
        assert_eq!(waiter.kill("not wanted"), Killed::Parked);
        array.variable(1).set(1);
        assert!(waiter.join().unwrap_err().is_killed());
        assert_eq!(elems(&array), [0, 1]);
    });
}

// ── values ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_value_is_dropped_once_however_its_transaction_ends() {
    let mint = Mint::new();
    let array = TArray::new(3, mint.token(0));
    assert_eq!(mint.alive(), 3);
    let stir = |tx: &Transaction| {
        array
            .bounds()
            .for_each(|n| array.write(tx, n, mint.token(1)));
        array.update(tx, 0, Clone::clone);
        drop(array.swap(tx, 1, mint.token(2)));
        drop(array.elems(tx));
        array.map(tx, Clone::clone)
    };
    let failed: Result<(), &str> = try_atomically(|tx| {
        stir(tx);
        abort("no")
    });
    assert_eq!((failed, mint.alive()), (Err("no"), 3));
    let copy = atomically(|tx| Ok(stir(tx)));
    assert_eq!(mint.alive(), 6);
    drop(array);
    assert_eq!(mint.alive(), 3);
    drop(copy);
    assert_eq!(mint.alive(), 0);
}

#[test]
fn old_values_are_dropped_when_the_transaction_is_over() {
    let count = TVar::new(0);
    let array = TArray::from_fn(3, |_| Restless(count.clone()));
    atomically(|tx| {
        let write = |n| array.write(tx, n, Restless(count.clone()));
        array.bounds().chain(array.bounds()).for_each(write);
        Ok(())
    });
    assert_eq!(count.get(), 6);
}

#[test]
fn a_function_that_panics_leaves_no_values_behind() {
    let mint = Mint::new();
    let make = |n: usize| {
        assert!(n < 2, "the third breaks");
        mint.token(n as u32)
    };
    assert_eq!(message_of(|| TArray::from_fn(3, make)), "the third breaks");
    assert_eq!(mint.alive(), 0);
    let array = TArray::new(3, ());
    let n = Cell::new(0);
    let broken = unwinds(|| atomically(|tx| Ok(array.map(tx, |()| make(n.replace(n.get() + 1))))));
    assert_eq!((broken, mint.alive()), (true, 0));
}

#[test]
fn a_clone_that_panics_changes_nothing() {
    let breaks = Rc::new(Cell::new(false));
    let array = TArray::new(2, Brittle(breaks.clone()));
    breaks.set(true);
    let swap = |tx: &Transaction| Ok(array.swap(tx, 0, Brittle(breaks.clone())));
    assert_eq!(message_of(|| atomically(swap)), "it breaks");
    assert_eq!(message_of(|| elems(&array)), "it breaks");
    breaks.set(false);
    assert_eq!(elems(&array).len(), 2);
}

#[test]
fn a_write_to_the_element_that_is_looked_at_panics() {
    let array = TArray::named("board", [1, 2]);
    let write = |n| atomically(|tx| Ok(array.with(tx, 0, |_| array.write(tx, n, 3))));
    assert!(message_of(|| write(0)).contains("TArray 'board[0]'"));
    write(1);
    assert_eq!(elems(&array), [1, 3]);
    let mapped = |tx: &Transaction| -> Result<_, Stop> {
        Ok(array.map(tx, |n| array.write(tx, *n as usize - 1, 0)))
    };
    assert!(unwinds(|| atomically(mapped)));
}

// ── reports ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_report_names_the_elements_that_are_waited_for() {
    let wait_for = |array: &TArray<i32>| {
        atomically(|tx| {
            check(array.read(tx, 1) > 0)?;
            check(array.read(tx, 2) > 0)
        });
    };
    let one = deadlock(|| wait_for(&TArray::named("seats", [0, 0, 0])));
    assert!(one.contains("a change of TArray 'seats[1]'"), "{one}");
    assert!(
        one.contains("holds 0, made at tests/stm_tarray.rs"),
        "{one}"
    );
    let two = deadlock(|| wait_for(&TArray::from_iter([0, 7, 0])));
    assert!(two.contains("for a TArray: holds 7, made at"), "{two}");
    assert!(two.contains("for a TArray: holds 0, made at"), "{two}");
}
