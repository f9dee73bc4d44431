//! Unix sockets: those of std, for tasks. They connect processes of one machine, by a name in the
//! file system or as a pair.
mod datagram;
mod listener;
mod stream;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use std::os::unix::net::SocketAddr;
pub use stream::UnixStream;
