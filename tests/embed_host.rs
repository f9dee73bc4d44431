//! What a host may do between two ticks, and what is refused there.
mod task_support;

use maypole::sync::{Event, Mutex, Semaphore};
use maypole::task::{Killed, Status, check_killed, current, no_yield, park, park_timeout, shield};
use maypole::time::{sleep_until, timeout};
use maypole::{
    Budget, Builder, Scheduler, Tick, channel, explore, run, scope, select, sleep, spawn,
    spawn_now, stm, time, yield_now,
};
use std::cell::Cell;
use std::rc::Rc;
use task_support::{LONG, Log, OnDrop, panic_text};

const IDLE: Tick = Tick::Idle {
    next_deadline: None,
};

fn round(scheduler: &mut Scheduler) -> Tick {
    scheduler.tick(Budget::round())
}

#[test]
fn a_send_of_the_host_wakes_the_receiver() {
    let mut scheduler = Builder::new().build();
    let (sender, receiver) = channel::bounded(1);
    let log = Log::new();
    let words = log.clone();
    scheduler.spawn(move || receiver.iter().for_each(|word: &str| words.say(word)));
    assert_eq!(round(&mut scheduler), IDLE);
    for word in ["one", "two", "three"] {
        sender.try_send(word).unwrap();
        assert_eq!(round(&mut scheduler), IDLE);
    }
    assert_eq!(log.text(), "one two three");
    drop(sender); // disconnects, and so ends the task
    assert_eq!(round(&mut scheduler), Tick::Done);
}

#[test]
fn a_receive_of_the_host_wakes_the_sender() {
    let mut scheduler = Builder::new().build();
    let (sender, receiver) = channel::bounded(0);
    let handle =
        scheduler.spawn(move || (0..3).map(|n| sender.send(n).is_ok()).collect::<Vec<_>>());
    let mut got = Vec::new();
    while round(&mut scheduler) != Tick::Done {
        match receiver.try_recv() {
            Ok(2) => break,
            Ok(n) => got.push(n),
            Err(error) => panic!("{error}"),
        }
    }
    drop(receiver);
    assert_eq!(round(&mut scheduler), Tick::Done);
    assert_eq!(got, [0, 1]);
    assert_eq!(handle.join().unwrap(), [true, true, true]);
}

#[test]
fn whatever_the_host_releases_or_sets_wakes_who_waits_for_it() {
    let mut scheduler = Builder::new().build();
    let log = Log::new();
    let mutex = Rc::new(Mutex::new(0));
    let event = Rc::new(Event::new());
    let permits = Rc::new(Semaphore::new(0));
    let variable = stm::TVar::new(0);
    let guard = mutex.lock();
    scheduler.spawn({
        let (mutex, log) = (mutex.clone(), log.clone());
        move || {
            *mutex.lock() += 1;
            log.say("mutex");
        }
    });
    scheduler.spawn({
        let (event, log) = (event.clone(), log.clone());
        move || {
            event.wait();
            log.say("event");
        }
    });
    scheduler.spawn({
        let (permits, log) = (permits.clone(), log.clone());
        move || {
            let _permit = permits.acquire();
            log.say("semaphore");
        }
    });
    scheduler.spawn({
        let (variable, log) = (variable.clone(), log.clone());
        move || {
            stm::atomically(|tx| stm::check(variable.read(tx) == 7));
            log.say("variable");
        }
    });
    let unparked = scheduler.spawn({
        let log = log.clone();
        move || {
            park();
            log.say("unpark");
        }
    });
    assert_eq!(round(&mut scheduler), IDLE);
    assert_eq!(log.text(), "");
    drop(guard);
    assert_eq!(round(&mut scheduler), IDLE);
    event.set();
    assert_eq!(round(&mut scheduler), IDLE);
    permits.add_permits(1);
    assert_eq!(round(&mut scheduler), IDLE);
    variable.set(7);
    assert_eq!(round(&mut scheduler), IDLE);
    unparked.task().unpark();
    assert_eq!(round(&mut scheduler), Tick::Done);
    assert_eq!(log.text(), "mutex event semaphore variable unpark");
}

#[test]
fn the_host_spawns_and_joins_what_has_ended() {
    let mut scheduler = Builder::new().build();
    let first = scheduler.spawn(|| 1);
    let second = spawn(|| 2);
    let third = spawn_now(|| 3); // there is no task to nest it on
    assert!(!third.is_finished());
    let named = maypole::task::Builder::new().name("fourth").spawn(|| 4);
    assert_eq!(round(&mut scheduler), Tick::Done);
    assert!(first.is_finished());
    let results = [first, second, third, named.unwrap()].map(|handle| handle.join().unwrap());
    assert_eq!(results, [1, 2, 3, 4]);
}

