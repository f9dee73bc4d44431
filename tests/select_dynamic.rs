//! Selects whose cases are known only when the program runs: many of them, again and again.
mod channel_support;

use channel_support::{SECOND, panic_text, virtually};
use maypole::channel::{Receiver, Select, Sender, after, bounded, never, select, unbounded};
use maypole::{run, sleep, spawn, yield_now};

fn channels(count: usize) -> (Vec<Sender<usize>>, Vec<Receiver<usize>>) {
    (0..count).map(|_| bounded(0)).unzip()
}

#[test]
fn a_thousand_cases_wait_for_one_message() {
    virtually(|| {
        let (senders, receivers) = channels(1000);
        let waits = spawn(move || {
            let mut select = Select::new();
            receivers
                .iter()
                .for_each(|receiver| _ = select.recv(receiver));
            (0..3)
                .map(|_| {
                    let operation = select.select();
                    let index = operation.index();
                    (index, operation.recv(&receivers[index]))
                })
                .collect::<Vec<_>>()
        });
        for index in [999, 0, 500] {
            yield_now();
            senders[index].send(index).unwrap();
        }
        let expected = [999, 0, 500].map(|index| (index, Ok(index)));
        assert_eq!(waits.join().unwrap(), expected);
        // Nobody is left in the queues of the others.
        assert!(senders.iter().all(|sender| sender.try_send(1).is_err()));
    });
}

#[test]
fn a_thousand_cases_can_be_killed_and_timed_out() {
    virtually(|| {
        let (senders, receivers) = channels(1000);
        let (more_senders, _more) = channels(1000);
        let waits = spawn(move || {
            let mut select = Select::new();
            receivers
                .iter()
                .for_each(|receiver| _ = select.recv(receiver));
            more_senders
                .iter()
                .for_each(|sender| _ = select.send(sender));
            assert!(select.select_timeout(SECOND).is_err());
            assert!(select.ready_timeout(SECOND).is_err());
            select.select().index()
        });
        sleep(3 * SECOND);
        waits.kill("while it waits for all");
        assert!(waits.join().unwrap_err().is_killed());
        assert!(senders.iter().all(|sender| sender.try_send(1).is_err()));
    });
}

#[test]
fn each_of_many_ready_cases_is_chosen_now_and_then() {
    let channels: Vec<_> = (0..20).map(|_| unbounded()).collect();
    let mut select = Select::new();
    for (sender, receiver) in &channels {
        (0..1000).for_each(|_| sender.send(()).unwrap());
        select.recv(receiver);
    }
    run(|| {
        let mut chosen = [0; 20];
        for _ in 0..1000 {
            let operation = select.select();
            let index = operation.index();
            chosen[index] += 1;
            operation.recv(&channels[index].1).unwrap();
        }
        assert!(
            chosen.iter().all(|&count| (20..100).contains(&count)),
            "{chosen:?}"
        );
    });
}

#[test]
fn the_same_case_may_come_twice() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let waits = spawn(move || {
            let mut select = Select::new();
            (0..10).for_each(|_| _ = select.recv(&receiver));
            let mut seen = [0; 10];
            for _ in 0..200 {
                let operation = select.select();
                seen[operation.index()] += 1;
                operation.recv(&receiver).unwrap();
            }
            seen
        });
        for n in 0..200 {
            yield_now();
            sender.send(n).unwrap();
        }
        let seen = waits.join().unwrap();
        assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
    });
}

#[test]
fn a_select_does_not_wait_for_what_was_removed() {
    virtually(|| {
        let (senders, receivers) = channels(3);
        let waits = spawn(move || {
            let mut select = Select::new();
            receivers
                .iter()
                .for_each(|receiver| _ = select.recv(receiver));
            select.remove(1);
            let operation = select.select();
            let index = operation.index();
            (index, operation.recv(&receivers[index]))
        });
        yield_now();
        assert!(senders[1].try_send(1).is_err());
        assert!(senders[2].try_send(2).is_ok());
        assert_eq!(waits.join().unwrap(), (2, Ok(2)));
    });
}

#[test]
fn a_removed_case_is_refused() {
    let (_sender, receiver) = unbounded::<u8>();
    let mut select = Select::new();
    let index = select.recv(&receiver);
    assert!(panic_text(|| select.clone().remove(index + 1)).is_some());
    select.remove(index);
    assert!(panic_text(|| select.clone().remove(index)).is_some());
    assert!(select.try_select().is_err() && select.try_ready().is_err());
    let text = panic_text(|| select.select().index()).expect("nothing is left to wait for");
    assert!(text.contains("no operation"), "{text}");
    assert!(panic_text(|| select.ready()).is_some());
}

