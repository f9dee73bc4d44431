//! The receiving end.
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::iter::{IntoIter, Iter, TryIter};
use super::queue::{Chan, Met, Partner, Side, TAKES, token};
use super::timer::{Silence, Timer};
use crate::scheduler::park::{self, touch};
use crate::scheduler::wait::{Wait, WaitQueue, What, Woken};
use crate::scheduler::{self, kill};
use crate::select::{
    Alternative, Case, Cases, Claim, Deadline, Handle, Interest, Limit, Operation, Order,
    block_on_within, first_of,
};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The receiving end of a channel; each message goes to one of the clones.
///
/// When the last is dropped the channel is disconnected: queued messages are dropped, and senders
/// get their message back in a [`SendError`](super::SendError).
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::channel::Receiver<u8>>();
/// ```
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let (sender, receiver) = maypole::channel::bounded(1);
///     maypole::spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
///     assert_eq!(receiver.iter().sum::<i32>(), 6);
/// });
/// ```
pub struct Receiver<T> {
    source: Source<T>,
}

/// Where messages come from.
pub(super) enum Source<T> {
    Queue(Rc<Chan<T>>),
    Timer(Rc<dyn Timer<T>>),
    Silence(Rc<Silence>),
}

/// A receive that may have to wait.
struct Recv<'a, T> {
    chan: &'a Chan<T>,
    /// The message, once it is received.
    message: Option<T>,
}

impl<'a, T> Recv<'a, T> {
    #[inline(always)]
    fn new(chan: &'a Chan<T>) -> Self {
        Recv {
            chan,
            message: None,
        }
    }

    #[inline(always)]
    fn take(self, met: Met) -> T {
        met.go_on();
        self.message.expect("what was received is there")
    }
}

