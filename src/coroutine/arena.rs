//! The stacks of one OS thread: reserved by size class, pooled, and given back to the system in bulk.
//!
//! `reserve` promises a place, so that a task can be accepted long before its first turn; `take`
//! makes good on it: the stack returned last first, whose memory is hot; then one whose memory was
//! given back; then one never used. A stack that comes back costs no system call; only when many
//! lie idle is the colder half handed to the system, neighbours together.
#![allow(unsafe_code)]

use super::guard::{self, BUDGET, Budget, GUARD_BYTES, Guards, Region};
use super::stack::{Crown, Label, Stack};
use corosensei::stack::valgrind::ValgrindStackRegistration;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::mem;
use std::ptr::NonNull;
use std::rc::Rc;

/// The stacks of one OS thread. Every stack keeps its arena alive, so address space is unmapped
/// only when no stack is out; a leaked stack leaks the arena.
pub(crate) struct Arena {
    pools: [Pool; CLASSES],
    /// Decided when the first region is mapped.
    guards: OnceCell<Guards>,
    budget: &'static Budget,
    /// Taken from `budget`.
    permits: Cell<usize>,
}

/// The stacks of one size. A stack that is not out is named by the place of its crown.
#[derive(Default)]
struct Pool {
    reserved: Cell<usize>,
    /// How many may be reserved without asking the system for more.
    capacity: Cell<usize>,
    /// Slots in `regions`; more than `capacity` only while guards are short.
    mapped: Cell<usize>,
    /// Returned stacks, the hottest last.
    dirty: RefCell<Vec<NonNull<Crown>>>,
    /// Returned stacks whose memory was given back.
    trimmed: RefCell<Vec<NonNull<Crown>>>,
    regions: RefCell<Vec<NonNull<Region>>>,
    /// Regions below this index have no fresh slot left.
    filled: Cell<usize>,
}

thread_local! {
    static ARENA: Rc<Arena> = Rc::new(Arena::new());
}

impl Arena {
    /// The arena of this OS thread; inside the destructors of thread-locals, a new one.
    pub(crate) fn of_this_thread() -> Rc<Arena> {
        ARENA
            .try_with(Rc::clone)
            .unwrap_or_else(|_| Rc::new(Arena::new()))
    }

    fn new() -> Arena {
        Arena {
            pools: Default::default(),
            guards: OnceCell::new(),
            budget: &BUDGET,
            permits: Cell::new(0),
        }
    }

    /// Reserves the place for one stack, until [`Arena::release`].
    ///
    /// # Errors
    ///
    /// Names the limit of the system that leaves no room for another stack.
    #[inline]
    pub(crate) fn reserve(&self, class: Class) -> Result<(), StackLimit> {
        let pool = self.pool(class);
        if pool.reserved.get() == pool.capacity.get() {
            self.extend(class)?;
        }
        pool.reserved.set(pool.reserved.get() + 1);
        Ok(())
    }

    /// Gives a reservation back; its stack, if one was taken, was dropped before.
    #[inline]
    pub(crate) fn release(&self, class: Class) {
        let pool = self.pool(class);
        debug_assert!(pool.reserved.get() > 0);
        pool.reserved.set(pool.reserved.get() - 1);
    }

    /// Takes a stack, which the caller has reserved.
    ///
    /// # Errors
    ///
    /// Names the limit if the kernel refuses the guard. The reservation stays, so the caller may
    /// try again later.
    #[inline(always)]
    pub(crate) fn take(self: &Rc<Self>, class: Class, label: Label) -> Result<Stack, StackLimit> {
        let hottest = self.pool(class).dirty.borrow_mut().pop();
        let crown = match hottest {
            Some(crown) => crown,
            None => self.take_cold(class)?,
        };
        // SAFETY: a pool holds places of slots of its class with a guard, each once; this one was
        // just taken out of it.
        Ok(unsafe { Stack::new(crown, class, label, Rc::clone(self)) })
    }

    /// Where [`Stack`] comes back to.
    #[inline]
    pub(super) fn put_back(&self, class: Class, crown: NonNull<Crown>) {
        let mut dirty = self.pool(class).dirty.borrow_mut();
        dirty.push(crown);
        if dirty.len() > class.idle_limit() {
            drop(dirty);
            self.trim(class);
        }
    }

    #[inline(always)]
    fn pool(&self, class: Class) -> &Pool {
        &self.pools[usize::from(class.0)]
    }

