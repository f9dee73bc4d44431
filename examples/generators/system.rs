//! The scheduler of steps 4 to 8: a yield is a system call, a request that the scheduler answers.
//!
//! ```text
//!   ready ──► start or resume with the answer ──► yielded a call: serve it ──► ready again
//!                        │                                ├─ WaitTask ──► waiting ──► ready
//!                        │                                └─ ReadWait, WriteWait ──► sockets ──► ready
//!                        └──► returned: "terminated", and those who waited are ready
//! ```
use super::sockets::{Sockets, Way};
use maypole::generator::{Generator, Step, Yielder};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsRawFd, RawFd};

/// A task's body: it yields calls and is sent answers.
pub type Body<R = ()> = Generator<Call, R, Answer>;

/// What a task makes its calls through.
pub type System = Yielder<Call, Answer>;

pub type Id = usize;

/// What a task may ask for.
pub enum Call {
    /// Nothing: just give the others a turn.
    Pass,
    GetTid,
    NewTask(Body),
    KillTask(Id),
    WaitTask(Id),
    /// Until the socket has something to read, or is closed.
    ReadWait(RawFd),
    /// Until the socket has room for something to write.
    WriteWait(RawFd),
}

/// What it is sent back.
#[derive(Clone, Copy)]
pub enum Answer {
    Nothing,
    Id(Id),
    Done(bool),
}

// The calls as functions: a program need not see that each of them is a yield.

pub fn pass(system: &System) {
    system.yield_(Call::Pass);
}

pub fn get_tid(system: &System) -> Id {
    id_in(system.yield_(Call::GetTid))
}

pub fn new_task(system: &System, body: Body) -> Id {
    id_in(system.yield_(Call::NewTask(body)))
}

/// Ends a task; false when there is none with this id.
pub fn kill_task(system: &System, id: Id) -> bool {
    matches!(system.yield_(Call::KillTask(id)), Answer::Done(true))
}

/// Waits until a task has ended; false, and at once, when there is none with this id.
pub fn wait_task(system: &System, id: Id) -> bool {
    matches!(system.yield_(Call::WaitTask(id)), Answer::Done(true))
}

/// Waits until a read, or an accept, would not block.
pub fn read_wait(system: &System, socket: &impl AsRawFd) {
    system.yield_(Call::ReadWait(socket.as_raw_fd()));
}

/// Waits until a write would not block.
pub fn write_wait(system: &System, socket: &impl AsRawFd) {
    system.yield_(Call::WriteWait(socket.as_raw_fd()));
}

fn id_in(answer: Answer) -> Id {
    match answer {
        Answer::Id(id) => id,
        Answer::Nothing | Answer::Done(_) => unreachable!("the call asks for an id"),
    }
}

/// Who goes on after `NewTask`.
#[derive(Clone, Copy, PartialEq)]
pub enum First {
    Child,
    Parent,
}

struct Task {
    body: Body,
    /// What its call gives back; none before its first turn.
    answer: Option<Answer>,
}

pub struct Scheduler {
    tasks: BTreeMap<Id, Task>,
    ready: VecDeque<Id>,
    /// Who waits, and for whom.
    waiting: Vec<(Id, Id)>,
    sockets: Sockets,
    last_id: Id,
    first: First,
}

impl Scheduler {
    pub fn new(first: First) -> Self {
        Scheduler {
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: Vec::new(),
            sockets: Sockets::default(),
            last_id: 0,
            first,
        }
    }

    pub fn spawn(&mut self, body: Body) -> Id {
        self.last_id += 1;
        let task = Task { body, answer: None };
        self.tasks.insert(self.last_id, task);
        self.ready.push_back(self.last_id);
        self.last_id
    }

    /// Runs until no task is ready, nor can become so by a socket.
    ///
    /// Beazley looks at the sockets in a task of their own, which yields in between; it comes to
    /// the same: as long as a task is ready it is only a look, else it is where the process sleeps.
    pub fn run(&mut self) {
        loop {
            for id in self.sockets.look(self.ready.is_empty()) {
                self.answer(id, Answer::Nothing);
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let task = self.tasks.get_mut(&id).expect("a ready task is alive");
            if task.body.is_done() {
                self.exit(id); // it was killed since its last turn
                continue;
            }
            let step = match task.answer.take() {
                None => task.body.start(),
                Some(answer) => task.body.resume(answer),
            };
            match step {
                Step::Yielded(call) => self.serve(id, call),
                Step::Returned(()) => self.exit(id),
            }
        }
    }

    fn serve(&mut self, caller: Id, call: Call) {
        match call {
            Call::Pass => self.answer(caller, Answer::Nothing),
            Call::GetTid => self.answer(caller, Answer::Id(caller)),
            Call::NewTask(body) => {
                let child = self.spawn(body);
                self.answer(caller, Answer::Id(child));
                if self.first == First::Parent {
                    // The two are the last in the queue, the child before its parent.
                    let last = self.ready.len() - 1;
                    self.ready.swap(last - 1, last);
                }
            }
            Call::KillTask(id) => {
                let is_killed = self.kill(id);
                self.answer(caller, Answer::Done(is_killed));
            }
            Call::WaitTask(id) if self.tasks.contains_key(&id) => self.waiting.push((caller, id)),
            Call::WaitTask(_) => self.answer(caller, Answer::Done(false)),
            Call::ReadWait(socket) => self.sockets.wait(caller, socket, Way::In),
            Call::WriteWait(socket) => self.sockets.wait(caller, socket, Way::Out),
        }
    }

    fn answer(&mut self, caller: Id, answer: Answer) {
        let task = self.tasks.get_mut(&caller).expect("the caller is alive");
        task.answer = Some(answer);
        self.ready.push_back(caller);
    }

    /// Closes the body: it unwinds from its yield, whatever it waits for.
    fn kill(&mut self, id: Id) -> bool {
        let Some(task) = self.tasks.get_mut(&id) else {
            return false;
        };
        // Before the body closes its socket.
        let is_parked = self.sockets.forget(id);
        let is_killed = task.body.close().is_ok();
        if is_parked {
            self.ready.push_back(id);
        }
        if is_killed && let Some(place) = self.waiting.iter().position(|(who, _)| *who == id) {
            self.waiting.remove(place);
            self.ready.push_back(id);
        }
        is_killed
    }

    fn exit(&mut self, id: Id) {
        println!("Task {id} terminated");
        self.tasks.remove(&id);
        let (over, still): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|(_, on)| *on == id);
        self.waiting = still;
        for (waiter, _) in over {
            self.answer(waiter, Answer::Done(true));
        }
    }
}
