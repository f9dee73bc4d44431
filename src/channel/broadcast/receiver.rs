//! The receiving end of a broadcast.
use super::hub::{Hub, Taken, token};
use super::iter::{IntoIter, Iter, TryIter};
use crate::channel::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::select::{
    Alternative, Case, Claim, Deadline, Handle, Interest, Limit, Operation, block_on_within,
};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The receiving end of a [`broadcast`](super::broadcast), also as a case of
/// [`select!`](crate::select!).
///
/// A clone is a further receiver at the same place: each of the two gets what this one has still to
/// receive. For one that begins with what is sent next there is
/// [`Sender::subscribe`](super::Sender::subscribe). Of several tasks that share one receiver by
/// reference, each message goes to one.
///
/// When it is dropped, what it alone had still to receive is dropped, and senders that waited for it
/// go on.
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::channel::broadcast::Receiver<u8>>();
/// ```
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::channel::broadcast(4);
/// sender.send(1).unwrap();
/// sender.send(2).unwrap();
/// assert_eq!(receiver.recv(), Ok(1));
/// let other = receiver.clone();
/// assert_eq!(receiver.recv(), Ok(2));
/// assert_eq!(other.recv(), Ok(2));
/// ```
pub struct Receiver<T> {
    hub: Rc<Hub<T>>,
    /// What the hub knows it by.
    reader: usize,
}

/// A receive that may have to wait.
struct Recv<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Case for Recv<'_, T> {
    type Output = Result<Taken<T>, RecvError>;

    #[inline]
    fn try_now(&mut self) -> Option<Self::Output> {
        let Receiver { hub, reader } = self.receiver;
        let claim = hub.claim_message(*reader)?;
        Some(hub.complete(*reader, claim))
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let Receiver { hub, reader } = self.receiver;
        (hub.enlist_receiver(), *reader)
    }

    #[inline]
    fn accept(&mut self, token: usize) -> Option<Self::Output> {
        let Receiver { hub, reader } = self.receiver;
        match token {
            token::MESSAGE => Some(Ok(hub.take_promised(*reader))),
            _ => self.try_now(),
        }
    }
}

/// A message that is being cloned. If that unwinds, nothing was received.
struct Delivery<'a, T> {
    receiver: &'a Receiver<T>,
    taken: Option<Taken<T>>,
}

impl<T> Drop for Delivery<'_, T> {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.receiver.hub.give_back(self.receiver.reader, taken);
        }
    }
}

