//! The peers, one file each.

pub mod corosensei;
pub mod genawaiter;
pub mod generator;
#[cfg(target_os = "linux")]
pub mod glommio;
pub mod may;
pub mod maypole;
#[cfg(target_os = "linux")]
pub mod monoio;
pub mod smol;
pub mod tokio;

use crate::workload::{Stackful, Stackless, TaskPeer};

/// All that have tasks, maypole first.
pub fn task_peers() -> Vec<Box<dyn TaskPeer>> {
    vec![
        Stackful::<maypole::Maypole>::boxed(),
        Stackful::<may::May>::boxed(),
        Stackless::<tokio::Tokio>::boxed(),
        Stackless::<smol::Smol>::boxed(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Monoio>::boxed(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Glommio>::boxed(),
    ]
}
