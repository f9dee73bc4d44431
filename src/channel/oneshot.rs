//! A channel of one message: the answer to a request, the end of a task, a signal.
//!
//! ```text
//!   Open ── send ──► Sent ── received ──► Over
//!    │                                     ▲
//!    ├── the sender is dropped ────────────┘
//!    └── the receiver is dropped, here and in every other state ──► Unwanted
//! ```
//!
//! A message that somebody was woken for, or that a `select!` has chosen, is *promised*: nobody
//! else can have it.
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{wake_all, wake_one};
use crate::select::{
    Alternative, Case, Claim, Deadline, Handle, Interest, Limit, Operation, block_on_within,
};
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// A channel of a single message.
///
/// Sending never waits, and uses the [`Sender`] up. When the sender is dropped instead, the
/// receiver learns that nothing will come.
///
/// Parks: no.
///
/// # Examples
///
/// A question that carries the way of its answer:
///
/// ```
/// use maypole::channel::{oneshot, unbounded};
/// use maypole::{run, spawn};
/// run(|| {
///     let (questions, asked) = unbounded::<(u64, oneshot::Sender<u64>)>();
///     spawn(move || {
///         for (number, answer) in asked {
///             // Whoever asked may have gone meanwhile.
///             let _ = answer.send(number * number);
///         }
///     });
///     let (answer, square) = oneshot();
///     questions.send((12, answer)).unwrap();
///     assert_eq!(square.recv(), Ok(144));
/// });
/// ```
#[track_caller]
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Rc::new(Slot {
        phase: RefCell::new(Phase::Open),
        receivers: WaitQueue::new(),
        made_at: Location::caller(),
        facts: OnceCell::new(),
    });
    (Sender { slot: slot.clone() }, Receiver { slot })
}

/// The sending end of a [`oneshot`](oneshot()).
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::channel::oneshot::Sender<u8>>();
/// ```
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::channel::oneshot();
/// sender.send("only one").unwrap();
/// assert_eq!(receiver.recv(), Ok("only one"));
/// ```
pub struct Sender<T> {
    slot: Rc<Slot<T>>,
}

/// The receiving end of a [`oneshot`](oneshot()), also as a case of [`select!`](crate::select!).
///
/// Of several tasks that wait for one receiver, the one that has waited longest gets the message;
/// for the others it is disconnected then.
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::channel::oneshot::Receiver<u8>>();
/// ```
///
/// # Examples
///
/// ```
/// use maypole::channel::{oneshot, select};
/// maypole::run(|| {
///     let (quick, hare) = oneshot();
///     let (_slow, tortoise) = oneshot::<&str>();
///     maypole::spawn(move || quick.send("hare"));
///     let winner = select! {
///         recv(hare) -> name => name,
///         recv(tortoise) -> name => name,
///     };
///     assert_eq!(winner, Ok("hare"));
/// });
/// ```
pub struct Receiver<T> {
    slot: Rc<Slot<T>>,
}

/// What both ends share.
struct Slot<T> {
    phase: RefCell<Phase<T>>,
    receivers: WaitQueue,
    made_at: &'static Location<'static>,
    /// Made for the reports when somebody waits.
    facts: OnceCell<Rc<Facts>>,
}

enum Phase<T> {
    /// Both ends live and nothing was sent.
    Open,
    Sent {
        message: T,
        promised: bool,
    },
    /// The message was received, or will never come.
    Over,
    /// The receiver is gone.
    Unwanted,
}

/// Words for those who are woken.
mod token {
    /// The message is promised to the woken one.
    pub(super) const MESSAGE: usize = 0;
    /// Look again: nothing will come.
    pub(super) const LOOK: usize = 1;
}

/// What every receiver offers; nobody asks.
const OFFER: usize = 0;

impl<T> Slot<T> {
    fn is_open(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Open)
    }

    fn send(&self, message: T) -> Result<(), T> {
        let mut phase = self.phase.borrow_mut();
        if let Phase::Unwanted = *phase {
            return Err(message);
        }
        let promised = wake_one(&self.receivers, token::MESSAGE).is_some();
        *phase = Phase::Sent { message, promised };
        wake_all(&self.receivers, token::LOOK);
        Ok(())
    }

    /// Promises the message to the caller, if it is known how the exchange ends.
    fn claim(&self) -> Option<Claim> {
        match &mut *self.phase.borrow_mut() {
            Phase::Open => None,
            Phase::Sent { promised, .. } if !*promised => {
                *promised = true;
                Some(Claim::Message)
            }
            _ => Some(Claim::Disconnected),
        }
    }

    /// Breaks a promise that the caller does not need. Nobody waits for the message: whoever came
    /// meanwhile was told that nothing will come.
    fn release(&self) {
        if let Phase::Sent { promised, .. } = &mut *self.phase.borrow_mut() {
            *promised = false;
        }
    }

    fn take_promised(&self) -> T {
        match self.phase.replace(Phase::Over) {
            Phase::Sent { message, .. } => message,
            _ => unreachable!("a promised message stays until it is received"),
        }
    }

    fn complete(&self, claim: Claim) -> Result<T, RecvError> {
        match claim {
            Claim::Message => Ok(self.take_promised()),
            _ => Err(RecvError),
        }
    }

    /// Where a receiver waits.
    fn enlist(&self) -> &WaitQueue {
        self.receivers.introduce(|| {
            let made_at = self.made_at;
            let facts = self.facts.get_or_init(|| Rc::new(Facts { made_at }));
            let object: Weak<dyn Object> = Rc::<Facts>::downgrade(facts);
            object
        });
        &self.receivers
    }
}

/// What reports tell of a oneshot that somebody waits for.
struct Facts {
    made_at: &'static Location<'static>,
}

