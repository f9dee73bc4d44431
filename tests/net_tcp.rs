//! TCP over real sockets.
use maypole::net::{TcpListener, TcpStream};
use maypole::{run, spawn};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn many_clients_are_served_by_one_core() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            for _ in 0..100 {
                let (mut connection, _) = listener.accept().unwrap();
                spawn(move || {
                    let mut buffer = [0; 64];
                    loop {
                        match connection.read(&mut buffer).unwrap() {
                            0 => break,
                            n => connection.write_all(&buffer[..n]).unwrap(),
                        }
                    }
                });
            }
        });
        let clients: Vec<_> = (0..100)
            .map(|n: u32| {
                spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    for round in 0..20u32 {
                        stream.write_all(&(n * round).to_le_bytes()).unwrap();
                        let mut echo = [0; 4];
                        stream.read_exact(&mut echo).unwrap();
                        assert_eq!(u32::from_le_bytes(echo), n * round);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        server.join().unwrap();
    });
}

#[test]
fn those_who_accept_are_served_in_the_order_in_which_they_came() {
    run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let log = Rc::new(std::cell::RefCell::new(Vec::new()));
        let servers: Vec<_> = (0..3)
            .map(|n| {
                let (listener, log) = (listener.clone(), log.clone());
                spawn(move || {
                    let accepted = listener.accept().unwrap();
                    log.borrow_mut().push(n);
                    accepted
                })
            })
            .collect();
        maypole::yield_now();
        for _ in 0..3 {
            let stream = TcpStream::connect(address).unwrap();
            std::mem::forget(stream);
        }
        for server in servers {
            server.join().unwrap();
        }
        assert_eq!(*log.borrow(), [0, 1, 2]);
    });
}

#[test]
fn a_killed_accept_loses_no_connection_and_passes_its_turn_on() {
    run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let first = {
            let listener = listener.clone();
            spawn(move || listener.accept().is_ok())
        };
        let second = {
            let listener = listener.clone();
            spawn(move || listener.accept().is_ok())
        };
        maypole::yield_now();
        first.kill("not this one");
        let _client = TcpStream::connect(address).unwrap();
        assert!(first.join().unwrap_err().is_killed());
        assert!(second.join().unwrap());
    });
}

// ── what std's own tests ask for ─────────────────────────────────────────────────────────────

