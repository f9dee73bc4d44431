//! What a transaction did to a queue is undone, however it ends that is not a commit.
mod queue_support;
mod steps;

use maypole::stm::{Stop, Transaction, abort, atomically, retry, try_atomically};
use maypole::{run, spawn, yield_now};
use queue_support::model::{Chance, Model, Real, block};
use queue_support::{Item, Kind, Lives, Narrow, Queue, numbers};
use std::cell::RefCell;
use std::collections::VecDeque;
use steps::message_of;

of_both_kinds! {
    an_abort_undoes_each_operation
    a_panic_undoes_each_operation
    an_alternative_undoes_each_operation
    a_handler_undoes_each_operation
    arms_two_deep_undo_one_level_each
    an_undone_arm_keeps_what_the_transaction_did_before_it
    what_an_arm_did_that_succeeded_is_undone_with_the_whole
    an_operation_after_an_undone_arm_sees_nothing_of_it
    a_retry_undoes_all_before_it_waits
    random_transactions_do_what_a_plain_queue_does
}

/// Whatever changes a queue that holds 1, 2 and 3.
type Change<Q> = fn(&Q, &Transaction, &Lives, &RefCell<Vec<Item>>);

fn changes<Q: Queue<Item>>() -> Vec<(&'static str, Change<Q>)> {
    vec![
        ("write", |queue, tx, lives, _| {
            assert_eq!(queue.write::<()>(tx, lives.item(4)), Ok(()));
        }),
        ("unget", |queue, tx, lives, _| {
            assert_eq!(queue.unget::<()>(tx, lives.item(0)), Ok(()));
        }),
        ("read", |queue, tx, _, taken| {
            taken.borrow_mut().extend(queue.read::<()>(tx));
        }),
        ("try_read", |queue, tx, _, taken| {
            taken.borrow_mut().extend(queue.try_read(tx));
        }),
        ("flush", |queue, tx, _, taken| {
            taken.borrow_mut().extend(queue.flush(tx));
        }),
        ("read, then give another back", |queue, tx, lives, taken| {
            taken.borrow_mut().extend(queue.read::<()>(tx));
            assert_eq!(queue.unget::<()>(tx, lives.item(9)), Ok(()));
        }),
        ("write, then flush", |queue, tx, lives, taken| {
            assert_eq!(queue.write::<()>(tx, lives.item(4)), Ok(()));
            taken.borrow_mut().extend(queue.flush(tx));
        }),
        ("flush, write, flush, write", |queue, tx, lives, taken| {
            for number in [4, 5] {
                taken.borrow_mut().extend(queue.flush(tx));
                assert_eq!(queue.write::<()>(tx, lives.item(number)), Ok(()));
            }
        }),
        ("read more than there was", |queue, tx, lives, taken| {
            assert_eq!(queue.write::<()>(tx, lives.item(4)), Ok(()));
            for _ in 0..5 {
                taken.borrow_mut().extend(queue.try_read(tx));
            }
        }),
    ]
}

/// A queue of 1, 2 and 3.
fn three<K: Kind>(lives: &Lives) -> K::Of<Item> {
    let queue = K::empty();
    for number in 1..=3 {
        atomically(|tx| queue.write(tx, lives.item(number)));
    }
    queue
}

/// The queue holds 1, 2 and 3, and nothing else is alive.
#[track_caller]
fn holds_three(what: &str, queue: &impl Queue<Item>, lives: &Lives) {
    assert_eq!(numbers(&queue.contents()), [1, 2, 3], "{what}");
    assert_eq!(lives.alive(), 3, "{what}");
}

/// Tries each change: `undo` runs it in a transaction that comes to nothing.
#[track_caller]
fn each_is_undone<K: Kind>(undo: impl Fn(&mut dyn FnMut(&Transaction))) {
    for (what, change) in changes::<K::Of<Item>>() {
        let (lives, taken) = (Lives::new(), RefCell::default());
        let queue = three::<K>(&lives);
        let mut runs = 0;
        undo(&mut |tx| {
            change(&queue, tx, &lives, &taken);
            runs += 1;
        });
        assert_eq!(runs, 1, "{what}");
        taken.take();
        holds_three(what, &queue, &lives);
        drop(queue);
        assert_eq!(lives.alive(), 0, "{what}");
    }
}

fn an_abort_undoes_each_operation<K: Kind>() {
    each_is_undone::<K>(|change| {
        let ended = try_atomically(|tx| {
            change(tx);
            abort::<(), _>("no")
        });
        assert_eq!(ended, Err("no"));
    });
}

fn a_panic_undoes_each_operation<K: Kind>() {
    each_is_undone::<K>(|change| {
        let message = message_of(|| {
            atomically(|tx| {
                change(tx);
                match true {
                    true => panic!("no"),
                    false => Ok(()),
                }
            })
        });
        assert_eq!(message, "no");
    });
}

fn an_alternative_undoes_each_operation<K: Kind>() {
    each_is_undone::<K>(|change| {
        atomically(|tx| {
            tx.or_else(
                |tx| {
                    change(tx);
                    retry()
                },
                |_| Ok(()),
            )
        });
    });
}

