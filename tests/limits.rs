//! Many tasks and little room: what a system's limits do to tasks, and what small stacks hold.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod child;

use maypole::{Builder, RunError, run, spawn, task, yield_now};
use std::cell::Cell;
use std::io;
use std::net::ToSocketAddrs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;

/// Lets this process have so much address space and no more, as `ulimit -v` does.
fn limit_address_space(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the call reads the record.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

/// Starts parked tasks until the system refuses one; gives their number and the error.
fn fill_up() -> (usize, io::Error) {
    for count in 0.. {
        if let Err(error) = task::Builder::new().spawn(task::park) {
            return (count, error);
        }
        yield_now();
    }
    unreachable!("the system has a limit")
}

#[test]
fn a_limited_address_space_is_an_error_that_names_it() {
    child::run(|| {
        limit_address_space(1 << 30);
        run(|| {
            let (count, error) = fill_up();
            assert!(count > 1000, "{count}");
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
            // Main has a stack too.
            assert_eq!(
                error.to_string(),
                format!(
                    "no room for another stack after {}: the address space is limited to 1048576 \
                     KiB; raise RLIMIT_AS (ulimit -v) or make the stacks smaller",
                    count + 1
                )
            );
        });
    })
    .succeeds();
}

#[test]
fn spawn_panics_with_the_limit_and_the_program_goes_on() {
    child::run(|| {
        limit_address_space(1 << 30);
        std::panic::set_hook(Box::new(|_| ()));
        run(|| {
            let parked: Vec<_> =
                std::iter::from_fn(|| task::Builder::new().spawn(task::park).ok()).collect();
            let refused = catch_unwind(|| spawn(|| ())).expect_err("there is no room");
            let text = refused
                .downcast_ref::<String>()
                .expect("a panic with a text");
            assert!(
                text.starts_with("maypole: cannot spawn a task: no room for another stack after "),
                "{text}"
            );
            assert!(text.contains("raise RLIMIT_AS"), "{text}");
            // One that ends leaves its place to another.
            yield_now();
            parked[0].task().unpark();
            yield_now();
            assert_eq!(spawn(|| "room again").join().unwrap(), "room again");
        });
    })
    .succeeds();
}

#[test]
fn guards_by_mprotect_end_with_an_error_that_names_the_limit_and_the_cure() {
    child::run_with(&[("MAYPOLE_GUARDS", "mprotect")], || {
        run(|| {
            let (count, error) = fill_up();
            let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
            let maps: usize = maps.trim().parse().unwrap();
            let budget = maps / 4 - 1024;
            // Main's stack, of a size of its own, came in a batch of sixteen.
            assert_eq!(count + 16, budget);
            let text = error.to_string();
            for part in [
                format!("no room for another stack after {}: ", count + 1),
                format!("vm.max_map_count ({maps}) allows this process {budget} guarded stacks"),
                "raise it (sysctl -w vm.max_map_count=".to_string(),
                "Linux 6.13".to_string(),
            ] {
                assert!(text.contains(&part), "{text}");
            }
            // The rest of the process still gets its mappings.
            std::thread::spawn(|| ()).join().unwrap();
            let backtrace = std::backtrace::Backtrace::force_capture().to_string();
            assert!(backtrace.contains("limits::"), "{backtrace}");
        });
    })
    .succeeds();
}

#[test]
fn ten_thousand_children_all_start() {
    let started = Rc::new(Cell::new(0));
    run(|| {
        for _ in 0..10_000 {
            let started = started.clone();
            spawn(move || {
                started.set(started.get() + 1);
                yield_now();
            });
        }
        yield_now();
        assert_eq!(started.get(), 10_000);
    });
}

#[test]
fn a_hundred_thousand_tasks_park_at_once() {
    if !markers() {
        return;
    }
    run(|| {
        let tasks: Vec<_> = (0..100_000_u64)
            .map(|n| {
                spawn(move || {
                    task::park();
                    n
                })
            })
            .collect();
        yield_now();
        for task in &tasks {
            task.task().unpark();
        }
        let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 100_000 * 99_999 / 2);
    });
}

/// Whether guards need no mapping each here: Linux 6.13 or later.
fn markers() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(13))
}

/// Runs `body` in a task on the stack that small programs choose.
fn on_64_kib<T: 'static>(body: impl FnOnce() -> T + 'static) -> T {
    run(|| {
        let small = task::Builder::new().stack_size(64 << 10);
        small.spawn(body).unwrap().join().unwrap()
    })
}

#[test]
fn printing_fits_in_64_kib() {
    let ended = child::run(|| {
        on_64_kib(|| println!("{:>8.3} {:?}", 1.0 / 3.0, vec![Some("text"); 3]));
    });
    assert!(ended.succeeds().stdout.contains("   0.333 [Some(\"text\")"));
}

