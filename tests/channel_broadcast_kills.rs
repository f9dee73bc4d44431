//! Broadcasts in bad company: messages whose `Clone` or `Drop` parks, panics or comes back to the
//! broadcast, and tasks that are killed.
use maypole::channel::broadcast::{self, broadcast};
use maypole::channel::{RecvError, SendError, TryRecvError, never, select};
use maypole::task::Killed;
use maypole::{Builder, Clock, run, sleep, spawn, time, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn in_virtual_time<T>(main: impl FnOnce() -> T) -> T {
    let run = Builder::new().clock(Clock::Virtual).run(main);
    run.unwrap_or_else(|error| panic!("{error}"))
}

/// A message with a number, and with what it does when it is cloned or dropped.
struct Message {
    number: u32,
    acts: Rc<Acts>,
}

/// Is called with the number of the message.
type Act = Rc<dyn Fn(u32)>;

#[derive(Default)]
struct Acts {
    clones: Cell<usize>,
    dropped: RefCell<Vec<u32>>,
    on_clone: RefCell<Option<Act>>,
    on_drop: RefCell<Option<Act>>,
}

impl Acts {
    fn new() -> Rc<Self> {
        Rc::default()
    }

    fn message(self: &Rc<Self>, number: u32) -> Message {
        let acts = self.clone();
        Message { number, acts }
    }

    fn on_clone(&self, act: impl Fn(u32) + 'static) {
        self.on_clone.replace(Some(Rc::new(act)));
    }

    fn on_drop(&self, act: impl Fn(u32) + 'static) {
        self.on_drop.replace(Some(Rc::new(act)));
    }

    fn rest(&self) {
        self.on_clone.take();
        self.on_drop.take();
    }
}

impl Clone for Message {
    fn clone(&self) -> Self {
        self.acts.clones.set(self.acts.clones.get() + 1);
        let act = self.acts.on_clone.borrow().clone();
        if let Some(act) = act {
            act(self.number);
        }
        self.acts.message(self.number)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.acts.dropped.borrow_mut().push(self.number);
        let act = self.acts.on_drop.borrow().clone();
        if let Some(act) = act {
            act(self.number);
        }
    }
}

/// The number of a message that was received.
fn number<E>(received: Result<Message, E>) -> Result<u32, E> {
    received.map(|message| message.number)
}

fn drain(receiver: &broadcast::Receiver<Message>) -> Vec<u32> {
    receiver.try_iter().map(|message| message.number).collect()
}

// ── clones ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_last_to_receive_gets_the_original() {
    let acts = Acts::new();
    for receivers in 1..=3 {
        let (sender, receiver) = broadcast(1);
        let others: Vec<_> = (1..receivers).map(|_| sender.subscribe()).collect();
        sender.send(acts.message(1)).unwrap();
        drain(&receiver);
        others.iter().for_each(|receiver| drop(drain(receiver)));
        assert_eq!(acts.clones.take(), receivers - 1);
    }
}

#[test]
fn a_receiver_that_leaves_needs_no_clone() {
    let acts = Acts::new();
    let (sender, receiver) = broadcast(1);
    let other = sender.subscribe();
    sender.send(acts.message(1)).unwrap();
    drop(other);
    assert_eq!(number(receiver.recv()), Ok(1));
    assert_eq!(acts.clones.get(), 0);
}

#[test]
fn a_clone_may_come_back_to_the_broadcast_and_yield() {
    run(|| {
        let acts = Acts::new();
        let (sender, first) = broadcast(3);
        let second = Rc::new(sender.subscribe());
        sender.send(acts.message(1)).unwrap();
        sender.send(acts.message(2)).unwrap();
        let (theirs, again, inner) = (sender.clone(), second.clone(), acts.clone());
        acts.on_clone(move |number| {
            inner.rest();
            assert_eq!((number, theirs.len(), again.len()), (1, 2, 2));
            assert_eq!(drain(&(*again).clone()), [1, 2]);
            assert_eq!(drain(&theirs.subscribe()), []);
            theirs.try_send(inner.message(3)).expect("there is room");
            yield_now();
            theirs.try_send(inner.message(4)).unwrap_err();
            drop((*again).clone());
        });
        assert_eq!(number(first.recv()), Ok(1));
        assert_eq!(drain(&first), [2, 3]);
        assert_eq!(drain(&second), [1, 2, 3]);
    });
}

