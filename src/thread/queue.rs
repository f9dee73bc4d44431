//! A channel between OS threads: messages, and who waits for whom. Nothing here sleeps.
//!
//! ```text
//!   sending (each with its message) ──► queue ──► receiving ──► received (by whom)
//!   somebody waits to send only while the queue is full, to receive only while it is empty
//! ```
//!
//! A message goes straight to the first who waits, and that first out of its list, in one step
//! under the lock: whoever is killed or too late looks under the same lock, and finds either.
use super::exchange::Attempt;
use super::sleeper::Sleeper;
use crate::channel::{RecvError, TryRecvError};
use crate::task::drop_in_turn;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages that there is room for in memory when nothing is queued.
const KEPT: usize = 1024;

pub(super) struct Chan<T> {
    state: Mutex<State<T>>,
    /// `usize::MAX` where there is no bound.
    pub(super) capacity: usize,
}

struct State<T> {
    queue: VecDeque<T>,
    /// Those who wait, by their number, which says who came first.
    sending: BTreeMap<u64, (Sleeper, T)>,
    receiving: BTreeMap<u64, Sleeper>,
    /// Messages that were handed over and are not fetched yet.
    received: BTreeMap<u64, T>,
    next: u64,
    senders: usize,
    receivers: usize,
}

pub(super) enum Refusal {
    Full,
    Disconnected,
}

impl<T> Chan<T> {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Chan {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                sending: BTreeMap::new(),
                receiving: BTreeMap::new(),
                received: BTreeMap::new(),
                next: 0,
                senders: 1,
                receivers: 1,
            }),
            capacity,
        })
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held, and nothing of a user's runs.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.state().queue.len()
    }

    /// Sends what needs no waiting; else the message is left where it is.
    #[inline]
    pub(super) fn try_send(&self, message: &mut Option<T>) -> Result<(), Refusal> {
        let mut state = self.state();
        let met = state.send(message, self.capacity)?;
        drop(state);
        wake(met);
        Ok(())
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.state();
        let (message, met) = state.recv()?;
        drop(state);
        wake(met);
        Ok(message)
    }

    pub(super) fn add_sender(&self) {
        self.state().senders += 1;
    }

    pub(super) fn add_receiver(&self) {
        self.state().receivers += 1;
    }

    /// The last one disconnects the channel: who waits for a message looks again.
    pub(super) fn remove_sender(&self) {
        let mut state = self.state();
        state.senders -= 1;
        if state.senders == 0 {
            state.receiving.values().for_each(Sleeper::wake);
        }
    }

    /// The last one disconnects the channel: who waits to send looks again, and what nobody will
    /// receive is dropped.
    pub(super) fn remove_receiver(&self) {
        let mut state = self.state();
        state.receivers -= 1;
        if state.receivers > 0 {
            return;
        }
        state
            .sending
            .values()
            .for_each(|(sleeper, _)| sleeper.wake());
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        drop_in_turn(queue);
    }
}

#[inline]
fn wake(met: Option<Sleeper>) {
    if let Some(sleeper) = met {
        sleeper.wake();
    }
}

impl<T> State<T> {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Gives whom to wake.
    fn send(
        &mut self,
        message: &mut Option<T>,
        capacity: usize,
    ) -> Result<Option<Sleeper>, Refusal> {
        if self.receivers == 0 {
            return Err(Refusal::Disconnected);
        }
        while let Some((number, sleeper)) = self.receiving.pop_first() {
            if !sleeper.is_lost() {
                let message = message.take().expect("what is sent is there");
                self.received.insert(number, message);
                return Ok(Some(sleeper));
            }
        }
        if self.queue.len() >= capacity {
            return Err(Refusal::Full);
        }
        self.queue.extend(message.take());
        Ok(None)
    }

