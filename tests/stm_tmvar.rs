//! TMVar: who waits for it to be full or empty, what a transaction that is undone leaves of it, and
//! what reports say of it.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one operation that gives nothing"
)]
mod deadlock_support;
mod steps;
mod stm_structures;

use deadlock_support::{deadlock, head};
use maypole::explore::check;
use maypole::stm::{self, Stop, TArray, TChan, TMVar, TVar, abort, atomically, try_atomically};
use maypole::task::{self, Killed, Status, What};
use maypole::time::timeout;
use maypole::{JoinHandle, run, scope, spawn, yield_now};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use steps::{Log, message_of, ms, on_virtual_time, unwinds};
use stm_structures::{Brittle, Mint, Restless};

const WAITS: Status = Status::Parked(What::Atomically);

fn take<T: Clone>(place: &TMVar<T>) -> T {
    atomically(|tx| place.take(tx))
}

fn put<T: Clone>(place: &TMVar<T>, value: T) {
    atomically(|tx| place.put(tx, value.clone()));
}

fn content<T: Clone>(place: &TMVar<T>) -> Option<T> {
    atomically(|tx| Ok(place.try_read(tx)))
}

fn taker<T: Clone>(place: &TMVar<T>) -> JoinHandle<T> {
    let place = place.clone();
    spawn(move || take(&place))
}

fn putter<T: Clone>(place: &TMVar<T>, value: T) -> JoinHandle<()> {
    let place = place.clone();
    spawn(move || put(&place, value))
}

// ── full and empty ───────────────────────────────────────────────────────────────────────────

#[test]
fn it_is_made_full_or_empty() {
    assert_eq!(content(&TMVar::new(1)), Some(1));
    assert_eq!(content(&TMVar::<i32>::new_empty()), None);
    assert_eq!(content(&TMVar::named("full", Some(2))), Some(2));
    assert_eq!(content(&TMVar::<i32>::named("empty", None)), None);
}

#[test]
fn take_leaves_it_empty_and_read_leaves_it_full() {
    let place = TMVar::new(7);
    assert_eq!(atomically(|tx| place.read(tx)), 7);
    assert_eq!(content(&place), Some(7));
    assert_eq!(take(&place), 7);
    assert_eq!(content(&place), None);
}

#[test]
fn what_does_not_wait_says_what_it_found() {
    let place = TMVar::new_empty();
    let steps = atomically(|tx| {
        let nothing = (place.is_empty(tx), place.try_take(tx), place.try_read(tx));
        let filled = (place.try_put(tx, 1), place.try_put(tx, 2));
        let something = (place.is_empty(tx), place.try_read(tx), place.try_take(tx));
        Ok((nothing, filled, something, place.try_take(tx)))
    });
    let expected = (
        (true, None, None),
        (true, false),
        (false, Some(1), Some(1)),
        None,
    );
    assert_eq!(steps, expected);
}

#[test]
fn write_fills_it_whatever_was_in_it() {
    let place = TMVar::new_empty();
    atomically(|tx| {
        place.write(tx, 1);
        Ok(place.write(tx, 2))
    });
    assert_eq!(content(&place), Some(2));
}

#[test]
fn swap_gives_back_the_value_before() {
    let place = TMVar::new(1);
    assert_eq!(atomically(|tx| place.swap(tx, 2)), 1);
    assert_eq!(content(&place), Some(2));
}

#[test]
fn what_cannot_be_cloned_may_be_put_and_replaced() {
    struct Unique;
    let place = TMVar::new(Unique);
    let found = atomically(|tx| {
        let found = place.is_empty(tx);
        place.write(tx, Unique);
        Ok((found, place.try_put(tx, Unique)))
    });
    assert_eq!(found, (false, false));
}

