//! Scopes: tasks that borrow, what their handles give, and who waits for whom.
mod steps;

use maypole::task::{Builder, Status};
use maypole::{ScopedJoinHandle, scope, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use steps::{Log, OnDrop, is_on_its_own, message_of, ms, on_its_own_after, on_virtual_time};

#[test]
fn children_borrow_the_halves_of_an_array() {
    on_virtual_time(|| {
        let mut numbers = [1, 2, 3, 4];
        let (left, right) = numbers.split_at_mut(2);
        scope(|s| {
            s.spawn(|| left.iter_mut().for_each(|n| *n *= 10));
            s.spawn(|| {
                yield_now();
                right.iter_mut().for_each(|n| *n *= 100);
            });
        });
        assert_eq!(numbers, [10, 20, 300, 400]);
    });
}

#[test]
fn a_scope_gives_the_value_of_its_closure_after_its_children() {
    on_virtual_time(|| {
        let log = Log::new();
        let value = scope(|s| {
            s.spawn(|| {
                sleep(ms(5));
                log.add("child");
            });
            log.add("closure");
            7
        });
        log.add("after");
        assert_eq!((value, log.text().as_str()), (7, "closure child after"));
    });
}

#[test]
fn an_empty_scope_returns_at_once() {
    on_virtual_time(|| assert_eq!(scope(|_| "value"), "value"));
}

#[test]
fn join_gives_a_result_that_borrows() {
    on_virtual_time(|| {
        let words = ["may".to_string(), "pole".to_string()];
        let longest = scope(|s| {
            let handle = s.spawn(|| {
                yield_now();
                words.iter().max_by_key(|word| word.len()).unwrap()
            });
            handle.join().unwrap()
        });
        assert_eq!(longest, "pole");
    });
}

#[test]
fn a_handle_tells_when_its_child_is_finished() {
    on_virtual_time(|| {
        scope(|s| {
            let handle = s.spawn(|| yield_now());
            assert!(!handle.is_finished());
            yield_now();
            assert!(!handle.is_finished());
            yield_now();
            assert!(handle.is_finished());
            assert_eq!(handle.task().status(), Status::Finished);
            handle.join().unwrap();
        });
    });
}

#[test]
fn a_scoped_join_times_out_and_succeeds_later() {
    on_virtual_time(|| {
        let name = String::from("child");
        scope(|s| {
            let mut handle = s.spawn(|| {
                sleep(ms(10));
                &name
            });
            assert!(handle.join_timeout(ms(4)).is_none());
            assert_eq!(handle.join_timeout(ms(20)).unwrap().unwrap(), "child");
        });
    });
}

#[test]
fn scopes_nest_and_the_inner_one_ends_first() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|outer| {
            outer.spawn(|| {
                sleep(ms(30));
                log.add("outer child");
            });
            let local = String::from("inner child");
            scope(|inner| {
                inner.spawn(|| {
                    sleep(ms(10));
                    log.add(&local);
                    // A child of the inner scope may spawn into the outer one.
                    outer.spawn(|| {
                        sleep(ms(50));
                        log.add("late outer child");
                    });
                });
            });
            log.add("inner scope left");
        });
        let expected = [
            "inner child",
            "inner scope left",
            "outer child",
            "late outer child",
        ];
        assert_eq!(log.steps(), expected);
    });
}

#[test]
fn children_spawn_siblings_while_the_scope_waits_at_its_end() {
    on_virtual_time(|| {
        let count = Cell::new(0);
        let add = || count.set(count.get() + 1);
        scope(|s| {
            s.spawn(|| {
                sleep(ms(1));
                add();
                s.spawn(|| {
                    sleep(ms(1));
                    add();
                    s.spawn_now(|| {
                        yield_now();
                        add();
                    });
                });
            });
        });
        assert_eq!(count.get(), 3);
    });
}

