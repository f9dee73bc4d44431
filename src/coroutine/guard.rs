//! Regions of address space cut into slots for stacks, and the guards below the stacks.
//!
//! ```text
//!    one slot     │ guard (64 KiB) │ stack, a power of two                    │ colour │
//!               low             touching the guard is fatal                 top      end
//! ```
//!
//! A guard is a marker in the page tables (`MADV_GUARD_INSTALL`, Linux 6.13): it costs no mapping,
//! so a million stacks are still one mapping. Where the kernel knows no markers, or the memory is
//! locked, a guard is an `mprotect`, which costs two mappings of the few that a process may have;
//! a [`Budget`] ends it long before the rest of the process can make no mapping any more. There is
//! never a stack without a guard. `MAYPOLE_GUARDS=mprotect` in the environment, read once, forces
//! the second kind, to see how a program fares on an older kernel.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// C code without stack probes can step over a guard of one page. A multiple of every page size.
pub(super) const GUARD_BYTES: usize = 64 << 10;

/// What stays free when a region is mapped: without address space the allocator aborts the
/// process, and an error from `spawn` would help nobody.
const SPARE_BYTES: usize = 16 << 20;

/// Address space for stacks of one size. Known to this OS thread's list from the mapping to the
/// unmapping, so that a signal handler finds the stack that an address belongs to.
pub(super) struct Region {
    start: NonNull<u8>,
    stack_bytes: usize,
    slots: usize,
    /// Slots below this index have their guard.
    used: Cell<usize>,
    next: AtomicPtr<Region>,
}

/// A place for one stack.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) low: NonNull<u8>,
    /// The end of the stack's memory, lowered by the colour.
    pub(super) top: NonNull<u8>,
    pub(super) stack_bytes: usize,
}

thread_local! {
    /// The regions of this OS thread. `const` and without a destructor, hence safe to read in a
    /// signal handler; atomic, so that a region is written before it is seen there.
    static REGIONS: AtomicPtr<Region> = const { AtomicPtr::new(ptr::null_mut()) };
}

impl Region {
    /// Maps at most `slots` slots, fewer when the address space is short, and lists the region.
    pub(super) fn map(stack_bytes: usize, slots: usize) -> io::Result<NonNull<Region>> {
        assert!(
            GUARD_BYTES.is_multiple_of(page_size()),
            "pages are at most 64 KiB"
        );
        let mut slots = slots;
        let start = loop {
            match map(slots * (stack_bytes + GUARD_BYTES)) {
                Ok(start) => break start,
                Err(error) if slots == 1 => return Err(error),
                Err(_) => slots /= 2,
            }
        };
        let region = NonNull::from(Box::leak(Box::new(Region {
            start,
            stack_bytes,
            slots,
            used: Cell::new(0),
            next: AtomicPtr::new(REGIONS.with(|head| head.load(Ordering::Relaxed))),
        })));
        REGIONS.with(|head| head.store(region.as_ptr(), Ordering::Release));
        Ok(region)
    }

