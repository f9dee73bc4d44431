//! Messages of every kind: of no size, large, borrowed, not `Send`, ends of channels.
mod channel_support;

use channel_support::{CAPACITIES, SECOND, channel, virtually};
use maypole::channel::{Receiver, Select, Sender, bounded, never, select, unbounded};
use maypole::{Builder, run, scope, spawn};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[test]
fn messages_of_no_size_are_counted() {
    for capacity in CAPACITIES {
        virtually(|| {
            let (sender, receiver) = channel(capacity);
            let sends = spawn(move || (0..1000).for_each(|_| sender.send(()).unwrap()));
            let silence = never::<()>();
            let mut count = 0;
            while let Ok(()) = select! {
                recv(receiver) -> message => message,
                recv(silence) -> message => message,
            } {
                count += 1;
            }
            assert_eq!(count, 1000);
            sends.join().unwrap();
        });
    }
}

#[test]
fn large_messages_need_a_large_stack_alone() {
    type Large = [u8; 32 << 10];
    fn large(n: u8) -> Large {
        [n; 32 << 10]
    }
    let send: [fn(&Sender<Large>); 3] = [
        |sender| sender.send(large(1)).unwrap(),
        |sender| sender.send_timeout(large(1), SECOND).unwrap(),
        |sender| {
            let silence = never::<u8>();
            select! {
                send(sender, large(1)) -> sent => sent.unwrap(),
                recv(silence) -> _ => unreachable!(),
            }
        },
    ];
    let receive: [fn(&Receiver<Large>) -> u8; 2] = [
        |receiver| receiver.recv().unwrap()[1000],
        |receiver| {
            let mut select = Select::new();
            select.recv(receiver);
            select.select().recv(receiver).unwrap()[1000]
        },
    ];
    Builder::new()
        .stack_size(4 << 20)
        .run(|| {
            for (send, receive) in send
                .iter()
                .flat_map(|s| receive.iter().map(move |r| (*s, *r)))
            {
                let (sender, receiver) = bounded(0);
                let receives = spawn(move || receive(&receiver));
                send(&sender);
                assert_eq!(receives.join().unwrap(), 1);
            }
        })
        .unwrap();
}

#[test]
fn messages_may_borrow_from_outside_of_a_scope() {
    let words = ["to", "be", "or", "not"].map(String::from);
    let count = Cell::new(0);
    let longest = run(|| {
        scope(|s| {
            let (sender, receiver) = bounded::<&String>(1);
            let (counts, counters) = unbounded::<&Cell<usize>>();
            let longest = s.spawn(move || receiver.iter().max_by_key(|word| word.len()));
            s.spawn(move || {
                for counter in &counters {
                    counter.set(counter.get() + 1);
                }
            });
            for word in &words {
                sender.send(word).unwrap();
                counts.send(&count).unwrap();
            }
            drop((sender, counts));
            longest.join().unwrap()
        })
    });
    assert_eq!(longest, Some(&words[3]));
    assert_eq!(count.get(), words.len());
}

#[test]
fn a_select_takes_messages_that_borrow() {
    let number = Cell::new(1);
    run(|| {
        scope(|s| {
            let (sender, receiver) = bounded::<&Cell<u8>>(0);
            let silence = never::<&Cell<u8>>();
            s.spawn(move || {
                select! {
                    recv(receiver) -> cell => cell.unwrap().set(2),
                    recv(silence) -> _ => unreachable!(),
                }
            });
            sender.send(&number).unwrap();
        });
    });
    assert_eq!(number.get(), 2);
}

#[test]
fn messages_need_neither_be_send_nor_clone_nor_debug() {
    struct Plain(Rc<RefCell<Vec<u8>>>);
    run(|| {
        let shared = Rc::new(RefCell::new(Vec::new()));
        let (sender, receiver) = unbounded();
        let task = spawn(move || {
            receiver
                .iter()
                .for_each(|Plain(list)| list.borrow_mut().push(1))
        });
        for _ in 0..3 {
            assert!(sender.send(Plain(shared.clone())).is_ok());
        }
        drop(sender);
        task.join().unwrap();
        assert_eq!(*shared.borrow(), [1, 1, 1]);
    });
}

/// A question, and where the answer goes.
struct Question {
    number: u32,
    answers: Sender<u32>,
}

#[test]
fn the_end_of_a_channel_travels_through_another() {
    run(|| {
        let (questions, asked) = bounded::<Question>(0);
        let server = spawn(move || {
            for Question { number, answers } in &asked {
                answers.send(number * number).unwrap();
            }
        });
        let clients = [3, 4, 5].map(|number| {
            let questions = questions.clone();
            spawn(move || {
                let (answers, answer) = bounded(0);
                questions.send(Question { number, answers }).ok().unwrap();
                answer.recv().unwrap()
            })
        });
        drop(questions);
        let answers = clients.map(|client| client.join().unwrap());
        assert_eq!(answers, [9, 16, 25]);
        server.join().unwrap();
    });
}

#[test]
fn a_channel_may_carry_its_own_sender() {
    run(|| {
        struct Baton(u32, Option<Sender<Baton>>);
        let (sender, receiver) = unbounded::<Baton>();
        sender.send(Baton(3, Some(sender.clone()))).ok().unwrap();
        drop(sender);
        // Connected for as long as a sender is under way.
        let mut rounds = 0;
        while let Ok(Baton(left, sender)) = receiver.recv() {
            rounds += 1;
            let sender = sender.unwrap();
            if left > 0 {
                let again = sender.clone();
                again.send(Baton(left - 1, Some(sender))).ok().unwrap();
            }
        }
        assert_eq!(rounds, 4);
    });
}

#[test]
fn a_receiver_travels_with_what_is_queued() {
    run(|| {
        let (sender, receiver) = unbounded();
        (1..=3).for_each(|n| sender.send(n).unwrap());
        let (receivers, travelled) = bounded(0);
        let task = spawn(move || {
            let receiver: Receiver<i32> = travelled.recv().unwrap();
            receiver.iter().sum::<i32>()
        });
        receivers.send(receiver).unwrap();
        sender.send(4).unwrap();
        drop(sender);
        assert_eq!(task.join().unwrap(), 10);
    });
}

#[test]
fn a_pipeline_of_a_hundred_stages_keeps_the_order() {
    for capacity in CAPACITIES {
        virtually(|| {
            let (sender, mut receiver) = channel(capacity);
            for _ in 0..100 {
                let (next, from_next) = channel(capacity);
                let before = std::mem::replace(&mut receiver, from_next);
                spawn(move || before.iter().for_each(|n: u32| next.send(n + 1).unwrap()));
            }
            spawn(move || (0..50).for_each(|n| sender.send(n).unwrap()));
            assert!(receiver.iter().eq(100..150));
        });
    }
}

#[test]
fn a_burst_of_messages_is_given_back_in_order_while_the_memory_shrinks() {
    let (sender, receiver) = unbounded();
    for round in 0..3 {
        (0..20_000).for_each(|n| sender.send((round, n)).unwrap());
        let received: Vec<_> = receiver.try_iter().collect();
        assert!(received.into_iter().eq((0..20_000).map(|n| (round, n))));
    }
}
