//! TChan: who waits for its items, in what order they are had, who is woken by what, and what a report
//! says of those who wait in vain.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one operation that gives nothing"
)]
mod deadlock_support;
mod steps;
mod stm_structures;

use deadlock_support::{deadlock, head};
use maypole::explore::check;
use maypole::stm::{Named, TChan, atomically, retry};
use maypole::task::{self, Killed, Status, What};
use maypole::time::timeout;
use maypole::{JoinHandle, run, scope, spawn, yield_now};
use std::cell::RefCell;
use steps::{Log, message_of, ms, on_virtual_time};
use stm_structures::chan::{dup, filled, is_empty, read, rest, unget, write};

const WAITS: Status = Status::Parked(What::Atomically);

fn reader<T: Clone>(chan: &TChan<T>) -> JoinHandle<T> {
    let chan = chan.clone();
    spawn(move || read(&chan))
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn whoever_reads_or_peeks_waits_for_an_item() {
    run(|| {
        let chan = TChan::new();
        let peeker = chan.clone();
        let peeker = spawn(move || atomically(|tx| peeker.peek(tx)));
        let reader = reader(&chan);
        yield_now();
        assert_eq!([peeker.task().status(), reader.task().status()], [WAITS; 2]);
        write(&chan, 1);
        assert_eq!((peeker.join().unwrap(), reader.join().unwrap()), (1, 1));
        assert!(is_empty(&chan));
    });
}

#[test]
fn readers_of_one_end_have_their_turns_in_the_order_in_which_they_parked() {
    run(|| {
        let (chan, log) = (TChan::new(), Log::new());
        let readers: Vec<_> = (0..4)
            .map(|n| {
                let (chan, log) = (chan.clone(), log.clone());
                spawn(move || log.add(format!("{n}:{}", read(&chan))))
            })
            .collect();
        yield_now();
        (0..4).for_each(|item| write(&chan, item));
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
        assert_eq!(log.text(), "0:0 1:1 2:2 3:3");
    });
}

#[test]
fn a_write_at_any_end_wakes_who_waits_at_another() {
    run(|| {
        let chan = TChan::new();
        let (first, second) = (dup(&chan), dup(&chan));
        let reader = reader(&first);
        yield_now();
        write(&second, 1);
        assert_eq!(reader.join().unwrap(), 1);
        assert_eq!((read(&chan), read(&second)), (1, 1));
    });
}

#[test]
fn what_is_put_back_wakes_who_waits_at_that_end_and_nobody_else() {
    run(|| {
        let chan = TChan::new();
        let (other, elsewhere) = (dup(&chan), Named::new("elsewhere"));
        let reader = reader(&chan);
        let (end, counted) = (other.clone(), elsewhere.clone());
        let stranger = spawn(move || counted.atomically(|tx| end.read(tx)));
        yield_now();
        unget(&chan, 1);
        assert_eq!(reader.join().unwrap(), 1);
        assert_eq!(
            (stranger.task().status(), elsewhere.counters().retries),
            (WAITS, 1)
        );
        write(&chan, 2);
        assert_eq!(stranger.join().unwrap(), 2);
    });
}

#[test]
fn a_broadcast_end_that_is_read_waits_for_what_is_put_back() {
    run(|| {
        let news = TChan::new_broadcast();
        let reader = reader(&news);
        yield_now();
        write(&news, 1);
        yield_now();
        assert_eq!(reader.task().status(), WAITS);
        unget(&news, 2);
        assert_eq!(reader.join().unwrap(), 2);
    });
}

/// What it waits for may be hidden by its own writes: they stand where the others' would be.
#[test]
fn one_that_has_written_itself_still_hears_of_the_others_items() {
    run(|| {
        let chan = TChan::new();
        let own = chan.clone();
        let reader = spawn(move || {
            atomically(|tx| {
                own.write(tx, 10);
                Ok((own.read(tx)?, own.read(tx)?))
            })
        });
        yield_now();
        assert_eq!(reader.task().status(), WAITS);
        write(&chan, 1);
        assert_eq!(reader.join().unwrap(), (1, 10));
        let own = chan.clone();
        let reader = spawn(move || {
            atomically(|tx| {
                own.unget(tx, 10);
                Ok((own.read(tx)?, own.read(tx)?))
            })
        });
        yield_now();
        assert_eq!(reader.task().status(), WAITS);
        unget(&chan, 1);
        assert_eq!(reader.join().unwrap(), (10, 1));
    });
}

#[test]
fn an_item_that_is_not_for_it_does_not_run_a_reader_again() {
    run(|| {
        let (mine, yours) = (TChan::new(), TChan::new());
        let (end, reads) = (mine.clone(), Named::new("reads"));
        let counted = reads.clone();
        let reader = spawn(move || counted.atomically(|tx| end.read(tx)));
        yield_now();
        write(&yours, 1);
        yield_now();
        assert_eq!(reads.counters().retries, 1);
        write(&mine, 2);
        assert_eq!(reader.join().unwrap(), 2);
        assert_eq!((reads.counters().retries, reads.counters().commits), (1, 1));
    });
}

#[test]
fn one_producer_is_heard_in_order_under_every_schedule() {
    check(|| {
        let chan = TChan::new();
        let producer = chan.clone();
        spawn(move || (1..=3).for_each(|n| write(&producer, n)));
        assert_eq!([(); 3].map(|()| read(&chan)), [1, 2, 3]);
        assert!(is_empty(&chan));
    });
}

#[test]
fn two_producers_keep_each_their_order_under_every_schedule() {
    check(|| {
        let chan = TChan::new();
        for items in [[1, 2], [10, 20]] {
            let chan = chan.clone();
            spawn(move || items.map(|item| write(&chan, item)));
        }
        let all = [(); 4].map(|()| read(&chan));
        let (small, big): (Vec<i32>, Vec<i32>) = all.into_iter().partition(|n| *n < 10);
        assert_eq!((small, big), (vec![1, 2], vec![10, 20]));
    });
}

#[test]
fn two_readers_of_one_end_share_the_items_under_every_schedule() {
    check(|| {
        let (chan, had) = (TChan::new(), RefCell::new(Vec::new()));
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let item = read(&chan);
                    had.borrow_mut().push(item);
                });
            }
            write(&chan, 1);
            write(&chan, 2);
        });
        let mut had = had.into_inner();
        had.sort_unstable();
        assert_eq!(had, [1, 2]);
    });
}

