//! The sending end.
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::queue::{Chan, Met, Refusal, Side, token};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::select::{
    Alternative, Case, Claim, Deadline, Handle, Interest, Limit, Operation, block_on_within,
};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The sending end of a channel; clones send into the same one.
///
/// When the last is dropped the channel is disconnected: receivers drain what is queued and then
/// get [`RecvError`](super::RecvError).
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::channel::Sender<u8>>();
/// ```
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::channel::unbounded();
/// let other = sender.clone();
/// sender.send(1).unwrap();
/// other.send(2).unwrap();
/// drop((sender, other));
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
/// ```
pub struct Sender<T> {
    chan: Rc<Chan<T>>,
}

/// A send that may have to wait.
struct Send<'a, T> {
    chan: &'a Chan<T>,
    /// The message, while the sender has it.
    message: Option<T>,
    /// Where it is while the sender is parked.
    key: Option<usize>,
    met: Met,
}

/// Every receiver is gone.
struct Disconnected;

impl<'a, T> Send<'a, T> {
    #[inline(always)]
    fn new(chan: &'a Chan<T>, message: T) -> Self {
        Send {
            chan,
            message: Some(message),
            key: None,
            met: Met::Whoever,
        }
    }

    /// The message of a send that did not happen.
    fn take_back(mut self) -> T {
        self.withdraw();
        self.message
            .take()
            .expect("a send that failed has its message")
    }

    fn withdraw(&mut self) {
        if let Some(key) = self.key.take() {
            self.message = Some(self.chan.withdraw(key));
        }
    }
}

impl<T> Case for Send<'_, T> {
    /// The message is left in place if every receiver is gone.
    type Output = Result<(), Disconnected>;

    #[inline(always)]
    fn try_now(&mut self) -> Option<Self::Output> {
        match self.chan.try_send(&mut self.message) {
            Ok(met) => {
                self.met = met;
                Some(Ok(()))
            }
            Err(Refusal::Disconnected) => Some(Err(Disconnected)),
            Err(Refusal::Full) => None,
        }
    }

    #[inline]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let (queue, key) = self.chan.enlist_message(&mut self.message);
        self.key = Some(key);
        (queue, key)
    }

    #[inline(always)]
    fn accept(&mut self, token: usize) -> Option<Self::Output> {
        if token == token::TAKEN {
            self.key = None;
            return Some(Ok(()));
        }
        self.withdraw();
        self.try_now()
    }
}

/// A send that ends by a kill or a time-out withdraws its message.
impl<T> Drop for Send<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.key.is_some() {
            self.withdraw();
        }
    }
}

