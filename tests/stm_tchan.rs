//! TChan: what each of its ends reads, and what a transaction that is undone leaves of it.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one operation that gives nothing"
)]
mod steps;
mod stm_structures;

use maypole::explore::check;
use maypole::stm::{
    self, Stop, TChan, TVar, Transaction, abort, atomically, retry, try_atomically,
};
use maypole::task::{Status, What};
use maypole::{run, scope, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{message_of, unwinds};
use stm_structures::Brittle;
use stm_structures::chan::{drain, dup, filled, is_empty, read, rest, unget, write};

// ── one end ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn items_come_out_first_in_first_out() {
    let chan = filled(0..5);
    write(&chan, 5);
    assert_eq!(rest(&chan), [0, 1, 2, 3, 4, 5]);
    assert!(is_empty(&chan));
    write(&chan, 6);
    assert_eq!(read(&chan), 6);
}

#[test]
fn peek_leaves_what_it_shows_and_what_does_not_wait_says_what_it_found() {
    let chan = TChan::new();
    let steps = atomically(|tx| {
        let nothing = (chan.is_empty(tx), chan.try_peek(tx), chan.try_read(tx));
        chan.write(tx, 1);
        let something = (chan.is_empty(tx), chan.try_peek(tx), chan.peek(tx)?);
        Ok((nothing, something, chan.try_read(tx), chan.try_read(tx)))
    });
    let expected = ((true, None, None), (false, Some(1), 1), Some(1), None);
    assert_eq!(steps, expected);
}

#[test]
fn a_transaction_reads_what_it_has_written_after_what_was_there() {
    let chan = filled([1]);
    let seen = atomically(|tx| {
        chan.write(tx, 2);
        let seen = (chan.read(tx)?, chan.read(tx)?);
        chan.write(tx, 3);
        Ok(seen)
    });
    assert_eq!((seen, rest(&chan)), ((1, 2), vec![3]));
}

#[test]
fn what_is_put_back_comes_first_and_the_last_put_back_before_it() {
    let chan = filled([3]);
    unget(&chan, 2);
    unget(&chan, 1);
    write(&chan, 4);
    assert_eq!(rest(&chan), [1, 2, 3, 4]);
    // Into an empty one, too.
    unget(&chan, 6);
    write(&chan, 7);
    unget(&chan, 5);
    assert_eq!(rest(&chan), [5, 6, 7]);
}

#[test]
fn a_transaction_may_look_ahead_and_put_back() {
    let chan = filled(["a", "b", "c"]);
    let second = atomically(|tx| {
        let (first, second) = (chan.read(tx)?, chan.read(tx)?);
        chan.unget(tx, second);
        chan.unget(tx, first);
        Ok(second)
    });
    assert_eq!((second, rest(&chan)), ("b", vec!["a", "b", "c"]));
}

#[test]
fn what_cannot_be_cloned_may_be_written() {
    struct Unique;
    let chan = TChan::new();
    atomically(|tx| {
        chan.write(tx, Unique);
        chan.unget(tx, Unique);
        Ok(())
    });
    assert!(!is_empty(&chan));
}

#[test]
fn handles_are_equal_if_they_are_of_the_same_end() {
    let chan = TChan::new();
    let (handle, other) = (chan.clone(), dup(&chan));
    write(&chan, 1);
    assert_eq!(read(&handle), 1);
    assert!(is_empty(&chan));
    assert!(chan == handle && chan.same_end(&handle));
    assert!(chan != other && other != TChan::new());
    assert!(format!("{:?}", TChan::<u8>::named("news")).contains("news"));
    assert!(is_empty(&TChan::<u8>::default()));
}

// ── several ends ─────────────────────────────────────────────────────────────────────────────

#[test]
fn a_dup_begins_empty_and_both_ends_have_what_is_written_to_either() {
    let chan = filled([1]);
    let other = dup(&chan);
    assert!(is_empty(&other));
    write(&chan, 2);
    write(&other, 3);
    assert_eq!((rest(&chan), rest(&other)), (vec![1, 2, 3], vec![2, 3]));
}

#[test]
fn a_clone_of_the_channel_begins_with_what_there_is() {
    let chan = filled(['a']);
    let other = atomically(|tx| Ok(chan.clone_chan(tx)));
    assert_eq!((read(&chan), read(&other)), ('a', 'a'));
    write(&chan, 'b');
    assert_eq!((read(&chan), read(&other)), ('b', 'b'));
}

