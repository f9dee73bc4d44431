//! Echoes of 64 bytes over TCP on loopback with 1, 100 and 1,000 connections, against bare mio.
//!
//! `cargo bench --bench echo`. The servers and their clients are OS threads of this process.
//! Latencies, more connections and other peers are measured by `maypole-bench`, where servers have
//! processes and a core of their own.
#[path = "shared/echo.rs"]
mod echo;

use criterion::{Criterion, criterion_group, criterion_main};
use echo::{BUFFER, Load};
use maypole::net;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A server for so many connections, which tells where it listens, and returns when all who came
/// have gone.
type Serve = fn(usize, mpsc::Sender<SocketAddr>);

fn serve_maypole(connections: usize, address: mpsc::Sender<SocketAddr>) {
    maypole::run(|| {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        address.send(listener.local_addr().unwrap()).unwrap();
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (stream, _) = listener.accept().unwrap();
                maypole::spawn(move || echo_all(stream))
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
}

fn echo_all(mut stream: net::TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn serve_bare(_: usize, address: mpsc::Sender<SocketAddr>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    address.send(listener.local_addr().unwrap()).unwrap();
    echo::serve_bare(listener).unwrap();
}

fn echoes(criterion: &mut Criterion) {
    let servers: [(&str, Serve); 2] = [("mio", serve_bare), ("maypole", serve_maypole)];
    for (name, connections) in [("1", 1), ("100", 100), ("1k", 1_000)] {
        let mut group = criterion.benchmark_group(format!("echo/{name}"));
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        for (contender, serve) in servers {
            let (announce, address) = mpsc::channel();
            let server = thread::spawn(move || serve(connections, announce));
            let address = address.recv().expect("the server listens");
            let mut load = Load::connect(address, connections).expect("the server accepts");
            group.bench_function(contender, |bencher| {
                bencher.iter_custom(|requests| {
                    // A round at least, or only some of the connections have a part in it.
                    let measured = requests.max(4 * connections as u64);
                    let enough = |come, _| come as u64 == measured;
                    let outcome = load.run(enough).expect("every echo comes");
                    assert_eq!(outcome.latencies.len() as u64, measured);
                    outcome.elapsed.mul_f64(requests as f64 / measured as f64)
                });
            });
            drop(load);
            server.join().expect("the server ends with its clients");
        }
        group.finish();
    }
}

criterion_group!(benches, echoes);
criterion_main!(benches);
