//! Cycles of locks and joins: told on stderr when they close, while the others go on.
#![cfg(unix)]
mod child;
mod deadlock_support;

use child::Ended;
use maypole::sync::{Mutex, RwLock};
use maypole::{
    Builder, Clock, JoinHandle, run, scope, sleep, spawn, spawn_now, task, time, yield_now,
};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

type Fork = Rc<Mutex<()>>;

fn forks() -> (Fork, Fork) {
    let fork = |name| Rc::new(Mutex::named(name, ())); // @fork
    (fork("left"), fork("right"))
}

/// Takes both, one after the other, and gives the others a turn in between.
fn dine(first: &Fork, second: &Fork) {
    let _first = first.lock(); // @first
    yield_now();
    let _second = second.lock(); // @second
}

/// Two that will never end, unless they are killed.
fn spawn_philosophers((left, right): (Fork, Fork)) -> [JoinHandle<()>; 2] {
    let (theirs_left, theirs_right) = (left.clone(), right.clone());
    let one = task::Builder::new().name("one");
    let one = one.spawn(move || dine(&left, &right)); // @one
    let two = task::Builder::new().name("two");
    let two = two.spawn(move || dine(&theirs_right, &theirs_left)); // @two
    [one.unwrap(), two.unwrap()]
}

fn told(ended: &Ended) -> usize {
    ended.stderr.matches("  cycle   ").count()
}

#[test]
fn a_cycle_is_told_when_it_closes_and_the_others_go_on() {
    let ended = child::run(|| {
        run(|| {
            let _philosophers = spawn_philosophers(forks());
            yield_now();
            yield_now();
            yield_now();
            eprintln!("main goes on");
        });
        eprintln!("the run is over");
    })
    .succeeds();
    let text = expected!(
        "
maypole: these 2 tasks wait for each other, for ever

  cycle   one ─waits for─> Mutex 'right' ─held by─> two ─waits for─> Mutex 'left' ─held by─> one

  #2 one  waits to lock Mutex 'right' at @second (spawned at @one)
          made at @fork, held by two since @first
          holds Mutex 'left' since @first
|first
|second <-
  #3 two  waits to lock Mutex 'left' at @second (spawned at @two)
          made at @fork, held by one since @first
          holds Mutex 'right' since @first

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test
main goes on
the run is over"
    );
    assert_eq!(ended.stderr, text);
}

#[test]
fn those_who_come_to_wait_later_are_no_news() {
    let ended = child::run(|| {
        run(|| {
            let (left, right) = forks();
            let theirs = right.clone();
            let [one, two] = spawn_philosophers((left, right));
            for _ in 0..4 {
                yield_now();
            }
            spawn(move || drop(theirs.lock()));
            spawn(move || one.join());
            spawn(move || two.join());
            for _ in 0..4 {
                yield_now();
            }
        });
    })
    .succeeds();
    assert_eq!(told(&ended), 1, "{}", ended.stderr);
}

#[test]
fn a_task_that_comes_back_into_its_cycle_is_no_news() {
    let ended = child::run(|| {
        run(|| {
            let (left, right) = forks();
            let (theirs_left, theirs_right) = (left.clone(), right.clone());
            spawn(move || dine(&theirs_left, &theirs_right));
            spawn(move || {
                let _right = right.lock();
                yield_now();
                // A panic of another task takes it out of the line; and there it is again.
                let fails = || {
                    scope(|s| {
                        s.spawn(|| {
                            (0..4).for_each(|_| yield_now());
                            panic!("to end the scope");
                        });
                        drop(left.lock());
                    })
                };
                assert!(catch_unwind(AssertUnwindSafe(fails)).is_err());
                eprintln!("once more");
                drop(left.lock());
            });
            (0..20).for_each(|_| yield_now());
            eprintln!("main goes on");
        });
    })
    .succeeds();
    assert!(
        ended.stderr.contains("once more\nmain goes on\n"),
        "{}",
        ended.stderr
    );
    assert_eq!(told(&ended), 1, "{}", ended.stderr);
}

#[test]
fn another_cycle_of_other_tasks_is_told_too() {
    let ended = child::run(|| {
        run(|| {
            for _ in 0..3 {
                let philosophers = spawn_philosophers(forks());
                for _ in 0..4 {
                    yield_now();
                }
                for philosopher in philosophers {
                    philosopher.kill("enough");
                    drop(philosopher.join());
                }
            }
        });
    })
    .succeeds();
    assert_eq!(told(&ended), 3, "{}", ended.stderr);
}

