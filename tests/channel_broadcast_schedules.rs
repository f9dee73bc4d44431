//! Broadcasts under many orders of their tasks, one of which is killed at any step.
use maypole::channel::broadcast::{self, broadcast};
use maypole::channel::{RecvError, never, select};
use maypole::explore::{Explorer, Outcome, Switches, any};
use maypole::task::Killed;
use maypole::{Builder, scope, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Counts the messages that live.
#[derive(Clone, Default)]
struct Census(Rc<Cell<usize>>);

struct Message {
    number: u32,
    census: Census,
}

impl Census {
    fn message(&self, number: u32) -> Message {
        self.0.set(self.0.get() + 1);
        Message {
            number,
            census: self.clone(),
        }
    }
}

impl Clone for Message {
    fn clone(&self) -> Self {
        self.census.message(self.number)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.census.0.set(self.census.0.get() - 1);
    }
}

/// What the tasks of one run saw.
#[derive(Default)]
struct Story {
    /// The messages that senders began to send, and how that ended: `None` by a kill.
    sent: RefCell<Vec<(u32, Option<bool>)>>,
    received: [RefCell<Vec<u32>>; 2],
    /// Whether this receiver came to the end.
    ended: [Cell<bool>; 2],
}

impl Story {
    fn send(&self, sender: &broadcast::Sender<Message>, message: Message, by_select: bool) {
        let number = message.number;
        let index = self.sent.borrow().len();
        self.sent.borrow_mut().push((number, None));
        let sent = match by_select {
            true => select! {
                send(sender, message) -> sent => sent,
                recv(never::<u8>()) -> _ => unreachable!(),
            },
            false => sender.send(message),
        };
        self.sent.borrow_mut()[index].1 = Some(sent.is_ok());
    }

    fn receive(&self, which: usize, receiver: &broadcast::Receiver<Message>) {
        loop {
            let message = match which {
                0 => receiver.recv(),
                _ => select! {
                    recv(receiver) -> message => message,
                    recv(never::<u8>()) -> _ => unreachable!(),
                },
            };
            match message {
                Ok(message) => self.received[which].borrow_mut().push(message.number),
                Err(RecvError) => break,
            }
        }
        self.ended[which].set(true);
    }

    /// Nothing is lost, doubled or out of order, and what did not succeed did not happen.
    fn check(&self, receivers: usize, place: &str) {
        let [first, second] = &self.received;
        let (first, second) = (&*first.borrow(), &*second.borrow());
        let common = first.len().min(second.len());
        assert_eq!(first[..common], second[..common], "{place}");
        let received = [first, second].into_iter().zip(&self.ended);
        for (received, ended) in received.take(receivers) {
            for &(number, sent) in &*self.sent.borrow() {
                let times = received.iter().filter(|&&n| n == number).count();
                let at_least = usize::from(ended.get() && sent == Some(true));
                let at_most = usize::from(sent == Some(true));
                assert!(
                    (at_least..=at_most).contains(&times),
                    "message {number} ({sent:?}) came {times} times: {place}"
                );
            }
        }
    }
}

/// Who takes part in a run.
#[derive(Clone, Copy, Debug)]
struct Cast {
    capacity: usize,
    /// The second receives by a select.
    receivers: usize,
    /// The second sends by a select.
    senders: u32,
    messages: u32,
    /// The number of the task that is killed, receivers first.
    victim: usize,
}

/// Plays it, and kills the victim once `wait` is over.
fn play(cast: Cast, wait: &dyn Fn(), place: &str) -> Killed {
    let (census, story) = (Census::default(), Story::default());
    let killed = scope(|s| {
        let (census, story) = (&census, &story);
        let (sender, first) = broadcast(cast.capacity);
        let others = (1..cast.receivers).map(|_| sender.subscribe());
        let receivers: Vec<_> = std::iter::once(first).chain(others).collect();
        let receivers = receivers.into_iter().enumerate();
        let receivers =
            receivers.map(|(which, receiver)| s.spawn(move || story.receive(which, &receiver)));
        let mut tasks: Vec<_> = receivers.collect();
        for from in 0..cast.senders {
            let sender = sender.clone();
            tasks.push(s.spawn(move || {
                for n in 0..cast.messages {
                    story.send(&sender, census.message(10 * from + n), from > 0);
                }
            }));
        }
        drop(sender);
        wait();
        let killed = tasks[cast.victim].kill("at this step");
        tasks.into_iter().for_each(|task| drop(task.join()));
        killed
    });
    story.check(cast.receivers, &format!("{cast:?} {place}"));
    assert_eq!(census.0.get(), 0, "{cast:?} {place}: messages are left");
    killed
}

#[test]
fn a_kill_at_any_step_loses_no_message_and_doubles_none() {
    let mut met = Vec::new();
    for (capacity, victim) in (1..3).flat_map(|c| (0..4).map(move |victim| (c, victim))) {
        let cast = Cast {
            capacity,
            receivers: 2,
            senders: 2,
            messages: 3,
            victim,
        };
        for (seed, turns) in (0..30).flat_map(|seed| (0..14).map(move |turns| (seed, turns))) {
            let place = format!("with seed {seed}, killed after {turns} turns");
            let wait = || (0..turns).for_each(|_| yield_now());
            let run = Builder::new().seed(seed).run(|| play(cast, &wait, &place));
            met.push(run.unwrap_or_else(|error| panic!("{place}: {error}")));
        }
    }
    for place in [
        Killed::BeforeStart,
        Killed::Parked,
        Killed::Ready,
        Killed::Finished,
    ] {
        assert!(met.contains(&place), "no kill met its victim {place:?}");
    }
}

/// Kills a task at any step of any order that there is time for.
fn explore(switches: Switches, receivers: usize, senders: u32, messages: u32) -> Outcome {
    let explorer = Explorer::new().switches(switches).schedules(5_000);
    let outcome = explorer.check(|| {
        let cast = Cast {
            capacity: 1,
            receivers,
            senders,
            messages,
            victim: any(receivers + senders as usize),
        };
        play(cast, &yield_now, "in this schedule");
    });
    assert!(outcome.failure.is_none(), "{outcome}");
    outcome
}

#[test]
fn under_every_schedule_of_two_tasks_a_kill_loses_no_message_and_doubles_none() {
    let outcome = explore(Switches::Parking, 1, 1, 2);
    assert!(outcome.complete, "{outcome}");
}

#[test]
fn under_many_schedules_a_kill_loses_no_message_and_doubles_none() {
    for (receivers, senders, messages) in [(1, 2, 1), (2, 1, 2), (2, 2, 1)] {
        for switches in [Switches::Parking, Switches::Everywhere] {
            let outcome = explore(switches, receivers, senders, messages);
            assert!(outcome.forced.is_some(), "{outcome}");
        }
    }
}
