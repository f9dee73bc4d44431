//! The kernel as a plain value: parks, wakes, kills and time-outs without a coroutine.
use crate::scheduler::clock::Clock;
use crate::scheduler::kernel::{Kernel, NOBODY};
use crate::scheduler::kill::Killed;
use crate::scheduler::ready::Entry;
use crate::scheduler::task::{About, Body, Flags, State, TaskId};
use crate::scheduler::wait::{Wait, WaitQueue, What, Woken};
use std::panic::Location;
use std::rc::Rc;

/// A body that is never run.
struct Idle(About);

impl Body for Idle {
    fn run(&self) {
        unreachable!("no coroutine runs here")
    }
    fn about(&self) -> &About {
        &self.0
    }
}

pub(super) fn new_kernel() -> Kernel {
    Kernel::new(1, Clock::virtual_time())
}

#[track_caller]
pub(super) fn spawn(kernel: &mut Kernel) -> TaskId {
    spawn_with(kernel, Flags::default())
}

#[track_caller]
pub(super) fn spawn_with(kernel: &mut Kernel, flags: Flags) -> TaskId {
    let body = Rc::new(Idle(About::new(Location::caller())));
    let id = kernel.insert(body, flags, wait(What::Turn));
    kernel.make_ready(id.slot);
    id
}

#[track_caller]
pub(super) fn wait(what: What) -> Wait {
    Wait {
        what,
        at: Location::caller(),
    }
}

/// Gives the next task its turn, as the loop does.
pub(super) fn turn(kernel: &mut Kernel) -> Option<TaskId> {
    if kernel.look_is_due() {
        assert!(kernel.count_turns(), "the turns are used up");
    }
    let entry = kernel.pick().or_else(|| kernel.choose())?;
    Some(kernel.id(entry.slot))
}

/// The task that has its turn parks.
pub(super) fn park(kernel: &mut Kernel, on: &[(&WaitQueue, usize)], until: Option<u64>) {
    park_with(kernel, on, until, wait(What::Send), false);
    kernel.current = NOBODY;
}

/// The task that has its turn yields.
pub(super) fn yield_now(kernel: &mut Kernel) {
    let slot = kernel.current;
    kernel.current = NOBODY;
    kernel.requeue(Entry {
        coroutine: None,
        slot,
    });
}

/// Spawns a task and parks it.
#[track_caller]
/// Parks by the way that is made for so many queues.
pub(super) fn park_with(
    kernel: &mut Kernel,
    on: &[(&WaitQueue, usize)],
    until: Option<u64>,
    wait: Wait,
    unwinding: bool,
) {
    match on {
        [(queue, offer)] => kernel.park_in(queue, *offer, until, wait.pack(), unwinding),
        _ => kernel.park(on.iter().copied(), until, wait.pack(), unwinding),
    }
}

pub(super) fn spawn_parked(
    kernel: &mut Kernel,
    on: &[(&WaitQueue, usize)],
    until: Option<u64>,
) -> TaskId {
    let id = spawn(kernel);
    assert_eq!(turn(kernel), Some(id), "nobody else is ready");
    park(kernel, on, until);
    id
}

pub(super) fn woken(kernel: &Kernel, id: TaskId) -> Woken {
    let task = kernel.find(id).expect("the task lives");
    assert_eq!(task.state, State::Active, "{id} is still parked");
    task.woken()
}

pub(super) fn is_parked(kernel: &Kernel, id: TaskId) -> bool {
    let task = kernel.find(id).expect("the task lives");
    matches!(task.state, State::Parked | State::ParkedUnkillably)
}

/// Moves virtual time, whoever is ready, and lets the timers ring.
pub(super) fn pass_until(kernel: &mut Kernel, moment: u64) {
    kernel.clock.jump_to(moment);
    kernel.expire();
}

/// Ends every task that is ready; nothing may be left then.
#[track_caller]
pub(super) fn end(mut kernel: Kernel) {
    while let Some(id) = turn(&mut kernel) {
        drop(kernel.remove(id.slot));
    }
    assert!(kernel.is_clean(), "something is left in the kernel");
}

const TOKEN: Woken = Woken::Ready { case: 0, token: 9 };

#[test]
fn tasks_have_their_turns_in_the_order_of_spawning() {
    let mut kernel = new_kernel();
    let ids: Vec<TaskId> = (0..200).map(|_| spawn(&mut kernel)).collect();
    for _ in 0..3 {
        for id in &ids {
            assert_eq!(turn(&mut kernel), Some(*id));
            yield_now(&mut kernel);
        }
    }
    assert_eq!(
        ids.iter().map(|id| id.serial).collect::<Vec<_>>(),
        (1..=200).collect::<Vec<_>>()
    );
    end(kernel);
}

