//! What the tests of sockets share: connections of each kind behind one trait, and counts of
//! descriptors.
#![allow(dead_code)] // each test file is a crate of its own

use maypole::net::unix::UnixStream;
use maypole::net::{PairStream, Shutdown, TcpListener, TcpStream, pair};
use std::io::{self, Read, Write};
use std::time::Duration;

/// A connection, of whatever kind.
pub trait Connection: Read + Write + Sized + 'static {
    /// Two that are connected.
    fn connected() -> (Self, Self);
    fn try_clone(&self) -> io::Result<Self>;
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    fn close(&self);
    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
    fn read_timeout(&self) -> io::Result<Option<Duration>>;
    fn write_timeout(&self) -> io::Result<Option<Duration>>;
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
    /// `Read` for a reference to it.
    fn read_shared(&self, buffer: &mut [u8]) -> io::Result<usize>;
    /// `Write` for a reference to it.
    fn write_shared(&self, buffer: &[u8]) -> io::Result<usize>;

    fn read_all_shared(&self, buffer: &mut [u8]) {
        let mut read = 0;
        while read < buffer.len() {
            let some = self.read_shared(&mut buffer[read..]).unwrap();
            assert_ne!(some, 0, "the end came after {read} bytes");
            read += some;
        }
    }
}

macro_rules! connection {
    ($type:ty, $connected:expr) => {
        impl Connection for $type {
            fn connected() -> (Self, Self) {
                $connected
            }
            fn try_clone(&self) -> io::Result<Self> {
                self.try_clone()
            }
            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }
            fn close(&self) {
                self.close();
            }
            fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.peek(buffer)
            }
            fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.set_read_timeout(timeout)
            }
            fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.set_write_timeout(timeout)
            }
            fn read_timeout(&self) -> io::Result<Option<Duration>> {
                self.read_timeout()
            }
            fn write_timeout(&self) -> io::Result<Option<Duration>> {
                self.write_timeout()
            }
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.set_nonblocking(nonblocking)
            }
            fn read_shared(&self, buffer: &mut [u8]) -> io::Result<usize> {
                { self }.read(buffer)
            }
            fn write_shared(&self, buffer: &[u8]) -> io::Result<usize> {
                { self }.write(buffer)
            }
        }
    };
}

connection!(TcpStream, {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
});
connection!(UnixStream, UnixStream::pair().unwrap());
connection!(PairStream, pair());

/// Makes each function `fn name<C: Connection>()` a test for each kind of connection, in a run.
#[macro_export]
macro_rules! for_each_kind {
    ($($test:ident)*) => {
        mod tcp {
            $(#[test] fn $test() { maypole::run(super::$test::<maypole::net::TcpStream>) })*
        }
        mod unix {
            $(#[test] fn $test() { maypole::run(super::$test::<maypole::net::unix::UnixStream>) })*
        }
        mod pair {
            $(#[test] fn $test() { maypole::run(super::$test::<maypole::net::PairStream>) })*
        }
    };
}

/// The descriptors of this process.
pub fn descriptors() -> usize {
    let listed = std::fs::read_dir("/proc/self/fd").unwrap().count();
    listed - 1 // the directory itself
}

/// Lets all other ready tasks have their turns, and the reactor its look.
pub fn settle() {
    for _ in 0..300 {
        maypole::yield_now();
    }
}

/// A file name of its own, for a Unix socket; removed with this.
pub struct Name(pub std::path::PathBuf);

impl Name {
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("maypole-test-{}-{number}", std::process::id());
        Name(std::env::temp_dir().join(name))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        &self.0
    }
}
