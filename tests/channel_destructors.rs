//! Messages whose destructors use channels, park, panic, or kill.
mod channel_support;

use channel_support::{SECOND, panic_text, virtually};
use maypole::channel::{
    Receiver, Sender, TryRecvError, TrySendError, bounded, never, select, unbounded,
};
use maypole::{sleep, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Does something when it is dropped.
struct Does(Option<Box<dyn FnOnce()>>);

impl Does {
    fn on_drop(action: impl FnOnce() + 'static) -> Does {
        Does(Some(Box::new(action)))
    }
}

impl Drop for Does {
    fn drop(&mut self) {
        if let Some(action) = self.0.take() {
            action();
        }
    }
}

#[test]
fn a_message_may_use_its_channel_when_it_is_dropped_with_it() {
    let (sender, receiver) = bounded(2);
    let log = Rc::new(RefCell::new(Vec::new()));
    for n in 0..2 {
        let (theirs, log) = (sender.clone(), log.clone());
        let message = Does::on_drop(move || {
            let refused = theirs
                .try_send(Does(None))
                .map_err(|error| error.is_disconnected());
            log.borrow_mut().push((n, theirs.len(), refused));
            drop(theirs.clone());
        });
        sender.send(message).ok().unwrap();
    }
    drop(receiver);
    assert_eq!(*log.borrow(), [(0, 0, Err(true)), (1, 0, Err(true))]);
}

#[test]
fn a_message_may_be_sent_while_another_is_dropped() {
    virtually(|| {
        let (sender, receiver) = unbounded();
        let (inner, from_inner) = unbounded();
        sender
            .send(Does::on_drop(move || inner.send(7).unwrap()))
            .ok()
            .unwrap();
        let waits = spawn(move || from_inner.recv());
        yield_now();
        drop(receiver);
        assert_eq!(waits.join().unwrap(), Ok(7));
    });
}

#[test]
fn messages_inside_of_messages_are_dropped_in_order() {
    const DEPTH: usize = 50;
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut message = Does(None);
    for depth in (0..DEPTH).rev() {
        let (sender, receiver) = unbounded::<Does>();
        sender.send(message).ok().unwrap();
        let log = log.clone();
        message = Does::on_drop(move || {
            log.borrow_mut().push(depth);
            drop(receiver);
        });
    }
    drop(message);
    assert!(log.borrow().iter().copied().eq(0..DEPTH));
}

#[test]
fn a_message_may_hold_the_last_receiver_of_its_own_channel() {
    let (sender, receiver) = unbounded::<Box<dyn std::any::Any>>();
    let dropped = Rc::new(());
    sender.send(Box::new(dropped.clone())).unwrap();
    // A circle: nobody can come to it any more, as with any `Rc`.
    sender.send(Box::new(receiver)).unwrap();
    assert_eq!(sender.len(), 2);
    assert_eq!(Rc::strong_count(&dropped), 2);
}

#[test]
fn the_last_receiver_may_come_back_with_a_refused_message() {
    let (sender, receiver) = bounded::<Receiver<u8>>(0);
    let (_numbers, numbers) = unbounded();
    let refused = sender.try_send(numbers).unwrap_err();
    assert!(matches!(refused, TrySendError::Full(_)));
    drop(receiver);
    let refused = sender.try_send(refused.into_inner()).unwrap_err();
    assert!(refused.is_disconnected());
}

#[test]
fn a_message_may_park_when_it_is_dropped_with_its_channel() {
    virtually(|| {
        let (sender, receiver) = unbounded();
        let log = Rc::new(RefCell::new(Vec::new()));
        for n in 0..3 {
            let log = log.clone();
            let message = Does::on_drop(move || {
                sleep(SECOND);
                log.borrow_mut().push(n);
            });
            sender.send(message).ok().unwrap();
        }
        let dropping = spawn(move || drop(receiver));
        sleep(SECOND + SECOND / 2);
        // The channel is disconnected for all, and the rest is on its way out.
        assert!(sender.try_send(Does(None)).unwrap_err().is_disconnected());
        assert_eq!((sender.len(), log.borrow().len()), (0, 1));
        dropping.join().unwrap();
        assert_eq!(*log.borrow(), [0, 1, 2]);
    });
}

#[test]
fn a_kill_interrupts_the_destructors_of_messages_and_leaves_none_out() {
    virtually(|| {
        let (sender, receiver) = unbounded();
        let dropped = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let dropped = dropped.clone();
            let message = Does::on_drop(move || {
                dropped.set(dropped.get() + 1);
                sleep(SECOND);
            });
            sender.send(message).ok().unwrap();
        }
        let dropping = spawn(move || {
            drop(receiver);
            task::check_killed();
        });
        yield_now();
        dropping.kill("while it drops the first");
        assert!(dropping.join().unwrap_err().is_killed());
        assert_eq!(dropped.get(), 3);
    });
}

