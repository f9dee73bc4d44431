//! Task locals: each task has its own, made at first use and dropped at the task's end.
mod task_support;

use maypole::task::{current, park};
use maypole::{run, sleep, spawn, task_local, yield_now};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use task_support::{Log, OnDrop, panic_text, virtually, yield_times};

#[test]
fn each_task_has_its_own_value() {
    task_local! {
        static USER: RefCell<String> = RefCell::new("nobody".to_string());
    }
    run(|| {
        USER.with(|user| *user.borrow_mut() = "main".to_string());
        let tasks = ["ann", "bob"].map(|name| {
            spawn(move || {
                assert_eq!(USER.with(|user| user.borrow().clone()), "nobody");
                USER.with(|user| *user.borrow_mut() = name.to_string());
                yield_now();
                USER.with(|user| user.borrow().clone())
            })
        });
        assert_eq!(tasks.map(|task| task.join().unwrap()), ["ann", "bob"]);
        assert_eq!(USER.with(|user| user.borrow().clone()), "main");
    });
}

#[test]
fn several_keys_of_one_type_are_told_apart() {
    task_local! {
        static FIRST: Cell<u8> = Cell::new(1);
        static SECOND: Cell<u8> = Cell::new(2);
    }
    run(|| {
        FIRST.with(|first| first.set(10));
        assert_eq!(SECOND.with(Cell::get), 2);
        assert_eq!(FIRST.with(Cell::get), 10);
    });
}

#[test]
fn an_initialiser_may_park_while_another_task_makes_its_own() {
    task_local! {
        static SLOW: String = {
            sleep(Duration::from_secs(1));
            format!("made by {}", current().id())
        };
    }
    virtually(|| {
        let tasks = [(); 3].map(|()| spawn(|| SLOW.with(|slow| slow.clone())));
        let made = tasks.map(|task| task.join().unwrap());
        assert_eq!(made, ["made by #2", "made by #3", "made by #4"]);
    });
}