#[test]
fn after_so_many_no_more_are_told() {
    let ended = child::run(|| {
        run(|| {
            for _ in 0..100 {
                let philosophers = spawn_philosophers(forks());
                for _ in 0..4 {
                    yield_now();
                }
                for philosopher in philosophers {
                    philosopher.kill("enough");
                    drop(philosopher.join());
                }
            }
        });
    })
    .succeeds();
    assert_eq!(told(&ended), 64, "{}", ended.stderr);
    let last = "maypole: further cycles of this run are not told\n";
    assert!(ended.stderr.ends_with(last), "{}", ended.stderr);
}

#[test]
fn a_wait_with_an_end_closes_nothing() {
    let ended = child::run(|| {
        let wait = |limited: fn(&Fork)| {
            let clock = Builder::new().clock(Clock::Virtual);
            let ended = clock.run(move || {
                let (left, right) = forks();
                let (theirs_left, theirs_right) = (left.clone(), right.clone());
                spawn(move || dine(&theirs_left, &theirs_right));
                let _right = right.lock();
                yield_now();
                yield_now();
                limited(&left);
            });
            ended.unwrap();
        };
        wait(|left| drop(left.lock_timeout(HOUR)));
        wait(|left| {
            let _ = time::timeout(HOUR, || drop(left.lock()));
        });
        // Neither does one of those further on.
        run(|| {
            let (left, right) = forks();
            let mine = left.clone();
            let mut patient = spawn(move || {
                let _left = left.lock();
                yield_now();
                let soon = Duration::from_millis(1);
                let _ = time::timeout(soon, || drop(right.lock()));
            });
            drop((patient.join_timeout(HOUR), mine.lock()));
        });
        eprintln!("all came back");
    })
    .succeeds();
    assert_eq!(ended.stderr, "all came back\n");
}

