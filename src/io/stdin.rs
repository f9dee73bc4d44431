//! The standard input of the process.
//!
//! ```text
//!   a call ──► the turn among the tasks of this OS thread ──► the bytes read ahead ──► enough: done
//!                                                               ▲          │ not enough
//!                                                               └── read ◄─┴─ wait until ready
//! ```
//!
//! The descriptor is shared with the parent, a shell say, so it is left as it is: it blocks, and no
//! read is made before there is something to read.
use super::faults;
use super::ready::until_ready;
use super::source::{Way, block_outside, refuse_exploring, too_late};
use super::sys;
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::wake_one_outside;
use crate::select::{Case, Limit};
use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::rc::{Rc, Weak};
use std::sync::{Mutex, PoisonError};

/// Bytes that are read ahead at once.
const BLOCK: usize = 8 << 10;

/// What was read ahead; `None` while somebody is at it.
static AHEAD: Mutex<Option<Ahead>> = Mutex::new(Some(Ahead {
    bytes: Vec::new(),
    taken: 0,
}));

thread_local! {
    static LINE: Rc<Line> = Rc::new(Line::new());
}

/// The standard input, for tasks.
///
/// Parks: no; what it gives does.
///
/// # Panics
///
/// While schedules are explored.
///
/// # Examples
///
/// ```no_run
/// maypole::run(|| {
///     maypole::spawn(|| loop {
///         maypole::sleep(std::time::Duration::from_secs(1));
///         println!("tick"); // also while the user thinks
///     });
///     for line in maypole::io::stdin().lines() {
///         println!("you said {:?}", line.unwrap());
///     }
/// });
/// ```
#[track_caller]
pub fn stdin() -> Stdin {
    let made_at = Location::caller();
    refuse_exploring("stdin", made_at);
    let line = LINE.try_with(Rc::clone);
    Stdin {
        handle: io::stdin(),
        // In the destructors of thread-locals there is nobody else.
        line: line.unwrap_or_else(|_| Rc::new(Line::new())),
        made_at,
    }
}

/// The standard input of the process: [`std::io::Stdin`] for tasks.
///
/// A terminal, a pipe, a socket, a file: all will do, and one that is closed is at its end. The
/// descriptor is never set not to block, since the shell that started the process has it too. If
/// another process takes away what is there in the very moment between a look and the read, all
/// tasks wait for the next input.
///
/// All handles share what was read ahead, as std's do; it is not std's, so use one of the two. Tasks
/// are served first in, first out. One OS thread at a time may wait for input.
///
/// # Examples
///
/// See [`stdin`]. It stays in its OS thread:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::io::Stdin>();
/// ```
pub struct Stdin {
    handle: io::Stdin,
    line: Rc<Line>,
    made_at: &'static Location<'static>,
}

/// What [`Stdin::lines`] gives: an iterator over lines.
#[derive(Debug)]
pub struct Lines {
    stdin: Stdin,
}

impl Stdin {
    /// Appends a line to `line`, with its line feed if it has one; tells how many bytes it has. None
    /// is the end of the input.
    ///
    /// Parks: until there is a whole line. A kill ends the wait, and what has come of the line is
    /// there for the next call; so it is after a [`timeout`](crate::time::timeout).
    ///
    /// # Errors
    ///
    /// The system's; `InvalidData` for a line that is no UTF-8, which is taken away; `ResourceBusy`
    /// while tasks of another OS thread wait for input.
    ///
    /// # Panics
    ///
    /// Outside of [`run`](crate::run), if there is no input yet.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// maypole::run(|| {
    ///     let mut answer = String::new();
    ///     maypole::io::stdin().read_line(&mut answer).unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        self.line_at(line, Location::caller())
    }

    fn line_at(&self, line: &mut String, at: &'static Location<'static>) -> io::Result<usize> {
        let mut turn = self.turn(at)?;
        let mut seen = 0;
        let end = loop {
            let ahead = turn.ahead.0.rest();
            if let Some(found) = ahead[seen..].iter().position(|byte| *byte == b'\n') {
                break seen + found + 1;
            }
            seen = ahead.len();
            if self.read_ahead(&mut turn, at)? == 0 {
                break seen;
            }
        };
        let bytes = &turn.ahead.0.rest()[..end];
        let text = std::str::from_utf8(bytes).map(|text| line.push_str(text));
        turn.ahead.0.take(end);
        match text {
            Ok(()) => Ok(end),
            Err(_) => Err(io::Error::new(
                ErrorKind::InvalidData,
                "stream did not contain valid UTF-8",
            )),
        }
    }

    /// An iterator over the lines to the end of the input, without their line feeds.
    ///
    /// Parks: no; its `next` does, as [`read_line`](Self::read_line).
    ///
    /// # Examples
    ///
    /// See [`stdin`].
    pub fn lines(self) -> Lines {
        Lines { stdin: self }
    }

    fn turn(&self, at: &'static Location<'static>) -> io::Result<Turn<'_>> {
        let what = What::Input;
        if block_outside(InLine(&self.line), Limit::Never, Wait { what, at }).is_none() {
            return Err(too_late(what));
        }
        let place = Place(&self.line);
        Ok(Turn {
            ahead: Claim::begin()?,
            _place: place,
        })
    }

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let at = self.made_at;
        let mut turn = self.turn(at)?;
        if turn.ahead.0.rest().is_empty() {
            if buffer.len() >= BLOCK {
                return self.read_when_ready(at, |fd| sys::read(fd, buffer));
            }
            self.read_ahead(&mut turn, at)?;
        }
        let mut rest = turn.ahead.0.rest();
        let bytes = rest.read(buffer)?;
        turn.ahead.0.take(bytes);
        Ok(bytes)
    }

    /// Reads more; tells how many bytes, 0 at the end.
    fn read_ahead(&self, turn: &mut Turn<'_>, at: &'static Location<'static>) -> io::Result<usize> {
        let ahead = &mut turn.ahead.0;
        self.read_when_ready(at, |fd| ahead.fill(|room| sys::read(fd, room)))
    }

    /// Reads when there is something to read. It may unwind while it waits, and then `read` was not
    /// called.
    fn read_when_ready(
        &self,
        at: &'static Location<'static>,
        mut read: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let fd = self.as_fd();
        loop {
            let ready = until_ready(fd, Way::In, "stdin", Limit::Never, at);
            match ready.and_then(|()| faults::call(|| read(fd))) {
                // In the second case somebody has set it not to block, and another has been faster.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                // A closed input is at its end, as in std.
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(0),
                read => return read,
            }
        }
    }
}

