//! A channel whose every message goes to every receiver.
mod facts;
mod hub;
mod iter;
mod receiver;
mod sender;

pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;

use hub::Hub;
use std::panic::Location;
use std::rc::Rc;

/// A channel whose every message goes to every receiver, each in the order of sending.
///
/// A receiver gets what is sent after it came into being: by this call, by
/// [`Sender::subscribe`], or as a clone of another, whose place it shares. Each has a queue of at
/// most `capacity` messages, and the slowest holds up the senders, so that nobody misses one;
/// a receiver that is not read is better dropped.
///
/// Messages are cloned when they are received; whoever is the last to receive one gets the
/// original.
///
/// Parks: no.
///
/// # Panics
///
/// If `capacity` is 0: a message needs a place until the last receiver has come for it.
///
/// # Examples
///
/// ```
/// use maypole::channel::broadcast;
/// use maypole::{run, scope};
/// run(|| {
///     let (caller, dancer) = broadcast(2);
///     let other = caller.subscribe();
///     scope(|s| {
///         s.spawn(move || assert!(dancer.iter().eq(["left", "right", "swing"])));
///         s.spawn(move || assert!(other.iter().eq(["left", "right", "swing"])));
///         for step in ["left", "right", "swing"] {
///             caller.send(step).unwrap();
///         }
///         drop(caller);
///     });
/// });
/// ```
#[track_caller]
pub fn broadcast<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "maypole: a broadcast needs room for one message at least"
    );
    let hub = Rc::new(Hub::new(capacity, Location::caller()));
    let receiver = Receiver::new(hub.clone(), hub.subscribe());
    (Sender::new(hub), receiver)
}
