//! The three uses of yield: iteration, receiving, trap. "Do not mix them in one generator."
use maypole::generator::{Generator, Step};

pub fn show() {
    println!("# iteration: yield gives a value out");
    for n in countdown(3) {
        println!("{n}");
    }

    println!("# receiving: yield takes a value in");
    let mut grep = grep("generators");
    grep.start(); // to its first yield: from there on it can take something
    for line in ["a series of tubes", "generators rock", "a threadless loom"] {
        grep.resume(line);
    }
    grep.close().expect("it does not yield again");

    println!("# trap: yield asks whoever runs the generator to do something");
    run_and_serve(shopper());
}

/// Iteration. A generator that is sent nothing is an [`Iterator`].
fn countdown(from: u32) -> Generator<u32> {
    Generator::new(move |y| {
        for n in (1..=from).rev() {
            y.yield_(n);
        }
    })
}

/// Receiving. It never ends by itself: closing it unwinds it from its yield, destructors and all.
fn grep(pattern: &'static str) -> Generator<(), (), &'static str> {
    struct Farewell;
    impl Drop for Farewell {
        fn drop(&mut self) {
            println!("closed");
        }
    }
    Generator::new(move |y| {
        let _farewell = Farewell;
        println!("looking for {pattern}");
        loop {
            let line: &str = y.yield_(());
            if line.contains(pattern) {
                println!("found: {line}");
            }
        }
    })
}

/// What a trap asks for.
enum Request {
    PriceOf(&'static str),
    Buy(&'static str),
}

/// Trap. It does nothing itself: it yields requests, and an answer comes back.
fn shopper() -> Generator<Request, &'static str, u32> {
    Generator::new(|y| {
        let price = y.yield_(Request::PriceOf("ribbon"));
        if price > 5 {
            return "too dear";
        }
        let left = y.yield_(Request::Buy("ribbon"));
        if left == 0 {
            "bought the last"
        } else {
            "bought"
        }
    })
}

/// The other side of a trap. An operating system is this loop, and a scheduler is one too.
fn run_and_serve(mut program: Generator<Request, &'static str, u32>) {
    let mut step = program.start();
    loop {
        step = match step {
            Step::Yielded(Request::PriceOf(thing)) => {
                println!("asked for the price of the {thing}");
                program.resume(3)
            }
            Step::Yielded(Request::Buy(thing)) => {
                println!("asked to sell the {thing}");
                program.resume(0)
            }
            Step::Returned(result) => return println!("{result}"),
        }
    }
}