    #[cold]
    #[inline(never)]
    fn extend(&self, class: Class) -> Result<(), StackLimit> {
        let pool = self.pool(class);
        if pool.mapped.get() == pool.capacity.get() {
            self.map_region(class)?;
        }
        let wanted = pool.mapped.get() - pool.capacity.get();
        let granted = match self.guards() {
            Guards::Markers => wanted,
            // A few at a time: other OS threads live on the same budget.
            Guards::Protection => self.permits(wanted.min(16))?,
        };
        pool.capacity.set(pool.capacity.get() + granted);
        Ok(())
    }

    fn map_region(&self, class: Class) -> Result<(), StackLimit> {
        // Also for generators that run where no scheduler ever did.
        super::overflow::watch();
        let pool = self.pool(class);
        let slot_bytes = class.bytes() + GUARD_BYTES;
        let first = (FIRST_REGION_BYTES / slot_bytes).clamp(1, 64);
        let largest = LARGEST_REGION_BYTES / slot_bytes;
        let slots = pool.mapped.get().clamp(first, largest);
        let region = Region::map(class.bytes(), slots)
            .map_err(|error| self.limit(Cause::address_space(&error)))?;
        // SAFETY: `map` made the region, and only the drop of this arena unmaps it.
        let slots = unsafe { region.as_ref() }.slots();
        pool.regions.borrow_mut().push(region);
        pool.mapped.set(pool.mapped.get() + slots);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn take_cold(&self, class: Class) -> Result<NonNull<Crown>, StackLimit> {
        let pool = self.pool(class);
        let trimmed = pool.trimmed.borrow_mut().pop();
        if let Some(crown) = trimmed {
            return Ok(crown);
        }
        loop {
            let region = pool.regions.borrow().get(pool.filled.get()).copied();
            let Some(region) = region else {
                // Only for a caller that reserved less than it takes.
                self.extend(class)?;
                continue;
            };
            // SAFETY: a region of this arena is unmapped by the arena's drop alone.
            let region = unsafe { region.as_ref() };
            let Some(slot) = region.fresh() else {
                pool.filled.set(pool.filled.get() + 1);
                continue;
            };
            self.install_guard(slot.low)?;
            region.advance();
            // Registered once, and for good: the slot is a stack as long as it is mapped, whoever
            // holds it.
            mem::forget(ValgrindStackRegistration::new(
                slot.low.as_ptr(),
                class.bytes() + GUARD_BYTES,
            ));
            return Ok(Crown::of(slot));
        }
    }

    fn install_guard(&self, low: NonNull<u8>) -> Result<(), StackLimit> {
        let guards = self.guards();
        let Err(error) = guards.install(low) else {
            return Ok(());
        };
        if guards == Guards::Protection || error.raw_os_error() == Some(libc::ENOMEM) {
            return Err(self.limit(Cause::Guard(error.raw_os_error().unwrap_or(0))));
        }
        // Markers worked before, so this memory is locked; it can still be protected.
        self.permits(1)?;
        Guards::Protection.install(low).map_err(|error| {
            self.permits.set(self.permits.get() - 1);
            self.budget.give_back(1);
            self.limit(Cause::Guard(error.raw_os_error().unwrap_or(0)))
        })
    }

    fn guards(&self) -> Guards {
        *self.guards.get_or_init(Guards::of_this_process)
    }

    fn permits(&self, wanted: usize) -> Result<usize, StackLimit> {
        let granted = self.budget.take(wanted);
        if granted == 0 {
            return Err(self.limit(Cause::Maps {
                budget: self.budget.total(),
            }));
        }
        self.permits.set(self.permits.get() + granted);
        Ok(granted)
    }

    /// Hands the memory of the colder half of the idle stacks to the system. The guards stay.
    #[cold]
    #[inline(never)]
    fn trim(&self, class: Class) {
        let pool = self.pool(class);
        let mut cold: Vec<NonNull<Crown>> = {
            let mut dirty = pool.dirty.borrow_mut();
            let half = dirty.len() / 2;
            dirty.drain(..half).collect()
        };
        cold.sort_unstable();
        let slot_bytes = class.bytes() + GUARD_BYTES;
        let low = |crown: NonNull<Crown>| Crown::low(crown, class);
        for run in cold.chunk_by(|left, right| {
            low(*right).addr().get() - low(*left).addr().get() == slot_bytes
        }) {
            // SAFETY: the guard is shorter than the slot.
            let start = unsafe { low(run[0]).add(GUARD_BYTES) };
            let bytes = run.len() * slot_bytes - GUARD_BYTES;
            // SAFETY: these are stacks of this pool side by side, in nobody's use. If the kernel
            // refuses (locked memory), they keep their memory, which is as good.
            unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
        }
        pool.trimmed.borrow_mut().append(&mut cold);
    }

    #[cold]
    fn limit(&self, cause: Cause) -> StackLimit {
        let reached = self.pools.iter().map(|pool| pool.reserved.get()).sum();
        StackLimit { cause, reached }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for pool in &self.pools {
            for region in pool.regions.take() {
                // SAFETY: every stack that is out holds this arena, so none is; an arena never
                // leaves its OS thread.
                unsafe { Region::unmap(region) };
            }
        }
        self.budget.give_back(self.permits.get());
    }
}

/// A size of stack: a power of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Class(u8);

const SMALLEST: usize = 16 << 10;
pub(super) const LARGEST: usize = 1 << 30;
const CLASSES: usize = (LARGEST.ilog2() - SMALLEST.ilog2() + 1) as usize;

/// Bounds for the regions of a class, which double in between.
const FIRST_REGION_BYTES: usize = 1 << 30;
const LARGEST_REGION_BYTES: usize = 256 << 30;

impl Class {
    /// The smallest that holds `bytes`; the largest, of 1 GiB, if none does.
    #[inline]
    pub(crate) fn of(bytes: usize) -> Class {
        let least = SMALLEST.max(guard::page_size());
        let bytes = bytes.clamp(least, LARGEST).next_power_of_two();
        Class((bytes.ilog2() - SMALLEST.ilog2()) as u8)
    }

