//! What the tests were written for.
use std::any::Any;
use std::time::Instant;

pub use crossbeam_channel as channel;
pub use std::panic::catch_unwind;
pub use std::sync;

pub type AnyBox = Box<dyn Any + Send>;

pub mod thread {
    //! crossbeam's scope beside the OS threads of std.
    pub use crossbeam_utils::thread::scope;
    pub use std::thread::*;
}

pub fn run(test: impl FnOnce()) {
    test();
}

pub fn now() -> Instant {
    Instant::now()
}
