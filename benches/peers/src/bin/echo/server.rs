//! A server in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use maypole_bench::adapters::echoing;

use super::processor;

/// Tells this program to be a server: a peer and a core follow.
pub const WORD: &str = "--serve";

/// Serves until the process is killed, or all is over.
pub fn serve(name: &str, core: &str) -> ExitCode {
    let peer = echoing().into_iter().find(|peer| peer.name() == name);
    let (Some(peer), Ok(core)) = (peer, core.parse()) else {
        eprintln!("no peer is called {name}");
        return ExitCode::FAILURE;
    };
    processor::pin(core);
    peer.serve(|address| println!("{address}"));
    ExitCode::SUCCESS
}

/// A process that serves until this is dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(name: &str, core: usize) -> Result<Server, String> {
        let myself = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut process = Command::new(myself)
            .args([WORD, name, &core.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = process.stdout.take().expect("the output is piped");
        let read = BufReader::new(output).read_line(&mut line);
        match line.trim().parse() {
            Ok(address) if read.is_ok() => Ok(Server { process, address }),
            _ => Err(last_words(&mut process)),
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it after `error` has happened to its clients, and tells why.
    pub fn blame(mut self, error: &std::io::Error) -> String {
        match last_words(&mut self.process) {
            words if words.is_empty() => error.to_string(),
            words => words,
        }
    }
}

/// Kills a server, and takes the first line of what it has said.
fn last_words(process: &mut Child) -> String {
    let _ = process.kill();
    let mut words = String::new();
    if let Some(errors) = &mut process.stderr {
        let _ = errors.read_to_string(&mut words);
    }
    words
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