impl Object for Facts {
    fn view(&self) -> ObjectView {
        ObjectView {
            kind: "oneshot",
            name: None,
            made_at: self.made_at,
            owners: Vec::new(),
            // Otherwise nobody would wait.
            state: "nothing sent, 1 sender alive".to_string(),
            content: None,
        }
    }
}

impl<T> Sender<T> {
    /// Sends the message.
    ///
    /// Parks: no. It looks for no kill: that comes at the task's next call that may park.
    ///
    /// # Errors
    ///
    /// The message, when the receiver is gone. A success does not mean that the message is
    /// received: the receiver may still be dropped, and the message with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::oneshot;
    /// let (sender, receiver) = oneshot();
    /// assert_eq!(sender.send(1), Ok(()));
    /// assert_eq!(receiver.recv(), Ok(1));
    ///
    /// let (sender, receiver) = oneshot();
    /// drop(receiver);
    /// assert_eq!(sender.send(2), Err(2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn send(self, message: T) -> Result<(), T> {
        touch("send", Location::caller());
        self.slot.send(message)
    }

    /// Whether the receiver is gone, so that a message would come back. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::oneshot::<u8>();
    /// assert!(!sender.is_disconnected());
    /// drop(receiver);
    /// assert!(sender.is_disconnected());
    /// ```
    #[track_caller]
    pub fn is_disconnected(&self) -> bool {
        touch("is_disconnected", Location::caller());
        matches!(*self.slot.phase.borrow(), Phase::Unwanted)
    }
}

/// Whoever waits learns that nothing will come.
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if !self.slot.is_open() {
            return;
        }
        touch("drop of a Sender", Location::caller());
        // The receiver may have gone meanwhile.
        if self.slot.is_open() {
            self.slot.phase.replace(Phase::Over);
            wake_all(&self.slot.receivers, token::LOOK);
        }
    }
}

/// A receive that may have to wait.
struct Recv<'a, T> {
    slot: &'a Slot<T>,
}

impl<T> Case for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn try_now(&mut self) -> Option<Self::Output> {
        let claim = self.slot.claim()?;
        Some(self.slot.complete(claim))
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (self.slot.enlist(), OFFER)
    }

    #[inline]
    fn accept(&mut self, token: usize) -> Option<Self::Output> {
        match token {
            token::MESSAGE => Some(Ok(self.slot.take_promised())),
            _ => self.try_now(),
        }
    }
}

impl<T> Receiver<T> {
    /// Receives the message, parking the task until it is sent.
    ///
    /// Parks: until it is sent. A kill unwinds the task from here and drops the receiver, so that
    /// the sender will get its message back.
    ///
    /// # Errors
    ///
    /// [`RecvError`], when the sender was dropped without a message, or the message was received
    /// before.
    ///
    /// # Panics
    ///
    /// When it would have to park outside of [`run`](crate::run) or where that is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{RecvError, oneshot};
    /// maypole::run(|| {
    ///     let (sender, receiver) = oneshot();
    ///     maypole::spawn(move || sender.send("hello"));
    ///     assert_eq!(receiver.recv(), Ok("hello"));
    ///
    ///     let (sender, receiver) = oneshot::<&str>();
    ///     maypole::spawn(move || drop(sender));
    ///     assert_eq!(receiver.recv(), Err(RecvError));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(self) -> Result<T, RecvError> {
        self.recv_within(Limit::Never, Location::caller())
            .expect("a receive without a limit does not time out")
    }

    /// Receives the message if it was sent.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], which says whether the message may still come.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::oneshot();
    /// assert!(receiver.try_recv().unwrap_err().is_empty());
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert!(receiver.try_recv().unwrap_err().is_disconnected());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        touch("try_recv", Location::caller());
        let claim = self.slot.claim().ok_or(TryRecvError::Empty)?;
        Ok(self.slot.complete(claim)?)
    }

    /// Receives the message, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`. A kill takes no message.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]. After a time-out the message may still be received.
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
    ///     let (sender, receiver) = maypole::channel::oneshot();
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

    /// Receives the message, waiting until `deadline` at the latest.
    ///
    /// Parks: until `deadline` at the latest. A kill takes no message.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]. After a time-out the message may still be received.
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
    ///     let (_sender, receiver) = maypole::channel::oneshot::<u8>();
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
        block_on_within(Recv { slot: &self.slot }, || limit.deadline(), wait)
    }

    #[doc(hidden)]
    pub fn __case(&self) -> Handle<'_> {
        Handle::new(self)
    }

    #[doc(hidden)]
    #[inline]
    #[track_caller]
    pub fn __complete(&self, operation: Operation<'_>) -> Result<T, RecvError> {
        self.slot.complete(operation.take(self))
    }
}

impl<T> Alternative for Receiver<T> {
    fn is_ready(&self, _: bool) -> bool {
        !self.slot.is_open()
    }

    fn claim(&self, _: Option<&Deadline>, _: Wait) -> Option<Claim> {
        self.slot.claim()
    }

    /// Nobody only watches: [`Select`](super::Select) takes none of these.
    fn enlist(&self, _: Interest) -> (&WaitQueue, usize) {
        (self.slot.enlist(), OFFER)
    }

    fn accept(&self, token: usize) -> Option<Claim> {
        match token {
            token::MESSAGE => Some(Claim::Message),
            _ => self.slot.claim(),
        }
    }

    fn release(&self, claim: Claim) {
        if claim == Claim::Message {
            self.slot.release();
        }
    }

    fn address(&self) -> *const () {
        Rc::as_ptr(&self.slot).cast()
    }
}

/// A message that was sent and not received is dropped.
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.slot.is_open() {
            touch("drop of a Receiver", Location::caller());
        }
        let unreceived = self.slot.phase.replace(Phase::Unwanted);
        drop(unreceived);
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}
