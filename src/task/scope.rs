//! Tasks that may borrow: a scope is not left, by return or by unwind, before they are gone.
//!
//! ```text
//!   scope(|s| ..)
//!     lend ─► enter a bound ─► the closure, then a killable wait for the children
//!                                   │ a child panics: the bound is raised, the others are killed
//!                                   ▼
//!             leave the bound ─► kill who is left ─► wait under a shield ─► all gone: return,
//!                                                                           or go on unwinding
//! ```
#![allow(unsafe_code)]

use super::builder::no_stack;
use super::handle::Task;
use super::join::ScopedJoinHandle;
use super::packet::{Ending, Packet, drop_quietly};
use crate::coroutine::{self, Extent, StackLimit};
use crate::scheduler::bound::BoundId;
use crate::scheduler::kill::{self, Shield};
use crate::scheduler::object::{Object, ObjectView};
use crate::scheduler::task::{About, Body, Flags, OpenScope, TaskId};
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{self, First, Traits, UnjoinedPanic, park, with_kernel};
use crate::select::{Case, block_on, wait_out};
use slab::Slab;
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Erases lifetimes for as long as [`lend`] runs.
pub(crate) struct Lender<'env> {
    out: Rc<Cell<usize>>,
    env: PhantomData<Cell<&'env ()>>,
}

/// One erased body that is not gone yet.
pub(crate) struct Lent(Rc<Cell<usize>>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Calls `borrower` with a lender, and does not return, nor unwind, while anything lent is out:
/// the process aborts first. Whoever lends waits for its bodies, so that it never comes to that.
pub(crate) fn lend<'env, T>(borrower: impl FnOnce(&Lender<'env>) -> T) -> T {
    struct AllGone(Rc<Cell<usize>>);
    impl Drop for AllGone {
        fn drop(&mut self) {
            if self.0.get() != 0 {
                coroutine::say(format_args!(
                    "maypole: internal error: a scope was left before its tasks were gone"
                ));
                std::process::abort();
            }
        }
    }
    let out = Rc::new(Cell::new(0));
    let _all_gone = AllGone(out.clone());
    borrower(&Lender {
        out,
        env: PhantomData,
    })
}

impl<'env> Lender<'env> {
    /// Counts one body; it is gone when the token is dropped. Put it where it is dropped last.
    pub(crate) fn token(&self) -> Lent {
        self.out.set(self.out.get() + 1);
        Lent(self.out.clone())
    }