#[test]
fn handles_are_equal_if_they_are_of_the_same_place() {
    let place = TMVar::new(1);
    let handle = place.clone();
    put(&TMVar::new_empty(), 1);
    assert_eq!(take(&handle), 1);
    assert_eq!(content(&place), None);
    assert!(place == handle && place.same_variable(&handle));
    assert!(place != TMVar::new(1));
    assert!(format!("{:?}", TMVar::new(7)).contains("Some(7)"));
}

#[test]
fn structures_of_variables_may_be_shared_with_what_unwinds() {
    fn is_safe<S: UnwindSafe + RefUnwindSafe>() {}
    is_safe::<TMVar<Cell<u8>>>();
    is_safe::<TChan<Cell<u8>>>();
    is_safe::<TArray<Cell<u8>>>();
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn whoever_takes_reads_or_swaps_waits_until_it_is_full() {
    run(|| {
        let place = TMVar::new_empty();
        let reader = place.clone();
        let reader = spawn(move || atomically(|tx| reader.read(tx)));
        let swapper = place.clone();
        let swapper = spawn(move || atomically(|tx| swapper.swap(tx, 2)));
        let taker = taker(&place);
        yield_now();
        let states = [reader.task(), swapper.task(), taker.task()].map(|task| task.status());
        assert_eq!(states, [WAITS; 3]);
        put(&place, 1);
        assert_eq!(reader.join().unwrap(), 1);
        assert_eq!(swapper.join().unwrap(), 1);
        assert_eq!(taker.join().unwrap(), 2);
        assert_eq!(content(&place), None);
    });
}

#[test]
fn whoever_puts_waits_until_it_is_empty() {
    run(|| {
        let place = TMVar::new(1);
        let putter = putter(&place, 2);
        yield_now();
        assert_eq!(putter.task().status(), WAITS);
        assert_eq!(take(&place), 1);
        putter.join().unwrap();
        assert_eq!(content(&place), Some(2));
    });
}

#[test]
fn a_write_wakes_who_waits_for_a_value() {
    run(|| {
        let place = TMVar::new_empty();
        let taker = taker(&place);
        yield_now();
        atomically(|tx| Ok(place.write(tx, 5)));
        assert_eq!(taker.join().unwrap(), 5);
    });
}

#[test]
fn takers_have_their_turns_in_the_order_in_which_they_parked() {
    run(|| {
        let (place, log) = (TMVar::new_empty(), Log::new());
        let takers: Vec<_> = (0..5)
            .map(|n| {
                let (place, log) = (place.clone(), log.clone());
                spawn(move || log.add(format!("{n}:{}", take(&place))))
            })
            .collect();
        yield_now();
        (0..5).for_each(|value| put(&place, value));
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        assert_eq!(log.text(), "0:0 1:1 2:2 3:3 4:4");
    });
}

#[test]
fn of_two_takers_of_one_value_one_has_it_under_every_schedule() {
    check(|| {
        let (place, had) = (TMVar::new_empty(), TVar::new(0));
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let value = take(&place);
                    atomically(|tx| Ok(had.update(tx, |sum| sum + value)));
                });
            }
            put(&place, 1);
            atomically(|tx| stm::check(had.read(tx) > 0));
            // The other waits on.
            assert_eq!((had.get(), content(&place)), (1, None));
            put(&place, 10);
        });
        assert_eq!((had.get(), content(&place)), (11, None));
    });
}

#[test]
fn values_pass_through_one_by_one_and_in_order_under_every_schedule() {
    check(|| {
        let place = TMVar::new_empty();
        let producer = place.clone();
        spawn(move || (1..=3).for_each(|n| put(&producer, n)));
        assert_eq!([(); 3].map(|()| take(&place)), [1, 2, 3]);
        assert_eq!(content(&place), None);
    });
}

