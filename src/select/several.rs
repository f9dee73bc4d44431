//! Waiting for the first of several cases.
//!
//! ```text
//!   enter ──► which are ready? ──► choose one, claim it ───────────────► (case, claim)
//!                │ none                                                     ▲
//!                ▼                                                          │
//!             enlist all ──► park ──► woken through one: accept its claim ──┘
//!                              └────► TimedOut: a timer's case is ready, or the limit is reached
//! ```
//!
//! A claim makes sure of one case: the message is set apart, the place is kept. What follows, the
//! transfer itself, belongs to whoever owns the case. The others leave no trace: a wake takes the
//! task out of every queue.
use super::{Deadline, Limit};
use crate::coroutine;
use crate::scheduler::wait::{Wait, WaitQueue, Woken};
use crate::scheduler::{self, kill, park};
use std::rc::Rc;
use std::time::Instant;

/// One of the cases, its type erased.
pub(crate) trait Alternative {
    /// Finds out whether it could complete, if that takes code of the user: between the answers of
    /// [`is_ready`](Self::is_ready) and a park none may run.
    fn prepare(&self) {}

    /// The call that it was a case of is over.
    fn retire(&self) {}

    /// Whether it could complete now, also by an error. `patience` is whether the caller may wait
    /// for a partner that is there but not yet done.
    fn is_ready(&self, patience: bool) -> bool;

    /// Makes sure of it; `None` if it is not to be had after all. Parks, until `deadline` at the
    /// latest, only if that is given and the partner needs time.
    fn claim(&self, deadline: Option<&Deadline>, wait: Wait) -> Option<Claim>;

    /// Where to wait, and what the waker is shown.
    fn enlist(&self, interest: Interest) -> (&WaitQueue, usize);

    /// Further places to wait in, for a case that waits for several things; a wake there brings it
    /// no claim.
    fn further(&self) -> Vec<Rc<dyn Waited>> {
        Vec::new()
    }

    /// The claim that a wake with `token` brought; `None` to try again.
    fn accept(&self, token: usize) -> Option<Claim>;

    /// Gives a claim back that is not used.
    fn release(&self, claim: Claim);

    /// When it is ready without being woken.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// The same for all handles of one side of one object.
    fn address(&self) -> *const ();
}

/// The cases of one call.
#[derive(Clone, Copy)]
pub(crate) struct Cases<'a> {
    all: &'a [&'a dyn Alternative],
    /// Whether any is a transaction, which must run to tell how it stands.
    transact: bool,
}

impl<'a> Cases<'a> {
    /// Cases of which none is a transaction.
    pub(crate) fn plain(all: &'a [&'a dyn Alternative]) -> Self {
        let transact = false;
        Cases { all, transact }
    }

    /// Cases of which any may be a transaction.
    pub(crate) fn with_transactions(all: &'a [&'a dyn Alternative]) -> Self {
        let transact = true;
        Cases { all, transact }
    }

    fn transactions(self) -> &'a [&'a dyn Alternative] {
        match self.transact {
            true => self.all,
            false => &[],
        }
    }

    fn prepare(self) {
        self.transactions().iter().for_each(|case| case.prepare());
    }

    fn further(self) -> Vec<Rc<dyn Waited>> {
        let places = self.transactions().iter();
        places.flat_map(|case| case.further()).collect()
    }

    /// The call is over, though the cases may live on while a body runs.
    pub(super) fn retire(self) {
        self.transactions().iter().for_each(|case| case.retire());
    }
}

/// Something with a queue to wait in.
pub(crate) trait Waited {
    /// Where to wait, and what the waker is shown.
    fn place(&self) -> (&WaitQueue, usize);
}

/// What was made sure of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// The other side is gone.
    Disconnected,
    /// A message was set apart.
    Message,
    /// A place in the channel is kept.
    Room,
    /// A receiver waits in the channel.
    Met,
    /// A receiver waits for this very sender.
    Paired,
    /// The time has come.
    Moment(Instant),
    /// The task has ended.
    Ended,
    /// The transaction has committed.
    Committed,
}

/// Why a task waits for a case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// To complete it.
    Take,
    /// To know that it is ready.
    Watch,
}

/// Which of several ready cases is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Any, by chance.
    Fair,
    /// The first.
    Biased,
}

/// Claims one of the cases that are ready. Waits for nothing but a partner that is there and makes
/// its message.
#[inline(never)]
pub(crate) fn try_first(cases: Cases<'_>, order: Order, wait: Wait) -> Option<(usize, Claim)> {
    let patient = Deadline::new(Limit::Never);
    claim_ready(cases, order, park::is_allowed().then_some(&patient), wait)
}

/// Tells one of the cases that are ready.
pub(crate) fn try_ready(cases: Cases<'_>, order: Order, wait: Wait) -> Option<usize> {
    choose_ready(cases, order, false, wait)
}

/// Claims one of the cases, parking until one is ready; `None` when the deadline comes first.
#[inline(always)]
pub(crate) fn first_of(
    cases: Cases<'_>,
    order: Order,
    deadline: &Deadline,
    wait: Wait,
) -> Option<(usize, Claim)> {
    enter(wait);
    loop {
        if let Some(found) = claim_ready(cases, order, Some(deadline), wait) {
            return Some(found);
        }
        let until = until(cases, deadline, wait);
        let turn = Turn::new(cases.all.len(), order);
        let further = cases.further();
        let filler = WaitQueue::new();
        let mut places = Places::new(&filler);
        let on = places.enlist(cases, turn, Interest::Take, &further);
        match park::park(on, until.0, wait) {
            Woken::Ready { case, .. } if case as usize >= cases.all.len() => {}
            Woken::Ready { case, token } => {
                let case = turn.case(case);
                if let Some(claim) = cases.all[case].accept(token) {
                    return Some((case, claim));
                }
            }
            Woken::TimedOut if until.1 => {}
            Woken::TimedOut => return None,
            Woken::Killed | Woken::Interrupted => {}
        }
    }
}

