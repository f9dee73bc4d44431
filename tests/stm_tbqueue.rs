//! `TBQueue`: its bound, waiting for room, kills, reports.
mod queue_support;
mod steps;

use maypole::stm::{
    Stop, TBQueue, TVar, Transaction, abort, atomically, check, retry, try_atomically,
};
use maypole::task::{Status, What};
use maypole::time::timeout;
use maypole::{Builder, JoinHandle, run, spawn, yield_now};
use queue_support::{Lives, Queue, deadlock_of, join_all, numbers};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, ms, on_virtual_time};

fn full_of<T: Clone + 'static, const N: usize>(items: [T; N]) -> TBQueue<T> {
    let queue = TBQueue::new(N);
    for item in items {
        write(&queue, item);
    }
    queue
}

fn write<T: Clone + 'static>(queue: &TBQueue<T>, item: T) {
    atomically(|tx| queue.write(tx, item.clone()));
}

fn read<T: Clone + 'static>(queue: &TBQueue<T>) -> T {
    atomically(|tx| queue.read(tx))
}

/// Whether the transaction need not wait; it is undone.
fn could(f: impl Fn(&Transaction) -> Result<(), Stop<bool>>) -> bool {
    let ended = try_atomically(|tx| {
        let could = tx.or_else(|tx| f(tx).map(|()| true), |_| Ok(false))?;
        abort::<(), _>(could)
    });
    ended.unwrap_err()
}

/// A task that writes a number, for which there is no room yet, and logs that it has.
fn writer(queue: &TBQueue<u32>, number: u32, log: &Log) -> JoinHandle<()> {
    let (queue, log) = (queue.clone(), log.clone());
    let task = spawn(move || {
        write(&queue, number);
        log.add(number);
    });
    yield_now();
    assert_eq!(task.task().status(), Status::Parked(What::Atomically));
    task
}

// ── the bound ────────────────────────────────────────────────────────────────────────────────

#[test]
fn it_holds_as_many_as_its_capacity() {
    let queue = TBQueue::new(3);
    assert_eq!(queue.capacity(), 3);
    for number in 0..3 {
        atomically(|tx| {
            assert_eq!((queue.len(tx), queue.is_full(tx)), (number, false));
            assert_eq!(queue.is_empty(tx), number == 0);
            queue.write(tx, number)
        });
    }
    atomically(|tx| {
        assert_eq!((queue.len(tx), queue.is_full(tx)), (3, true));
        assert!(!queue.is_empty(tx));
        Ok(())
    });
    assert!(!could(|tx| queue.write(tx, 3)));
    assert!(!could(|tx| queue.unget(tx, 3)));
    assert_eq!(queue.contents(), [0, 1, 2]);
}

#[test]
fn each_item_that_is_taken_makes_room_for_one() {
    let queue = full_of([1, 2]);
    let took = |take: &dyn Fn(&Transaction)| {
        could(|tx| {
            take(tx);
            queue.write(tx, 3)
        })
    };
    assert!(took(&|tx| _ = queue.read::<()>(tx)));
    assert!(took(&|tx| _ = queue.try_read(tx)));
    assert!(took(&|tx| _ = queue.flush(tx)));
    assert!(!took(&|tx| _ = queue.peek::<()>(tx)));
    assert!(!took(&|tx| _ = queue.try_peek(tx)));
    let two = |tx: &Transaction| {
        queue.read(tx)?;
        queue.write(tx, 3)?;
        queue.write(tx, 4)
    };
    assert!(!could(two));
}

#[test]
fn a_full_queue_may_be_peeked_at_and_read() {
    let queue = full_of(['a', 'b']);
    atomically(|tx| {
        assert_eq!((queue.peek(tx)?, queue.try_peek(tx)), ('a', Some('a')));
        assert!(queue.is_full(tx));
        assert_eq!((queue.read(tx)?, queue.try_read(tx)), ('a', Some('b')));
        Ok(())
    });
}

#[test]
fn unget_comes_first_and_needs_room() {
    let queue = full_of([1, 2]);
    atomically(|tx| {
        let first = queue.read(tx)?;
        queue.unget(tx, first * 10)
    });
    assert_eq!(queue.contents(), [10, 2]);
    assert!(!could(|tx| queue.unget(tx, 3)));
}