    #[inline]
    pub(crate) fn bytes(self) -> usize {
        SMALLEST << self.0
    }

    /// How many stacks may lie idle with their memory: at most 1 GiB of it.
    #[inline]
    pub(crate) fn idle_limit(self) -> usize {
        ((1 << 30) / self.bytes()).clamp(16, 4096)
    }
}

/// Why there is no room for another stack.
#[derive(Debug, Clone)]
pub(crate) struct StackLimit {
    cause: Cause,
    /// Stacks reserved on this OS thread.
    reached: usize,
}

#[derive(Debug, Clone)]
enum Cause {
    /// `mprotect` guards have used their share of the process's mappings.
    Maps { budget: usize },
    /// `mmap` failed; the limit in KiB where there is one.
    AddressSpace { errno: i32, limit: Option<u64> },
    /// The kernel refused to make a guard.
    Guard(i32),
}

impl Cause {
    fn address_space(error: &io::Error) -> Cause {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `getrlimit` writes into the record it is given.
        let failed = unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
        let is_limited = failed == 0 && limit.rlim_cur != libc::RLIM_INFINITY;
        Cause::AddressSpace {
            errno: error.raw_os_error().unwrap_or(0),
            limit: is_limited.then_some(limit.rlim_cur / 1024),
        }
    }
}

impl fmt::Display for StackLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for another stack after {}: ", self.reached)?;
        match &self.cause {
            Cause::Maps { budget } => {
                let maps = guard::max_map_count().unwrap_or(0);
                write!(
                    f,
                    "vm.max_map_count ({maps}) allows this process {budget} guarded stacks; raise it \
                     (sysctl -w vm.max_map_count={}) or run on Linux 6.13 or later, where a guard \
                     needs no mapping",
                    maps.saturating_mul(16).max(1 << 20)
                )
            }
            Cause::AddressSpace {
                limit: Some(kib), ..
            } => write!(
                f,
                "the address space is limited to {kib} KiB; raise RLIMIT_AS (ulimit -v) or make \
                 the stacks smaller"
            ),
            Cause::AddressSpace { errno, limit: None } => write!(
                f,
                "the kernel gives no more address space ({}); see vm.overcommit_memory, which \
                 should not be 2, and ulimit -v",
                io::Error::from_raw_os_error(*errno)
            ),
            Cause::Guard(errno) => write!(
                f,
                "the kernel makes no guard for it ({}); see vm.max_map_count and the memory limit \
                 of the process",
                io::Error::from_raw_os_error(*errno)
            ),
        }
    }
}

impl std::error::Error for StackLimit {}

