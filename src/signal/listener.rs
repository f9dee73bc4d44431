//! Who listens to signals.
use super::Signal;
use crate::io::{
    Manner, Stream, Way, bell, faults, forget_signal, last_arrival, listen_to_signal,
    refuse_exploring, signals_so_far,
};
use crate::scheduler::wait::{Wait, What};
use crate::select::{Limit, enter};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

/// Listens to some signals until it is dropped: what comes meanwhile is kept until it is received.
///
/// The signals come in the order in which they were sent last; one that was sent several times
/// since it was received comes once. Several tasks may receive; each signal goes to one of them,
/// first in, first out. Another `Signals`, here or on another OS thread, gets all of them, too.
///
/// It keeps a descriptor. What was not received when it is dropped is forgotten. What the signals do while nobody listens
/// stands at the [module](super).
///
/// # Examples
///
/// ```
/// use maypole::signal::{SIGHUP, SIGTERM, Signals, raise};
/// maypole::run(|| {
///     let signals = Signals::new([SIGHUP, SIGTERM]).unwrap();
///     # let sender = maypole::spawn(|| {
///     raise(SIGHUP).unwrap(); // or somebody calls kill(1)
///     #   maypole::sleep(std::time::Duration::from_millis(5));
///     raise(SIGTERM).unwrap();
///     # });
///     for signal in &signals {
///         match signal {
///             SIGHUP => println!("reads the configuration again"),
///             SIGTERM => break,
///             other => unreachable!("{other} was not asked for"),
///         }
///     }
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::signal::Signals>();
/// ```
pub struct Signals {
    /// Has an edge after every signal.
    bell: Stream<OwnedFd>,
    listening: Vec<Listening>,
}

impl Signals {
    /// Listens to these signals from now on.
    ///
    /// Parks: no.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for none at all, for a number that names no signal, and for those that cannot
    /// or must not be listened to: SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL and SIGFPE. When the
    /// system has no descriptor for it.
    ///
    /// # Panics
    ///
    /// While schedules are explored.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::signal::{SIGKILL, SIGTERM, Signals};
    /// assert!(Signals::new([SIGTERM]).is_ok());
    /// let error = Signals::new([SIGTERM, SIGKILL]).unwrap_err();
    /// assert!(error.to_string().contains("SIGKILL"));
    /// ```
    #[track_caller]
    pub fn new<S: Into<Signal>>(signals: impl IntoIterator<Item = S>) -> io::Result<Signals> {
        let at = Location::caller();
        refuse_exploring("Signals::new", at);
        Signals::listen(signals, "Signals", at)
    }

    pub(super) fn listen<S: Into<Signal>>(
        signals: impl IntoIterator<Item = S>,
        kind: &'static str,
        at: &'static Location<'static>,
    ) -> io::Result<Signals> {
        let bell = Stream::new(faults::call(bell)?, kind, at);
        let mut listening: Vec<Listening> = Vec::new();
        for signal in signals {
            let signal = signal.into();
            if listening.iter().all(|known| known.signal != signal) {
                listening.push(Listening::begin(signal)?);
            }
        }
        if listening.is_empty() {
            let text = "maypole: no signals to wait for";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Signals { bell, listening })
    }

    /// Waits for the next signal.
    ///
    /// Parks: until one comes. A kill ends the wait, and no signal is lost.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor for the first wait. `TimedOut` in a destructor of a task
    /// that unwinds, after the time it has for that.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if none has come yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::signal::{SIGUSR1, Signals, raise};
    /// maypole::run(|| {
    ///     let signals = Signals::new([SIGUSR1]).unwrap();
    ///     raise(SIGUSR1).unwrap();
    ///     assert_eq!(signals.recv().unwrap(), SIGUSR1);
    /// });
    /// ```
    #[track_caller]
    pub fn recv(&self) -> io::Result<Signal> {
        self.recv_within(Limit::Never, Location::caller())
    }

    /// Takes a signal that has come; `None` if none has, or if others wait for it.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::signal::{SIGUSR1, Signals};
    /// let signals = Signals::new([SIGUSR1]).unwrap();
    /// assert_eq!(signals.try_recv(), None);
    /// ```
    pub fn try_recv(&self) -> Option<Signal> {
        refuse_exploring("Signals", self.bell.source().made_at());
        let is_free = self.bell.source().is_free(Way::In);
        is_free.then(|| self.next().ok()).flatten()
    }