#[test]
fn a_destructor_of_a_child_may_spawn_a_sibling() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            s.spawn(|| {
                let _late = OnDrop(|| {
                    s.spawn(|| {
                        yield_now();
                        log.add("sibling");
                    });
                });
            });
        });
        assert_eq!(log.text(), "sibling");
    });
}

#[test]
fn a_result_that_nobody_joins_is_dropped_before_the_scope_ends() {
    struct Result<'a>(&'a str, Log);
    impl Drop for Result<'_> {
        fn drop(&mut self) {
            self.1.add(self.0);
        }
    }
    on_virtual_time(|| {
        let log = Log::new();
        let borrowed = String::from("result");
        scope(|s| {
            s.spawn(|| {
                yield_now();
                Result(&borrowed, log.clone())
            });
        });
        log.add("after");
        drop(borrowed);
        assert_eq!(log.text(), "result after");
    });
}

#[test]
fn a_handle_kept_to_the_end_of_the_closure_drops_its_result_there() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            let handle = s.spawn(|| log.on_drop("result"));
            while !handle.is_finished() {
                yield_now();
            }
            log.add("finished");
            drop(handle);
            log.add("handle gone");
        });
        assert_eq!(log.text(), "finished result handle gone");
    });
}

#[test]
fn a_forgotten_handle_leaks_the_result_and_nothing_else() {
    on_virtual_time(|| {
        let log = Log::new();
        let borrowed = String::from("text");
        scope(|s| {
            let handle = s.spawn(|| {
                yield_now();
                log.add(&borrowed);
                log.on_drop("leaked")
            });
            std::mem::forget(handle);
        });
        drop(borrowed);
        log.add("after");
        assert_eq!(log.text(), "text after");
    });
}

#[test]
fn handles_leaked_in_a_cycle_keep_no_child_alive() {
    use std::rc::Rc;
    struct Node<'s>(
        RefCell<Vec<ScopedJoinHandle<'s, String>>>,
        RefCell<Option<Rc<Node<'s>>>>,
    );
    on_virtual_time(|| {
        let borrowed = String::from("text");
        scope(|s| {
            let node = Rc::new(Node(RefCell::default(), RefCell::default()));
            *node.1.borrow_mut() = Some(node.clone());
            for _ in 0..3 {
                let handle = s.spawn(|| {
                    sleep(ms(1));
                    borrowed.clone()
                });
                node.0.borrow_mut().push(handle);
            }
        });
        drop(borrowed);
    });
}

#[test]
fn a_panicking_destructor_of_an_unjoined_result_is_swallowed() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            drop(s.spawn(|| OnDrop(|| panic!("a result that must not be dropped"))));
            s.spawn(|| {
                sleep(ms(1));
                log.add("sibling");
            });
        });
        assert_eq!(log.text(), "sibling");
    });
}

#[test]
fn spawn_now_runs_the_child_to_its_first_park() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            let handle = s.spawn_now(|| {
                log.add("begun");
                yield_now();
                log.add("done");
                "value"
            });
            log.add("parent");
            assert_eq!(handle.join().unwrap(), "value");
        });
        assert_eq!(log.text(), "begun parent done");
    });
}

#[test]
fn a_builder_names_a_scoped_child() {
    on_virtual_time(|| {
        let borrowed = String::from("parser");
        scope(|s| {
            let handle = Builder::new()
                .name(&borrowed)
                .stack_size(1 << 20)
                .spawn_scoped(s, || {
                    (maypole::task::current().name().to_string(), &borrowed)
                })
                .unwrap();
            let (name, same) = handle.join().unwrap();
            assert_eq!(name, *same);
        });
    });
}

