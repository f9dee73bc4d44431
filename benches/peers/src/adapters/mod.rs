//! The peers, one file each, and who takes part in what.

pub mod async_stm;
pub mod corosensei;
pub mod crossbeam;
pub mod fast_stm;
pub mod flume;
pub mod genawaiter;
pub mod generator;
#[cfg(target_os = "linux")]
pub mod glommio;
pub mod loom;
pub mod may;
pub mod maypole;
pub mod mio;
#[cfg(target_os = "linux")]
pub mod monoio;
pub mod shuttle;
pub mod smol;
pub mod std_threads;
pub mod stm;
pub mod tokio;

use std::io::{self, Read, Write};

use futures_lite::future;

use crate::workload::{
    ChannelPeer, EchoPeer, LockPeer, OffloadPeer, SelectPeer, Stackful, Stackless, StmPeer,
    StmQueuePeer, TaskPeer,
};

/// All that have tasks, maypole first.
pub fn task_peers() -> Vec<Box<dyn TaskPeer>> {
    vec![
        Stackful::<maypole::Maypole>::tasks(),
        Stackful::<may::May>::tasks(),
        Stackless::<tokio::Tokio>::tasks(),
        Stackless::<smol::Smol>::tasks(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Monoio>::tasks(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Glommio>::tasks(),
    ]
}

/// All whose channels can be of no capacity.
pub fn rendezvous_channels() -> Vec<Box<dyn ChannelPeer>> {
    vec![
        Stackful::<maypole::Channel>::channel(),
        Stackless::<flume::OnTokio>::channel(),
        Stackless::<flume::OnSmol>::channel(),
        Stackful::<std_threads::Bounded>::channel(),
        Stackful::<crossbeam::Channel>::channel(),
    ]
}

/// All whose channels can hold some messages and no more.
pub fn bounded_channels() -> Vec<Box<dyn ChannelPeer>> {
    vec![
        Stackful::<maypole::Channel>::channel(),
        Stackless::<tokio::Bounded>::channel(),
        Stackless::<flume::OnTokio>::channel(),
        Stackless::<smol::Channel>::channel(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Bounded>::channel(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Channel>::channel(),
        Stackful::<std_threads::Bounded>::channel(),
        Stackful::<crossbeam::Channel>::channel(),
    ]
}

/// The same, and may's channel: it has no bound, which makes no difference to work that by itself
/// never has more than one message under way.
pub fn one_place_channels() -> Vec<Box<dyn ChannelPeer>> {
    let mut peers = bounded_channels();
    peers.push(Stackful::<may::Unbounded>::channel());
    peers
}

/// All that have channels without a bound.
pub fn unbounded_channels() -> Vec<Box<dyn ChannelPeer>> {
    vec![
        Stackful::<maypole::Channel>::channel(),
        Stackful::<may::Unbounded>::channel(),
        Stackless::<tokio::Unbounded>::channel(),
        Stackless::<flume::OnTokio>::channel(),
        Stackless::<smol::Channel>::channel(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Unbounded>::channel(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Channel>::channel(),
        Stackful::<std_threads::Unbounded>::channel(),
        Stackful::<crossbeam::Channel>::channel(),
    ]
}

/// All that can wait for several channels at once.
pub fn selecting() -> Vec<Box<dyn SelectPeer>> {
    vec![
        Stackful::<maypole::Channel>::select(),
        Stackless::<tokio::Bounded>::select(),
        Stackless::<flume::OnTokio>::select(),
        Stackless::<smol::Channel>::select(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Bounded>::select(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Channel>::select(),
        Stackful::<crossbeam::Channel>::select(),
    ]
}

/// All that have a lock, or what will do for one.
pub fn locks() -> Vec<Box<dyn LockPeer>> {
    vec![
        Stackful::<maypole::Lock>::lock(),
        Stackful::<may::Lock>::lock(),
        Stackless::<tokio::Lock>::lock(),
        Stackless::<smol::Lock>::lock(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Lock>::lock(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Lock>::lock(),
        Stackful::<std_threads::Lock>::lock(),
    ]
}

/// All that have work done by other OS threads while a task waits.
pub fn offloading() -> Vec<Box<dyn OffloadPeer>> {
    vec![
        Stackful::<maypole::Offload>::offload(),
        Stackless::<tokio::Offload>::offload(),
        Stackless::<smol::Offload>::offload(),
        Stackful::<std_threads::Offload>::offload(),
    ]
}

/// All that have sockets; bare mio is the floor.
pub fn echoing() -> Vec<Box<dyn EchoPeer>> {
    vec![
        Stackful::<maypole::Net>::echo(),
        Box::new(mio::Mio),
        Stackless::<tokio::Net>::echo(),
        Stackful::<may::Net>::echo(),
        Stackless::<smol::Net>::echo(),
        #[cfg(target_os = "linux")]
        Stackless::<monoio::Net>::echo(),
        #[cfg(target_os = "linux")]
        Stackless::<glommio::Net>::echo(),
        Stackful::<std_threads::Net>::echo(),
    ]
}

/// All that have transactions, and the locks of those who have none.
pub fn stms() -> Vec<Box<dyn StmPeer>> {
    vec![
        Stackful::<maypole::Stm>::stm(),
        Stackful::<stm::Stm>::stm(),
        Stackful::<fast_stm::FastStm>::stm(),
        Stackless::<async_stm::AsyncStm>::stm(),
        Stackful::<std_threads::Locks>::stm(),
    ]
}

/// All whose transactions have queues.
pub fn stm_queues() -> Vec<Box<dyn StmQueuePeer>> {
    vec![
        Stackful::<maypole::Stm>::stm_queue(),
        Stackless::<async_stm::AsyncStm>::stm_queue(),
    ]
}

/// Reads what has come and writes it back; false at the end.
#[inline(always)]
fn echo_once(stream: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<bool> {
    let length = stream.read(buffer)?;
    stream.write_all(&buffer[..length])?;
    Ok(length > 0)
}

/// The first message of 2 or 8 receivers, for peers without a `select!` of their own.
async fn race<R, T>(receivers: &mut [R], receive: impl AsyncFn(&mut R) -> T) -> T {
    match receivers {
        [a, b] => future::race(receive(a), receive(b)).await,
        [a, b, c, d, e, f, g, h] => {
            let first = future::race(
                future::race(receive(a), receive(b)),
                future::race(receive(c), receive(d)),
            );
            let last = future::race(
                future::race(receive(e), receive(f)),
                future::race(receive(g), receive(h)),
            );
            future::race(first, last).await
        }
        _ => unreachable!("the groups select over 2 and 8 channels"),
    }
}