    /// Forgets how long a packet may live, whose ending drops a token of this lender.
    ///
    /// What the packet borrows is its function and its result. It ends, and so drops the token,
    /// when the function has been consumed and the result is dropped or left to the handle, whose
    /// own lifetime is the borrow's. After that the packet is bare memory.
    pub(crate) fn erase<'a, F, T, E>(&self, packet: Rc<Packet<F, T, E>>) -> Rc<dyn Body>
    where
        F: FnOnce() -> T + 'a,
        T: 'a,
        E: Ending + Into<Lent> + 'a,
        'env: 'a,
    {
        let body: Rc<dyn Body + 'a> = packet;
        // SAFETY: only the lifetime changes. `lend` does not end before the token in the packet's
        // ending is dropped, and `'env` outlives `lend`, so nothing borrowed is used too late.
        unsafe { std::mem::transmute::<Rc<dyn Body + 'a>, Rc<dyn Body>>(body) }
    }
}

/// A call that another OS thread makes, with its lifetime erased.
pub(crate) struct Errand {
    call: Box<dyn FnOnce() + Send>,
    /// Dropped last: from then on what the call has borrowed is free.
    gone: Gone,
}

impl Errand {
    /// Makes the call. Nothing of it is left when the owner finds it done.
    pub(crate) fn run(self) {
        let Errand { call, gone } = self;
        call();
        drop(gone);
    }
}

struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The owner's end of an [`Errand`]; it is not let go before the errand is gone.
pub(crate) struct Away {
    gone: Arc<AtomicBool>,
    _lent: Lent,
}

impl Away {
    /// Whether the call was made, or dropped.
    pub(crate) fn is_back(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // Its owner has waited, so that nobody is held up here. Otherwise the whole OS thread is:
        // what the call has borrowed must stay where it is.
        while !self.is_back() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl<'env> Lender<'env> {
    /// Forgets how long a call may live that another OS thread is to make.
    pub(crate) fn erase_call<'a>(&self, call: impl FnOnce() + Send + 'a) -> (Errand, Away)
    where
        'env: 'a,
    {
        let call: Box<dyn FnOnce() + Send + 'a> = Box::new(call);
        // SAFETY: only the lifetime changes. `lend` does not end before the token in `Away` is
        // dropped, which comes after the errand has dropped the call with all that it captured,
        // and `'env` outlives `lend`, so nothing borrowed is used too late. What the errand still
        // touches then, its flag, is shared and borrows nothing.
        let call = unsafe {
            std::mem::transmute::<Box<dyn FnOnce() + Send + 'a>, Box<dyn FnOnce() + Send>>(call)
        };
        let gone = Arc::new(AtomicBool::new(false));
        let errand = Errand {
            call,
            gone: Gone(gone.clone()),
        };
        let away = Away {
            gone,
            _lent: self.token(),
        };
        (errand, away)
    }
}

/// A place to spawn tasks that borrow; see [`scope`].
///
/// # Examples
///
/// ```
/// use maypole::Scope;
/// fn greet<'scope>(s: &'scope Scope<'scope, '_>, name: &'scope str) {
///     s.spawn(move || println!("hello, {name}"));
/// }
/// let names = ["ann".to_string(), "bob".to_string()];
/// maypole::run(|| {
///     maypole::scope(|s| names.iter().for_each(|name| greet(s, name)));
/// });
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    state: Rc<State>,
    lender: &'scope Lender<'env>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

struct State {
    /// Where it was opened.
    at: &'static Location<'static>,
    bound: OnceCell<BoundId>,
    /// Unnamed while it is being launched.
    children: RefCell<Slab<Option<TaskId>>>,
    /// Children that the scope waits for: all but the daemons.
    awaited: Cell<usize>,
    /// Whether a failure kills the others and comes out of the scope: not for those who collect
    /// results, and no longer when the closure has unwound, which then came first.
    fail_fast: Cell<bool>,
    /// Children are killed as soon as they are spawned: the scope is being left.
    closing: Cell<bool>,
    failure: RefCell<Option<Failure>>,
    changed: WaitQueue,
}

/// The first panic of a child.
struct Failure {
    id: TaskId,
    payload: Box<dyn Any + Send>,
}

impl OpenScope for State {
    fn owner_abandoned(&self, at: &'static Location<'static>) {
        self.closing.set(true);
        self.kill_children("the task that opened its scope was abandoned", at);
    }
}

/// What a report can tell of a scope: who must end before it does.
impl Object for State {
    fn view(&self) -> ObjectView {
        let children = self.children.borrow();
        let left = children.iter().filter_map(|(_, id)| *id);
        ObjectView {
            kind: "scope",
            name: None,
            made_at: self.at,
            owners: left.map(|id| (id, self.at)).collect(),
            state: String::new(),
            content: None,
        }
    }

    fn each_owner(&self, show: &mut dyn FnMut(TaskId)) {
        let children = self.children.borrow();
        children.iter().filter_map(|(_, id)| *id).for_each(show);
    }
}

/// The scope stands in its owner's list while this lives.
struct Listed<'a> {
    state: &'a Rc<State>,
    owner: Rc<dyn Body>,
}

impl<'a> Listed<'a> {
    fn enter(state: &'a Rc<State>) -> Self {
        let (_, owner) = scheduler::current().expect("parking is allowed in tasks only");
        let scope: Rc<dyn OpenScope> = state.clone();
        owner.about().more().scopes.borrow_mut().push(scope);
        Listed { state, owner }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mine = Rc::as_ptr(self.state).cast::<()>();
        let mut scopes = self.owner.about().more().scopes.borrow_mut();
        if let Some(at) = scopes
            .iter()
            .rposition(|s| Rc::as_ptr(s).cast::<()>() == mine)
        {
            drop(scopes.remove(at));
        }
    }
}

impl State {
    fn kill_children(&self, reason: &str, at: &'static Location<'static>) {
        let children = self.children.borrow();
        let mut ids: Vec<TaskId> = children.iter().filter_map(|(_, id)| *id).collect();
        drop(children);
        ids.sort_unstable();
        for id in ids {
            scheduler::kill(id, reason, at);
        }
    }

