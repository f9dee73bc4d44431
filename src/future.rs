//! Futures, for tasks: waiting for one without being `async`.
//!
//! [`block_on`] waits for any future that needs no runtime of its own. The other way round,
//! [`JoinHandle`] is a future, and so is a receive: `(&receiver).await`.
use crate::channel::{Receiver, RecvError, Select, TryRecvError};
use crate::io::{Address, Ticket, Waiting, address};
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{is_in_task, park};
use crate::select::{Case, block_on_within};
use crate::task::{self, JoinHandle};
use std::fmt;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Waits for `future` and gives its output.
///
/// For any future that is polled by whoever has it: those of channels and locks of other crates,
/// say, or of code that is `async` only in its shape. One that needs the runtime it was made for,
/// tokio's sockets for instance, panics as it does elsewhere. Its wakers may be called from any OS
/// thread, at any time, also when all is over.
///
/// Outside of a task it blocks the OS thread.
///
/// Parks: until the future is ready. A kill ends the wait, and drops the future here. While it
/// waits there is no deadlock, since its waker may be called from outside.
///
/// # Panics
///
/// With the panics of the future; in a task where parking is forbidden, if it has to wait, or when
/// the system has no descriptor to wake the task by.
///
/// # Examples
///
/// ```
/// use maypole::{future, run, spawn};
/// run(|| {
///     let sum = future::block_on(async {
///         let (left, right) = (spawn(|| 20), spawn(|| 22));
///         left.await.unwrap() + right.await.unwrap()
///     });
///     assert_eq!(sum, 42);
/// });
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let at = Location::caller();
    let future = pin!(future);
    match is_in_task() {
        true => park_for(future, at),
        false => sleep_for(future),
    }
}

fn sleep_for<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let bell = Arc::new(Bell {
        rung: AtomicBool::new(false),
        sleeper: Sleeper::Thread(std::thread::current()),
    });
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        bell.hush();
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // The token of the OS thread may be another's: the bell tells.
        while !bell.rung.load(Ordering::Acquire) {
            std::thread::park();
        }
    }
}

fn park_for<F: Future>(future: Pin<&mut F>, at: &'static Location<'static>) -> F::Output {
    let wait = Wait {
        what: What::Future,
        at,
    };
    let queue = Rc::new(WaitQueue::new());
    let place = address().and_then(|address| Ok((address, Waiting::begin(queue.clone())?)));
    let (address, waiting) = place.unwrap_or_else(|error| {
        panic!("maypole: future::block_on at {at} cannot be woken: {error}");
    });
    let address = address.expect("a task runs inside of a run");
    let bell = Arc::new(Bell {
        rung: AtomicBool::new(false),
        sleeper: Sleeper::Task(address, waiting.ticket()),
    });
    let polled = Polled {
        future,
        waker: Waker::from(bell.clone()),
        bell,
        queue,
        wait,
    };
    let output = block_on_within(polled, || None, wait);
    drop(waiting);
    output.expect("a wait without a limit does not time out")
}

/// What a waker rings.
struct Bell {
    /// Since the latest poll began.
    rung: AtomicBool,
    sleeper: Sleeper,
}

impl Bell {
    /// Begins a poll, which sees what was done before each ring that rings no more. A mere store
    /// could come to pass after the poll has looked, and wipe out a ring of meanwhile.
    fn hush(&self) {
        self.rung.swap(false, Ordering::Acquire);
    }
}

enum Sleeper {
    Task(Address, Ticket),
    Thread(Thread),
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::Release) {
            return;
        }
        match &self.sleeper {
            Sleeper::Task(address, ticket) => address.wake(*ticket),
            Sleeper::Thread(thread) => thread.unpark(),
        }
    }
}

/// A future that a task waits for.
struct Polled<'a, F> {
    future: Pin<&'a mut F>,
    waker: Waker,
    bell: Arc<Bell>,
    queue: Rc<WaitQueue>,
    wait: Wait,
}

impl<F: Future> Case for Polled<'_, F> {
    type Output = F::Output;

    const RUNS_CODE: bool = true;

    fn try_now(&mut self) -> Option<F::Output> {
        loop {
            self.bell.hush();
            let mut context = Context::from_waker(&self.waker);
            if let Poll::Ready(output) = self.future.as_mut().poll(&mut context) {
                return Some(output);
            }
            // A ring from now on comes as a letter, which is read when the task has parked; of one
            // that came before, the letter may have been read while the future let others run.
            if !self.bell.rung.load(Ordering::Acquire) {
                return None;
            }
            park::yield_as(self.wait);
        }
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (&self.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<F::Output> {
        None
    }
}

/// Receives the next message, as a future: what `(&receiver).await` becomes.
///
/// It gives what [`Receiver::recv`] gives. It takes a message only when it is polled and gives it
/// at once, so none is lost when it is dropped.
///
/// # Panics
///
/// When it has to wait and is polled outside of a task.
///
/// # Examples
///
/// ```
/// use maypole::{channel, future, run, spawn};
/// run(|| {
///     let (sender, receiver) = channel::bounded(1);
///     spawn(move || sender.send("hello"));
///     let words = future::block_on(async {
///         let first = (&receiver).await;
///         (first, (&receiver).await.is_err())
///     });
///     assert_eq!(words, (Ok("hello"), true));
/// });
/// ```
#[must_use = "a future does nothing until it is polled"]
pub struct Recv<'a, T> {
    receiver: &'a Receiver<T>,
    /// Waits in its place, and takes nothing.
    watcher: Option<JoinHandle<()>>,
}

impl<'a, T: 'static> IntoFuture for &'a Receiver<T> {
    type Output = Result<T, RecvError>;
    type IntoFuture = Recv<'a, T>;

    fn into_future(self) -> Recv<'a, T> {
        Recv {
            receiver: self,
            watcher: None,
        }
    }
}

impl<T: 'static> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match this.receiver.try_recv() {
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(TryRecvError::Disconnected) => return Poll::Ready(Err(RecvError)),
                Err(TryRecvError::Empty) => {}
            }
            let receiver = this.receiver.clone();
            let watcher = this.watcher.get_or_insert_with(|| watch(receiver));
            match Pin::new(watcher).poll(context) {
                Poll::Pending => return Poll::Pending,
                // Somebody else may have been faster.
                Poll::Ready(_) => this.watcher = None,
            }
        }
    }
}

fn watch<T: 'static>(receiver: Receiver<T>) -> JoinHandle<()> {
    let watcher = task::Builder::new().name("a receive that is awaited");
    let watch = move || {
        let mut select = Select::new();
        select.recv(&receiver);
        select.ready();
    };
    let watcher = watcher.spawn(watch);
    watcher.unwrap_or_else(|error| panic!("maypole: a receive cannot be awaited: {error}"))
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.kill("the receive is awaited no more");
        }
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}
