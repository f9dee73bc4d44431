//! Sockets: std's types, names and methods, for tasks.
//!
//! Where std's calls block the OS thread, these park the task, and the others go on. `Read` and
//! `Write` are std's, for the types and for references to them, so crates that work on those work
//! unchanged: parsers, TLS, WebSockets.
//!
//! Several tasks may use one socket. Each direction serves one call at a time, first in, first out.
//! A task that is killed while it waits has moved nothing, and the socket serves the next; what
//! `write_all` has written before a kill stays written.
mod address;
mod listener;
mod pair;
mod pauses;
mod tcp_listener;
mod tcp_stream;
mod traits;
mod udp_socket;
pub mod unix;

pub use address::ToSocketAddrs;
pub use pair::{PairStream, pair, pair_with_capacity};
pub use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6};
pub use tcp_listener::{Incoming, IntoIncoming, TcpListener};
pub use tcp_stream::TcpStream;
pub use udp_socket::UdpSocket;
