//! What both kinds of generator are: a producer of values, and a mailbox for what is sent, thrown or
//! ordered.
use super::Ignored;
use super::yielder::Yielder;
use crate::coroutine::{self, Producer, Step};
use crate::task::{apart, drop_quietly};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

pub(super) type Payload = Box<dyn Any + Send>;

/// What unwinds a generator that is being closed, told apart by the address of its mailbox, or of
/// its host: the close of an outer generator passes through those that its body has resumed. Private, so that
/// nobody can make one.
pub(super) struct ClosePayload(pub(super) usize);

impl ClosePayload {
    /// Whether `payload` is that of the mailbox, or the host, at this address.
    pub(super) fn is(payload: &(dyn Any + Send), key: usize) -> bool {
        let close = payload.downcast_ref::<ClosePayload>();
        close.is_some_and(|close| close.0 == key)
    }
}

/// What the yielder finds when it is resumed, besides the sent value.
pub(super) enum Order {
    Throw(Payload),
    Close,
}

/// What a generator and its yielder share.
pub(super) struct Mailbox<S> {
    pub(super) sent: Cell<Option<S>>,
    /// Looked at only when nothing was sent.
    pub(super) order: Cell<Option<Order>>,
    /// The body is suspended in a destructor that runs because of unwinding.
    pub(super) unwinding: Cell<bool>,
    pub(super) site: &'static Location<'static>,
}

impl<S> Mailbox<S> {
    pub(super) fn close_payload(&self) -> Payload {
        Box::new(ClosePayload(std::ptr::from_ref(self).addr()))
    }

    fn is_closed_by(&self, payload: &(dyn Any + Send)) -> bool {
        ClosePayload::is(payload, std::ptr::from_ref(self).addr())
    }

    /// Leaves an order where the yield that the body is in will look.
    fn command(&self, order: Order) {
        // What a first resume has sent was never taken.
        self.sent.set(None);
        self.order.set(Some(order));
    }
}

/// How a body ended.
pub(super) enum Ended<R> {
    Returned(R),
    Closed,
}

/// A body that has not begun. An unwind out of its drop would leave the coroutine as if the body
/// were still there, and it would be dropped twice.
struct Fresh<F>(Option<F>);

impl<F> Drop for Fresh<F> {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            drop_quietly(body);
        }
    }
}

/// A generator whose body borrows for `'b`.
pub(super) struct Core<'b, Y, R, S> {
    pub(super) producer: Producer<'b, Mailbox<S>, Y, Ended<R>>,
}

impl<'b, Y, R, S> Core<'b, Y, R, S> {
    #[inline]
    pub(super) fn new(
        stack_size: usize,
        site: &'static Location<'static>,
        body: impl FnOnce(&Yielder<Y, S>) -> R + 'b,
    ) -> Self {
        let mailbox = Mailbox {
            sent: Cell::new(None),
            order: Cell::new(None),
            unwinding: Cell::new(false),
            site,
        };
        let mut fresh = Fresh(Some(body));
        let producer = Producer::new(stack_size, site, mailbox, move |suspender, mailbox| {
            let body = fresh.0.take().expect("a body begins once");
            let ours = mailbox.clone();
            let yielder = Yielder::new(suspender, mailbox);
            match catch_unwind(AssertUnwindSafe(|| body(&yielder))) {
                Ok(value) => Ended::Returned(value),
                Err(payload) if ours.is_closed_by(&*payload) => Ended::Closed,
                Err(payload) => resume_unwind(payload),
            }
        });
        match producer {
            Ok(producer) => Core { producer },
            Err(limit) => panic!("maypole: cannot make the generator at {site}: {limit}"),
        }
    }

    #[inline(always)]
    pub(super) fn mailbox(&self) -> &Mailbox<S> {
        self.producer.shared()
    }

    #[inline(always)]
    pub(super) fn is_fresh(&self) -> bool {
        self.producer.is_fresh()
    }

    /// Resumes the body, which finds in the mailbox why.
    #[inline(always)]
    pub(super) fn resume(&mut self) -> Step<Y, R> {
        match self.step() {
            Step::Yielded(value) => Step::Yielded(value),
            Step::Returned(Ended::Returned(value)) => Step::Returned(value),
            Step::Returned(Ended::Closed) => self.closed_late(),
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Step<Y, Ended<R>> {
        if std::thread::panicking() {
            return self.step_while_unwinding();
        }
        self.producer.resume()
    }

    /// A resume from a destructor that runs because of unwinding: the body is not the one that
    /// unwinds.
    #[cold]
    #[inline(never)]
    fn step_while_unwinding(&mut self) -> Step<Y, Ended<R>> {
        apart(|| self.producer.resume())
    }

    #[cold]
    #[inline(never)]
    fn closed_late(&self) -> ! {
        panic!(
            "maypole: the generator made at {} has ended by a close that it had ignored before",
            self.mailbox().site
        );
    }

    pub(super) fn throw(&mut self, payload: Payload) -> Step<Y, R> {
        if self.producer.is_done() {
            resume_unwind(payload);
        }
        if self.is_fresh() {
            // As in Python: the error is raised where the body would have begun.
            self.close()
                .expect("a body that never ran cannot ignore its close");
            resume_unwind(payload);
        }
        if self.mailbox().unwinding.get() {
            let site = self.mailbox().site;
            panic!(
                "maypole: a throw into the generator made at {site}, which yields in a destructor \
                 that runs because of unwinding and cannot unwind again"
            );
        }
        self.mailbox().command(Order::Throw(payload));
        self.resume()
    }

    pub(super) fn close(&mut self) -> Result<(), Ignored> {
        if self.producer.is_done() {
            return Ok(());
        }
        if self.is_fresh() {
            self.producer.discard();
            return Ok(());
        }
        if self.mailbox().unwinding.get() {
            // A second unwind would abort the process.
            return Err(Ignored);
        }
        self.mailbox().command(Order::Close);
        match self.step() {
            Step::Yielded(value) => {
                drop(value);
                Err(Ignored)
            }
            Step::Returned(_) => Ok(()),
        }
    }

    /// Whether the body is inside of a yield.
    pub(super) fn is_suspended(&self) -> bool {
        !self.producer.is_done() && !self.is_fresh()
    }
}

impl<Y, R, S> Drop for Core<'_, Y, R, S> {
    #[inline]
    fn drop(&mut self) {
        if self.is_suspended() {
            self.close_at_drop();
        }
    }
}

impl<Y, R, S> Core<'_, Y, R, S> {
    #[cold]
    fn close_at_drop(&mut self) {
        if cfg!(panic = "unwind") && self.close().is_err() {
            coroutine::say(format_args!(
                "maypole: the generator made at {} ignored its close and yielded again; its stack \
                 is leaked",
                self.mailbox().site
            ));
        }
    }
}