#[test]
fn values_of_two_producers_arrive_once_each_under_every_schedule() {
    check(|| {
        let place = TMVar::new_empty();
        let other = place.clone();
        spawn(move || put(&other, 10));
        let producer = place.clone();
        spawn(move || [1, 2].map(|value| put(&producer, value)));
        let all = [(); 3].map(|()| take(&place));
        assert!(
            [[1, 2, 10], [1, 10, 2], [10, 1, 2]].contains(&all),
            "{all:?}"
        );
    });
}

#[test]
fn as_a_lock_it_loses_no_update_under_every_schedule() {
    check(|| {
        let place = TMVar::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let value = take(&place);
                    yield_now();
                    put(&place, value + 1);
                });
            }
        });
        assert_eq!(content(&place), Some(2));
    });
}

#[test]
fn two_places_are_taken_together_or_not_at_all_under_every_schedule() {
    check(|| {
        let (left, right) = (TMVar::new(()), TMVar::new(()));
        scope(|s| {
            // In opposite orders, which would be a deadlock with locks.
            let (left, right) = (&left, &right);
            for (first, second) in [(left, right), (right, left)] {
                s.spawn(move || {
                    atomically(|tx| {
                        first.take(tx)?;
                        second.take(tx)
                    });
                    yield_now();
                    atomically(|tx| {
                        first.put(tx, ())?;
                        second.put(tx, ())
                    });
                });
            }
        });
        assert_eq!((content(&left), content(&right)), (Some(()), Some(())));
    });
}

// ── kills and deadlines ──────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_taker_takes_nothing_and_a_killed_putter_puts_nothing() {
    run(|| {
        let (empty, full) = (TMVar::new_empty(), TMVar::new(1));
        let (taker, putter) = (taker(&empty), putter(&full, 2));
        yield_now();
        assert_eq!(taker.kill("not wanted"), Killed::Parked);
        assert_eq!(putter.kill("not wanted"), Killed::Parked);
        assert!(taker.join().unwrap_err().is_killed());
        assert!(putter.join().unwrap_err().is_killed());
        put(&empty, 3);
        assert_eq!((content(&empty), content(&full)), (Some(3), Some(1)));
    });
}

#[test]
fn the_next_has_what_a_killed_taker_waited_for() {
    run(|| {
        let place = TMVar::new_empty();
        let (first, second) = (taker(&place), taker(&place));
        yield_now();
        first.kill("not wanted");
        put(&place, 1);
        assert_eq!(second.join().unwrap(), 1);
        assert!(first.join().is_err());
    });
}

#[test]
fn a_value_is_never_lost_with_a_killed_taker_under_every_schedule() {
    check(|| {
        let place = TMVar::new_empty();
        let taker = taker(&place);
        let putter = putter(&place, 7);
        taker.kill("not wanted");
        putter.join().unwrap();
        let taken = taker.join().ok();
        assert_eq!(taken.or(content(&place)), Some(7));
    });
}

#[test]
fn a_taker_whose_time_is_up_takes_nothing() {
    on_virtual_time(|| {
        let place = TMVar::new_empty();
        assert!(timeout(ms(5), || take(&place)).is_err());
        put(&place, 1);
        assert_eq!(timeout(ms(5), || take(&place)).unwrap(), 1);
    });
}

// ── what is undone ───────────────────────────────────────────────────────────────────────────

#[test]
fn an_arm_that_took_the_first_of_two_gives_it_back() {
    let (full, empty) = (TMVar::new(1), TMVar::<i32>::new_empty());
    let other = atomically(|tx| {
        tx.or_else(
            |tx| Ok(full.take(tx)? + empty.take(tx)?),
            |tx| Ok(full.read(tx)? * 10),
        )
    });
    assert_eq!(
        (other, content(&full), content(&empty)),
        (10, Some(1), None)
    );
}