#[test]
fn a_flush_gives_back_all_the_room() {
    let queue = TBQueue::new(5);
    for round in 0..3 {
        atomically(|tx| (1..=5).try_for_each(|number| queue.write(tx, number)));
        assert_eq!(read(&queue), 1);
        let (all, left) = atomically(|tx| Ok((queue.flush(tx), queue.len(tx))));
        assert_eq!((all, left), (vec![2, 3, 4, 5], 0), "round {round}");
    }
}

#[test]
fn a_flush_in_the_transaction_that_wrote_leaves_nothing() {
    let queue = TBQueue::new(100);
    let length = atomically(|tx| {
        queue.write(tx, 1)?;
        queue.write(tx, 2)?;
        queue.flush(tx);
        Ok(queue.len(tx))
    });
    assert_eq!(length, 0);
}

#[test]
fn a_capacity_of_none_lets_nothing_in() {
    let queue = TBQueue::new(0);
    let is_empty = || {
        atomically(|tx| {
            assert!(queue.is_empty(tx) && queue.is_full(tx));
            assert_eq!((queue.len(tx), queue.capacity()), (0, 0));
            assert_eq!((queue.try_read(tx), queue.try_peek(tx)), (None, None));
            assert_eq!(queue.flush(tx), []);
            Ok(())
        });
    };
    is_empty();
    assert!(!could(|tx| queue.write(tx, 217)));
    assert!(!could(|tx| queue.unget(tx, 218)));
    let other = |tx: &Transaction| {
        tx.or_else(
            |tx| queue.write(tx, 1).map(|()| None),
            |tx| Ok(queue.try_read(tx)),
        )
    };
    assert_eq!(atomically(other), None);
    is_empty();
}

#[test]
fn a_capacity_without_end_is_never_reached() {
    let queue = TBQueue::new(usize::MAX);
    atomically(|tx| (0..1000).try_for_each(|number| queue.write(tx, number)));
    assert!(!atomically(|tx| Ok(queue.is_full(tx))));
    assert!(queue.contents().into_iter().eq(0..1000));
}

#[test]
fn len_and_is_full_follow_each_operation_and_its_undoing() {
    let queue = full_of([1, 2]);
    let fill = |tx: &Transaction| (queue.len(tx), queue.is_full(tx));
    atomically(|tx| {
        queue.read(tx)?;
        assert_eq!(fill(tx), (1, false));
        tx.or_else(
            |tx| {
                queue.write(tx, 3)?;
                assert_eq!(fill(tx), (2, true));
                queue.flush(tx);
                assert_eq!(fill(tx), (0, false));
                retry()
            },
            |_| Ok(()),
        )?;
        assert_eq!(fill(tx), (1, false));
        queue.unget(tx, 4)?;
        assert_eq!(fill(tx), (2, true));
        Ok(())
    });
    assert_eq!(queue.contents(), [4, 2]);
}

#[test]
fn a_clone_is_the_same_queue_and_an_equal_one_is_not() {
    let queue = full_of([1]);
    let (same, other) = (queue.clone(), full_of([1]));
    assert!(queue == same && queue.same_queue(&same));
    assert!(queue != other && !queue.same_queue(&other));
    assert_eq!(read(&same), 1);
    assert!(queue.contents().is_empty());
    assert_eq!(format!("{queue:?}"), "TBQueue { .. }");
}