#[test]
#[cfg_attr(
    feature = "sanitizer",
    ignore = "AddressSanitizer needs the address space"
)]
fn a_refused_stack_drops_the_captures_and_leaves_the_scope_usable() {
    if !is_on_its_own() {
        let name = "a_refused_stack_drops_the_captures_and_leaves_the_scope_usable";
        let (succeeded, text) = on_its_own_after("ulimit -v 900000", name);
        assert!(succeeded, "{text}");
        return;
    }
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            let capture = log.on_drop("captures");
            let refused = Builder::new().stack_size(1 << 30).spawn_scoped(s, move || {
                let _capture = capture;
            });
            assert_eq!(
                refused.err().unwrap().kind(),
                std::io::ErrorKind::OutOfMemory
            );
            s.spawn(|| log.add("other"));
        });
        assert_eq!(log.text(), "captures other");
    });
}

#[test]
fn daemons_are_killed_when_the_others_are_done() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            s.spawn_daemon(|| {
                let _gone = log.on_drop("daemon gone");
                loop {
                    sleep(ms(10));
                    log.add("tick");
                }
            });
            s.spawn(|| {
                sleep(ms(25));
                log.add("done");
            });
        });
        assert_eq!(log.steps(), ["tick", "tick", "done", "daemon gone"]);
    });
}

#[test]
fn a_daemon_that_ends_by_itself_ends_no_scope() {
    on_virtual_time(|| {
        let done = Cell::new(false);
        scope(|s| {
            s.spawn_daemon(|| ());
            s.spawn(|| {
                sleep(ms(5));
                done.set(true);
            });
        });
        assert!(done.get());
    });
}

#[test]
fn a_task_spawned_by_a_daemon_is_waited_for() {
    on_virtual_time(|| {
        let done = Cell::new(false);
        scope(|s| {
            s.spawn_daemon(|| {
                s.spawn(|| {
                    sleep(ms(5));
                    done.set(true);
                });
                maypole::task::park();
            });
            // Lets the daemon begin.
            yield_now();
        });
        assert!(done.get());
    });
}

#[test]
fn a_scope_in_a_destructor_while_unwinding_waits_for_its_children() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let handle = spawn(move || {
            let _scope = OnDrop(|| {
                let sum = Cell::new(0);
                scope(|s| {
                    for n in 1..=3 {
                        let sum = &sum;
                        s.spawn(move || {
                            assert!(!std::thread::panicking());
                            sleep(ms(n));
                            sum.set(sum.get() + n);
                        });
                    }
                });
                assert!(std::thread::panicking());
                theirs.add(sum.get());
            });
            panic!("the reason to unwind");
        });
        assert_eq!(
            handle.join().unwrap_err().message(),
            Some("the reason to unwind")
        );
        assert_eq!(log.text(), "6");
    });
}

#[test]
fn a_scope_where_yielding_is_forbidden_is_refused_before_its_first_child() {
    on_virtual_time(|| {
        let entered = Cell::new(false);
        let message = message_of(|| {
            maypole::task::no_yield(|| scope(|_| entered.set(true)));
        });
        assert!(message.contains("inside task::no_yield"), "{message}");
        assert!(!entered.get());
    });
}

#[test]
fn a_refused_spawn_now_leaves_no_trace_in_the_scope() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            let capture = log.on_drop("captures");
            let message = message_of(|| {
                maypole::task::no_yield(|| drop(s.spawn_now(move || drop(capture))));
            });
            assert!(message.contains("inside task::no_yield"), "{message}");
            s.spawn(|| log.add("other"));
        });
        assert_eq!(log.text(), "captures other");
    });
}

#[test]
fn a_scope_outside_of_a_run_is_refused() {
    let message = message_of(|| scope(|_| ()));
    assert!(message.contains("outside of maypole::run"), "{message}");
}

#[test]
fn a_thousand_children_borrow_one_counter() {
    on_virtual_time(|| {
        let count = Cell::new(0);
        scope(|s| {
            for n in 0..1000 {
                let count = &count;
                s.spawn(move || {
                    sleep(ms(n % 7));
                    count.set(count.get() + 1);
                });
            }
        });
        assert_eq!(count.get(), 1000);
    });
}
