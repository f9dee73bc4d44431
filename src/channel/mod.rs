//! Channels: crossbeam-channel, one to one, between the tasks of one OS thread.
//!
//! Tasks that must hand something to each other, or wait for each other, use a channel; what they
//! only share needs none, an `Rc<Cell>` will do: between two parks a task is alone.
//!
//! - [`bounded`] queues so many messages, and a sender that finds it full parks; with capacity 0 it
//!   is a *rendezvous*: a sender waits for its receiver. [`unbounded`] never makes a sender wait.
//! - [`after`], [`at`] and [`tick`] are timers to be received from, [`never()`] is silent.
//! - [`select!`](crate::select!) waits for the first of several; [`Select`] is its dynamic form.
//! - [`oneshot()`] carries a single message, [`broadcast()`] each message to every receiver.
//! - [`Builder`] gives a channel a name for the reports, and Stackless Python's preference.
//!
//! Messages are received in the order of sending. A message goes straight to the receiver that
//! has waited longest, and a place to the sender that has: nobody overtakes. When the last sender
//! is gone the receivers drain what is queued and then get an error; when the last receiver is
//! gone what is queued is dropped and the senders get their message back. No message is lost or
//! doubled, also when a task is killed or a time is over in the middle: a call that reported
//! success has happened, one that was killed has not.
//!
//! Other than crossbeam's, messages need not be [`Send`], and everything that needs no waiting
//! works outside of [`run`](crate::run), too.
//!
//! # Examples
//!
//! ```
//! use maypole::{channel::bounded, spawn};
//! maypole::run(|| {
//!     let (sender, receiver) = bounded(2);
//!     let producer = spawn(move || {
//!         for n in 1..=5 {
//!             sender.send(n * n).unwrap(); // parks whenever two are queued
//!         }
//!     });
//!     assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 4, 9, 16, 25]);
//!     producer.join().unwrap();
//! });
//! ```
pub mod broadcast;
mod builder;
mod claims;
mod dynamic;
mod error;
mod facts;
mod iter;
mod macros;
pub mod oneshot;
mod queue;
mod receiver;
mod sender;
mod timer;

pub use broadcast::broadcast;
pub use builder::{Builder, Prefer};
pub use dynamic::{Select, SelectedOperation};
pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
    SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
pub use iter::{IntoIter, Iter, TryIter};
pub use oneshot::oneshot;
pub use receiver::Receiver;
pub use sender::Sender;

#[doc(inline)]
pub use crate::{select, select_biased};

/// What the macros expand to.
#[doc(hidden)]
pub mod __private {
    pub use crate::select::{Order, poll, wait, wait_timeout};
}

use crate::scheduler;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A channel that queues at most `capacity` messages; with 0 each send waits for its receive.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::channel::bounded(1);
/// sender.send("one fits").unwrap();
/// assert!(sender.try_send("two do not").is_err());
/// assert_eq!(receiver.recv(), Ok("one fits"));
/// ```
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    Builder::new().capacity(capacity).build()
}

/// A channel that queues as many messages as there is memory for: no send waits.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::channel::unbounded();
/// (0..1000).for_each(|n| sender.send(n).unwrap());
/// assert_eq!(receiver.len(), 1000);
/// ```
#[track_caller]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    Builder::new().build()
}

/// A receiver of one message, the moment `duration` from now, when that has come.
///
/// It goes to one of the receiver's clones; after that nothing comes any more, and the channel
/// counts as connected still.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use maypole::channel::{after, select, unbounded};
/// use std::time::Duration;
/// maypole::run(|| {
///     let (_sender, receiver) = unbounded::<u8>();
///     let timeout = after(Duration::from_millis(1));
///     let late = select! {
///         recv(receiver) -> _ => false,
///         recv(timeout) -> _ => true,
///     };
///     assert!(late);
/// });
/// ```
pub fn after(duration: Duration) -> Receiver<Instant> {
    match scheduler::now().checked_add(duration) {
        Some(moment) => at(moment),
        None => never(),
    }
}

/// A receiver of one message, `moment`, when that has come; see [`after`].
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| {
///     let soon = maypole::time::now() + Duration::from_millis(1);
///     assert_eq!(maypole::channel::at(soon).recv(), Ok(soon));
/// });
/// ```
pub fn at(moment: Instant) -> Receiver<Instant> {
    Receiver::timer(Rc::new(timer::Once::new(moment)))
}

/// A receiver of a message every `period`, the moment at which it was due.
///
/// The first is due one period from now. A receiver that is late gets one message, and the next
/// one period after that. The clones share the messages.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| {
///     let period = Duration::from_millis(1);
///     let ticks = maypole::channel::tick(period);
///     let first = ticks.recv().unwrap();
///     assert!(ticks.recv().unwrap() >= first + period);
/// });
/// ```
pub fn tick(period: Duration) -> Receiver<Instant> {
    Receiver::timer(Rc::new(timer::Ticks::new(period)))
}

/// A receiver that nothing ever comes to, for a case of a select that is switched off.
///
/// Parks: no; but receiving from it parks for ever.
///
/// # Examples
///
/// ```
/// use maypole::channel::{never, select, unbounded};
/// let (sender, receiver) = unbounded();
/// sender.send("a message").unwrap();
/// let paused = true;
/// let source = if paused { never() } else { receiver };
/// let taken = select! {
///     recv(source) -> _ => true,
///     default => false,
/// };
/// assert!(!taken);
/// ```
pub fn never<T>() -> Receiver<T> {
    Receiver::silence()
}
