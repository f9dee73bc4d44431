//! Bounds on the kernel as a plain value: nesting, shields, and what is left of them.
use super::kernel::*;
use crate::scheduler::bound::BoundId;
use crate::scheduler::kernel::Kernel;
use crate::scheduler::task::TaskId;
use crate::scheduler::wait::{WaitQueue, What, Woken};

/// A task that has its turn.
fn running(kernel: &mut Kernel) -> TaskId {
    let id = spawn(kernel);
    assert_eq!(turn(kernel), Some(id));
    id
}

fn shields(kernel: &mut Kernel, id: TaskId, count: u16) {
    kernel.tasks[id.slot as usize].shields = count;
}

fn raised(kernel: &Kernel, id: TaskId) -> Option<u64> {
    kernel.raised_bound(id.slot)
}

/// Wakes the task if it is parked, leaves the bounds and ends it.
fn finish(mut kernel: Kernel, id: TaskId, bounds: &[BoundId]) {
    if is_parked(&kernel, id) {
        kernel.withdraw(id.slot);
    }
    for bound in bounds.iter().rev() {
        kernel.leave_bound(*bound);
    }
    end(kernel);
}

#[test]
fn a_bound_that_expires_ends_the_park_inside_it() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = running(&mut kernel);
    let bound = kernel.enter_bound(Some(10));
    park(&mut kernel, &[(&queue, 1)], Some(20));
    pass_until(&mut kernel, 9);
    assert!(is_parked(&kernel, id));
    pass_until(&mut kernel, 10);
    assert_eq!(woken(&kernel, id), Woken::Interrupted);
    assert_eq!(raised(&kernel, id), Some(bound.serial));
    assert!(!kernel.has_waiter(&queue));
    assert_eq!(
        kernel.next_deadline(),
        None,
        "the timer of the park is gone as well"
    );
    finish(kernel, id, &[bound]);
}

#[test]
fn a_bound_left_in_time_leaves_no_timer() {
    let mut kernel = new_kernel();
    let id = running(&mut kernel);
    let bound = kernel.enter_bound(Some(10));
    kernel.leave_bound(bound);
    assert_eq!(kernel.next_deadline(), None);
    kernel.leave_bound(bound);
    kernel.raise_bound(bound);
    assert_eq!(
        raised(&kernel, id),
        None,
        "a bound that was left names nobody"
    );
    yield_now(&mut kernel);
    end(kernel);
}

#[test]
fn a_wake_before_the_deadline_of_a_bound_keeps_its_word() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = running(&mut kernel);
    let bound = kernel.enter_bound(Some(10));
    park(&mut kernel, &[(&queue, 1)], None);
    kernel.wake_one(&queue, 9);
    pass_until(&mut kernel, 10);
    assert_eq!(woken(&kernel, id), Woken::Ready { case: 0, token: 9 });
    assert_eq!(
        raised(&kernel, id),
        Some(bound.serial),
        "it is due at the next park"
    );
    finish(kernel, id, &[bound]);
}

#[test]
fn a_deadline_of_the_park_in_the_same_tick_ends_it_once() {
    for (outer, inner) in [(10, 10), (10, 9), (9, 10)] {
        let mut kernel = new_kernel();
        let id = running(&mut kernel);
        let bound = kernel.enter_bound(Some(outer));
        park(&mut kernel, &[], Some(inner));
        pass_until(&mut kernel, 10);
        let expected = match outer <= inner {
            true => Woken::Interrupted,
            false => Woken::TimedOut,
        };
        assert_eq!(woken(&kernel, id), expected);
        finish(kernel, id, &[bound]);
    }
}

#[test]
fn of_nested_bounds_the_outermost_that_was_raised_wins() {
    let mut kernel = new_kernel();
    let id = running(&mut kernel);
    let bounds = [None, Some(20), Some(10)].map(|deadline| kernel.enter_bound(deadline));
    park(&mut kernel, &[], None);
    pass_until(&mut kernel, 10);
    assert_eq!(raised(&kernel, id), Some(bounds[2].serial));
    pass_until(&mut kernel, 20);
    assert_eq!(raised(&kernel, id), Some(bounds[1].serial));
    kernel.raise_bound(bounds[0]);
    assert_eq!(raised(&kernel, id), Some(bounds[0].serial));
    kernel.leave_bound(bounds[2]);
    kernel.leave_bound(bounds[1]);
    kernel.leave_bound(bounds[0]);
    assert_eq!(raised(&kernel, id), None);
    assert_eq!(kernel.attention_of(id.slot), 0);
    end(kernel);
}