impl From<StackLimit> for io::Error {
    fn from(limit: StackLimit) -> io::Error {
        io::Error::new(io::ErrorKind::OutOfMemory, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stack::Kind;
    use super::*;
    use corosensei::stack::Stack as _;
    use std::panic::Location;
    use std::sync::LazyLock;

    const CLASS: Class = Class(2);

    fn label() -> Label {
        Label {
            kind: Kind::Task,
            name: None,
            site: Location::caller(),
            serial: 1,
        }
    }

    fn take(arena: &Rc<Arena>) -> Stack {
        arena.reserve(CLASS).unwrap();
        arena.take(CLASS, label()).unwrap()
    }

    static TIGHT: LazyLock<Budget> = LazyLock::new(|| Budget::of(40));

    fn protected() -> Rc<Arena> {
        let mut arena = Arena::new();
        arena.guards = OnceCell::from(Guards::Protection);
        arena.budget = &TIGHT;
        Rc::new(arena)
    }

    /// A byte near the low end of the stack.
    fn far_down(stack: &Stack) -> *mut u8 {
        let distance = stack.base().get() - stack.limit().get() - GUARD_BYTES - 64;
        let base = stack.base().get() as *mut u8;
        base.wrapping_sub(distance)
    }

    #[test]
    fn classes_are_powers_of_two() {
        assert_eq!(Class::of(0).bytes(), SMALLEST.max(guard::page_size()));
        assert_eq!(Class::of(65_536).bytes(), 65_536);
        assert_eq!(Class::of(65_537).bytes(), 131_072);
        assert_eq!(Class::of(usize::MAX).bytes(), LARGEST);
        assert_eq!(usize::from(Class::of(LARGEST).0), CLASSES - 1);
    }

    #[test]
    fn the_stack_returned_last_is_taken_first() {
        let arena = Rc::new(Arena::new());
        let [first, second] = [take(&arena), take(&arena)];
        let [cold, hot] = [first.base(), second.base()];
        drop(first);
        drop(second);
        let again = arena.take(CLASS, label()).unwrap();
        assert_eq!(again.base(), hot);
        assert_eq!(arena.take(CLASS, label()).unwrap().base(), cold);
    }

    #[test]
    fn reservations_grow_regions_and_every_stack_differs() {
        let arena = Rc::new(Arena::new());
        for _ in 0..1000 {
            arena.reserve(CLASS).unwrap();
        }
        let stacks: Vec<Stack> = (0..1000)
            .map(|_| arena.take(CLASS, label()).unwrap())
            .collect();
        let mut limits: Vec<usize> = stacks.iter().map(|stack| stack.limit().get()).collect();
        limits.sort_unstable();
        assert!(
            limits
                .windows(2)
                .all(|pair| pair[1] - pair[0] >= CLASS.bytes() + GUARD_BYTES)
        );
        assert_eq!(arena.pool(CLASS).regions.borrow().len(), 5);
    }

    #[test]
    fn idle_stacks_beyond_the_limit_give_their_memory_back() {
        let arena = Rc::new(Arena::new());
        let count = CLASS.idle_limit() + 1;
        let stacks: Vec<Stack> = (0..count).map(|_| take(&arena)).collect();
        let marked: Vec<*mut u8> = stacks.iter().map(far_down).collect();
        for byte in &marked {
            // SAFETY: inside a stack that this test holds and runs nothing on.
            unsafe { byte.write(1) };
        }
        drop(stacks);
        // SAFETY: the arena, which keeps the memory mapped, is alive.
        let keeps = |byte: &*mut u8| unsafe { byte.read() } == 1;
        let (trimmed, kept) = marked.split_at(count / 2);
        assert!(!trimmed.iter().any(keeps) && kept.iter().all(keeps));
        let again: Vec<Stack> = (0..count)
            .map(|_| arena.take(CLASS, label()).unwrap())
            .collect();
        assert!(again.iter().all(|stack| marked.contains(&far_down(stack))));
    }

    #[test]
    fn protected_stacks_work_until_the_budget_ends() {
        let arena = protected();
        let stacks: Vec<Stack> = (0..40).map(|_| take(&arena)).collect();
        let refused = arena.reserve(CLASS).unwrap_err().to_string();
        assert!(refused.contains("after 40: vm.max_map_count"), "{refused}");
        assert!(refused.contains("sysctl -w vm.max_map_count="), "{refused}");
        drop(stacks);
        arena.release(CLASS);
        drop(take(&arena));
        drop(arena);
        assert_eq!(TIGHT.take(41), 40);
    }

    #[test]
    fn a_stack_that_is_out_keeps_its_memory() {
        let arena = Rc::new(Arena::new());
        let stack = take(&arena);
        let low = stack.limit().get();
        drop(arena);
        // SAFETY: inside a stack that this test holds and runs nothing on.
        unsafe { far_down(&stack).write(1) };
        assert!(guard::find(low).is_some());
        drop(stack);
        assert!(guard::find(low).is_none());
    }
}
