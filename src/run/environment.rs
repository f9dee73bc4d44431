//! What the environment variables make of a run, each announced in one line.
use super::builder::{Builder, Clock};
use crate::coroutine;
use std::hash::{BuildHasher, Hasher};

impl Builder {
    /// Lets the environment overrule the options, each announced in one line.
    pub(super) fn heed_environment(mut self) -> Self {
        if let Some(value) = variable("MAYPOLE_SEED") {
            match value.as_str() {
                "random" => {
                    self.seed = random_seed();
                    let seed = self.seed;
                    coroutine::say(format_args!(
                        "maypole: MAYPOLE_SEED=random: the seed of this run is {seed}"
                    ));
                }
                digits => match digits.parse() {
                    Ok(seed) => {
                        self.seed = seed;
                        coroutine::say(format_args!(
                            "maypole: MAYPOLE_SEED={seed}: tasks are chosen by this seed"
                        ));
                    }
                    Err(_) => coroutine::say(format_args!(
                        "maypole: MAYPOLE_SEED={value} is ignored: a number or random is expected"
                    )),
                },
            }
        }
        if let Some(value) = variable("MAYPOLE_CLOCK") {
            match value.as_str() {
                "virtual" => {
                    self.clock = Clock::Virtual;
                    coroutine::say(format_args!(
                        "maypole: MAYPOLE_CLOCK=virtual: sleeping takes no time"
                    ));
                }
                _ => coroutine::say(format_args!(
                    "maypole: MAYPOLE_CLOCK={value} is ignored: virtual is expected"
                )),
            }
        }
        self
    }
}

/// On in debug builds, so in tests; elsewhere on request.
pub(super) fn audits() -> bool {
    match variable("MAYPOLE_AUDIT").as_deref() {
        Some("0") => {
            coroutine::say(format_args!(
                "maypole: MAYPOLE_AUDIT=0: parks are not audited"
            ));
            false
        }
        Some("1") => {
            coroutine::say(format_args!(
                "maypole: MAYPOLE_AUDIT=1: parks look for callers that must not be interleaved"
            ));
            true
        }
        other => {
            if let Some(value) = other {
                coroutine::say(format_args!(
                    "maypole: MAYPOLE_AUDIT={value} is ignored: 1 or 0 is expected"
                ));
            }
            cfg!(debug_assertions)
        }
    }
}

pub(super) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// A seed that differs from run to run and is never 0.
fn random_seed() -> u64 {
    let seed = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    // Short enough to be typed again.
    seed % 1_000_000 + 1
}