    /// Tells the reports who is waited for.
    fn introduce(self: &Rc<Self>) {
        self.changed.introduce(|| {
            let state: Weak<State> = Rc::downgrade(self);
            state
        });
    }

    fn is_deserted(&self) -> bool {
        self.children.borrow().is_empty()
    }

    fn count_in(&self, daemon: bool) -> usize {
        self.awaited.set(self.awaited.get() + usize::from(!daemon));
        self.children.borrow_mut().insert(None)
    }

    fn count_out(&self, child: usize, daemon: bool) {
        self.awaited.set(self.awaited.get() - usize::from(!daemon));
        self.children.borrow_mut().remove(child);
        if self.awaited.get() == 0 || self.is_deserted() {
            scheduler::wake_all(&self.changed, 0);
        }
    }
}

/// Counts a child out whose launch unwinds: the kill check or the refusal of a `spawn_now`.
struct Launch<'a> {
    state: &'a State,
    child: usize,
    daemon: bool,
}

impl Drop for Launch<'_> {
    fn drop(&mut self) {
        self.state.count_out(self.child, self.daemon);
    }
}

/// How a child of a scope ends.
struct Attended {
    state: Rc<State>,
    child: usize,
    daemon: bool,
    /// Dropped last: from then on the scope may be left.
    lent: Lent,
}

impl From<Attended> for Lent {
    fn from(ending: Attended) -> Lent {
        ending.lent
    }
}

impl Ending for Attended {
    fn panicked(&self, about: &About, payload: Box<dyn Any + Send>) -> Option<Box<dyn Any + Send>> {
        let state = &self.state;
        if !state.fail_fast.get() {
            return Some(payload);
        }
        if state.failure.borrow().is_some() {
            return Some(payload);
        }
        let id = state.children.borrow()[self.child].expect("a child that runs was launched");
        *state.failure.borrow_mut() = Some(Failure { id, payload });
        state.kill_children("another task of its scope panicked", about.site);
        if let Some(bound) = state.bound.get() {
            with_kernel(|kernel| kernel.raise_bound(*bound));
        }
        None
    }

    fn over(self) {
        let Attended {
            state,
            child,
            daemon,
            lent,
        } = self;
        // The owner, if this wakes it, runs later than what follows.
        state.count_out(child, daemon);
        drop(lent);
    }
}

/// Runs `f`, which may spawn tasks that borrow from around the scope, and waits for all of them.
///
/// When a task panics, the others and `f` itself are killed at their next park, and `scope`
/// re-raises the first panic with its payload, unless a parked `join` of that task received it
/// first. When the caller is killed, its tasks are killed and waited for before the unwind goes
/// on. A killed task is no failure.
///
/// Parks: until every task of the scope has ended. A kill of the caller is passed on to them.
///
/// # Panics
///
/// With the first panic of a task or of `f`; outside of [`run`](crate::run); where parking is
/// forbidden.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let mut halves = [1, 2, 3, 4];
///     let (left, right) = halves.split_at_mut(2);
///     maypole::scope(|s| {
///         s.spawn(|| left.iter_mut().for_each(|n| *n *= 10));
///         s.spawn(|| right.iter_mut().for_each(|n| *n *= 100));
///     });
///     assert_eq!(halves, [10, 20, 300, 400]);
/// });
/// ```
///
/// No handle leaves the scope:
///
/// ```compile_fail,E0521
/// let mut kept = None;
/// maypole::scope(|s| kept = Some(s.spawn(|| 1)));
/// ```
///
/// Tasks borrow from around the scope, not from inside its closure:
///
/// ```compile_fail,E0373
/// maypole::scope(|s| {
///     let local = String::from("gone before the task");
///     s.spawn(|| println!("{local}"));
/// });
/// ```
///
/// What they borrow stays where it is:
///
/// ```compile_fail,E0505
/// let text = String::from("borrowed");
/// maypole::scope(|s| {
///     s.spawn(|| println!("{text}"));
///     drop(text);
/// });
/// ```
///
/// And none of it leaves its OS thread:
///
/// ```compile_fail,E0277
/// maypole::scope(|s| {
///     let handle = s.spawn(|| ());
///     std::thread::scope(|threads| {
///         threads.spawn(move || handle.is_finished());
///     });
/// });
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    scope_with(true, Location::caller(), f)
}

