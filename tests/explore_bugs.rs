//! Textbook errors, each found with the fewest forced switches, and their cures, which hold under
//! every schedule.
use maypole::channel::bounded;
use maypole::explore::{self, Explorer, Outcome, Shared, Switches, any};
use maypole::sync::{Condvar, Event, Mutex, Semaphore};
use maypole::{scope, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

fn tasks(f: impl Fn()) -> Outcome {
    Explorer::new().schedules(300_000).check(f)
}

/// As if the tasks were OS threads.
fn threads(f: impl Fn()) -> Outcome {
    let explorer = Explorer::new().switches(Switches::Everywhere);
    explorer.schedules(300_000).check(f)
}

/// It fails, with the fewest forced switches that there are, and fails again when replayed.
#[track_caller]
fn fails_with(forced: usize, explore: impl Fn(&dyn Fn()) -> Outcome, program: impl Fn()) -> String {
    let outcome = explore(&program);
    let Some(failure) = outcome.failure else {
        panic!("nothing failed: {outcome}");
    };
    assert_eq!(failure.forced(), forced, "{failure}");
    let replay = || explore::replay(failure.trail(), &program);
    let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(replay));
    let again = again.expect_err("the failure recurs");
    let again = again.downcast_ref::<String>().expect("a report");
    assert!(
        again.contains(failure.steps()),
        "{again}\nis not\n{failure}"
    );
    again.clone()
}

#[track_caller]
fn holds(outcome: Outcome) {
    assert!(outcome.failure.is_none() && outcome.complete, "{outcome}");
}

// ── what is lost in between ──────────────────────────────────────────────────────────────────

#[test]
fn lost_update() {
    let program = || {
        let balance = Shared::new(100);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| balance.set(balance.get() + 50));
            }
        });
        assert_eq!(balance.get(), 200, "money vanished");
    };
    let report = fails_with(1, |f| threads(f), program);
    assert!(report.contains("money vanished"), "{report}");
    assert!(report.contains("could have gone on"), "{report}");
    // Between tasks nothing comes in between.
    holds(tasks(program));
}

#[test]
fn lost_update_across_a_yield_needs_no_forced_switch() {
    let program = |between: fn()| {
        move || {
            let balance = Cell::new(100);
            scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| {
                        let before = balance.get();
                        between();
                        balance.set(before + 50);
                    });
                }
            });
            assert_eq!(balance.get(), 200);
        }
    };
    fails_with(0, |f| tasks(f), program(|| yield_now()));
    holds(tasks(program(|| ())));
}

#[test]
fn a_mutex_across_the_yield_cures_it() {
    holds(tasks(|| {
        let balance = Mutex::new(100);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut balance = balance.lock();
                    let before = *balance;
                    yield_now();
                    *balance = before + 50;
                });
            }
        });
        assert_eq!(*balance.lock(), 200);
    }));
}

#[test]
fn check_then_act() {
    let seats = |look_again: bool| {
        move || {
            let free = Shared::new(1);
            let seated = Cell::new(0);
            scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| {
                        let sit = match look_again {
                            true => free.with(|free| {
                                *free > 0 && {
                                    *free -= 1;
                                    true
                                }
                            }),
                            false => {
                                let sit = free.get() > 0;
                                if sit {
                                    free.with(|free| *free -= 1);
                                }
                                sit
                            }
                        };
                        seated.set(seated.get() + u32::from(sit));
                    });
                }
            });
            assert_eq!(seated.get(), 1, "one seat");
        }
    };
    fails_with(1, |f| threads(f), seats(false));
    holds(threads(seats(true)));
}

#[test]
fn aba() {
    // A stack of numbered nodes; `next` of each. pop reads top and its next, and then swaps if the
    // top is still the same: it may be the same and have another next.
    let program = |counts: bool| {
        move || {
            let top = Shared::new((Some(0), 0));
            let next = RefCell::new(vec![Some(1), None]);
            let swap = |old: (Option<usize>, u32), new: Option<usize>| {
                top.with(|top| {
                    let same = match counts {
                        true => *top == old,
                        false => top.0 == old.0,
                    };
                    if same {
                        *top = (new, old.1 + 1);
                    }
                    same
                })
            };
            let pop = || {
                let old = top.get();
                let node = old.0?;
                let below = next.borrow()[node];
                swap(old, below).then_some(node)
            };
            let push = |node: usize| {
                let old = top.get();
                next.borrow_mut()[node] = old.0;
                swap(old, Some(node));
            };
            let taken = RefCell::new(Vec::new());
            scope(|s| {
                s.spawn(|| {
                    let node = pop();
                    taken.borrow_mut().extend(node);
                });
                s.spawn(|| {
                    let first = pop();
                    let second = pop();
                    taken.borrow_mut().extend(second);
                    first.into_iter().for_each(push);
                });
            });
            while let Some(node) = pop() {
                taken.borrow_mut().push(node);
            }
            let mut taken = taken.into_inner();
            taken.sort_unstable();
            taken.dedup_by(|left, right| {
                assert_ne!(left, right, "a node was taken twice");
                false
            });
        }
    };
    let report = fails_with(1, |f| threads(f), program(false));
    assert!(report.contains("taken twice"), "{report}");
    holds(threads(program(true)));
}

