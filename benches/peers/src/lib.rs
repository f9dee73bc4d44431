//! Maypole and its peers at the same work, one criterion group a workload, one contender a peer.
//!
//! Everything runs on one core, so pin it:
//!
//! ```text
//! taskset -c 0 cargo bench -p maypole-bench                       # all groups
//! taskset -c 0 cargo bench -p maypole-bench -- switch/2           # one group
//! taskset -c 0 cargo bench -p maypole-bench -- '^switch/1/tokio'  # one contender: the filter is a regex
//! cargo run -p maypole-bench --bin table                          # the ratios, as Markdown
//! cargo run -p maypole-bench --bin table -- switch                # the groups whose names hold "switch"
//! taskset -c 0 cargo run --release -p maypole-bench --bin memory -- tokio 100000 parked
//! taskset -c 0 cargo run --release -p maypole-bench --bin memory -- tokio skynet
//! ```
//!
//! The unit is the nanosecond per operation: one yield, one spawn with its join, one item, one message,
//! one lock, one transaction, one wake-up; in `skynet` it is the whole tree, in `explore` one schedule. A
//! workload does as many operations as it needs to be measurable, and starting a runtime is never timed.
//! Contenders of a group are measured in one run; compare ratios, and only those above 1.3.
//!
//! `corosensei` is the bare coroutine: no scheduler, only resume and suspend on stacks made beforehand. Where
//! it cannot do a group's work it stands for one of its round trips. `crossbeam` and `std_threads` are OS
//! threads; `flume` is between tasks of tokio.
//!
//! In the groups `stm` one task moves an amount between two variables (`stm`) or reads one (`stm/read`), two
//! wake each other by `retry` (`stm/retry`), or one puts messages into a queue and another takes them out,
//! each in a transaction of its own (`stm/queue` without a bound, `stm/queue/128`). `stm` and its offspring
//! `fast-stm` are between OS threads, `async-stm` between tasks of tokio. `std_threads` does the same without
//! transactions: it holds two mutexes for a transfer, one for a read, and waits by a condition variable.
//!
//! What a peer lacks and what a machine cannot run (glommio and monoio need `io_uring`, may two mappings a
//! task) says so in one line and is skipped.
//!
//! A workload is in `workload/`, what it asks of a peer in `peer/`, a peer in `adapters/`, what is compared
//! with what in `groups/`.

#[macro_use]
mod forms;

pub mod adapters;
#[path = "../../shared/echo.rs"]
pub mod echo;
pub mod groups;
pub mod measure;
pub mod peer;
pub mod workload;
