//! A game's loop, sixty frames in a second, that gives its tasks half a millisecond of each.
//!
//! Try: `cargo run --release --example frames -- --frames 300`. You will see how long the frames are
//! and how much of them the tasks had, once in a second; then how far the tasks have come: one that
//! computes, one that sleeps, one that waits for what the loop sends. Nothing sleeps in a tick: it is
//! the loop that waits for the next frame.
use maypole::channel::{self, Receiver};
use maypole::{Budget, Builder, Scheduler, sleep, yield_now};
use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

const FRAMES_PER_SECOND: u32 = 60;

/// What the tasks have of each frame.
const BUDGET: Duration = Duration::from_micros(500);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let frames = match arguments[..] {
        [] => Some(3 * FRAMES_PER_SECOND),
        ["--frames", number] => number.parse().ok().filter(|frames| *frames > 0),
        _ => None,
    };
    let Some(frames) = frames else {
        eprintln!("frames: --frames and a number from 1 on is expected");
        return ExitCode::from(2);
    };
    play(frames);
    ExitCode::SUCCESS
}

fn play(frames: u32) {
    let mut scheduler = Builder::new().build();
    let progress = Progress::default();
    let (events, inbox) = channel::unbounded();
    start_tasks(&scheduler, &progress, inbox);

    let frame = Duration::from_secs(1) / FRAMES_PER_SECOND;
    let (mut whole, mut ticks) = (Times::default(), Times::default());
    let start = Instant::now();
    let (mut begin, mut next) = (start, start);
    for number in 1..=frames {
        if number % 10 == 0 {
            // What a key or the mouse would do. The task has it in this frame.
            events.send(number).expect("its task waits for more");
        }
        let before = Instant::now();
        scheduler.tick(Budget::time(BUDGET));
        ticks.note(before.elapsed());
        // Here a game would draw.
        next += frame;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        whole.note(begin.elapsed());
        begin = Instant::now();
        if number % FRAMES_PER_SECOND == 0 || number == frames {
            println!("frame {number:4}: {whole}, of which the tasks had {ticks}");
            (whole, ticks) = (Times::default(), Times::default());
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    println!(
        "{frames} frames: {:.1} in a second",
        f64::from(frames) / elapsed
    );
    println!("primes found: {}", progress.primes.get());
    println!("beats of 50 ms: {}", progress.beats.get());
    println!("events received: {}", progress.events.get());
    finish(scheduler);
}

/// How far the tasks are. They run in the ticks only, so that the loop may look at any time.
#[derive(Clone, Default)]
struct Progress {
    primes: Rc<Cell<u32>>,
    beats: Rc<Cell<u32>>,
    events: Rc<Cell<u32>>,
}

fn start_tasks(scheduler: &Scheduler, progress: &Progress, inbox: Receiver<u32>) {
    let Progress {
        primes,
        beats,
        events,
    } = progress.clone();
    scheduler.spawn(move || {
        // It would compute for ever, and gives way after each number.
        for number in 2_u32.. {
            let is_prime = (2..)
                .take_while(|n| n * n <= number)
                .all(|n| number % n != 0);
            primes.set(primes.get() + u32::from(is_prime));
            yield_now();
        }
    });
    scheduler.spawn(move || {
        loop {
            sleep(Duration::from_millis(50));
            beats.set(beats.get() + 1);
        }
    });
    scheduler.spawn(move || {
        let _last = Farewell;
        for _event in inbox.iter() {
            events.set(events.get() + 1);
        }
    });
}

/// Says when the task that has it is ended.
struct Farewell;

impl Drop for Farewell {
    fn drop(&mut self) {
        println!("the task that waits for events is ended");
    }
}

/// The game is over: the tasks that are left are killed, and their destructors run.
fn finish(scheduler: Scheduler) {
    drop(scheduler);
    println!("the scheduler is gone");
}

/// Times of some frames.
#[derive(Default)]
struct Times {
    count: u32,
    total: Duration,
    longest: Duration,
}

impl Times {
    fn note(&mut self, time: Duration) {
        self.count += 1;
        self.total += time;
        self.longest = self.longest.max(time);
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let mean = milliseconds(self.total / self.count.max(1));
        let most = milliseconds(self.longest);
        write!(f, "{mean:.2} ms each ({most:.2} at most)")
    }
}
