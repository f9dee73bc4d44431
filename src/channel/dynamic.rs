//! A select whose cases are only known when the program runs.
use super::error::{
    ReadyTimeoutError, RecvError, SelectTimeoutError, SendError, TryReadyError, TrySelectError,
};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::scheduler::wait::{Wait, What};
use crate::select::{
    Alternative, Cases, Deadline, Limit, Operation, Order, first_of, first_ready, try_first,
    try_ready,
};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Waits for the first of several operations that becomes ready, whose number is only known when
/// the program runs; [`select!`](crate::select!) is shorter where it is known before.
///
/// Operations are numbered from 0, in the order in which they are added. Which of several ready
/// ones is taken is left to chance, but for [`new_biased`](Self::new_biased).
///
/// # Examples
///
/// ```
/// use maypole::channel::{Select, unbounded};
/// maypole::run(|| {
///     let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
///     channels[2].0.send("hello").unwrap();
///
///     let mut select = Select::new();
///     for (_, receiver) in &channels {
///         select.recv(receiver);
///     }
///     let operation = select.select();
///     let index = operation.index();
///     assert_eq!(index, 2);
///     assert_eq!(operation.recv(&channels[index].1), Ok("hello"));
/// });
/// ```
#[derive(Clone)]
pub struct Select<'a> {
    /// A removed operation leaves its place empty, so that numbers stay.
    cases: Vec<Option<&'a dyn Alternative>>,
    order: Order,
}

/// An operation that a [`Select`] has made sure of, and that must be completed.
///
/// # Panics
///
/// When dropped without being completed: what it was sure of is given back first.
///
/// # Examples
///
/// ```
/// use maypole::channel::{Select, unbounded};
/// let (sender, receiver) = unbounded();
/// sender.send(1).unwrap();
/// let mut select = Select::new();
/// let first = select.recv(&receiver);
/// let operation = select.try_select().unwrap();
/// assert_eq!(operation.index(), first);
/// assert_eq!(operation.recv(&receiver), Ok(1));
/// ```
#[must_use = "the operation must be completed by `send` or `recv`"]
pub struct SelectedOperation<'a> {
    /// Taken when it is completed.
    operation: Option<Operation<'a>>,
    index: usize,
}

impl<'a> Select<'a> {
    /// A select without operations, fair to all. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::Select;
    /// assert!(Select::new().try_select().is_err());
    /// ```
    pub fn new() -> Self {
        Select {
            cases: Vec::with_capacity(4),
            order: Order::Fair,
        }
    }

    /// A select that takes the first of the operations that are ready. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, unbounded};
    /// let (first, second) = (unbounded(), unbounded());
    /// second.0.send(2).unwrap();
    /// first.0.send(1).unwrap();
    /// let mut select = Select::new_biased();
    /// select.recv(&first.1);
    /// select.recv(&second.1);
    /// assert_eq!(select.try_ready(), Ok(0));
    /// ```
    pub fn new_biased() -> Self {
        Select {
            cases: Vec::with_capacity(4),
            order: Order::Biased,
        }
    }

    fn add(&mut self, case: &'a dyn Alternative) -> usize {
        self.cases.push(Some(case));
        self.cases.len() - 1
    }

