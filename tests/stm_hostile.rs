//! Attempts to break transactions from safe code: by what is dropped, thrown, yielded or left
//! suspended in the middle, on our stacks and on foreign ones.
#![cfg(all(unix, panic = "unwind"))]
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod child;
mod steps;

use corosensei::{Coroutine, Yielder};
use maypole::channel::{Receiver, after, oneshot, select, tick, unbounded};
use maypole::generator::Generator;
use maypole::stm::{
    Stop, TChan, TQueue, TSem, TVar, Transaction, abort, atomically, check, delay, retry,
    try_atomically,
};
use maypole::sync::{Mutex, OnceCell};
use maypole::time::{now, timeout};
use maypole::{JoinHandle, explore, run, scope, sleep, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use steps::{OnDrop, message_of, ms, on_virtual_time, unwinds};

/// A value that does something when it is dropped, if it is not nothing.
type Acts = Option<Rc<OnDrop<Box<dyn FnMut()>>>>;

fn acts(f: impl FnMut() + 'static) -> Acts {
    Some(Rc::new(OnDrop(Box::new(f))))
}

/// Runs `body` in a process of its own, which must survive it.
#[track_caller]
fn survives<F: FnOnce()>(body: F) {
    let ended = child::run(body);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

// ── what a select leaves behind ──────────────────────────────────────────────────────────────

#[test]
fn a_transaction_that_lost_a_select_stands_in_no_line_while_the_body_runs() {
    on_virtual_time(|| {
        let (seats, (sender, receiver)) = (TSem::new(0), unbounded());
        let [first, second] = [seats.clone(), seats.clone()];
        let loser = spawn(move || {
            select! {
                atomically(|tx| first.wait(tx)) -> () => unreachable!(),
                recv(receiver) -> _ => sleep(ms(1000)),
            }
        });
        yield_now();
        let next = spawn(move || {
            atomically(|tx| second.wait(tx));
            now()
        });
        yield_now();
        let sent = now();
        sender.send(()).unwrap();
        yield_now();
        atomically(|tx| Ok(seats.signal(tx)));
        assert_eq!(next.join().unwrap() - sent, ms(0));
        loser.join().unwrap();
    });
}

#[test]
fn a_select_without_patience_or_out_of_time_stands_in_no_line() {
    on_virtual_time(|| {
        let is_served_inside = |seats: &TSem| {
            let theirs = seats.clone();
            let next = spawn(move || atomically(|tx| theirs.wait(tx)));
            yield_now();
            atomically(|tx| Ok(seats.signal(tx)));
            sleep(ms(1));
            next.is_finished()
        };
        let seats = TSem::new(0);
        let served = select! {
            atomically(|tx| seats.wait(tx)) -> () => unreachable!(),
            default => is_served_inside(&seats),
        };
        let seats = TSem::new(0);
        let served_later = select! {
            atomically(|tx| seats.wait(tx)) -> () => unreachable!(),
            default(ms(5)) => is_served_inside(&seats),
        };
        assert_eq!((served, served_later), (true, true));
    });
}

/// A task in a select: a transaction that has looked at a variable, of which the last handle is then
/// its own, and a message. What it does when it drops that variable is `last`.
fn selects(receiver: Receiver<u8>, last: impl FnMut() + 'static) -> JoinHandle<()> {
    let place = Rc::new(RefCell::new(Some(TVar::new(acts(last)))));
    let (theirs, never) = (place.clone(), TVar::new(false));
    let task = spawn(move || {
        select! {
            atomically(|tx| {
                let variable = theirs.borrow().clone();
                variable.unwrap().with(tx, |_| ());
                check(never.read(tx))
            }) -> () => unreachable!(),
            recv(receiver) -> _ => {}
        }
    });
    yield_now();
    place.take();
    task
}

#[test]
fn a_message_is_not_lost_when_dropping_the_other_cases_panics_or_is_killed() {
    run(|| {
        let (sender, receiver) = unbounded();
        let panics = selects(receiver.clone(), || assert!(unwinding_begins(), "dropped"));
        sender.send(1).unwrap();
        assert!(panics.join().is_err());
        assert_eq!(receiver.try_recv(), Ok(1));

        let killed = selects(receiver.clone(), yield_now);
        sender.send(2).unwrap();
        killed.task().kill("after its wake");
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(receiver.try_recv(), Ok(2));
    });
}

/// Never while nothing unwinds.
fn unwinding_begins() -> bool {
    std::thread::panicking()
}

// ── destructors of what was undone, between a retry and its park ─────────────────────────────

#[test]
fn the_moment_of_a_delay_that_a_destructor_has_seen_is_not_missed() {
    on_virtual_time(|| {
        let (late, variable) = (delay(ms(5)), TVar::new(None));
        let first = Rc::new(Cell::new(true));
        atomically(|tx| {
            let (seen, first) = (late.clone(), first.clone());
            let passes_the_time = move || {
                if first.replace(false) {
                    sleep(ms(10));
                    assert!(seen.get());
                }
            };
            variable.write(tx, acts(passes_the_time));
            check(late.read(tx))
        });
        variable.set(None);
    });
}

#[test]
fn a_destructor_that_writes_in_vain_after_arms_does_not_make_a_retry_spin() {
    on_virtual_time(|| {
        let (flag, variable) = (TVar::new(false), TVar::new(None));
        let (read, runs) = (flag.clone(), Rc::new(Cell::new(0)));
        let count = runs.clone();
        let task = spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                assert!(count.get() < 50, "it runs again and again");
                let written = read.clone();
                let writes_in_vain = move || {
                    let undone: Result<(), ()> = try_atomically(|tx| {
                        written.write(tx, true);
                        abort(())
                    });
                    assert!(undone.is_err());
                };
                variable.write(tx, acts(writes_in_vain));
                waits_in_arms(tx, &read)
            });
            variable.set(None);
        });
        sleep(ms(1));
        assert_eq!(runs.get(), 1);
        flag.set(true);
        task.join().unwrap();
    });
}

