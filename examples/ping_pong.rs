//! Two tasks that hand a ball to each other, and who goes on once it is handed over.
//!
//! Try: `cargo run --example ping_pong`. You will see a short rally, and then how a sender and a
//! receiver share the turns: a channel may prefer the one, the other or neither, as Stackless
//! Python's channels do. `tx` is written before a send, `rx` after a receive. Then change the
//! capacity from 0 to 3, and guess the order before you run it.
use maypole::channel::{Builder, Prefer, bounded};
use maypole::{run, spawn};

fn main() {
    println!("# a ball between two tasks");
    run(rally);
    for (preferred, prefer) in [
        ("the receiver", Prefer::Receiver),
        ("the sender", Prefer::Sender),
        ("whoever came second", Prefer::Neither),
    ] {
        println!("# {preferred} goes on");
        run(|| three_messages(prefer));
    }
}

/// Over channels without room for a message: a send waits for its receive.
fn rally() {
    let (to_pong, from_ping) = bounded(0);
    let (to_ping, from_pong) = bounded(0);
    let pong = spawn(move || {
        // Ends when nobody is left who could send.
        for ball in from_ping {
            println!("pong {ball}");
            to_ping.send(ball + 1).unwrap();
        }
    });
    let mut ball = 1;
    while ball <= 3 {
        println!("ping {ball}");
        to_pong.send(ball).unwrap();
        ball = from_pong.recv().unwrap();
    }
    drop(to_pong);
    pong.join().unwrap();
}

fn three_messages(prefer: Prefer) {
    let (sender, receiver) = Builder::new().capacity(0).prefer(prefer).build();
    let receives = spawn(move || {
        for n in receiver {
            println!("rx{n}");
        }
    });
    let sends = spawn(move || {
        for n in 0..3 {
            println!("tx{n}");
            sender.send(n).unwrap();
        }
    });
    sends.join().unwrap();
    receives.join().unwrap();
}
