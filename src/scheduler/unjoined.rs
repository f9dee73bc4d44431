//! Panics that nobody has joined yet, to be named at the end of the run.
use super::task::TaskId;

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct UnjoinedPanic {
    pub(crate) id: TaskId,
    pub(crate) text: String,
}

/// More than these are only counted: a run may go on for ever.
const KEPT: usize = 100;

/// All of them: the first by name, the others by number.
#[derive(Default)]
pub(crate) struct UnjoinedPanics {
    first: Vec<UnjoinedPanic>,
    others: usize,
}

impl UnjoinedPanics {
    pub(super) fn keep(&mut self, panic: UnjoinedPanic) {
        if self.first.len() < KEPT {
            self.first.push(panic);
        } else {
            self.others += 1;
        }
    }

    /// One that was kept has been received after all.
    pub(super) fn forget(&mut self, id: TaskId) {
        match self.first.iter().position(|panic| panic.id == id) {
            Some(index) => drop(self.first.remove(index)),
            None => self.others = self.others.saturating_sub(1),
        }
    }

    pub(crate) fn first(&self) -> &[UnjoinedPanic] {
        &self.first
    }

    pub(crate) fn count(&self) -> usize {
        self.first.len() + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(serial: u64) -> UnjoinedPanic {
        let id = TaskId {
            serial,
            slot: 0,
            run: 1,
        };
        UnjoinedPanic {
            id,
            text: format!("panic {serial}"),
        }
    }

    #[test]
    fn only_the_first_are_kept_by_name_and_all_are_counted() {
        let mut panics = UnjoinedPanics::default();
        (1..=1000).for_each(|serial| panics.keep(panic(serial)));
        assert_eq!((panics.first().len(), panics.count()), (KEPT, 1000));
        panics.forget(panic(3).id);
        panics.forget(panic(900).id);
        assert_eq!((panics.first().len(), panics.count()), (KEPT - 1, 998));
    }
}