/// Waits for the flag at the end of several alternatives.
fn waits_in_arms(tx: &Transaction, flag: &TVar<bool>) -> Result<(), Stop> {
    tx.or_else(
        |_| retry(),
        |tx| tx.or_else(|_| retry(), |tx| check(flag.read(tx))),
    )
}

#[test]
fn long_chains_written_in_vain_are_dropped_without_recursion() {
    const LONG: usize = 100_000;
    run(|| {
        let (chan, queue) = (TChan::new(), TQueue::new());
        let fill = |tx: &Transaction| {
            for n in 0..LONG {
                chan.write(tx, vec![n]);
                queue.write(tx, vec![n]);
            }
        };
        let undone: Result<(), ()> = try_atomically(|tx| {
            fill(tx);
            abort(())
        });
        assert!(undone.is_err());
        atomically(|tx| {
            fill(tx);
            tx.or_else(
                |tx| {
                    fill(tx);
                    retry()
                },
                |_| Ok(()),
            )
        });
    });
}

// ── panics, and what their destructors do ────────────────────────────────────────────────────

/// A generator in the middle of its body: closing it runs code while a panic unwinds.
fn suspended() -> Generator<u32> {
    let mut generator = Generator::new(|y| {
        y.yield_(1);
        y.yield_(2);
    });
    assert_eq!(generator.next(), Some(1));
    generator
}

#[test]
fn a_generator_is_dropped_while_a_panic_unwinds_out_of_with() {
    survives(|| {
        let body = || {
            let variable = TVar::new(7);
            let looks = || {
                atomically::<()>(|tx| {
                    variable.write(tx, 8);
                    variable.with(tx, |n| {
                        let _generator = suspended();
                        panic!("found {n}")
                    })
                })
            };
            assert_eq!(message_of(looks), "found 8");
            assert_eq!(variable.get(), 7);
        };
        body();
        run(body);
    });
}

