//! TChan: when its items go, each once and in their order, however long the chain is.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one operation that gives nothing"
)]
mod steps;
mod stm_structures;

use maypole::stm::{Stop, TChan, TVar, Transaction, abort, atomically, retry, try_atomically};
use maypole::task::{self, Status, What};
use maypole::{run, spawn, yield_now};
use std::rc::Rc;
use steps::{Log, OnDrop, message_of, unwinds};
use stm_structures::chan::{drain, dup, is_empty, read, rest, write};
use stm_structures::{Mint, Restless, Token};

const WAITS: Status = Status::Parked(What::Atomically);

fn mint_into(chan: &TChan<Token>, mint: &Mint, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        atomically(|tx| Ok(chan.write(tx, mint.token(number))));
    }
}

#[test]
fn an_item_goes_when_the_last_end_has_read_it() {
    let (chan, mint) = (TChan::new(), Mint::new());
    let other = dup(&chan);
    mint_into(&chan, &mint, 0..3);
    assert_eq!(mint.alive(), 3);
    drop(read(&chan));
    assert_eq!(mint.alive(), 3);
    drop(read(&other));
    assert_eq!(mint.alive(), 2);
    drop(rest(&other));
    assert_eq!(mint.alive(), 2);
    drop(rest(&chan));
    assert_eq!(mint.alive(), 0);
}

#[test]
fn items_go_with_the_last_end_that_could_read_them() {
    let (chan, mint) = (TChan::new(), Mint::new());
    let other = dup(&chan);
    mint_into(&chan, &mint, 0..3);
    drop(read(&other));
    // Whatever it could read, `other` can read but one; and it goes on without the first end.
    drop(chan);
    assert_eq!(mint.alive(), 2);
    mint_into(&other, &mint, 3..5);
    assert_eq!(read(&other).number, 1);
    assert_eq!(mint.alive(), 3);
    drop(other);
    assert_eq!(mint.alive(), 0);
}

#[test]
fn a_broadcast_without_dups_holds_nothing() {
    let (news, mint) = (TChan::new_broadcast(), Mint::new());
    for number in 0..10 {
        mint_into(&news, &mint, [number]);
        assert_eq!(mint.alive(), 0);
    }
    let ada = dup(&news);
    mint_into(&news, &mint, 0..10);
    assert_eq!(mint.alive(), 10);
    drop(ada);
    assert_eq!(mint.alive(), 0);
    // Nor does one whose dup has read all.
    let grace = dup(&news);
    mint_into(&news, &mint, 0..10);
    drop(rest(&grace));
    assert_eq!(mint.alive(), 0);
}

#[test]
fn what_was_put_back_goes_too() {
    let (chan, mint) = (TChan::new(), Mint::new());
    atomically(|tx| Ok(chan.unget(tx, mint.token(1))));
    assert_eq!(read(&chan).number, 1);
    assert_eq!(mint.alive(), 0);
    atomically(|tx| Ok(chan.unget(tx, mint.token(2))));
    drop(chan);
    assert_eq!(mint.alive(), 0);
}

#[test]
fn every_item_is_dropped_once_however_its_transaction_ends() {
    let (chan, mint) = (TChan::new(), Mint::new());
    mint_into(&chan, &mint, 0..3);
    let stir = |tx: &Transaction| {
        let first = chan.try_read(tx).unwrap();
        chan.unget(tx, mint.token(10));
        chan.write(tx, first);
        chan.write(tx, mint.token(11));
        drop(drain(tx, &chan));
        chan.write(tx, mint.token(12));
    };
    let failed: Result<(), &str> = try_atomically(|tx| {
        stir(tx);
        abort("no")
    });
    assert_eq!((failed, mint.alive()), (Err("no"), 3));
    assert!(unwinds(|| atomically(|tx| -> Result<(), Stop> {
        stir(tx);
        panic!("in the middle")
    })));
    assert_eq!(mint.alive(), 3);
    atomically(|tx| {
        tx.or_else(
            |tx| {
                stir(tx);
                retry()
            },
            |_| Ok(()),
        )
    });
    assert_eq!(mint.alive(), 3);
    atomically(|tx| {
        stir(tx);
        Ok(stir(tx))
    });
    let numbers: Vec<u32> = rest(&chan).iter().map(|token| token.number).collect();
    assert_eq!((numbers, mint.alive()), (vec![12], 0));
}

