//! A scheduler in somebody else's loop.
//!
//! ```text
//!   host: tick ─► look outside, without waiting ─► run tasks, as the budget says ─┐
//!    ▲                                                                            ▼
//!    └── sleeps itself, until the descriptor is readable or the deadline ◄── Ready, Idle, Done
//! ```
//!
//! Between two ticks it remains the scheduler of its OS thread, so that whatever the host does to
//! its tasks (a send, a drop, a kill) wakes them.
use super::budget::{Budget, Limit, Tick};
use super::builder::Builder;
use super::end::End;
use super::stage::{Detail, beside_panics};
use crate::coroutine::{self, Installed};
use crate::io::World;
use crate::report::{self, Report};
use crate::scheduler::clock::Clock;
use crate::scheduler::driver::{Driver, Prospect};
use crate::scheduler::kernel::TURNS_PER_LOOK;
use crate::scheduler::{self, Outlook, Stop, atomic};
use crate::task::JoinHandle;
use crate::thread::{Offices, Remote};
use std::cell::OnceCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

/// Turns between two looks at the clock while a tick has a budget of time: no turn is cut short, so
/// that so many may come when the time is over. A look costs as much as ten of the shortest turns:
/// after each it would make a turn that only yields fifteen times as long, after eight twice.
const TURNS_PER_SLICE: u64 = 8;

/// A scheduler that somebody else's loop calls: a game's, a window's, or that of another library.
///
/// [`Builder::build`] makes it, [`spawn`](Scheduler::spawn) gives it tasks, and
/// [`tick`](Scheduler::tick) runs them for as long as the host wants. It never sleeps; a host that
/// has nothing else to do sleeps until its descriptor is readable, or until the next deadline.
///
/// While it exists it is the scheduler of its OS thread, also between two ticks: the host may send
/// to channels, drop handles, kill, set events and spawn, and whoever waits for that is woken, and
/// goes on in the next tick. What would have to wait is refused there. An OS thread has one at a
/// time: [`run`](crate::run), [`explore`](crate::explore) and a second `build` are refused
/// meanwhile, by name. Other OS threads reach it through a [`Remote`](Scheduler::remote).
///
/// Dropping it kills the tasks that are left, in the order of spawning, and waits until their
/// destructors have run. One that is forgotten leaks its tasks, and its OS thread stays taken.
///
/// # Examples
///
/// A loop with sixty frames in a second:
///
/// ```
/// use maypole::{Budget, Builder, sleep};
/// use std::time::Duration;
/// let mut scheduler = Builder::new().build();
/// let loading = scheduler.spawn(|| {
///     sleep(Duration::from_millis(20));
///     "a level"
/// });
/// let mut frames = 0;
/// while !loading.is_finished() {
///     scheduler.tick(Budget::time(Duration::from_micros(500)));
///     frames += 1; // and draw one
///     std::thread::sleep(Duration::from_millis(16));
/// }
/// assert!(frames >= 2);
/// assert_eq!(loading.join().unwrap(), "a level");
/// ```
///
/// It stays in its OS thread, as its tasks do:
///
/// ```compile_fail,E0277
/// fn crosses<T: Send>() {}
/// crosses::<maypole::Scheduler>();
/// ```
pub struct Scheduler(
    /// Until it is dropped.
    Option<Host>,
);

impl UnwindSafe for Scheduler {}
impl RefUnwindSafe for Scheduler {}

struct Host {
    core: Installed<scheduler::Scheduler>,
    world: World,
    _offices: Offices,
    /// Where it was built.
    at: &'static Location<'static>,
    max_turns: u64,
    /// Those of `max_turns` that no tick has used.
    turns_left: u64,
    /// A tick is under way.
    ticks: bool,
    /// Made when somebody asks for it.
    descriptor: OnceCell<OwnedFd>,
}

impl Builder {
    /// Makes a scheduler that somebody else's loop calls; see [`Scheduler`].
    ///
    /// The environment variables are heeded as in a run, but for `MAYPOLE_REPLAY`, which is for the
    /// first run: what it repeats is one. [`max_turns`](Builder::max_turns) counts the turns of all
    /// ticks. [`fail_on_unjoined_panic`](Builder::fail_on_unjoined_panic) has no effect: panics that
    /// nobody joined are named when the scheduler is dropped.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// While this OS thread has another scheduler, or is inside of a run; inside of a transaction.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, Clock, sleep};
    /// use std::time::Duration;
    /// let mut scheduler = Builder::new().clock(Clock::Virtual).build();
    /// let handle = scheduler.spawn(|| sleep(Duration::from_secs(3600)));
    /// while scheduler.tick(maypole::Budget::round()) != maypole::Tick::Done {}
    /// assert!(handle.is_finished()); // at once
    /// ```
    #[track_caller]
    pub fn build(self) -> Scheduler {
        let at = Location::caller();
        scheduler::refuse_second("Builder::build", at, ["a run", "spawn a task instead"]);
        atomic::refuse("Builder::build", at, "call it before or after");
        let options = self.heed_environment();
        Scheduler(Some(Host {
            core: options.scheduler().install(at),
            world: World::begin(),
            _offices: Offices::open(options.offload_limit),
            at,
            max_turns: options.max_turns,
            turns_left: options.max_turns,
            ticks: false,
            descriptor: OnceCell::new(),
        }))
    }
}

