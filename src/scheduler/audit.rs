//! The auditor: finds callers that must not be interleaved before they are.
//!
//! Two known kinds of code outside this crate rely on calls of one OS thread being nested, while
//! tasks interleave them: the initialiser of a `thread_local!`, and the scoped thread-locals of
//! the `scoped-tls` crate. A task that parks inside one lets another task enter it, and safe code
//! then reads freed memory. Both show in a backtrace, so a park looks for them and panics first.
//!
//! A backtrace costs up to a millisecond, so the verdict is kept for each place of a call and
//! depth of its stack: the same call at the same depth has the same callers, all but always.
use super::wait::Wait;
use crate::coroutine;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::Location;

type Site = (*const Location<'static>, usize);

thread_local! {
    static PASSED: RefCell<HashSet<Site>> = RefCell::new(HashSet::new());
}

#[cold]
pub(super) fn check(wait: Wait) {
    let site: Site = (wait.at, coroutine::depth());
    let passed = |sites: &RefCell<HashSet<Site>>| sites.borrow().contains(&site);
    if PASSED.try_with(passed).unwrap_or(true) {
        return;
    }
    let frames = Backtrace::force_capture().to_string();
    if let Some(offender) = offender(&frames) {
        panic!(
            "maypole: {what} at {at} inside {offender}: another task could enter it while this one \
             is parked, and safe code would read freed memory; do the waiting before it",
            what = wait.what,
            at = wait.at,
        );
    }
    let _ = PASSED.try_with(|sites| sites.borrow_mut().insert(site));
}

/// The first frame that must not be interleaved, in words.
fn offender(frames: &str) -> Option<&'static str> {
    frames.lines().find_map(|frame| {
        if frame.contains("get_or_init_slow") && frame.contains("thread_local") {
            Some("the initialiser of a thread_local!")
        } else if frame.contains("scoped_tls") && frame.contains("::set") {
            Some("scoped_tls's ScopedKey::set")
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_both_offenders_are_known_and_others_pass() {
        let initialiser =
            "  9: std::sys::thread_local::native::lazy::Storage<T,D>::get_or_init_slow";
        let scoped = " 11: scoped_tls::ScopedKey<T>::set";
        let innocent = "  3: std::thread::local::LocalKey<T>::with\n  4: app::cell::OnceCell::set";
        assert!(offender(initialiser).is_some());
        assert!(offender(scoped).is_some());
        assert!(offender(innocent).is_none());
    }
}
