//! corosensei bare, the floor of every group: resume and suspend, nothing else.

use std::cell::RefCell;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::Instant;

use corosensei::stack::{DefaultStack, Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::measure::{laps_between, per_operation};
use crate::workload::Yields;

/// Resumes `tasks` coroutines in turn; each suspends in its loop, or `depth` real calls below it.
pub fn switch(yields: Yields, depth: usize) -> Vec<f64> {
    let Yields {
        tasks,
        laps,
        rounds,
    } = yields;
    let arena = Arena::new(tasks);
    let mut coroutines: Vec<_> = (0..tasks)
        .map(|index| {
            Coroutine::with_stack(Slot::new(&arena, index), move |yielder, ()| {
                for _ in 0..=laps * rounds {
                    if depth == 0 {
                        yielder.suspend(());
                    } else {
                        suspend_below(yielder, depth);
                    }
                }
            })
        })
        .collect();
    let mut round = || {
        for coroutine in &mut coroutines {
            coroutine.resume(());
        }
    };
    round();
    let mut stamps = vec![Instant::now()];
    for _ in 0..laps {
        for _ in 0..rounds {
            round();
        }
        stamps.push(Instant::now());
    }
    // To their ends, so that dropping them has nothing to unwind.
    round();
    laps_between(&stamps, tasks * rounds)
}

#[inline(never)]
fn suspend_below(yielder: &Yielder<(), ()>, depth: usize) {
    if depth == 1 {
        yielder.suspend(());
    } else {
        suspend_below(yielder, depth - 1);
    }
    black_box(depth);
}

/// One coroutine made, run to its end and taken apart, on a stack that is at hand.
pub fn spawn(count: usize) -> f64 {
    let mut stack = DefaultStack::default();
    let start = Instant::now();
    for _ in 0..count {
        let mut coroutine: Coroutine<(), (), (), _> =
            Coroutine::with_stack(stack, |_, ()| black_box(()));
        coroutine.resume(());
        stack = coroutine.into_stack();
    }
    per_operation(start.elapsed(), count)
}

/// As [`spawn`], but all bodies are boxed and wait before the first gets the stack: what a scheduler
/// must do that gives a task its stack at its first turn.
pub fn spawn_batch(count: usize) -> f64 {
    let mut stack = DefaultStack::default();
    let start = Instant::now();
    let bodies: Vec<Box<dyn FnOnce()>> = (0..count)
        .map(|index| Box::new(move || _ = black_box(index)) as _)
        .collect();
    for body in bodies {
        let mut coroutine: Coroutine<(), (), (), _> = Coroutine::with_stack(stack, |_, ()| body());
        coroutine.resume(());
        stack = coroutine.into_stack();
    }
    per_operation(start.elapsed(), count)
}

/// skynet's tree without a scheduler: a node makes a child, runs it to its end, and makes the next.
pub fn skynet() -> f64 {
    let start = Instant::now();
    let sum = skynet_node(0, 1_000_000);
    let time = per_operation(start.elapsed(), 1);
    assert_eq!(sum, 499_999_500_000);
    time
}

/// The sum of the `leaves` numbers from `first` on.
fn skynet_node(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let share = leaves / 10;
    let mut sum = 0;
    for child in 0..10 {
        let mut coroutine: Coroutine<(), (), u64, _> =
            Coroutine::with_stack(pooled(), move |_, ()| {
                skynet_node(first + child * share, share)
            });
        sum += coroutine
            .resume(())
            .as_return()
            .expect("no node waits for anything");
        give_back(coroutine.into_stack());
    }
    sum
}

/// The numbers from 0 up to `count`, as an iterator on a pooled stack.
pub fn numbers(count: u64) -> impl Iterator<Item = u64> {
    Numbers(Some(Coroutine::with_stack(pooled(), move |yielder, ()| {
        for number in 0..count {
            yielder.suspend(number);
        }
    })))
}

thread_local! {
    static POOL: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

fn pooled() -> DefaultStack {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
}

fn give_back(stack: DefaultStack) {
    POOL.with_borrow_mut(|pool| pool.push(stack));
}

struct Numbers(Option<Coroutine<(), u64, ()>>);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self.0.as_mut()?.resume(()) {
            CoroutineResult::Yield(number) => Some(number),
            CoroutineResult::Return(()) => {
                give_back(self.0.take()?.into_stack());
                None
            }
        }
    }
}

/// A stack's share of an [`Arena`]; what is untouched takes no memory.
const SLOT_BYTES: usize = 16 << 10;

/// Many stacks in one mapping: one each would exceed the number of mappings allowed.
struct Arena {
    start: NonNull<u8>,
    bytes: usize,
}

impl Arena {
    fn new(slots: usize) -> Rc<Self> {
        let bytes = slots * SLOT_BYTES;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, protection, flags) }
            .expect("address space for the stacks");
        let start = NonNull::new(start.cast()).expect("no mapping is at address zero");
        Rc::new(Self { start, bytes })
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the slots in it, which hold the arena, are all gone.
        unsafe { munmap(self.start.as_ptr().cast(), self.bytes) }.expect("a mapping of ours");
    }
}

struct Slot {
    _arena: Rc<Arena>,
    base: usize,
    limit: usize,
}

impl Slot {
    fn new(arena: &Rc<Arena>, index: usize) -> Self {
        let limit = arena.start.as_ptr() as usize + index * SLOT_BYTES;
        // Tops at one offset would all fall into the same few cache sets.
        let colour = index % 16 * 64;
        Self {
            _arena: Rc::clone(arena),
            base: limit + SLOT_BYTES - colour,
            limit,
        }
    }
}

// SAFETY: base and limit bound a part of the mapping that no other slot has. There is no guard page: the
// coroutines here use some hundred bytes of their sixteen thousand.
unsafe impl Stack for Slot {
    fn base(&self) -> StackPointer {
        NonZeroUsize::new(self.base).expect("no mapping is at address zero")
    }

    fn limit(&self) -> StackPointer {
        NonZeroUsize::new(self.limit).expect("no mapping is at address zero")
    }
}