#[test]
fn a_retry_gives_back_what_was_taken_and_takes_back_what_was_put() {
    run(|| {
        let (from, to) = (TMVar::new(1), TMVar::new_empty());
        let go = TVar::new(false);
        let (source, target, wait) = (from.clone(), to.clone(), go.clone());
        let mover = spawn(move || {
            atomically(|tx| {
                let value = source.take(tx)?;
                target.put(tx, value)?;
                stm::check(wait.read(tx))
            })
        });
        yield_now();
        assert_eq!((content(&from), content(&to)), (Some(1), None));
        go.set(true);
        mover.join().unwrap();
        assert_eq!((content(&from), content(&to)), (None, Some(1)));
    });
}

#[test]
fn an_abort_undoes_every_operation() {
    let (full, empty) = (TMVar::new(1), TMVar::new_empty());
    let failed: Result<(), &str> = try_atomically(|tx| {
        full.swap(tx, 2)?;
        full.take(tx)?;
        full.write(tx, 3);
        empty.put(tx, 4)?;
        abort("no")
    });
    assert_eq!(
        (failed, content(&full), content(&empty)),
        (Err("no"), Some(1), None)
    );
}

#[test]
fn catch_undoes_what_its_arm_did_and_keeps_the_rest() {
    let (first, second) = (TMVar::new(1), TMVar::new(2));
    let caught = atomically(|tx| {
        let one = first.take(tx)?;
        tx.catch(
            |tx| {
                second.take(tx)?;
                first.put(tx, 10)?;
                abort("no")
            },
            |tx, error| Ok((one, first.is_empty(tx), error)),
        )
    });
    assert_eq!(caught, (1, true, "no"));
    assert_eq!((content(&first), content(&second)), (None, Some(2)));
}

#[test]
fn a_panic_undoes_every_operation() {
    let (full, empty) = (TMVar::new(1), TMVar::new_empty());
    let broken = unwinds(|| {
        atomically(|tx| -> Result<(), Stop> {
            let value = full.take(tx)?;
            empty.put(tx, value)?;
            panic!("in the middle")
        })
    });
    assert!(broken);
    assert_eq!((content(&full), content(&empty)), (Some(1), None));
}

#[test]
fn a_clone_that_panics_takes_nothing() {
    let breaks = Rc::new(Cell::new(true));
    let place = TMVar::new(Brittle(breaks.clone()));
    assert_eq!(message_of(|| take(&place)), "it breaks");
    assert!(!atomically(|tx| Ok(place.is_empty(tx))));
    breaks.set(false);
    take(&place);
    assert!(atomically(|tx| Ok(place.is_empty(tx))));
}

#[test]
fn a_transaction_of_a_select_that_loses_takes_nothing() {
    run(|| {
        let place = TMVar::new_empty();
        let (sender, letters) = maypole::channel::unbounded();
        let waiting = place.clone();
        let chooser = spawn(move || {
            maypole::channel::select! {
                atomically(|tx| waiting.take(tx)) -> value => value,
                recv(letters) -> letter => letter.unwrap(),
            }
        });
        yield_now();
        sender.send(1).unwrap();
        put(&place, 2);
        let chosen = chooser.join().unwrap();
        let left = if chosen == 1 { Some(2) } else { None };
        assert_eq!(content(&place), left);
    });
}

// ── destructors ──────────────────────────────────────────────────────────────────────────────

#[test]
fn every_value_is_dropped_once_however_its_transaction_ends() {
    run(|| {
        let (place, mint) = (TMVar::new_empty(), Mint::new());
        atomically(|tx| place.put(tx, mint.token(1)));
        assert_eq!(mint.alive(), 1);
        // Refused, replaced, swapped, taken and put again.
        atomically(|tx| Ok(place.try_put(tx, mint.token(2))));
        assert_eq!(mint.alive(), 1);
        atomically(|tx| Ok(place.write(tx, mint.token(3))));
        assert_eq!(mint.alive(), 1);
        assert_eq!(atomically(|tx| place.swap(tx, mint.token(4))).number, 3);
        assert_eq!(mint.alive(), 1);
        let failed: Result<(), &str> = try_atomically(|tx| {
            place.take(tx)?;
            place.put(tx, mint.token(5))?;
            tx.or_else(|tx| place.put(tx, mint.token(6)), |_| Ok(()))?;
            abort("no")
        });
        assert_eq!((failed, mint.alive()), (Err("no"), 1));
        // One that waits, and is run again.
        let (waiting, tokens) = (place.clone(), mint.clone());
        let putter = spawn(move || atomically(|tx| waiting.put(tx, tokens.token(7))));
        yield_now();
        assert_eq!(mint.alive(), 1);
        assert_eq!(take(&place).number, 4);
        putter.join().unwrap();
        assert_eq!(mint.alive(), 1);
        drop(place);
        assert_eq!(mint.alive(), 0);
    });
}

