//! The items of transactional queues: when they are dropped, and what their own code may do.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
mod queue_support;
mod steps;

use maypole::stm::{TVar, Transaction, abort, atomically, check, retry, try_atomically};
use maypole::{run, spawn, yield_now};
use queue_support::{Item, Kind, Lives, Queue, numbers};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use steps::{Log, is_on_its_own, message_of, on_its_own};

of_both_kinds! {
    an_item_that_was_taken_is_dropped_after_the_commit
    an_item_that_was_written_in_vain_is_dropped_after_the_transaction
    items_of_an_undone_arm_are_dropped_after_the_transaction
    items_that_are_left_are_dropped_with_the_last_handle
    a_queue_of_a_million_items_is_dropped
    a_queue_dropped_inside_of_a_transaction_drops_its_items_after_it
    a_destructor_may_use_the_same_queue
    a_destructor_may_write_what_the_transaction_has_undone
    a_destructor_may_park_after_the_transaction
    a_destructor_that_writes_what_a_retry_has_read_is_not_missed
    a_destructor_that_lets_others_write_what_a_retry_has_read_is_not_missed
    a_destructor_that_panics_after_a_commit_undoes_nothing
    destructors_of_a_dropped_queue_run_one_by_one
    destructors_of_taken_items_run_one_by_one
    destructors_of_what_was_written_in_vain_run_one_by_one
    destructors_of_what_an_undone_arm_wrote_run_one_by_one
    a_kill_in_one_destructor_of_a_flushed_item_does_not_unwind_through_the_others
    a_clone_that_panics_leaves_the_queue_as_it_was
    a_clone_that_panics_in_the_middle_of_a_flush_lets_destructors_begin_transactions
}

/// Runs a closure when it is dropped, and is never cloned but by its handle.
type Acts = Rc<steps::OnDrop<Box<dyn FnMut()>>>;

fn acts(f: impl FnMut() + 'static) -> Acts {
    Rc::new(steps::OnDrop(Box::new(f)))
}

fn an_item_that_was_taken_is_dropped_after_the_commit<K: Kind>() {
    let (lives, queue) = (Lives::new(), K::empty());
    atomically(|tx| (1..=4).try_for_each(|number| queue.write(tx, lives.item(number))));
    assert_eq!((lives.made(), lives.gone()), (4, 0));
    let all = atomically(|tx| {
        let mut all = vec![queue.read(tx)?, queue.peek(tx)?];
        all.extend(queue.flush(tx));
        assert_eq!(lives.gone(), 0);
        Ok(all)
    });
    assert_eq!(numbers(&all), [1, 2, 2, 3, 4]);
    assert_eq!((lives.made(), lives.gone()), (9, 4));
    drop(all);
    assert_eq!(lives.alive(), 0);
}

fn an_item_that_was_written_in_vain_is_dropped_after_the_transaction<K: Kind>() {
    let (lives, queue) = (Lives::new(), K::empty());
    let undone = try_atomically(|tx| {
        queue.write(tx, lives.item(1))?;
        queue.unget(tx, lives.item(2))?;
        abort::<(), _>(lives.gone())
    });
    assert_eq!(undone, Err(0));
    assert_eq!((lives.made(), lives.gone()), (2, 2));
}

fn items_of_an_undone_arm_are_dropped_after_the_transaction<K: Kind>() {
    let (lives, queue) = (Lives::new(), K::empty());
    atomically(|tx| {
        for number in [1, 4, 7] {
            queue.write(tx, lives.item(number))?;
            tx.or_else(
                |tx| {
                    queue.write(tx, lives.item(number + 1))?;
                    queue.unget(tx, lives.item(number + 2))?;
                    retry()
                },
                |_| Ok(()),
            )?;
        }
        assert_eq!(lives.gone(), 0);
        Ok(())
    });
    assert_eq!((lives.made(), lives.gone()), (9, 6));
    assert_eq!(numbers(&queue.contents()), [1, 4, 7]);
}

fn items_that_are_left_are_dropped_with_the_last_handle<K: Kind>() {
    let (lives, queue) = (Lives::new(), K::empty());
    atomically(|tx| (1..=3).try_for_each(|number| queue.write(tx, lives.item(number))));
    let other = queue.clone();
    drop(queue);
    assert_eq!(lives.gone(), 0);
    drop(other);
    assert_eq!((lives.made(), lives.gone()), (3, 3));
}

