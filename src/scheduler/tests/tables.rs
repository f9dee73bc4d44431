//! Pauses, unparks, identities, queues across runs, the turn limit and the end of a run, on the
//! kernel as a plain value.
use super::kernel::*;
use crate::scheduler::clock::Clock;
use crate::scheduler::kernel::{Kernel, NOBODY};
use crate::scheduler::kill::Killed;
use crate::scheduler::policy::{Choice, Policy};
use crate::scheduler::ready::Entry;
use crate::scheduler::task::{State, Status, TaskId};
use crate::scheduler::wait::{WaitQueue, What, Woken};

// ── pause ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_paused_task_is_stepped_over_and_goes_to_the_end_when_resumed() {
    let mut kernel = new_kernel();
    let ids = [0; 3].map(|_| spawn(&mut kernel));
    kernel.pause(ids[0]);
    kernel.pause(ids[0]);
    assert_eq!(kernel.status(ids[0].slot), Status::Paused);
    assert_eq!(turn(&mut kernel), Some(ids[1]));
    kernel.resume(ids[0]);
    kernel.resume(ids[0]);
    assert_eq!(turn(&mut kernel), Some(ids[2]));
    assert_eq!(
        kernel.pick().map(|entry| entry.slot),
        Some(ids[0].slot),
        "turns are plain again"
    );
    assert_eq!(turn(&mut kernel), None);
    ids.into_iter().for_each(|id| kernel.make_ready(id.slot));
    end(kernel);
}

#[test]
fn a_wake_of_a_paused_task_is_kept_with_what_it_brought() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], Some(50));
    kernel.pause(id);
    assert_eq!(kernel.wake_one(&queue, 9), Some(1));
    assert_eq!(turn(&mut kernel), None);
    assert!(!is_parked(&kernel, id));
    kernel.resume(id);
    assert_eq!(turn(&mut kernel), Some(id));
    assert_eq!(woken(&kernel, id), Woken::Ready { case: 0, token: 9 });
    kernel.make_ready(id.slot);
    end(kernel);
}

#[test]
fn a_parked_task_that_is_paused_and_resumed_is_still_parked() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], None);
    kernel.pause(id);
    kernel.resume(id);
    assert!(is_parked(&kernel, id));
    assert_eq!(turn(&mut kernel), None);
    assert_eq!(kernel.wake_one(&queue, 9), Some(1));
    end(kernel);
}

#[test]
fn a_kill_lifts_a_pause_and_no_later_pause_holds_the_task() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let (parked, held) = (
        spawn_parked(&mut kernel, &[(&queue, 1)], None),
        spawn(&mut kernel),
    );
    kernel.pause(parked);
    kernel.pause(held);
    assert_eq!(turn(&mut kernel), None);
    kernel.kill(parked.slot);
    kernel.kill(held.slot);
    kernel.pause(parked);
    assert_eq!(turn(&mut kernel), Some(parked));
    assert_eq!(turn(&mut kernel), Some(held));
    [parked, held]
        .into_iter()
        .for_each(|id| kernel.make_ready(id.slot));
    end(kernel);
}

#[test]
fn a_task_that_pauses_itself_is_held_at_its_yield() {
    let mut kernel = new_kernel();
    let id = spawn(&mut kernel);
    turn(&mut kernel);
    kernel.pause(id);
    assert_eq!(kernel.status(id.slot), Status::Running);
    yield_now(&mut kernel);
    assert_eq!(turn(&mut kernel), None);
    assert_eq!(kernel.find(id).unwrap().state, State::Held);
    kernel.resume(id);
    end(kernel);
}

#[test]
fn a_task_that_ends_paused_leaves_no_pause_behind() {
    let mut kernel = new_kernel();
    let id = spawn(&mut kernel);
    turn(&mut kernel);
    kernel.pause(id);
    drop(kernel.remove(id.slot));
    end(kernel);
}

// ── unpark ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_unpark_before_the_park_is_kept_once() {
    let mut kernel = new_kernel();
    let id = spawn(&mut kernel);
    kernel.unpark(id);
    kernel.unpark(id);
    turn(&mut kernel);
    assert!(kernel.take_unpark_token());
    assert!(!kernel.take_unpark_token());
    yield_now(&mut kernel);
    end(kernel);
}

