//! TCP over real sockets.
use maypole::net::{TcpListener, TcpStream};
use maypole::{run, spawn};
use std::io::{Read, Write};
use std::rc::Rc;

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