impl<T: Clone> Receiver<T> {
    /// Receives the oldest message that this receiver has not yet had, parking the task until
    /// there is one.
    ///
    /// Parks: while there is none. A kill unwinds the task from here and takes no message.
    ///
    /// # Errors
    ///
    /// [`RecvError`], when every sender is gone and all they sent was received here.
    ///
    /// # Panics
    ///
    /// When it would have to park outside of [`run`](crate::run) or where that is forbidden; when
    /// the message's `Clone` does, and then the message is still to be received.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let (sender, receiver) = maypole::channel::broadcast(1);
    ///     maypole::spawn(move || sender.send("hello").unwrap());
    ///     assert_eq!(receiver.recv(), Ok("hello"));
    ///     assert!(receiver.recv().is_err()); // the sender is gone
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_at(Location::caller())
    }

    /// The same, for callers that know the place of the call.
    #[inline]
    pub(super) fn recv_at(&self, at: &'static Location<'static>) -> Result<T, RecvError> {
        self.recv_within(Limit::Never, at)
            .expect("a receive without a limit does not time out")
    }

    /// Receives a message that is there.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], which says whether a message may still come.
    ///
    /// # Panics
    ///
    /// When the message's `Clone` does, and then the message is still to be received.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::broadcast(1);
    /// assert!(receiver.try_recv().is_err());
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        touch("try_recv", Location::caller());
        let claim = self.hub.claim_message(self.reader);
        let claim = claim.ok_or(TryRecvError::Empty)?;
        Ok(self.deliver(self.hub.complete(self.reader, claim)?))
    }

    /// Receives a message, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`, while there is none. A kill takes no message.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let (sender, receiver) = maypole::channel::broadcast(1);
    ///     let moment = Duration::from_millis(1);
    ///     assert!(receiver.recv_timeout(moment).unwrap_err().is_timeout());
    ///     sender.send(1).unwrap();
    ///     assert_eq!(receiver.recv_timeout(moment), Ok(1));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let received = self.recv_within(Limit::After(timeout), Location::caller());
        Ok(received.ok_or(RecvTimeoutError::Timeout)??)
    }

    /// Receives a message, waiting until `deadline` at the latest.
    ///
    /// Parks: until `deadline` at the latest, while there is none. A kill takes no message.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let (_sender, receiver) = maypole::channel::broadcast::<u8>(1);
    ///     let soon = maypole::time::now() + Duration::from_millis(1);
    ///     assert!(receiver.recv_deadline(soon).unwrap_err().is_timeout());
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        let received = self.recv_within(Limit::At(deadline), Location::caller());
        Ok(received.ok_or(RecvTimeoutError::Timeout)??)
    }

    #[inline]
    fn recv_within(
        &self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Option<Result<T, RecvError>> {
        let wait = Wait {
            what: What::Recv,
            at,
        };
        let taken = block_on_within(Recv { receiver: self }, || limit.deadline(), wait)?;
        Some(taken.map(|taken| self.deliver(taken)))
    }

    /// The message itself for the last who has it, a clone for the others. Here the user's `Clone`
    /// runs, which may park or panic.
    fn deliver(&self, taken: Taken<T>) -> T {
        let number = taken.number;
        let message = match Rc::try_unwrap(taken.message) {
            Ok(original) => return original,
            Err(shared) => shared,
        };
        let shared = message.clone();
        let mut delivery = Delivery {
            receiver: self,
            taken: Some(Taken { number, message }),
        };
        let copy = T::clone(&shared);
        delivery.taken = None;
        copy
    }

    /// Messages as they come, until every sender is gone; each `next` is a [`recv`](Self::recv).
    ///
    /// Parks: its `next` does, while there is no message. A kill unwinds the task from there.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::broadcast(3);
    /// (1..=3).for_each(|n| sender.send(n).unwrap());
    /// drop(sender);
    /// assert_eq!(receiver.iter().sum::<i32>(), 6);
    /// ```
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// The messages that are there; each `next` is a [`try_recv`](Self::try_recv).
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::broadcast(3);
    /// (1..=3).for_each(|n| sender.send(n).unwrap());
    /// assert_eq!(receiver.try_iter().sum::<i32>(), 6);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter::new(self)
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn __complete(&self, operation: Operation<'_>) -> Result<T, RecvError> {
        let claim = operation.take(self);
        Ok(self.deliver(self.hub.complete(self.reader, claim)?))
    }
}

impl<T> Receiver<T> {
    pub(super) fn new(hub: Rc<Hub<T>>, reader: usize) -> Self {
        Receiver { hub, reader }
    }

    /// How many messages can be received at once. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::broadcast(2);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[track_caller]
    pub fn len(&self) -> usize {
        touch("len", Location::caller());
        self.hub.unread(self.reader)
    }

    /// Whether no message can be received at once. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = maypole::channel::broadcast::<u8>(2);
    /// assert!(receiver.is_empty());
    /// ```
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both receive what the same senders send. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::broadcast::<u8>(1);
    /// assert!(receiver.same_channel(&sender.subscribe()));
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.hub, &other.hub)
    }

    #[doc(hidden)]
    pub fn __case(&self) -> Handle<'_> {
        Handle::new(self)
    }
}

impl<T> Alternative for Receiver<T> {
    fn is_ready(&self, _: bool) -> bool {
        self.hub.can_recv(self.reader)
    }

    fn claim(&self, _: Option<&Deadline>, _: Wait) -> Option<Claim> {
        self.hub.claim_message(self.reader)
    }

    /// Nobody only watches: [`Select`](crate::channel::Select) takes none of these.
    fn enlist(&self, _: Interest) -> (&WaitQueue, usize) {
        (self.hub.enlist_receiver(), self.reader)
    }

    fn accept(&self, token: usize) -> Option<Claim> {
        match token {
            token::MESSAGE => Some(Claim::Message),
            _ => self.hub.claim_message(self.reader),
        }
    }

    fn release(&self, claim: Claim) {
        if claim == Claim::Message {
            self.hub.release_message(self.reader);
        }
    }

    fn address(&self) -> *const () {
        Rc::as_ptr(&self.hub).cast()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver::new(self.hub.clone(), self.hub.subscribe_as(self.reader))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        touch("drop of a Receiver", Location::caller());
        self.hub.unsubscribe(self.reader);
    }
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<T: Clone> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[track_caller]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter::new(self)
    }
}

impl<'a, T: Clone> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    #[track_caller]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
