//! Stack overflows: each dies of SIGSEGV after a report that names the task or the generator.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod child;

use maypole::generator::Generator;
use maypole::{Builder, run, spawn, spawn_now, task, yield_now};
use std::hint::black_box;
use std::ptr;

const SIGSEGV: i32 = 11;
const SIGABRT: i32 = 6;

/// Takes more than 128 bytes of stack for each level, in any build.
#[inline(never)]
fn descend(levels: u64) -> u64 {
    let frame = black_box([levels; 16]);
    if levels == 0 {
        return 0;
    }
    black_box(descend(levels - 1)) + frame[0]
}

fn overflow() {
    descend(u64::MAX);
}

fn task_report(name: &str, serial: u32, line: u32, size: &str, cure: u32) -> String {
    format!(
        "maypole: task '{name}' (#{serial}, spawned at tests/overflow.rs:{line}) overflowed its {size} stack\n  \
         if the depth is legitimate: task::Builder::new().stack_size(1 << {cure}), or \
         Builder::new().stack_size(..) for all\n"
    )
}

fn generator_report(line: u32) -> String {
    format!(
        "maypole: generator made at tests/overflow.rs:{line} overflowed its 256 KiB stack\n  \
         if the depth is legitimate: Generator::with_stack_size(1 << 20, ..)\n"
    )
}