#[test]
fn others_receive_while_a_clone_is_made() {
    in_virtual_time(|| {
        let acts = Acts::new();
        let (sender, slow) = broadcast(1);
        let fast = sender.subscribe();
        sender.send(acts.message(1)).unwrap();
        acts.on_clone(|_| sleep(SECOND));
        let began = time::now();
        let child = spawn(move || number(slow.recv()));
        yield_now();
        assert_eq!(number(fast.recv()), Ok(1));
        sender.send(acts.message(2)).unwrap();
        assert!(time::now() < began + 3 * SECOND);
        assert_eq!(child.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_clone_that_panics_leaves_the_message_to_be_received() {
    let acts = Acts::new();
    let (sender, receiver) = broadcast(1);
    let _other = sender.subscribe();
    sender.send(acts.message(1)).unwrap();
    acts.on_clone(|_| panic!("not now"));
    for receive in [
        &(|| drop(receiver.recv())) as &dyn Fn(),
        &|| drop(receiver.try_recv()),
        &|| {
            select! {
                recv(receiver) -> message => drop(message),
                recv(never::<u8>()) -> _ => unreachable!(),
            }
        },
    ] {
        assert!(catch_unwind(AssertUnwindSafe(receive)).is_err());
        assert_eq!(receiver.len(), 1);
    }
    acts.rest();
    assert_eq!(drain(&receiver), [1]);
}

#[test]
fn a_message_whose_receive_was_killed_in_its_clone_is_left_to_the_others() {
    in_virtual_time(|| {
        let acts = Acts::new();
        let (sender, receiver) = broadcast(2);
        let (receiver, other) = (Rc::new(receiver), sender.subscribe());
        acts.on_clone(|_| sleep(SECOND));
        let children = [(); 2].map(|()| {
            let receiver = receiver.clone();
            spawn(move || number(receiver.recv()))
        });
        yield_now();
        sender.send(acts.message(1)).unwrap();
        yield_now();
        assert_eq!(drain(&receiver), [], "the first has taken it and clones it");
        children[0].kill("too slow");
        let [killed, waited] = children;
        assert!(killed.join().unwrap_err().is_killed());
        acts.rest();
        assert_eq!(waited.join().unwrap(), Ok(1));
        assert_eq!(drain(&other), [1]);
        assert_eq!(acts.dropped.borrow().len(), acts.clones.get());
    });
}

#[test]
fn what_comes_back_from_clones_is_received_in_the_order_of_sending() {
    in_virtual_time(|| {
        for first_back in [0, 1] {
            let acts = Acts::new();
            let (sender, receiver) = broadcast(4);
            let (receiver, other) = (Rc::new(receiver), sender.subscribe());
            (1..=3).for_each(|n| sender.send(acts.message(n)).unwrap());
            acts.on_clone(|_| sleep(SECOND));
            let children = [(); 2].map(|()| {
                let receiver = receiver.clone();
                spawn(move || number(receiver.recv()))
            });
            yield_now();
            for n in [first_back, 1 - first_back] {
                children[n].kill("too slow");
                yield_now();
            }
            acts.rest();
            let clone = (*receiver).clone();
            assert_eq!(drain(&receiver), [1, 2, 3]);
            assert_eq!(drain(&clone), [1, 2, 3]);
            assert_eq!(drain(&other), [1, 2, 3]);
        }
    });
}

#[test]
fn a_timeout_in_a_clone_leaves_the_message() {
    in_virtual_time(|| {
        let acts = Acts::new();
        let (sender, receiver) = broadcast(1);
        let _other = sender.subscribe();
        sender.send(acts.message(1)).unwrap();
        acts.on_clone(|_| sleep(2 * SECOND));
        assert!(time::timeout(SECOND, || drop(receiver.recv())).is_err());
        acts.rest();
        assert_eq!(drain(&receiver), [1]);
    });
}

// ── drops ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_nobody_else_has_to_receive_is_dropped_in_order_with_the_receiver() {
    let acts = Acts::new();
    let (sender, slow) = broadcast(4);
    let fast = sender.subscribe();
    (1..=3).for_each(|n| sender.send(acts.message(n)).unwrap());
    drain(&fast);
    acts.dropped.take();
    let late = sender.subscribe();
    sender.send(acts.message(4)).unwrap();
    drop(slow);
    assert_eq!(acts.dropped.take(), [1, 2, 3]);
    drop(late);
    assert_eq!(acts.dropped.take(), []);
    drop(fast);
    assert_eq!(acts.dropped.take(), [4]);
}

#[test]
fn after_a_drop_that_panics_the_other_messages_are_left_alone() {
    let acts = Acts::new();
    let (sender, receiver) = broadcast(3);
    (1..=3).for_each(|n| sender.send(acts.message(n)).unwrap());
    acts.on_drop(|_| panic!("first drop"));
    let payload = catch_unwind(AssertUnwindSafe(|| drop(receiver))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"first drop"));
    acts.rest();
    assert_eq!(acts.dropped.take(), [1]);
    let receiver = sender.subscribe();
    sender.send(acts.message(4)).unwrap();
    assert_eq!(drain(&receiver), [4]);
}

#[test]
fn a_message_may_send_into_its_own_broadcast_when_it_is_dropped() {
    let acts = Acts::new();
    let (sender, slow) = broadcast(2);
    sender.send(acts.message(1)).unwrap();
    let fast = sender.subscribe();
    let (theirs, inner) = (sender.clone(), acts.clone());
    acts.on_drop(move |number| {
        inner.rest();
        theirs.send(inner.message(10 + number)).unwrap();
        drop(theirs.subscribe());
    });
    drop(slow);
    assert_eq!(drain(&fast), [11]);
}

// ── kills ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_sender_withdraws_its_message() {
    run(|| {
        let acts = Acts::new();
        let (sender, receiver) = broadcast(1);
        sender.send(acts.message(1)).unwrap();
        let (theirs, message) = (sender.clone(), acts.message(2));
        let child = spawn(move || theirs.send(message));
        yield_now();
        assert_eq!(child.kill("not needed"), Killed::Parked);
        assert!(child.join().unwrap_err().is_killed());
        assert_eq!(acts.dropped.take(), [2]);
        assert_eq!(drain(&receiver), [1]);
    });
}

#[test]
fn a_sender_that_was_woken_has_sent_though_it_is_killed() {
    run(|| {
        let acts = Acts::new();
        let (sender, receiver) = broadcast(1);
        sender.send(acts.message(1)).unwrap();
        let (message, sent) = (acts.message(2), Rc::new(Cell::new(false)));
        let theirs = sent.clone();
        let child = spawn(move || {
            theirs.set(sender.send(message).is_ok());
            yield_now();
            unreachable!("the kill comes at the next park");
        });
        yield_now();
        assert_eq!(number(receiver.recv()), Ok(1));
        assert_eq!(child.kill("too late"), Killed::Ready);
        assert!(child.join().unwrap_err().is_killed());
        assert!(sent.get());
        assert_eq!(number(receiver.recv()), Ok(2));
        assert_eq!(number(receiver.recv()), Err(RecvError));
    });
}

#[test]
fn a_receiver_that_was_woken_keeps_its_message_though_it_is_killed() {
    run(|| {
        let (sender, receiver) = broadcast(1);
        let got = Rc::new(Cell::new(None));
        let theirs = got.clone();
        let child = spawn(move || {
            theirs.set(Some(receiver.recv()));
            yield_now();
            unreachable!("the kill comes at the next park");
        });
        yield_now();
        sender.send(7).unwrap();
        assert_eq!(child.kill("too late"), Killed::Ready);
        assert!(child.join().unwrap_err().is_killed());
        assert_eq!(got.get(), Some(Ok(7)));
    });
}

#[test]
fn a_slow_receiver_that_is_killed_lets_the_sender_go_on() {
    run(|| {
        let (sender, slow) = broadcast(1);
        let fast = sender.subscribe();
        let sleeper = spawn(move || {
            maypole::task::park();
            slow.recv()
        });
        let sends = spawn(move || (1..=2).try_for_each(|n| sender.send(n)));
        yield_now();
        assert_eq!(fast.recv(), Ok(1));
        assert_eq!(fast.try_recv(), Err(TryRecvError::Empty));
        sleeper.kill("too slow");
        assert_eq!(fast.recv(), Ok(2));
        assert_eq!(sends.join().unwrap(), Ok::<(), SendError<_>>(()));
    });
}
