//! One stack: exclusively its holder's, with the label of its owner at its very top.
#![allow(unsafe_code)]

use super::arena::{Arena, Class};
use super::guard::{self, GUARD_BYTES, Slot};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One stack, exclusively its holder's until dropped; dropping returns it to its arena's pool.
///
/// ```text
///                     │ Crown │      <- at the top of the slot, lowered by its colour
///                     │ carved│
///    base ──────────► ├───────┤
///                     │ frames│
///                     ├───────┤
///                     │ guard │
///    limit ─────────► └───────┘
/// ```
pub(crate) struct Stack {
    base: NonZeroUsize,
    crown: NonNull<Crown>,
    arena: Rc<Arena>,
}

/// What the overflow report says of the owner of a stack.
pub(crate) struct Label {
    pub(crate) kind: Kind,
    pub(crate) name: Option<Rc<str>>,
    /// Where the task was spawned or the generator made.
    pub(crate) site: &'static Location<'static>,
    pub(crate) serial: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Task,
    Generator,
}

/// The record at the top of a slot, at a place that follows from the slot alone.
///
/// All zeroes, which is what fresh and trimmed memory holds, is a valid crown not in use.
#[repr(C, align(64))]
pub(super) struct Crown {
    /// Where the slot begins, the guard first.
    low: usize,
    resumed_from: Cell<usize>,
    /// Whether `label` may be read. Atomic for the sake of the signal handler, which can interrupt
    /// the same OS thread anywhere.
    in_use: AtomicBool,
    class: Class,
    /// Dynamic extents that the frames are inside of, see [`Extent`].
    extents: Cell<u32>,
    label: MaybeUninit<Label>,
}

impl Stack {
    /// Makes a stack of the slot below `crown`.
    ///
    /// # Safety
    ///
    /// `crown` is the place for the crown of a slot of `class` that has its guard, belongs to
    /// `arena`, and is nobody else's until the stack comes back to `arena`.
    #[inline(always)]
    pub(super) unsafe fn new(
        crown: NonNull<Crown>,
        class: Class,
        label: Label,
        arena: Rc<Arena>,
    ) -> Stack {
        // SAFETY: the caller gives us the slot, whose crown is valid from the first moment on
        // (zeroes); nothing else refers to it now.
        let record = unsafe { &mut *crown.as_ptr() };
        // Field by field, and inlined up to where the label is made: built elsewhere and copied
        // in wide steps, it would be read before its parts have left the store buffer.
        record.low = Crown::low(crown, class).addr().get();
        record.resumed_from.set(0);
        record.class = class;
        record.extents.set(0);
        record.label.write(label);
        record.in_use.store(true, Ordering::Release);
        Stack {
            base: crown.addr(),
            crown,
            arena,
        }
    }

    /// Reserves room for a `T` at the top of this stack, lowers the base to a multiple of 64 or of
    /// `T`'s alignment and returns that address. The caller writes the `T` and drops it, before
    /// the stack is dropped; a `T` that holds this very stack gives it up first.
    ///
    /// # Panics
    ///
    /// Panics if less than half of the stack would remain.
    #[inline]
    pub(crate) fn carve<T>(&mut self) -> NonNull<MaybeUninit<T>> {
        assert!(
            size_of::<T>().saturating_add(align_of::<T>()) < self.size() / 2,
            "a value of {} bytes is too large for the top of its stack",
            size_of::<T>()
        );
        let align = align_of::<T>().max(64);
        let address = (self.base.get() - size_of::<T>()) & !(align - 1);
        self.base = NonZeroUsize::new(address).expect("half of the stack is left below");
        self.crown.cast::<MaybeUninit<T>>().with_addr(self.base)
    }

    /// How many bytes the frames may take.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.base.get() - self.crown().low - GUARD_BYTES
    }

    /// What the frames need to know of the stack that they are on.
    #[inline]
    pub(super) fn ground(&self) -> Ground {
        Ground(self.crown)
    }

    #[inline(always)]
    fn crown(&self) -> &Crown {
        // SAFETY: `new` wrote the crown, and it stays as long as the stack is in use; the frames
        // and carved values lie below it.
        unsafe { self.crown.as_ref() }
    }
}

// SAFETY: from `limit` up to `base` the memory is mapped and this stack's alone (`new`); the lowest
// `GUARD_BYTES` are a guard; `carve` leaves half of the at least 16 KiB; `base` is a multiple of 64.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline(always)]
    fn base(&self) -> NonZeroUsize {
        self.base
    }

    #[inline]
    fn limit(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.crown().low).expect("a mapping is never at address 0")
    }
}

impl Drop for Stack {
    #[inline]
    fn drop(&mut self) {
        let class = self.crown().class;
        // Before the label goes: a signal handler that comes in between must not read it.
        self.crown().in_use.store(false, Ordering::Release);
        // SAFETY: the crown stays as long as the stack is in use, and nothing else refers to it.
        let crown = unsafe { self.crown.as_mut() };
        // SAFETY: `new` wrote the label, and only this drop takes it.
        unsafe { crown.label.assume_init_drop() };
        self.arena.put_back(class, self.crown);
    }
}

