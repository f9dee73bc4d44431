//! What is changed in crossbeam's tests, and why: the whole list.
//!
//! Besides this, every test body runs as the main task of a run of its own, and inner attributes
//! and inner docs are dropped, since an included file may have none.

/// The files, and how many tests each has.
pub const FILES: &[(&str, usize)] = &[
    ("after", 14),
    ("array", 27),
    ("golang", 26),
    ("iter", 5),
    ("list", 26),
    ("mpsc", 127),
    ("never", 7),
    ("ready", 24),
    ("same_channel", 7),
    ("select", 32),
    ("select_macro", 59),
    ("tick", 14),
    ("zero", 22),
];

/// One text for another, in every file, in this order.
pub const REPLACEMENTS: &[(&str, &str)] = &[
    // mpsc.rs calls the hidden inside of crossbeam's `select!`, which is that macro itself.
    ("cc::crossbeam_channel_internal!", "cc::select!"),
    // The channel under test.
    ("crossbeam_channel", "suite::channel"),
    // Its scope, in which closures get the scope as an argument.
    ("crossbeam_utils::thread::scope", "suite::thread::scope"),
    // `spawn`, `sleep`, `yield_now` and `JoinHandle` of tasks; also in `::std::thread::spawn`.
    ("std::thread", "suite::thread"),
    // golang.rs keeps a guard across `recv`, and waits on a `Condvar`: with those of std the OS
    // thread of all tasks would wait for one of them. Every other file needs neither.
    (
        "std::sync::{Arc, Condvar, Mutex}",
        "suite::sync::{Arc, Condvar, Mutex}",
    ),
    // The clock by which the channel fires.
    ("Instant::now()", "suite::now()"),
    // The ends of a channel are not `Send`, and need not be.
    ("Box<dyn Any + Send>", "suite::AnyBox"),
    // golang.rs ends the process when one of its tasks panics. The end of a run kills the tasks
    // that are left over, which is no panic.
    ("::std::panic::catch_unwind", "suite::catch_unwind"),
];

/// One text for another in one test: `(file, test, text, replacement)`.
///
/// The tests run on virtual time, which makes no difference but that nobody waits and that no
/// window of 50 ms is missed on a busy machine; but it stands still while a task is ready. And no
/// `try_…` call lets another task run.
pub const IN_ONE_TEST: &[(&str, &str, &str, &str)] = &[
    // An OS thread that spins by calls that do not wait, until another has had a turn.
    (
        "zero",
        "stress_iter",
        "let _ = request_s.try_send(());",
        "let _ = request_s.try_send(()); suite::thread::yield_now();",
    ),
    // Two that spin until a third has slept.
    (
        "select",
        "loop_try",
        "let mut done = false;",
        "let mut done = false; suite::thread::sleep(ms(1));",
    ),
    (
        "select_macro",
        "loop_try",
        "default => {}",
        "default => suite::thread::sleep(ms(1)),",
    ),
    // Time is expected to pass between a message and a look at the clock.
    (
        "after",
        "recv",
        "let now = Instant::now();",
        "suite::thread::sleep(ms(1)); let now = Instant::now();",
    ),
    (
        "tick",
        "recv",
        "let now = Instant::now();",
        "suite::thread::sleep(ms(1)); let now = Instant::now();",
    ),
];

/// Tests that make no sense on tasks: `(file, test, reason)`. They are compiled and ignored.
///
/// Of crossbeam's files one is left out as a whole: `thread_locals`, whose only test blocks in the
/// destructor of an OS thread's local, when that thread is past its last task.
pub const SKIPPED: &[(&str, &str, &str)] = &[];
