//! `future::block_on`: whoever wakes, whenever, and what a kill leaves.
use maypole::future::block_on;
use maypole::{channel, run, spawn, yield_now};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};

#[test]
fn a_waker_in_another_os_thread_ends_the_wait_and_the_others_go_on_meanwhile() {
    run(|| {
        let (sender, wakers) = mpsc::channel::<Waker>();
        let other = std::thread::spawn(move || wakers.recv().unwrap().wake());
        let turns = Rc::new(Cell::new(0));
        let theirs = turns.clone();
        let busy = spawn(move || {
            for _ in 0..10 {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        let mut first = true;
        let value = block_on(poll_fn(move |context| match std::mem::take(&mut first) {
            true => {
                sender.send(context.waker().clone()).unwrap();
                Poll::Pending
            }
            false => Poll::Ready(7),
        }));
        assert_eq!(value, 7);
        other.join().unwrap();
        busy.join().unwrap();
        assert_eq!(turns.get(), 10);
    });
}

#[test]
fn a_future_that_wakes_itself_gives_the_others_their_turns() {
    run(|| {
        let done = Rc::new(Cell::new(false));
        let theirs = done.clone();
        spawn(move || theirs.set(true));
        block_on(poll_fn(|context| match done.get() {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }));
    });
}

#[test]
fn a_kill_drops_the_future_and_late_wakes_are_harmless() {
    struct Gone(Rc<Cell<bool>>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let kept: Arc<Mutex<Option<Waker>>> = Arc::default();
    let keeper = kept.clone();
    run(move || {
        let gone = Rc::new(Cell::new(false));
        let guard = Gone(gone.clone());
        let theirs = keeper.clone();
        let waiter = spawn(move || {
            block_on(async move {
                let _guard = guard;
                poll_fn(|context| {
                    *theirs.lock().unwrap() = Some(context.waker().clone());
                    Poll::<()>::Pending
                })
                .await
            })
        });
        yield_now();
        waiter.kill("not any more");
        assert!(waiter.join().unwrap_err().is_killed());
        assert!(gone.get());
        keeper.lock().unwrap().as_ref().unwrap().wake_by_ref();
        yield_now();
    });
    // The run is over.
    kept.lock().unwrap().take().unwrap().wake();
}

#[test]
fn a_time_out_ends_the_wait_for_a_future_that_never_comes() {
    run(|| {
        let time = std::time::Duration::from_millis(1);
        let late = maypole::time::timeout(time, || block_on(pending::<()>()));
        assert!(late.is_err());
    });
}

#[test]
fn a_storm_of_wakes_ends_when_its_run_ends() {
    let (sender, wakers) = mpsc::channel::<Waker>();
    let storm = std::thread::spawn(move || {
        for waker in wakers {
            for _ in 0..50 {
                waker.wake_by_ref();
            }
        }
    });
    for _ in 0..50 {
        let sender = sender.clone();
        run(move || {
            let mut polls = 0;
            block_on(poll_fn(|context| {
                polls += 1;
                let _ = sender.send(context.waker().clone());
                match polls {
                    5.. => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }));
        });
    }
    drop(sender);
    storm.join().unwrap();
}

#[test]
fn outside_of_a_run_it_blocks_the_os_thread() {
    let (sender, wakers) = mpsc::channel::<Waker>();
    let other = std::thread::spawn(move || wakers.recv().unwrap().wake());
    let mut first = true;
    block_on(poll_fn(|context| match std::mem::take(&mut first) {
        true => {
            sender.send(context.waker().clone()).unwrap();
            Poll::Pending
        }
        false => Poll::Ready(()),
    }));
    other.join().unwrap();
}

#[test]
fn an_awaited_receive_that_is_dropped_loses_no_message() {
    run(|| {
        let (sender, receiver) = channel::unbounded();
        let mut context = std::task::Context::from_waker(Waker::noop());
        let mut receive = Box::pin((&receiver).into_future());
        assert!(receive.as_mut().poll(&mut context).is_pending());
        yield_now(); // the watcher waits
        sender.send(1).unwrap();
        yield_now(); // the watcher has seen it
        drop(receive);
        yield_now();
        assert_eq!(receiver.try_recv(), Ok(1));
        sender.send(2).unwrap();
        assert_eq!(block_on(async { (&receiver).await }), Ok(2));
        drop(sender);
        assert!(block_on(async { (&receiver).await }).is_err());
    });
}