#[test]
fn a_shield_inside_holds_a_bound_back_until_it_is_closed() {
    let mut kernel = new_kernel();
    let queue = WaitQueue::new();
    let id = running(&mut kernel);
    let bound = kernel.enter_bound(Some(10));
    shields(&mut kernel, id, 1);
    park(&mut kernel, &[(&queue, 1)], None);
    pass_until(&mut kernel, 10);
    assert!(is_parked(&kernel, id));
    assert_eq!(raised(&kernel, id), None);
    kernel.wake_one(&queue, 9);
    shields(&mut kernel, id, 0);
    assert_eq!(raised(&kernel, id), Some(bound.serial));
    assert_ne!(kernel.attention_of(id.slot), 0);
    finish(kernel, id, &[bound]);
}

#[test]
fn a_bound_entered_under_a_shield_reaches_through_it() {
    let mut kernel = new_kernel();
    let id = running(&mut kernel);
    let outer = kernel.enter_bound(Some(5));
    shields(&mut kernel, id, 1);
    let inner = kernel.enter_bound(Some(10));
    park(&mut kernel, &[], None);
    pass_until(&mut kernel, 5);
    assert!(is_parked(&kernel, id), "the outer one waits for the shield");
    pass_until(&mut kernel, 10);
    assert_eq!(woken(&kernel, id), Woken::Interrupted);
    assert_eq!(raised(&kernel, id), Some(inner.serial));
    kernel.leave_bound(inner);
    shields(&mut kernel, id, 0);
    assert_eq!(raised(&kernel, id), Some(outer.serial));
    finish(kernel, id, &[outer]);
}

#[test]
fn no_bound_interrupts_a_destructor_that_waits_during_an_unwind() {
    for count in [0, 1] {
        let mut kernel = new_kernel();
        let queue = WaitQueue::new();
        let id = running(&mut kernel);
        shields(&mut kernel, id, count);
        let bound = kernel.enter_bound(Some(10));
        kernel.park([(&queue, 1)], None, wait(What::Scope).pack(), true);
        pass_until(&mut kernel, 10);
        assert!(is_parked(&kernel, id));
        kernel.wake_one(&queue, 9);
        assert_eq!(woken(&kernel, id), Woken::Ready { case: 0, token: 9 });
        finish(kernel, id, &[bound]);
    }
}

#[test]
fn bounds_may_be_left_in_any_order() {
    let mut kernel = new_kernel();
    let id = running(&mut kernel);
    let bounds = [10, 11, 12, 13].map(|deadline| kernel.enter_bound(Some(deadline)));
    kernel.raise_bound(bounds[1]);
    for (leaves, left) in [(2, Some(1)), (0, Some(1)), (1, None), (3, None)] {
        kernel.leave_bound(bounds[leaves]);
        assert_eq!(
            raised(&kernel, id),
            left.map(|index: usize| bounds[index].serial)
        );
    }
    yield_now(&mut kernel);
    end(kernel);
}

#[test]
fn a_task_that_never_runs_again_takes_its_bounds_with_it() {
    let mut kernel = new_kernel();
    let id = running(&mut kernel);
    let bounds = [10, 11].map(|deadline| kernel.enter_bound(Some(deadline)));
    drop(kernel.remove(id.slot));
    bounds
        .into_iter()
        .for_each(|bound| kernel.leave_bound(bound));
    end(kernel);
}

#[test]
fn bounds_of_one_task_do_not_touch_another() {
    let mut kernel = new_kernel();
    let (one, two) = (running(&mut kernel), running(&mut kernel));
    kernel.current = one.slot;
    let bound = kernel.enter_bound(Some(10));
    park(&mut kernel, &[], None);
    kernel.current = two.slot;
    park(&mut kernel, &[], None);
    pass_until(&mut kernel, 10);
    assert_eq!(woken(&kernel, one), Woken::Interrupted);
    assert!(is_parked(&kernel, two));
    assert_eq!(raised(&kernel, two), None);
    kernel.withdraw(two.slot);
    finish(kernel, one, &[bound]);
}
