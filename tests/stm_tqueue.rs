//! `TQueue`: order, waiting, kills, size, reports.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
mod queue_support;
mod steps;

use maypole::stm::{Stop, TQueue, TVar, Transaction, atomically, check, retry};
use maypole::task::{Status, What};
use maypole::time::timeout;
use maypole::{Builder, JoinHandle, run, spawn, yield_now};
use queue_support::{Queue, deadlock_of, join_all};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, message_of, ms, on_virtual_time};

fn queue_of<T: Clone + 'static>(items: impl IntoIterator<Item = T>) -> TQueue<T> {
    let queue = TQueue::new();
    for item in items {
        atomically(|tx| Ok(queue.write(tx, item.clone())));
    }
    queue
}

fn write<T: Clone + 'static>(queue: &TQueue<T>, item: T) {
    atomically(|tx| Ok(queue.write(tx, item.clone())));
}

fn read<T: Clone + 'static>(queue: &TQueue<T>) -> T {
    atomically(|tx| queue.read(tx))
}

/// A task that waits for an item and logs it.
fn reader(name: &'static str, queue: &TQueue<u32>, log: &Log) -> JoinHandle<()> {
    let (queue, log) = (queue.clone(), log.clone());
    let task = spawn(move || {
        let item = atomically(|tx| queue.read(tx));
        log.add(format!("{name}{item}"));
    });
    yield_now();
    task
}

// ── operations ───────────────────────────────────────────────────────────────────────────────

#[test]
fn items_come_in_the_order_in_which_they_were_written() {
    let queue = queue_of(0..100);
    assert!((0..100).eq((0..100).map(|_| read(&queue))));
}

#[test]
fn a_transaction_reads_what_it_has_written_itself() {
    let queue = queue_of([1]);
    let read = atomically(|tx| {
        queue.write(tx, 2);
        Ok([queue.read(tx)?, queue.read(tx)?])
    });
    assert_eq!(read, [1, 2]);
}

#[test]
fn peek_shows_the_first_and_leaves_it() {
    let queue = queue_of([1, 2]);
    for _ in 0..3 {
        assert_eq!(atomically(|tx| queue.peek(tx)), 1);
        assert_eq!(atomically(|tx| Ok(queue.try_peek(tx))), Some(1));
    }
    assert_eq!(queue.contents(), [1, 2]);
}

#[test]
fn unget_comes_before_all_others_and_the_last_unget_first() {
    let queue = queue_of([1, 2]);
    atomically(|tx| {
        queue.unget(tx, 3);
        queue.unget(tx, 4);
        Ok(())
    });
    assert_eq!(queue.contents(), [4, 3, 1, 2]);
}

#[test]
fn what_was_read_and_put_back_is_the_first_again() {
    let queue = queue_of([1, 2]);
    atomically(|tx| {
        let first = queue.read(tx)?;
        queue.unget(tx, first);
        Ok(())
    });
    assert_eq!(queue.contents(), [1, 2]);
}

#[test]
fn flush_takes_all_in_their_order() {
    let queue = queue_of([1, 2, 3]);
    let all = atomically(|tx| {
        queue.unget(tx, 0);
        queue.write(tx, 4);
        Ok(queue.flush(tx))
    });
    assert_eq!(all, [0, 1, 2, 3, 4]);
    assert!(atomically(|tx| Ok(queue.is_empty(tx))));
}

#[test]
fn an_empty_queue_has_nothing_to_flush_to_peek_at_or_to_try() {
    let queue: TQueue<u8> = TQueue::default();
    atomically(|tx| {
        assert!(queue.is_empty(tx));
        assert_eq!(queue.flush(tx), []);
        assert_eq!(queue.try_read(tx), None);
        assert_eq!(queue.try_peek(tx), None);
        assert_eq!(queue.read::<()>(tx), Err(Stop::Retry));
        assert_eq!(queue.peek::<()>(tx), Err(Stop::Retry));
        Ok(())
    });
}