#[test]
fn an_unpark_ends_a_park_that_waits_for_it_and_no_other() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], None);
    kernel.unpark(id);
    assert!(is_parked(&kernel, id));
    kernel.wake_one(&queue, 0);
    turn(&mut kernel);
    assert!(kernel.take_unpark_token());
    kernel.park([], None, wait(What::Unpark).pack(), false);
    kernel.unpark(id);
    assert!(!is_parked(&kernel, id));
    turn(&mut kernel);
    assert!(
        !kernel.take_unpark_token(),
        "the token was spent on the park"
    );
    yield_now(&mut kernel);
    end(kernel);
}

// ── identities ───────────────────────────────────────────────────────────────────────────────

#[test]
fn a_stale_identity_finds_nobody_though_its_slot_is_taken_again() {
    let mut kernel = new_kernel();
    let old = spawn(&mut kernel);
    turn(&mut kernel);
    drop(kernel.remove(old.slot));
    let new = spawn(&mut kernel);
    assert_eq!(new.slot, old.slot);
    assert_ne!(new, old);
    assert!(kernel.find(old).is_none());
    kernel.pause(old);
    kernel.unpark(old);
    kernel.resume(old);
    assert_eq!(turn(&mut kernel), Some(new));
    assert!(!kernel.take_unpark_token());
    yield_now(&mut kernel);
    end(kernel);
}

#[test]
fn an_identity_of_another_run_finds_nobody() {
    let (mut one, mut two) = (new_kernel(), Kernel::new(2, Clock::virtual_time()));
    let (first, second) = (spawn(&mut one), spawn(&mut two));
    assert_eq!((first.slot, first.serial), (second.slot, second.serial));
    assert!(one.find(second).is_none() && two.find(first).is_none());
    end(one);
    end(two);
}

// ── queues ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_queue_may_outlive_its_run_and_is_empty_in_the_next() {
    let queue = WaitQueue::new();
    let mut kernel = new_kernel();
    spawn_parked(&mut kernel, &[(&queue, 1)], None);
    kernel.wake_one(&queue, 0);
    end(kernel);
    let mut kernel = Kernel::new(2, Clock::virtual_time());
    assert!(!kernel.has_waiter(&queue));
    assert_eq!(kernel.wake_one(&queue, 0), None);
    let other = WaitQueue::new();
    spawn_parked(&mut kernel, &[(&other, 5)], None);
    assert_eq!(
        kernel.wake_one(&queue, 0),
        None,
        "the key of an earlier run means nothing"
    );
    spawn_parked(&mut kernel, &[(&queue, 2)], None);
    assert_eq!(kernel.wake_one(&queue, 0), Some(2));
    assert_eq!(kernel.wake_one(&other, 0), Some(5));
    end(kernel);
}

#[test]
fn a_queue_that_is_gone_leaves_room_for_another() {
    let mut kernel = new_kernel();
    let mut keys = Vec::new();
    for _ in 0..100 {
        let queue = WaitQueue::new();
        spawn_parked(&mut kernel, &[(&queue, 1)], None);
        kernel.wake_one(&queue, 0);
        turn(&mut kernel);
        let slot = kernel.current;
        drop(kernel.remove(slot));
        keys.push(queue.key(1));
        kernel.forget_queue(&queue);
    }
    assert!(keys.iter().all(|key| *key == Some(0)), "{keys:?}");
    end(kernel);
}

// ── choosing ─────────────────────────────────────────────────────────────────────────────────

struct Last {
    victim: Option<u64>,
}

impl Policy for Last {
    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize> {
        Some(choice.among - 1)
    }
    fn victim(&mut self) -> Option<u64> {
        self.victim.take()
    }
}

