//! What a workload asks of a peer's tasks.

use std::future::Future;
use std::time::Duration;

/// A peer whose tasks have stacks: its calls block the task.
pub trait Blocking: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Why a yield does not give the other tasks a turn, if it does not.
    const NO_TURNS: Option<&'static str> = None;

    type Handle<T: Send + 'static>;

    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(_tasks: usize) -> Option<String> {
        None
    }

    /// Starts a runtime with `main` as its first task, and waits for it.
    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T;
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> Self::Handle<T>;
    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> T;

    /// Lets the task go on by itself.
    fn detach<T: Send + 'static>(handle: Self::Handle<T>) {
        drop(handle);
    }

    fn yield_now();
    /// Stops the task for good, or at least until some spurious wake.
    fn park();
    fn sleep(duration: Duration);
    /// Arms a timeout, yields once, cancels the timeout.
    fn yield_within(limit: Duration);
}

/// A peer whose tasks are futures.
pub trait Awaiting: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Why a yield does not give the other tasks a turn, if it does not.
    const NO_TURNS: Option<&'static str> = None;

    type Handle<T: 'static>;

    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(_tasks: usize) -> Option<String> {
        None
    }

    /// Starts a runtime with `main` as its first future, and waits for it.
    fn run<F: Future<Output: 'static> + 'static>(main: F) -> F::Output;
    fn spawn<F: Future<Output: 'static> + 'static>(task: F) -> Self::Handle<F::Output>;
    fn join<T: 'static>(handle: Self::Handle<T>) -> impl Future<Output = T>;

    /// Lets the task go on by itself.
    fn detach<T: 'static>(handle: Self::Handle<T>) {
        drop(handle);
    }

    fn yield_now() -> impl Future<Output = ()>;
    fn sleep(duration: Duration) -> impl Future<Output = ()>;
    /// Arms a timeout, yields once, cancels the timeout.
    fn yield_within(limit: Duration) -> impl Future<Output = ()>;

    /// Stops the task for good.
    fn park() -> impl Future<Output = ()> {
        std::future::pending()
    }
}
