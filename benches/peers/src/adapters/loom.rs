//! loom, which leaves out schedules that differ in nothing that can be seen.

use loom::model::Builder;
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};

use crate::peer::Explored;

pub struct Loom;

impl Explored for Loom {
    const NAME: &'static str = "loom";

    type Handle = JoinHandle<()>;
    type Number = Arc<Mutex<u64>>;

    fn explore(most: usize, program: impl Fn() + Send + Sync + 'static) {
        let mut builder = Builder::new();
        builder.max_permutations = Some(most);
        builder.check(program);
    }

    fn spawn(task: impl FnOnce() + Send + 'static) -> Self::Handle {
        thread::spawn(task)
    }

    fn join(handle: Self::Handle) {
        handle.join().expect("no task panics");
    }

    fn number() -> Self::Number {
        Arc::new(Mutex::new(0))
    }

    fn add_one(number: &Self::Number) {
        *number.lock().expect("no task panics") += 1;
    }

    fn read(number: &Self::Number) -> u64 {
        *number.lock().expect("no task panics")
    }
}