#[test]
fn a_generator_is_dropped_while_a_panic_unwinds_out_of_a_clone() {
    struct Shy;
    impl Clone for Shy {
        fn clone(&self) -> Self {
            let _generator = suspended();
            panic!("not me")
        }
    }
    survives(|| {
        let variable = TVar::new(Shy);
        assert_eq!(message_of(|| variable.get()), "not me");
        let reads = || atomically(|tx| Ok(variable.read(tx)));
        assert_eq!(message_of(reads), "not me");
        variable.set(Shy);
    });
}

#[test]
fn the_transaction_of_a_destructor_may_drop_a_generator_and_have_time_limits() {
    survives(|| {
        let body = || {
            let variable = TVar::new(0);
            let unwinds_through = || {
                let _counts = OnDrop(|| {
                    atomically(|tx| {
                        let first = suspended().next().unwrap();
                        Ok(variable.update(tx, |n| n + first))
                    });
                });
                panic!("on purpose")
            };
            assert_eq!(message_of(unwinds_through), "on purpose");
            assert_eq!(variable.get(), 2);
        };
        body();
        run(body);
        run(|| {
            let variable = TVar::new(0);
            assert!(unwinds(|| {
                let _counts = OnDrop(|| {
                    atomically(|tx| Ok(timeout(ms(1), || variable.write(tx, 1)).is_ok()));
                });
                panic!("on purpose")
            }));
            assert_eq!(variable.get(), 1);
        });
    });
}

#[test]
fn no_other_task_meets_a_value_that_is_looked_at_while_a_panic_unwinds() {
    let ended = child::run(|| {
        run(|| {
            let [variable, other] = [TVar::new(0), TVar::new(0)];
            let theirs = variable.clone();
            let innocent = spawn(move || theirs.set(5));
            let looks = || {
                atomically::<()>(|tx| {
                    variable.with(tx, |_| {
                        let _acts = OnDrop(|| {
                            other.set(1);
                            yield_now();
                        });
                        panic!("on purpose")
                    })
                })
            };
            assert_eq!(message_of(looks), "on purpose");
            innocent.join().unwrap();
        });
    });
    let is_refused = "a destructor parks inside of a Clone, a Debug or the closure of a variable's";
    assert!(
        ended.status == Some(0) || ended.stderr.contains(is_refused),
        "{}",
        ended.stderr
    );
}

thread_local! {
    static DROPPED: TVar<u32> = TVar::new(0);
}

#[test]
fn items_of_which_one_cannot_be_cloned_may_count_themselves_as_they_go() {
    struct Item(u8);
    impl Clone for Item {
        fn clone(&self) -> Self {
            assert!(self.0 < 2, "not this one");
            Item(self.0)
        }
    }
    impl Drop for Item {
        fn drop(&mut self) {
            DROPPED.with(|count| count.set(count.get() + 1));
        }
    }
    survives(|| {
        let items = TVar::new(vec![Item(0), Item(1), Item(2)]);
        assert_eq!(message_of(|| items.get().len()), "not this one");
        assert_eq!(DROPPED.with(TVar::get), 2);
        let reads = || atomically(|tx| Ok(items.read(tx).len()));
        assert_eq!(message_of(reads), "not this one");
        assert_eq!(DROPPED.with(TVar::get), 4);
    });
}

#[test]
fn a_panic_hook_may_count_in_a_variable() {
    survives(|| {
        std::panic::set_hook(Box::new(|_| {
            DROPPED.with(|count| count.set(count.get() + 1))
        }));
        let variable = TVar::new(0);
        assert!(unwinds(|| atomically::<()>(|tx| {
            variable.write(tx, 1);
            panic!("counted")
        })));
        assert_eq!((variable.get(), DROPPED.with(TVar::get)), (0, 1));
    });
}

