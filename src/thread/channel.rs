//! Channels whose two ends may be in different OS threads.
use super::exchange::exchange;
use super::iter::{IntoIter, Iter, TryIter};
use super::queue::{Chan, Disconnected, Recv, Refusal, Send};
use crate::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::io::refuse_exploring;
use crate::scheduler::wait::{Wait, What};
use crate::select::Limit;
use std::fmt;
use std::marker;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A channel between OS threads that queues at most `capacity` messages; with 0 each send waits for
/// its receive.
///
/// Parks: no.
///
/// # Panics
///
/// Inside of [`explore`](crate::explore), where nothing may come from outside.
///
/// # Examples
///
/// ```
/// use maypole::thread;
/// let (sender, receiver) = thread::bounded(1);
/// let other = std::thread::spawn(move || {
///     for n in 1..=3 {
///         sender.send(n).unwrap(); // blocks the OS thread while the channel is full
///     }
/// });
/// let sum: i32 = maypole::run(|| receiver.iter().sum()); // parks the task while it is empty
/// assert_eq!(sum, 6);
/// other.join().unwrap();
/// ```
#[track_caller]
pub fn bounded<T: marker::Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    refuse_exploring("thread::bounded", Location::caller());
    ends(capacity)
}

/// A channel between OS threads that queues as many messages as there is memory for: no send waits.
///
/// Parks: no.
///
/// # Panics
///
/// Inside of [`explore`](crate::explore), where nothing may come from outside.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::thread::unbounded();
/// std::thread::spawn(move || (0..1000).for_each(|n| sender.send(n).unwrap()));
/// maypole::run(|| assert_eq!(receiver.iter().count(), 1000));
/// ```
#[track_caller]
pub fn unbounded<T: marker::Send>() -> (Sender<T>, Receiver<T>) {
    refuse_exploring("thread::unbounded", Location::caller());
    ends(usize::MAX)
}

fn ends<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let chan = Chan::new(capacity);
    let receiver = Receiver { chan: chan.clone() };
    (Sender { chan }, receiver)
}

/// The sending end of a channel between OS threads.
///
/// It may be cloned and sent anywhere. When the last is dropped the channel is disconnected:
/// receivers drain what is queued and then get a [`RecvError`].
///
/// # Examples
///
/// ```
/// use maypole::{run, thread};
/// // Two runs, each in an OS thread of its own.
/// let (question, questions) = thread::bounded::<u32>(0);
/// let (answer, answers) = thread::bounded(0);
/// let other = std::thread::spawn(move || {
///     run(|| questions.iter().for_each(|n| answer.send(n * n).unwrap()))
/// });
/// run(|| {
///     for n in 1..=3 {
///         question.send(n).unwrap();
///         assert_eq!(answers.recv(), Ok(n * n));
///     }
///     drop(question);
/// });
/// other.join().unwrap();
/// ```
pub struct Sender<T> {
    chan: Arc<Chan<T>>,
}

/// The receiving end of a channel between OS threads; each message goes to one of the clones.
///
/// It may be cloned and sent anywhere. When the last is dropped the channel is disconnected: queued
/// messages are dropped, and senders get their message back in a [`SendError`].
///
/// It is no case of a [`select!`](crate::select!). A task that receives from it and sends to a
/// channel of the run makes it one.
///
/// # Examples
///
/// ```
/// use maypole::{channel, run, select, spawn, thread};
/// run(|| {
///     let (sender, outside) = thread::unbounded();
///     let (inward, messages) = channel::unbounded();
///     spawn(move || outside.iter().try_for_each(|message| inward.send(message)));
///     std::thread::spawn(move || sender.send("from outside"));
///     let message = select! {
///         recv(messages) -> message => message,
///         recv(channel::never::<()>()) -> _ => unreachable!(),
///     };
///     assert_eq!(message, Ok("from outside"));
/// });
/// ```
pub struct Receiver<T> {
    chan: Arc<Chan<T>>,
}

fn wait(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Thread,
        at,
    }
}

