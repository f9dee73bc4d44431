//! One direction of a pair: bytes on their way, and who waits to put more in or to take some out.
//!
//! ```text
//!   write ──► its turn ──► room? ──► bytes ──► its turn ──► read
//!                 └─ waits in line    up to the capacity         └─ waits in line
//! ```
//!
//! As with sockets, one call at a time has the turn on each side, and the others wait in line.
use crate::io::{closed, deadline, too_late};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{Wait, WaitQueue};
use crate::scheduler::{wake_all, wake_one};
use crate::select::{Case, Limit, block_on_within};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::panic::Location;
use std::rc::{Rc, Weak};

/// What a pair is called in reports.
pub(super) const KIND: &str = "PairStream";

pub(super) struct Pipe {
    bytes: RefCell<VecDeque<u8>>,
    capacity: usize,
    readers: Side,
    writers: Side,
    made_at: &'static Location<'static>,
}

/// Who reads, or who writes.
struct Side {
    /// Those who wait for their turn.
    line: WaitQueue,
    /// The one who has it, waiting for the other side.
    change: WaitQueue,
    /// Somebody has the turn, or it is on its way to the first in line.
    taken: Cell<bool>,
    /// Nobody does that any more: the end was shut down, or is gone.
    done: Cell<bool>,
}

impl Side {
    fn new() -> Self {
        Side {
            line: WaitQueue::new(),
            change: WaitQueue::new(),
            taken: Cell::new(false),
            done: Cell::new(false),
        }
    }

    fn take_turn(&self) -> bool {
        !self.taken.replace(true)
    }

    fn pass_turn(&self) {
        if wake_one(&self.line, 0).is_none() {
            self.taken.set(false);
        }
    }

    /// Something has changed for it.
    fn stir(&self) {
        wake_one(&self.change, 0);
    }

    /// Has all who wait look how things stand, none of whom has to wait any more: so each may have
    /// the turn.
    fn stir_all(&self) {
        wake_all(&self.change, 0);
        wake_all(&self.line, 0);
    }
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Reading,
    Writing,
}

impl Pipe {
    pub(super) fn new(capacity: usize, made_at: &'static Location<'static>) -> Rc<Self> {
        Rc::new(Pipe {
            bytes: RefCell::default(),
            capacity,
            readers: Side::new(),
            writers: Side::new(),
            made_at,
        })
    }

    fn side(&self, way: Way) -> &Side {
        match way {
            Way::Reading => &self.readers,
            Way::Writing => &self.writers,
        }
    }

    pub(super) fn made_at(&self) -> &'static Location<'static> {
        self.made_at
    }

    /// Whether somebody else has the turn.
    pub(super) fn is_taken(&self, way: Way) -> bool {
        self.side(way).taken.get()
    }

    /// Nobody reads, or writes, any more.
    pub(super) fn end(&self, way: Way) {
        self.side(way).done.set(true);
        self.readers.stir();
        self.writers.stir();
    }

    /// Has all who wait on this side look how things stand.
    pub(super) fn stir_all(&self, way: Way) {
        self.side(way).stir_all();
    }

    // ── what the calls do, `None` if they must wait ──────────────────────────────────────────

    /// What a read gives where nothing is queued.
    fn read_nothing(&self) -> Option<io::Result<usize>> {
        let over = self.writers.done.get() || self.readers.done.get();
        over.then_some(Ok(0))
    }

    pub(super) fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Option<io::Result<usize>> {
        let mut bytes = self.bytes.borrow_mut();
        if bytes.is_empty() {
            drop(bytes);
            return self.read_nothing();
        }
        let mut read = 0;
        for buffer in buffers {
            let taken = copy(&bytes, buffer);
            bytes.drain(..taken);
            read += taken;
        }
        drop(bytes);
        self.writers.stir();
        Some(Ok(read))
    }

    pub(super) fn peek(&self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let bytes = self.bytes.borrow();
        match bytes.is_empty() {
            true => self.read_nothing(),
            false => Some(Ok(copy(&bytes, buffer))),
        }
    }

    pub(super) fn write(&self, buffers: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        if self.writers.done.get() || self.readers.done.get() {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut bytes = self.bytes.borrow_mut();
        let mut written = 0;
        for buffer in buffers {
            let room = self.capacity - bytes.len();
            let fits = &buffer[..buffer.len().min(room)];
            bytes.extend(fits);
            written += fits.len();
        }
        drop(bytes);
        match written {
            0 => None,
            _ => {
                self.readers.stir();
                Some(Ok(written))
            }
        }
    }

    /// Makes a call of this kind, parking the task while it must wait. `closed_at` tells whether
    /// the handle was closed meanwhile.
    pub(super) fn operate(
        self: &Rc<Self>,
        way: Way,
        wait: Wait,
        limit: Limit,
        closed_at: &Cell<Option<&'static Location<'static>>>,
        call: impl FnMut(&Pipe) -> Option<io::Result<usize>>,
    ) -> io::Result<usize> {
        let attempt = Attempt {
            pipe: self,
            way,
            call,
            closed_at,
            has_turn: false,
        };
        match block_on_within(attempt, || deadline(limit), wait) {
            Some(result) => result,
            None => Err(too_late(match way {
                Way::Reading => "read",
                Way::Writing => "write",
            })),
        }
    }
}

/// Copies what fits.
fn copy(bytes: &VecDeque<u8>, buffer: &mut [u8]) -> usize {
    let (first, second) = bytes.as_slices();
    let from_first = first.len().min(buffer.len());
    let (start, rest) = buffer.split_at_mut(from_first);
    start.copy_from_slice(&first[..from_first]);
    let from_second = second.len().min(rest.len());
    rest[..from_second].copy_from_slice(&second[..from_second]);
    from_first + from_second
}

impl Object for Pipe {
    fn view(&self) -> ObjectView {
        let queued = self.bytes.try_borrow().map_or(0, |bytes| bytes.len());
        ObjectView {
            kind: KIND,
            name: None,
            made_at: self.made_at,
            owners: Vec::new(),
            state: format!("{queued} of {} bytes queued", self.capacity),
            content: None,
        }
    }

    fn each_owner(&self, _: &mut dyn FnMut(TaskId)) {}
}

/// A call that may wait.
struct Attempt<'a, F> {
    pipe: &'a Rc<Pipe>,
    way: Way,
    call: F,
    closed_at: &'a Cell<Option<&'static Location<'static>>>,
    has_turn: bool,
}

impl<F: FnMut(&Pipe) -> Option<io::Result<usize>>> Case for Attempt<'_, F> {
    type Output = io::Result<usize>;

    fn try_now(&mut self) -> Option<io::Result<usize>> {
        if let Some(at) = self.closed_at.get() {
            return Some(Err(closed(KIND, at)));
        }
        if !self.has_turn {
            if !self.pipe.side(self.way).take_turn() {
                return None;
            }
            self.has_turn = true;
        }
        (self.call)(self.pipe)
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let side = self.pipe.side(self.way);
        let queue = match self.has_turn {
            true => &side.change,
            false => &side.line,
        };
        queue.introduce(|| {
            let object: Weak<dyn Object> = Rc::<Pipe>::downgrade(self.pipe);
            object
        });
        (queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<io::Result<usize>> {
        // Whoever passed the turn on left it taken.
        self.has_turn = true;
        None
    }
}

impl<F> Drop for Attempt<'_, F> {
    fn drop(&mut self) {
        if self.has_turn {
            self.pipe.side(self.way).pass_turn();
        }
    }
}