    /// The oldest message, and whom to wake.
    fn recv(&mut self) -> Result<(T, Option<Sleeper>), TryRecvError> {
        // Whoever waits no more takes its message back itself.
        let mut waiting = self.sending.iter();
        let first = waiting.find(|(_, (sleeper, _))| !sleeper.is_lost());
        let first = first.map(|(number, _)| *number);
        let waiting = first.and_then(|number| self.sending.remove(&number));
        let (sleeper, sent) = match waiting {
            Some((sleeper, message)) => (Some(sleeper), Some(message)),
            None => (None, None),
        };
        self.queue.extend(sent);
        match self.queue.pop_front() {
            Some(message) => {
                if self.queue.is_empty() && self.queue.capacity() > KEPT {
                    self.queue = VecDeque::new();
                }
                Ok((message, sleeper))
            }
            None if self.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

/// A send that may have to wait.
pub(super) struct Send<'a, T> {
    chan: &'a Chan<T>,
    /// Before it is sent, and where it was not.
    pub(super) message: Option<T>,
    number: u64,
}

/// A send that failed, its message left in place.
pub(super) struct Disconnected;

impl<'a, T> Send<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, message: T) -> Self {
        Send {
            chan,
            message: Some(message),
            number: 0,
        }
    }
}

impl<T> Attempt for &mut Send<'_, T> {
    type Output = Result<(), Disconnected>;

    fn try_now(&mut self) -> Option<Self::Output> {
        match self.chan.try_send(&mut self.message) {
            Ok(()) => Some(Ok(())),
            Err(Refusal::Disconnected) => Some(Err(Disconnected)),
            Err(Refusal::Full) => None,
        }
    }

    fn enlist(&mut self, sleeper: Sleeper) -> bool {
        let mut state = self.chan.state();
        self.number = state.number();
        match state.send(&mut self.message, self.chan.capacity) {
            Ok(met) => {
                drop(state);
                wake(met);
                true
            }
            Err(refusal) => {
                let message = self.message.take().expect("it was refused");
                state.sending.insert(self.number, (sleeper, message));
                matches!(refusal, Refusal::Disconnected)
            }
        }
    }

    fn look(&mut self) -> Option<Self::Output> {
        let mut state = self.chan.state();
        if !state.sending.contains_key(&self.number) {
            return Some(Ok(()));
        }
        if state.receivers > 0 {
            return None;
        }
        let waiting = state.sending.remove(&self.number);
        self.message = waiting.map(|(_, message)| message);
        Some(Err(Disconnected))
    }

    fn withdraw(&mut self) -> Option<Self::Output> {
        match self.chan.state().sending.remove(&self.number) {
            Some((_, message)) => {
                self.message = Some(message);
                None
            }
            None => Some(Ok(())),
        }
    }
}

/// A receive that may have to wait.
pub(super) struct Recv<'a, T> {
    chan: &'a Chan<T>,
    number: u64,
}

impl<'a, T> Recv<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        Recv { chan, number: 0 }
    }
}

impl<T> Attempt for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn try_now(&mut self) -> Option<Self::Output> {
        match self.chan.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn enlist(&mut self, sleeper: Sleeper) -> bool {
        let mut state = self.chan.state();
        self.number = state.number();
        match state.recv() {
            Ok((message, met)) => {
                state.received.insert(self.number, message);
                drop(state);
                wake(met);
                true
            }
            Err(refusal) => {
                state.receiving.insert(self.number, sleeper);
                refusal == TryRecvError::Disconnected
            }
        }
    }

    fn look(&mut self) -> Option<Self::Output> {
        let mut state = self.chan.state();
        if let Some(message) = state.received.remove(&self.number) {
            return Some(Ok(message));
        }
        if state.senders > 0 {
            return None;
        }
        state.receiving.remove(&self.number);
        Some(Err(RecvError))
    }

    fn withdraw(&mut self) -> Option<Self::Output> {
        let mut state = self.chan.state();
        state.receiving.remove(&self.number);
        state.received.remove(&self.number).map(Ok)
    }
}