    /// Unlists and unmaps the region.
    ///
    /// # Safety
    ///
    /// `region` came from [`Region::map`] on this OS thread and is not used any more; no stack in
    /// it is in use.
    pub(super) unsafe fn unmap(region: NonNull<Region>) {
        // SAFETY: the caller still has the region, and it is freed last.
        let this = unsafe { region.as_ref() };
        REGIONS.with(|head| {
            let mut link = head;
            while !ptr::eq(link.load(Ordering::Relaxed), this) {
                // SAFETY: `map` put `this` into this OS thread's list, so the walk meets it before
                // the end, and every region on the way is listed, hence alive.
                link = unsafe { &(*link.load(Ordering::Relaxed)).next };
            }
            link.store(this.next.load(Ordering::Relaxed), Ordering::Release);
        });
        // SAFETY: `map` mapped exactly these bytes, and no stack in them is in use (the caller).
        unsafe { libc::munmap(this.start.as_ptr().cast(), this.bytes()) };
        // SAFETY: `map` leaked the box; it is unlisted, so this is the last pointer to it.
        drop(unsafe { Box::from_raw(region.as_ptr()) });
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// The next slot that has no guard yet. It counts as used after [`Region::advance`].
    pub(super) fn fresh(&self) -> Option<Slot> {
        let index = self.used.get();
        (index < self.slots).then(|| self.slot(index))
    }

    pub(super) fn advance(&self) {
        debug_assert!(self.used.get() < self.slots);
        self.used.set(self.used.get() + 1);
    }

    fn slot(&self, index: usize) -> Slot {
        debug_assert!(index < self.slots);
        let stride = self.stack_bytes + GUARD_BYTES;
        // SAFETY: `index` is below `slots`, so the slot begins inside the mapping.
        let low = unsafe { self.start.add(index * stride) };
        // SAFETY: a colour is smaller than a stack, so the sum stays inside the slot.
        let top = unsafe { low.add(stride - colour(index)) };
        Slot {
            low,
            top,
            stack_bytes: self.stack_bytes,
        }
    }

    fn bytes(&self) -> usize {
        self.slots * (self.stack_bytes + GUARD_BYTES)
    }
}

impl Slot {
    pub(super) fn guards(&self, address: usize) -> bool {
        address.wrapping_sub(self.low.addr().get()) < GUARD_BYTES
    }
}

/// The slot of this OS thread that `address` lies in. Callable from a signal handler.
pub(super) fn find(address: usize) -> Option<Slot> {
    let mut next = REGIONS.with(|head| head.load(Ordering::Acquire));
    // SAFETY: a listed region is fully written, and alive until `unmap`, which unlists it first;
    // all of this happens on one OS thread.
    while let Some(region) = unsafe { next.as_ref() } {
        let offset = address.wrapping_sub(region.start.addr().get());
        if offset < region.bytes() {
            return Some(region.slot(offset / (region.stack_bytes + GUARD_BYTES)));
        }
        next = region.next.load(Ordering::Acquire);
    }
    None
}

/// By how much the top of slot `index` is lowered: without it the hottest lines of all stacks
/// would fall into one set of the processor's cache, and a switch costs twice as much.
pub(super) fn colour(index: usize) -> usize {
    // Multiplying by 2^32 / golden ratio spreads neighbours evenly; the top four bits remain.
    ((index as u32).wrapping_mul(0x9E37_79B9) >> 28) as usize * 64
}

/// How guards are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guards {
    /// Markers in the page tables.
    Markers,
    /// `mprotect`, within a [`Budget`].
    Protection,
}

impl Guards {
    /// The better kind that works here, found out once.
    pub(super) fn of_this_process() -> Guards {
        static KIND: OnceLock<Guards> = OnceLock::new();
        *KIND.get_or_init(|| {
            let forced = std::env::var_os("MAYPOLE_GUARDS").is_some_and(|kind| kind == "mprotect");
            if !forced && markers_work() {
                Guards::Markers
            } else {
                Guards::Protection
            }
        })
    }

    /// Makes the guard at `low`, the beginning of a slot.
    pub(super) fn install(self, low: NonNull<u8>) -> io::Result<()> {
        let low = low.as_ptr().cast();
        let failed = match self {
            // SAFETY: the guard covers the low end of a slot that no stack has used yet.
            Guards::Markers => unsafe { libc::madvise(low, GUARD_BYTES, GUARD_INSTALL) },
            // SAFETY: as above.
            Guards::Protection => unsafe { libc::mprotect(low, GUARD_BYTES, libc::PROT_NONE) },
        };
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// How many `mprotect` guards may be made.
pub(super) struct Budget {
    total: OnceLock<usize>,
    taken: AtomicUsize,
}

/// The budget of the process; all its OS threads share the mappings.
pub(super) static BUDGET: Budget = Budget {
    total: OnceLock::new(),
    taken: AtomicUsize::new(0),
};

impl Budget {
    #[cfg(test)]
    pub(super) fn of(total: usize) -> Budget {
        Budget {
            total: OnceLock::from(total),
            taken: AtomicUsize::new(0),
        }
    }

    /// Half of the mappings that a process may have, at two a guard.
    pub(super) fn total(&self) -> usize {
        *self.total.get_or_init(|| match max_map_count() {
            Some(maps) => (maps / 4).saturating_sub(1024),
            None => usize::MAX,
        })
    }

    /// Takes at most `wanted` permits; returns how many it got.
    pub(super) fn take(&self, wanted: usize) -> usize {
        let total = self.total();
        let mut granted = 0;
        let _ = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                granted = wanted.min(total - taken);
                Some(taken + granted)
            });
        granted
    }

    pub(super) fn give_back(&self, permits: usize) {
        self.taken.fetch_sub(permits, Ordering::Relaxed);
    }
}