#[test]
fn an_item_for_which_there_is_no_room_is_dropped_after_the_transaction() {
    let (lives, queue) = (Lives::new(), TBQueue::new(1));
    atomically(|tx| queue.write(tx, lives.item(1)));
    let gone = atomically(|tx| {
        tx.or_else(|tx| queue.write(tx, lives.item(2)), |_| Ok(()))?;
        tx.or_else(|tx| queue.unget(tx, lives.item(3)), |_| Ok(()))?;
        Ok(lives.gone())
    });
    assert_eq!((gone, lives.gone()), (0, 2));
    assert_eq!(numbers(&queue.contents()), [1]);
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_writer_waits_for_room() {
    run(|| {
        let (queue, log) = (full_of([1]), Log::new());
        let writer = writer(&queue, 2, &log);
        assert_eq!(read(&queue), 1);
        writer.join().unwrap();
        assert_eq!(queue.contents(), [2]);
    });
}

#[test]
fn whatever_takes_an_item_wakes_a_writer() {
    type Take = fn(&TBQueue<u32>, &Transaction);
    let takes: [(&str, Take); 3] = [
        ("read", |queue, tx| _ = queue.read::<()>(tx)),
        ("try_read", |queue, tx| _ = queue.try_read(tx)),
        ("flush", |queue, tx| _ = queue.flush(tx)),
    ];
    for (name, take) in takes {
        let ended = Builder::new().run(|| {
            let (queue, log) = (full_of([1]), Log::new());
            let writer = writer(&queue, 2, &log);
            atomically(|tx| {
                take(&queue, tx);
                Ok(())
            });
            writer.join().unwrap();
            assert_eq!(queue.contents(), [2]);
        });
        ended.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn one_that_puts_back_waits_for_room_too() {
    run(|| {
        let queue = full_of([1, 2]);
        let theirs = queue.clone();
        let ungets = spawn(move || atomically(|tx| theirs.unget(tx, 0)));
        yield_now();
        assert!(!ungets.is_finished());
        assert_eq!(read(&queue), 1);
        ungets.join().unwrap();
        assert_eq!(queue.contents(), [0, 2]);
    });
}

#[test]
fn writers_get_room_in_the_order_in_which_they_parked() {
    run(|| {
        let (queue, log) = (full_of([1, 2, 3]), Log::new());
        let writers = [4, 5, 6].map(|number| writer(&queue, number, &log));
        assert_eq!(atomically(|tx| Ok(queue.flush(tx))), [1, 2, 3]);
        join_all(writers);
        assert_eq!(queue.contents(), [4, 5, 6]);
        assert_eq!(log.text(), "4 5 6");
    });
}

#[test]
fn room_for_one_serves_one_writer_and_the_others_wait_on() {
    run(|| {
        let (queue, log) = (full_of([1]), Log::new());
        let writers = [2, 3, 4].map(|number| writer(&queue, number, &log));
        for number in 1..=4 {
            assert_eq!(read(&queue), number);
            yield_now();
            assert_eq!(log.steps().len(), 3.min(number as usize));
        }
        join_all(writers);
        assert_eq!(log.text(), "2 3 4");
    });
}

#[test]
fn writers_and_readers_of_one_place_keep_each_other_going() {
    run(|| {
        let queue = TBQueue::new(1);
        let writers = (0..5).map(|first| {
            let queue = queue.clone();
            spawn(move || (0..20).for_each(|number| write(&queue, first * 100 + number)))
        });
        let writers: Vec<_> = writers.collect();
        let readers = (0..4).map(|_| {
            let queue = queue.clone();
            spawn(move || (0..25).map(|_| read(&queue)).collect::<Vec<u32>>())
        });
        let readers: Vec<_> = readers.collect();
        join_all(writers);
        let mut all = join_all(readers).concat();
        all.sort();
        let written = (0..5).flat_map(|first| (0..20).map(move |number| first * 100 + number));
        assert!(all.into_iter().eq(written));
    });
}

#[test]
fn is_full_and_len_are_waited_for() {
    type Look = fn(&TBQueue<u32>, &Transaction);
    let looks: [(&str, Look); 4] = [
        ("is_full", |queue, tx| _ = queue.is_full(tx)),
        ("len", |queue, tx| _ = queue.len(tx)),
        ("write", |queue, tx| _ = queue.write::<()>(tx, 9)),
        ("unget", |queue, tx| _ = queue.unget::<()>(tx, 9)),
    ];
    for (name, look) in looks {
        // A write looks for room, whether there is any or not.
        for capacity in [1, 2] {
            let ended = Builder::new().run(|| {
                let (queue, runs) = (TBQueue::new(capacity), Rc::new(Cell::new(0)));
                write(&queue, 1);
                let (theirs, counted) = (queue.clone(), runs.clone());
                let task = spawn(move || {
                    atomically(|tx| {
                        counted.set(counted.get() + 1);
                        look(&theirs, tx);
                        check(counted.get() == 2)
                    });
                });
                yield_now();
                assert_eq!(read(&queue), 1);
                task.join().unwrap();
            });
            ended.unwrap_or_else(|error| panic!("{name} of {capacity}: {error}"));
        }
    }
}

#[test]
fn a_writer_of_two_queues_takes_the_first_room() {
    run(|| {
        let queues = [full_of([1]), full_of([2])];
        let [a, b] = queues.clone();
        let either = move || {
            atomically(|tx| tx.or_else(|tx| a.write(tx, 9), |tx| b.write(tx, 9)));
        };
        for at in [1, 0] {
            let either = spawn(either.clone());
            yield_now();
            assert!(!either.is_finished());
            read(&queues[at]);
            either.join().unwrap();
            assert_eq!(queues[at].contents(), [9]);
        }
    });
}

#[test]
fn a_pipe_of_small_queues_passes_everything_on() {
    run(|| {
        let queues: Vec<TBQueue<u32>> = (0..5).map(|_| TBQueue::new(1)).collect();
        for pair in queues.windows(2) {
            let [from, to] = [pair[0].clone(), pair[1].clone()];
            spawn(move || {
                for _ in 0..100 {
                    // Both at once: an item is never outside of the queues.
                    atomically(|tx| to.write(tx, from.read(tx)? + 1));
                }
            });
        }
        let (first, last) = (queues[0].clone(), &queues[4]);
        spawn(move || (0..100).for_each(|number| write(&first, number)));
        assert!((0..100).all(|number| read(last) == number + 4));
    });
}

// ── kills ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_writer_has_written_nothing_and_the_next_gets_the_room() {
    run(|| {
        let (queue, log) = (full_of([1]), Log::new());
        let [killed, other] = [2, 3].map(|number| writer(&queue, number, &log));
        killed.kill("not needed");
        assert_eq!(read(&queue), 1);
        other.join().unwrap();
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(queue.contents(), [3]);
    });
}

#[test]
fn a_writer_killed_after_its_wake_leaves_the_room_to_the_next() {
    run(|| {
        let (queue, log) = (full_of([1]), Log::new());
        let [killed, other] = [2, 3].map(|number| writer(&queue, number, &log));
        assert_eq!(read(&queue), 1);
        killed.kill("too late to make room");
        other.join().unwrap();
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(queue.contents(), [3]);
    });
}

#[test]
fn an_item_that_waits_for_room_with_its_writer_is_dropped_when_that_is_killed() {
    run(|| {
        let (lives, queue) = (Lives::new(), TBQueue::new(0));
        let (item, theirs) = (lives.item(1), queue.clone());
        let writer = spawn(move || atomically(|tx| theirs.write(tx, item.clone())));
        yield_now();
        assert_eq!(lives.alive(), 1);
        writer.kill("not needed");
        assert!(writer.join().unwrap_err().is_killed());
        assert_eq!(lives.alive(), 0);
    });
}

#[test]
fn a_writer_that_has_timed_out_has_written_nothing() {
    on_virtual_time(|| {
        let queue = full_of([1]);
        assert!(timeout(ms(5), || write(&queue, 2)).is_err());
        assert_eq!(queue.contents(), [1]);
        assert_eq!(read(&queue), 1);
        assert_eq!(timeout(ms(5), || write(&queue, 3)), Ok(()));
        assert_eq!(queue.contents(), [3]);
    });
}

// ── reports ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_deadlock_report_names_the_queue_its_place_and_how_full_it_is() {
    let (queue, line) = (TBQueue::new(10), line!());
    let never = TVar::new(false);
    let report = deadlock_of(Builder::new().run(|| {
        atomically(|tx| (1..=3).try_for_each(|number| queue.write(tx, number)));
        atomically(|tx| {
            queue.flush(tx);
            queue.write(tx, 4)?;
            check(never.read(tx))
        })
    }));
    let place = format!("holds 3 of 10, made at {}:{line}", file!());
    for part in ["a TBQueue", &place] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn a_writer_to_a_queue_without_room_is_a_deadlock() {
    let queue = TBQueue::new(0);
    let report = deadlock_of(Builder::new().run(|| write(&queue, 1)));
    for part in ["waits for a change of a TBQueue", "holds 0 of 0, made at"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}