#[test]
fn a_task_killed_in_an_initialiser_has_no_value() {
    task_local! {
        static NEVER: u8 = {
            park();
            1
        };
    }
    run(|| {
        let task = spawn(|| NEVER.with(|never| *never));
        yield_times(3);
        task.kill("now");
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn an_initialiser_that_panics_is_tried_again_at_the_next_use() {
    task_local! {
        static TRIES: Cell<u8> = Cell::new(0);
        static SECOND_TIME_LUCKY: u8 = TRIES.with(|tries| {
            tries.set(tries.get() + 1);
            assert!(tries.get() > 1, "first try");
            tries.get()
        });
    }
    run(|| {
        assert_eq!(panic_text(|| SECOND_TIME_LUCKY.with(|_| ())), "first try");
        assert_eq!(SECOND_TIME_LUCKY.with(|value| *value), 2);
    });
}

#[test]
fn an_initialiser_that_uses_its_own_key_keeps_the_inner_value() {
    task_local! {
        static DEPTH: Cell<u8> = Cell::new(0);
        static NESTED: u8 = {
            let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1));
            if depth < 3 {
                NESTED.with(|inner| *inner + 1)
            } else {
                0
            }
        };
    }
    run(|| {
        assert_eq!(NESTED.with(|value| *value), 0);
        assert_eq!(NESTED.with(|value| *value), 0);
    });
}

#[test]
fn a_look_may_park_and_look_again() {
    task_local! {
        static COUNT: Cell<u32> = Cell::new(0);
    }
    run(|| {
        let task = spawn(|| {
            COUNT.with(|count| {
                count.set(1);
                yield_now();
                COUNT.with(|again| again.set(again.get() + 1));
                count.get()
            })
        });
        COUNT.with(|count| count.set(100));
        assert_eq!(task.join().unwrap(), 2);
    });
}

#[test]
fn values_are_dropped_in_the_order_of_making_at_the_end_on_the_task_s_own_stack() {
    thread_local! {
        static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
    }
    fn say(word: String) {
        LOG.with(|log| log.borrow().as_ref().unwrap().say(word));
    }
    task_local! {
        static FIRST: OnDrop<fn()> = OnDrop(|| say(format!("first in {}", current().id())));
        static SECOND: OnDrop<fn()> = OnDrop(|| {
            yield_now();
            say(format!("second in {}", current().id()));
        });
    }
    let log = Log::new();
    LOG.set(Some(log.clone()));
    run(|| {
        let task = spawn(|| {
            FIRST.with(|_| ());
            SECOND.with(|_| ());
            say("end of body".to_string());
        });
        task.join().unwrap();
        say("joined".to_string());
    });
    assert_eq!(
        log.words(),
        ["end of body", "first in #2", "second in #2", "joined"]
    );
}

#[test]
fn values_of_killed_and_panicked_tasks_are_dropped_too() {
    thread_local! {
        static DROPPED: Cell<u32> = const { Cell::new(0) };
    }
    task_local! {
        static GUARD: OnDrop<fn()> = OnDrop(|| DROPPED.set(DROPPED.get() + 1));
    }
    run(|| {
        let killed = spawn(|| {
            GUARD.with(|_| ());
            park();
        });
        let panicked = spawn(|| {
            GUARD.with(|_| ());
            panic!("out");
        });
        yield_times(3);
        killed.kill("now");
        assert!(killed.join().unwrap_err().is_killed());
        assert!(panicked.join().map(|_: ()| ()).unwrap_err().is_panic());
        assert_eq!(DROPPED.get(), 2);
        GUARD.with(|_| ());
    });
    assert_eq!(DROPPED.get(), 3, "main's own");
}

#[test]
fn a_destructor_that_panics_harms_neither_the_result_nor_the_other_values() {
    thread_local! {
        static DROPPED: Cell<bool> = const { Cell::new(false) };
    }
    task_local! {
        static BOMB: OnDrop<fn()> = OnDrop(|| panic!("in the destructor"));
        static GUARD: OnDrop<fn()> = OnDrop(|| DROPPED.set(true));
    }
    run(|| {
        let task = spawn(|| {
            BOMB.with(|_| ());
            GUARD.with(|_| ());
            "result"
        });
        assert_eq!(task.join().unwrap(), "result");
        assert!(DROPPED.get());
        let line = line!() + 3;
        let task = spawn(|| {
            BOMB.with(|_| ());
            panic!("of the body");
        });
        let error = task.join().map(|_: ()| ()).unwrap_err();
        assert_eq!(error.message(), Some("of the body"));
        assert_eq!(error.location().map(|place| place.line), Some(line));
    });
}

#[test]
fn a_destructor_may_use_values_that_are_left_and_make_new_ones_which_are_dropped_too() {
    thread_local! {
        static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
    fn say(word: &str) {
        LOG.with_borrow_mut(|log| log.push(format!("{word} in {}", current().id())));
    }
    task_local! {
        static EARLY: OnDrop<fn()> = OnDrop(|| {
            LEFT.with(|left| assert_eq!(left.0, 7));
            LATE.with(|_| ());
            say("early");
        });
        static LEFT: (u8, OnDrop<fn()>) = (7, OnDrop(|| say("left")));
        static LATE: OnDrop<fn()> = OnDrop(|| say("late"));
    }
    run(|| {
        let task = spawn(|| {
            EARLY.with(|_| ());
            LEFT.with(|_| ());
        });
        task.join().unwrap();
    });
    assert_eq!(LOG.take(), ["early in #2", "left in #2", "late in #2"]);
}

#[test]
fn a_value_that_is_gone_is_not_made_again() {
    thread_local! {
        static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    }
    task_local! {
        static PHOENIX: OnDrop<fn()> = OnDrop(|| {
            TEXT.set(panic_text(|| PHOENIX.with(|_| ())));
        });
    }
    run(|| spawn(|| PHOENIX.with(|_| ())).join().unwrap());
    let text = TEXT.take();
    assert!(
        text.starts_with("maypole: a task local at ") && text.contains("is gone"),
        "{text}"
    );
}

#[test]
fn the_value_that_a_detached_task_returns_may_use_locals_when_it_is_dropped() {
    thread_local! {
        static SEEN: Cell<u8> = const { Cell::new(0) };
    }
    task_local! {
        static NUMBER: Cell<u8> = Cell::new(1);
    }
    run(|| {
        let value = OnDrop(|| SEEN.set(NUMBER.with(Cell::get)));
        drop(spawn(move || value));
        yield_times(2);
    });
    assert_eq!(SEEN.get(), 1);
}

#[test]
fn a_local_outside_of_a_run_says_what_to_do() {
    task_local! {
        static USER: u8 = 1;
    }
    let text = panic_text(|| USER.with(|user| *user));
    assert!(text.contains("wrap main in maypole::run"), "{text}");
    assert!(text.contains(file!()), "{text}");
}

#[test]
fn ten_thousand_tasks_drop_their_values_once_each() {
    thread_local! {
        static ALIVE: Cell<i32> = const { Cell::new(0) };
    }
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.set(ALIVE.get() - 1);
        }
    }
    task_local! {
        static COUNTED: Counted = {
            ALIVE.set(ALIVE.get() + 1);
            Counted
        };
    }
    run(|| {
        for n in 0..10_000 {
            spawn(move || {
                COUNTED.with(|_| ());
                if n % 3 == 0 {
                    yield_now();
                }
            });
        }
        yield_now();
        assert_eq!(ALIVE.get(), 3334);
    });
    assert_eq!(ALIVE.get(), 0);
}
