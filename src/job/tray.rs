//! A job in a task: the body runs on the task's own stack, and its values lie in a tray.
//!
//! ```text
//!   body: yield_ ──► tray.output ──► first reader in line is woken: one value is its own
//!              └──► room? ──► gives a turn, paused and killed as any task ──► goes on
//! ```
//!
//! The rules of tasks hold for the body: it may park anywhere, and is killed where it parks.
use super::seat::{DROPPED, LAST_WORDS, Seat};
use crate::channel::{RecvTimeoutError, TryRecvError};
use crate::generator::{Answer, Host, Yielder, run_under};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::park::{self, touch};
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{Packed, Wait, WaitQueue, What};
use crate::scheduler::{current_id, is_current_killed, kill, wake_all, wake_one};
use crate::select::{Case, Limit, block_on, block_on_within};
use crate::task::{self, JoinError, JoinHandle, Killed, Status, Task, drop_in_turn};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// The values that were yielded and not taken yet.
struct Tray<Y> {
    output: RefCell<VecDeque<Y>>,
    /// How many of them belong to readers that were woken and have not run since.
    owed: Cell<usize>,
    readers: WaitQueue,
    /// Where the body waits for room.
    room: WaitQueue,
    backlog: usize,
    /// Whether anybody may still take values.
    wanted: Cell<bool>,
    name: Option<String>,
    made_at: &'static Location<'static>,
}

/// The word of a wake that comes with a value.
const VALUE: usize = 1;

impl<Y> Tray<Y> {
    fn put(&self, value: Y) {
        if !self.wanted.get() {
            return;
        }
        self.output.borrow_mut().push_back(value);
        if wake_one(&self.readers, VALUE).is_some() {
            self.owed.set(self.owed.get() + 1);
        }
    }

    /// Takes one that belongs to nobody yet.
    fn take(&self) -> Option<Y> {
        let free = self.output.borrow().len() > self.owed.get();
        free.then(|| self.pop())
    }

    fn pop(&self) -> Y {
        let value = self.output.borrow_mut().pop_front();
        if self.has_room() {
            wake_one(&self.room, 0);
        }
        value.expect("a value that was counted is there")
    }

    fn has_room(&self) -> bool {
        !self.wanted.get() || self.output.borrow().len() < self.backlog
    }

    /// Nobody takes values any more.
    fn close(&self) {
        self.wanted.set(false);
        wake_all(&self.room, 0);
        let left = self.output.take();
        drop_in_turn(left);
    }
}

impl<Y> Object for Tray<Y> {
    fn view(&self) -> ObjectView {
        // Not borrowed: nothing that runs while a report is made has it.
        let count = self.output.try_borrow().map_or(0, |output| output.len());
        ObjectView {
            kind: "Job",
            name: self.name.clone(),
            made_at: self.made_at,
            owners: Vec::new(),
            state: format!("{count} values not taken"),
            content: None,
        }
    }
}

// ── the body's side ──────────────────────────────────────────────────────────────────────────

struct TaskHost<Y> {
    task: TaskId,
    tray: Rc<Tray<Y>>,
    last_words: Cell<u32>,
}

impl<Y: 'static> Host<Y, ()> for TaskHost<Y> {
    fn is_asked_by_body(&self) -> bool {
        current_id() == self.task
    }

    fn take(&self, value: Y, at: &'static Location<'static>) -> Answer<()> {
        if std::thread::panicking() {
            self.take_last_words(value);
            return Answer::GoOn(());
        }
        let tray = &self.tray;
        tray.put(value);
        let wait = Wait {
            what: What::Send,
            at,
        };
        if tray.has_room() {
            park::yield_now();
        } else {
            tray.room.introduce(|| introduction(tray));
            block_on(Room(tray), None, wait);
        }
        // It was killed in this yield, so it unwinds from this yield.
        kill::raise_if_pending(wait);
        Answer::GoOn(())
    }

    fn hold(&self, at: &'static Location<'static>) -> Answer<()> {
        if park::is_allowed() {
            park::yield_now();
            kill::raise_if_pending(Wait {
                what: What::Turn,
                at,
            });
        }
        Answer::GoOn(())
    }
}

impl<Y> TaskHost<Y> {
    /// What destructors yield while the body unwinds.
    #[cold]
    fn take_last_words(&self, value: Y) {
        let said = self.last_words.get();
        if !is_current_killed() || said < LAST_WORDS {
            self.last_words.set(said.saturating_add(1));
            self.tray.put(value);
        }
        // A destructor that goes on for ever is not to keep the others from their turns.
        park::yield_now();
    }
}