#[test]
fn the_host_kills_pauses_and_resumes() {
    let mut scheduler = Builder::new().build();
    let log = Log::new();
    let dropped = log.on_drop("dropped");
    let parked = scheduler.spawn(move || {
        let _guard = dropped;
        park();
    });
    let spins = scheduler.spawn(|| {
        loop {
            yield_now();
        }
    });
    assert_eq!(round(&mut scheduler), Tick::Ready);
    spins.task().pause();
    assert_eq!(spins.task().status(), Status::Paused);
    assert_eq!(round(&mut scheduler), IDLE);
    spins.task().resume();
    assert_eq!(round(&mut scheduler), Tick::Ready);
    assert_eq!(parked.kill("the host says so"), Killed::Parked);
    assert_eq!(log.text(), "", "a kill runs no code");
    assert_eq!(spins.kill("the host says so"), Killed::Ready);
    assert_eq!(round(&mut scheduler), Tick::Done);
    assert_eq!(log.text(), "dropped");
    let error = parked.join().unwrap_err();
    assert_eq!(error.reason(), Some("the host says so"));
    assert!(error.to_string().contains(file!()), "{error}");
    let unstarted = scheduler.spawn(|| unreachable!());
    assert_eq!(unstarted.kill("too early"), Killed::BeforeStart);
    assert_eq!(round(&mut scheduler), Tick::Done);
    assert_eq!(unstarted.kill("too late"), Killed::Finished);
}

#[test]
fn dropped_handles_detach_and_forgotten_ones_do_no_harm() {
    let mut scheduler = Builder::new().build();
    let count = Rc::new(Cell::new(0));
    for n in 0..3 {
        let count = count.clone();
        let handle = scheduler.spawn(move || {
            yield_now();
            count.set(count.get() + 1);
            Rc::new(n)
        });
        match n {
            0 => drop(handle),
            1 => std::mem::forget(handle),
            _ => {
                round(&mut scheduler);
                drop(handle);
            }
        }
    }
    scheduler.run_until_idle();
    assert_eq!(count.get(), 3);
}

#[test]
fn what_would_wait_is_refused_between_ticks_by_name_and_does_no_harm() {
    let mut scheduler = Builder::new().build();
    let line = line!() - 1;
    let spinning = scheduler.spawn(|| {
        loop {
            yield_now();
        }
    });
    let (_sender, receiver) = channel::bounded::<u8>(0);
    let (full, _receiver) = channel::bounded::<u8>(0);
    let mutex = Rc::new(Mutex::new(()));
    let locker = mutex.clone();
    scheduler.spawn(move || {
        let _guard = locker.lock();
        park();
    });
    round(&mut scheduler);
    let calls: Vec<(&str, Call<'_>)> = vec![
        ("yield_now", Box::new(|| yield_now())),
        ("sleep", Box::new(|| sleep(LONG))),
        ("sleep", Box::new(|| sleep_until(time::now()))),
        ("park", Box::new(|| park())),
        ("park", Box::new(|| park_timeout(LONG))),
        ("task::current", Box::new(|| ignore(current()))),
        ("scope", Box::new(|| scope(|_| ()))),
        ("timeout", Box::new(|| ignore(timeout(LONG, || ())))),
        (
            "scope",
            Box::new(|| ignore(maypole::task::join_all([|| ()]))),
        ),
        ("scope", Box::new(|| maypole::task::race([|| ()]))),
        ("recv", Box::new(|| ignore(receiver.recv()))),
        ("recv", Box::new(|| ignore(receiver.recv_timeout(LONG)))),
        ("send", Box::new(|| ignore(full.send(1)))),
        ("select", Box::new(|| select! { recv(receiver) -> _ => () })),
        ("lock", Box::new(|| ignore(mutex.lock()))),
        ("join", Box::new(|| ignore(scheduler.spawn(park).join()))),
        ("atomically", Box::new(stm_waits)),
        ("wait", Box::new(|| Event::new().wait())),
    ];
    for (name, call) in &calls {
        let text = panic_text(call);
        let expected = format!(
            "is outside of the tasks of the scheduler built at {}:{line}:",
            file!()
        );
        assert!(text.contains(&expected), "{name}: {text}");
        assert!(text.contains(file!()), "{name}: {text}");
    }
    drop(calls);
    assert_eq!(round(&mut scheduler), Tick::Ready);
    assert!(!spinning.is_finished());
}

type Call<'a> = Box<dyn Fn() + 'a>;

fn ignore<T>(_: T) {}

fn stm_waits() {
    let never = stm::TVar::new(false);
    stm::atomically(|tx| stm::check(never.read(tx)));
}