/// Waits until one of the cases is ready and tells which, without a claim; `None` when the
/// deadline comes first.
#[inline(always)]
pub(crate) fn first_ready(
    cases: Cases<'_>,
    order: Order,
    deadline: &Deadline,
    wait: Wait,
) -> Option<usize> {
    enter(wait);
    loop {
        if let Some(case) = choose_ready(cases, order, false, wait) {
            return Some(case);
        }
        let until = until(cases, deadline, wait);
        let turn = Turn::new(cases.all.len(), order);
        let filler = WaitQueue::new();
        let mut places = Places::new(&filler);
        let on = places.enlist(cases, turn, Interest::Watch, &[]);
        match park::park(on, until.0, wait) {
            Woken::Ready { case, .. } => return Some(turn.case(case)),
            Woken::TimedOut if until.1 => {}
            Woken::TimedOut => return None,
            Woken::Killed | Woken::Interrupted => {}
        }
    }
}

/// The order in which the cases are enlisted: of two on one queue the first is woken, so without
/// a preference a different one comes first each time.
#[derive(Clone, Copy)]
struct Turn {
    start: usize,
    count: usize,
    at: usize,
}

impl Turn {
    fn new(count: usize, order: Order) -> Self {
        let start = match order {
            Order::Fair => scheduler::chance(count),
            Order::Biased => 0,
        };
        Turn {
            start,
            count,
            at: 0,
        }
    }

    /// The case that was enlisted as number `nth`.
    fn case(&self, nth: u32) -> usize {
        let case = self.start + nth as usize;
        match case < self.count {
            true => case,
            false => case - self.count,
        }
    }
}

impl Iterator for Turn {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let nth = self.at;
        self.at += 1;
        (nth < self.count).then(|| self.case(nth as u32))
    }
}

/// Cases that need no allocation to wait for.
const FEW: usize = 8;

/// Where the cases wait, worked out before the kernel is asked to park.
struct Places<'q> {
    few: [(&'q WaitQueue, usize); FEW],
    many: Vec<(&'q WaitQueue, usize)>,
}

impl<'q> Places<'q> {
    fn new(filler: &'q WaitQueue) -> Self {
        Places {
            few: [(filler, 0); FEW],
            many: Vec::new(),
        }
    }

    #[inline(never)]
    fn enlist(
        &mut self,
        cases: Cases<'q>,
        turn: Turn,
        interest: Interest,
        further: &'q [Rc<dyn Waited>],
    ) -> &[(&'q WaitQueue, usize)] {
        let places = turn.map(|case| cases.all[case].enlist(interest));
        if cases.all.len() > FEW || !further.is_empty() {
            self.many.extend(places);
            self.many.extend(further.iter().map(|it| it.place()));
            return &self.many;
        }
        for (slot, place) in self.few.iter_mut().zip(places) {
            *slot = place;
        }
        &self.few[..cases.all.len()]
    }
}

/// The kill check and the budget of a call that may park.
#[inline(always)]
pub(crate) fn enter(wait: Wait) {
    if coroutine::attention() != coroutine::OUTSIDE {
        park::enter(wait);
    }
}

/// The end of a park that begins now, and whether a timer's case will then be ready. Refuses where
/// nobody may park, and raises what came during a park before this one.
#[inline(never)]
fn until(cases: Cases<'_>, deadline: &Deadline, wait: Wait) -> (Option<u64>, bool) {
    if coroutine::attention() == coroutine::OUTSIDE {
        scheduler::outside(wait);
    }
    // Before the auditor, which takes its time.
    let limit = deadline.get();
    park::ask(wait);
    kill::raise_if_pending(wait);
    let due = cases.all.iter().filter_map(|case| case.due()).min();
    let due = due.map(scheduler::deadline_at);
    match (due, limit) {
        (Some(due), Some(limit)) if limit < due => (Some(limit), false),
        (Some(due), _) => (Some(due), true),
        (None, limit) => (limit, false),
    }
}

#[inline(never)]
fn claim_ready(
    cases: Cases<'_>,
    order: Order,
    deadline: Option<&Deadline>,
    wait: Wait,
) -> Option<(usize, Claim)> {
    // A claim fails only if its partner went away while the task was parked for it, or if a
    // transaction was overtaken, which has then given the others a turn.
    loop {
        let case = choose_ready(cases, order, deadline.is_some(), wait)?;
        if let Some(claim) = cases.all[case].claim(deadline, wait) {
            return Some((case, claim));
        }
    }
}

/// One of the cases that are ready.
fn choose_ready(cases: Cases<'_>, order: Order, patience: bool, wait: Wait) -> Option<usize> {
    cases.prepare();
    let is_ready = |case: &usize| cases.all[*case].is_ready(patience);
    if order == Order::Biased {
        return (0..cases.all.len()).find(is_ready);
    }
    if cases.all.len() > u64::BITS as usize {
        let ready: Vec<usize> = (0..cases.all.len()).filter(is_ready).collect();
        return match ready.len() {
            0 => None,
            among => Some(ready[scheduler::choose_case(among, wait)]),
        };
    }
    let bits = (0..cases.all.len()).map(|case| u64::from(is_ready(&case)) << case);
    let mut ready = bits.fold(0, |ready, bit| ready | bit);
    if ready.count_ones() > 1 {
        for _ in 0..scheduler::choose_case(ready.count_ones() as usize, wait) {
            ready &= ready - 1;
        }
    }
    (ready != 0).then(|| ready.trailing_zeros() as usize)
}