impl<T> Sender<T> {
    /// Sends a message, waiting while there is no room; on a rendezvous channel, until a receiver
    /// takes it.
    ///
    /// Parks: in a task, while the channel is full. A kill ends the wait and drops the message
    /// unsent, unless it was taken before the kill came. Elsewhere it blocks the OS thread.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, when every receiver is gone.
    ///
    /// # Panics
    ///
    /// In a task, when it would have to park where that is forbidden, or when the system has no
    /// descriptor to wake it by.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::bounded(0);
    /// let other = std::thread::spawn(move || receiver.recv());
    /// maypole::run(|| sender.send("hello").unwrap()); // waits for the other
    /// assert_eq!(other.join().unwrap(), Ok("hello"));
    /// ```
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut send = Send::new(&self.chan, message);
        let sent = exchange(&mut send, Limit::Never, wait(Location::caller()));
        match sent.expect("a send without a limit does not time out") {
            Ok(()) => Ok(()),
            Err(Disconnected) => Err(SendError(left(send))),
        }
    }

    /// Sends a message if that needs no waiting: to a receiver that waits, or where there is room.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] with the message.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::bounded(1);
    /// assert!(sender.try_send(1).is_ok());
    /// assert!(sender.try_send(2).unwrap_err().is_full());
    /// drop(receiver);
    /// assert!(sender.try_send(3).unwrap_err().is_disconnected());
    /// ```
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut message = Some(message);
        let refused = self.chan.try_send(&mut message);
        refused.map_err(|refusal| {
            let message = message.expect("a message that was refused is there");
            match refusal {
                Refusal::Full => TrySendError::Full(message),
                Refusal::Disconnected => TrySendError::Disconnected(message),
            }
        })
    }

    /// Sends a message, waiting for at most `timeout`.
    ///
    /// Parks: as [`send`](Sender::send), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message.
    ///
    /// # Panics
    ///
    /// As [`send`](Sender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (sender, _receiver) = maypole::thread::bounded(0);
    /// let error = sender.send_timeout("nobody comes", Duration::from_millis(1)).unwrap_err();
    /// assert!(error.is_timeout());
    /// assert_eq!(error.into_inner(), "nobody comes");
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_within(message, Limit::After(timeout), Location::caller())
    }

    /// Sends a message, waiting until `deadline` at the latest.
    ///
    /// Parks: as [`send`](Sender::send), until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message.
    ///
    /// # Panics
    ///
    /// As [`send`](Sender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::bounded(1);
    /// assert!(sender.send_deadline(1, maypole::time::now()).is_ok()); // there is room
    /// assert!(sender.send_deadline(2, maypole::time::now()).unwrap_err().is_timeout());
    /// # drop(receiver);
    /// ```
    #[track_caller]
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_within(message, Limit::At(deadline), Location::caller())
    }

    fn send_within(
        &self,
        message: T,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut send = Send::new(&self.chan, message);
        match exchange(&mut send, limit, wait(at)) {
            Some(Ok(())) => Ok(()),
            Some(Err(Disconnected)) => Err(SendTimeoutError::Disconnected(left(send))),
            None => Err(SendTimeoutError::Timeout(left(send))),
        }
    }
}

fn left<T>(send: Send<'_, T>) -> T {
    send.message.expect("a send that failed has its message")
}