#[test]
fn what_never_waits_works_between_ticks() {
    let mut scheduler = Builder::new().build();
    scheduler.spawn(park);
    round(&mut scheduler);
    assert_eq!(shield(|| no_yield(|| 1)), 1);
    check_killed();
    let (sender, receiver) = channel::unbounded();
    for n in 0..1000 {
        sender.send(n).unwrap();
    }
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(receiver.try_iter().count(), 999);
    let chosen = select! {
        recv(receiver) -> message => message.is_ok(),
        default => false,
    };
    assert!(!chosen);
    drop((sender, receiver));
    let variable = stm::TVar::new(1);
    stm::atomically(|tx| {
        variable.update(tx, |n| n + 1);
        Ok(())
    });
    assert_eq!(variable.get(), 2);
    let mutex = Mutex::new(3);
    *mutex.lock() += 1;
    assert_eq!(mutex.into_inner(), 4);
    let mut squares = maypole::generator::Generator::<u32>::new(|yielder| {
        (1..4).for_each(|n| yielder.yield_(n * n));
    });
    assert_eq!(squares.next(), Some(1));
    round(&mut scheduler);
    assert_eq!(squares.collect::<Vec<_>>(), [4, 9]);
    assert!(time::now().elapsed() < LONG);
}

#[test]
fn a_second_scheduler_a_run_and_an_exploration_are_refused_while_one_exists() {
    let mut scheduler = Builder::new().build();
    let line = line!() - 1;
    let check = move |between: &str| {
        let calls: [(&str, fn()); 4] = [
            ("Builder::build", || drop(Builder::new().build())),
            ("run", || run(|| ())),
            ("run", || Builder::new().run(|| ()).unwrap()),
            ("explore::check", || explore::check(|| ())),
        ];
        for (name, call) in calls {
            let text = panic_text(call);
            let expected = format!(
                "while this OS thread has the scheduler built at {}:{line}:",
                file!()
            );
            assert!(text.contains(&expected), "{between}, {name}: {text}");
            let place = format!(" at {}:", file!());
            assert!(text.contains(&place), "{between}, {name}: {text}");
        }
    };
    check("before the first tick");
    let inside = scheduler.spawn(move || check("in a task"));
    assert_eq!(round(&mut scheduler), Tick::Done);
    inside.join().unwrap();
    check("after the last tick");
    drop(scheduler);
    assert_eq!(run(|| 1), 1);
    drop(Builder::new().build());
}

#[test]
fn a_scheduler_inside_of_a_run_is_refused_and_the_run_goes_on() {
    let value = run(|| {
        let text = panic_text(|| Builder::new().build());
        assert!(text.contains("Builder::build at "), "{text}");
        assert!(text.contains("inside of a run"), "{text}");
        yield_now();
        1
    });
    assert_eq!(value, 1);
}

#[test]
fn other_os_threads_have_runs_of_their_own_meanwhile() {
    let mut scheduler = Builder::new().build();
    let handle = scheduler.spawn(|| {
        yield_now();
        std::thread::spawn(|| run(|| 1)).join().unwrap()
    });
    round(&mut scheduler);
    let other = std::thread::spawn(|| {
        let mut scheduler = Builder::new().build();
        let handle = scheduler.spawn(|| 2);
        scheduler.run_until_idle();
        handle.join().unwrap()
    });
    assert_eq!(other.join().unwrap(), 2);
    round(&mut scheduler);
    assert_eq!(handle.join().unwrap(), 1);
}

#[test]
fn a_scheduler_may_be_moved_while_its_tasks_wait() {
    let mut scheduler = Box::new(Builder::new().build());
    let log = Log::new();
    for n in 0..10 {
        let log = log.clone();
        scheduler.spawn(move || {
            let local = [n; 100];
            for _ in 0..10 {
                yield_now();
            }
            log.say(local.iter().sum::<i32>());
        });
    }
    round(&mut scheduler);
    // Out of its box, onto the stack, into a vector, through another function.
    let mut moved = *scheduler;
    round(&mut moved);
    let mut many = vec![moved];
    many.reserve(1000);
    round(&mut many[0]);
    fn away(mut scheduler: Scheduler) -> Scheduler {
        scheduler.run_until_idle();
        scheduler
    }
    let mut back = away(many.pop().unwrap());
    assert_eq!(round(&mut back), Tick::Done);
    assert_eq!(log.len(), 10);
}

#[test]
fn ticks_and_builds_inside_of_a_transaction_are_refused() {
    let text = panic_text(|| stm::atomically(|_| Ok(Builder::new().build())));
    assert!(text.contains("Builder::build at "), "{text}");
    assert!(text.contains("inside the transaction begun at "), "{text}");
    let mut scheduler = Builder::new().build();
    let handle = scheduler.spawn(|| 1);
    let text = panic_text(|| {
        stm::atomically(|_| {
            scheduler.tick(Budget::turns(1));
            Ok(())
        });
    });
    assert!(text.contains("Scheduler::tick at "), "{text}");
    assert!(text.contains("inside the transaction begun at "), "{text}");
    let text = panic_text(|| {
        stm::atomically(|_| {
            scheduler.run_until_idle();
            Ok(())
        });
    });
    assert!(text.contains("Scheduler::run_until_idle at "), "{text}");
    scheduler.run_until_idle();
    assert_eq!(handle.join().unwrap(), 1);
}

