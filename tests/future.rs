//! A join handle as a future, under executors that know nothing of tasks.
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use maypole::task::park;
use maypole::{JoinError, JoinHandle, run, spawn, yield_now};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<T>(handle: &mut JoinHandle<T>, count: &Arc<Count>) -> Poll<Result<T, JoinError>> {
    let waker = Waker::from(count.clone());
    Pin::new(handle).poll(&mut Context::from_waker(&waker))
}

fn woken(count: &Arc<Count>) -> usize {
    count.0.load(Ordering::Relaxed)
}

#[test]
fn a_handle_wakes_its_executor_once_when_the_task_ends() {
    run(|| {
        let count = Arc::new(Count::default());
        let mut handle = spawn(|| {
            yield_now();
            "done"
        });
        assert!(poll(&mut handle, &count).is_pending());
        assert!(poll(&mut handle, &count).is_pending());
        yield_now();
        assert_eq!(woken(&count), 0);
        yield_now();
        assert_eq!(woken(&count), 1);
        assert!(matches!(poll(&mut handle, &count), Poll::Ready(Ok("done"))));
    });
}

#[test]
fn a_killed_and_an_abandoned_task_wake_it_too() {
    run(|| {
        let count = Arc::new(Count::default());
        let mut killed = spawn(park);
        let mut abandoned = spawn(|| {
            loop {
                let _ = catch_unwind(park);
            }
        });
        assert!(poll(&mut killed, &count).is_pending());
        assert!(poll(&mut abandoned, &count).is_pending());
        yield_now();
        killed.kill("test");
        abandoned.kill("test");
        yield_now();
        assert_eq!(woken(&count), 2);
        let killed = poll(&mut killed, &count).map(Result::unwrap_err);
        assert!(matches!(killed, Poll::Ready(error) if error.is_killed()));
        let abandoned = poll(&mut abandoned, &count).map(Result::<(), _>::unwrap_err);
        assert!(matches!(abandoned, Poll::Ready(error) if error.is_abandoned()));
    });
}

#[test]
fn a_waker_that_panics_is_not_the_tasks_failure() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a bad waker");
        }
    }
    run(|| {
        let mut handle = spawn(|| 7);
        let waker = Waker::from(Arc::new(Bad));
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(handle.join().unwrap(), 7);
    });
}

#[test]
fn polling_again_after_the_result_panics() {
    run(|| {
        let count = Arc::new(Count::default());
        let mut handle = spawn(|| ());
        yield_now();
        assert!(poll(&mut handle, &count).is_ready());
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut handle, &count))).is_err());
    });
}