/// `vm.max_map_count`; `None` where there is no such limit.
pub(super) fn max_map_count() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    match text.ok().and_then(|text| text.trim().parse().ok()) {
        Some(maps) => Some(maps),
        // A Linux whose /proc is hidden: the default of every distribution.
        None if cfg!(target_os = "linux") => Some(65_530),
        None => None,
    }
}

pub(super) fn page_size() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    // SAFETY: `sysconf` only reads.
    *BYTES.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

#[cfg(target_os = "linux")]
const GUARD_INSTALL: libc::c_int = 102;
/// An advice that no system knows, so that guards are made by `mprotect`.
#[cfg(not(target_os = "linux"))]
const GUARD_INSTALL: libc::c_int = -1;

#[cfg(target_os = "linux")]
const MAP_FLAGS: libc::c_int =
    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
#[cfg(not(target_os = "linux"))]
const MAP_FLAGS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;

/// Maps `bytes` of zeroes, if `SPARE_BYTES` remain after it.
fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, at an address of the kernel's choice, touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes + SPARE_BYTES,
            access,
            MAP_FLAGS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = NonNull::new(start.cast::<u8>()).expect("a mapping is never at address 0");
    // SAFETY: `bytes` is less than the length of the mapping.
    let spare = unsafe { start.add(bytes) };
    // SAFETY: the spare end was mapped just above and nobody uses it.
    unsafe { libc::munmap(spare.as_ptr().cast(), SPARE_BYTES) };
    // A huge page would make every parked stack cost 2 MiB.
    #[cfg(target_os = "linux")]
    // SAFETY: the advice changes how the new mapping is paged, not what it holds.
    unsafe {
        libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE)
    };
    Ok(start)
}

/// Whether markers can be installed, and do guard: an emulator may ignore an advice that it does
/// not know and report success.
fn markers_work() -> bool {
    let Ok(low) = map(GUARD_BYTES) else {
        return false;
    };
    let work = Guards::Markers.install(low).is_ok() && kernel_faults_at(low);
    // SAFETY: mapped above, and nobody else knows the address.
    unsafe { libc::munmap(low.as_ptr().cast(), GUARD_BYTES) };
    work
}