#[test]
fn a_policy_chooses_and_is_asked_only_where_there_is_a_choice() {
    let mut kernel = new_kernel();
    kernel.set_policy(Box::new(Last { victim: None }));
    let ids = [0; 3].map(|_| spawn(&mut kernel));
    assert_eq!(turn(&mut kernel), Some(ids[2]));
    assert_eq!(
        [turn(&mut kernel), turn(&mut kernel)],
        [ids[0], ids[1]].map(Some)
    );
    assert_eq!(turn(&mut kernel), None);
    ids.into_iter().for_each(|id| kernel.make_ready(id.slot));
    end(kernel);
}

#[test]
fn a_policy_can_kill_a_parked_task_although_nobody_is_ready() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = spawn_parked(&mut kernel, &[(&queue, 1)], None);
    let victim = Some(id.serial);
    kernel.set_policy(Box::new(Last { victim }));
    assert_eq!(turn(&mut kernel), Some(id));
    assert_eq!(woken(&kernel, id), Woken::Killed);
    assert!(!kernel.has_waiter(&queue));
    kernel.make_ready(id.slot);
    end(kernel);
}

#[test]
fn the_turn_limit_is_exact() {
    for limit in [1, 63, 64, 65, 100, 128, 1000] {
        let mut kernel = new_kernel();
        kernel.limit_turns(limit);
        spawn(&mut kernel);
        let mut turns = 0;
        while !kernel.look_is_due() || kernel.count_turns() {
            turns += 1;
            let entry = kernel.pick().expect("the task is ready");
            kernel.requeue(entry);
        }
        assert_eq!(turns, limit);
    }
}

/// One turn of a task that yields, as the loop gives it.
fn next_turn(kernel: &mut Kernel, yielded: Option<Entry>) -> Option<Entry> {
    let next = match yielded {
        Some(entry) => kernel.rotate(entry),
        None => kernel.pick(),
    };
    next.or_else(|| {
        let goes_on = !kernel.look_is_due() || kernel.count_turns();
        goes_on.then(|| kernel.choose()).flatten()
    })
}

#[test]
fn tasks_that_yield_take_turns_up_to_the_limit_whether_a_pause_comes_or_not() {
    for (limit, pause_at) in [
        (1, 0),
        (64, 0),
        (65, 9),
        (100, 64),
        (1000, 100),
        (1000, 2000),
    ] {
        let mut kernel = new_kernel();
        let bystander = spawn_parked(&mut kernel, &[], None);
        kernel.limit_turns(limit);
        let ids = [0; 3].map(|_| spawn(&mut kernel));
        let (mut turns, mut yielded) = (0, None);
        loop {
            if turns == pause_at {
                kernel.pause(bystander);
            } else if turns == pause_at + 30 {
                kernel.resume(bystander);
            }
            let Some(entry) = next_turn(&mut kernel, yielded) else {
                break;
            };
            assert!(turns < limit, "{limit} turns, with a pause at {pause_at}");
            assert_eq!(kernel.id(entry.slot), ids[turns as usize % 3]);
            assert_eq!(kernel.current, entry.slot);
            (turns, yielded) = (turns + 1, Some(entry));
        }
        assert_eq!(turns, limit, "a pause at {pause_at} cuts the run short");
    }
}

// ── the end of a run ─────────────────────────────────────────────────────────────────────────

#[test]
fn at_the_end_ready_tasks_are_held_and_released_one_by_one() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let parked = spawn_parked(&mut kernel, &[(&queue, 1)], None);
    let ready = [0; 3].map(|_| spawn(&mut kernel));
    kernel.kill(ready[1].slot);
    kernel.hold_ready();
    assert_eq!(turn(&mut kernel), None);
    let all: Vec<TaskId> = std::iter::once(parked).chain(ready).collect();
    assert_eq!(kernel.held_or_unkilled(), all);
    assert_eq!(kernel.unkilled_tasks(), [parked, ready[0], ready[2]]);
    for id in all {
        let answer = kernel.kill(id.slot);
        assert_eq!(answer == Killed::Already, id == ready[1]);
        kernel.release_held(id);
        assert_eq!(turn(&mut kernel), Some(id));
        drop(kernel.remove(id.slot));
        kernel.current = NOBODY;
    }
    assert_eq!(kernel.unkilled, 0);
    end(kernel);
}
