//! monoio on `io_uring`.

use std::future::Future;
use std::io;
use std::time::Duration;

use monoio::task::JoinHandle;
use monoio::time::TimeDriver;
use monoio::{IoUringDriver, Runtime, RuntimeBuilder};

use crate::peer::Awaiting;

pub struct Monoio;

fn build() -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    RuntimeBuilder::<IoUringDriver>::new()
        .enable_timer()
        .build()
}

impl Awaiting for Monoio {
    const NAME: &'static str = "monoio";

    const NO_TURNS: Option<&'static str> =
        Some("it has no yield, and a task that wakes itself runs again before all others");

    type Handle<T: 'static> = JoinHandle<T>;

    fn obstacle(_tasks: usize) -> Option<String> {
        build()
            .err()
            .map(|error| format!("it needs io_uring: {error}"))
    }

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let mut runtime = build().expect("the obstacle was looked for");
        // As a task of its own: the future given to `block_on` is polled out of turn.
        runtime.block_on(async { monoio::spawn(main).await })
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> JoinHandle<F::Output> {
        monoio::spawn(task)
    }

    async fn join<T: 'static>(handle: JoinHandle<T>) -> T {
        handle.await
    }

    async fn yield_now() {
        futures_lite::future::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        monoio::time::sleep(duration).await;
    }

    async fn yield_within(limit: Duration) {
        monoio::time::timeout(limit, Self::yield_now())
            .await
            .expect("a yield is done long before its timeout");
    }
}
