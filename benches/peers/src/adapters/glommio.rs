//! glommio, one executor on this OS thread.

use std::future::Future;
use std::time::Duration;

use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement, Task};

use crate::peer::Awaiting;

pub struct Glommio;

fn build() -> Result<LocalExecutor, GlommioError<()>> {
    // No workload reads or writes, and locked memory is scarce.
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 << 10)
        .make()
}

impl Awaiting for Glommio {
    const NAME: &'static str = "glommio";

    type Handle<T: 'static> = Task<T>;

    fn obstacle(_tasks: usize) -> Option<String> {
        build()
            .err()
            .map(|error| format!("it needs io_uring: {error}"))
    }

    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output {
        let executor = build().expect("the obstacle was looked for");
        executor.run(async { Self::spawn(main).await })
    }

    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> Task<F::Output> {
        glommio::spawn_local(task)
    }

    async fn join<T: 'static>(handle: Task<T>) -> T {
        handle.await
    }

    // glommio's own yields are between task queues; this one is between tasks.
    async fn yield_now() {
        futures_lite::future::yield_now().await;
    }

    async fn sleep(duration: Duration) {
        glommio::timer::sleep(duration).await;
    }

    async fn yield_within(limit: Duration) {
        let yielding = async {
            Self::yield_now().await;
            Ok::<(), GlommioError<()>>(())
        };
        glommio::timer::timeout(limit, yielding)
            .await
            .expect("a yield is done long before its timeout");
    }
}
