//! The sending end of a broadcast.
use super::hub::{Hub, MAKES_IT_LATER, token};
use super::receiver::Receiver;
use crate::channel::error::{SendError, SendTimeoutError, TrySendError};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::select::{
    Alternative, Case, Claim, Deadline, Handle, Interest, Limit, Operation, block_on_within,
};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The sending end of a [`broadcast`](super::broadcast); clones send to the same receivers.
///
/// When the last is dropped the receivers drain what is queued and then get
/// [`RecvError`](crate::channel::RecvError). While there is no receiver a message comes back in a
/// [`SendError`]; [`subscribe`](Self::subscribe) ends that.
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::channel::broadcast::Sender<u8>>();
/// ```
///
/// # Examples
///
/// ```
/// let (sender, first) = maypole::channel::broadcast(8);
/// sender.send("early").unwrap();
/// let second = sender.subscribe();
/// sender.send("late").unwrap();
/// assert_eq!(first.try_iter().collect::<Vec<_>>(), ["early", "late"]);
/// assert_eq!(second.try_iter().collect::<Vec<_>>(), ["late"]);
/// ```
pub struct Sender<T> {
    hub: Rc<Hub<T>>,
}

/// A send that may have to wait.
struct Send<'a, T> {
    hub: &'a Hub<T>,
    /// The message, while the sender has it.
    message: Option<T>,
    /// Where it is while the sender is parked.
    key: Option<usize>,
}

impl<'a, T> Send<'a, T> {
    fn new(hub: &'a Hub<T>, message: T) -> Self {
        Send {
            hub,
            message: Some(message),
            key: None,
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
            self.message = Some(self.hub.withdraw(key));
        }
    }
}

