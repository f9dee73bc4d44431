//! tokio, its runtime of one OS thread.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinHandle;

use crate::peer::Awaiting;

pub struct Tokio;

impl Awaiting for Tokio {
    const NAME: &'static str = "tokio";

    type Handle<T: 'static> = JoinHandle<T>;

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build_local(LocalOptions::default())
            .expect("a runtime of one OS thread can be built");
        // As a task of its own: the future given to `block_on` is polled out of turn.
        runtime.block_on(async { Self::join(Self::spawn(main)).await })
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> JoinHandle<F::Output> {
        tokio::task::spawn_local(task)
    }

    async fn join<T: 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task of a workload panics")
    }

    async fn yield_now() {
        tokio::task::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn yield_within(limit: Duration) {
        tokio::time::timeout(limit, Self::yield_now())
            .await
            .expect("a yield is done long before its timeout");
    }
}
