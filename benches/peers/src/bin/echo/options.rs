//! What is asked for on the command line.

use std::str::FromStr;
use std::time::Duration;

const USAGE: &str = "usage: echo [--connections 1,100,1000,5000,10000] [--rounds 5] \
                     [--milliseconds 500] [--peers maypole,mio,tokio,...]";

pub struct Options {
    pub connections: Vec<usize>,
    pub rounds: usize,
    /// Of each measurement.
    pub time: Duration,
    /// Empty: all.
    peers: Vec<String>,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options {
            connections: vec![1, 100, 1_000, 5_000, 10_000],
            rounds: 5,
            time: Duration::from_millis(500),
            peers: Vec::new(),
        };
        for pair in arguments.chunks(2) {
            let [option, value] = pair else {
                return Err(USAGE.into());
            };
            match option.as_str() {
                "--connections" => options.connections = list(value)?,
                "--rounds" => options.rounds = one(value)?,
                "--milliseconds" => options.time = Duration::from_millis(one(value)?),
                "--peers" => options.peers = list(value)?,
                _ => return Err(USAGE.into()),
            }
        }
        if options.rounds == 0 || options.connections.contains(&0) {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    pub fn takes(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|name| name == peer)
    }
}

fn list<T: FromStr>(value: &str) -> Result<Vec<T>, String> {
    value.split(',').map(one).collect()
}

fn one<T: FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{value}? {USAGE}"))
}