impl Crown {
    /// Where the crown of `slot` is.
    pub(super) fn of(slot: Slot) -> NonNull<Crown> {
        // SAFETY: a slot is at least 16 KiB longer than its colour, so the crown lies inside.
        unsafe { slot.top.cast::<Crown>().sub(1) }
    }

    /// Where the slot of the crown at `crown` begins; does not read it.
    #[inline]
    pub(super) fn low(crown: NonNull<Crown>, class: Class) -> NonNull<u8> {
        // A slot ends at the end of a page, and the crown is in its last 4 KiB.
        let end = crown.addr().get().next_multiple_of(4096);
        let low = end - class.bytes() - GUARD_BYTES;
        crown
            .cast::<u8>()
            .with_addr(NonZeroUsize::new(low).expect("a mapping is never at address 0"))
    }

    /// The label of the slot's owner, if it is in use.
    ///
    /// # Safety
    ///
    /// `slot` came from [`guard::find`] on this OS thread, and no stack of this OS thread is
    /// taken or dropped while the answer is used.
    pub(super) unsafe fn label<'a>(slot: Slot) -> Option<&'a Label> {
        // SAFETY: the slot is mapped, and its crown is valid from the first moment on (zeroes).
        let crown = unsafe { Crown::of(slot).as_ref() };
        let in_use = crown.in_use.load(Ordering::Acquire);
        // SAFETY: in use, hence written by `Stack::new` and not yet dropped.
        in_use.then(|| unsafe { crown.label.assume_init_ref() })
    }
}

/// A stack, as the frames on it see it. Valid while any of them exists.
#[derive(Clone, Copy)]
pub(super) struct Ground(NonNull<Crown>);

impl Ground {
    #[inline(always)]
    fn crown(&self) -> &Crown {
        // SAFETY: a `Ground` is held by frames of this stack, or by whoever owns it, and crowns
        // stay in place and valid as long as their region is mapped.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(super) fn contains(self, address: usize) -> bool {
        let low = self.crown().low;
        address.wrapping_sub(low) < self.0.addr().get() - low
    }

    /// Gives the stack another owner's label.
    #[inline]
    pub(super) fn relabel(self, label: Label) {
        self.crown().extents.set(0);
        let crown = self.0.as_ptr();
        // SAFETY: the stack is in use, so its label is written; its frames are idle, so that no
        // overflow report of this OS thread reads it meanwhile.
        unsafe { *(*crown).label.assume_init_mut() = label };
    }

    /// Whether the code that runs now is on this stack, or on one that was resumed from it,
    /// directly or through others (which the links of [`Ground::resumed_from`] tell).
    #[inline(always)]
    pub(super) fn encloses_current(self) -> bool {
        let address = stack_pointer();
        self.contains(address) || self.led_to(address)
    }

    #[cold]
    #[inline(never)]
    fn led_to(self, mut address: usize) -> bool {
        while let Some(slot) = guard::find(address) {
            // SAFETY: the slot is mapped, and its crown is valid from the first moment (zeroes).
            let crown = unsafe { Crown::of(slot).as_ref() };
            address = crown.resumed_from.get();
            if address == 0 || !crown.in_use.load(Ordering::Relaxed) {
                return false;
            }
            if self.contains(address) {
                return true;
            }
        }
        false
    }

    /// An address on the stack of whoever resumed this one, 0 while nobody has. Set before a
    /// resume, reset after it.
    #[inline(always)]
    pub(super) fn resumed_from(&self) -> &Cell<usize> {
        &self.crown().resumed_from
    }

    /// Whether the frames, or those on a stack between the running code and this one, are inside
    /// a dynamic extent that a yield would leave.
    #[inline(always)]
    pub(super) fn has_extents(self) -> bool {
        let address = stack_pointer();
        self.crown().extents.get() != 0
            || (!self.contains(address) && self.led_through_extents(address))
    }

    #[cold]
    #[inline(never)]
    fn led_through_extents(self, mut address: usize) -> bool {
        while !self.contains(address) {
            let Some(slot) = guard::find(address) else {
                return false;
            };
            // SAFETY: the slot is mapped, and its crown is valid from the first moment (zeroes).
            let crown = unsafe { Crown::of(slot).as_ref() };
            if crown.extents.get() != 0 {
                return true;
            }
            address = crown.resumed_from.get();
        }
        false
    }
}

/// A stretch of a call that counts for the task that makes it: a timeout, a scope, a shield. A
/// generator that yielded out of one would carry it to another task (PEP 789 tells the story), so
/// each stack counts those that its frames are inside of, and a generator asks before it yields.
pub(crate) struct Extent(Option<Ground>);

