//! A pipeline: a reader, two workers and a printer, with bounded channels in between.
//!
//! Try: `cargo run --example pipeline`. You will see lines read, counted and printed, each with its
//! time. The channels hold one line each, so the reader is held back while the workers are busy. The
//! printer waits for three things at once, with `select!`: a result, closing time, and a moment in
//! which nothing comes. Then `cargo run --example pipeline -- 150`, which closes after 150 ms: the
//! others find their channels disconnected, and stop.
//!
//! Time is virtual: a run takes no longer than its computing, and always prints the same.
use maypole::channel::{Receiver, Sender, after, bounded, select};
use maypole::task::Builder;
use maypole::{Clock, sleep, time};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const TEXT: [&str; 6] = [
    "one line after another",
    "comes down the pipe",
    "and this one is so long that whoever counts it keeps the others waiting",
    "for a while",
    "or two",
    "and then it ends",
];

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Ok(closing) = argument.as_deref().unwrap_or("1000").parse() else {
        eprintln!("pipeline: close after how many milliseconds? A number is expected");
        return ExitCode::from(2);
    };
    let on_virtual_time = maypole::Builder::new().clock(Clock::Virtual);
    match on_virtual_time.run(|| pipeline(Duration::from_millis(closing))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Line = (usize, &'static str);
type Count = (usize, usize);

fn pipeline(closing: Duration) {
    let start = time::now();
    let (to_workers, lines) = bounded(1);
    let (to_printer, counts) = bounded(1);

    let mut stages = vec![stage("reader", move || read(start, to_workers))];
    for name in ["ann", "bob"] {
        let (lines, to_printer) = (lines.clone(), to_printer.clone());
        stages.push(stage(name, move || count(start, name, lines, to_printer)));
    }
    // What is held here would keep the channels connected.
    drop((lines, to_printer));

    print(start, counts, after(closing));
    for stage in stages {
        stage.join().unwrap();
    }
    say(start, "printer: all have stopped");
}

fn stage(name: &str, work: impl FnOnce() + 'static) -> maypole::JoinHandle<()> {
    let stage = Builder::new().name(name).spawn(work);
    stage.expect("there is room for a stack")
}

fn read(start: Instant, to_workers: Sender<Line>) {
    for (number, line) in (1..).zip(TEXT) {
        say(start, &format!("reader:  line {number}"));
        if to_workers.send((number, line)).is_err() {
            return say(start, "reader:  nobody wants it");
        }
    }
}

fn count(start: Instant, name: &str, lines: Receiver<Line>, to_printer: Sender<Count>) {
    for (number, line) in lines {
        let words = line.split(' ').count();
        sleep(Duration::from_millis(10) * words as u32);
        say(start, &format!("{name}:     line {number} is counted"));
        if to_printer.send((number, words)).is_err() {
            return say(start, &format!("{name}:     nobody wants it"));
        }
    }
}

fn print(start: Instant, counts: Receiver<Count>, closing: Receiver<Instant>) {
    loop {
        select! {
            recv(counts) -> count => match count {
                Ok((number, words)) => {
                    say(start, &format!("printer: line {number} has {words} words"));
                }
                Err(_) => return say(start, "printer: that was the last line"),
            },
            recv(closing) -> _ => return say(start, "printer: closing time"),
            default(Duration::from_millis(35)) => say(start, "printer: nothing for 35 ms"),
        }
    }
}

fn say(start: Instant, what: &str) {
    println!("{:>4} ms  {what}", (time::now() - start).as_millis());
}