/// Has the kernel write there: a system call answers `EFAULT` where a store would kill the process.
fn kernel_faults_at(low: NonNull<u8>) -> bool {
    // SAFETY: `uname` writes less than a guard's length, into a mapping that nobody uses.
    let failed = unsafe { libc::uname(low.as_ptr().cast()) };
    failed != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_within_a_kibibyte_and_neighbours_differ() {
        for index in 0..10_000 {
            assert!(colour(index) < 1024);
            assert!(colour(index).is_multiple_of(64));
            assert_ne!(colour(index), colour(index + 1));
        }
    }

    #[test]
    fn an_address_leads_to_its_slot() {
        let region = Region::map(64 << 10, 3).unwrap();
        // SAFETY: just mapped.
        let slots: Vec<Slot> = (0..3).map(|i| unsafe { region.as_ref() }.slot(i)).collect();
        for slot in &slots {
            let low = slot.low.addr().get();
            assert!(slot.guards(low) && slot.guards(low + GUARD_BYTES - 1));
            assert!(!slot.guards(low - 1) && !slot.guards(low + GUARD_BYTES));
            for address in [low, low + GUARD_BYTES, slot.top.addr().get() - 1] {
                assert_eq!(find(address).map(|found| found.low), Some(slot.low));
            }
        }
        let low = slots[0].low.addr().get();
        // SAFETY: mapped above, and no stack was made in it.
        unsafe { Region::unmap(region) };
        assert!(find(low).is_none());
    }

    #[test]
    fn unmapping_keeps_the_other_regions_listed() {
        let regions: Vec<_> = (0..3).map(|_| Region::map(16 << 10, 1).unwrap()).collect();
        // SAFETY: mapped above.
        let lows = regions
            .iter()
            .map(|region| unsafe { region.as_ref() }.slot(0).low);
        let lows: Vec<_> = lows.map(|low| low.addr().get()).collect();
        for (gone, order) in [1, 2, 0].into_iter().enumerate() {
            // SAFETY: mapped above, unmapped once, and no stack was made in it.
            unsafe { Region::unmap(regions[order]) };
            let listed = lows.iter().filter(|low| find(**low).is_some()).count();
            assert_eq!(listed, 2 - gone);
        }
    }

    #[test]
    fn guards_survive_trimming() {
        for guards in [Guards::of_this_process(), Guards::Protection] {
            let region = Region::map(16 << 10, 1).unwrap();
            // SAFETY: just mapped.
            let slot = unsafe { region.as_ref() }.slot(0);
            assert!(!kernel_faults_at(slot.low));
            guards.install(slot.low).unwrap();
            assert!(kernel_faults_at(slot.low));
            let bytes = GUARD_BYTES + slot.stack_bytes;
            // SAFETY: nobody uses the slot.
            let failed =
                unsafe { libc::madvise(slot.low.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
            assert_eq!(failed, 0);
            assert!(kernel_faults_at(slot.low));
            // SAFETY: the last page of the guard begins inside the slot.
            assert!(kernel_faults_at(unsafe {
                slot.low.add(GUARD_BYTES - page_size())
            }));
            // SAFETY: the stack begins inside the slot.
            assert!(!kernel_faults_at(unsafe { slot.low.add(GUARD_BYTES) }));
            // SAFETY: mapped above, and no stack was made in it.
            unsafe { Region::unmap(region) };
        }
    }

    /// A guard in a region of its own, and what the kernel does with it.
    fn with_guard(check: impl Fn(NonNull<u8>)) {
        for guards in [Guards::of_this_process(), Guards::Protection] {
            let region = Region::map(16 << 10, 1).unwrap();
            // SAFETY: just mapped.
            let low = unsafe { region.as_ref() }.slot(0).low;
            guards.install(low).unwrap();
            check(low);
            // SAFETY: mapped above, and no stack was made in it.
            unsafe { Region::unmap(region) };
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn guards_survive_lazy_freeing() {
        with_guard(|low| {
            let bytes = GUARD_BYTES + (16 << 10);
            // SAFETY: nobody uses the slot.
            unsafe { libc::madvise(low.as_ptr().cast(), bytes, libc::MADV_FREE) };
            assert!(kernel_faults_at(low));
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn guards_survive_a_fork() {
        with_guard(|low| {
            // SAFETY: the child does nothing but ask the kernel and exit.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let status = i32::from(!kernel_faults_at(low));
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(status) };
            }
            let mut status = -1;
            // SAFETY: writes the status of a child of this process.
            let waited = unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!((waited, status), (child, 0));
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn markers_survive_a_protection_that_allows_writing() {
        if Guards::of_this_process() != Guards::Markers {
            return;
        }
        let region = Region::map(16 << 10, 1).unwrap();
        // SAFETY: just mapped.
        let low = unsafe { region.as_ref() }.slot(0).low;
        Guards::Markers.install(low).unwrap();
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: nobody uses the slot.
        let failed = unsafe { libc::mprotect(low.as_ptr().cast(), GUARD_BYTES, writable) };
        assert_eq!(failed, 0);
        assert!(kernel_faults_at(low));
        // SAFETY: mapped above, and no stack was made in it.
        unsafe { Region::unmap(region) };
    }

    #[test]
    fn a_hundred_thousand_markers_need_no_further_mapping() {
        if Guards::of_this_process() != Guards::Markers {
            return;
        }
        let region = Region::map(16 << 10, 100_000).unwrap();
        // SAFETY: just mapped.
        let this = unsafe { region.as_ref() };
        for index in 0..100_000 {
            Guards::Markers.install(this.slot(index).low).unwrap();
        }
        // Of this region alone: other tests map and unmap meanwhile.
        let start = this.start.addr().get();
        let end = start + this.bytes();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let overlaps = |line: &&str| {
            let range = line.split(' ').next().unwrap().split_once('-').unwrap();
            let address = |text| usize::from_str_radix(text, 16).unwrap();
            address(range.0) < end && start < address(range.1)
        };
        assert_eq!(maps.lines().filter(overlaps).count(), 1);
        // SAFETY: mapped above, and no stack was made in it.
        unsafe { Region::unmap(region) };
    }

    #[test]
    fn a_budget_grants_what_is_left() {
        let budget = Budget::of(40);
        assert_eq!(
            [budget.take(30), budget.take(30), budget.take(1)],
            [30, 10, 0]
        );
        budget.give_back(5);
        assert_eq!(budget.take(9), 5);
    }
}