/// Parks: until something has come, or the end. A kill ends the wait, and nothing is taken.
impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer)
    }
}

/// Parks: until something has come, or the end. A kill ends the wait, and nothing is taken.
impl Read for &Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.handle.as_raw_fd()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl UnwindSafe for Stdin {}
impl RefUnwindSafe for Stdin {}

/// Parks: as [`Stdin::read_line`].
impl Iterator for Lines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        let mut line = String::new();
        match self.stdin.line_at(&mut line, self.stdin.made_at) {
            Ok(0) => None,
            Ok(_) => {
                let text = line.strip_suffix('\n');
                let text = text.map(|text| text.strip_suffix('\r').unwrap_or(text));
                line.truncate(text.unwrap_or(&line).len());
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Bytes that were read and not yet asked for.
struct Ahead {
    bytes: Vec<u8>,
    /// Those at the front that were taken since.
    taken: usize,
}

impl Ahead {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Has `read` add up to a block.
    fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + BLOCK, 0);
        let added = read(&mut self.bytes[before..]);
        self.bytes
            .truncate(before + added.as_ref().copied().unwrap_or(0));
        added
    }
}

/// Who reads, and who waits to.
struct Line {
    queue: WaitQueue,
    /// Somebody has the turn, or it is on its way to the first in line.
    taken: Cell<bool>,
    made_at: &'static Location<'static>,
}

impl Line {
    #[track_caller]
    fn new() -> Self {
        Line {
            queue: WaitQueue::new(),
            taken: Cell::new(false),
            made_at: Location::caller(),
        }
    }
}

impl Object for Line {
    fn view(&self) -> ObjectView {
        ObjectView {
            kind: "stdin",
            name: None,
            made_at: self.made_at,
            owners: Vec::new(),
            state: String::new(),
            content: None,
        }
    }
}

/// Waits for the turn.
struct InLine<'a>(&'a Rc<Line>);

impl Case for InLine<'_> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        (!self.0.taken.replace(true)).then_some(())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let line = self.0;
        line.queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Line>::downgrade(line);
            object
        });
        (&line.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        // Whoever passed the turn on left it taken.
        Some(())
    }
}

/// The right to read, with what was read ahead.
struct Turn<'a> {
    /// Before the place in the line, so that it is there for the next.
    ahead: Claim,
    _place: Place<'a>,
}

struct Place<'a>(&'a Line);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !wake_one_outside(&self.0.queue, 0) {
            self.0.taken.set(false);
        }
    }
}

/// What was read ahead, out of its place for as long as somebody is at it.
struct Claim(Ahead);

impl Claim {
    fn begin() -> io::Result<Self> {
        let mut ahead = AHEAD.lock().unwrap_or_else(PoisonError::into_inner);
        match ahead.take() {
            Some(ahead) => Ok(Claim(ahead)),
            None => Err(io::Error::new(
                ErrorKind::ResourceBusy,
                "a task of another OS thread waits for the standard input",
            )),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let ahead = Ahead {
            bytes: std::mem::take(&mut self.0.bytes),
            taken: self.0.taken,
        };
        *AHEAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }
}