fn a_queue_of_a_million_items_is_dropped<K: Kind>() {
    let (lives, queue) = (Lives::new(), K::empty());
    for _ in 0..1000 {
        atomically(|tx| (0..1000).try_for_each(|number| queue.write(tx, lives.item(number))));
    }
    assert_eq!(lives.alive(), 1_000_000);
    // On the stack of a task.
    run(move || drop(queue));
    assert_eq!(lives.alive(), 0);
}

fn a_queue_dropped_inside_of_a_transaction_drops_its_items_after_it<K: Kind>() {
    let lives = Lives::new();
    atomically(|tx| {
        let queue = K::empty::<Item>();
        queue.write(tx, lives.item(1))?;
        queue.write(tx, lives.item(2))?;
        drop(queue);
        assert_eq!(lives.gone(), 0);
        Ok(())
    });
    assert_eq!(lives.gone(), 2);
}

fn a_destructor_may_use_the_same_queue<K: Kind>() {
    let (queue, log) = (K::empty::<Acts>(), Log::new());
    let item = |name: &'static str| {
        let (queue, log) = (queue.clone(), log.clone());
        acts(move || {
            let left = queue.contents().len();
            log.add(format!("{name} leaves {left},"));
            // Taken, and given back by a transaction of its own.
            if let Some(first) = atomically(|tx| Ok(queue.try_read(tx))) {
                atomically(|tx| queue.unget(tx, first.clone()));
            }
        })
    };
    atomically(|tx| {
        queue.write(tx, item("a"))?;
        queue.write(tx, item("b"))?;
        queue.write(tx, item("c"))
    });
    drop(atomically(|tx| queue.read(tx)));
    assert_eq!(log.text(), "a leaves 2,");
    let undone = try_atomically(|tx| {
        queue.write(tx, item("d"))?;
        abort::<(), _>(())
    });
    assert_eq!(undone, Err(()));
    assert_eq!(log.text(), "a leaves 2, d leaves 2,");
    drop(atomically(|tx| Ok(queue.flush(tx))));
    assert_eq!(
        log.text(),
        "a leaves 2, d leaves 2, b leaves 0, c leaves 0,"
    );
}

fn a_destructor_may_write_what_the_transaction_has_undone<K: Kind>() {
    let (lives, queues) = (Lives::new(), [(); 2].map(|()| K::empty::<Item>()));
    let written: TVar<Option<Acts>> = TVar::new(None);
    let theirs = (lives.clone(), queues.clone());
    let writes = acts(move || {
        let (lives, queues) = &theirs;
        for queue in queues {
            atomically(|tx| queue.write(tx, lives.item(7)));
        }
    });
    let mut writes = Some(writes);
    // The variable is touched first, so that the queues still keep what was undone.
    let undone = try_atomically(|tx| {
        written.write(tx, writes.take());
        for queue in &queues {
            queue.write(tx, lives.item(1))?;
            queue.unget(tx, lives.item(2))?;
        }
        abort::<(), _>(())
    });
    assert_eq!(undone, Err(()));
    for queue in &queues {
        assert_eq!(numbers(&queue.contents()), [7]);
    }
    assert_eq!(lives.alive(), 2);
}

fn a_destructor_may_park_after_the_transaction<K: Kind>() {
    run(|| {
        let (queue, log) = (K::empty::<Acts>(), Log::new());
        let [first, second] = ["first", "second"].map(|name| {
            let log = log.clone();
            acts(move || {
                yield_now();
                log.add(name);
            })
        });
        atomically(|tx| queue.write(tx, first.clone()));
        drop(first);
        let (theirs, logs) = (queue.clone(), log.clone());
        let other = spawn(move || {
            // While the first one waits, the queue is as it was committed.
            logs.add("other");
            atomically(|tx| theirs.write(tx, second.clone()));
            drop(second);
            assert_eq!(atomically(|tx| Ok(theirs.flush(tx).len())), 1);
        });
        drop(atomically(|tx| queue.read(tx)));
        other.join().unwrap();
        assert_eq!(log.text(), "other first second");
        assert!(queue.contents().is_empty());
    });
}

fn a_destructor_that_writes_what_a_retry_has_read_is_not_missed<K: Kind>() {
    run(|| {
        let (queue, done) = (K::empty(), K::empty());
        let theirs = done.clone();
        let mut item = Some(acts(move || atomically(|tx| theirs.write(tx, ()))));
        atomically(|tx| {
            if let Some(item) = item.take() {
                queue.write(tx, item)?;
            }
            done.read(tx)
        });
    });
}