#[test]
fn a_panic_with_a_backtrace_fits_in_64_kib() {
    for detail in ["1", "full"] {
        let ended = child::run_with(&[("RUST_BACKTRACE", detail)], || {
            run(|| {
                let small = task::Builder::new().name("small").stack_size(64 << 10);
                let error = small
                    .spawn(|| panic!("no luck"))
                    .unwrap()
                    .join()
                    .unwrap_err();
                assert!(error.is_panic());
                assert!(error.backtrace().unwrap().to_string().contains("limits"));
            });
        })
        .succeeds();
        assert!(
            ended.stderr.contains("maypole: task 'small' (#2"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("no luck\nstack backtrace:\n"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn starting_a_process_fits_in_64_kib() {
    on_64_kib(|| {
        let output = std::process::Command::new("echo")
            .arg("hello")
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"hello\n");
    });
}

#[test]
fn reading_a_directory_and_copying_a_file_fit_in_64_kib() {
    on_64_kib(|| {
        let names = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert!(
            names
                .flatten()
                .any(|entry| entry.file_name() == "Cargo.toml")
        );
        let copy = format!(
            "{}/copy-{}",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(std::fs::copy(manifest, &copy).unwrap() > 0);
        std::fs::remove_file(copy).unwrap();
    });
}

#[test]
fn starting_an_os_thread_fits_in_64_kib() {
    on_64_kib(|| {
        let value = std::thread::Builder::new().name("other".into()).spawn(|| 7);
        assert_eq!(value.unwrap().join().unwrap(), 7);
    });
}

#[test]
fn resolving_a_name_fits_in_64_kib() {
    on_64_kib(|| {
        let addresses = ("localhost", 80).to_socket_addrs().unwrap();
        assert!(
            addresses
                .into_iter()
                .any(|address| address.ip().is_loopback())
        );
    });
}

/// Takes every mapping that the process may still have, so that no guard can be made by
/// `mprotect`; given back when dropped.
struct AllMappings {
    start: NonNull<libc::c_void>,
    bytes: usize,
}

impl AllMappings {
    fn take() -> AllMappings {
        const PAGE: usize = 4096;
        let bytes = (1 << 18) * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        // Every other page differs from its neighbours, so each is a mapping of its own.
        for offset in (0..bytes).step_by(2 * PAGE) {
            let page = start.wrapping_byte_add(offset);
            // SAFETY: a page of the mapping made above.
            if unsafe { libc::mprotect(page, PAGE, libc::PROT_NONE) } != 0 {
                let start = NonNull::new(start).expect("a mapping is never at address 0");
                return AllMappings { start, bytes };
            }
        }
        panic!("vm.max_map_count is so large that this test cannot reach it");
    }
}

impl Drop for AllMappings {
    fn drop(&mut self) {
        // SAFETY: mapped by `take`, and nobody else knows the address.
        unsafe { libc::munmap(self.start.as_ptr(), self.bytes) };
    }
}

#[test]
fn tasks_that_found_no_stack_start_when_one_comes_back() {
    child::run_with(&[("MAYPOLE_GUARDS", "mprotect")], || {
        run(|| {
            let first = spawn(task::park);
            yield_now();
            let starving: Vec<_> = (0..10).map(|n| spawn(move || n)).collect();
            let all = AllMappings::take();
            yield_now();
            assert!(starving.iter().all(|task| !task.is_finished()));
            drop(all);
            first.task().unpark();
            let sum: i32 = starving.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 45);
        });
    })
    .succeeds();
}

#[test]
fn a_stack_that_comes_back_serves_all_that_starve() {
    child::run_with(&[("MAYPOLE_GUARDS", "mprotect")], || {
        run(|| {
            let first = spawn(task::park);
            yield_now();
            let starving: Vec<_> = (0..10).map(|n| spawn(move || n)).collect();
            let all = AllMappings::take();
            yield_now();
            assert!(starving.iter().all(|task| !task.is_finished()));
            first.task().unpark();
            let sum: i32 = starving.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 45);
            drop(all);
        });
    })
    .succeeds();
}

#[test]
fn a_run_whose_tasks_starve_for_good_ends_with_a_report() {
    let ended = child::run_with(&[("MAYPOLE_GUARDS", "mprotect")], || {
        let all = Cell::new(None);
        let starved = Builder::new().run(|| {
            let child = spawn(|| ());
            all.set(Some(AllMappings::take()));
            let _ = catch_unwind(AssertUnwindSafe(|| child.join()));
        });
        drop(all);
        let Err(RunError::Stacks(report)) = starved else {
            panic!("{starved:?}");
        };
        print!("{report}");
    });
    let ended = ended.succeeds();
    let report = ended
        .stdout
        .split_once("\nmaypole: ")
        .expect("the child prints a report")
        .1;
    assert!(
        report.starts_with(
            "tasks wait for a stack and none can come back: no room for another stack after 2: \
             the kernel makes no guard for it ("
        ),
        "{report}"
    );
    assert!(report.contains("vm.max_map_count"), "{report}");
    assert!(
        report.contains("#1 main  joins #2 at tests/limits.rs:"),
        "{report}"
    );
}