#[test]
fn destructors_run_when_the_transaction_is_over() {
    run(|| {
        let count = TVar::new(0);
        let value = || Restless(count.clone());
        let place = TMVar::new(value());
        // What was there, and what found no room: neither destructor may run in the middle.
        atomically(|tx| {
            assert!(!place.try_put(tx, value()));
            Ok(place.write(tx, value()))
        });
        assert_eq!(count.get(), 2);
        let refused: Result<(), Stop> = atomically(|tx| {
            let refused = place.put(tx, value());
            let swapped = TMVar::new_empty().swap(tx, value());
            assert!(swapped.is_err_and(|stop: Stop| stop == Stop::Retry));
            Ok(refused)
        });
        assert_eq!((refused, count.get()), (Err(Stop::Retry), 4));
    });
}

// ── reports ──────────────────────────────────────────────────────────────────────────────────

/// Starts a task with a name.
#[track_caller]
fn named(name: &str, body: impl FnOnce() + 'static) -> JoinHandle<()> {
    let builder = task::Builder::new().name(name);
    builder.spawn(body).expect("there are stacks")
}

#[test]
fn two_tasks_that_wait_for_each_other_are_both_named() {
    // @main
    let report = deadlock(|| {
        let left = TMVar::new_empty(); // @left
        let right = TMVar::named("right", None); // @right
        let (from, to) = (left.clone(), right.clone());
        // @ada
        let ada = named("ada", move || {
            let value: u8 = atomically(|tx| from.take(tx)); // @takes_left
            put(&to, value);
        });
        let (from, to) = (right, left);
        // @grace
        drop(named("grace", move || {
            let value: u8 = atomically(|tx| from.take(tx)); // @takes_right
            put(&to, value);
        }));
        let _ = ada.join(); // @joins
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main   joins ada at @joins (spawned at @main)
|joins
  #2 ada    waits for a change of a TMVar at @takes_left (spawned at @ada)
            empty, made at @left
|takes_left
  #3 grace  waits for a change of TMVar 'right' at @takes_right (spawned at @grace)
            empty, made at @right
|takes_right

  to end a retry:        commit a write to what it has read, or give it a time with maypole::stm::delay(..)
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 3 tasks") + &text);
}

#[test]
fn one_that_stays_full_is_said_to_be_full() {
    let report = deadlock(|| put(&TMVar::named("box", Some(1)), 2));
    assert!(
        report.contains("waits for a change of TMVar 'box'"),
        "{report}"
    );
    assert!(report.contains("full, made at"), "{report}");
}

#[test]
fn waiting_for_it_outside_of_a_run_panics_by_name() {
    let message = message_of(|| take(&TMVar::<u8>::new_empty()));
    assert!(message.contains("maypole::run"), "{message}");
}

#[test]
fn one_that_wants_more_than_it_has_written_itself_waits_in_vain() {
    let report = deadlock(|| {
        let place = TMVar::named("box", None);
        atomically(|tx| {
            place.write(tx, 1);
            place.take(tx)?;
            place.take(tx)
        });
    });
    assert!(report.contains("a change of TMVar 'box'"), "{report}");
}
