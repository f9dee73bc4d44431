//! What only a hostile program does: each once broke the scheduler, or would have.
mod child;

use maypole::generator::{Generator, scoped};
use maypole::{Builder, RunError, run, scope, spawn, task, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_scoped_body_is_closed_also_when_a_value_that_it_yields_panics_in_its_drop() {
    let ended = child::run(|| {
        let data = Box::new([1_u8; 100]);
        scoped(
            |y| {
                let _borrows = OnDrop(|| println!("{}", data.len()));
                let mut bad = true;
                loop {
                    // Ignores its closes; the first value that it yields again has a bad drop.
                    let _ = catch_unwind(AssertUnwindSafe(|| {
                        y.yield_(OnDrop(Box::new(|| ()) as Box<dyn FnMut()>));
                    }));
                    let bad = std::mem::take(&mut bad);
                    let _ = catch_unwind(AssertUnwindSafe(|| {
                        y.yield_(OnDrop(Box::new(move || {
                            if bad {
                                resume_unwind(Box::new("bad"));
                            }
                        })));
                    }));
                }
            },
            |g| drop(g.next()),
        );
        println!("came back");
    });
    assert!(!ended.stdout.contains("came back"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("ignored its close 64 times"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_destructor_inside_no_yield_may_open_a_scope_while_it_unwinds() {
    run(|| {
        let ran = Rc::new(Cell::new(false));
        let theirs = ran.clone();
        let broken = spawn(move || {
            task::no_yield(|| {
                let _opens = OnDrop(|| {
                    scope(|s| {
                        s.spawn(|| theirs.set(true));
                    });
                });
                panic!("inside no_yield");
            })
        });
        let error = broken.join().map(|(): ()| ()).unwrap_err();
        assert_eq!(error.message(), Some("inside no_yield"));
        assert!(ran.get());
    });
}

#[test]
fn a_generator_in_the_panic_hook_leaves_the_panic_count_as_it_was() {
    let ended = child::run(|| {
        std::panic::set_hook(Box::new(|_| {
            let mut numbers = Generator::new(|y| (0..3).for_each(|n| y.yield_(n)));
            assert_eq!(numbers.next(), Some(0));
        }));
        run(|| ());
        let seen = Cell::new(false);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _looks = OnDrop(|| seen.set(std::thread::panicking()));
            panic!("once");
        }));
        assert!(caught.is_err() && seen.get() && !std::thread::panicking());
    });
    let ended = ended.succeeds();
    assert!(
        !ended.stderr.contains("ignored its close"),
        "{}",
        ended.stderr
    );
}

#[test]
fn too_many_shields_are_a_panic_of_the_task_that_opens_them() {
    fn nest(levels: u32) {
        if levels > 0 {
            task::shield(|| nest(levels - 1));
        }
    }
    run(|| {
        let greedy = task::Builder::new()
            .stack_size(256 << 20)
            .spawn(|| nest(66_000));
        let error = greedy.unwrap().join().unwrap_err();
        assert!(
            error.message().unwrap().contains("65,535 shields"),
            "{error}"
        );
        spawn(|| yield_now()).join().unwrap();
    });
}

#[test]
fn a_turn_limit_ends_a_main_that_spins_under_a_shield_by_name() {
    let ended = child::run(|| {
        let _ = Builder::new().max_turns(1000).run(|| {
            task::shield(|| {
                loop {
                    yield_now()
                }
            })
        });
    });
    assert!(
        ended.stderr.contains("the turn limit is reached"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("main cannot be ended"),
        "{}",
        ended.stderr
    );
    assert_ne!(ended.status, Some(0));
}

#[test]
fn the_end_of_a_run_reaches_a_task_that_a_spinning_destructor_waits_for() {
    let done = Rc::new(Cell::new(false));
    let (looks, sets) = (done.clone(), done.clone());
    run(move || {
        spawn(move || {
            let _spins = OnDrop(|| {
                while !looks.get() {
                    yield_now();
                }
            });
            task::park();
        });
        yield_now();
        spawn(move || {
            let _tells = OnDrop(|| sets.set(true));
            loop {
                yield_now();
            }
        });
        yield_now();
    });
    assert!(done.get());
}

#[test]
fn a_run_inside_the_panic_hook_is_a_world_of_its_own() {
    let ended = child::run(|| {
        std::panic::set_hook(Box::new(|_| {
            run(|| {
                let sleeper = spawn(|| {
                    let _waits = OnDrop(|| maypole::sleep(Duration::from_millis(1)));
                    task::park();
                });
                yield_now();
                sleeper.kill("test");
                assert!(sleeper.join().unwrap_err().is_killed());
            });
        }));
        // Puts maypole's own hook before that one.
        run(|| ());
        assert!(catch_unwind(|| panic!("outside of any run")).is_err());
        assert!(!std::thread::panicking());
    });
    ended.succeeds();
}

#[test]
fn a_no_yield_that_a_foreign_coroutine_carries_off_lifts_no_other_tasks() {
    run(|| {
        let mut foreign = corosensei::Coroutine::<(), (), ()>::new(|yielder, ()| {
            task::no_yield(|| yielder.suspend(()));
        });
        // Entered by one task, left by another inside a `no_yield` of its own.
        let first = spawn(move || {
            foreign.resume(());
            foreign
        });
        let mut foreign = first.join().unwrap();
        let second = spawn(move || {
            task::no_yield(|| {
                foreign.resume(());
                assert!(catch_unwind(yield_now).is_err());
            });
            yield_now();
        });
        second.join().unwrap();
    });
}

#[test]
fn a_deadlock_names_its_tasks_also_when_they_were_killed_by_each_other() {
    let stuck = Builder::new().run(|| {
        let other = spawn(|| task::shield(task::park));
        yield_now();
        other.kill("not yet");
        other.join().unwrap_err();
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody unparks the other");
    };
    assert!(report.to_string().contains("#2"), "{report}");
}
