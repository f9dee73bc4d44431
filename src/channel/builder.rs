//! Making a channel with a name, a bound and a preference.
use super::queue::Chan;
use super::receiver::Receiver;
use super::sender::Sender;
use std::panic::Location;
use std::rc::Rc;

/// Who runs on after a sender and a receiver have met: Stackless Python's preference of a channel.
///
/// It decides when one of the two was parked: the other may go on, or let the woken one go first.
/// It changes no result, only the order of what follows.
///
/// # Examples
///
/// ```
/// use maypole::channel::{Builder, Prefer};
/// let log = std::cell::RefCell::new(Vec::new());
/// maypole::run(|| {
///     let (sender, receiver) = Builder::new().capacity(0).prefer(Prefer::Receiver).build();
///     maypole::scope(|s| {
///         s.spawn(|| receiver.iter().for_each(|n: u8| log.borrow_mut().push(("received", n))));
///         s.spawn(|| {
///             let sender = sender;
///             for n in 0..2 {
///                 sender.send(n).unwrap();
///                 log.borrow_mut().push(("sent", n));
///             }
///         });
///     });
/// });
/// assert_eq!(log.take(), [("received", 0), ("sent", 0), ("received", 1), ("sent", 1)]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Prefer {
    /// The receiver: a sender that meets a parked one lets it run at once. Stackless' -1.
    Receiver,
    /// The sender: a receiver that meets a parked one lets it run at once. Stackless' +1.
    Sender,
    /// Whoever came second goes on, and the woken one waits for its turn. Stackless' 0.
    #[default]
    Neither,
}

/// Options for a channel.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::channel::Builder::new()
///     .capacity(16)
///     .name("jobs")
///     .build();
/// sender.send("wash up").unwrap();
/// assert_eq!(receiver.recv(), Ok("wash up"));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    capacity: Option<usize>,
    name: Option<Rc<str>>,
    prefer: Prefer,
}

impl Builder {
    /// An unbounded channel without a name. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = maypole::channel::Builder::new().build::<u8>();
    /// assert_eq!(receiver.capacity(), None);
    /// ```
    pub fn new() -> Self {
        Builder::default()
    }

    /// Bounds the messages that may be queued; with 0 each waits for its receiver (a rendezvous).
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::Builder::new().capacity(2).build::<u8>();
    /// assert_eq!(sender.capacity(), Some(2));
    /// ```
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// Names the channel in reports. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{RunError, channel};
    /// let stuck = maypole::Builder::new().run(|| {
    ///     let (_sender, receiver) = channel::Builder::new().name("jobs").build::<u8>();
    ///     receiver.recv()
    /// });
    /// let Err(RunError::Deadlock(report)) = stuck else { panic!("nobody sends") };
    /// assert!(report.to_string().contains("'jobs'"));
    /// ```
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says who runs on after a sender and a receiver have met. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Builder, Prefer};
    /// let (_sender, _receiver) = Builder::new().prefer(Prefer::Sender).build::<u8>();
    /// ```
    pub fn prefer(mut self, prefer: Prefer) -> Self {
        self.prefer = prefer;
        self
    }

    /// Makes the channel. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = maypole::channel::Builder::new().build();
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn build<T>(self) -> (Sender<T>, Receiver<T>) {
        let capacity = self.capacity.unwrap_or(usize::MAX);
        let chan = Rc::new(Chan::new(
            capacity,
            self.prefer,
            self.name,
            Location::caller(),
        ));
        (Sender::new(chan.clone()), Receiver::queue(chan))
    }
}