/// A listener at any free port of the loopback, and its address.
fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn an_address_that_is_none_of_ours_cannot_be_bound() {
    let error = TcpListener::bind("1.1.1.1:9999").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn an_address_is_bound_once() {
    let (_listener, address) = listener();
    let error = TcpListener::bind(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn where_nobody_listens_a_connection_is_refused() {
    run(|| {
        let (listener, address) = listener();
        drop(listener);
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let limit = Duration::from_secs(60);
        let error = TcpStream::connect_timeout(&address, limit).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn no_time_at_all_to_connect_is_refused() {
    run(|| {
        let (_listener, address) = listener();
        let error = TcpStream::connect_timeout(&address, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(TcpStream::connect_timeout(&address, Duration::MAX).is_ok());
    });
}

#[test]
fn the_first_address_that_answers_is_taken() {
    run(|| {
        let (gone, dead) = listener();
        drop(gone);
        let (listener, live) = listener();
        let stream = TcpStream::connect(&[dead, live][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
        listener.accept().unwrap();
        let error = TcpStream::connect(&[dead, dead][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:port",
        "127.0.0.1:70000",
        "",
    ] {
        let error = TcpListener::bind(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
    }
}

#[test]
fn both_families_of_the_loopback_serve() {
    run(|| {
        for host in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
            let listener = TcpListener::bind(host).unwrap();
            let address = listener.local_addr().unwrap();
            let client = TcpStream::connect(address).unwrap();
            let (server, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(server.peer_addr().unwrap(), peer);
            assert_eq!(server.local_addr().unwrap(), address);
            assert_eq!(client.peer_addr().unwrap(), address);
        }
    });
}

#[test]
fn connections_one_after_the_other() {
    run(|| {
        let (listener, address) = listener();
        let clients = spawn(move || {
            for n in 0..50 {
                TcpStream::connect(address)
                    .unwrap()
                    .write_all(&[n])
                    .unwrap();
            }
        });
        for (n, connection) in (0..50).zip(listener.incoming()) {
            let mut bytes = Vec::new();
            connection.unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, [n]);
        }
        clients.join().unwrap();
    });
}

#[test]
fn connections_one_inside_the_other() {
    fn nest(address: SocketAddr, depth: u8) {
        if depth > 0 {
            let mut stream = TcpStream::connect(address).unwrap();
            nest(address, depth - 1);
            stream.write_all(&[depth]).unwrap();
        }
    }
    run(|| {
        let (listener, address) = listener();
        let served: Vec<_> = {
            let clients = spawn(move || nest(address, 20));
            let servers = (0..20).map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                spawn(move || {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    byte[0]
                })
            });
            let servers: Vec<_> = servers.collect();
            clients.join().unwrap();
            servers
                .into_iter()
                .map(|server| server.join().unwrap())
                .collect()
        };
        assert_eq!(served, (1..=20).rev().collect::<Vec<u8>>());
    });
}

#[test]
fn two_clones_of_a_listener_accept() {
    run(|| {
        let (listener, address) = listener();
        let clone = listener.try_clone().unwrap();
        assert_eq!(clone.local_addr().unwrap(), address);
        let servers = [listener, clone].map(|listener| spawn(move || listener.accept().unwrap()));
        maypole::yield_now();
        let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        for server in servers {
            server.join().unwrap();
        }
    });
}

#[test]
fn the_debug_text_is_that_of_std() {
    run(|| {
        let (listener, address) = listener();
        let stream = TcpStream::connect(address).unwrap();
        let text = format!("{listener:?}");
        assert!(text.starts_with("TcpListener { addr: 127.0.0.1:"), "{text}");
        let text = format!("{stream:?}");
        assert!(text.starts_with("TcpStream { addr: 127.0.0.1:"), "{text}");
        assert!(text.contains(", peer: 127.0.0.1:"), "{text}");
    });
}

#[test]
fn settings_are_those_of_the_socket() {
    run(|| {
        let (listener, address) = listener();
        listener.set_ttl(100).unwrap();
        assert_eq!(listener.ttl().unwrap(), 100);
        assert!(listener.take_error().unwrap().is_none());
        let stream = TcpStream::connect(address).unwrap();
        assert!(!stream.nodelay().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(stream.try_clone().unwrap().nodelay().unwrap());
        stream.set_ttl(100).unwrap();
        assert_eq!(stream.ttl().unwrap(), 100);
        assert!(stream.take_error().unwrap().is_none());
    });
}

#[test]
fn an_accept_that_may_not_wait_does_not() {
    run(|| {
        let (listener, address) = listener();
        listener.set_nonblocking(true).unwrap();
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let client = TcpStream::connect(address).unwrap();
        let (_, peer) = loop {
            match listener.accept() {
                Ok(accepted) => break accepted,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            maypole::yield_now();
        };
        assert_eq!(peer, client.local_addr().unwrap());
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        listener.accept().unwrap();
    });
}

// ── what is ours ─────────────────────────────────────────────────────────────────────────────

#[test]
fn a_closed_listener_ends_its_incoming_and_refuses_connections() {
    run(|| {
        let (listener, address) = listener();
        let listener = Rc::new(listener);
        let clone = listener.try_clone().unwrap();
        let servers: Vec<_> = (0..3)
            .map(|_| {
                let listener = listener.clone();
                spawn(move || listener.incoming().count())
            })
            .collect();
        maypole::yield_now();
        listener.close();
        for server in servers {
            assert_eq!(server.join().unwrap(), 0);
        }
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        assert!(error.to_string().contains("tests/net_tcp.rs"), "{error}");
        assert!(listener.local_addr().is_err() && listener.try_clone().is_err());
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(clone.accept().is_err());
    });
}

#[test]
fn listeners_of_several_schedulers_share_a_port() {
    let first = TcpListener::bind_reuse_port("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let serve = move |listener: TcpListener| {
        run(|| {
            let listener = Rc::new(listener);
            while let Ok((mut stream, _)) = listener.accept() {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
                if byte[0] == b'q' {
                    listener.close();
                }
            }
        });
    };
    let second = std::thread::spawn(move || {
        let listener = TcpListener::bind_reuse_port(address).unwrap();
        sender.send(()).unwrap();
        serve(listener);
    });
    receiver.recv().unwrap();
    let clients = std::thread::spawn(move || {
        let ask = |byte| {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.write_all(&[byte])?;
            stream.read_exact(&mut [0])
        };
        for _ in 0..50 {
            ask(b'a').unwrap();
        }
        // Each answer is the end of one of the two, which may still get a connection meanwhile.
        let mut ended = 0;
        while ended < 2 {
            ended += u8::from(ask(b'q').is_ok());
        }
    });
    run(|| {
        let listener = Rc::new(first);
        while let Ok((mut stream, _)) = listener.accept() {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
            if byte[0] == b'q' {
                listener.close();
            }
        }
    });
    second.join().unwrap();
    clients.join().unwrap();
    assert!(TcpListener::bind_reuse_port("[::1]:0").is_ok());
}

#[test]
fn streams_go_to_std_and_come_back_with_their_settings() {
    run(|| {
        let (listener, address) = listener();
        let (read, write) = (Duration::from_millis(1500), Duration::from_millis(2500));
        let theirs = std::net::TcpStream::connect(address).unwrap();
        theirs.set_read_timeout(Some(read)).unwrap();
        theirs.set_write_timeout(Some(write)).unwrap();
        let mut ours = TcpStream::from(theirs);
        assert_eq!(ours.read_timeout().unwrap(), Some(read));
        assert_eq!(ours.write_timeout().unwrap(), Some(write));
        let (mut server, _) = listener.accept().unwrap();
        let echo = spawn(move || {
            let mut byte = [0];
            server.read_exact(&mut byte).unwrap();
            server.write_all(&byte).unwrap();
            server
        });
        ours.write_all(&[1]).unwrap();
        let mut byte = [0];
        ours.read_exact(&mut byte).unwrap(); // parks
        let theirs = std::net::TcpStream::from(ours);
        assert_eq!(theirs.read_timeout().unwrap(), Some(read));
        assert_eq!(theirs.write_timeout().unwrap(), Some(write));
        // It blocks again, in an OS thread of its own.
        let reader = std::thread::spawn(move || { &theirs }.read(&mut [0]).unwrap());
        let mut server = echo.join().unwrap();
        server.write_all(&[2]).unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        let theirs = std::net::TcpListener::from(listener);
        let ours = TcpListener::from(theirs);
        let _client = TcpStream::connect(address).unwrap();
        ours.accept().unwrap();
    });
}

#[test]
fn descriptors_go_out_and_come_in() {
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
    run(|| {
        let (listener, address) = listener();
        assert_eq!(listener.as_fd().as_raw_fd(), listener.as_raw_fd());
        let stream = TcpStream::connect(address).unwrap();
        let number = stream.as_raw_fd();
        let owned = OwnedFd::from(stream);
        assert_eq!(owned.as_raw_fd(), number);
        let stream = TcpStream::from(owned);
        assert_eq!(stream.peer_addr().unwrap(), address);
        let owned = OwnedFd::from(listener);
        let listener = TcpListener::from(owned);
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"x").unwrap();
        (&stream).read_exact(&mut [0]).unwrap();
        assert_eq!(stream.into_raw_fd(), number);
        // It is nobody's now, and stays open.
        let open = std::fs::exists(format!("/proc/self/fd/{number}"));
        assert!(open.unwrap());
    });
}

#[test]
fn a_stream_outlives_its_run() {
    let (listener, address) = listener();
    let mut server = run(|| {
        let client = spawn(move || {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"a").unwrap();
            client
        });
        let (mut server, _) = listener.accept().unwrap();
        server.read_exact(&mut [0]).unwrap();
        let error = {
            server
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            server.read(&mut [0]).unwrap_err()
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        server.set_read_timeout(None).unwrap();
        let mut client = client.join().unwrap();
        client.write_all(b"b").unwrap();
        (server, client)
    });
    // Outside of a run what need not wait works, also where the run knew that nothing was there.
    std::thread::sleep(Duration::from_millis(1));
    let mut byte = [0];
    while server.0.peek(&mut byte).is_err() {}
    assert_eq!(server.0.read(&mut byte).unwrap(), 1);
    let refused = std::panic::catch_unwind(|| (&server.0).read(&mut [0]));
    let text = refused.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("is outside of maypole::run"), "{text}");
    // And in the next run it parks again.
    run(move || {
        let reader = spawn(move || server.0.read(&mut [0]).unwrap());
        maypole::yield_now();
        drop(server.1);
        assert_eq!(reader.join().unwrap(), 0);
    });
}