#[test]
fn a_pair_of_items_is_read_together_or_not_at_all_under_every_schedule() {
    check(|| {
        let chan = TChan::new();
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let (first, second) = atomically(|tx| Ok((chan.read(tx)?, chan.read(tx)?)));
                    assert_eq!(second, first + 1);
                });
            }
            (0..4).for_each(|n| write(&chan, n));
        });
        assert!(is_empty(&chan));
    });
}

#[test]
fn a_request_brings_an_answer_through_a_channel_of_its_own() {
    run(|| {
        let requests = TChan::<(i32, TChan<i32>)>::new();
        let todo = requests.clone();
        spawn(move || {
            loop {
                let (n, answers) = read(&todo);
                write(&answers, n * n);
            }
        });
        let squares = (1..=3).map(|n| {
            let answers = TChan::new();
            write(&requests, (n, answers.clone()));
            read(&answers)
        });
        assert_eq!(squares.collect::<Vec<_>>(), [1, 4, 9]);
    });
}

// ── kills and deadlines ──────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_reader_takes_nothing_and_the_next_has_it() {
    run(|| {
        let chan = TChan::new();
        let (first, second) = (reader(&chan), reader(&chan));
        yield_now();
        assert_eq!(first.kill("not wanted"), Killed::Parked);
        write(&chan, 1);
        assert_eq!(second.join().unwrap(), 1);
        assert!(first.join().unwrap_err().is_killed());
    });
}