impl<T> Receiver<T> {
    /// Receives the oldest message, waiting until there is one.
    ///
    /// Parks: in a task, while the channel is empty. A kill ends the wait and takes no message; one
    /// that was handed over before the kill came is received, and the kill comes at the next park.
    /// Elsewhere it blocks the OS thread.
    ///
    /// # Errors
    ///
    /// [`RecvError`], when the channel is empty and every sender is gone.
    ///
    /// # Panics
    ///
    /// In a task, when it would have to park where that is forbidden, or when the system has no
    /// descriptor to wake it by.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::unbounded();
    /// std::thread::spawn(move || sender.send("hello"));
    /// maypole::run(|| {
    ///     assert_eq!(receiver.recv(), Ok("hello"));
    ///     assert!(receiver.recv().is_err()); // the sender is gone
    /// });
    /// ```
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_at(Location::caller())
    }

    /// The same, for callers that know the place of the call.
    pub(super) fn recv_at(&self, at: &'static Location<'static>) -> Result<T, RecvError> {
        let received = exchange(Recv::new(&self.chan), Limit::Never, wait(at));
        received.expect("a receive without a limit does not time out")
    }

    /// Receives a message that is there.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], which says whether a message may still come.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::unbounded();
    /// assert!(receiver.try_recv().is_err());
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.chan.try_recv()
    }

    /// Receives a message, waiting for at most `timeout`.
    ///
    /// Parks: as [`recv`](Receiver::recv), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`recv`](Receiver::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (_sender, receiver) = maypole::thread::unbounded::<u8>();
    /// assert!(receiver.recv_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_within(Limit::After(timeout), Location::caller())
    }

    /// Receives a message, waiting until `deadline` at the latest.
    ///
    /// Parks: as [`recv`](Receiver::recv), until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`recv`](Receiver::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::unbounded();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv_deadline(maypole::time::now()), Ok(1)); // it is there
    /// assert!(receiver.recv_deadline(maypole::time::now()).unwrap_err().is_timeout());
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_within(Limit::At(deadline), Location::caller())
    }

    fn recv_within(
        &self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Result<T, RecvTimeoutError> {
        match exchange(Recv::new(&self.chan), limit, wait(at)) {
            Some(received) => Ok(received?),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The messages as they come, until the channel is empty and disconnected.
    ///
    /// Parks: in a task, at each message that is not there yet. Elsewhere it blocks the OS thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::unbounded();
    /// std::thread::spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
    /// maypole::run(|| assert_eq!(receiver.iter().sum::<i32>(), 6));
    /// ```
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// The messages that are there.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::thread::unbounded();
    /// (1..=3).for_each(|n| sender.send(n).unwrap());
    /// assert_eq!(receiver.try_iter().sum::<i32>(), 6);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter::new(self)
    }
}

macro_rules! end {
    ($End:ident, $name:literal, $add:ident, $remove:ident) => {
        impl<T> $End<T> {
            /// How many messages are queued. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// let (sender, receiver) = maypole::thread::bounded(2);
            /// sender.send(1).unwrap();
            /// assert_eq!((sender.len(), receiver.len()), (1, 1));
            /// ```
            pub fn len(&self) -> usize {
                self.chan.len()
            }

            /// Whether no message is queued. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// let (sender, receiver) = maypole::thread::unbounded::<u8>();
            /// assert!(sender.is_empty() && receiver.is_empty());
            /// ```
            pub fn is_empty(&self) -> bool {
                self.chan.len() == 0
            }

            /// Whether there is room for no more messages; always so where the capacity is 0.
            /// Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// let (sender, receiver) = maypole::thread::bounded(1);
            /// sender.send(1).unwrap();
            /// assert!(sender.is_full() && receiver.is_full());
            /// ```
            pub fn is_full(&self) -> bool {
                self.chan.len() >= self.chan.capacity
            }

            /// How many messages can be queued; `None` where there is no bound. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// let (sender, receiver) = maypole::thread::bounded::<u8>(3);
            /// assert_eq!(sender.capacity(), Some(3));
            /// assert_eq!(receiver.capacity(), Some(3));
            /// ```
            pub fn capacity(&self) -> Option<usize> {
                (self.chan.capacity != usize::MAX).then_some(self.chan.capacity)
            }

            /// Whether both are ends of one channel. Parks: no.
            ///
            /// # Examples
            ///
            /// ```
            /// let (sender, receiver) = maypole::thread::unbounded::<u8>();
            /// assert!(sender.same_channel(&sender.clone()));
            /// assert!(receiver.same_channel(&receiver.clone()));
            /// ```
            pub fn same_channel(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.chan, &other.chan)
            }
        }

        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                self.chan.$add();
                $End {
                    chan: self.chan.clone(),
                }
            }
        }

        impl<T> Drop for $End<T> {
            fn drop(&mut self) {
                self.chan.$remove();
            }
        }

        impl<T> UnwindSafe for $End<T> {}
        impl<T> RefUnwindSafe for $End<T> {}

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad($name)
            }
        }
    };
}

end!(Sender, "Sender { .. }", add_sender, remove_sender);
end!(Receiver, "Receiver { .. }", add_receiver, remove_receiver);

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[track_caller]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter::new(self)
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    #[track_caller]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
