//! shuttle, searching depth first.

use shuttle::sync::{Arc, Mutex};
use shuttle::thread::{self, JoinHandle};

use crate::peer::Explored;

pub struct Shuttle;

impl Explored for Shuttle {
    const NAME: &'static str = "shuttle";

    type Handle = JoinHandle<()>;
    type Number = Arc<Mutex<u64>>;

    fn explore(most: usize, program: impl Fn() + Send + Sync + 'static) {
        shuttle::check_dfs(program, Some(most));
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