#[test]
fn ends_read_at_their_own_pace() {
    let chan = filled([1, 2]);
    assert_eq!(read(&chan), 1);
    let other = atomically(|tx| Ok(chan.clone_chan(tx)));
    assert_eq!(rest(&chan), [2]);
    write(&other, 3);
    assert_eq!(read(&chan), 3);
    assert_eq!(rest(&other), [2, 3]);
}

#[test]
fn what_is_put_back_is_for_that_end_alone() {
    let chan = filled([1]);
    let (other, third) = (dup(&chan), atomically(|tx| Ok(chan.clone_chan(tx))));
    unget(&chan, 0);
    unget(&other, 10);
    write(&chan, 2);
    assert_eq!(rest(&chan), [0, 1, 2]);
    assert_eq!((rest(&other), rest(&third)), (vec![10, 2], vec![1, 2]));
    // But a clone made afterwards has it.
    unget(&chan, 3);
    let clone = atomically(|tx| Ok(chan.clone_chan(tx)));
    assert_eq!((rest(&chan), rest(&clone)), (vec![3], vec![3]));
}

#[test]
fn a_broadcast_is_heard_by_its_dups_and_not_by_itself() {
    let news = TChan::new_broadcast();
    write(&news, "missed");
    let (ada, grace) = (dup(&news), dup(&news));
    write(&news, "rain");
    let late = dup(&news);
    write(&news, "sun");
    assert_eq!(
        (rest(&ada), rest(&grace)),
        (vec!["rain", "sun"], vec!["rain", "sun"])
    );
    assert_eq!((rest(&late), rest(&news)), (vec!["sun"], vec![]));
    // A dup of a dup, and one that speaks itself.
    let last = dup(&dup(&ada));
    write(&late, "snow");
    assert_eq!((rest(&last), rest(&grace)), (vec!["snow"], vec!["snow"]));
    assert!(is_empty(&atomically(|tx| Ok(news.clone_chan(tx)))));
}

#[test]
fn a_dup_made_within_a_transaction_has_what_that_writes_afterwards() {
    let chan = TChan::new();
    let other = atomically(|tx| {
        chan.write(tx, 1);
        let other = chan.dup(tx);
        chan.write(tx, 2);
        Ok(other)
    });
    assert_eq!((rest(&chan), rest(&other)), (vec![1, 2], vec![2]));
}

#[test]
fn every_end_has_every_item_under_every_schedule() {
    check(|| {
        let news = TChan::named_broadcast("news");
        let ends = [dup(&news), dup(&news)];
        scope(|s| {
            for end in &ends {
                s.spawn(move || assert_eq!([read(end), read(end)], [1, 2]));
            }
            write(&news, 1);
            write(&news, 2);
        });
    });
}

// ── what is undone ───────────────────────────────────────────────────────────────────────────

/// Does a little of everything with the channel, which holds 1, 2 and 3.
fn rummage(tx: &Transaction, chan: &TChan<i32>) {
    chan.write(tx, 4);
    let first = chan.try_read(tx).unwrap();
    chan.unget(tx, first * 10);
    chan.unget(tx, first * 100);
    let other = chan.dup(tx);
    other.write(tx, 5);
    assert_eq!(drain(tx, &chan.clone_chan(tx)), [100, 10, 2, 3, 4, 5]);
    assert_eq!(drain(tx, chan), [100, 10, 2, 3, 4, 5]);
    chan.write(tx, 6);
    assert_eq!(drain(tx, &other), [5, 6]);
}

#[test]
fn an_abort_undoes_every_operation() {
    let chan = filled([1, 2, 3]);
    let other = dup(&chan);
    let failed: Result<(), &str> = try_atomically(|tx| {
        rummage(tx, &chan);
        abort("no")
    });
    assert_eq!(failed, Err("no"));
    write(&chan, 4);
    assert_eq!((rest(&chan), rest(&other)), (vec![1, 2, 3, 4], vec![4]));
}