#[test]
fn an_item_is_never_lost_with_a_killed_reader_under_every_schedule() {
    check(|| {
        let chan = TChan::new();
        let reader = reader(&chan);
        let producer = chan.clone();
        let producer = spawn(move || write(&producer, 7));
        reader.kill("not wanted");
        producer.join().unwrap();
        let taken: Vec<_> = reader.join().into_iter().chain(rest(&chan)).collect();
        assert_eq!(taken, [7]);
    });
}

#[test]
fn a_reader_whose_time_is_up_takes_nothing() {
    on_virtual_time(|| {
        let chan = TChan::new();
        assert!(timeout(ms(5), || read(&chan)).is_err());
        write(&chan, 1);
        assert_eq!(timeout(ms(5), || read(&chan)).unwrap(), 1);
    });
}

// ── reports ──────────────────────────────────────────────────────────────────────────────────

fn dup_here<T>(chan: &TChan<T>) -> TChan<T> {
    atomically(|tx| Ok(chan.dup(tx))) // @dups
}

fn read_here<T: Clone>(chan: &TChan<T>) {
    atomically(|tx| chan.read(tx)); // @reads
}

/// Starts a task with a name.
#[track_caller]
fn named(name: &str, body: impl FnOnce() + 'static) {
    let builder = task::Builder::new().name(name);
    drop(builder.spawn(body).expect("there are stacks"));
}

#[test]
fn readers_of_what_nobody_writes_are_named_with_their_ends() {
    // @main
    let report = deadlock(|| {
        let orders = TChan::<u8>::named("orders"); // @orders
        let other = dup_here(&orders);
        // @waiter
        named("waiter", move || {
            read_here(&orders);
        });
        // @cook
        named("cook", move || {
            read_here(&other);
        });
        let news = TChan::<u8>::new_broadcast(); // @news
        read_here(&news);
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main    waits for a change of a TChan at @reads (spawned at @main)
             only what dup gives can be read, made at @news
|reads
  #2 waiter  waits for a change of TChan 'orders' at @reads (spawned at @waiter)
             empty, made at @orders
  #3 cook    waits for a change of TChan 'orders' at @reads (spawned at @cook)
             empty, made at @dups

  to end a retry:        commit a write to what it has read, or give it a time with maypole::stm::delay(..)
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 3 tasks") + &text);
}

#[test]
fn one_that_waits_for_more_says_how_much_there_is() {
    let wait = |items: Vec<u8>| {
        deadlock(move || {
            let chan = filled(items);
            atomically(|tx| {
                chan.peek(tx)?;
                retry::<(), _>()
            });
        })
    };
    let (one, more) = (wait(vec![1]), wait(vec![1, 2, 3]));
    assert!(one.contains("holds 1 item, made at"), "{one}");
    assert!(more.contains("holds 3 items, made at"), "{more}");
}

#[test]
fn one_channel_that_is_written_and_read_is_one_thing() {
    let report = deadlock(|| {
        let (loopback, first) = (TChan::named("loop"), TChan::<u8>::named("first"));
        drop(dup(&first));
        atomically(|tx| {
            loopback.write(tx, 1);
            Ok((loopback.read(tx)?, loopback.read(tx)?))
        });
    });
    assert!(report.contains("a change of TChan 'loop'"), "{report}");
    assert_eq!(report.matches("made at").count(), 1, "{report}");
}

#[test]
fn a_channel_whose_first_end_is_gone_is_still_known() {
    let report = deadlock(|| {
        let news = TChan::named_broadcast("news");
        let end = dup(&news);
        drop(news);
        atomically(|tx| {
            end.write(tx, 1);
            retry::<(), _>()
        });
    });
    assert!(report.contains("a change of TChan 'news'"), "{report}");
}

#[test]
fn waiting_for_it_outside_of_a_run_panics_by_name() {
    let message = message_of(|| read(&TChan::<u8>::new()));
    assert!(message.contains("maypole::run"), "{message}");
}