// ── a transaction that is over ───────────────────────────────────────────────────────────────

/// Unwinds and parks on the way, which undoes the transaction around it.
fn gives_way() {
    assert!(unwinds(|| {
        let _parks = OnDrop(yield_now);
        panic!("caught")
    }));
}

#[test]
fn a_transaction_that_is_over_does_not_see_what_others_wrote_since() {
    run(|| {
        let pair = [TVar::new(0), TVar::new(0)];
        let theirs = pair.clone();
        let writer = spawn(move || {
            atomically(|tx| Ok(theirs.iter().for_each(|variable| variable.write(tx, 1))))
        });
        let seen = Cell::new(None);
        assert!(unwinds(|| atomically(|tx| {
            let before = [pair[0].read(tx), pair[1].read(tx)];
            gives_way();
            seen.set(Some([before[0], pair[1].read(tx)]));
            Ok(())
        })));
        writer.join().unwrap();
        assert_eq!(seen.get(), None);
    });
}

#[test]
fn a_transaction_that_is_over_puts_nobody_else_in_line() {
    run(|| {
        let (seats, flag) = (TSem::new(0), TVar::new(false));
        assert!(unwinds(|| atomically(|tx| {
            assert_eq!(seats.units(tx), 0);
            gives_way();
            let _: Result<(), Stop> = seats.wait(tx);
            retry::<(), _>()
        })));
        let (read, theirs) = (flag.clone(), seats.clone());
        let innocent = spawn(move || atomically(|tx| check(read.read(tx))));
        yield_now();
        let waiter = spawn(move || atomically(|tx| theirs.wait(tx)));
        yield_now();
        atomically(|tx| Ok(seats.signal(tx)));
        yield_now();
        assert!(waiter.is_finished());
        flag.set(true);
        innocent.join().unwrap();
    });
}

// ── kills ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_task_with_many_hooks_that_park_is_killed_and_not_given_up() {
    run(|| {
        let task = spawn(|| {
            atomically(|tx| {
                (0..100).for_each(|_| tx.on_commit(yield_now));
                Ok(())
            })
        });
        yield_now();
        task.task().kill("now");
        let error = task.join().unwrap_err();
        assert!(error.is_killed(), "{error}");
    });
}

#[test]
fn neither_a_kill_nor_a_time_limit_reaches_into_a_transaction() {
    on_virtual_time(|| {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let task = spawn(move || {
            let (sender, receiver) = unbounded();
            atomically(|tx| {
                theirs.write(tx, 1);
                task::current().kill("from inside");
                task::check_killed();
                task::shield(task::check_killed);
                task::no_yield(task::check_killed);
                let _ = timeout(Duration::ZERO, task::check_killed);
                // More than the budget, and a receive that need not wait.
                (0..500).for_each(|n| sender.send(n).unwrap());
                assert_eq!(receiver.recv(), Ok(0));
                Ok(theirs.write(tx, 2))
            });
            task::check_killed();
            unreachable!()
        });
        let error = task.join().unwrap_err();
        assert!(error.is_killed(), "{error}");
        assert_eq!(variable.get(), 2);
    });
}

#[test]
fn forced_switches_see_no_transaction_half_done() {
    explore::check(|| {
        let pair = [TVar::new(0), TVar::new(0)];
        let (theirs, (sender, receiver)) = (pair.clone(), unbounded());
        let writer = spawn(move || {
            atomically(|tx| {
                theirs[0].write(tx, 1);
                sender.send(()).unwrap();
                explore::any(2);
                task::check_killed();
                Ok(theirs[1].write(tx, 1))
            })
        });
        let reader = spawn(move || {
            let seen = atomically(|tx| Ok([pair[0].read(tx), pair[1].read(tx)]));
            assert_eq!(seen[0], seen[1]);
        });
        writer.join().unwrap();
        reader.join().unwrap();
        receiver.recv().unwrap();
    });
}

