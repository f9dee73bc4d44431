//! Whether a schedule has failed, and how.
use crate::report::Steps;
use crate::run::{Ended, RunError};
use crate::task::{JoinError, Unprinted, take_unprinted};

/// What a schedule came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Well,
    /// It was longer than it may be.
    Cut,
    Failed,
}

/// A run that left its trail ends in a way that says nothing: the caller looks at that first.
pub(super) fn judge(ended: &Ended<()>) -> Verdict {
    match &ended.trouble {
        Some(RunError::TurnLimit(_) | RunError::Diverged(_)) => Verdict::Cut,
        Some(_) => Verdict::Failed,
        None if ended.panics.count() > 0 => Verdict::Failed,
        None => match &ended.result {
            Some(Ok(())) => Verdict::Well,
            _ => Verdict::Failed,
        },
    }
}

/// What failed, for people.
pub(super) fn text(ended: &Ended<()>, steps: &Steps) -> String {
    let mut texts = Vec::new();
    if let Some(trouble) = &ended.trouble {
        let text = trouble.to_string();
        texts.push(text.trim_start_matches("maypole: ").trim_end().to_string());
    } else if let Some(Err(error)) = &ended.result {
        texts.push(match error.message() {
            Some(message) => message.to_string() + &origin(error, steps),
            None => error.to_string(),
        });
    }
    let panics = ended.panics.first().iter();
    texts.extend(panics.map(|panic| format!("{} (nobody joined it)", panic.text)));
    texts.join("\n")
}

/// Where the panic that ended main began: in main itself, or in a task whose scope passed it on.
fn origin(error: &JoinError, steps: &Steps) -> String {
    let panics = take_unprinted();
    let is_it = |panic: &&Unprinted| panic.message.as_deref() == error.message();
    match (panics.iter().find(is_it), error.location()) {
        (Some(panic), _) => format!(
            "\n  at {}, in {}",
            panic.place,
            steps.name(panic.task.serial)
        ),
        (None, Some(place)) => format!("\n  at {place}, in main"),
        (None, None) => String::new(),
    }
}