/// A scope in which a panic is one task's own business, for those who collect the results.
pub(super) fn scope_of_equals<'env, F, T>(at: &'static Location<'static>, f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    scope_with(false, at, f)
}

fn scope_with<'env, F, T>(fail_fast: bool, at: &'static Location<'static>, f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let wait = Wait {
        what: What::Scope,
        at,
    };
    // Asked before the first child: at the end a refused park would be unsound.
    park::enter(wait);
    park::ask(wait);
    let _extent = Extent::enter();
    match std::thread::panicking() {
        true => super::apart(|| scope_in(fail_fast, wait, f)),
        false => scope_in(fail_fast, wait, f),
    }
}

fn scope_in<'env, F, T>(fail_fast: bool, wait: Wait, f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    lend(|lender| {
        let state = Rc::new(State {
            at: wait.at,
            bound: OnceCell::new(),
            children: RefCell::new(Slab::new()),
            awaited: Cell::new(0),
            fail_fast: Cell::new(fail_fast),
            closing: Cell::new(false),
            failure: RefCell::new(None),
            changed: WaitQueue::new(),
        });
        let bound = with_kernel(|kernel| kernel.enter_bound(None));
        let _ = state.bound.set(bound);
        let _listed = Listed::enter(&state);
        let scope = Scope {
            state: state.clone(),
            lender,
            scope: PhantomData,
            env: PhantomData,
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            let value = f(&scope);
            block_on(Awaited(&state), None, wait);
            value
        }));
        if result.is_err() {
            state.fail_fast.set(false);
        }
        close(&state, bound, wait, result.is_ok());
        let failure = state.failure.take();
        match (result, failure) {
            (Ok(value), None) => value,
            (Ok(value), Some(failure)) => {
                drop_quietly(value);
                resume_unwind(failure.payload)
            }
            (Err(payload), None) => resume_unwind(payload),
            (Err(payload), Some(failure)) if kill::is_ours(&*payload) => {
                if kill::is_bound(&*payload, bound.serial) {
                    resume_unwind(failure.payload)
                }
                // The owner was killed as well, or timed out further out: that goes on, and the
                // panic is named at the end of the run.
                forget_failure(failure);
                resume_unwind(payload)
            }
            // The closure panicked after the child did: the first panic counts.
            (Err(payload), Some(failure)) => {
                drop_quietly(payload);
                resume_unwind(failure.payload)
            }
        }
    })
}

/// Waits until every child is gone, whatever happens to the owner meanwhile.
fn close(state: &Rc<State>, bound: BoundId, wait: Wait, finished: bool) {
    with_kernel(|kernel| kernel.leave_bound(bound));
    state.closing.set(true);
    let reason = match finished {
        true => "the other tasks of its scope are done",
        false => "its scope is being left",
    };
    state.kill_children(reason, wait.at);
    let _shield = Shield::open();
    wait_out(Deserted(state), wait);
}

#[cold]
fn forget_failure(failure: Failure) {
    let text = super::message_of(&*failure.payload)
        .unwrap_or("a panic with a payload that is no text")
        .to_string();
    scheduler::keep_panic(UnjoinedPanic {
        id: failure.id,
        text,
    });
    drop_quietly(failure.payload);
}

/// Waits for the children that the scope waits for.
struct Awaited<'a>(&'a Rc<State>);

impl Case for Awaited<'_> {
    type Output = ();
    fn try_now(&mut self) -> Option<()> {
        (self.0.awaited.get() == 0).then_some(())
    }
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        self.0.introduce();
        (&self.0.changed, 0)
    }
    fn accept(&mut self, _: usize) -> Option<()> {
        self.try_now()
    }
}

/// Waits for all children, daemons too.
struct Deserted<'a>(&'a Rc<State>);