fn a_destructor_that_lets_others_write_what_a_retry_has_read_is_not_missed<K: Kind>() {
    run(|| {
        let (queue, done) = (K::empty(), TVar::new(false));
        let mut item = Some(acts(yield_now));
        let theirs = done.clone();
        spawn(move || theirs.set(true));
        atomically(|tx| {
            if let Some(item) = item.take() {
                queue.write(tx, item)?;
            }
            check(done.read(tx))
        });
    });
}

fn a_destructor_that_panics_after_a_commit_undoes_nothing<K: Kind>() {
    let (queue, other) = (K::empty::<Acts>(), K::empty());
    atomically(|tx| {
        queue.write(tx, acts(|| panic!("the first")))?;
        queue.write(tx, acts(|| ()))
    });
    let message = message_of(|| {
        let taken = atomically(|tx| {
            other.write(tx, 1)?;
            queue.read(tx)
        });
        drop(taken);
    });
    assert_eq!(message, "the first");
    assert_eq!(other.contents(), [1]);
    assert_eq!(queue.contents().len(), 1);
    atomically(|tx| other.write(tx, 2));
    assert_eq!(other.contents(), [1, 2]);
}

/// Runs the test in a process of its own: a second panic would end it.
fn alone<K: Kind>(name: &str, f: impl FnOnce()) {
    if is_on_its_own() {
        return f();
    }
    let module = match K::CAPACITY {
        None => "of_a_tqueue",
        Some(_) => "of_a_tbqueue",
    };
    let (succeeded, stderr) = on_its_own(&format!("{module}::{name}"));
    assert!(succeeded, "{stderr}");
}

/// An item whose destructor panics, and counts itself before.
fn bomb(number: u32, log: &Log) -> Acts {
    let log = log.clone();
    acts(move || {
        log.add(number);
        panic!("number {number}");
    })
}

fn destructors_of_a_dropped_queue_run_one_by_one<K: Kind>() {
    alone::<K>("destructors_of_a_dropped_queue_run_one_by_one", || {
        let (queue, log) = (K::empty(), Log::new());
        atomically(|tx| (1..=3).try_for_each(|number| queue.write(tx, bomb(number, &log))));
        assert_eq!(message_of(|| drop(queue)), "number 1");
        assert_eq!(log.text(), "1 2 3");
    });
}

fn destructors_of_taken_items_run_one_by_one<K: Kind>() {
    alone::<K>("destructors_of_taken_items_run_one_by_one", || {
        let (queue, log) = (K::empty(), Log::new());
        atomically(|tx| (1..=5).try_for_each(|number| queue.write(tx, bomb(number, &log))));
        let take = || {
            atomically(|tx| {
                queue.read(tx)?;
                queue.try_read(tx);
                Ok(queue.flush(tx).len())
            })
        };
        assert_eq!(message_of(take), "number 1");
        assert_eq!(log.text(), "1 2 3 4 5");
        assert!(queue.contents().is_empty());
    });
}

fn destructors_of_what_was_written_in_vain_run_one_by_one<K: Kind>() {
    alone::<K>(
        "destructors_of_what_was_written_in_vain_run_one_by_one",
        || {
            let (queue, log) = (K::empty(), Log::new());
            let in_vain = || {
                try_atomically(|tx| {
                    (1..=3).try_for_each(|number| queue.write(tx, bomb(number, &log)))?;
                    abort::<(), _>(())
                })
            };
            // What was done last is undone first.
            assert_eq!(message_of(in_vain), "number 3");
            assert_eq!(log.text(), "3 2 1");
            assert!(queue.contents().is_empty());
        },
    );
}

fn destructors_of_what_an_undone_arm_wrote_run_one_by_one<K: Kind>() {
    alone::<K>(
        "destructors_of_what_an_undone_arm_wrote_run_one_by_one",
        || {
            // In the first arm of a transaction, and in one that comes after a write.
            for before in 0..2 {
                let (queue, log) = (K::empty(), Log::new());
                let in_an_arm = || {
                    atomically(|tx| {
                        (0..before).try_for_each(|_| queue.write(tx, acts(|| ())))?;
                        tx.or_else(
                            |tx| {
                                (1..=3)
                                    .try_for_each(|number| queue.write(tx, bomb(number, &log)))?;
                                retry()
                            },
                            |_| Ok(()),
                        )?;
                        queue.write(tx, acts(|| ()))
                    })
                };
                assert_eq!(message_of(in_an_arm), "number 3");
                assert_eq!(log.text(), "3 2 1");
                assert_eq!(queue.contents().len(), before + 1);
            }
        },
    );
}