/// The body waits for room.
struct Room<'a, Y>(&'a Tray<Y>);

impl<Y> Case for Room<'_, Y> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        self.0.has_room().then_some(())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (&self.0.room, 0)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        self.try_now()
    }
}

fn introduction<Y: 'static>(tray: &Rc<Tray<Y>>) -> Weak<dyn Object> {
    let weak: Weak<Tray<Y>> = Rc::downgrade(tray);
    weak
}

// ── the handle's side ────────────────────────────────────────────────────────────────────────

pub(super) struct TaskSeat<Y: 'static, R> {
    handle: JoinHandle<R>,
    tray: Rc<Tray<Y>>,
}

impl<Y: 'static, R: 'static> TaskSeat<Y, R> {
    /// Starts a task for `body`.
    ///
    /// # Errors
    ///
    /// When no further stack can be had.
    #[track_caller]
    pub(super) fn start(
        builder: task::Builder,
        name: Option<String>,
        backlog: usize,
        body: impl FnOnce(&Yielder<Y>) -> R + 'static,
    ) -> io::Result<Self> {
        let made_at = Location::caller();
        let tray = Rc::new(Tray {
            output: RefCell::default(),
            owed: Cell::new(0),
            readers: WaitQueue::new(),
            room: WaitQueue::new(),
            backlog,
            wanted: Cell::new(true),
            name,
            made_at,
        });
        let theirs = tray.clone();
        let handle = builder.spawn(move || {
            let host = TaskHost {
                task: current_id(),
                tray: theirs,
                last_words: Cell::new(0),
            };
            run_under(Rc::new(host), made_at, body)
        })?;
        Ok(TaskSeat { handle, tray })
    }

    /// A value, or the news that there will be none.
    fn next(&self) -> Option<Result<Y, TryRecvError>> {
        match self.tray.take() {
            Some(value) => Some(Ok(value)),
            None if self.handle.is_finished() => Some(Err(TryRecvError::Disconnected)),
            None => None,
        }
    }
}

/// A reader waits for a value, or for the end of the task, however that ends.
struct Next<'a, Y: 'static, R>(&'a TaskSeat<Y, R>);

impl<Y: 'static, R: 'static> Case for Next<'_, Y, R> {
    type Output = Result<Y, TryRecvError>;

    fn try_now(&mut self) -> Option<Self::Output> {
        self.0.next()
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (&self.0.tray.readers, 0)
    }

    fn begin(&mut self, until: Option<u64>, wait: Packed) -> bool {
        let TaskSeat { handle, tray } = self.0;
        tray.readers.introduce(|| introduction(tray));
        park::begin(&[(&tray.readers, 0), (handle.joiners(), 0)], until, wait)
    }

    fn accept(&mut self, token: usize) -> Option<Self::Output> {
        if token != VALUE {
            return self.0.next();
        }
        let tray = &self.0.tray;
        tray.owed.set(tray.owed.get() - 1);
        Some(Ok(tray.pop()))
    }
}

impl<Y: 'static, R: 'static> Seat<Y, R> for TaskSeat<Y, R> {
    #[track_caller]
    fn kill(&self, reason: &str) -> Killed {
        self.handle.kill(reason)
    }

    #[track_caller]
    fn pause(&self) {
        self.handle.task().pause();
    }

    #[track_caller]
    fn go_on(&self) {
        Task::resume(self.handle.task());
    }

    #[track_caller]
    fn status(&self) -> Status {
        self.handle.task().status()
    }

    #[track_caller]
    fn recv(&self, limit: Limit) -> Result<Y, RecvTimeoutError> {
        let wait = Wait {
            what: What::Recv,
            at: Location::caller(),
        };
        match block_on_within(Next(self), || limit.deadline(), wait) {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => Err(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    #[track_caller]
    fn try_recv(&self) -> Result<Y, TryRecvError> {
        touch("try_recv", Location::caller());
        self.next().unwrap_or(Err(TryRecvError::Empty))
    }

    fn take_failure(&self) -> Option<JoinError> {
        self.handle.take_failure()
    }

    #[track_caller]
    fn join(&mut self) -> Result<R, JoinError> {
        self.tray.close();
        Task::resume(self.handle.task());
        let joined = self.handle.join_timeout(Duration::MAX);
        joined.expect("nobody waits for so long")
    }
}

impl<Y: 'static, R> Drop for TaskSeat<Y, R> {
    fn drop(&mut self) {
        if !self.handle.is_finished() {
            self.handle.kill(DROPPED);
        }
        self.tray.close();
    }
}