impl<T> Case for Recv<'_, T> {
    type Output = Result<Met, RecvError>;

    #[inline(always)]
    fn try_now(&mut self) -> Option<Self::Output> {
        match self.chan.try_recv(Partner::Any, &mut self.message) {
            Ok(met) => Some(Ok(met)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (self.chan.enlist_receiver(), TAKES)
    }

    #[inline(always)]
    fn accept(&mut self, token: usize) -> Option<Self::Output> {
        match token {
            token::MESSAGE => {
                self.message = self.chan.take_promised();
                Some(Ok(Met::Whoever))
            }
            _ => self.try_now(),
        }
    }
}

impl<T> Receiver<T> {
    pub(super) fn queue(chan: Rc<Chan<T>>) -> Self {
        Receiver {
            source: Source::Queue(chan),
        }
    }

    pub(super) fn timer(timer: Rc<dyn Timer<T>>) -> Self {
        Receiver {
            source: Source::Timer(timer),
        }
    }

    pub(super) fn silence() -> Self {
        Receiver {
            source: Source::Silence(Rc::new(Silence::new())),
        }
    }

    /// Receives the oldest message, parking the task until there is one.
    ///
    /// Parks: while the channel is empty. A kill unwinds the task from here and takes no message.
    ///
    /// # Errors
    ///
    /// [`RecvError`], when the channel is empty and every sender is gone.
    ///
    /// # Panics
    ///
    /// When it would have to park outside of [`run`](crate::run) or where that is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let (sender, receiver) = maypole::channel::unbounded();
    ///     maypole::spawn(move || sender.send("hello").unwrap());
    ///     assert_eq!(receiver.recv(), Ok("hello"));
    ///     assert!(receiver.recv().is_err()); // the sender is gone
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_at(Location::caller())
    }

    /// The same, for callers that know the place of the call.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn recv_at(&self, at: &'static Location<'static>) -> Result<T, RecvError> {
        let Source::Queue(chan) = &self.source else {
            return self
                .recv_moment(Limit::Never, at)
                .map_err(|_: RecvTimeoutError| RecvError);
        };
        let mut recv = Recv::new(chan);
        let met = block_on_within(&mut recv, || None, wait(at))
            .expect("a receive without a limit does not time out")?;
        Ok(recv.take(met))
    }

    /// Receives a message that is there.
    ///
    /// On a rendezvous channel the message of a sender that waits in a
    /// [`select!`](crate::select!) is not yet made, and is not there.
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
    /// let (sender, receiver) = maypole::channel::unbounded();
    /// assert!(receiver.try_recv().is_err());
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        touch("try_recv", Location::caller());
        match &self.source {
            Source::Queue(chan) => {
                let mut message = None;
                let _ = chan.try_recv(Partner::Done, &mut message)?;
                Ok(message.expect("what was received is there"))
            }
            Source::Timer(timer) => {
                let moment = timer.take().ok_or(TryRecvError::Empty)?;
                Ok(timer.message(moment))
            }
            Source::Silence(_) => Err(TryRecvError::Empty),
        }
    }

    /// Receives a message, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`, while the channel is empty. A kill takes no message.
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
    ///     let (sender, receiver) = maypole::channel::unbounded();
    ///     let moment = Duration::from_millis(1);
    ///     assert!(receiver.recv_timeout(moment).unwrap_err().is_timeout());
    ///     sender.send(1).unwrap();
    ///     assert_eq!(receiver.recv_timeout(moment), Ok(1));
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_within(Limit::After(timeout), Location::caller())
    }

    /// Receives a message, waiting until `deadline` at the latest.
    ///
    /// Parks: until `deadline` at the latest, while the channel is empty. A kill takes no message.
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
    ///     let (_sender, receiver) = maypole::channel::unbounded::<u8>();
    ///     let soon = maypole::time::now() + Duration::from_millis(1);
    ///     assert!(receiver.recv_deadline(soon).unwrap_err().is_timeout());
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_within(Limit::At(deadline), Location::caller())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn recv_within(
        &self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Result<T, RecvTimeoutError> {
        let Source::Queue(chan) = &self.source else {
            return self.recv_moment(limit, at);
        };
        let mut recv = Recv::new(chan);
        let received = block_on_within(&mut recv, || limit.deadline(), wait(at));
        let met = received.ok_or(RecvTimeoutError::Timeout)??;
        Ok(recv.take(met))
    }

    /// Receives from a timer: a select with one case.
    #[inline(never)]
    fn recv_moment(
        &self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Result<T, RecvTimeoutError> {
        let found = first_of(
            Cases::plain(&[self]),
            Order::Biased,
            &Deadline::new(limit),
            wait(at),
        );
        let (_, claim) = found.ok_or(RecvTimeoutError::Timeout)?;
        Ok(self.complete(claim)?)
    }

    #[doc(hidden)]
    pub fn __case(&self) -> Handle<'_> {
        Handle::new(self)
    }

    #[doc(hidden)]
    #[inline]
    #[track_caller]
    pub fn __complete(&self, operation: Operation<'_>) -> Result<T, RecvError> {
        self.complete(operation.take(self))
    }

    /// Receives what a select has claimed.
    #[inline]
    pub(super) fn complete(&self, claim: Claim) -> Result<T, RecvError> {
        match (&self.source, claim) {
            (Source::Queue(chan), Claim::Message) => chan.take_promised().ok_or(RecvError),
            (Source::Timer(timer), Claim::Moment(moment)) => Ok(timer.message(moment)),
            _ => Err(RecvError),
        }
    }

    /// How many messages can be received at once. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::unbounded();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[track_caller]
    pub fn len(&self) -> usize {
        touch("len", Location::caller());
        match &self.source {
            Source::Queue(chan) => chan.len(),
            Source::Timer(timer) => usize::from(timer.is_due()),
            Source::Silence(_) => 0,
        }
    }

    /// Whether no message can be received at once; a rendezvous channel always is. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = maypole::channel::unbounded::<u8>();
    /// assert!(receiver.is_empty());
    /// ```
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for a further message. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::bounded(1);
    /// sender.send(1).unwrap();
    /// assert!(receiver.is_full());
    /// ```
    #[track_caller]
    pub fn is_full(&self) -> bool {
        // One more than there is room for if a select has given a message back.
        self.capacity()
            .is_some_and(|capacity| self.len() >= capacity)
    }

    /// How many messages may be queued; `None` is without bound. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = maypole::channel::bounded::<u8>(3);
    /// assert_eq!(receiver.capacity(), Some(3));
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        match &self.source {
            Source::Queue(chan) => (chan.capacity != usize::MAX).then_some(chan.capacity),
            Source::Timer(_) => Some(1),
            Source::Silence(_) => Some(0),
        }
    }

    /// Whether both receive from the same channel. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = maypole::channel::unbounded::<u8>();
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.source, &other.source) {
            (Source::Silence(_), Source::Silence(_)) => true,
            _ => self.address() == other.address(),
        }
    }

    /// Messages as they come, until the channel is disconnected; each `next` is a
    /// [`recv`](Self::recv).
    ///
    /// Parks: its `next` does, while the channel is empty. A kill unwinds the task from there.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::unbounded();
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
    /// let (sender, receiver) = maypole::channel::unbounded();
    /// (1..=3).for_each(|n| sender.send(n).unwrap());
    /// assert_eq!(receiver.try_iter().sum::<i32>(), 6);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter::new(self)
    }

    fn idle_queue(&self) -> Option<&WaitQueue> {
        match &self.source {
            Source::Queue(_) => None,
            Source::Timer(timer) => Some(timer.queue()),
            Source::Silence(silence) => Some(&silence.queue),
        }
    }
}

