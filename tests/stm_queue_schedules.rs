//! Transactional queues under every order of their tasks: nothing is lost or doubled, and nobody
//! waits who could go on.
mod queue_support;

use maypole::explore::{Switches, any};
use maypole::stm::{TBQueue, TQueue, atomically};
use maypole::{Builder, JoinHandle, spawn, yield_now};
use queue_support::{Kind, Narrow, Queue, Unbounded, join_all, under_all_schedules};

fn write<T: Clone + 'static>(queue: &impl Queue<T>, item: T) {
    atomically(|tx| queue.write(tx, item.clone()));
}

fn read<T: Clone + 'static>(queue: &impl Queue<T>) -> T {
    atomically(|tx| queue.read(tx))
}

/// A task that writes so many items, numbered from `first`.
fn producer<Q: Queue<u32>>(queue: &Q, first: u32, count: u32) -> JoinHandle<()> {
    let queue = queue.clone();
    spawn(move || (first..first + count).for_each(|number| write(&queue, number)))
}

/// A task that reads so many.
fn reader<Q: Queue<u32>>(queue: &Q, count: u32) -> JoinHandle<Vec<u32>> {
    let queue = queue.clone();
    spawn(move || (0..count).map(|_| read(&queue)).collect())
}

/// Two producers of so many items each, and as many readers.
fn two_producers<Q: Queue<u32>>(queue: Q, each: u32, readers: u32) {
    let producers = [100, 200].map(|first| producer(&queue, first, each));
    let readers: Vec<_> = (0..readers)
        .map(|_| reader(&queue, 2 * each / readers))
        .collect();
    join_all(producers);
    let read = join_all(readers);
    assert!(queue.contents().is_empty());
    for items in &read {
        for first in [100, 200] {
            let theirs = items.iter().filter(|item| **item / 100 * 100 == first);
            assert!(theirs.is_sorted(), "not in order: {read:?}");
        }
    }
    let mut all = read.concat();
    all.sort();
    assert!(all.into_iter().eq((100..100 + each).chain(200..200 + each)));
}

#[test]
fn nothing_is_lost_between_two_producers_and_one_reader() {
    under_all_schedules(Switches::Parking, 2, || two_producers(TQueue::new(), 2, 1));
    under_all_schedules(Switches::Everywhere, 1, || {
        two_producers(TQueue::new(), 2, 1)
    });
}

#[test]
fn nothing_is_lost_between_two_producers_and_two_readers() {
    under_all_schedules(Switches::Parking, 0, || two_producers(TQueue::new(), 2, 2));
    under_all_schedules(Switches::Everywhere, 1, || {
        two_producers(TQueue::new(), 1, 2)
    });
}

#[test]
fn nothing_is_lost_where_there_is_room_for_one() {
    under_all_schedules(Switches::Parking, 0, || {
        two_producers(TBQueue::new(1), 2, 1)
    });
    under_all_schedules(Switches::Parking, 1, || {
        two_producers(TBQueue::new(1), 1, 2)
    });
    under_all_schedules(Switches::Everywhere, 1, || {
        two_producers(TBQueue::new(1), 1, 2)
    });
}

#[test]
fn nothing_is_lost_where_there_is_room_for_two() {
    under_all_schedules(Switches::Parking, 0, || {
        two_producers(TBQueue::new(2), 2, 2)
    });
}

#[test]
fn nothing_is_lost_in_fifty_orders_by_chance() {
    for seed in 1..=50 {
        for capacity in [1, 2, 7] {
            let main = || {
                two_producers(TBQueue::new(capacity), 20, 4);
                two_producers(TQueue::new(), 20, 4);
            };
            let ended = Builder::new().seed(seed).run(main);
            ended.unwrap_or_else(|error| panic!("seed {seed}, capacity {capacity}: {error}"));
        }
    }
}