#[test]
fn it_is_empty_until_something_is_written_and_again_when_it_was_taken() {
    let queue = TQueue::new();
    let seen = atomically(|tx| {
        let mut seen = vec![queue.is_empty(tx)];
        queue.write(tx, 'x');
        seen.push(queue.is_empty(tx));
        queue.read(tx)?;
        seen.push(queue.is_empty(tx));
        Ok(seen)
    });
    assert_eq!(seen, [true, false, true]);
}

#[test]
fn a_clone_is_the_same_queue_and_an_equal_one_is_not() {
    let queue = queue_of([1]);
    let (same, other) = (queue.clone(), queue_of([1]));
    assert!(queue == same && queue.same_queue(&same));
    assert!(queue != other && !queue.same_queue(&other));
    write(&same, 2);
    assert_eq!(queue.contents(), [1, 2]);
}

#[test]
fn debug_names_the_kind_and_asks_nothing_of_the_items() {
    #[derive(Clone)]
    struct Opaque;
    assert_eq!(format!("{:?}", queue_of([Opaque])), "TQueue { .. }");
}

#[test]
fn items_moved_from_one_queue_to_another_are_in_one_of_them() {
    run(|| {
        let (from, to) = (queue_of(0..20), TQueue::new());
        let (source, target) = (from.clone(), to.clone());
        let mover = spawn(move || {
            for _ in 0..20 {
                atomically(|tx| Ok(target.write(tx, source.read(tx)?)));
                yield_now();
            }
        });
        while !mover.is_finished() {
            let [left, moved] = [&to, &from].map(Queue::contents);
            assert!([left, moved].concat().into_iter().eq(0..20));
            yield_now();
        }
    });
}

