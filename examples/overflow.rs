//! A task that runs out of stack, and what you are told.
//!
//! Try: `cargo run --example overflow`. The process dies as it does for any overflow (exit status
//! 139), but first you will see which task it was, where it was spawned, how large its stack is and
//! what to do. Then `cargo run --example overflow -- 8388608`, which gives it a stack of 8 MiB: it
//! runs. Or `-- 65536`, for one of 64 KiB.
use maypole::task::Builder;
use std::process::ExitCode;

fn main() -> ExitCode {
    let bytes = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => 256 << 10,
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) => {
            eprintln!("overflow: how many bytes of stack? A number is expected");
            return ExitCode::from(2);
        }
    };
    maypole::run(|| {
        let parser = Builder::new()
            .name("parser")
            .stack_size(bytes)
            .spawn(|| parse(20_000))
            .expect("there is room for one stack");
        let depth = parser.join().expect("the parser does not panic");
        println!("parsed {depth} levels deep");
    });
    ExitCode::SUCCESS
}

/// As deep as a recursive parser is for input that is nested so often.
fn parse(levels: u64) -> u64 {
    let scratch = std::hint::black_box([levels; 20]);
    match levels {
        0 => 0,
        _ => parse(levels - 1) + scratch[0] / levels,
    }
}
