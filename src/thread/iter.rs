//! Iterators over the messages of a channel between OS threads.
use super::channel::Receiver;
use std::fmt;
use std::iter::FusedIterator;
use std::panic::Location;

/// Messages as they come; see [`Receiver::iter`].
///
/// # Examples
///
/// ```
/// use maypole::thread::{Iter, unbounded};
/// fn sum(messages: Iter<'_, u32>) -> u32 {
///     messages.sum()
/// }
/// let (sender, receiver) = unbounded();
/// sender.send(7).unwrap();
/// drop(sender);
/// assert_eq!(sum(receiver.iter()), 7);
/// ```
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    /// Where it was made: `next` cannot know its caller.
    at: &'static Location<'static>,
}

/// The messages that are there; see [`Receiver::try_iter`].
///
/// # Examples
///
/// ```
/// use maypole::thread::{TryIter, unbounded};
/// fn drain(messages: TryIter<'_, u32>) -> Vec<u32> {
///     messages.collect()
/// }
/// let (sender, receiver) = unbounded();
/// sender.send(7).unwrap();
/// assert_eq!(drain(receiver.try_iter()), [7]);
/// ```
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// Messages as they come, from a receiver of its own.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = maypole::thread::unbounded();
/// sender.send(7).unwrap();
/// drop(sender);
/// for message in receiver {
///     assert_eq!(message, 7);
/// }
/// ```
pub struct IntoIter<T> {
    receiver: Receiver<T>,
    at: &'static Location<'static>,
}

impl<'a, T> Iter<'a, T> {
    #[track_caller]
    pub(super) fn new(receiver: &'a Receiver<T>) -> Self {
        Iter {
            receiver,
            at: Location::caller(),
        }
    }
}

impl<'a, T> TryIter<'a, T> {
    pub(super) fn new(receiver: &'a Receiver<T>) -> Self {
        TryIter { receiver }
    }
}

impl<T> IntoIter<T> {
    #[track_caller]
    pub(super) fn new(receiver: Receiver<T>) -> Self {
        IntoIter {
            receiver,
            at: Location::caller(),
        }
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv_at(self.at).ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv_at(self.at).ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