#[test]
fn the_message_of_a_killed_sender_may_park_and_send() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let (inner, from_inner) = bounded(0);
        let again = sender.clone();
        let message = Does::on_drop(move || {
            inner.send(7).unwrap();
            again.send(Does(None)).ok().unwrap();
        });
        let victim = spawn(move || sender.send(message).is_ok());
        yield_now();
        victim.kill("while it sends");
        assert_eq!(from_inner.recv(), Ok(7));
        assert!(receiver.recv().is_ok(), "what the destructor sends");
        assert!(victim.join().unwrap_err().is_killed());
        assert!(matches!(
            receiver.try_recv(),
            Err(TryRecvError::Disconnected)
        ));
    });
}

#[test]
fn a_panic_in_the_destructor_of_a_received_message_is_the_receivers() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let receives = spawn(move || {
            let message = receiver.recv();
            drop(message);
        });
        yield_now();
        sender
            .send(Does::on_drop(|| panic!("grumpy")))
            .ok()
            .unwrap();
        assert_eq!(receives.join().unwrap_err().message(), Some("grumpy"));
        assert!(sender.send(Does(None)).is_err());
    });
}

#[test]
fn a_message_that_kills_its_receiver_is_received_all_the_same() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let got = Rc::new(Cell::new(false));
        let theirs = got.clone();
        let victim = spawn(move || {
            let message = receiver.recv();
            theirs.set(message.is_ok());
            drop(message);
            task::check_killed();
        });
        let prey = victim.task().clone();
        yield_now();
        let message = Does::on_drop(move || _ = prey.kill("by the message"));
        sender.send(message).ok().unwrap();
        assert!(victim.join().unwrap_err().is_killed());
        assert!(got.get());
    });
}

#[test]
fn a_select_inside_of_the_message_of_a_select_is_a_select() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let silence = never::<u32>();
        sender.send(1).unwrap();
        fn take(sender: &Sender<u32>, receiver: &Receiver<u32>, depth: u32) -> u32 {
            let silence = never::<u32>();
            if depth == 0 {
                return receiver.recv().unwrap();
            }
            select! {
                recv(receiver) -> n => {
                    select! {
                        send(sender, n.unwrap() + 1) -> sent => sent.unwrap(),
                        recv(silence) -> _ => unreachable!(),
                    }
                    take(sender, receiver, depth - 1)
                }
                recv(silence) -> _ => unreachable!(),
            }
        }
        let taken = take(&sender, &receiver, 10);
        assert_eq!(taken, 11);
        select! {
            send(sender, taken + 1) -> sent => sent.unwrap(),
            recv(silence) -> _ => unreachable!(),
        }
        // The place is kept while the message is made of what is received in its place.
        sleep(SECOND);
        assert_eq!(receiver.recv(), Ok(12));
    });
}

fn no_message() -> u8 {
    panic!("no message")
}

#[test]
fn a_panic_inside_of_a_nested_message_releases_every_claim() {
    virtually(|| {
        let (outer, from_outer) = bounded(1);
        let (inner, from_inner) = bounded(1);
        let silence = never::<u8>();
        let text = panic_text(|| {
            select! {
                send(outer, select! {
                    send(inner, no_message()) -> _ => 1,
                    recv(silence) -> _ => 2,
                }) -> _ => unreachable!(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        assert_eq!(text.as_deref(), Some("no message"));
        assert!(outer.try_send(1).is_ok() && inner.try_send(1).is_ok());
        assert_eq!((from_outer.len(), from_inner.len()), (1, 1));
    });
}

#[test]
fn a_body_may_leave_the_select_any_way() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let silence = never::<u8>();
        let leave = |way: u8| -> Option<u8> {
            for _ in 0..2 {
                select! {
                    send(sender, match way {
                        0 => return Some(0),
                        1 => break,
                        2 => continue,
                        _ => way,
                    }) -> sent => sent.unwrap(),
                    recv(silence) -> _ => unreachable!(),
                }
                return Some(receiver.recv().unwrap());
            }
            None
        };
        assert_eq!(
            [leave(0), leave(1), leave(2), leave(3)],
            [Some(0), None, None, Some(3)]
        );
        assert!(sender.try_send(4).is_ok(), "no place is kept");
    });
}
