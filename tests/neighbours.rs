//! Std and C code on the OS thread of the tasks: what it sees of being interleaved, killed and
//! signalled.
// For C functions and signals.
#![allow(unsafe_code)]

mod child;

use maypole::{run, sleep, spawn, task, yield_now};
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(1000);

#[test]
fn a_killed_task_leaves_a_std_scope_when_its_os_threads_are_done() {
    run(|| {
        let sum = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let theirs = sum.clone();
        let handle = spawn(move || {
            let numbers = [1, 2, 3];
            std::thread::scope(|s| {
                s.spawn(|| {
                    let total = numbers.iter().sum();
                    theirs.store(total, std::sync::atomic::Ordering::Relaxed);
                });
                task::park();
            });
        });
        yield_now();
        handle.kill("test");
        assert!(handle.join().unwrap_err().is_killed());
        assert_eq!(sum.load(std::sync::atomic::Ordering::Relaxed), 6);
    });
}

#[test]
fn a_cell_that_is_borrowed_across_a_park_panics_in_the_other_task() {
    thread_local! {
        static SHARED: RefCell<u32> = const { RefCell::new(1) };
    }
    run(|| {
        let holder = spawn(|| {
            SHARED.with_borrow_mut(|n| {
                yield_now();
                *n += 1;
            });
        });
        yield_now();
        let other = catch_unwind(|| SHARED.with_borrow_mut(|n| *n = 9));
        assert!(other.is_err());
        holder.join().unwrap();
        assert_eq!(SHARED.with_borrow(|n| *n), 2);
    });
}

#[test]
fn a_once_cell_whose_initialiser_parks_panics_instead_of_being_set_twice() {
    run(|| {
        let cell = Rc::new(OnceCell::new());
        let theirs = cell.clone();
        let slow = spawn(move || {
            *theirs.get_or_init(|| {
                yield_now();
                1
            })
        });
        yield_now();
        assert_eq!(*cell.get_or_init(|| 2), 2);
        assert!(slow.join().unwrap_err().is_panic());
        assert_eq!(cell.get(), Some(&2));
    });
}

#[test]
fn thread_locals_written_by_another_task_are_read_anew_after_a_switch() {
    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    run(|| {
        let writer = spawn(|| {
            for _ in 0..3 {
                NUMBER.set(NUMBER.get() + 1);
                yield_now();
            }
        });
        let seen: Vec<u32> = (0..3)
            .map(|_| {
                let before = NUMBER.get();
                yield_now();
                NUMBER.get() - before
            })
            .collect();
        writer.join().unwrap();
        assert_eq!(seen, [1, 1, 1]);
    });
}

#[test]
fn stdout_stays_usable_when_a_task_is_killed_while_it_holds_it() {
    struct Slow;
    impl fmt::Display for Slow {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            sleep(LONG);
            Ok(())
        }
    }
    let ended = child::run(|| {
        run(|| {
            let printer = spawn(|| write!(std::io::stdout().lock(), "{Slow}").unwrap());
            yield_now();
            // The lock is the OS thread's, which has it.
            println!("meanwhile");
            printer.kill("test");
            assert!(printer.join().unwrap_err().is_killed());
            println!("afterwards");
        });
    });
    let ended = ended.succeeds();
    assert!(
        ended.stdout.contains("meanwhile\nafterwards\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_token_of_std_park_is_shared_by_all_tasks_of_the_os_thread() {
    run(|| {
        let other = spawn(|| std::thread::current().unpark());
        other.join().unwrap();
        // Returns at once: the other task's token is this OS thread's.
        std::thread::park();
    });
}

#[test]
fn a_process_may_exit_in_a_task() {
    let ended = child::run(|| {
        run(|| {
            spawn(task::park);
            spawn(|| std::process::exit(5));
            yield_now();
        });
    });
    assert_eq!((ended.status, ended.signal), (Some(5), None));
}

#[test]
fn a_backtrace_reaches_from_a_task_to_where_the_run_began() {
    #[inline(never)]
    fn deep_inside() -> String {
        std::backtrace::Backtrace::force_capture().to_string()
    }
    let trace = run(|| spawn(deep_inside).join().unwrap());
    assert!(trace.contains("deep_inside"), "{trace}");
    let test = "a_backtrace_reaches_from_a_task_to_where_the_run_began";
    assert!(trace.contains(test), "{trace}");
}

#[test]
fn sleeps_are_not_cut_short_by_a_storm_of_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    let ended = child::run(|| {
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: 200,
        };
        let storm = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        // SAFETY: the handler does nothing, and the process is this test's alone.
        unsafe { libc::signal(libc::SIGALRM, nothing as *const () as usize) };
        // SAFETY: sets a timer of this process.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &storm, std::ptr::null_mut()) };
        let all = run(|| {
            let sleepers: Vec<_> = (0..100)
                .map(|n| {
                    spawn(move || {
                        for _ in 0..10 {
                            let nap = Duration::from_micros(100 + n);
                            let start = maypole::time::now();
                            sleep(nap);
                            assert!(maypole::time::now() - start >= nap);
                        }
                    })
                })
                .collect();
            sleepers.into_iter().all(|sleeper| sleeper.join().is_ok())
        });
        assert!(all);
    });
    ended.succeeds();
}