impl Extent {
    /// Counts one on the stack that the caller runs on, if it is one of ours.
    #[inline(never)]
    pub(crate) fn enter() -> Extent {
        let ground = guard::find(stack_pointer()).map(|slot| Ground(Crown::of(slot)));
        if let Some(ground) = ground {
            let extents = &ground.crown().extents;
            extents.set(extents.get() + 1);
        }
        Extent(ground)
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        if let Some(ground) = self.0 {
            let extents = &ground.crown().extents;
            extents.set(extents.get() - 1);
        }
    }
}

/// The stack that a function runs on, for as long as it runs.
pub(crate) struct Footing(Option<Ground>);

impl Footing {
    /// That of the caller, which keeps it no longer than its own frame.
    pub(crate) fn here() -> Footing {
        Footing(guard::find(stack_pointer()).map(|slot| Ground(Crown::of(slot))))
    }

    /// Whether the calling code is inside of an extent, on this stack or on one that was resumed
    /// from it. On a stack that is none of ours nothing is counted.
    pub(crate) fn has_extents(&self) -> bool {
        self.0.is_some_and(Ground::has_extents)
    }
}

/// An address in the frame of the caller.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let address: usize;
        // SAFETY: copies a register, which has one value for as long as the frame exists.
        unsafe {
            std::arch::asm!("mov {}, rsp", out(reg) address, options(pure, nomem, nostack, preserves_flags));
        }
        address
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        let address: usize;
        // SAFETY: copies a register, which has one value for as long as the frame exists.
        unsafe {
            std::arch::asm!("mov {}, sp", out(reg) address, options(pure, nomem, nostack, preserves_flags));
        }
        address
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let here = 0_u8;
        std::ptr::from_ref(std::hint::black_box(&here)).addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corosensei::stack::Stack as _;

    const _: () = assert!(size_of::<Stack>() == 24 && size_of::<Crown>() == 64);

    fn stack() -> Stack {
        let arena = Arena::of_this_thread();
        let class = Class::of(64 << 10);
        arena.reserve(class).unwrap();
        let label = Label {
            kind: Kind::Generator,
            name: Some("numbers".into()),
            site: Location::caller(),
            serial: 7,
        };
        arena.take(class, label).unwrap()
    }

    /// Runs `body` on `stack`, as a coroutine would.
    fn run_on<T>(stack: &Stack, body: impl FnOnce() -> T) -> T {
        struct Borrowed<'a>(&'a Stack);
        // SAFETY: the same memory as the stack that it borrows; this test runs nothing else on it.
        unsafe impl corosensei::stack::Stack for Borrowed<'_> {
            fn base(&self) -> NonZeroUsize {
                self.0.base()
            }
            fn limit(&self) -> NonZeroUsize {
                self.0.limit()
            }
        }
        stack.ground().resumed_from().set(stack_pointer());
        let result = corosensei::on_stack(Borrowed(stack), body);
        stack.ground().resumed_from().set(0);
        result
    }

    #[test]
    fn carving_lowers_the_base_and_keeps_it_aligned() {
        #[repr(align(256))]
        struct Wide(#[expect(dead_code, reason = "only its size counts")] [u8; 300]);
        let mut stack = stack();
        let [base, size] = [stack.base().get(), stack.size()];
        let byte = stack.carve::<u8>().addr().get();
        let wide = stack.carve::<Wide>().addr().get();
        assert_eq!(byte, base - 64);
        assert!(wide.is_multiple_of(256) && wide + size_of::<Wide>() <= byte);
        assert_eq!(stack.base().get(), wide);
        assert_eq!(stack.size(), size - (base - wide));
    }

    #[test]
    #[should_panic(expected = "too large for the top of its stack")]
    fn carving_leaves_room_for_frames() {
        stack().carve::<[u8; 40_000]>();
    }

    #[test]
    fn a_label_is_readable_while_its_stack_is_in_use() {
        let stack = stack();
        let slot = guard::find(stack.base().get() - 1).unwrap();
        // SAFETY: found on this OS thread; the stack is alive.
        let label = unsafe { Crown::label(slot) }.unwrap();
        assert_eq!((label.name.as_deref(), label.serial), (Some("numbers"), 7));
        drop(stack);
        // SAFETY: found on this OS thread; no label is looked at.
        assert!(unsafe { Crown::label(slot) }.is_none());
    }

    #[test]
    fn a_stack_encloses_what_was_resumed_from_it() {
        let [outer, middle, inner, stranger] = [stack(), stack(), stack(), stack()];
        assert!(!outer.ground().encloses_current());
        let all =
            || [&outer, &middle, &inner, &stranger].map(|stack| stack.ground().encloses_current());
        let seen = run_on(&outer, || {
            run_on(&middle, || (all(), run_on(&inner, all), all()))
        });
        let in_middle = [true, true, false, false];
        assert_eq!(seen, (in_middle, [true, true, true, false], in_middle));
        assert!(!outer.ground().encloses_current());
    }
}