#[test]
fn a_queue_may_be_used_in_one_run_after_another() {
    let queue = TQueue::new();
    for number in 0..3 {
        let theirs = queue.clone();
        run(move || {
            let reader = reader("", &theirs, &Log::new());
            write(&theirs, number);
            reader.join().unwrap();
            // One that waits for ever is killed at the end of the run, and takes nothing later.
            drop(self::reader("", &theirs, &Log::new()));
        });
    }
    write(&queue, 7);
    assert_eq!(queue.contents(), [7]);
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_reader_waits_for_a_write() {
    run(|| {
        let (queue, log) = (TQueue::new(), Log::new());
        let reader = reader("r", &queue, &log);
        assert_eq!(reader.task().status(), Status::Parked(What::Atomically));
        write(&queue, 1);
        reader.join().unwrap();
        assert_eq!(log.text(), "r1");
    });
}

#[test]
fn an_unget_wakes_a_reader_too() {
    run(|| {
        let (queue, log) = (TQueue::new(), Log::new());
        let reader = reader("r", &queue, &log);
        atomically(|tx| Ok(queue.unget(tx, 1)));
        reader.join().unwrap();
        assert_eq!(log.text(), "r1");
    });
}

#[test]
fn readers_are_served_in_the_order_in_which_they_parked() {
    run(|| {
        let (queue, log) = (TQueue::new(), Log::new());
        let readers = ["a", "b", "c"].map(|name| reader(name, &queue, &log));
        atomically(|tx| {
            (1..=3).for_each(|number| queue.write(tx, number));
            Ok(())
        });
        join_all(readers);
        assert_eq!(log.text(), "a1 b2 c3");
    });
}

#[test]
fn one_item_serves_one_reader_and_the_others_wait_on() {
    run(|| {
        let (queue, log) = (TQueue::new(), Log::new());
        let readers = ["a", "b", "c"].map(|name| reader(name, &queue, &log));
        for number in 1..=3 {
            write(&queue, number);
            yield_now();
            assert_eq!(log.steps().len(), number as usize);
        }
        join_all(readers);
        assert_eq!(log.text(), "a1 b2 c3");
    });
}

/// Whatever looks at a queue, without effect.
type Look = fn(&TQueue<u32>, &Transaction);

#[test]
fn whatever_looks_at_a_queue_is_waited_for() {
    let looks: [(&str, Look); 7] = [
        ("read", |queue, tx| _ = queue.read::<()>(tx)),
        ("try_read", |queue, tx| _ = queue.try_read(tx)),
        ("peek", |queue, tx| _ = queue.peek::<()>(tx)),
        ("try_peek", |queue, tx| _ = queue.try_peek(tx)),
        ("flush", |queue, tx| _ = queue.flush(tx)),
        ("is_empty", |queue, tx| _ = queue.is_empty(tx)),
        ("read in an arm", |queue, tx| {
            _ = tx.or_else(|tx| queue.read::<()>(tx), |_| Ok(0));
        }),
    ];
    let writes: [(&str, Look); 3] = [
        ("nothing", |_, _| ()),
        ("a write", |queue, tx| queue.write(tx, 5)),
        ("a write in an undone arm", |queue, tx| {
            _ = tx.or_else::<(), ()>(
                |tx| {
                    queue.write(tx, 5);
                    retry()
                },
                |_| Ok(()),
            );
        }),
    ];
    for (name, look) in looks {
        for (before, first) in writes {
            let outcome = Builder::new().run(|| {
                let (queue, runs) = (TQueue::new(), Rc::new(Cell::new(0)));
                let (theirs, counted) = (queue.clone(), runs.clone());
                let task = spawn(move || {
                    atomically(|tx| {
                        counted.set(counted.get() + 1);
                        first(&theirs, tx);
                        look(&theirs, tx);
                        check(counted.get() == 2)
                    });
                });
                yield_now();
                write(&queue, 1);
                task.join().unwrap();
            });
            outcome.unwrap_or_else(|error| panic!("{name} after {before}: {error}"));
        }
    }
}

#[test]
fn what_is_only_written_is_not_waited_for() {
    for operation in ["write", "unget"] {
        let queue = TQueue::new();
        let message = message_of(|| {
            run(|| {
                atomically(|tx| -> Result<(), Stop> {
                    match operation {
                        "write" => queue.write(tx, 1),
                        _ => queue.unget(tx, 1),
                    }
                    retry()
                })
            })
        });
        assert!(message.contains("has read no variable"), "{message}");
        assert!(queue.contents().is_empty());
    }
}

#[test]
fn a_transaction_that_only_looks_wakes_nobody() {
    run(|| {
        let (queue, runs) = (TQueue::<u32>::new(), Rc::new(Cell::new(0)));
        let (theirs, counted) = (queue.clone(), runs.clone());
        let task = spawn(move || {
            atomically(|tx| {
                counted.set(counted.get() + 1);
                theirs.read(tx)
            })
        });
        yield_now();
        atomically(|tx| {
            queue.flush(tx);
            queue.try_read(tx);
            queue.try_peek(tx);
            Ok(queue.is_empty(tx))
        });
        queue.contents();
        yield_now();
        assert_eq!(runs.get(), 1);
        write(&queue, 1);
        assert_eq!(task.join().unwrap(), 1);
    });
}

#[test]
fn whoever_needs_three_items_takes_none_before_there_are_three() {
    fn take(queue: &TQueue<u32>, tx: &Transaction, count: usize) -> Result<Vec<u32>, Stop> {
        (0..count).map(|_| queue.read(tx)).collect()
    }
    run(|| {
        let queue = TQueue::new();
        let theirs = queue.clone();
        let three = spawn(move || atomically(|tx| take(&theirs, tx, 3)));
        for number in 1..=3 {
            yield_now();
            assert_eq!(queue.contents().len(), number - 1);
            write(&queue, number as u32);
        }
        write(&queue, 4);
        assert_eq!(three.join().unwrap(), [1, 2, 3]);
        assert_eq!(queue.contents(), [4]);
    });
}

#[test]
fn a_reader_of_two_queues_prefers_the_first_and_waits_for_either() {
    run(|| {
        let queues = [TQueue::new(), TQueue::new()];
        let [a, b] = queues.clone();
        let either = move || atomically(|tx| tx.or_else(|tx| a.read(tx), |tx| b.read(tx)));
        write(&queues[1], 'b');
        write(&queues[0], 'a');
        assert_eq!([either(), either()], ['a', 'b']);
        for (at, letter) in [(1, 'c'), (0, 'd')] {
            let either = spawn(either.clone());
            yield_now();
            assert_eq!(either.task().status(), Status::Parked(What::Atomically));
            write(&queues[at], letter);
            assert_eq!(either.join().unwrap(), letter);
        }
        assert!(queues.iter().all(|queue| queue.contents().is_empty()));
    });
}

#[test]
fn a_queue_whose_arm_was_undone_in_several_ways_wakes_its_reader_once() {
    run(|| {
        let queue = TQueue::new();
        let (theirs, runs) = (queue.clone(), Rc::new(Cell::new(0)));
        let counted = runs.clone();
        let task = spawn(move || {
            let in_vain = |tx: &Transaction| {
                theirs.write(tx, 9);
                retry()
            };
            atomically(|tx| {
                counted.set(counted.get() + 1);
                tx.or_else(in_vain, |tx| tx.or_else(in_vain, |tx| theirs.read(tx)))
            })
        });
        yield_now();
        write(&queue, 1);
        assert_eq!(task.join().unwrap(), 1);
        assert_eq!(runs.get(), 2);
        assert!(queue.contents().is_empty());
    });
}

// ── kills ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_reader_takes_nothing() {
    run(|| {
        let (queue, log) = (TQueue::new(), Log::new());
        let [killed, other] = ["a", "b"].map(|name| reader(name, &queue, &log));
        killed.kill("not needed");
        write(&queue, 1);
        other.join().unwrap();
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "b1");
    });
}

