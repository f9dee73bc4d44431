//! A coroutine that hands out values: what generators are made of.
use super::stack::{Ground, Kind, Label, Stack, stack_pointer};
use super::{Arena, Class, StackLimit};
use corosensei::Yielder;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::rc::Rc;

/// What a resume came back with.
///
/// # Examples
///
/// ```
/// use maypole::generator::{Generator, Step};
/// let mut words = Generator::new(|y| {
///     y.yield_("may");
///     "pole"
/// });
/// assert_eq!(words.start(), Step::Yielded("may"));
/// assert_eq!(words.resume(()), Step::Returned("pole"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<Y, R> {
    /// The body yielded a value and waits to be resumed.
    Yielded(Y),
    /// The body returned.
    Returned(R),
}

type Raw<Y, R> = corosensei::Coroutine<(), Y, R, Stack>;

/// A coroutine that yields values of `Y` and returns an `R`, shares an `X` with its owner, and
/// whose body borrows for `'b`.
///
/// Dropping one that is suspended leaks its stack: its owner unwinds it first, by resuming it.
pub(crate) struct Producer<'b, X, Y, R> {
    raw: ManuallyDrop<Raw<Y, R>>,
    ground: Ground,
    class: Class,
    arena: Rc<Arena>,
    shared: Rc<X>,
    body: PhantomData<dyn FnOnce() + 'b>,
}

/// How the body gives values out. It stays in the frames of the body: only there, and on stacks
/// resumed from there, is it usable, which [`Suspender::is_current`] tells.
pub(crate) struct Suspender<Y> {
    yielder: *const Yielder<(), Y>,
    ground: Ground,
}

impl<'b, X, Y, R> Producer<'b, X, Y, R> {
    /// Puts `body` on a stack of its own; it starts at the first resume.
    ///
    /// # Errors
    ///
    /// The limit that stands against one more stack.
    #[inline]
    pub(crate) fn new<F>(
        stack_size: usize,
        site: &'static Location<'static>,
        shared: X,
        body: F,
    ) -> Result<Self, StackLimit>
    where
        F: FnOnce(Suspender<Y>, Rc<X>) -> R + 'b,
    {
        let (arena, class) = (Arena::of_this_thread(), Class::of(stack_size));
        arena.reserve(class)?;
        let label = Label {
            kind: Kind::Generator,
            name: None,
            site,
            serial: 0,
        };
        let stack = arena
            .take(class, label)
            .inspect_err(|_| arena.release(class))?;
        let ground = stack.ground();
        let shared = Rc::new(shared);
        let theirs = shared.clone();
        let start = move |yielder: &Yielder<(), Y>, ()| body(Suspender { yielder, ground }, theirs);
        // SAFETY: what the body captures, is sent and yields may borrow, but then so does the type
        // of the producer (`'b`, `X`, `Y`, `R`), without which nothing runs or drops the body;
        // a producer that is left alone leaks its stack, which nobody looks at again.
        let raw = unsafe { Raw::with_stack_unchecked(stack, start) };
        Ok(Producer {
            raw: ManuallyDrop::new(raw),
            ground,
            class,
            arena,
            shared,
            body: PhantomData,
        })
    }

    /// What the body holds the other reference to.
    #[inline(always)]
    pub(crate) fn shared(&self) -> &X {
        &self.shared
    }

    /// Runs the body until it yields or returns. A panic of the body comes out of here.
    ///
    /// # Panics
    ///
    /// If the body has returned.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> Step<Y, R> {
        // Left as it is afterwards: only code that runs on this stack leads to the link, and then
        // a resume has just renewed it.
        self.ground.resumed_from().set(stack_pointer());
        match self.raw.resume(()) {
            corosensei::CoroutineResult::Yield(value) => Step::Yielded(value),
            corosensei::CoroutineResult::Return(value) => Step::Returned(value),
        }
    }

    /// Whether the body has not been entered yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.raw.started()
    }

    /// Whether the body has returned or unwound.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        self.raw.done()
    }
}

impl<X, Y, R> Producer<'_, X, Y, R> {
    /// Drops the body of a coroutine that was never resumed; it counts as done.
    pub(crate) fn discard(&mut self) {
        debug_assert!(self.is_fresh());
        // Not started, so corosensei unwinds nothing: it drops the body in place.
        self.raw.force_unwind();
    }
}

impl<X, Y, R> Drop for Producer<'_, X, Y, R> {
    #[inline]
    fn drop(&mut self) {
        if self.raw.done() || !self.raw.started() {
            // SAFETY: dropped here and never used again. It is not suspended inside its body, so
            // corosensei has nothing to unwind: it drops an unstarted body in place.
            unsafe { ManuallyDrop::drop(&mut self.raw) };
            self.arena.release(self.class);
        }
    }
}

impl<Y> Suspender<Y> {
    /// Whether the calling code is on the coroutine's own chain of stacks.
    #[inline(always)]
    pub(crate) fn is_current(&self) -> bool {
        self.ground.encloses_current()
    }

    /// Hands `value` to whoever resumed the coroutine; returns at the next resume.
    ///
    /// False, with the value dropped, where that must not be: off the coroutine's chain of stacks,
    /// from where it would suspend the wrong one, and inside of an [`Extent`](super::Extent).
    #[inline(always)]
    pub(crate) fn suspend(&self, value: Y) -> bool {
        if !self.is_current() || self.ground.has_extents() {
            return false;
        }
        // SAFETY: the calling code is on the coroutine's chain of stacks, so the coroutine has
        // started and not ended, and the yielder at the base of its stack is alive.
        unsafe { &*self.yielder }.suspend(value);
        true
    }
}