fn a_handler_undoes_each_operation<K: Kind>() {
    each_is_undone::<K>(|change| {
        let caught = atomically(|tx| {
            tx.catch(
                |tx| {
                    change(tx);
                    abort("no")
                },
                |_, error| Ok(error),
            )
        });
        assert_eq!(caught, "no");
    });
}

fn arms_two_deep_undo_one_level_each<K: Kind>() {
    let queue = K::empty();
    let retries = |tx: &Transaction, number: u32| -> Result<(), Stop> {
        queue.write(tx, number)?;
        queue.unget(tx, number)?;
        retry()
    };
    atomically(|tx| {
        queue.write(tx, 1)?;
        tx.or_else(
            |tx| {
                queue.write(tx, 2)?;
                tx.or_else(|tx| retries(tx, 3), |_| Ok(()))?;
                assert_eq!(queue.flush(tx), [1, 2]);
                tx.or_else(|tx| retries(tx, 4), |tx| queue.write(tx, 5))?;
                assert_eq!(queue.try_peek(tx), Some(5));
                retry()
            },
            |tx| {
                assert_eq!(queue.try_peek(tx), Some(1));
                tx.or_else(|tx| retries(tx, 6), |tx| queue.write(tx, 7))
            },
        )
    });
    assert_eq!(queue.contents(), [1, 7]);
}

fn an_undone_arm_keeps_what_the_transaction_did_before_it<K: Kind>() {
    for (what, change) in changes::<K::Of<Item>>() {
        let (lives, taken) = (Lives::new(), RefCell::default());
        let queue = K::empty();
        atomically(|tx| {
            (1..=3).try_for_each(|number| queue.write(tx, lives.item(number)))?;
            tx.or_else(
                |tx| {
                    change(&queue, tx, &lives, &taken);
                    retry()
                },
                |_| Ok(()),
            )
        });
        taken.take();
        holds_three(what, &queue, &lives);
    }
}

fn what_an_arm_did_that_succeeded_is_undone_with_the_whole<K: Kind>() {
    each_is_undone::<K>(|change| {
        let ended = try_atomically(|tx| {
            tx.or_else(
                |tx| {
                    change(tx);
                    Ok(())
                },
                |_| Ok(()),
            )?;
            tx.catch(|_| Ok(()), |_, error| abort(error))?;
            abort::<(), _>("no")
        });
        assert_eq!(ended, Err("no"));
    });
}

fn an_operation_after_an_undone_arm_sees_nothing_of_it<K: Kind>() {
    let queue = K::empty();
    let seen = atomically(|tx| {
        queue.write(tx, 1)?;
        tx.or_else(
            |tx| {
                assert_eq!(queue.flush(tx), [1]);
                queue.write(tx, 2)?;
                retry()
            },
            |_| Ok(()),
        )?;
        queue.write(tx, 3)?;
        Ok(queue.flush(tx))
    });
    assert_eq!(seen, [1, 3]);
    assert!(queue.contents().is_empty());
}

fn a_retry_undoes_all_before_it_waits<K: Kind>() {
    run(|| {
        let queue = K::empty();
        atomically(|tx| queue.write(tx, 1));
        let (theirs, seen) = (queue.clone(), RefCell::new(Vec::new()));
        let pairs = spawn(move || {
            atomically(|tx| {
                let pair = (theirs.read(tx)?, theirs.read(tx)?);
                theirs.write(tx, pair.0 + pair.1)?;
                Ok(pair)
            })
        });
        for number in [1, 2] {
            yield_now();
            seen.borrow_mut().push(queue.contents());
            if number == 2 {
                atomically(|tx| queue.write(tx, number));
            }
        }
        assert_eq!(pairs.join().unwrap(), (1, 2));
        assert_eq!(seen.take(), [[1], [1]]);
        assert_eq!(queue.contents(), [3]);
    });
}

/// Transactions by chance, some on one queue and some on two.
#[track_caller]
fn do_what_plain_queues_do<K: Kind>(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut chance = Chance::new(seed);
        let count = 1 + chance.below(2);
        let mut model = Model::new::<K>(count as usize);
        let real = Real::<K>::new(count as usize);
        for number in 0..25 {
            let block = block(&mut chance, count, 3);
            let must = model.transact(&block);
            let context = format!("seed {seed}, transaction {number}: {block:?}");
            assert_eq!(real.transact(&block), must, "{context}");
            let holds = |queue| VecDeque::from(numbers(&Queue::contents(queue)));
            let held: Vec<_> = real.queues.iter().map(holds).collect();
            assert_eq!(model.queues, held, "{context}");
            let count = model.queues.iter().map(|queue| queue.len()).sum();
            assert_eq!(real.lives.alive(), count, "{context}");
        }
        let lives = real.lives.clone();
        drop(real);
        assert_eq!(lives.alive(), 0, "seed {seed}");
    }
}

fn random_transactions_do_what_a_plain_queue_does<K: Kind>() {
    do_what_plain_queues_do::<K>(0..1000);
}

#[test]
fn random_transactions_do_what_a_plain_queue_of_little_room_does() {
    do_what_plain_queues_do::<Narrow>(0..1000);
}
