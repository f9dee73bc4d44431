//! What tasks do with sockets: each writes back what it reads.

use std::marker::PhantomData;
use std::net::SocketAddr;

use super::{Stackful, Stackless};
use crate::echo::BUFFER;
use crate::peer::{Awaiting, AwaitingNet, Blocking, BlockingNet};

/// A peer that has sockets, ready to serve.
pub trait EchoPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot serve `connections` connections by this peer, if it cannot.
    fn obstacle(&self, connections: usize) -> Option<String>;
    /// Calls `announce` with the address, and echoes what comes there until the process is killed:
    /// a task for each connection.
    fn serve(&self, announce: fn(SocketAddr));
}

impl<N: BlockingNet> Stackful<N> {
    pub fn echo() -> Box<dyn EchoPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<N: AwaitingNet> Stackless<N> {
    pub fn echo() -> Box<dyn EchoPeer> {
        Box::new(Self(PhantomData))
    }
}

macro_rules! workloads {
    ($adapter:ident, $net:ident, $task:ident, $wait:ident, $run:expr) => {
        impl<N: $net> EchoPeer for $adapter<N> {
            fn name(&self) -> &'static str {
                N::NAME
            }

            fn obstacle(&self, connections: usize) -> Option<String> {
                N::Tasks::obstacle(connections)
            }

            fn serve(&self, announce: fn(SocketAddr)) {
                $run($task!({
                    let (listener, address) = $wait!(N::bind()).expect("a port is free");
                    announce(address);
                    loop {
                        let mut connection =
                            $wait!(N::accept(&listener)).expect("there are enough descriptors");
                        N::Tasks::detach(N::Tasks::spawn($task!({
                            let mut buffer = vec![0; BUFFER];
                            while matches!($wait!(N::echo(&mut connection, &mut buffer)), Ok(true))
                            {
                            }
                        })));
                    }
                }))
            }
        }
    };
}

workloads!(Stackful, BlockingNet, closure, blocking, N::Tasks::run);
workloads!(Stackless, AwaitingNet, future, awaited, N::run);