fn wait(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Recv,
        at,
    }
}

impl<T> Alternative for Receiver<T> {
    fn is_ready(&self, patience: bool) -> bool {
        match &self.source {
            Source::Queue(chan) => chan.can_recv(patience),
            Source::Timer(timer) => timer.is_due(),
            Source::Silence(_) => false,
        }
    }

    fn claim(&self, deadline: Option<&Deadline>, wait: Wait) -> Option<Claim> {
        match &self.source {
            Source::Queue(chan) => chan
                .claim_message(match deadline {
                    Some(_) => Partner::Any,
                    None => Partner::Done,
                })
                .or_else(|| claim_from_partner(chan, deadline?, wait)),
            Source::Timer(timer) => timer.take().map(Claim::Moment),
            Source::Silence(_) => None,
        }
    }

    fn enlist(&self, interest: Interest) -> (&WaitQueue, usize) {
        match (&self.source, self.idle_queue()) {
            (Source::Queue(chan), _) => chan.enlist_case(Side::Receivers, interest),
            (_, Some(queue)) => (queue, TAKES),
            (_, None) => unreachable!("what is no channel has a queue of its own"),
        }
    }

    fn accept(&self, token: usize) -> Option<Claim> {
        match &self.source {
            Source::Queue(_) if token == token::MESSAGE => Some(Claim::Message),
            Source::Queue(chan) => chan.claim_message(Partner::Done),
            _ => None,
        }
    }

    fn release(&self, claim: Claim) {
        match (&self.source, claim) {
            (Source::Queue(chan), claim) => chan.release(claim),
            (Source::Timer(timer), Claim::Moment(moment)) => {
                timer.give_back(moment);
                // They sleep until the message after this one.
                scheduler::wake_all(timer.queue(), token::LOOK);
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.source {
            Source::Timer(timer) => timer.due(),
            _ => None,
        }
    }

    fn address(&self) -> *const () {
        match &self.source {
            Source::Queue(chan) => chan.address(Side::Receivers),
            Source::Timer(timer) => Rc::as_ptr(timer).cast(),
            Source::Silence(silence) => Rc::as_ptr(silence).cast(),
        }
    }
}

/// Waits for the message of a `select!` that has won by this receiver.
#[inline(never)]
fn claim_from_partner<T>(chan: &Chan<T>, deadline: &Deadline, wait: Wait) -> Option<Claim> {
    park::ask(wait);
    kill::raise_if_pending(wait);
    if !chan.pair() {
        return None;
    }
    match park::park_in(chan.paired(), TAKES, deadline.get(), wait) {
        Woken::Ready { token, .. } if token == token::MESSAGE => Some(Claim::Message),
        // The partner made none, or it took too long.
        _ => None,
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::Queue(chan) => {
                chan.add(Side::Receivers);
                Source::Queue(chan.clone())
            }
            Source::Timer(timer) => Source::Timer(timer.clone()),
            Source::Silence(silence) => Source::Silence(silence.clone()),
        };
        Receiver { source }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Source::Queue(chan) = &self.source {
            touch("drop of a Receiver", chan.made_at());
            chan.remove(Side::Receivers);
        }
    }
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

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