impl<T> Sender<T> {
    pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
        Sender { chan }
    }

    /// Sends a message, parking the task while there is no room; on a rendezvous channel, until a
    /// receiver takes it.
    ///
    /// Parks: while the channel is full. A kill unwinds the task from here and drops the message
    /// unsent.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, when every receiver is gone.
    ///
    /// # Panics
    ///
    /// When it would have to park outside of [`run`](crate::run) or where that is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let (sender, receiver) = maypole::channel::bounded(0);
    ///     let child = maypole::spawn(move || receiver.recv());
    ///     sender.send("hello").unwrap(); // waits for the child
    ///     assert_eq!(child.join().unwrap(), Ok("hello"));
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut send = Send::new(&self.chan, message);
        let sent = block_on_within(&mut send, || None, wait(Location::caller()))
            .expect("a send without a limit does not time out");
        match sent {
            Ok(()) => {
                send.met.go_on();
                Ok(())
            }
            Err(Disconnected) => Err(SendError(send.take_back())),
        }
    }

    /// Sends a message if that needs no waiting: to a parked receiver, or where there is room.
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
    /// let (sender, receiver) = maypole::channel::bounded(1);
    /// assert!(sender.try_send(1).is_ok());
    /// assert!(sender.try_send(2).unwrap_err().is_full());
    /// drop(receiver);
    /// assert!(sender.try_send(3).unwrap_err().is_disconnected());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        touch("try_send", Location::caller());
        let mut message = Some(message);
        let refusal = match self.chan.try_send(&mut message) {
            Ok(_) => return Ok(()),
            Err(refusal) => refusal,
        };
        let message = message.expect("a message that was refused is there");
        Err(match refusal {
            Refusal::Full => TrySendError::Full(message),
            Refusal::Disconnected => TrySendError::Disconnected(message),
        })
    }

    /// Sends a message, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`, while the channel is full. A kill drops the message unsent.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let (sender, _receiver) = maypole::channel::bounded(1);
    ///     let moment = Duration::from_millis(1);
    ///     assert!(sender.send_timeout(1, moment).is_ok());
    ///     assert!(sender.send_timeout(2, moment).unwrap_err().is_timeout());
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_within(message, Limit::After(timeout), Location::caller())
    }

    /// Sends a message, waiting until `deadline` at the latest.
    ///
    /// Parks: until `deadline` at the latest, while the channel is full. A kill drops the message
    /// unsent.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::time;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let (sender, _receiver) = maypole::channel::bounded(0);
    ///     let soon = time::now() + Duration::from_millis(1);
    ///     assert!(sender.send_deadline(1, soon).unwrap_err().is_timeout());
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_within(message, Limit::At(deadline), Location::caller())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn send_within(
        &self,
        message: T,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut send = Send::new(&self.chan, message);
        let sent = block_on_within(&mut send, || limit.deadline(), wait(at));
        match sent {
            Some(Ok(())) => {
                send.met.go_on();
                Ok(())
            }
            Some(Err(Disconnected)) => Err(SendTimeoutError::Disconnected(send.take_back())),
            None => Err(SendTimeoutError::Timeout(send.take_back())),
        }
    }

    /// How many messages are queued; on a rendezvous channel always 0. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::unbounded();
    /// sender.send(1).unwrap();
    /// assert_eq!(sender.len(), 1);
    /// ```
    #[track_caller]
    pub fn len(&self) -> usize {
        touch("len", Location::caller());
        self.chan.len()
    }

    /// Whether no message is queued; a rendezvous channel always is. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::unbounded::<u8>();
    /// assert!(sender.is_empty());
    /// ```
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room; a rendezvous channel never has any. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::bounded(1);
    /// sender.send(1).unwrap();
    /// assert!(sender.is_full());
    /// ```
    #[track_caller]
    pub fn is_full(&self) -> bool {
        self.len() >= self.chan.capacity
    }

    /// How many messages may be queued; `None` is without bound. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{bounded, unbounded};
    /// assert_eq!(bounded::<u8>(3).0.capacity(), Some(3));
    /// assert_eq!(unbounded::<u8>().0.capacity(), None);
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        (self.chan.capacity != usize::MAX).then_some(self.chan.capacity)
    }

    /// Whether both send into the same channel. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::unbounded::<u8>();
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.chan, &other.chan)
    }

    #[doc(hidden)]
    pub fn __case(&self) -> Handle<'_> {
        Handle::new(self)
    }

    #[doc(hidden)]
    #[inline(always)]
    #[track_caller]
    pub fn __send(&self, message: T) -> Result<(), SendError<T>> {
        self.send(message)
    }

    #[doc(hidden)]
    #[inline]
    #[track_caller]
    pub fn __complete(&self, operation: Operation<'_>, message: T) -> Result<(), SendError<T>> {
        self.complete(operation.take(self), message, Location::caller())
    }

    /// Sends in fulfilment of what a select has claimed.
    #[inline]
    pub(super) fn complete(
        &self,
        claim: Claim,
        message: T,
        at: &'static Location<'static>,
    ) -> Result<(), SendError<T>> {
        let mut message = Some(message);
        let Err(refusal) = self.chan.send_claimed(claim, &mut message) else {
            return Ok(());
        };
        let message = message.expect("a message that was refused is there");
        match refusal {
            Refusal::Disconnected => Err(SendError(message)),
            Refusal::Full => self.send_after_all(message, at),
        }
    }

    /// The receiver has gone while the message was made: waits for the next one.
    #[cold]
    fn send_after_all(
        &self,
        message: T,
        at: &'static Location<'static>,
    ) -> Result<(), SendError<T>> {
        let mut send = Send::new(&self.chan, message);
        let sent = block_on_within(&mut send, || None, wait(at));
        sent.expect("a send without a limit does not time out")
            .map_err(|Disconnected| SendError(send.take_back()))
    }
}

fn wait(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Send,
        at,
    }
}

impl<T> Alternative for Sender<T> {
    fn is_ready(&self, _: bool) -> bool {
        self.chan.can_send()
    }

    fn claim(&self, _: Option<&Deadline>, _: Wait) -> Option<Claim> {
        self.chan.claim_room()
    }

    fn enlist(&self, interest: Interest) -> (&WaitQueue, usize) {
        self.chan.enlist_case(Side::Senders, interest)
    }

    fn accept(&self, token: usize) -> Option<Claim> {
        self.chan.accept_room(token)
    }

    fn release(&self, claim: Claim) {
        self.chan.release(claim);
    }

    fn address(&self) -> *const () {
        self.chan.address(Side::Senders)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.chan.add(Side::Senders);
        Sender {
            chan: self.chan.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        touch("drop of a Sender", self.chan.made_at());
        self.chan.remove(Side::Senders);
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
