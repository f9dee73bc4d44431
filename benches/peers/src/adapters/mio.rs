//! mio alone: a hand-written loop, no tasks, the floor of what sockets cost.

use std::net::{SocketAddr, TcpListener};

use crate::echo::serve_bare;
use crate::workload::EchoPeer;

pub struct Mio;

impl EchoPeer for Mio {
    fn name(&self) -> &'static str {
        "mio"
    }

    fn obstacle(&self, _connections: usize) -> Option<String> {
        None
    }

    fn serve(&self, announce: fn(SocketAddr)) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        announce(listener.local_addr().expect("it listens"));
        serve_bare(listener).expect("nothing fails on the loopback interface");
    }
}