#[test]
fn a_kill_of_one_reader_takes_nothing_from_the_other() {
    under_all_schedules(Switches::Parking, 2, || {
        let queue = TQueue::new();
        let (doomed, other) = (reader(&queue, 1), reader(&queue, 1));
        write(&queue, 1);
        doomed.kill("by chance");
        yield_now();
        write(&queue, 2);
        let mut got = other.join().unwrap();
        got.extend(doomed.join().unwrap_or_default());
        // What the killed one did not take is still there.
        got.extend(queue.contents());
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_kill_of_one_writer_takes_no_room_from_the_other() {
    under_all_schedules(Switches::Parking, 2, || {
        let queue = TBQueue::new(1);
        write(&queue, 0);
        let (doomed, other) = (producer(&queue, 1, 1), producer(&queue, 2, 1));
        assert_eq!(read(&queue), 0);
        doomed.kill("by chance");
        let mut got = vec![read(&queue)];
        // Whoever was killed before it wrote has written nothing.
        if doomed.join().is_ok() {
            got.push(read(&queue));
        }
        other.join().unwrap();
        got.sort();
        assert!(got == [2] || got == [1, 2], "{got:?}");
        assert!(queue.contents().is_empty());
    });
}

#[test]
fn a_reader_of_two_queues_misses_no_write() {
    fn program<K: Kind>() {
        let queues = [K::empty(), K::empty()];
        let readers = [(); 2].map(|()| {
            let [a, b] = queues.clone();
            spawn(move || atomically(|tx| tx.or_else(|tx| a.read(tx), |tx| b.read(tx))))
        });
        let writers = [0, 1].map(|at| producer(&queues[at as usize], at, 1));
        join_all(writers);
        let mut got = join_all(readers);
        got.sort();
        assert_eq!(got, [0, 1]);
    }
    under_all_schedules(Switches::Parking, 1, program::<Unbounded>);
    under_all_schedules(Switches::Everywhere, 1, program::<Narrow>);
}

#[test]
fn an_item_is_in_one_of_two_queues_while_it_is_moved() {
    under_all_schedules(Switches::Parking, 2, || {
        let queues = [TBQueue::new(1), TBQueue::new(1)];
        write(&queues[0], 'x');
        let [from, to] = queues.clone();
        let mover = spawn(move || atomically(|tx| to.write(tx, from.read(tx)?)));
        let [from, to] = queues.clone();
        let looks = spawn(move || atomically(|tx| Ok(from.len(tx) + to.len(tx))));
        let back = spawn({
            let [to, from] = queues.clone();
            move || atomically(|tx| to.write(tx, from.read(tx)?))
        });
        mover.join().unwrap();
        assert_eq!(looks.join().unwrap(), 1);
        back.join().unwrap();
        assert_eq!(queues[0].contents(), ['x']);
    });
}

#[test]
fn random_tasks_on_two_queues_of_room_for_two_lose_nothing() {
    for seed in 1..=50 {
        let main = || {
            let queues = [TBQueue::new(2), TBQueue::new(2)];
            let tasks = (0..6).map(|_| {
                let queues = queues.clone();
                spawn(move || {
                    let mut sum = 0;
                    for _ in 0..20 {
                        let (here, there) = match any(2) {
                            0 => (&queues[0], &queues[1]),
                            _ => (&queues[1], &queues[0]),
                        };
                        let number = any(100) as i64;
                        // Writes where there is room, else takes from where there is something.
                        sum += atomically(|tx| {
                            tx.or_else(
                                |tx| here.write(tx, number).map(|()| number),
                                |tx| {
                                    tx.or_else(|tx| there.read(tx), |tx| here.read(tx))
                                        .map(|it| -it)
                                },
                            )
                        });
                        yield_now();
                    }
                    sum
                })
            });
            let tasks: Vec<_> = tasks.collect();
            let sum: i64 = join_all(tasks).into_iter().sum();
            let left: i64 = queues.iter().flat_map(|queue| queue.contents()).sum();
            assert_eq!(left, sum);
        };
        let ended = Builder::new().seed(seed).run(main);
        ended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
