//! A long computation in a thread-wrapped coroutine: its output so far, paused, resumed, killed.
//!
//! Try `cargo run --example killable`. You will see the digits of pi as they come from another
//! OS thread, that none come while the job is paused, and that a kill runs the destructors of its
//! body where it lives; then the same body as a plain generator and in a task.
use maypole::generator::{Generator, Yielder};
use maypole::job::{self, Status};
use maypole::{run, sleep, yield_now};
use std::time::Duration;

/// Tells when the body is gone.
struct Closing(&'static str);

impl Drop for Closing {
    fn drop(&mut self) {
        println!("the body {} closes its books", self.0);
    }
}

/// Gives the digits of pi one after another: the spigot of Rabinowitz and Wagon (1995).
fn pi(y: &Yielder<u32>, digits: usize) {
    let length = digits * 10 / 3 + 2;
    let mut remainders = vec![2_u64; length];
    let (mut held, mut nines) = (None, 0);
    for _ in 0..=digits {
        let mut carry = 0;
        for i in (0..length).rev() {
            if i % 1024 == 0 {
                y.checkpoint(); // a host may pause or kill it here
            }
            let sum = remainders[i] * 10 + carry;
            let divisor = if i == 0 { 10 } else { 2 * i as u64 + 1 };
            remainders[i] = sum % divisor;
            carry = sum / divisor * i as u64;
            if i == 0 {
                carry = sum / 10;
            }
        }
        match carry {
            // A nine may still become a zero, with one more before it.
            9 => nines += 1,
            digit => {
                let over = (digit / 10) as u32;
                if let Some(held) = held {
                    y.yield_(held + over);
                }
                for _ in 0..nines {
                    y.yield_(if over == 1 { 0 } else { 9 });
                }
                (held, nines) = (Some((digit % 10) as u32), 0);
            }
        }
    }
}

fn text(digits: impl Iterator<Item = u32>) -> String {
    digits.map(|digit| digit.to_string()).collect()
}

fn main() {
    run(|| {
        let job = job::in_thread(|y| {
            let _closing = Closing("in the thread");
            pi(y, 100_000);
        });
        println!("so far: {}", text(job.iter().take(30)));
        job.pause();
        sleep(Duration::from_millis(50)); // it reaches its next checkpoint
        while job.try_recv().is_ok() {}
        sleep(Duration::from_millis(50));
        println!(
            "paused: {:?}, {} more",
            job.status(),
            job.try_recv().iter().count()
        );
        job.resume();
        println!("resumed: {} more", job.iter().take(5).count());
        job.kill("that is enough");
        while job.status() != Status::Killed {
            yield_now();
        }
        println!("killed: {}", job.join().unwrap_err().reason().unwrap());
        println!("as a generator: {}", text(Generator::new(|y| pi(y, 20))));
        println!("in a task: {}", text(job::in_task(|y| pi(y, 20)).iter()));
    });
}