/// Sorts by a C function that calls back into the task. glibc's unwinds cleanly.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod through_c {
    use super::*;
    use std::ffi::c_void;

    type Compare = unsafe extern "C-unwind" fn(*const c_void, *const c_void) -> i32;

    unsafe extern "C-unwind" {
        fn qsort(base: *mut c_void, count: usize, size: usize, compare: Compare);
    }

    unsafe extern "C-unwind" fn compare(a: *const c_void, b: *const c_void) -> i32 {
        yield_now();
        // SAFETY: `qsort` passes two elements of the array.
        let (a, b) = unsafe { (*a.cast::<i32>(), *b.cast::<i32>()) };
        a.cmp(&b) as i32
    }

    unsafe extern "C-unwind" fn compare_shielded(a: *const c_void, b: *const c_void) -> i32 {
        // SAFETY: as the caller's.
        task::shield(|| unsafe { compare(a, b) })
    }

    fn sort(by: Compare) -> [i32; 5] {
        let mut numbers = [3, 1, 5, 2, 4];
        // SAFETY: five elements of four bytes, and a comparison of such.
        unsafe { qsort(numbers.as_mut_ptr().cast(), 5, 4, by) };
        numbers
    }

    #[test]
    fn a_callback_may_yield() {
        run(|| {
            let sorting = spawn(|| sort(compare));
            let other = spawn(|| (0..3).for_each(|_| yield_now()));
            assert_eq!(sorting.join().unwrap(), [1, 2, 3, 4, 5]);
            other.join().unwrap();
        });
    }

    #[test]
    fn a_kill_unwinds_frames_of_c_that_allow_it() {
        run(|| {
            let dropped = Rc::new(Cell::new(false));
            struct Told(Rc<Cell<bool>>);
            impl Drop for Told {
                fn drop(&mut self) {
                    self.0.set(true);
                }
            }
            let told = Told(dropped.clone());
            let sorting = spawn(move || {
                let _told = told;
                sort(compare)
            });
            yield_now();
            sorting.kill("test");
            assert!(sorting.join().unwrap_err().is_killed());
            assert!(dropped.get());
        });
    }

    #[test]
    fn a_kill_waits_for_a_shielded_callback() {
        run(|| {
            let sorted = Rc::new(Cell::new([0; 5]));
            let theirs = sorted.clone();
            let sorting = spawn(move || {
                theirs.set(sort(compare_shielded));
                yield_now();
            });
            yield_now();
            sorting.kill("test");
            assert!(sorting.join().unwrap_err().is_killed());
            assert_eq!(sorted.get(), [1, 2, 3, 4, 5]);
        });
    }
}

#[test]
fn a_std_mutex_of_a_killed_task_is_poisoned_and_an_innocents_is_not() {
    run(|| {
        let [held, innocent] = [(); 2].map(|()| Rc::new(std::sync::Mutex::new(())));
        let theirs = held.clone();
        let holder = spawn(move || {
            let _guard = theirs.lock().unwrap();
            task::park();
        });
        yield_now();
        let guard = innocent.lock().unwrap();
        holder.kill("test");
        assert!(holder.join().unwrap_err().is_killed());
        drop(guard);
        assert!(held.is_poisoned() && !innocent.is_poisoned());
        assert!(catch_unwind(AssertUnwindSafe(|| held.lock().unwrap())).is_err());
    });
}
