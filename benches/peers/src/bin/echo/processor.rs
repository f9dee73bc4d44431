//! What the system gives to a process: cores, descriptors, time, memory.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who runs where.
pub struct Cores {
    pub server: usize,
    pub load: usize,
}

/// The first and the last of the cores that this process may use.
pub fn cores() -> Cores {
    let allowed = sched_getaffinity(None).expect("a process may ask for its own cores");
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let server = allowed.next().expect("this runs on a core");
    Cores {
        server,
        load: allowed.next_back().unwrap_or(server),
    }
}

/// Keeps this OS thread, and those it starts, to one core.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).expect("the core is one of those that are allowed");
}

/// Lets this process and those it starts have as many descriptors as the system allows; tells how
/// many, if there is a limit.
pub fn raise_descriptor_limit() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, most) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.and_then(|current| usize::try_from(current).ok())
}

/// What a process has used so far.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Time on a core, all OS threads together.
    pub running: Duration,
    /// Time in which it was ready to run and something else did.
    pub waiting: Duration,
    /// Bytes of memory, its page tables included.
    pub memory: usize,
}

/// Of the process `pid`, as far as it can be told.
pub fn usage(pid: u32) -> Usage {
    let mut usage = Usage {
        running: Duration::ZERO,
        waiting: Duration::ZERO,
        memory: 0,
    };
    for thread in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let times = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let mut times = times
            .split_whitespace()
            .map(|time| time.parse().unwrap_or(0));
        usage.running += Duration::from_nanos(times.next().unwrap_or(0));
        usage.waiting += Duration::from_nanos(times.next().unwrap_or(0));
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    for line in status.lines() {
        if line.starts_with("VmRSS:") || line.starts_with("VmPTE:") {
            let kilobytes = line.split_whitespace().nth(1);
            let kilobytes = kilobytes.and_then(|number| number.parse().ok());
            usage.memory += 1024 * kilobytes.unwrap_or(0_usize);
        }
    }
    usage
}