fn a_clone_that_panics_leaves_the_queue_as_it_was<K: Kind>() {
    let (log, breaks) = (RefCell::new(Vec::new()), Rc::new(Cell::new(true)));
    #[derive(Debug)]
    struct Shy(u32, Rc<Cell<bool>>);
    impl Clone for Shy {
        fn clone(&self) -> Self {
            assert!(!self.1.get() || self.0 != 2, "no clone of {}", self.0);
            Shy(self.0, self.1.clone())
        }
    }
    let queue = K::empty::<Shy>();
    atomically(|tx| (1..=3).try_for_each(|number| queue.write(tx, Shy(number, breaks.clone()))));
    let attempt = |what: &'static str, f: &dyn Fn(&Transaction)| {
        let message = message_of(|| {
            atomically(|tx| {
                queue.unget(tx, Shy(0, breaks.clone()))?;
                assert_eq!(queue.read(tx)?.0, 0);
                f(tx);
                Ok(())
            })
        });
        assert_eq!(message, "no clone of 2", "{what}");
        log.borrow_mut().push(what);
        breaks.set(false);
        let numbers: Vec<u32> = queue.contents().iter().map(|it| it.0).collect();
        assert_eq!(numbers, [1, 2, 3], "{what}");
        breaks.set(true);
    };
    attempt("flush", &|tx| drop(queue.flush(tx)));
    attempt("read", &|tx| {
        _ = queue.read::<()>(tx);
        _ = queue.read::<()>(tx);
    });
    attempt("try_read", &|tx| {
        queue.try_read(tx);
        queue.try_read(tx);
    });
    attempt("peek", &|tx| {
        queue.try_read(tx);
        _ = queue.peek::<()>(tx);
    });
    attempt("try_peek", &|tx| {
        queue.try_read(tx);
        queue.try_peek(tx);
    });
    breaks.set(false);
    assert_eq!(log.take().len(), 5);
}

fn a_clone_that_panics_in_the_middle_of_a_flush_lets_destructors_begin_transactions<K: Kind>() {
    struct Nosy(u32, TVar<usize>);
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            assert!(self.0 < 3, "no clone of {}", self.0);
            Nosy(self.0, self.1.clone())
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            atomically(|tx| Ok(self.1.update(tx, |gone| gone + 1)));
        }
    }
    let name = "a_clone_that_panics_in_the_middle_of_a_flush_lets_destructors_begin_transactions";
    alone::<K>(name, || {
        let (queue, gone) = (K::empty(), TVar::new(0));
        atomically(|tx| (1..=3).try_for_each(|number| queue.write(tx, Nosy(number, gone.clone()))));
        let flush = || {
            atomically(|tx| {
                queue.unget(tx, Nosy(0, gone.clone()))?;
                Ok(queue.flush(tx).len())
            })
        };
        assert_eq!(message_of(flush), "no clone of 3");
        // Three clones, and the item that was written in vain.
        assert_eq!(gone.get(), 4);
        drop(queue);
        assert_eq!(gone.get(), 7);
    });
}

fn a_kill_in_one_destructor_of_a_flushed_item_does_not_unwind_through_the_others<K: Kind>() {
    let name = "a_kill_in_one_destructor_of_a_flushed_item_does_not_unwind_through_the_others";
    let main = || {
        let (queue, log) = (K::empty(), Log::new());
        for number in 1..=3 {
            let log = log.clone();
            let parks = acts(move || {
                assert!(!std::thread::panicking());
                log.add(number);
                // The kill comes while the first is here, and is heard by the second.
                yield_now();
            });
            atomically(|tx| queue.write(tx, parks.clone()));
        }
        let theirs = queue.clone();
        let flushes = spawn(move || atomically(|tx| Ok(theirs.flush(tx).len())));
        yield_now();
        flushes.kill("in the first destructor");
        assert!(flushes.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "1 2 3");
        assert!(queue.contents().is_empty());
    };
    alone::<K>(name, || run(main));
}