impl Scheduler {
    fn host(&self) -> &Host {
        self.0
            .as_ref()
            .expect("a scheduler is whole until it is dropped")
    }

    /// Starts a task. It has its first turn in the next tick. The free [`spawn`](crate::spawn) does
    /// the same while the scheduler exists.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// As [`spawn`](crate::spawn): when no further stack can be had.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut scheduler = maypole::Builder::new().build();
    /// let handle = scheduler.spawn(|| "hello from a task");
    /// scheduler.run_until_idle();
    /// assert_eq!(handle.join().unwrap(), "hello from a task");
    /// ```
    #[track_caller]
    pub fn spawn<T: 'static>(&self, f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
        crate::task::spawn(f)
    }

    /// Looks outside (sockets, other OS threads, timers), runs tasks until `budget` is used up or
    /// nobody is ready, and tells how things stand.
    ///
    /// It never sleeps. On virtual time, which jumps when nobody is ready, it goes on with those
    /// whose deadline that is, while the budget lasts; a [round](Budget::round) lets it jump once,
    /// at the beginning.
    ///
    /// Parks: no; it is called outside of tasks.
    ///
    /// # Panics
    ///
    /// When the turns given by [`Builder::max_turns`] are used up, with a report of the tasks; inside
    /// of a transaction, and of a task of its own. A panic of a task is never the host's: it belongs
    /// to whoever joins the task.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Budget, Builder, Tick, channel};
    /// let mut scheduler = Builder::new().build();
    /// let (sender, receiver) = channel::unbounded();
    /// let sum = scheduler.spawn(move || receiver.iter().sum::<u32>());
    /// for n in 1..=4 {
    ///     sender.send(n).unwrap(); // it never waits, so that a host may
    ///     assert_eq!(scheduler.tick(Budget::round()), Tick::Idle { next_deadline: None });
    /// }
    /// drop(sender);
    /// assert_eq!(scheduler.tick(Budget::round()), Tick::Done);
    /// assert_eq!(sum.join().unwrap(), 10);
    /// ```
    #[track_caller]
    pub fn tick(&mut self, budget: Budget) -> Tick {
        let call = "Scheduler::tick";
        self.perform(call, Location::caller(), |host| host.tick(budget.0))
    }

    /// Runs tasks until each has ended or waits for something that has not come yet: another task,
    /// a deadline, the outside world. Virtual time does not move meanwhile.
    ///
    /// It never sleeps. Tasks that yield for ever keep it for ever.
    ///
    /// Parks: no; it is called outside of tasks.
    ///
    /// # Panics
    ///
    /// As [`tick`](Scheduler::tick).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, sleep, yield_now};
    /// let mut scheduler = Builder::new().build();
    /// let handle = scheduler.spawn(|| (0..1000).for_each(|_| yield_now()));
    /// scheduler.spawn(|| sleep(std::time::Duration::from_secs(3600)));
    /// scheduler.run_until_idle();
    /// assert!(handle.is_finished());
    /// ```
    #[track_caller]
    pub fn run_until_idle(&mut self) {
        let call = "Scheduler::run_until_idle";
        self.perform(call, Location::caller(), Host::run_until_idle);
    }

    /// When the next timer is due, on the clock of the tasks; with
    /// [`timer_slack`](Builder::timer_slack), when it must ring at the latest. `None` if there is
    /// none.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, sleep};
    /// use std::time::{Duration, Instant};
    /// let mut scheduler = Builder::new().build();
    /// assert_eq!(scheduler.next_deadline(), None);
    /// scheduler.spawn(|| sleep(Duration::from_secs(3600)));
    /// scheduler.run_until_idle();
    /// assert!(scheduler.next_deadline().unwrap() > Instant::now());
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        self.host().next_deadline()
    }

    /// The way to it from other OS threads, which may start tasks and call in. While one lives,
    /// the scheduler is never [done](Tick::Done).
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When the system has no descriptor to be woken by.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Budget, Builder, Tick};
    /// let mut scheduler = Builder::new().build();
    /// let remote = scheduler.remote();
    /// let other = std::thread::spawn(move || remote.call(|| 6 * 7));
    /// while scheduler.tick(Budget::round()) != Tick::Done {
    ///     std::thread::yield_now(); // better: sleeps until the descriptor is readable
    /// }
    /// assert_eq!(other.join().unwrap().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn remote(&self) -> Remote {
        crate::thread::remote()
    }

    /// Tells what every task waits for and who holds it, for people.
    ///
    /// Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut scheduler = maypole::Builder::new().build();
    /// scheduler.spawn(|| maypole::task::park());
    /// scheduler.run_until_idle();
    /// assert!(scheduler.report().to_string().contains("waits to be unparked"));
    /// ```
    pub fn report(&self) -> Report {
        self.host().report("the tasks of")
    }

    /// Lets `act` run tasks, with everything around them as they expect it.
    fn perform<R>(
        &mut self,
        call: &str,
        at: &'static Location<'static>,
        act: impl FnOnce(&mut Host) -> R,
    ) -> R {
        let host = self
            .0
            .as_mut()
            .expect("a scheduler is whole until it is dropped");
        if host.ticks || scheduler::is_in_task() {
            panic!(
                "maypole: {call} at {at} inside of a task of the scheduler; spawn a task instead"
            );
        }
        atomic::refuse(call, at, "call it before or after");
        host.ticks = true;
        let result = beside_panics(|| act(host));
        host.ticks = false;
        if host.turns_left == 0 {
            let report = host.report("the turn limit is reached by the tasks of");
            panic!("{report}");
        }
        result
    }
}