// ── mutual exclusion ─────────────────────────────────────────────────────────────────────────

/// Peterson's lock for two, with or without one of its lines.
fn peterson(yields_the_right_of_way: bool, looks_at_the_turn: bool) -> impl Fn() {
    move || {
        let wants = [Shared::new(false), Shared::new(false)];
        let turn = Shared::new(0);
        let inside = Cell::new(0);
        scope(|s| {
            for me in 0..2 {
                let (wants, turn, inside) = (&wants, &turn, &inside);
                s.spawn(move || {
                    wants[me].set(true);
                    if yields_the_right_of_way {
                        turn.set(1 - me);
                    }
                    while wants[1 - me].get() && !(looks_at_the_turn && turn.get() == me) {
                        yield_now();
                    }
                    inside.set(inside.get() + 1);
                    yield_now();
                    assert_eq!(inside.get(), 1, "both are inside");
                    inside.set(inside.get() - 1);
                    wants[me].set(false);
                });
            }
        });
    }
}

#[test]
fn peterson_without_giving_the_right_of_way_lets_both_in() {
    let report = fails_with(0, |f| threads(f), peterson(false, true));
    assert!(report.contains("both are inside"), "{report}");
}

#[test]
fn peterson_that_does_not_look_at_the_turn_never_ends() {
    let outcome = Explorer::new()
        .switches(Switches::Everywhere)
        .turns(200)
        .forced(1)
        .check(peterson(true, false));
    assert!(outcome.failure.is_none() && outcome.cut > 0, "{outcome}");
}

#[test]
fn peterson_holds() {
    let explorer = Explorer::new().switches(Switches::Everywhere).turns(200);
    let outcome = explorer.forced(3).check(peterson(true, true));
    assert!(outcome.failure.is_none(), "{outcome}");
    assert_eq!((outcome.forced, outcome.cut), (Some(3), 0), "{outcome}");
}

// ── locks and signals ────────────────────────────────────────────────────────────────────────

#[test]
fn locks_in_two_orders() {
    let program = |ordered: bool| {
        move || {
            let forks = [Mutex::named("fork 0", ()), Mutex::named("fork 1", ())];
            scope(|s| {
                for (first, second) in [(0, 1), if ordered { (0, 1) } else { (1, 0) }] {
                    let forks = &forks;
                    s.spawn(move || {
                        let _first = forks[first].lock();
                        let _second = forks[second].lock();
                    });
                }
            });
        }
    };
    let report = fails_with(1, |f| tasks(f), program(false));
    assert!(report.contains("deadlock"), "{report}");
    assert!(report.contains("lock: waits"), "{report}");
    holds(tasks(program(true)));
    holds(threads(program(true)));
}

#[test]
fn a_wake_up_that_comes_before_its_wait_is_lost() {
    let program = |asks_first: bool| {
        move || {
            let (lock, filled) = (Mutex::new(false), Condvar::new());
            scope(|s| {
                s.spawn(|| {
                    let mut full = lock.lock();
                    while asks_first && !*full {
                        full = filled.wait(full);
                    }
                    if !asks_first {
                        drop(filled.wait(full));
                    }
                });
                s.spawn(|| {
                    *lock.lock() = true;
                    filled.notify_one();
                });
            });
        }
    };
    let report = fails_with(0, |f| tasks(f), program(false));
    assert!(report.contains("deadlock"), "{report}");
    holds(tasks(program(true)));
    holds(threads(program(true)));
}