#[test]
fn a_watched_kernel_keeps_the_same_order() {
    struct Blind;
    impl crate::scheduler::observer::Observer for Blind {
        fn event(&mut self, _: crate::scheduler::observer::Event) {}
    }
    let mut kernel = new_kernel();
    kernel.set_observer(Box::new(Blind));
    let ids: Vec<TaskId> = (0..5).map(|_| spawn(&mut kernel)).collect();
    for id in ids.iter().chain(&ids) {
        assert_eq!(turn(&mut kernel), Some(*id));
        yield_now(&mut kernel);
    }
    end(kernel);
}

#[test]
fn waiters_are_woken_first_in_first_out_and_offer_and_token_change_hands() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let ids = [10, 20, 30].map(|offer| spawn_parked(&mut kernel, &[(&queue, offer)], None));
    for (id, offer) in ids.into_iter().zip([10, 20, 30]) {
        assert!(kernel.has_waiter(&queue));
        assert_eq!(kernel.wake_one(&queue, offer + 1), Some(offer));
        let token = offer + 1;
        assert_eq!(woken(&kernel, id), Woken::Ready { case: 0, token });
    }
    assert!(!kernel.has_waiter(&queue));
    assert_eq!(kernel.wake_one(&queue, 0), None);
    assert_eq!([0; 3].map(|_| turn(&mut kernel)), ids.map(Some));
    ids.into_iter().for_each(|id| kernel.make_ready(id.slot));
    end(kernel);
}

#[test]
fn a_woken_task_is_out_of_every_queue_and_its_timer_is_gone() {
    let mut kernel = new_kernel();
    let queues = [WaitQueue::new(), WaitQueue::new(), WaitQueue::new()];
    let on = [(&queues[0], 1), (&queues[1], 2), (&queues[2], 3)];
    let id = spawn_parked(&mut kernel, &on, Some(50));
    assert_eq!(kernel.next_deadline(), Some(50));
    assert_eq!(kernel.wake_one(&queues[1], 9), Some(2));
    assert_eq!(woken(&kernel, id), Woken::Ready { case: 1, token: 9 });
    assert!(queues.iter().all(|queue| !kernel.has_waiter(queue)));
    assert_eq!(kernel.next_deadline(), None);
    pass_until(&mut kernel, 100);
    assert_eq!(woken(&kernel, id), Woken::Ready { case: 1, token: 9 });
    end(kernel);
}

#[test]
fn a_task_in_the_same_queue_twice_is_woken_once() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 7), (&queue, 8)], None);
    let offer = kernel.wake_one(&queue, 9).expect("it waits");
    let case = match offer {
        7 => 0,
        _ => 1,
    };
    assert_eq!(woken(&kernel, id), Woken::Ready { case, token: 9 });
    assert_eq!(kernel.wake_one(&queue, 9), None);
    end(kernel);
}

#[test]
fn one_who_leaves_the_middle_of_a_queue_disturbs_nobody() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let ids = [1, 2, 3, 4, 5].map(|offer| spawn_parked(&mut kernel, &[(&queue, offer)], None));
    for leaves in [2, 0, 4] {
        assert_eq!(kernel.kill(ids[leaves].slot), Killed::Parked);
    }
    assert_eq!(kernel.wake_one(&queue, 0), Some(2));
    let late = {
        let [first, second, third, fourth] = [0; 4].map(|_| turn(&mut kernel).unwrap());
        assert_eq!(
            [first, second, third, fourth],
            [ids[2], ids[0], ids[4], ids[1]]
        );
        park(&mut kernel, &[(&queue, 6)], None);
        [first, second, third]
    };
    assert_eq!(kernel.wake_one(&queue, 0), Some(4));
    assert_eq!(kernel.wake_one(&queue, 0), Some(6));
    late.into_iter().for_each(|id| kernel.make_ready(id.slot));
    end(kernel);
}

#[test]
fn a_killed_waiter_is_out_of_its_queues_before_the_kill_returns() {
    let mut kernel = new_kernel();
    let queues = [WaitQueue::new(), WaitQueue::new()];
    let id = spawn_parked(&mut kernel, &[(&queues[0], 1), (&queues[1], 2)], Some(50));
    assert_eq!(kernel.kill(id.slot), Killed::Parked);
    assert_eq!(woken(&kernel, id), Woken::Killed);
    assert!(
        queues
            .iter()
            .all(|queue| kernel.wake_one(queue, 0).is_none())
    );
    assert_eq!(kernel.next_deadline(), None);
    assert_eq!(kernel.kill(id.slot), Killed::Already);
    end(kernel);
}

#[test]
fn a_kill_after_a_wake_leaves_the_wake() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], Some(50));
    kernel.wake_one(&queue, 9);
    kernel.kill(id.slot);
    pass_until(&mut kernel, 100);
    assert_eq!(woken(&kernel, id), TOKEN);
    end(kernel);
}

#[test]
fn a_kill_waits_while_a_shield_is_open() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn(&mut kernel);
    turn(&mut kernel);
    kernel.tasks[id.slot as usize].shields = 1;
    park(&mut kernel, &[(&queue, 1)], None);
    assert_eq!(kernel.kill(id.slot), Killed::Shielded);
    assert!(is_parked(&kernel, id) && kernel.has_waiter(&queue));
    assert_eq!(kernel.attention_of(id.slot), 0);
    kernel.wake_one(&queue, 9);
    assert_eq!(woken(&kernel, id), TOKEN);
    kernel.tasks[id.slot as usize].shields = 0;
    assert_ne!(
        kernel.attention_of(id.slot),
        0,
        "the kill is due when the shield is closed"
    );
    end(kernel);
}

