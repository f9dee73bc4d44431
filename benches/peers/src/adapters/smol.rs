//! smol: async-executor's `LocalExecutor`, with async-io's timers.

use std::future::Future;
use std::time::Duration;

use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use futures_lite::future;

use crate::peer::Awaiting;

thread_local! {
    static EXECUTOR: &'static LocalExecutor<'static> = Box::leak(Box::default());
}

pub struct Smol;

impl Awaiting for Smol {
    const NAME: &'static str = "smol";

    type Handle<T: 'static> = Task<T>;

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        // async-io's `block_on` drives the timers on this OS thread while it runs dry.
        EXECUTOR.with(|executor| async_io::block_on(executor.run(Self::spawn(main))))
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> Task<F::Output> {
        EXECUTOR.with(|executor| executor.spawn(task))
    }

    async fn join<T: 'static>(handle: Task<T>) -> T {
        handle.await
    }

    async fn yield_now() {
        future::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    async fn yield_within(limit: Duration) {
        let late = async {
            Timer::after(limit).await;
            panic!("a yield is done long before its timeout");
        };
        future::or(Self::yield_now(), late).await;
    }
}
