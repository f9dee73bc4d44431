//! Who waits for a change of variables, in the order in which they parked.
//!
//! A transaction waits in the queue of each variable that it has read, and offers to its waker the
//! number of its park. So those who wait for several variables are put in order by their numbers.
use super::variable::AnyVariable;
use crate::scheduler::wait::WaitQueue;
use crate::scheduler::{self, first_offer, wake_one};
use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

thread_local! {
    static PARKS: Cell<usize> = const { Cell::new(0) };
}

/// What the transaction that parks next offers.
pub(super) fn next_offer() -> usize {
    let offer = PARKS.get();
    PARKS.set(offer + 1);
    offer
}

/// Makes everybody ready who waits for one of the variables.
#[cold]
#[inline(never)]
pub(super) fn wake_all<'a>(written: impl Iterator<Item = &'a Rc<AnyVariable>> + Clone) {
    let awaited = written.filter(|variable| variable.core.was_awaited());
    let mut queues = awaited.clone().map(|variable| variable.core.waiters());
    match (queues.next(), queues.next()) {
        (Some(only), None) => scheduler::wake_all(only, 0),
        _ => wake_in_order(awaited),
    }
}

/// The same where some may wait in several queues.
#[inline(never)]
fn wake_in_order<'a>(written: impl Iterator<Item = &'a Rc<AnyVariable>>) {
    let first = |queue: &'a WaitQueue| first_offer(queue).map(|offer| (offer, queue));
    let mut queues: Vec<(usize, &WaitQueue)> = written
        .filter_map(|variable| first(variable.core.waiters()))
        .collect();
    let order = |(at, (offer, _)): (usize, &(usize, &WaitQueue))| Reverse((*offer, at));
    let mut line: BinaryHeap<_> = queues.iter().enumerate().map(order).collect();
    while let Some(Reverse((offer, at))) = line.pop() {
        let (first, queue) = &mut queues[at];
        // The first may have been woken through another queue.
        if first_offer(queue) == Some(offer) {
            wake_one(queue, 0);
        }
        if let Some(next) = first_offer(queue) {
            *first = next;
            line.push(Reverse((next, at)));
        }
    }
}