#[test]
fn a_reader_that_waits_holds_no_items() {
    run(|| {
        let (chan, mint) = (TChan::new(), Mint::new());
        let (end, wait) = (chan.clone(), TVar::new(()));
        mint_into(&chan, &mint, [1]);
        // It has read an item, and gave it back.
        let waiter = spawn(move || {
            atomically(|tx| {
                wait.read(tx);
                end.read(tx)?;
                end.read(tx)
            })
        });
        yield_now();
        assert_eq!((waiter.task().status(), mint.alive()), (WAITS, 1));
        waiter.kill("not wanted");
        assert!(waiter.join().is_err());
        drop(chan);
        assert_eq!(mint.alive(), 0);
    });
}

#[test]
fn destructors_run_when_the_transaction_is_over() {
    let count = TVar::new(0);
    let chan = TChan::new();
    atomically(|tx| {
        chan.write(tx, Rc::new(Restless(count.clone())));
        chan.unget(tx, Rc::new(Restless(count.clone())));
        // The channel's own are gone in the middle, the reader's stay.
        Ok(drain(tx, &chan))
    });
    assert_eq!(count.get(), 2);
}

#[test]
fn a_destructor_may_use_the_channel_it_was_in() {
    run(|| {
        let (chan, log) = (TChan::new(), TChan::new());
        for n in 0..3 {
            let (own, log) = (chan.clone(), log.clone());
            let at_the_end = move || {
                write(&log, (n, is_empty(&own)));
                yield_now();
            };
            let item: Rc<OnDrop<Box<dyn FnMut()>>> = Rc::new(OnDrop(Box::new(at_the_end)));
            atomically(|tx| Ok(chan.write(tx, item.clone())));
        }
        drop(rest(&chan));
        assert_eq!(rest(&log), [(0, true), (1, true), (2, true)]);
    });
}

#[test]
fn items_of_a_chain_go_in_their_order_though_one_of_them_panics() {
    let log = Log::new();
    let chan = TChan::new();
    for n in 0..4 {
        let log = log.clone();
        let item = Rc::new(OnDrop(move || {
            log.add(n);
            assert!(n != 2, "the third breaks");
        }));
        atomically(|tx| Ok(chan.write(tx, item.clone())));
    }
    assert_eq!(message_of(|| drop(chan)), "the third breaks");
    assert_eq!(log.text(), "0 1 2 3");
}

const MANY: usize = 1_000_000;

/// On a stack on which no recursion gets far.
fn on_a_small_stack(body: impl FnOnce() + 'static) {
    run(|| {
        let builder = task::Builder::new().stack_size(64 << 10);
        builder.spawn(body).unwrap().join().unwrap();
    });
}

#[test]
fn a_million_unread_items_are_dropped_on_a_small_stack() {
    on_a_small_stack(|| {
        let chan = TChan::new();
        (0..MANY).for_each(|n| write(&chan, n));
        drop(chan);
    });
}

#[test]
fn a_million_unread_items_are_dropped_with_the_last_dup() {
    on_a_small_stack(|| {
        let mint = Rc::new(());
        let news = TChan::new_broadcast();
        let ends = [dup(&news), dup(&news)];
        (0..MANY).for_each(|_| write(&news, mint.clone()));
        drop(news);
        let [first, second] = ends;
        drop(first);
        assert_eq!(Rc::strong_count(&mint), MANY + 1);
        drop(second);
        assert_eq!(Rc::strong_count(&mint), 1);
    });
}

#[test]
fn a_long_chain_that_one_transaction_has_made_is_undone_and_dropped_on_a_small_stack() {
    on_a_small_stack(|| {
        let chan = TChan::new();
        let item = Rc::new(());
        let failed: Result<(), ()> = try_atomically(|tx| {
            (0..MANY / 10).for_each(|_| chan.write(tx, item.clone()));
            (0..MANY / 10).for_each(|_| chan.unget(tx, item.clone()));
            assert_eq!(drain(tx, &chan).len(), MANY / 5);
            abort(())
        });
        assert_eq!((failed, is_empty(&chan)), (Err(()), true));
        assert_eq!(Rc::strong_count(&item), 1);
    });
}

#[test]
fn a_long_chain_that_is_skipped_in_one_step_is_dropped_on_a_small_stack() {
    on_a_small_stack(|| {
        let chan = TChan::new();
        (0..MANY / 10).for_each(|n| write(&chan, n));
        // The old ends are values of a variable, dropped after its transaction.
        let place = TVar::new(chan.clone());
        drop(chan);
        atomically(|tx| Ok(place.update(tx, |chan| chan.dup(tx))));
        assert!(is_empty(&place.get()));
        atomically(|tx| {
            let chan = place.read(tx);
            (0..MANY / 10).for_each(|n| chan.write(tx, n));
            Ok(place.write(tx, TChan::new()))
        });
    });
}