#[test]
fn a_reader_killed_after_its_wake_leaves_the_item_to_the_next() {
    run(|| {
        let (queue, log) = (TQueue::new(), Log::new());
        let [killed, other] = ["a", "b"].map(|name| reader(name, &queue, &log));
        write(&queue, 1);
        killed.kill("too late to serve it");
        other.join().unwrap();
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "b1");
    });
}

#[test]
fn a_reader_that_has_timed_out_takes_nothing() {
    on_virtual_time(|| {
        let queue = TQueue::new();
        let late = timeout(ms(5), || read::<u32>(&queue));
        assert!(late.is_err());
        write(&queue, 1);
        assert_eq!(queue.contents(), [1]);
        assert_eq!(timeout(ms(5), || read(&queue)), Ok(1));
    });
}

// ── large ones, and reports ──────────────────────────────────────────────────────────────────

#[test]
fn a_hundred_thousand_items_in_one_transaction_come_and_go() {
    const COUNT: u32 = 100_000;
    let queue = TQueue::new();
    atomically(|tx| {
        (0..COUNT).for_each(|number| queue.write(tx, number));
        Ok(())
    });
    assert!(queue.contents().into_iter().eq(0..COUNT));
    let sum = atomically(|tx| {
        let mut sum = 0;
        for _ in 0..COUNT {
            sum += u64::from(queue.read(tx)?);
        }
        Ok(sum)
    });
    assert_eq!(sum, u64::from(COUNT) * u64::from(COUNT - 1) / 2);
    assert!(queue.contents().is_empty());
}

#[test]
fn a_hundred_thousand_operations_are_undone() {
    const COUNT: u32 = 100_000;
    let (queue, other) = (queue_of([1, 2, 3]), TVar::new(false));
    atomically(|tx| {
        tx.or_else(
            |tx| {
                for number in 0..COUNT {
                    queue.write(tx, number);
                    queue.read(tx)?;
                }
                check(other.read(tx))
            },
            |_| Ok(()),
        )
    });
    assert_eq!(queue.contents(), [1, 2, 3]);
}

#[test]
fn a_deadlock_report_names_the_queue_its_place_and_what_it_holds() {
    let (queue, line) = (TQueue::new(), line!());
    write(&queue, 1);
    write(&queue, 2);
    let report = deadlock_of(Builder::new().run(|| {
        atomically(|tx| {
            queue.write(tx, 3);
            let four = [(); 4].map(|()| queue.read(tx));
            four.into_iter().collect::<Result<Vec<_>, _>>()
        })
    }));
    let place = format!("holds 2, made at {}:{line}", file!());
    for part in ["waits for a change of a TQueue", &place] {
        assert!(report.contains(part), "{part}: {report}");
    }
}