#[test]
fn a_panic_undoes_every_operation() {
    let chan = filled([1, 2, 3]);
    let broken = unwinds(|| {
        atomically(|tx| -> Result<(), Stop> {
            rummage(tx, &chan);
            panic!("in the middle")
        })
    });
    assert!(broken);
    write(&chan, 4);
    assert_eq!(rest(&chan), [1, 2, 3, 4]);
}

#[test]
fn a_retry_undoes_every_operation_and_the_next_run_begins_afresh() {
    run(|| {
        let (chan, go) = (filled([1, 2, 3]), TVar::new(false));
        let (end, wait) = (chan.clone(), go.clone());
        let waiter = spawn(move || {
            atomically(|tx| {
                rummage(tx, &end);
                stm::check(wait.read(tx))
            })
        });
        yield_now();
        assert_eq!(waiter.task().status(), Status::Parked(What::Atomically));
        let clone = atomically(|tx| Ok(chan.clone_chan(tx)));
        assert_eq!(rest(&clone), [1, 2, 3]);
        go.set(true);
        waiter.join().unwrap();
        assert_eq!((rest(&chan), rest(&clone)), (vec![6], vec![4, 5, 6]));
    });
}

#[test]
fn an_arm_that_is_undone_leaves_what_came_before_it() {
    let chan = filled([1, 2, 3]);
    let seen = atomically(|tx| {
        let first = chan.read(tx)?;
        chan.write(tx, 4);
        let left = tx.or_else(
            |tx| {
                rummage_on(tx, &chan);
                retry()
            },
            |tx| {
                chan.unget(tx, 0);
                Ok(drain(tx, &chan.clone_chan(tx)))
            },
        )?;
        Ok((first, left))
    });
    assert_eq!(seen, (1, vec![0, 2, 3, 4]));
    write(&chan, 5);
    assert_eq!(rest(&chan), [0, 2, 3, 4, 5]);
}

/// A part of an arm: takes all there is, writes and puts back.
fn rummage_on(tx: &Transaction, chan: &TChan<i32>) {
    let all = drain(tx, chan);
    all.iter().for_each(|item| chan.write(tx, item * 10));
    chan.unget(tx, -1);
}

#[test]
fn arms_within_arms_are_undone_one_by_one() {
    let chan = filled([1]);
    let caught = atomically(|tx| {
        chan.write(tx, 2);
        tx.catch(
            |tx| {
                chan.write(tx, 3);
                rummage_on(tx, &chan);
                tx.or_else(
                    |tx| {
                        rummage_on(tx, &chan);
                        chan.write(tx, 99);
                        retry()
                    },
                    |tx| abort(drain(tx, &chan)),
                )
            },
            |tx, seen: Vec<i32>| {
                chan.write(tx, 4);
                Ok(seen)
            },
        )
    });
    assert_eq!(caught, [-1, 10, 20, 30]);
    assert_eq!(rest(&chan), [1, 2, 4]);
}

#[test]
fn the_first_of_two_channels_that_has_something_is_read() {
    run(|| {
        let (urgent, usual) = (TChan::new(), TChan::new());
        let next = |tx: &Transaction| -> Result<_, Stop> {
            tx.or_else(|tx| urgent.read(tx), |tx| usual.read(tx))
        };
        write(&usual, "letter");
        write(&urgent, "fire");
        assert_eq!([(); 2].map(|()| atomically(next)), ["fire", "letter"]);
        scope(|s| {
            s.spawn(|| assert_eq!(atomically(next), "post"));
            yield_now();
            write(&usual, "post");
        });
    });
}

#[test]
fn a_clone_that_panics_takes_nothing() {
    let breaks = Rc::new(Cell::new(false));
    let chan = filled([Brittle(breaks.clone())]);
    breaks.set(true);
    assert_eq!(message_of(|| read(&chan)), "it breaks");
    assert!(!is_empty(&chan));
    breaks.set(false);
    read(&chan);
    assert!(is_empty(&chan));
}

#[test]
fn an_end_made_in_a_transaction_that_is_undone_does_no_harm() {
    let chan = filled([1]);
    let kept = Cell::new(None);
    let failed: Result<(), ()> = try_atomically(|tx| {
        chan.write(tx, 2);
        kept.set(Some(chan.dup(tx)));
        abort(())
    });
    assert_eq!(failed, Err(()));
    let stray = kept.take().unwrap();
    write(&stray, 3);
    assert_eq!(rest(&chan), [1, 3]);
}
