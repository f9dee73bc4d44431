//! A program that is built with `panic = "abort"`: kills are refused, everything else works.
use maypole::generator::Generator;
use maypole::task::{Killed, Status};
use maypole::{run, scope, sleep, spawn, task, yield_now};
use std::rc::Rc;
use std::time::Duration;

fn main() {
    let kept = Rc::new(());
    let theirs = kept.clone();
    let value = run(|| {
        let left = spawn(move || {
            let _theirs = theirs;
            task::park();
        });
        let shielded = spawn(|| task::shield(|| task::park()));
        spawn(|| ()).join().unwrap();
        yield_now();
        for task in [&left, &shielded] {
            assert_eq!(task.kill("it cannot unwind"), Killed::Unsupported);
            assert!(matches!(task.task().status(), Status::Parked(_)));
        }
        // Refused, not remembered: it goes on when it is woken.
        shielded.task().unpark();
        shielded.join().unwrap();
        sleep(Duration::from_millis(1));

        let mut numbers = Generator::new(|y| (1..).for_each(|n| y.yield_(n)));
        assert_eq!(numbers.next(), Some(1));
        drop(numbers);
        scope(|s| s.spawn(|| 5).join().unwrap())
    });
    assert_eq!(value, 5);
    assert_eq!(
        Rc::strong_count(&kept),
        2,
        "a task that cannot be unwound is leaked"
    );

    let fresh = Generator::<u32>::new(|y| y.yield_(1));
    drop(fresh);
    println!("ended well");
}