impl<T> Case for Send<'_, T> {
    /// The message comes back if every receiver is gone.
    type Output = Result<(), T>;

    #[inline]
    fn try_now(&mut self) -> Option<Self::Output> {
        match self.hub.try_send(self.message.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Disconnected(message)) => Some(Err(message)),
            Err(TrySendError::Full(message)) => {
                self.message = Some(message);
                None
            }
        }
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let message = self.message.take();
        let message = message.expect("a sender parks with its message");
        let (queue, key) = self.hub.enlist_message(message);
        self.key = Some(key);
        (queue, key)
    }

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
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl<T> Sender<T> {
    pub(super) fn new(hub: Rc<Hub<T>>) -> Self {
        Sender { hub }
    }

    /// Sends a message to every receiver, parking the task while the queue of the slowest is full.
    ///
    /// Parks: while a receiver's queue is full. A kill unwinds the task from here and drops the
    /// message, which nobody receives.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, when there is no receiver.
    ///
    /// # Panics
    ///
    /// When it would have to park outside of [`run`](crate::run) or where that is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let (sender, slow) = maypole::channel::broadcast(1);
    ///     let child = maypole::spawn(move || slow.iter().collect::<Vec<_>>());
    ///     (1..=3).for_each(|n| sender.send(n).unwrap()); // parks whenever one is queued
    ///     drop(sender);
    ///     assert_eq!(child.join().unwrap(), [1, 2, 3]);
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let wait = wait(Location::caller());
        block_on_within(Send::new(&self.hub, message), || None, wait)
            .expect("a send without a limit does not time out")
            .map_err(SendError)
    }

    /// Sends a message to every receiver if all have room.
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
    /// let (sender, receiver) = maypole::channel::broadcast(1);
    /// assert!(sender.try_send(1).is_ok());
    /// assert!(sender.try_send(2).unwrap_err().is_full());
    /// drop(receiver);
    /// assert!(sender.try_send(3).unwrap_err().is_disconnected());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        touch("try_send", Location::caller());
        self.hub.try_send(message)
    }

    /// Sends a message to every receiver, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`, while a receiver's queue is full. A kill drops the message,
    /// which nobody receives.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message, which nobody receives then.
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
    ///     let (sender, _receiver) = maypole::channel::broadcast(1);
    ///     let moment = Duration::from_millis(1);
    ///     assert!(sender.send_timeout(1, moment).is_ok());
    ///     assert!(sender.send_timeout(2, moment).unwrap_err().is_timeout());
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_within(message, Limit::After(timeout), Location::caller())
    }

    /// Sends a message to every receiver, waiting until `deadline` at the latest.
    ///
    /// Parks: until `deadline` at the latest, while a receiver's queue is full. A kill drops the
    /// message, which nobody receives.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message, which nobody receives then.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let (sender, _receiver) = maypole::channel::broadcast(1);
    ///     let now = maypole::time::now();
    ///     assert!(sender.send_deadline(1, now).is_ok()); // there is room
    ///     assert!(sender.send_deadline(2, now).unwrap_err().is_timeout());
    /// });
    /// ```
    #[inline]
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
        let mut send = Send::new(&self.hub, message);
        match block_on_within(&mut send, || limit.deadline(), wait(at)) {
            Some(Ok(())) => Ok(()),
            Some(Err(message)) => Err(SendTimeoutError::Disconnected(message)),
            None => Err(SendTimeoutError::Timeout(send.take_back())),
        }
    }

    /// A further receiver, of all that is sent from now on. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, first) = maypole::channel::broadcast(2);
    /// drop(first);
    /// assert!(sender.send("nobody there").is_err());
    /// let receiver = sender.subscribe();
    /// sender.send("welcome").unwrap();
    /// assert_eq!(receiver.recv(), Ok("welcome"));
    /// ```
    #[track_caller]
    pub fn subscribe(&self) -> Receiver<T> {
        touch("subscribe", Location::caller());
        Receiver::new(self.hub.clone(), self.hub.subscribe())
    }

    /// How many receivers there are. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::broadcast::<u8>(1);
    /// let _other = sender.subscribe();
    /// assert_eq!(sender.receiver_count(), 2);
    /// ```
    #[track_caller]
    pub fn receiver_count(&self) -> usize {
        touch("receiver_count", Location::caller());
        self.hub.receiver_count()
    }

    /// How many messages the slowest receiver has still to receive. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, slow) = maypole::channel::broadcast(2);
    /// let fast = sender.subscribe();
    /// sender.send("news").unwrap();
    /// fast.recv().unwrap();
    /// assert_eq!(sender.len(), 1);
    /// drop(slow);
    /// assert_eq!(sender.len(), 0);
    /// ```
    #[track_caller]
    pub fn len(&self) -> usize {
        touch("len", Location::caller());
        self.hub.len()
    }

    /// Whether every receiver has received all that was sent. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::broadcast::<u8>(1);
    /// assert!(sender.is_empty());
    /// ```
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the queue of the slowest receiver is full. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::broadcast(1);
    /// sender.send(1).unwrap();
    /// assert!(sender.is_full());
    /// ```
    #[track_caller]
    pub fn is_full(&self) -> bool {
        self.len() >= self.hub.capacity
    }

    /// How many messages may be queued for each receiver. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::broadcast::<u8>(3);
    /// assert_eq!(sender.capacity(), 3);
    /// ```
    pub fn capacity(&self) -> usize {
        self.hub.capacity
    }

    /// Whether both send to the same receivers. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::broadcast::<u8>(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.hub, &other.hub)
    }

    #[doc(hidden)]
    pub fn __case(&self) -> Handle<'_> {
        Handle::new(self)
    }

    #[doc(hidden)]
    #[inline]
    #[track_caller]
    pub fn __send(&self, message: T) -> Result<(), SendError<T>> {
        self.send(message)
    }

    #[doc(hidden)]
    #[inline]
    #[track_caller]
    pub fn __complete(&self, operation: Operation<'_>, message: T) -> Result<(), SendError<T>> {
        match operation.take(self) {
            Claim::Room => self.hub.send_reserved(message).map_err(SendError),
            _ => Err(SendError(message)),
        }
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
        self.hub.can_send()
    }

    fn claim(&self, _: Option<&Deadline>, _: Wait) -> Option<Claim> {
        self.hub.claim_room()
    }

    /// Nobody only watches: [`Select`](crate::channel::Select) takes none of these.
    fn enlist(&self, _: Interest) -> (&WaitQueue, usize) {
        (self.hub.enlist_sender(), MAKES_IT_LATER)
    }

    fn accept(&self, token: usize) -> Option<Claim> {
        match token {
            token::TAKEN => Some(Claim::Room),
            _ => self.hub.claim_room(),
        }
    }

    fn release(&self, claim: Claim) {
        if claim == Claim::Room {
            self.hub.release_room();
        }
    }

    fn address(&self) -> *const () {
        Rc::as_ptr(&self.hub).cast()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.hub.add_sender();
        Sender {
            hub: self.hub.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        touch("drop of a Sender", Location::caller());
        self.hub.remove_sender();
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
