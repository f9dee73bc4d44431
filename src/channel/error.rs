//! The errors of channels, named for their calls; each gives back what it took.
use std::error::Error;
use std::fmt;

/// The message could not be sent: every receiver is gone.
///
/// # Examples
///
/// ```
/// use maypole::channel::{SendError, unbounded};
/// let (sender, receiver) = unbounded();
/// drop(receiver);
/// assert_eq!(sender.send("lost?"), Err(SendError("lost?")));
/// ```
#[derive(PartialEq, Eq, Clone, Copy)]
pub struct SendError<T>(pub T);

/// The message could not be sent at once.
///
/// # Examples
///
/// ```
/// use maypole::channel::{TrySendError, bounded};
/// let (sender, _receiver) = bounded(1);
/// sender.try_send(1).unwrap();
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// ```
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum TrySendError<T> {
    /// There is no room, or no receiver waits.
    Full(T),
    /// Every receiver is gone.
    Disconnected(T),
}

/// The message could not be sent in time.
///
/// # Examples
///
/// ```
/// use maypole::channel::{SendTimeoutError, bounded};
/// use std::time::Duration;
/// maypole::run(|| {
///     let (sender, _receiver) = bounded(0);
///     let late = sender.send_timeout("anybody?", Duration::from_millis(1));
///     assert_eq!(late, Err(SendTimeoutError::Timeout("anybody?")));
/// });
/// ```
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum SendTimeoutError<T> {
    /// The time was over first.
    Timeout(T),
    /// Every receiver is gone.
    Disconnected(T),
}

/// No message will come: the channel is empty and every sender is gone.
///
/// # Examples
///
/// ```
/// use maypole::channel::{RecvError, unbounded};
/// let (sender, receiver) = unbounded();
/// sender.send(1).unwrap();
/// drop(sender);
/// assert_eq!(receiver.recv(), Ok(1));
/// assert_eq!(receiver.recv(), Err(RecvError));
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct RecvError;

/// No message was there.
///
/// # Examples
///
/// ```
/// use maypole::channel::{TryRecvError, unbounded};
/// let (sender, receiver) = unbounded::<u8>();
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum TryRecvError {
    /// The channel is empty.
    Empty,
    /// It is empty and every sender is gone.
    Disconnected,
}

/// No message came in time.
///
/// # Examples
///
/// ```
/// use maypole::channel::{RecvTimeoutError, unbounded};
/// use std::time::Duration;
/// maypole::run(|| {
///     let (_sender, receiver) = unbounded::<u8>();
///     let late = receiver.recv_timeout(Duration::from_millis(1));
///     assert_eq!(late, Err(RecvTimeoutError::Timeout));
/// });
/// ```
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum RecvTimeoutError {
    /// The time was over first.
    Timeout,
    /// The channel is empty and every sender is gone.
    Disconnected,
}

macro_rules! unit_errors {
    ($($(#[$doc:meta])* $name:ident, $text:literal;)*) => {$(
        $(#[$doc])*
        #[derive(PartialEq, Eq, Clone, Copy, Debug)]
        pub struct $name;

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }

        impl Error for $name {}
    )*};
}

unit_errors! {
    /// No operation of a [`Select`](super::Select) was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, TrySelectError, unbounded};
    /// let (_sender, receiver) = unbounded::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.try_select().err(), Some(TrySelectError));
    /// ```
    TrySelectError, "no operation is ready";

    /// No operation of a [`Select`](super::Select) became ready in time.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, SelectTimeoutError, unbounded};
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     let late = select.select_timeout(Duration::from_millis(1));
    ///     assert_eq!(late.err(), Some(SelectTimeoutError));
    /// });
    /// ```
    SelectTimeoutError, "no operation was ready in time";

    /// No operation of a [`Select`](super::Select) was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{Select, TryReadyError, unbounded};
    /// let (_sender, receiver) = unbounded::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.try_ready(), Err(TryReadyError));
    /// ```
    TryReadyError, "no operation is ready";

    /// No operation of a [`Select`](super::Select) became ready in time.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::channel::{ReadyTimeoutError, Select, unbounded};
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     let late = select.ready_timeout(Duration::from_millis(1));
    ///     assert_eq!(late, Err(ReadyTimeoutError));
    /// });
    /// ```
    ReadyTimeoutError, "no operation was ready in time";
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message was not sent: every receiver is gone")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "the message was not sent: the channel is full",
            TrySendError::Disconnected(_) => "the message was not sent: every receiver is gone",
        })
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "Timeout(..)",
            SendTimeoutError::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "the message was not sent in time",
            SendTimeoutError::Disconnected(_) => "the message was not sent: every receiver is gone",
        })
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no message will come: the channel is empty and every sender is gone")
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("the channel is empty"),
            TryRecvError::Disconnected => RecvError.fmt(f),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvTimeoutError::Timeout => f.write_str("no message came in time"),
            RecvTimeoutError::Disconnected => RecvError.fmt(f),
        }
    }
}

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl<T> Error for SendTimeoutError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}

impl<T> SendError<T> {
    /// The message. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _) = maypole::channel::unbounded();
    /// assert_eq!(sender.send(7).unwrap_err().into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The message. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::bounded(0);
    /// assert_eq!(sender.try_send(7).unwrap_err().into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        }
    }

    /// Whether there was no room. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = maypole::channel::bounded(0);
    /// assert!(sender.try_send(7).unwrap_err().is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether every receiver was gone. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _) = maypole::channel::bounded(0);
    /// assert!(sender.try_send(7).unwrap_err().is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// The message. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (sender, _) = maypole::channel::bounded(0);
    /// assert_eq!(sender.send_timeout(7, Duration::ZERO).unwrap_err().into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(message) | SendTimeoutError::Disconnected(message) => message,
        }
    }

    /// Whether the time was over. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (sender, _) = maypole::channel::bounded(0);
    /// assert!(!sender.send_timeout(7, Duration::ZERO).unwrap_err().is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Whether every receiver was gone. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (sender, _) = maypole::channel::bounded(0);
    /// assert!(sender.send_timeout(7, Duration::ZERO).unwrap_err().is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl TryRecvError {
    /// Whether the channel was empty. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_sender, receiver) = maypole::channel::bounded::<u8>(1);
    /// assert!(receiver.try_recv().unwrap_err().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Whether every sender was gone. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_, receiver) = maypole::channel::bounded::<u8>(1);
    /// assert!(receiver.try_recv().unwrap_err().is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TryRecvError::Disconnected)
    }
}

impl RecvTimeoutError {
    /// Whether the time was over. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (_, receiver) = maypole::channel::bounded::<u8>(1);
    /// assert!(!receiver.recv_timeout(Duration::ZERO).unwrap_err().is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }

    /// Whether every sender was gone. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let (_, receiver) = maypole::channel::bounded::<u8>(1);
    /// assert!(receiver.recv_timeout(Duration::ZERO).unwrap_err().is_disconnected());
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvTimeoutError::Disconnected)
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        TrySendError::Disconnected(error.0)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> Self {
        SendTimeoutError::Disconnected(error.0)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> Self {
        TryRecvError::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(_: RecvError) -> Self {
        RecvTimeoutError::Disconnected
    }
}