#[test]
fn a_select_is_used_again_after_everything_that_can_happen_to_it() {
    virtually(|| {
        let (sender, receiver) = bounded(1);
        let (full, kept) = bounded(1);
        full.send(0).unwrap();
        let mut select = Select::new();
        let recv = select.recv(&receiver);
        let send = select.send(&full);
        assert!(select.try_select().is_err());
        assert!(select.select_timeout(SECOND).is_err());
        sender.send(1).unwrap();
        assert_eq!(select.ready(), recv);
        let operation = select.select();
        assert!(panic_text(|| drop(operation)).is_some());
        let operation = select.select();
        assert_eq!(operation.index(), recv);
        assert_eq!(operation.recv(&receiver), Ok(1));
        let mut copy = select.clone();
        drop(select);
        assert_eq!(kept.recv(), Ok(0));
        let operation = copy.select();
        assert_eq!(operation.index(), send);
        operation.send(&full, 2).unwrap();
        assert_eq!(kept.recv(), Ok(2));
    });
}

#[test]
fn tasks_share_one_select_by_clones() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let timeout = after(10 * SECOND);
        maypole::scope(|s| {
            let mut select = Select::new();
            select.recv(&receiver);
            select.recv(&timeout);
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let (mut select, receiver, timeout) = (select.clone(), &receiver, &timeout);
                    s.spawn(move || {
                        let operation = select.select();
                        match operation.index() {
                            0 => operation.recv(receiver).unwrap(),
                            _ => operation.recv(timeout).map_or(0, |_| 100),
                        }
                    })
                })
                .collect();
            yield_now();
            (1..=3).for_each(|n| sender.send(n).unwrap());
            let sum: i32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 106);
        });
    });
}

#[test]
fn a_biased_select_takes_the_first_of_those_that_are_ready() {
    virtually(|| {
        let channels: Vec<_> = (0..4).map(|_| unbounded()).collect();
        let silence = never::<usize>();
        let mut select = Select::new_biased();
        select.recv(&silence);
        channels
            .iter()
            .for_each(|(_, receiver)| _ = select.recv(receiver));
        for (nth, (sender, _)) in channels.iter().enumerate().rev() {
            sender.send(nth).unwrap();
        }
        for (nth, (_, receiver)) in channels.iter().enumerate() {
            let operation = select.select();
            assert_eq!(operation.index(), nth + 1);
            assert_eq!(operation.recv(receiver), Ok(nth));
        }
        // Parked, it is woken for the first in order, too.
        let (sender, receiver) = bounded(0);
        let mut select = Select::new_biased();
        (0..3).for_each(|_| _ = select.recv(&receiver));
        spawn(move || sender.send(7));
        let operation = select.select();
        assert_eq!(operation.index(), 0);
        assert_eq!(operation.recv(&receiver), Ok(7));
    });
}

#[test]
fn those_who_wait_to_be_ready_do_not_take_a_message_from_those_who_wait_for_it() {
    for capacity in [0, 1] {
        virtually(|| {
            let (sender, receiver) = bounded(capacity);
            let watcher = {
                let receiver = receiver.clone();
                spawn(move || {
                    let mut select = Select::new();
                    select.recv(&receiver);
                    select.ready_timeout(10 * SECOND).is_ok()
                })
            };
            yield_now();
            let waits = spawn(move || receiver.recv());
            yield_now();
            sender.try_send(7).unwrap();
            assert_eq!(waits.join().unwrap(), Ok(7));
            drop(sender);
            assert!(
                watcher.join().unwrap(),
                "it is told of the end at the latest"
            );
        });
    }
}

#[test]
fn those_who_wait_to_be_ready_hear_of_the_end_of_the_other_side() {
    virtually(|| {
        let (sender, receiver) = bounded::<u8>(0);
        let waits = spawn(move || {
            let mut select = Select::new();
            select.recv(&receiver);
            select.ready();
            receiver.try_recv().unwrap_err().is_disconnected()
        });
        yield_now();
        drop(sender);
        assert!(waits.join().unwrap());

        let (sender, receiver) = bounded::<u8>(0);
        let waits = spawn(move || {
            let mut select = Select::new();
            select.send(&sender);
            select.ready();
            sender.try_send(1).unwrap_err().is_disconnected()
        });
        yield_now();
        drop(receiver);
        assert!(waits.join().unwrap());
    });
}

#[test]
fn those_who_wait_to_be_ready_meet_the_next_when_a_message_is_not_made() {
    virtually(|| {
        let (sender, receiver) = bounded(0);
        let tasks = [None, Some(7)].map(|message| {
            let sender = sender.clone();
            spawn(move || {
                let silence = never::<u8>();
                select! {
                    send(sender, {
                        yield_now();
                        message.expect("no message")
                    }) -> sent => sent.unwrap(),
                    recv(silence) -> _ => unreachable!(),
                }
            })
        });
        yield_now();
        let mut select = Select::new();
        select.recv(&receiver);
        let message = loop {
            select.ready();
            if let Ok(message) = receiver.try_recv() {
                break message;
            }
        };
        assert_eq!(message, 7);
        let [panics, sends] = tasks;
        assert!(panics.join().unwrap_err().is_panic());
        sends.join().unwrap();
    });
}