    /// Adds a send; gives its number. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, bounded};
    /// let (sender, _receiver) = bounded::<u8>(1);
    /// assert_eq!(Select::new().send(&sender), 0);
    /// ```
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender)
    }

    /// Adds a receive; gives its number. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, bounded};
    /// let (_sender, receiver) = bounded::<u8>(1);
    /// assert_eq!(Select::new().recv(&receiver), 0);
    /// ```
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver)
    }

    /// Takes an operation out; the others keep their numbers. Parks: no.
    ///
    /// # Panics
    ///
    /// If there is no operation with this number.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, bounded};
    /// let (sender, _receiver) = bounded::<u8>(1);
    /// let mut select = Select::new();
    /// let index = select.send(&sender);
    /// select.remove(index);
    /// assert!(select.try_ready().is_err());
    /// ```
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        let count = self.cases.len();
        assert!(
            index < count,
            "maypole: operation {index} of a Select with {count}"
        );
        assert!(
            self.cases[index].take().is_some(),
            "maypole: operation {index} of a Select was removed before"
        );
    }

    /// The operations that are left, and their numbers.
    fn cases(&self) -> (Vec<&'a dyn Alternative>, Vec<usize>) {
        let left = self.cases.iter().enumerate();
        left.filter_map(|(index, case)| case.map(|case| (case, index)))
            .unzip()
    }

    /// Makes sure of an operation that is ready.
    ///
    /// Parks: no; but on a rendezvous channel it waits for the message of a partner that is there,
    /// in a [`select!`](crate::select!), and still makes it.
    ///
    /// # Errors
    ///
    /// [`TrySelectError`], when none is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, bounded};
    /// let (sender, receiver) = bounded(1);
    /// let mut select = Select::new();
    /// select.send(&sender);
    /// select.try_select().unwrap().send(&sender, 1).unwrap();
    /// assert!(select.try_select().is_err());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        let (cases, indices) = self.cases();
        let found = try_first(Cases::plain(&cases), self.order, wait(Location::caller()));
        let (nth, claim) = found.ok_or(TrySelectError)?;
        Ok(SelectedOperation::new(Operation::new(
            cases[nth],
            claim,
            indices[nth],
        )))
    }

    /// Makes sure of the first operation that becomes ready.
    ///
    /// Parks: until one is. A kill unwinds the task from here, and no operation has happened.
    ///
    /// # Panics
    ///
    /// If it has no operation; when it would have to park outside of [`run`](crate::run) or where
    /// that is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, unbounded};
    /// maypole::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     maypole::spawn(move || sender.send(1).unwrap());
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     assert_eq!(select.select().recv(&receiver), Ok(1));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.refuse_empty();
        self.select_within(Limit::Never, Location::caller())
            .expect("a select without a limit does not time out")
    }

    /// Makes sure of the first operation that becomes ready, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`. A kill unwinds the task from here.
    ///
    /// # Errors
    ///
    /// [`SelectTimeoutError`].
    ///
    /// # Panics
    ///
    /// When it would have to park outside of [`run`](crate::run) or where that is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::Select;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     assert!(Select::new().select_timeout(Duration::from_millis(1)).is_err());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.select_within(Limit::After(timeout), Location::caller())
            .ok_or(SelectTimeoutError)
    }

    /// Makes sure of the first operation that becomes ready, waiting until `deadline` at the
    /// latest.
    ///
    /// Parks: until `deadline` at the latest. A kill unwinds the task from here.
    ///
    /// # Errors
    ///
    /// [`SelectTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`select_timeout`](Self::select_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::Select;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let soon = maypole::time::now() + Duration::from_millis(1);
    ///     assert!(Select::new().select_deadline(soon).is_err());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.select_within(Limit::At(deadline), Location::caller())
            .ok_or(SelectTimeoutError)
    }

    #[inline(always)]
    fn select_within(
        &mut self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> Option<SelectedOperation<'a>> {
        let (cases, indices) = self.cases();
        let found = first_of(
            Cases::plain(&cases),
            self.order,
            &Deadline::new(limit),
            wait(at),
        );
        let (nth, claim) = found?;
        Some(SelectedOperation::new(Operation::new(
            cases[nth],
            claim,
            indices[nth],
        )))
    }

    /// The number of an operation that is ready. It is made sure of nothing: by the time it is
    /// tried another task may have been there.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// [`TryReadyError`], when none is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, bounded};
    /// let (sender, _receiver) = bounded::<u8>(1);
    /// let mut select = Select::new();
    /// select.send(&sender);
    /// assert_eq!(select.try_ready(), Ok(0));
    /// ```
    #[track_caller]
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        let (cases, indices) = self.cases();
        try_ready(Cases::plain(&cases), self.order, wait(Location::caller()))
            .map(|nth| indices[nth])
            .ok_or(TryReadyError)
    }

    /// The number of the first operation that becomes ready. It is made sure of nothing, so try
    /// it by a `try_` method and come back if that fails.
    ///
    /// A partner that waits in a [`select!`](crate::select!) to send on a rendezvous channel wins
    /// by this and makes its message, which then waits to be received.
    ///
    /// Parks: until one is ready. A kill unwinds the task from here.
    ///
    /// # Panics
    ///
    /// As [`select`](Self::select).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, unbounded};
    /// maypole::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     maypole::spawn(move || sender.send(1).unwrap());
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     assert_eq!(select.ready(), 0);
    ///     assert_eq!(receiver.try_recv(), Ok(1));
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        self.refuse_empty();
        self.ready_within(Limit::Never, Location::caller())
            .expect("a select without a limit does not time out")
    }

    /// The number of the first operation that becomes ready, waiting for at most `timeout`.
    ///
    /// Parks: for at most `timeout`. A kill unwinds the task from here.
    ///
    /// # Errors
    ///
    /// [`ReadyTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`select_timeout`](Self::select_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::Select;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     assert!(Select::new().ready_timeout(Duration::from_millis(1)).is_err());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.ready_within(Limit::After(timeout), Location::caller())
            .ok_or(ReadyTimeoutError)
    }

    /// The number of the first operation that becomes ready, waiting until `deadline` at the
    /// latest.
    ///
    /// Parks: until `deadline` at the latest. A kill unwinds the task from here.
    ///
    /// # Errors
    ///
    /// [`ReadyTimeoutError`].
    ///
    /// # Panics
    ///
    /// As [`select_timeout`](Self::select_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::Select;
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let soon = maypole::time::now() + Duration::from_millis(1);
    ///     assert!(Select::new().ready_deadline(soon).is_err());
    /// });
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.ready_within(Limit::At(deadline), Location::caller())
            .ok_or(ReadyTimeoutError)
    }

    #[inline(always)]
    fn ready_within(&mut self, limit: Limit, at: &'static Location<'static>) -> Option<usize> {
        let (cases, indices) = self.cases();
        let nth = first_ready(
            Cases::plain(&cases),
            self.order,
            &Deadline::new(limit),
            wait(at),
        )?;
        Some(indices[nth])
    }

    #[track_caller]
    fn refuse_empty(&self) {
        assert!(
            self.cases.iter().any(Option::is_some),
            "maypole: a select of no operation would wait for ever; add one with `send` or `recv`"
        );
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

impl<'a> SelectedOperation<'a> {
    #[inline(always)]
    fn new(operation: Operation<'a>) -> Self {
        SelectedOperation {
            index: operation.index(),
            operation: Some(operation),
        }
    }

    /// The number of the operation. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, bounded};
    /// let (sender, _receiver) = bounded(1);
    /// let mut select = Select::new();
    /// let index = select.send(&sender);
    /// let operation = select.try_select().unwrap();
    /// assert_eq!(operation.index(), index);
    /// operation.send(&sender, 1).unwrap();
    /// ```
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send.
    ///
    /// Parks: no; but if the receiver of a rendezvous has gone while the message was made, until
    /// the next one comes.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, when every receiver is gone.
    ///
    /// # Panics
    ///
    /// If `sender` is not the one that was selected.
    ///
    /// # Examples
    ///
    /// See [`SelectedOperation`].
    #[inline]
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        let at = Location::caller();
        sender.complete(self.take().take(sender), message, at)
    }

    /// Completes a receive.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// [`RecvError`], when the channel is empty and every sender is gone.
    ///
    /// # Panics
    ///
    /// If `receiver` is not the one that was selected.
    ///
    /// # Examples
    ///
    /// See [`SelectedOperation`].
    #[inline]
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        receiver.complete(self.take().take(receiver))
    }

    #[inline(always)]
    fn take(mut self) -> Operation<'a> {
        self.operation
            .take()
            .expect("an operation is completed once")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        if self.operation.take().is_some() && !std::thread::panicking() {
            panic!("maypole: a selected operation was dropped without being completed");
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

fn wait(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Select,
        at,
    }
}
