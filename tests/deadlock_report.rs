//! What the report of a deadlock says, word for word.
mod child;
mod deadlock_support;

use deadlock_support::{deadlock, head};
use maypole::channel::{self, Receiver, bounded, unbounded};
use maypole::sync::{Condvar, Event, Mutex, RwLock, Semaphore};
use maypole::{Builder, Clock, JoinHandle, scope, sleep, spawn, task, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

const NO_CIRCLE: &str =
    "  all are waiting, but in no circle: something was never sent or released\n\n";

/// Starts a task with a name.
#[track_caller]
fn named(name: &str, body: impl FnOnce() + 'static) -> JoinHandle<()> {
    let builder = task::Builder::new().name(name);
    builder.spawn(body).expect("there are stacks")
}

type Fork = Rc<Mutex<()>>;

fn forks(count: usize) -> Vec<Fork> {
    let fork = |n| Rc::new(Mutex::named(format!("fork {n}"), ())); // @fork
    (0..count).map(fork).collect()
}

/// Takes one fork after the other, and gives the others a turn in between.
fn dine(left: Fork, right: Fork) {
    let _left = left.lock(); // @left
    yield_now();
    let _right = right.lock(); // @right
}

fn philosopher(n: usize, forks: &[Fork]) -> JoinHandle<()> {
    let (left, right) = (forks[n].clone(), forks[(n + 1) % forks.len()].clone());
    named(&format!("phil-{n}"), || dine(left, right)) // @philosopher
}

#[test]
fn two_philosophers_wait_for_each_other() {
    // @main
    let report = deadlock(|| {
        let forks = forks(2);
        // @scope
        scope(|s| {
            for n in 0..2 {
                let (left, right) = (forks[n].clone(), forks[1 - n].clone());
                let name = task::Builder::new().name(format!("phil-{n}"));
                drop(name.spawn_scoped(s, || dine(left, right))); // @spawn
            }
        });
    });
    let text = expected!(
        "
  cycle   phil-0 ─waits for─> Mutex 'fork 1' ─held by─> phil-1 ─waits for─> Mutex 'fork 0' ─held by─> phil-0

  #2 phil-0  waits to lock Mutex 'fork 1' at @right (spawned at @spawn)
             made at @fork, held by phil-1 since @left
             holds Mutex 'fork 0' since @left
|left
|right <-
  #3 phil-1  waits to lock Mutex 'fork 0' at @right (spawned at @spawn)
             made at @fork, held by phil-0 since @left
             holds Mutex 'fork 1' since @left
  #1 main    waits for the end of a scope's tasks at @scope (spawned at @main)
             2 of them are left: phil-0, phil-1
|scope

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 3 tasks") + &text);
}

#[test]
fn three_in_a_ring_come_before_the_two_that_are_outside_of_it() {
    // @main
    let report = deadlock(|| {
        let forks = forks(3);
        let first = forks[0].clone();
        // @guest
        named("guest", move || {
            yield_now();
            drop(first.lock()); // @lock
        });
        let dinners: Vec<_> = (0..3).map(|n| philosopher(n, &forks)).collect();
        dinners
            .into_iter()
            .for_each(|dinner| dinner.join().unwrap()); // @join
    });
    let text = expected!(
        "
  cycle   phil-0 ─waits for─> Mutex 'fork 1' ─held by─> phil-1 ─waits for─> Mutex 'fork 2' ─held by─> phil-2 ─waits for─> Mutex 'fork 0' ─held by─> phil-0

  #3 phil-0  waits to lock Mutex 'fork 1' at @right (spawned at @philosopher)
             made at @fork, held by phil-1 since @left
             holds Mutex 'fork 0' since @left
|left
|right <-
  #4 phil-1  waits to lock Mutex 'fork 2' at @right (spawned at @philosopher)
             made at @fork, held by phil-2 since @left
             holds Mutex 'fork 1' since @left
  #5 phil-2  waits to lock Mutex 'fork 0' at @right (spawned at @philosopher)
             made at @fork, held by phil-0 since @left
             holds Mutex 'fork 2' since @left
  #1 main    joins phil-0 at @join (spawned at @main)
|join
  #2 guest   waits to lock Mutex 'fork 0' at @lock (spawned at @guest)
             made at @fork, held by phil-0 since @left
|lock

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 5 tasks") + &text);
}

#[test]
fn a_join_of_a_task_that_waits_for_a_lock_of_the_joiner_is_a_cycle() {
    // @main
    let report = deadlock(|| {
        let total = Rc::new(Mutex::new(0)); // @made
        let theirs = total.clone();
        let _guard = total.lock(); // @held
        let child = spawn(move || *theirs.lock() += 1); // @child
        child.join().unwrap(); // @join
    });
    let text = expected!(
        "
  cycle   main ─joins─> #2 ─waits for─> Mutex (@made) ─held by─> main

  #1 main  joins #2 at @join (spawned at @main)
           holds Mutex (@made) since @held
|held
|join <-
  #2       waits to lock a Mutex at @child (spawned at @child)
           made at @made, held by main since @held
|child

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to join safely:        let go, before a join, of what the joined task waits for
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 2 tasks") + &text);
}

#[test]
fn the_end_of_a_scope_is_waited_for_as_a_join_but_not_that_of_its_daemons() {
    // @main
    let report = deadlock(|| {
        let total = Mutex::named("total", 0); // @made
        let _guard = total.lock(); // @held
        // @scope
        scope(|s| {
            s.spawn_daemon(|| drop(total.lock())); // @daemon
            s.spawn(|| *total.lock() += 1); // @child
        });
    });
    let text = expected!(
        "
  cycle   main ─joins─> #3 ─waits for─> Mutex 'total' ─held by─> main

  #1 main  waits for the end of a scope's tasks at @scope (spawned at @main)
           1 of them is left: #3
           holds Mutex 'total' since @held
|held
|scope <-
  #3       waits to lock Mutex 'total' at @child (spawned at @child)
           made at @made, held by main since @held
|child
  #2       waits to lock Mutex 'total' at @daemon, is a daemon (spawned at @daemon)
           made at @made, held by main since @held
|daemon

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to join safely:        let go, before a join, of what the joined task waits for
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 3 tasks") + &text);
}

#[test]
fn a_task_that_joins_itself_is_a_cycle() {
    // @main
    let report = deadlock(|| {
        let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let theirs = own.clone();
        // @spawn
        let child = task::Builder::new().name("snake").spawn(move || {
            let own = theirs.take().expect("main has put it there");
            own.join().unwrap(); // @join
        });
        own.replace(child.ok());
        yield_now();
        task::park(); // @park
    });
    let text = expected!(
        "
  cycle   snake ─joins─> snake

  #2 snake  joins snake at @join (spawned at @spawn)
|join
  #1 main   waits to be unparked at @park (spawned at @main)
|park

  to break the circle:   let no task join one that joins it, directly or through others
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 2 tasks") + &text);
}

#[test]
fn a_writer_waits_for_the_reader_that_waits_for_it() {
    // @main
    let report = deadlock(|| {
        let table = Rc::new(RwLock::named("table", ())); // @made
        let theirs = table.clone();
        // @reader
        let reader = named("reader", move || {
            let _guard = theirs.read(); // @bystander
            task::park(); // @park
        });
        yield_now();
        let (theirs, mine) = (table.clone(), table.read()); // @held
        let writer = named("writer", move || drop(theirs.write())); // @write
        writer.join().unwrap(); // @join
        drop((mine, reader));
    });
    let text = expected!(
        "
  cycle   main ─joins─> writer ─waits for─> RwLock 'table' ─held by─> main

  #1 main    joins writer at @join (spawned at @main)
             holds RwLock 'table' since @held
|held
|join <-
  #3 writer  waits to write RwLock 'table' at @write (spawned at @write)
             2 readers, made at @made, held by reader since @bystander, main since @held
|write
  #2 reader  waits to be unparked at @park (spawned at @reader)
             holds RwLock 'table' since @bystander
|bystander
|park <-

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to join safely:        let go, before a join, of what the joined task waits for
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 3 tasks") + &text);
}

#[test]
fn a_main_that_receives_from_nobody_is_receiving() {
    // @main
    let report = deadlock(|| {
        let (_sender, receiver) = channel::Builder::new()
            .capacity(4)
            .name("jobs")
            .build::<u8>(); // @made
        let _ = receiver.recv(); // @recv
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main  is receiving from channel 'jobs' at @recv (spawned at @main)
           bounded(4), 0 queued, 1 sender alive (owner unknown), 1 receiver alive, made at @made
|recv

  to end a receiver:     send to it, or drop every sender of its channel, those of its own task too
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("the only task") + &text);
}

#[test]
fn a_rendezvous_with_nobody_is_sending() {
    // @main
    let report = deadlock(|| {
        let (sender, receiver) = bounded(0); // @made
        let receiver: Receiver<&str> = receiver;
        let child = spawn(move || sender.send("hello")); // @send
        let _ = child.join(); // @join
        drop(receiver);
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main  joins #2 at @join (spawned at @main)
|join
  #2       is sending to a channel at @send (spawned at @send)
           rendezvous, 1 sender alive (owner unknown), 1 receiver alive, made at @made
|send

  to end a sender:       receive what it sends, or drop every receiver of its channel
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 2 tasks") + &text);
}

#[test]
fn paused_tasks_and_daemons_are_told_as_such() {
    // @main
    let report = deadlock(|| {
        // @daemon
        let daemon = task::Builder::new().name("ticker").daemon(true).spawn(|| {
            loop {
                sleep(HOUR); // @sleep
            }
        });
        let (sender, receiver) = unbounded::<u8>(); // @made
        let receives = move || assert!(receiver.recv().is_err()); // @recv
        let parked = named("parked", receives); // @parked
        let ready = named("ready", yield_now); // @ready
        yield_now();
        parked.task().pause();
        let late = spawn(|| ()); // @late
        late.task().pause();
        ready.join().unwrap();
        late.join().unwrap(); // @join
        drop((daemon, sender));
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main    joins #5 at @join (spawned at @main)
|join
  #2 ticker  sleeps at @sleep, is a daemon (spawned at @daemon)
|sleep
  #3 parked  is receiving from a channel at @recv, is paused (spawned at @parked)
             unbounded, 0 queued, 1 sender alive (owner unknown), 1 receiver alive, made at @made
|recv
  #5         waits for a turn, is paused (spawned at @late)

  to end a receiver:     send to it, or drop every sender of its channel, those of its own task too
  to end a pause:        maypole::Task::resume
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 4 tasks") + &text);
}

#[test]
fn what_a_paused_task_has_waited_for_is_no_wait() {
    // @main
    let report = deadlock(|| {
        let child = spawn(yield_now);
        let joiner = named("joiner", move || child.join().unwrap()); // @joiner
        yield_now();
        joiner.task().pause();
        yield_now();
        yield_now();
        // It takes the place in the table of the one that was joined.
        let heir = named("heir", move || joiner.join().unwrap()); // @heir
        heir.join().unwrap(); // @join
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main    joins heir at @join (spawned at @main)
|join
  #3 joiner  waits for a turn, is paused (spawned at @joiner)
  #4 heir    joins joiner at @heir (spawned at @heir)
|heir

  to end a pause:        maypole::Task::resume
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 3 tasks") + &text);
}

#[test]
fn a_hundred_tasks_on_one_channel_are_one_group() {
    // @main
    let report = deadlock(|| {
        let (_sender, receiver) = unbounded::<u8>(); // @made
        for _ in 0..100 {
            let receiver = receiver.clone();
            spawn(move || receiver.recv()); // @recv
        }
        drop(receiver);
        task::park(); // @park
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main  waits to be unparked at @park (spawned at @main)
|park
  #2       is receiving from a channel at @recv (spawned at @recv); 100 tasks like this
           unbounded, 0 queued, 1 sender alive (owner unknown), 100 receivers alive, made at @made
|recv

  to end a receiver:     send to it, or drop every sender of its channel, those of its own task too
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 101 tasks") + &text);
}

#[test]
fn a_group_tells_for_how_many_things_its_tasks_wait() {
    // @main
    let report = deadlock(|| {
        let channel = |_| bounded::<u8>(1); // @made
        let (_senders, receivers): (Vec<_>, Vec<_>) = (0..20).map(channel).unzip();
        for receiver in receivers {
            spawn(move || receiver.recv()); // @recv
        }
        task::park(); // @park
    });
    let text = expected!(
        "
  #2       is receiving from a channel at @recv (spawned at @recv); 20 tasks like this, for 20 of such a channel; of the first:
           bounded(1), 0 queued, 1 sender alive (owner unknown), 1 receiver alive, made at @made
|recv
"
    );
    assert!(report.contains(&text), "{report}");
}

#[test]
fn a_select_tells_of_each_of_its_channels_once() {
    // @main
    let report = deadlock(|| {
        let (_apples, apple) = channel::Builder::new().name("apples").build::<u8>(); // @apples
        let (pear, _pears) = bounded::<u8>(0); // @pears
        let second = apple.clone();
        // @select
        channel::select_biased! {
            recv(apple) -> _ => {}
            recv(second) -> _ => {}
            send(pear, 1) -> _ => {}
        }
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main  waits in a select at @select (spawned at @main)
           for channel 'apples': unbounded, 0 queued, 1 sender alive (owner unknown), 2 receivers alive, made at @apples
           for a channel: rendezvous, 1 sender alive (owner unknown), 1 receiver alive, made at @pears
|select

  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("the only task") + &text);
}

#[test]
fn names_with_odd_characters_cannot_forge_a_line() {
    // @main
    let report = deadlock(|| {
        let lock = Rc::new(Mutex::named("it's\n  #9 nobody", ())); // @made
        let theirs = lock.clone();
        let _guard = lock.lock(); // @held
        let child = named("a b\u{1b}[31m", move || drop(theirs.lock())); // @lock
        child.join().unwrap(); // @join
    });
    let text = expected!(
        r"
  cycle   main ─joins─> 'a b\u{1b}[31m' ─waits for─> Mutex 'it\'s\n  #9 nobody' ─held by─> main

  #1 main             joins 'a b\u{1b}[31m' at @join (spawned at @main)
                      holds Mutex 'it\'s\n  #9 nobody' since @held
|held
|join <-
  #2 'a b\u{1b}[31m'  waits to lock Mutex 'it\'s\n  #9 nobody' at @lock (spawned at @lock)
                      made at @made, held by main since @held
|lock
"
    );
    assert!(report.contains(&text), "{report}");
}

#[test]
fn tasks_of_one_name_are_told_apart_by_their_numbers() {
    let report = deadlock(|| {
        let lock = Rc::new(Mutex::new(()));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                named("worker", move || {
                    let _guard = lock.lock();
                    task::park();
                })
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
    assert!(
        report.contains("  #1 main    joins worker #2 at"),
        "{report}"
    );
    assert!(report.contains(", held by worker #2 since "), "{report}");
}

#[test]
fn an_owner_that_ended_with_its_guard_alive_is_unknown() {
    // @main
    let report = deadlock(|| {
        let lock = Rc::new(Mutex::named("total", 0)); // @made
        let theirs = lock.clone();
        let owner = spawn(move || std::mem::forget(theirs.lock())); // @taken
        owner.join().unwrap();
        drop(lock.lock()); // @lock
    });
    let text = expected!(
        "
  all are waiting, but in no circle: something was never sent or released

  #1 main  waits to lock Mutex 'total' at @lock (spawned at @main)
           made at @made, owner unknown: #2 ended with the guard alive that it took at @taken
|lock

  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("the only task") + &text);
}

#[test]
fn a_cycle_of_many_is_shortened_and_its_tasks_are_grouped() {
    // @main
    let report = deadlock(|| {
        let forks = forks(100);
        let dinners: Vec<_> = (0..100).map(|n| philosopher(n, &forks)).collect();
        dinners
            .into_iter()
            .for_each(|dinner| dinner.join().unwrap()); // @join
    });
    let text = expected!(
        "
  cycle   phil-0 ─waits for─> Mutex 'fork 1' ─held by─> phil-1 ─waits for─> Mutex 'fork 2' ─held by─> phil-2 \
         ─waits for─> Mutex 'fork 3' ─held by─> phil-3 ─waits for─> Mutex 'fork 4' ─held by─> phil-4 \
         ─waits for─> Mutex 'fork 5' ─held by─> phil-5 ─waits for─> Mutex 'fork 6' ─held by─> phil-6 \
         ─> … 92 more tasks … ─> phil-99 ─waits for─> Mutex 'fork 0' ─held by─> phil-0

  #2 phil-0  waits to lock Mutex 'fork 1' at @right (spawned at @philosopher); 100 tasks like this, for 100 of such a Mutex; of the first:
             made at @fork, held by phil-1 since @left
             holds Mutex 'fork 0' since @left
|left
|right <-
  #1 main    joins phil-0 at @join (spawned at @main)
|join

  to break the circle:   lock in one order everywhere, or limit the wait with maypole::time::timeout(..)
  to search for others:  maypole::explore::check(..) tries every order of the tasks, in a test"
    );
    assert_eq!(report, head("any of these 101 tasks") + &text);
}

#[test]
fn two_circles_are_both_told_and_five_are_counted() {
    let circles = |count: usize| {
        deadlock(move || {
            for _ in 0..count {
                let forks = forks(2);
                drop((philosopher(0, &forks), philosopher(1, &forks)));
            }
            task::park();
        })
    };
    let two = circles(2);
    assert_eq!(two.matches("\n  cycle   ").count(), 2, "{two}");
    assert!(two.contains("  cycle   phil-0 #2 ─waits for─> "), "{two}");
    let six = circles(6);
    assert_eq!(six.matches("\n  cycle   ").count(), 4, "{six}");
    assert!(six.contains("\n  and 2 more\n\n"), "{six}");
}

#[test]
fn tasks_that_receive_from_each_other_are_both_named() {
    let report = deadlock(|| {
        let ((left, from_left), (right, from_right)) = (unbounded::<u8>(), unbounded::<u8>());
        named("left", move || {
            let message = from_right.recv();
            left.send(message.unwrap()).unwrap();
        });
        named("right", move || {
            let message = from_left.recv();
            right.send(message.unwrap()).unwrap();
        });
        task::park();
    });
    assert!(
        report.starts_with(&(head("any of these 3 tasks") + NO_CIRCLE)),
        "{report}"
    );
    for head in [
        "#2 left   is receiving from a channel at ",
        "#3 right  is receiving ",
    ] {
        assert_eq!(report.matches(head).count(), 1, "{report}");
    }
}

#[test]
fn what_the_other_primitives_wait_for_is_told() {
    let report = deadlock(|| {
        let permits = Rc::new(Semaphore::named("permits", 1)); // @permits
        let theirs = permits.clone();
        let _mine = permits.acquire();
        named("acquirer", move || drop(theirs.acquire()));
        named("waiter", || {
            let (lock, changed) = (Mutex::new(()), Condvar::named("changed"));
            drop(changed.wait(lock.lock()));
        });
        named("listener", || Event::named("begun").wait());
        task::park();
    });
    for told in [
        "acquirer  waits for permits of Semaphore 'permits' at ",
        "0 permits available, made at ",
        ", held by main since ",
        "waiter    waits for Condvar 'changed' to wake it at ",
        "listener  waits for Event 'begun' to be set at ",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
}

#[test]
#[cfg(unix)]
fn without_the_source_at_hand_only_the_places_are_told() {
    let ended = child::run(|| {
        std::env::set_current_dir("/").unwrap();
        let stuck = Builder::new().clock(Clock::Virtual).run(|| task::park());
        print!("{}", stuck.unwrap_err());
    })
    .succeeds();
    let told = "  #1 main  waits to be unparked at tests/deadlock_report.rs:";
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
    assert!(!ended.stdout.contains('┊'), "{}", ended.stdout);
}