#[test]
fn nobody_is_killed_while_a_destructor_waits_during_an_unwind() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn(&mut kernel);
    turn(&mut kernel);
    kernel.park([(&queue, 1)], None, wait(What::Scope).pack(), true);
    assert_eq!(kernel.kill(id.slot), Killed::Shielded);
    assert!(is_parked(&kernel, id));
    kernel.wake_one(&queue, 9);
    assert_eq!(woken(&kernel, id), TOKEN);
    end(kernel);
}

#[test]
fn a_wake_in_the_tick_of_the_deadline_keeps_its_word() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], Some(50));
    kernel.clock.jump_to(50);
    assert_eq!(kernel.wake_one(&queue, 9), Some(1));
    kernel.expire();
    assert_eq!(woken(&kernel, id), TOKEN);
    end(kernel);
}

#[test]
fn a_time_out_in_the_tick_of_the_wake_leaves_nobody_to_wake() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], Some(50));
    let next = spawn_parked(&mut kernel, &[(&queue, 2)], None);
    pass_until(&mut kernel, 49);
    assert!(is_parked(&kernel, id));
    pass_until(&mut kernel, 50);
    assert_eq!(woken(&kernel, id), Woken::TimedOut);
    assert_eq!(kernel.wake_one(&queue, 9), Some(2));
    assert_eq!(woken(&kernel, next), TOKEN);
    end(kernel);
}

#[test]
fn deadlines_ring_in_their_order_and_equal_ones_as_they_were_set() {
    let mut kernel = new_kernel();
    let ids = [30, 10, 20, 10].map(|until| spawn_parked(&mut kernel, &[], Some(until)));
    pass_until(&mut kernel, 30);
    let order: Vec<TaskId> = std::iter::from_fn(|| turn(&mut kernel)).collect();
    assert_eq!(order, [ids[1], ids[3], ids[2], ids[0]]);
    order.iter().for_each(|id| kernel.make_ready(id.slot));
    end(kernel);
}

#[test]
fn timers_of_daemons_alone_keep_no_run_alive() {
    let mut kernel = new_kernel();
    let daemon = spawn_with(&mut kernel, Flags::default().with(Flags::DAEMON));
    turn(&mut kernel);
    park(&mut kernel, &[], Some(10));
    assert_eq!(kernel.next_deadline(), None);
    let other = spawn_parked(&mut kernel, &[], Some(20));
    assert_eq!(
        kernel.next_deadline(),
        Some(10),
        "with another timer, its own is seen to"
    );
    pass_until(&mut kernel, 10);
    assert_eq!(woken(&kernel, daemon), Woken::TimedOut);
    assert_eq!(kernel.next_deadline(), Some(20));
    kernel.kill(other.slot);
    assert_eq!(kernel.next_deadline(), None);
    end(kernel);
}

#[test]
fn timers_of_a_daemon_keep_the_run_alive_once_it_is_killed() {
    let mut kernel = new_kernel();
    let daemon = spawn_with(&mut kernel, Flags::default().with(Flags::DAEMON));
    turn(&mut kernel);
    let bound = kernel.enter_bound(Some(20));
    kernel.tasks[daemon.slot as usize].shields = 1;
    park(&mut kernel, &[], Some(10));
    assert_eq!(kernel.next_deadline(), None);
    assert_eq!(kernel.kill(daemon.slot), Killed::Shielded);
    assert_eq!(kernel.next_deadline(), Some(10));
    pass_until(&mut kernel, 10);
    assert_eq!(woken(&kernel, daemon), Woken::TimedOut);
    assert_eq!(
        kernel.next_deadline(),
        Some(20),
        "the timeout that it is inside of counts too"
    );
    kernel.leave_bound(bound);
    assert_eq!(kernel.next_deadline(), None);
    end(kernel);
}

#[test]
fn a_held_task_is_let_go_by_a_kill_while_the_run_ends() {
    let mut kernel = new_kernel();
    let held = spawn(&mut kernel);
    let other = spawn(&mut kernel);
    kernel.ending = true;
    kernel.hold_ready();
    assert_eq!(turn(&mut kernel), None);
    kernel.kill(held.slot);
    assert_eq!(turn(&mut kernel), Some(held));
    assert_eq!(turn(&mut kernel), None, "the other one is still held");
    kernel.make_ready(held.slot);
    kernel.release_held(other);
    end(kernel);
}

#[test]
fn a_task_that_will_be_leaked_is_in_no_queue() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], Some(50));
    kernel.withdraw(id.slot);
    drop(kernel.remove(id.slot));
    kernel.drop_ready();
    assert!(!kernel.has_waiter(&queue));
    assert!(kernel.is_clean());
}