impl Host {
    fn tick(&mut self, limit: Limit) -> Tick {
        self.look();
        match limit {
            Limit::Turns(turns) => self.run_turns(turns),
            Limit::Time(time) => self.run_for(time),
            Limit::Round => self.run_round(),
        }
        self.state()
    }

    /// Learns what has come from outside, and whose time has come.
    fn look(&mut self) {
        self.world.look();
        self.core.kernel(|kernel| kernel.expire());
    }

    /// Calls the loop for so many turns; tells why it came back, and how many are left.
    fn run(&mut self, turns: u64) -> (Stop, u64) {
        let limit = turns.min(self.turns_left);
        self.core.kernel(|kernel| kernel.limit_turns(limit));
        let stop = self.core.drive(&mut Glance(&mut self.world));
        let unused = self.core.kernel(|kernel| kernel.stand_still());
        if self.max_turns != u64::MAX {
            self.turns_left -= limit - unused;
        }
        (stop, turns - (limit - unused))
    }

    fn run_turns(&mut self, mut turns: u64) {
        while turns > 0 && self.turns_left > 0 {
            let (stop, left) = self.run(turns);
            match stop {
                Stop::Idle if self.let_time_pass() => turns = left,
                _ => return,
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let watch = Clock::real();
        let end = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut unseen = 0;
        while watch.now() < end && self.turns_left > 0 {
            match self.run(TURNS_PER_SLICE).0 {
                Stop::Turns => unseen += TURNS_PER_SLICE,
                Stop::Idle if self.let_time_pass() => {}
                _ => return,
            }
            if unseen >= u64::from(TURNS_PER_LOOK) {
                self.look();
                unseen = 0;
            }
        }
    }

    fn run_round(&mut self) {
        if self.core.kernel(|kernel| kernel.count_ready()) == 0 {
            self.let_time_pass();
        }
        let turns = self.core.kernel(|kernel| kernel.begin_round());
        self.run(turns);
    }

    fn run_until_idle(&mut self) {
        loop {
            self.look();
            let is_idle = self.core.kernel(|kernel| kernel.count_ready()) == 0;
            if is_idle || self.turns_left == 0 {
                return;
            }
            self.run(u64::MAX);
        }
    }

    /// Nobody is ready: goes on to the next deadline, if that is now or virtual; true if so.
    fn let_time_pass(&mut self) -> bool {
        let deadline = self.core.kernel(|kernel| kernel.next_alarm());
        let outside = &mut Glance(&mut self.world);
        match self.core.outlook(deadline, outside) {
            Outlook::Sleep(_) | Outlook::Nothing => return false,
            Outlook::Jump(deadline) => self.core.jump(deadline, outside),
            Outlook::Expire => {}
        }
        self.core.kernel(|kernel| kernel.expire());
        true
    }

    fn state(&self) -> Tick {
        let (ready, empty) = self
            .core
            .kernel(|kernel| (kernel.count_ready() > 0, kernel.is_empty()));
        match ready {
            true => Tick::Ready,
            false if empty && self.world.prospect() == Prospect::Nothing => Tick::Done,
            false => Tick::Idle {
                next_deadline: self.next_deadline(),
            },
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let slack = self.core.slack();
        let deadline = self.core.kernel(|kernel| {
            let deadline = kernel.next_alarm()?;
            kernel.clock.instant_of(deadline)?.checked_add(slack)
        });
        deadline.into_iter().chain(self.world.next_retry()).min()
    }

    fn report(&self, of: &str) -> Report {
        let tasks = self.core.kernel(|kernel| kernel.snapshot());
        report::stuck(&format!("{of} the scheduler built at {}", self.at), &tasks)
    }

    /// Ends the tasks that are left, and closes the inbox.
    fn end(mut self) {
        let begun_at = atomic::in_the_way();
        if let Some(begun_at) = begun_at {
            coroutine::say(format_args!(
                "maypole: the scheduler built at {} is dropped inside the transaction begun at \
                 {begun_at}, where no task may have a turn: its tasks are leaked",
                self.at
            ));
        }
        let end_tasks = match begun_at {
            Some(_) => Host::leak_the_rest,
            None => Host::kill_the_rest,
        };
        beside_panics(|| {
            end_tasks(&mut self);
            self.world.close();
            // Those that were spawned by the destructors of what was in the inbox.
            end_tasks(&mut self);
        });
        debug_assert!(
            self.core.kernel(|kernel| kernel.is_clean()),
            "something is left in the kernel after the last task"
        );
        if let Some(report) = report::unjoined(&self.core.take_panics()) {
            coroutine::say(format_args!("{report}"));
        }
    }

    fn kill_the_rest(&mut self) {
        let mut end = End {
            scheduler: &self.core,
            driver: &mut self.world,
            at: self.at,
            reason: "its scheduler was dropped",
            max_turns: self.max_turns,
            detail: Detail::Reports,
        };
        end.kill_the_rest();
    }

    fn leak_the_rest(&mut self) {
        self.core.leak_all();
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        match self.0.take() {
            // A task has ended the process, whose thread-locals are being destroyed, this one with
            // them: no task can have a turn beside that one.
            Some(host) if host.ticks => std::mem::forget(host),
            Some(host) => host.end(),
            None => {}
        }
    }
}

/// What there is to wait for: readable when a tick would find something that has come from outside,
/// so that it can sit in somebody's `epoll` or `kqueue`. Only [`tick`](Scheduler::tick) takes that
/// away again. It tells nothing of timers ([`next_deadline`](Scheduler::next_deadline)), nor of
/// what the host itself has done to the tasks: a host ticks before each sleep.
///
/// # Panics
///
/// When the system has no descriptor left, the first time.
///
/// # Examples
///
/// A loop that waits for its own descriptors beside it, here with `mio`:
///
/// ```
/// use maypole::{Budget, Builder, Tick};
/// use mio::{Events, Interest, Poll, Token, unix::SourceFd};
/// use std::os::fd::{AsFd, AsRawFd};
/// use std::time::{Duration, Instant};
/// # fn main() -> std::io::Result<()> {
/// const TASKS: Token = Token(0);
/// let mut scheduler = Builder::new().build();
/// let mut poll = Poll::new()?;
/// let descriptor = scheduler.as_fd().as_raw_fd();
/// poll.registry().register(&mut SourceFd(&descriptor), TASKS, Interest::READABLE)?;
///
/// let remote = scheduler.remote();
/// let caller = std::thread::spawn(move || remote.call(|| 6 * 7));
/// let mut events = Events::with_capacity(64);
/// loop {
///     let timeout = match scheduler.tick(Budget::time(Duration::from_millis(1))) {
///         Tick::Done => break,
///         Tick::Ready => Some(Duration::ZERO),
///         Tick::Idle { next_deadline } => {
///             next_deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
///         }
///     };
///     poll.poll(&mut events, timeout)?;
///     for event in events.iter().filter(|event| event.token() != TASKS) {
///         // The host's own.
///         # let _ = event;
///     }
/// }
/// assert_eq!(caller.join().unwrap().unwrap(), 42);
/// # Ok(())
/// # }
/// ```
impl AsFd for Scheduler {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let host = self.host();
        let make = || match host.world.descriptor() {
            Ok(descriptor) => descriptor,
            Err(error) => panic!("maypole: the scheduler built at {}: {error}", host.at),
        };
        host.descriptor.get_or_init(make).as_fd()
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.as_ref().map(|host| host.at);
        f.debug_struct("Scheduler")
            .field("built_at", &at.map(Location::to_string))
            .finish_non_exhaustive()
    }
}

/// The world outside for a loop that must not sleep.
struct Glance<'a>(&'a mut World);

impl Driver for Glance<'_> {
    fn wait(&mut self, _: Option<Duration>) {
        self.0.look();
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn prospect(&self) -> Prospect {
        self.0.prospect()
    }

    fn may_sleep(&self) -> bool {
        false
    }
}
