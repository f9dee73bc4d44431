//! Two tasks that take turns.
//!
//! Try: `cargo run --example hello`. You will see `ping` and `pong` alternate, three times each.
use maypole::{run, spawn, yield_now};

fn main() {
    run(|| {
        let ping = spawn(|| say("ping"));
        let pong = spawn(|| say("pong"));
        ping.join().unwrap();
        pong.join().unwrap();
    });
}

fn say(word: &str) {
    for n in 1..=3 {
        println!("{word} {n}");
        yield_now();
    }
}
