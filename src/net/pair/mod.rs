//! Two connected streams in memory.
mod pipe;

use crate::net::traits::{byte_traits, settings};
use crate::scheduler::park::touch;
use crate::scheduler::wait::{Wait, What};
use crate::select::Limit;
use pipe::{KIND, Pipe};
use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that each direction of a pair holds.
const CAPACITY: usize = 64 * 1024;

/// Makes two streams that are connected in memory: what one writes the other reads.
///
/// They behave as a connection does, and cost no descriptors; each direction holds up to 64 KiB that
/// were not read yet. Nothing but tasks decides what comes when. So programs that talk over them can
/// be explored ([`explore`](crate::explore)) and run on virtual time, and a deadlock among them is
/// seen.
///
/// Parks: no.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// maypole::explore::check(|| {
///     let (mut client, mut server) = maypole::net::pair();
///     let echo = maypole::spawn(move || {
///         let mut word = [0; 5];
///         server.read_exact(&mut word).unwrap();
///         server.write_all(&word).unwrap();
///     });
///     client.write_all(b"hello").unwrap();
///     assert_eq!(std::io::read_to_string(client).unwrap(), "hello");
///     echo.join().unwrap();
/// });
/// ```
#[track_caller]
pub fn pair() -> (PairStream, PairStream) {
    make(CAPACITY, Location::caller())
}

/// Makes a [`pair`] each direction of which holds up to `bytes` that were not read yet.
///
/// Parks: no.
///
/// # Panics
///
/// If `bytes` is 0.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// maypole::run(|| {
///     let (mut a, mut b) = maypole::net::pair_with_capacity(2);
///     assert_eq!(a.write(b"abc").unwrap(), 2);
///     let writer = maypole::spawn(move || a.write_all(b"cd"));
///     assert_eq!(std::io::read_to_string(b).unwrap(), "abcd");
///     writer.join().unwrap().unwrap();
/// });
/// ```
#[track_caller]
pub fn pair_with_capacity(bytes: usize) -> (PairStream, PairStream) {
    assert!(bytes > 0, "a pair holds one byte at least");
    make(bytes, Location::caller())
}

fn make(capacity: usize, at: &'static Location<'static>) -> (PairStream, PairStream) {
    let (one, other) = (Pipe::new(capacity, at), Pipe::new(capacity, at));
    let end = |input: &Rc<Pipe>, output: &Rc<Pipe>| {
        PairStream(Handle::new(Rc::new(End {
            input: input.clone(),
            output: output.clone(),
        })))
    };
    (end(&one, &other), end(&other, &one))
}

/// One of two connected streams in memory ([`pair`]).
///
/// When it is dropped, the other end reads what is on its way and then the end, and its writes fail
/// ([`BrokenPipe`](io::ErrorKind::BrokenPipe)). Calls work outside of a run too, unless they have to
/// wait.
///
/// # Examples
///
/// ```
/// use std::io::{ErrorKind, Read, Write};
/// use std::time::Duration;
/// maypole::run(|| {
///     let (a, mut b) = maypole::net::pair();
///     let mut clone = a.try_clone().unwrap();
///     clone.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
///     let mut byte = [0];
///     assert_eq!(clone.read(&mut byte).unwrap_err().kind(), ErrorKind::TimedOut);
///     clone.set_nonblocking(true).unwrap();
///     assert_eq!(clone.read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
///     b.write_all(b"x").unwrap();
///     assert_eq!(a.peek(&mut byte).unwrap(), 1);
///     assert_eq!(clone.read(&mut byte).unwrap(), 1);
///     a.close();
///     assert_eq!((&a).read(&mut byte).unwrap_err().kind(), ErrorKind::ConnectionAborted);
///     assert_eq!(b.read(&mut byte).unwrap(), 0);
/// });
/// ```
///
/// It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::net::PairStream>();
/// ```
pub struct PairStream(Handle);

impl PairStream {
    /// Ends one direction, or both: the other end reads what is on its way, and then the end.
    ///
    /// Parks: no. Calls of other tasks that wait are woken: reads find the end, writes fail.
    ///
    /// # Errors
    ///
    /// After [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::net::{Shutdown, pair};
    /// use std::io::{Read, Write};
    /// let (mut a, mut b) = pair();
    /// a.write_all(b"question").unwrap();
    /// a.shutdown(Shutdown::Write).unwrap();
    /// let mut question = String::new();
    /// b.read_to_string(&mut question).unwrap(); // it has an end
    /// b.write_all(b"answer").unwrap(); // the other direction goes on
    /// a.read_exact(&mut [0; 6]).unwrap();
    /// ```
    #[track_caller]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        touch("shutdown", Location::caller());
        self.0.check_open()?;
        self.0.end.shut_down(how);
        Ok(())
    }

    /// Reads what has come without taking it away: the next read gives it again.
    ///
    /// Parks: until something has come, or the other end has said that nothing will. A kill ends
    /// the wait.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the [time-out](Self::set_read_timeout) for reads; after
    /// [`close`](Self::close).
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if it has to wait.
    ///
    /// # Examples
    ///
    /// See [`PairStream`].
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        let call = |pipe: &Pipe| pipe.peek(buffer);
        self.0.operate(READ, wanted, Location::caller(), call)
    }

    /// Makes another handle to the same end. Parks: no.
    ///
    /// A [`shutdown`](Self::shutdown) concerns both, and the end is gone when all handles are.
    /// Time-outs and the mode of the duplicate are its own.
    ///
    /// # Errors
    ///
    /// After [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// See [`PairStream`].
    pub fn try_clone(&self) -> io::Result<PairStream> {
        self.0.check_open()?;
        let clone = Handle::new(self.0.end.clone());
        clone.read_timeout.set(self.0.read_timeout.get());
        clone.write_timeout.set(self.0.write_timeout.get());
        clone.nonblocking.set(self.0.nonblocking.get());
        Ok(PairStream(clone))
    }
}