/// Consumers that wait for a number, and a producer of one each.
fn producer_consumer(patient: bool, wakes_all: bool) -> impl Fn() {
    move || {
        let (queue, filled) = (Mutex::new(VecDeque::new()), Condvar::new());
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut items = queue.lock();
                    if patient {
                        while items.is_empty() {
                            items = filled.wait(items);
                        }
                    } else if items.is_empty() {
                        items = filled.wait(items);
                    }
                    assert!(items.pop_front().is_some(), "nothing is there");
                });
            }
            s.spawn(|| {
                for n in 0..2 {
                    queue.lock().push_back(n);
                    match wakes_all {
                        true => filled.notify_all(),
                        false => filled.notify_one(),
                    }
                }
            });
        });
    }
}

#[test]
fn if_instead_of_while() {
    let report = fails_with(1, |f| tasks(f), producer_consumer(false, true));
    assert!(report.contains("nothing is there"), "{report}");
    for wakes_all in [true, false] {
        let outcome = Explorer::new()
            .forced(2)
            .check(producer_consumer(true, wakes_all));
        assert!(outcome.failure.is_none(), "{outcome}");
        assert_eq!(outcome.forced, Some(2));
    }
}

#[test]
fn an_event_that_is_cleared_by_its_waiter_swallows_the_next_signal() {
    let program = || {
        let (signal, done) = (Event::new(), Cell::new(0));
        scope(|s| {
            s.spawn(|| {
                while done.get() < 2 {
                    signal.wait();
                    signal.clear();
                    done.set(done.get() + 1);
                }
            });
            for _ in 0..2 {
                s.spawn(|| signal.set());
            }
        });
    };
    let report = fails_with(0, |f| tasks(f), program);
    assert!(report.contains("deadlock"), "{report}");
}

#[test]
fn too_many_permits_let_too_many_in() {
    let program = |permits: usize| {
        move || {
            let (room, inside) = (Semaphore::new(permits), Cell::new(0));
            scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        let _permit = room.acquire();
                        inside.set(inside.get() + 1);
                        yield_now();
                        assert!(inside.get() <= 1, "two are inside");
                        inside.set(inside.get() - 1);
                    });
                }
            });
        }
    };
    fails_with(0, |f| tasks(f), program(2));
    let outcome = Explorer::new().forced(1).check(program(1));
    assert!(outcome.failure.is_none(), "{outcome}");
}

// ── channels and kills ───────────────────────────────────────────────────────────────────────

#[test]
fn two_rendezvous_in_opposite_order() {
    let program = || {
        let ((to_b, from_a), (to_a, from_b)) = (bounded(0), bounded(0));
        let other = spawn(move || {
            to_a.send(1).unwrap();
            from_a.recv().unwrap();
        });
        to_b.send(2).unwrap();
        from_b.recv().unwrap();
        other.join().unwrap();
    };
    let report = fails_with(0, |f| tasks(f), program);
    assert!(report.contains("send: waits"), "{report}");
}

#[test]
fn messages_keep_their_order_and_none_is_lost() {
    for capacity in [0, 1, 2] {
        holds(tasks(|| {
            let (sender, receiver) = bounded(capacity);
            let producer = spawn(move || (0..2).for_each(|n| sender.send(n).unwrap()));
            assert!(receiver.iter().eq(0..2));
            producer.join().unwrap();
        }));
    }
}

#[test]
fn a_kill_between_a_message_and_its_answer_is_noticed() {
    // Somebody relies on an answer, and the one who answers may be killed first.
    let program = || {
        let (ask, questions) = bounded(1);
        let (answer, answers) = bounded(1);
        let server = spawn(move || {
            let question: u32 = questions.recv().unwrap();
            answer.send(question + 1).unwrap();
        });
        ask.send(1).unwrap();
        let killer = {
            let server = server.task().clone();
            spawn(move || {
                server.kill("too slow");
            })
        };
        assert_eq!(answers.recv().ok(), Some(2), "no answer");
        killer.join().unwrap();
    };
    let report = fails_with(0, |f| tasks(f), program);
    assert!(report.contains("no answer"), "{report}");
    assert!(report.contains("kills #2"), "{report}");
}

#[test]
fn an_unpark_is_kept_for_the_next_park() {
    holds(threads(|| {
        let sleeper = spawn(task::park);
        sleeper.task().unpark();
        sleeper.join().unwrap();
    }));
}

#[test]
fn a_choice_of_the_program_is_part_of_the_schedule() {
    let program = || {
        let faulty = any(3);
        let sum: usize = [0, 1, 2]
            .map(|n| spawn(move || n).join().unwrap())
            .iter()
            .sum();
        assert!(faulty != 2 || sum != 3, "the fault shows");
    };
    let report = fails_with(0, |f| tasks(f), program);
    assert!(report.contains("any: 2"), "{report}");
}