#[test]
fn a_lock_that_is_only_busy_closes_nothing() {
    let ended = child::run(|| {
        run(|| {
            let lock = Rc::new(Mutex::new(0));
            let workers: Vec<_> = (0..50)
                .map(|_| {
                    let lock = lock.clone();
                    spawn(move || {
                        let mut count = lock.lock();
                        yield_now();
                        *count += 1;
                    })
                })
                .collect();
            workers
                .into_iter()
                .for_each(|worker| worker.join().unwrap());
            assert_eq!(*lock.lock(), 50);
        });
    })
    .succeeds();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_join_in_the_cycle_counts_and_so_does_the_end_of_a_scope() {
    let ended = child::run(|| {
        let stuck = Builder::new().run(|| {
            spawn(|| {
                let lock = Rc::new(Mutex::new(()));
                let theirs = lock.clone();
                let _guard = lock.lock();
                drop(spawn(move || drop(theirs.lock())).join());
            });
            let lock = Mutex::new(());
            let _guard = lock.lock();
            scope(|s| {
                s.spawn(|| drop(lock.lock()));
                s.spawn(|| ());
            });
        });
        assert!(stuck.is_err());
    })
    .succeeds();
    let cycles = [
        "#2 ─joins─> #5 ─waits for─> Mutex (",
        "main ─joins─> #3 ─waits for─> Mutex (",
    ];
    for cycle in cycles {
        let line = format!("  cycle   {cycle}");
        assert!(ended.stderr.contains(&line), "{cycle}: {}", ended.stderr);
    }
    assert_eq!(told(&ended), 2, "{}", ended.stderr);
}

#[test]
fn a_writer_and_those_in_line_behind_it_are_in_a_cycle_unless_it_has_a_deadline() {
    let ended = child::run(|| {
        for patience in [HOUR, Duration::MAX] {
            let clock = Builder::new().clock(Clock::Virtual);
            let ended = clock.run(move || {
                let table = Rc::new(RwLock::named("table", ()));
                let mine = table.read();
                let (for_writer, for_reader) = (table.clone(), table.clone());
                spawn(move || drop(for_writer.write_timeout(patience)));
                let reader = spawn(move || drop(for_reader.read()));
                yield_now();
                drop(reader.join());
                drop(mine);
            });
            eprintln!(
                "{}",
                if ended.is_ok() {
                    "came back"
                } else {
                    "deadlock"
                }
            );
        }
    })
    .succeeds();
    assert!(ended.stderr.starts_with("came back\n"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("deadlock\n"), "{}", ended.stderr);
    assert_eq!(told(&ended), 1, "{}", ended.stderr);
}

#[test]
fn before_a_report_of_all_tasks_only_the_line_is_told() {
    let ended = child::run(|| {
        let stuck = Builder::new().run(|| {
            for philosopher in spawn_philosophers(forks()) {
                philosopher.join().unwrap();
            }
        });
        assert!(stuck.unwrap_err().to_string().contains("  cycle   one ─"));
    })
    .succeeds();
    let text = "\
maypole: these 2 tasks wait for each other, for ever

  cycle   one ─waits for─> Mutex 'right' ─held by─> two ─waits for─> Mutex 'left' ─held by─> one
";
    assert_eq!(ended.stderr, text);
}

#[test]
fn a_timer_of_another_task_means_that_it_goes_on() {
    let ended = child::run(|| {
        let clock = Builder::new().clock(Clock::Virtual);
        let ended = clock.run(|| {
            let _philosophers = spawn_philosophers(forks());
            sleep(HOUR);
        });
        ended.unwrap();
    })
    .succeeds();
    let told = "#2 one  waits to lock Mutex 'right' at ";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn a_cycle_that_closes_nested_on_another_task_is_told() {
    let ended = child::run(|| {
        run(|| {
            let (left, right) = forks();
            let (theirs_left, theirs_right) = (left.clone(), right.clone());
            spawn(move || dine(&theirs_left, &theirs_right));
            yield_now();
            spawn_now(move || dine(&right, &left));
            yield_now();
            yield_now();
            eprintln!("main goes on");
        });
    })
    .succeeds();
    assert_eq!(told(&ended), 1, "{}", ended.stderr);
    assert!(ended.stderr.ends_with("main goes on\n"), "{}", ended.stderr);
}

#[test]
fn a_cycle_that_main_leaves_behind_is_told_before_its_tasks_are_killed() {
    let ended = child::run(|| {
        run(|| {
            let (left, right) = forks();
            let _two = spawn_philosophers((left, right));
            sleep(Duration::from_millis(1));
        });
        eprintln!("the run is over");
    })
    .succeeds();
    assert_eq!(told(&ended), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("the run is over\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_cycle_of_destructors_is_told_by_the_report_of_what_would_not_die() {
    struct Dines(Fork, Fork);
    impl Drop for Dines {
        fn drop(&mut self) {
            let _first = self.0.lock();
            sleep(Duration::from_millis(1)); // the next is killed meanwhile
            drop(self.1.lock());
        }
    }
    let ended = child::run(|| {
        run(|| {
            let (left, right) = forks();
            let dinners = [Dines(left.clone(), right.clone()), Dines(right, left)];
            for dinner in dinners {
                spawn(move || {
                    let _dinner = dinner;
                    task::park();
                });
            }
            yield_now();
        });
    })
    .succeeds();
    let head =
        "maypole: these tasks would not die and are leaked\n\n  cycle   #2 ─waits for─> Mutex ";
    assert!(ended.stderr.starts_with(head), "{}", ended.stderr);
    assert_eq!(told(&ended), 1, "{}", ended.stderr);
}

#[test]
fn a_daemon_that_waits_for_a_lock_of_the_scope_closes_nothing() {
    let ended = child::run(|| {
        run(|| {
            let lock = Mutex::new(());
            let _guard = lock.lock();
            scope(|s| {
                s.spawn_daemon(|| drop(lock.lock()));
                s.spawn(|| (0..4).for_each(|_| yield_now()));
            });
        });
    })
    .succeeds();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_long_chain_of_joins_is_walked_by_nobody() {
    run(|| {
        let first = spawn(|| task::park());
        let start = first.task().clone();
        let mut last = first;
        for _ in 0..20_000 {
            last = spawn(move || drop(last.join()));
        }
        yield_now();
        start.unpark();
        last.join().unwrap();
    });
}

#[test]
fn a_ring_of_a_thousand_is_found() {
    let ended = child::run(|| {
        run(|| {
            let forks: Vec<Fork> = (0..1000).map(|_| Rc::new(Mutex::new(()))).collect();
            let next = forks.iter().cycle().skip(1);
            for (first, second) in forks.iter().cloned().zip(next.cloned()) {
                spawn(move || dine(&first, &second));
            }
            for _ in 0..3 {
                yield_now();
            }
        });
    })
    .succeeds();
    let head =
        "maypole: these 1000 tasks wait for each other, for ever\n\n  cycle   #2 ─waits for─> ";
    assert!(ended.stderr.starts_with(head), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(" ─> … 992 more tasks … ─> #1001 ─"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("; 1000 tasks like this"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_task_that_joins_itself_waits_for_itself() {
    let ended = child::run(|| {
        run(|| {
            let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
            let theirs = own.clone();
            let snake = spawn(move || {
                let own = theirs.take().expect("main has put it there");
                own.join().unwrap();
            });
            own.replace(Some(snake));
            yield_now();
            yield_now();
        });
    })
    .succeeds();
    let head = "maypole: this task waits for itself, for ever\n\n  cycle   #2 ─joins─> #2\n";
    assert!(ended.stderr.starts_with(head), "{}", ended.stderr);
}
