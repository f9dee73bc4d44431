//! One measurement: a server is started, loaded, and killed.

use std::time::{Duration, Instant};

use maypole_bench::echo::Load;

use super::processor::usage;
use super::server::Server;

/// What one measurement has shown.
pub struct Sample {
    /// Requests per second.
    pub rate: f64,
    /// Microseconds that the fastest 50, 99 and 99.9 % took at most.
    pub latencies: [f64; 3],
    /// Microseconds on a core that the server needed for a request.
    pub work: f64,
    /// Of the time, how much the server was kept from running, from 0 to 1.
    pub disturbed: f64,
    /// Bytes of the server's memory for each connection.
    pub memory: f64,
}

/// Until the caches are warm and all connections have had several turns.
const WARM_UP: u32 = 4;

pub fn measure(
    name: &str,
    connections: usize,
    time: Duration,
    core: usize,
) -> Result<Sample, String> {
    let server = Server::start(name, core)?;
    let before = usage(server.pid()).memory;
    match load(&server, connections, time, before) {
        Ok(sample) => Ok(sample),
        Err(error) => Err(server.blame(&error)),
    }
}

fn load(
    server: &Server,
    connections: usize,
    time: Duration,
    before: usize,
) -> std::io::Result<Sample> {
    let mut load = Load::connect(server.address, connections)?;
    let warm = Instant::now() + time / WARM_UP;
    load.run(|come, now| now > warm && come > 3 * connections)?;
    let start = usage(server.pid());
    let deadline = Instant::now() + time;
    let mut outcome = load.run(|_, now| now > deadline)?;
    let end = usage(server.pid());
    let count = outcome.latencies.len();
    outcome.latencies.sort_unstable();
    let at = |part: f64| {
        let index = (part * count as f64) as usize;
        f64::from(outcome.latencies[index.min(count - 1)]) / 1e3
    };
    Ok(Sample {
        rate: count as f64 / outcome.elapsed.as_secs_f64(),
        latencies: [at(0.5), at(0.99), at(0.999)],
        // The echoes that were still to come are no part of the rate, but of the work.
        work: (end.running - start.running).as_secs_f64() * 1e6 / (count + connections - 1) as f64,
        disturbed: (end.waiting - start.waiting).as_secs_f64() / outcome.elapsed.as_secs_f64(),
        memory: end.memory.saturating_sub(before) as f64 / connections as f64,
    })
}