    /// Waits for the next signal for at most `timeout`; `None` if none came.
    ///
    /// Parks: for at most `timeout`. A kill ends the wait, and no signal is lost.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor for the first wait.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::signal::{SIGUSR1, Signals};
    /// use std::time::Duration;
    /// maypole::run(|| {
    ///     let signals = Signals::new([SIGUSR1]).unwrap();
    ///     assert_eq!(signals.recv_timeout(Duration::from_millis(1)).unwrap(), None);
    /// });
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> io::Result<Option<Signal>> {
        in_time(self.recv_within(Limit::After(timeout), Location::caller()))
    }

    /// Waits for the next signal until `deadline` at the latest; `None` if none came.
    ///
    /// Parks: until `deadline` at the latest. Otherwise as [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Errors
    ///
    /// When the system has no descriptor for the first wait.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{signal::{SIGUSR1, Signals}, time};
    /// maypole::run(|| {
    ///     let signals = Signals::new([SIGUSR1]).unwrap();
    ///     assert_eq!(signals.recv_deadline(time::now()).unwrap(), None);
    /// });
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> io::Result<Option<Signal>> {
        in_time(self.recv_within(Limit::At(deadline), Location::caller()))
    }

    /// An iterator that receives one signal after another. It ends only where
    /// [`recv`](Self::recv) fails.
    ///
    /// Parks: no; its `next` does.
    ///
    /// # Examples
    ///
    /// See [`Signals`].
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            signals: self,
            at: self.bell.source().made_at(),
        }
    }

    pub(super) fn recv_within(
        &self,
        limit: Limit,
        at: &'static Location<'static>,
    ) -> io::Result<Signal> {
        let what = What::Signal;
        enter(Wait { what, at });
        // What is there already is not too late, however long ago the last event was.
        if let Some(signal) = self.try_recv() {
            return Ok(signal);
        }
        let manner = Manner {
            way: Way::In,
            what,
            at,
            limit,
        };
        self.bell.source().operate(manner, || self.next())
    }

    /// Takes what came first of what has come.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing has.
    fn next(&self) -> io::Result<Signal> {
        let arrivals = self.listening.iter().map(|listening| {
            let last = last_arrival(listening.signal.number());
            (last, listening)
        });
        let news = arrivals.filter(|(last, listening)| *last > listening.seen.get());
        let (last, listening) = news
            .min_by_key(|(last, _)| *last)
            .ok_or(io::ErrorKind::WouldBlock)?;
        listening.seen.set(last);
        Ok(listening.signal)
    }

    /// What is not received when this is dropped comes again, for whoever handles it then.
    pub(super) fn pass_on_what_is_left(&mut self) {
        for listening in &mut self.listening {
            listening.passes_on = true;
        }
    }
}

fn in_time(received: io::Result<Signal>) -> io::Result<Option<Signal>> {
    match received {
        Ok(signal) => Ok(Some(signal)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(error),
    }
}

/// A signal that is listened to, until this is dropped.
struct Listening {
    signal: Signal,
    /// The number of the arrival that was received last.
    seen: Cell<usize>,
    passes_on: bool,
}

impl Listening {
    fn begin(signal: Signal) -> io::Result<Self> {
        signal.ask_for_listening()?;
        let seen = Cell::new(signals_so_far());
        faults::call(|| listen_to_signal(signal.number()))?;
        Ok(Listening {
            signal,
            seen,
            passes_on: false,
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let number = self.signal.number();
        let was_last = forget_signal(number);
        // Other listeners have it as well.
        if self.passes_on && was_last && last_arrival(number) > self.seen.get() {
            let _ = super::raise(self.signal);
        }
    }
}

/// What [`Signals::iter`] gives.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    signals: &'a Signals,
    at: &'static Location<'static>,
}

/// Parks: until a signal comes, as [`Signals::recv`].
impl Iterator for Iter<'_> {
    type Item = Signal;

    fn next(&mut self) -> Option<Signal> {
        self.signals.recv_within(Limit::Never, self.at).ok()
    }
}

impl<'a> IntoIterator for &'a Signals {
    type Item = Signal;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals = self.listening.iter().map(|listening| listening.signal);
        f.debug_tuple("Signals")
            .field(&signals.collect::<Vec<_>>())
            .finish()
    }
}

impl UnwindSafe for Signals {}
impl RefUnwindSafe for Signals {}
