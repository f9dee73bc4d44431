//! Ten thousand connections in one process: what they take in memory, and what they leave behind.
//!
//! Ignored by default: `cargo test --release --test net_crowd -- --ignored`. Linux only.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]
mod child;

use maypole::net::{TcpListener, TcpStream};
use maypole::{run, spawn};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc;

/// Connections that this process can hold both ends of.
fn crowd() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is a value of this function.
    assert_eq!(
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) },
        0
    );
    limit.rlim_cur = limit.rlim_max.min(30_000);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    // What the process has besides needs room as well.
    (limit.rlim_cur as usize - 100).min(20_000) / 2
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Descriptors of which some poll of this process tells.
fn polled_descriptors() -> usize {
    let infos = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let infos = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
    infos.map(|info| info.matches("tfd:").count()).sum()
}

/// Bytes of memory that are in use, page tables included.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let lines = status
        .lines()
        .filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"));
    let kilobytes = lines.map(|line| line.split_whitespace().nth(1).unwrap());
    kilobytes
        .map(|number| 1024 * number.parse::<usize>().unwrap())
        .sum()
}

/// Serves a crowd of clients, which an OS thread of their own plays: it gets the connections, and
/// drops them at the end. Tells the most bytes of memory that a connection took, `rounds` times.
fn serve(
    rounds: usize,
    serve: fn(TcpStream),
    play: fn(&mut [std::net::TcpStream], usize),
) -> usize {
    let count = crowd();
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, telling) = mpsc::channel();
        let clients = std::thread::spawn(move || {
            let connect = |_| std::net::TcpStream::connect(address).unwrap();
            let mut clients: Vec<_> = (0..count).map(connect).collect();
            for round in 0..rounds {
                play(&mut clients, round);
                told.send(memory()).unwrap();
            }
        });
        let before = memory();
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let (stream, _) = listener.accept().unwrap();
                spawn(move || serve(stream))
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        clients.join().unwrap();
        let most = telling.iter().max().unwrap_or(before);
        most.saturating_sub(before) / count
    })
}

/// Says what a connection took, and that it is less than two pages.
#[track_caller]
fn keeps_within_two_pages(bytes: usize) {
    println!("{bytes} bytes for each connection");
    // Frames that were not optimized are several times as large.
    if !cfg!(debug_assertions) {
        assert!(bytes < 8192, "{bytes} bytes for each connection");
    }
}

/// Runs `body` and looks whether it leaves a descriptor open or registered.
#[track_caller]
fn leaves_nothing_behind(body: impl FnOnce()) {
    // The poll and what else a process opens once.
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop((client, listener.accept().unwrap()));
    });
    let before = (open_descriptors(), polled_descriptors());
    body();
    assert_eq!((open_descriptors(), polled_descriptors()), before);
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

#[test]
#[ignore = "ten thousand connections"]
fn a_crowd_is_served_and_leaves_nothing_behind() {
    let ended = child::run(|| {
        leaves_nothing_behind(|| {
            let most = serve(3, echo, |clients, round| {
                for client in &mut *clients {
                    client.write_all(&[round as u8; 64]).unwrap();
                }
                for client in &mut *clients {
                    let mut echo = [0; 64];
                    client.read_exact(&mut echo).unwrap();
                    assert_eq!(echo, [round as u8; 64]);
                }
            });
            keeps_within_two_pages(most);
        });
    });
    println!("{}", ended.succeeds().stdout);
}

#[test]
#[ignore = "ten thousand connections"]
fn a_crowd_that_resets_leaves_nothing_behind() {
    let ended = child::run(|| {
        leaves_nothing_behind(|| {
            // Echoes that nobody reads: dropping such a connection resets it.
            serve(1, echo, |clients, _| {
                for client in clients {
                    client.write_all(&[1; 64]).unwrap();
                }
            });
        });
    });
    ended.succeeds();
}

/// Waits for a line, as a server of requests does.
fn read_a_line(stream: TcpStream) {
    let mut line = String::new();
    let _ = BufReader::with_capacity(512, stream).read_line(&mut line);
}

#[test]
#[ignore = "ten thousand connections"]
fn a_crowd_that_dawdles_takes_little_memory() {
    let ended = child::run(|| {
        leaves_nothing_behind(|| {
            let most = serve(8, read_a_line, |clients, _| {
                for client in clients {
                    client.write_all(b"x").unwrap();
                }
            });
            keeps_within_two_pages(most);
        });
    });
    println!("{}", ended.succeeds().stdout);
}

#[test]
#[ignore = "ten thousand connections"]
fn a_crowd_that_is_killed_leaves_nothing_behind() {
    let ended = child::run(|| {
        let count = crowd();
        leaves_nothing_behind(|| {
            let clients = run(|| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let (come, coming) = mpsc::channel();
                std::thread::spawn(move || {
                    let connect = |_| std::net::TcpStream::connect(address).unwrap();
                    come.send((0..count).map(connect).collect::<Vec<_>>())
                });
                for _ in 0..count {
                    let (stream, _) = listener.accept().unwrap();
                    spawn(move || echo(stream));
                }
                maypole::yield_now();
                // All wait in a read, and the end of the run kills them.
                coming.recv().unwrap()
            });
            assert_eq!(clients.len(), count);
        });
    });
    ended.succeeds();
}