#[test]
fn a_named_task_is_named() {
    let line = line!() + 4;
    let ended = child::run(|| {
        run(|| {
            let parser = task::Builder::new().name("parser").stack_size(64 << 10);
            parser.spawn(overflow).unwrap().join().unwrap();
        });
    });
    let report = task_report("parser", 2, line, "64 KiB", 18);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn an_unnamed_task_goes_by_its_spawn_site() {
    let line = line!() + 1;
    let ended = child::run(|| run(|| spawn(overflow).join().unwrap()));
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 2, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn main_is_a_task_too() {
    let line = line!() + 1;
    let ended = child::run(|| run(overflow));
    let report = task_report("main", 1, line, "1 MiB", 22);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn a_generator_inside_a_task_is_named() {
    let line = line!() + 1;
    let ended = child::run(|| run(|| drop(Generator::<String>::new(|_| overflow()).next())));
    assert_eq!(ended.dies_of(SIGSEGV).stderr, generator_report(line));
}

#[test]
fn a_generator_outside_of_a_run_is_named() {
    let line = line!() + 1;
    let ended = child::run(|| drop(Generator::<String>::new(|_| overflow()).next()));
    assert_eq!(ended.dies_of(SIGSEGV).stderr, generator_report(line));
}

#[test]
fn a_task_deep_inside_of_others_is_told_from_them() {
    let line = line!() + 8;
    let ended = child::run(|| {
        run(|| {
            spawn(|| {
                loop {
                    yield_now();
                }
            });
            spawn_now(overflow);
        });
    });
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 3, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn an_overflow_inside_the_allocator_is_reported() {
    /// The allocator goes deeper than a frame of this, so the overflow comes while it works.
    #[inline(never)]
    fn allocate(levels: u64) -> u64 {
        let value = black_box(Box::new(levels));
        match levels {
            0 => 0,
            _ => allocate(levels - 1) + *value,
        }
    }
    let line = line!() + 1;
    let ended = child::run(|| run(|| drop(spawn(|| allocate(u64::MAX)).join())));
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 2, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn an_overflow_in_a_recursive_destructor_is_reported() {
    struct Link(Option<Box<Link>>);
    impl Drop for Link {
        fn drop(&mut self) {
            drop(black_box(self.0.take()));
        }
    }
    let line = line!() + 8;
    let ended = child::run(|| {
        run(|| {
            let mut list = Link(None);
            for _ in 0..1_000_000 {
                list = Link(Some(Box::new(list)));
            }
            // Dropped in the child.
            spawn(move || drop(list)).join().unwrap();
        });
    });
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 2, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn a_frame_of_a_mebibyte_does_not_step_over_the_guard() {
    #[inline(never)]
    fn large() {
        let frame = [black_box(7_u8); 1 << 20];
        black_box(&frame);
    }
    let line = line!() + 1;
    let ended = child::run(|| run(|| spawn(large).join().unwrap()));
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 2, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn a_task_on_another_os_thread_is_named() {
    let line = line!() + 3;
    let ended = child::run(|| {
        let host = std::thread::spawn(|| {
            run(|| spawn(overflow).join().unwrap());
        });
        host.join().unwrap();
    });
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 2, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn a_task_on_an_os_thread_that_rust_did_not_make_is_named() {
    // Such an OS thread has no alternate signal stack until a run gives it one.
    extern "C" fn host(_: *mut libc::c_void) -> *mut libc::c_void {
        run(|| spawn(overflow).join().unwrap());
        ptr::null_mut()
    }
    let line = line!() - 3;
    let ended = child::run(|| {
        let mut thread = std::mem::MaybeUninit::uninit();
        // SAFETY: `host` has the signature that is asked for, and needs no argument.
        let failed = unsafe {
            libc::pthread_create(thread.as_mut_ptr(), ptr::null(), host, ptr::null_mut())
        };
        assert_eq!(failed, 0);
        // SAFETY: the call above succeeded, so it wrote `thread`.
        let thread = unsafe { thread.assume_init() };
        // SAFETY: made just above and joined once.
        unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    });
    let site = format!("tests/overflow.rs:{line}");
    let report = task_report(&site, 2, line, "256 KiB", 20);
    assert_eq!(ended.dies_of(SIGSEGV).stderr, report);
}

#[test]
fn a_larger_stack_holds_what_overflowed_the_default_one() {
    // At 128 bytes a level, more than 2 MiB, and in a debug build less than 8.
    const LEVELS: u64 = 16_000;
    run(|| {
        let large = task::Builder::new().stack_size(8 << 20);
        let deep = large.spawn(|| descend(LEVELS)).unwrap();
        assert_eq!(deep.join().unwrap(), LEVELS * (LEVELS + 1) / 2);
    });
    let sum = Builder::new()
        .stack_size(8 << 20)
        .run(|| spawn(|| descend(LEVELS)).join().unwrap());
    assert_eq!(sum.unwrap(), LEVELS * (LEVELS + 1) / 2);
    let mut deep = Generator::<u64, u64>::with_stack_size(8 << 20, |_| descend(LEVELS));
    assert!(matches!(
        deep.start(),
        maypole::generator::Step::Returned(_)
    ));
    let ended = child::run(|| run(|| drop(spawn(|| descend(LEVELS)).join())));
    assert!(
        ended
            .dies_of(SIGSEGV)
            .stderr
            .contains("overflowed its 256 KiB stack")
    );
}

#[test]
fn a_wild_pointer_is_a_plain_segmentation_fault() {
    let ended = child::run(|| {
        run(|| {
            let wild = black_box(4096 as *const u8);
            // SAFETY: there is none: nothing is mapped there, which is the point.
            let byte = unsafe { wild.read_volatile() };
            println!("{byte}");
        });
    });
    assert_eq!(ended.dies_of(SIGSEGV).stderr, "");
}

#[test]
fn an_os_thread_that_overflows_has_the_message_of_std() {
    let ended = child::run(|| {
        let host = std::thread::Builder::new().name("host".into());
        let host = host.spawn(|| {
            run(|| spawn(yield_now).join().unwrap());
            overflow();
        });
        host.unwrap().join().unwrap();
    });
    let stderr = ended.dies_of(SIGABRT).stderr;
    assert!(stderr.contains("thread 'host'"), "{stderr}");
    assert!(stderr.contains("has overflowed its stack"), "{stderr}");
    assert!(!stderr.contains("maypole"), "{stderr}");
}

#[test]
fn the_main_os_thread_that_overflows_has_the_message_of_std() {
    // One test alone runs on the main OS thread.
    let ended = child::run(|| {
        run(|| spawn(yield_now).join().unwrap());
        overflow();
    });
    let stderr = ended.dies_of(SIGABRT).stderr;
    assert!(stderr.contains("has overflowed its stack"), "{stderr}");
    assert!(!stderr.contains("maypole"), "{stderr}");
}
