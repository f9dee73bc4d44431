//! How long a call may wait.
use crate::scheduler::{deadline_after, deadline_at};
use std::cell::OnceCell;
use std::time::{Duration, Instant};

/// How long a call may wait, as its caller said it.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Never,
    After(Duration),
    At(Instant),
}

impl Limit {
    /// The moment on the scheduler's clock, which may have to be read; `None` is never.
    pub(crate) fn deadline(self) -> Option<u64> {
        match self {
            Limit::Never => None,
            Limit::After(duration) => deadline_after(duration),
            Limit::At(at) => Some(deadline_at(at)),
        }
    }
}

/// A limit whose moment is worked out once, when the first park needs it.
pub(crate) struct Deadline {
    limit: Limit,
    at: OnceCell<Option<u64>>,
}

impl Deadline {
    #[inline]
    pub(crate) fn new(limit: Limit) -> Self {
        Deadline {
            limit,
            at: OnceCell::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<u64> {
        *self.at.get_or_init(|| self.limit.deadline())
    }
}
