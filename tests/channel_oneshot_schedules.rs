//! The channel of one message under many orders of its tasks, one of which is killed at any step.
use maypole::channel::{oneshot, select, unbounded};
use maypole::explore::{Explorer, Switches, any};
use maypole::task::Killed;
use maypole::{Builder, scope, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;

/// Counts the messages that live.
#[derive(Clone, Default)]
struct Census(Rc<Cell<usize>>);

struct Message(Census);

impl Census {
    fn message(&self) -> Message {
        self.0.set(self.0.get() + 1);
        Message(self.clone())
    }

    fn alive(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

/// What the two tasks saw: `None` if the task was killed first.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Story {
    sent: Option<bool>,
    received: Option<bool>,
}

impl Story {
    /// Whether it can be told without a message that is lost or doubled.
    fn holds(self) -> bool {
        match (self.sent, self.received) {
            (Some(true), received) => received != Some(false),
            // Only a receiver that was killed gives the message back.
            (Some(false), received) => received.is_none(),
            (None, received) => received == Some(false),
        }
    }
}

/// A sender, and a receiver that waits first in a select and then alone; `victim` is killed once
/// `wait` is over.
fn exchange(victim: usize, wait: &dyn Fn(), place: &str) -> Killed {
    let census = Census::default();
    let story = Cell::new(Story {
        sent: None,
        received: None,
    });
    let killed = scope(|s| {
        let (census, story) = (&census, &story);
        let (sender, receiver) = oneshot();
        let tasks = [
            s.spawn(move || {
                yield_now();
                let sent = Some(sender.send(census.message()).is_ok());
                story.set(Story {
                    sent,
                    ..story.get()
                });
            }),
            s.spawn(move || {
                let (first, other) = unbounded();
                spawn(move || first.send(()));
                let received = select! {
                    recv(receiver) -> message => message,
                    recv(other) -> _ => receiver.recv(),
                };
                let received = Some(received.is_ok());
                story.set(Story {
                    received,
                    ..story.get()
                });
            }),
        ];
        wait();
        let killed = tasks[victim].kill("at this step");
        drop(tasks.map(|task| task.join()));
        killed
    });
    assert_eq!(census.alive(), 0, "{place}");
    assert!(story.get().holds(), "{:?}: {place}", story.get());
    killed
}

#[test]
fn a_kill_at_any_step_loses_no_message_and_doubles_none() {
    let mut met = Vec::new();
    for seed in 0..40 {
        for (victim, turns) in (0..2).flat_map(|v| (0..6).map(move |turns| (v, turns))) {
            let place = format!("seed {seed}, victim {victim}, {turns} turns");
            let wait = || (0..turns).for_each(|_| yield_now());
            let program = || exchange(victim, &wait, &place);
            let run = Builder::new().seed(seed).run(program);
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

#[test]
fn under_every_schedule_a_kill_loses_no_message_and_doubles_none() {
    for (switches, forced) in [(Switches::Parking, 9), (Switches::Everywhere, 2)] {
        let explorer = Explorer::new().switches(switches).forced(forced);
        let outcome = explorer.check(|| {
            exchange(any(2), &yield_now, "in this schedule");
        });
        assert!(outcome.failure.is_none(), "{outcome}");
        assert!(outcome.complete || outcome.forced == Some(2), "{outcome}");
    }
}
