//! A run that obeys a trail, and notices when the program is not the recorded one.
use super::{Choice, Kind, Policy, Switches, Token, Trail};
use crate::scheduler::wait::Wait;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Answers as recorded; after the end of the trail first in, first out.
pub(crate) struct Replay {
    trail: Trail,
    progress: Rc<Progress>,
}

/// How far a replay has come, for whoever started it.
#[derive(Default)]
pub(crate) struct Progress {
    answered: Cell<usize>,
    divergence: RefCell<Option<Divergence>>,
}

/// Where a program left its trail.
#[derive(Clone)]
pub(crate) struct Divergence {
    /// From 1.
    pub(crate) step: usize,
    /// Of so many.
    pub(crate) steps: usize,
    pub(crate) recorded: Token,
    /// What the program came to instead; `None` if it ended.
    pub(crate) now: Option<Meeting>,
}

/// A choice that a program came to.
#[derive(Clone, Copy)]
pub(crate) struct Meeting {
    pub(crate) kind: Kind,
    pub(crate) among: usize,
    pub(crate) task: u64,
    pub(crate) wait: Wait,
}

impl Meeting {
    pub(crate) fn of(choice: &Choice<'_>) -> Self {
        Meeting {
            kind: choice.kind,
            among: choice.among,
            task: choice.task,
            wait: choice.wait,
        }
    }
}

impl Replay {
    pub(crate) fn new(trail: Trail, progress: Rc<Progress>) -> Replay {
        Replay { trail, progress }
    }
}

impl Progress {
    /// Where the run left the trail; a run that ended well before the trail did left it there.
    pub(crate) fn divergence(&self, trail: &Trail) -> Option<Divergence> {
        let answered = self.answered.get();
        self.divergence.borrow().clone().or_else(|| {
            Some(Divergence {
                step: answered + 1,
                steps: trail.tokens.len(),
                recorded: *trail.tokens.get(answered)?,
                now: None,
            })
        })
    }

    /// Whether the run met something else than what was recorded.
    pub(crate) fn has_diverged(&self) -> bool {
        self.divergence.borrow().is_some()
    }
}

impl Policy for Replay {
    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize> {
        let answered = self.progress.answered.get();
        let Some(token) = self.trail.tokens.get(answered) else {
            return Some(0);
        };
        let met = Meeting::of(choice);
        if !token.is_of(&met) || token.answer >= choice.among {
            let mut divergence = self.progress.divergence.borrow_mut();
            divergence.get_or_insert(Divergence {
                step: answered + 1,
                steps: self.trail.tokens.len(),
                recorded: *token,
                now: Some(met),
            });
            return None;
        }
        self.progress.answered.set(answered + 1);
        Some(token.answer)
    }

    fn explores(&self) -> Option<Switches> {
        Some(self.trail.switches)
    }
}