impl Case for Deserted<'_> {
    type Output = ();
    fn try_now(&mut self) -> Option<()> {
        self.0.is_deserted().then_some(())
    }
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        self.0.introduce();
        (&self.0.changed, 0)
    }
    fn accept(&mut self, _: usize) -> Option<()> {
        self.try_now()
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a task that may borrow from around the scope; see [`spawn`](crate::spawn).
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// When no further stack can be had, with the limit that stands against it.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     let mut total = 0;
    ///     maypole::scope(|s| {
    ///         s.spawn(|| total += 1);
    ///     });
    ///     assert_eq!(total, 1);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<T: 'scope>(
        &'scope self,
        f: impl FnOnce() -> T + 'scope,
    ) -> ScopedJoinHandle<'scope, T> {
        self.spawn_at(Location::caller(), First::Parent, f)
    }

    /// Starts a task and runs it at once until it first parks; see
    /// [`spawn_now`](crate::spawn_now).
    ///
    /// Parks: no, but the child runs before it returns.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Scope::spawn); and where yielding is forbidden.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// maypole::run(|| {
    ///     let begun = Cell::new(false);
    ///     maypole::scope(|s| {
    ///         s.spawn_now(|| begun.set(true));
    ///         assert!(begun.get());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_now<T: 'scope>(
        &'scope self,
        f: impl FnOnce() -> T + 'scope,
    ) -> ScopedJoinHandle<'scope, T> {
        self.spawn_at(Location::caller(), First::Child, f)
    }

    /// Starts a task that serves the others and is killed when they are done.
    ///
    /// Parks: no.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Scope::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// maypole::run(|| {
    ///     let beats = Cell::new(0);
    ///     maypole::scope(|s| {
    ///         s.spawn_daemon(|| {
    ///             loop {
    ///                 beats.set(beats.get() + 1);
    ///                 maypole::yield_now();
    ///             }
    ///         });
    ///         s.spawn(|| maypole::yield_now());
    ///     }); // the daemon does not keep it open
    ///     assert!(beats.get() > 0);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_daemon(&'scope self, f: impl FnOnce() + 'scope) {
        let about = About::new(Location::caller());
        let traits = Traits {
            flags: Flags::default().with(Flags::DAEMON),
            ..Traits::default()
        };
        let launched = self.launch(about, traits, First::Parent, f);
        if let Err(limit) = launched {
            no_stack(&limit)
        }
    }

    /// Kills every task of the scope that lives now. Parks: no.
    ///
    /// # Examples
    ///
    /// ```
    /// maypole::run(|| {
    ///     maypole::scope(|s| {
    ///         s.spawn(|| maypole::task::park()); // for ever
    ///         maypole::yield_now();
    ///         s.kill("enough");
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn kill(&self, reason: &str) {
        self.state.kill_children(reason, Location::caller());
    }

    /// Starts a task that is said to have been spawned at `site`.
    pub(super) fn spawn_at<T: 'scope>(
        &'scope self,
        site: &'static Location<'static>,
        first: First,
        f: impl FnOnce() -> T + 'scope,
    ) -> ScopedJoinHandle<'scope, T> {
        match self.launch(About::new(site), Traits::default(), first, f) {
            Ok(handle) => handle,
            Err(limit) => no_stack(&limit),
        }
    }

    pub(super) fn launch<T: 'scope>(
        &'scope self,
        about: About,
        mut traits: Traits,
        first: First,
        f: impl FnOnce() -> T + 'scope,
    ) -> Result<ScopedJoinHandle<'scope, T>, StackLimit> {
        let site = about.site;
        let daemon = traits.flags.has(Flags::DAEMON);
        traits.flags.set(Flags::SCOPED);
        let child = self.state.count_in(daemon);
        let unwound = Launch {
            state: &self.state,
            child,
            daemon,
        };
        let ending = Attended {
            state: self.state.clone(),
            child,
            daemon,
            lent: self.lender.token(),
        };
        let packet = Rc::new(Packet::new(about, f, ending));
        let body = self.lender.erase(packet.clone());
        let admitted = |id: TaskId| {
            self.state.children.borrow_mut()[child] = Some(id);
            if self.state.closing.get() {
                scheduler::kill(id, "its scope is being left", site);
            }
        };
        let launched = scheduler::launch(body.clone(), traits, first, admitted);
        std::mem::forget(unwound);
        match launched {
            Ok(id) => Ok(ScopedJoinHandle::new(packet, Task::new(id, body))),
            Err(limit) => {
                packet.withdraw();
                Err(limit)
            }
        }
    }
}

impl std::fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("tasks", &self.state.children.borrow().len())
            .finish_non_exhaustive()
    }
}