/// One end: it is gone when its last handle is.
struct End {
    input: Rc<Pipe>,
    output: Rc<Pipe>,
}

impl End {
    fn shut_down(&self, how: Shutdown) {
        if how != Shutdown::Write {
            self.input.end(pipe::Way::Reading);
        }
        if how != Shutdown::Read {
            self.output.end(pipe::Way::Writing);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        touch("drop of a PairStream", self.input.made_at());
        self.shut_down(Shutdown::Both);
    }
}

/// What the macros call `Way` for sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    In,
    Out,
}

/// Kinds of calls.
#[derive(Clone, Copy)]
struct Call {
    way: Way,
    what: What,
    name: &'static str,
}

const READ: Call = Call {
    way: Way::In,
    what: What::Recv,
    name: "read",
};

const WRITE: Call = Call {
    way: Way::Out,
    what: What::Send,
    name: "write",
};

/// A handle to an end, with its own settings.
struct Handle {
    end: Rc<End>,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
    nonblocking: Cell<bool>,
    /// Where it was closed under those who use it.
    closed_at: Cell<Option<&'static Location<'static>>>,
}

impl Handle {
    fn new(end: Rc<End>) -> Self {
        Handle {
            end,
            read_timeout: Cell::new(None),
            write_timeout: Cell::new(None),
            nonblocking: Cell::new(false),
            closed_at: Cell::new(None),
        }
    }

    fn check_open(&self) -> io::Result<()> {
        match self.closed_at.get() {
            Some(at) => Err(crate::io::closed(KIND, at)),
            None => Ok(()),
        }
    }

    fn timeout(&self, way: Way) -> Option<Duration> {
        match way {
            Way::In => self.read_timeout.get(),
            Way::Out => self.write_timeout.get(),
        }
    }

    fn set_timeout(&self, way: Way, timeout: Option<Duration>) -> io::Result<()> {
        crate::io::check_timeout(timeout)?;
        match way {
            Way::In => self.read_timeout.set(timeout),
            Way::Out => self.write_timeout.set(timeout),
        }
        Ok(())
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.set(nonblocking);
    }

    fn close(&self, at: &'static Location<'static>) {
        touch("close", at);
        if self.closed_at.get().is_none() {
            self.closed_at.set(Some(at));
            self.end.shut_down(Shutdown::Both);
            self.end.input.stir_all(pipe::Way::Reading);
            self.end.output.stir_all(pipe::Way::Writing);
        }
    }

    /// A call that moves up to `wanted` bytes.
    fn operate(
        &self,
        call: Call,
        wanted: usize,
        at: &'static Location<'static>,
        mut body: impl FnMut(&Pipe) -> Option<io::Result<usize>>,
    ) -> io::Result<usize> {
        let (pipe, way) = match call.way {
            Way::In => (&self.end.input, pipe::Way::Reading),
            Way::Out => (&self.end.output, pipe::Way::Writing),
        };
        // As with a socket, a read into nothing waits for something; a write of nothing does not.
        let is_nothing = wanted == 0 && call.way == Way::Out;
        if !is_nothing && !self.nonblocking.get() {
            let wait = Wait {
                what: call.what,
                at,
            };
            let limit = match self.timeout(call.way) {
                Some(timeout) => Limit::After(timeout),
                None => Limit::Never,
            };
            return pipe.operate(way, wait, limit, &self.closed_at, body);
        }
        touch(call.name, at);
        self.check_open()?;
        let done = match pipe.is_taken(way) {
            _ if is_nothing => Some(Ok(0)),
            true => None,
            false => body(pipe),
        };
        done.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    // The methods of std's traits do not tell their callers: the place is where the pair was made.

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        let at = self.end.input.made_at();
        self.operate(READ, wanted, at, |pipe| pipe.read(buffers))
    }

    fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        let at = self.end.output.made_at();
        self.operate(WRITE, wanted, at, |pipe| pipe.write(buffers))
    }
}

impl fmt::Debug for PairStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(KIND)
            .field("made_at", &format_args!("{}", self.0.end.input.made_at()))
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for PairStream {}
impl RefUnwindSafe for PairStream {}

byte_traits!(PairStream);
settings!(PairStream, "See [`PairStream`].");