// ── calls that park ──────────────────────────────────────────────────────────────────────────

#[track_caller]
fn is_refused(call: impl FnOnce()) {
    let (variable, mut call) = (TVar::new(1), Some(call));
    let message = message_of(|| {
        atomically(|tx| {
            variable.write(tx, 2);
            Ok((call.take().unwrap())())
        })
    });
    assert!(
        message.contains("inside the transaction begun at"),
        "{message}"
    );
    assert_eq!(variable.get(), 1);
    yield_now();
}

#[test]
fn calls_that_gather_bound_or_shield_others_are_refused_too() {
    on_virtual_time(|| {
        is_refused(|| _ = task::race([|| 1]));
        is_refused(|| _ = task::both(|| 1, || 2));
        is_refused(|| drop(task::join_all([|| 1])));
        is_refused(|| scope(|_| ()));
        is_refused(|| task::shield(yield_now));
        is_refused(|| _ = timeout(ms(1), || sleep(ms(5))));
        scope(|s| is_refused(|| _ = s.spawn_now(|| ())));
        let (_sender, receiver) = unbounded::<u8>();
        is_refused(|| _ = receiver.iter().next());
        is_refused(|| _ = receiver.recv_deadline(now() + ms(3)));
        is_refused(|| select! { recv(receiver) -> _ => {}, default(ms(1)) => {} });
        is_refused(|| _ = after(ms(1)).recv());
        is_refused(|| _ = tick(ms(1)).recv());
        let (_sender, receiver) = oneshot::<u8>();
        is_refused(|| _ = receiver.recv());
        let mut parked = spawn(task::park);
        is_refused(|| select! { join(&mut parked) -> _ => {} });
        parked.task().kill("the end");
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        is_refused(|| drop(mutex.lock_timeout(ms(1))));
        drop(guard);
        let cell = Rc::new(OnceCell::new());
        let theirs = cell.clone();
        let maker = spawn(move || {
            theirs.get_or_init(|| sleep(ms(100)));
        });
        yield_now();
        is_refused(|| _ = cell.get_or_init(|| ()));
        is_refused(|| _ = cell.wait());
        maker.join().unwrap();
    });
}

// ── foreign coroutines ───────────────────────────────────────────────────────────────────────

/// A foreign coroutine that is suspended in the middle of a transaction.
fn suspended_within(variable: &TVar<u32>) -> Coroutine<(), (), ()> {
    let theirs = variable.clone();
    let mut coroutine = Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
        atomically(|tx| {
            theirs.write(tx, 1);
            yielder.suspend(());
            Ok(theirs.update(tx, |n| n + 1))
        });
    });
    coroutine.resume(());
    coroutine
}

#[test]
fn a_foreign_coroutine_dropped_in_its_transaction_undoes_it() {
    let variable = TVar::new(0);
    let coroutine = suspended_within(&variable);
    let message = message_of(|| variable.get());
    assert!(message.contains("inside the transaction"), "{message}");
    drop(coroutine);
    assert_eq!(variable.get(), 0);
}

#[test]
fn a_foreign_coroutine_may_end_its_transaction_in_another_task() {
    run(|| {
        let variable = TVar::new(0);
        let place: Rc<RefCell<Option<Coroutine<(), (), ()>>>> = Rc::default();
        let (theirs, left) = (variable.clone(), place.clone());
        let first = spawn(move || {
            left.replace(Some(suspended_within(&theirs)));
        });
        first.join().unwrap();
        // Nobody looks in while it is suspended.
        assert!(unwinds(|| variable.get()));
        let mut coroutine = place.take().unwrap();
        coroutine.resume(());
        assert_eq!(variable.get(), 2);
        // The task that began it is gone; this one and its stack's next are free.
        yield_now();
        spawn(yield_now).join().unwrap();
    });
}
