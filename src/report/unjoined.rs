//! The panics that nobody joined.
use super::Report;
use crate::scheduler::UnjoinedPanics;

/// More panics than this are only counted.
const SHOWN: usize = 12;

/// Names the panics that nobody joined, if there are any.
pub(crate) fn unjoined(panics: &UnjoinedPanics) -> Option<Report> {
    let mut text = match panics.count() {
        0 => return None,
        1 => "maypole: finished; 1 task panicked and nobody joined it:".to_string(),
        count => format!("maypole: finished; {count} tasks panicked and nobody joined them:"),
    };
    for panic in panics.first().iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(&panic.text);
    }
    if panics.count() > SHOWN {
        text.push_str(&format!("\n  and {} more", panics.count() - SHOWN));
    }
    Some(Report::new(text))
}
