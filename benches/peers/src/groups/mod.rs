//! What is compared with what: one file for each workload.

pub mod generator;
pub mod spawn;
pub mod switch;
pub mod timers;