#[test]
fn a_panic_of_the_host_leaves_the_scheduler_as_it_was() {
    let mut scheduler = Builder::new().build();
    let handle = scheduler.spawn(|| {
        yield_now();
        assert!(!std::thread::panicking());
        1
    });
    let text = panic_text(|| {
        round(&mut scheduler);
        panic!("the host stumbles")
    });
    assert_eq!(text, "the host stumbles");
    assert_eq!(round(&mut scheduler), Tick::Done);
    assert_eq!(handle.join().unwrap(), 1);
}

#[test]
fn a_tick_in_a_destructor_of_a_host_that_unwinds_runs_tasks_that_do_not() {
    let mut scheduler = Builder::new().build();
    let innocent = std::sync::Arc::new(std::sync::Mutex::new(0));
    let counted = innocent.clone();
    let handle = scheduler.spawn(move || {
        let mut guard = counted.lock().unwrap();
        assert!(!std::thread::panicking());
        *guard += 1;
        drop(guard);
        yield_now();
        std::panic::catch_unwind(|| panic!("of its own")).is_err()
    });
    panic_text(|| {
        let _ticks = OnDrop(|| {
            assert!(std::thread::panicking());
            scheduler.run_until_idle();
            assert!(std::thread::panicking());
        });
        panic!("the host stumbles")
    });
    assert!(!std::thread::panicking());
    assert!(handle.join().unwrap());
    assert_eq!(*innocent.lock().unwrap(), 1);
}

#[test]
fn a_generator_of_the_host_may_tick() {
    let scheduler = Rc::new(std::cell::RefCell::new(Builder::new().build()));
    let handle = scheduler.borrow().spawn(|| {
        (0..3).for_each(|_| yield_now());
        "done"
    });
    let ticker = scheduler.clone();
    let ticks = maypole::generator::Generator::<Tick>::new(move |yielder| {
        loop {
            let tick = ticker.borrow_mut().tick(Budget::turns(1));
            yielder.yield_(tick);
            if tick == Tick::Done {
                return;
            }
        }
    });
    assert_eq!(ticks.count(), 4);
    assert_eq!(handle.join().unwrap(), "done");
}

#[test]
fn generators_and_scopes_of_tasks_stay_open_across_ticks() {
    let mut scheduler = Builder::new().build();
    let (sender, receiver) = channel::unbounded();
    scheduler.spawn(move || {
        let squares = maypole::generator::Generator::<u32>::new(|yielder| {
            for n in 1..4 {
                yield_now(); // in the generator: the task that resumes it gives way
                yielder.yield_(n * n);
            }
        });
        squares.for_each(|square| sender.send(square).unwrap());
    });
    let sum = scheduler.spawn(|| {
        let mut halves = [1, 2, 3, 4];
        scope(|s| {
            for half in halves.chunks_mut(2) {
                s.spawn(move || {
                    for n in half {
                        yield_now();
                        *n *= 10;
                    }
                });
            }
        });
        halves.iter().sum::<u32>()
    });
    let mut ticks = 0;
    while scheduler.tick(Budget::turns(1)) != Tick::Done {
        ticks += 1;
    }
    assert!(ticks > 10);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 4, 9]);
    assert_eq!(sum.join().unwrap(), 100);
}

#[test]
fn a_scheduler_may_cross_a_catch_unwind() {
    fn may<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>(_: &T) {}
    may(&Builder::new().build());
}

#[test]
fn the_report_tells_what_each_task_waits_for() {
    let mut scheduler = Builder::new().build();
    let line = line!() - 1;
    let mutex = Rc::new(Mutex::named("fork", ()));
    let locker = mutex.clone();
    let waits = maypole::task::Builder::new().name("hungry");
    let holder = maypole::task::Builder::new().name("holder");
    holder
        .spawn(move || {
            let _guard = locker.lock();
            park();
        })
        .unwrap();
    waits.spawn(move || drop(mutex.lock())).unwrap();
    round(&mut scheduler);
    let report = scheduler.report().to_string();
    let head = format!("the tasks of the scheduler built at {}:{line}:", file!());
    assert!(report.contains(&head), "{report}");
    assert!(report.contains("waits to lock Mutex 'fork'"), "{report}");
    assert!(report.contains("held by holder"), "{report}");
}
