//! UDP over real sockets: what std's own tests ask for, and what is ours.
mod net_support;

use maypole::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use maypole::{run, spawn, yield_now};
use net_support::settle;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(5);

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// Two that are connected to each other.
fn connected() -> (UdpSocket, UdpSocket) {
    let (a, b) = (socket(), socket());
    a.connect(b.local_addr().unwrap()).unwrap();
    b.connect(a.local_addr().unwrap()).unwrap();
    (a, b)
}

#[test]
fn an_address_that_is_none_of_ours_cannot_be_bound() {
    let error = UdpSocket::bind("1.1.1.1:9999").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let taken = socket().local_addr().unwrap();
    let _first = UdpSocket::bind(taken).unwrap();
    let error = UdpSocket::bind(taken).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_datagram_tells_who_sent_it() {
    run(|| {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let server = UdpSocket::bind(host).unwrap();
            let client = UdpSocket::bind(host).unwrap();
            let (to, from) = (server.local_addr().unwrap(), client.local_addr().unwrap());
            let sender = spawn(move || client.send_to(&[99], to).unwrap());
            let mut buffer = [0; 4];
            assert_eq!(server.recv_from(&mut buffer).unwrap(), (1, from));
            assert_eq!((sender.join().unwrap(), buffer[0]), (1, 99));
        }
    });
}

#[test]
fn an_address_to_send_to_may_be_a_name() {
    run(|| {
        let server = socket();
        let port = server.local_addr().unwrap().port();
        let client = socket();
        client.send_to(b"a", ("127.0.0.1", port)).unwrap();
        client.send_to(b"b", format!("127.0.0.1:{port}")).unwrap();
        let none: &[SocketAddr] = &[];
        let error = client.send_to(b"c", none).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "no addresses to send data to");
        let mut byte = [0];
        for expected in [b'a', b'b'] {
            server.recv(&mut byte).unwrap();
            assert_eq!(byte, [expected]);
        }
    });
}

#[test]
fn connected_ones_hear_each_other_alone() {
    run(|| {
        let (a, b) = connected();
        assert_eq!(a.peer_addr().unwrap(), b.local_addr().unwrap());
        let stranger = socket();
        stranger.send_to(b"no", b.local_addr().unwrap()).unwrap();
        a.send(b"hello").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(b.recv(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
        b.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(b.recv(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
        let error = stranger.send(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
        assert_eq!(
            stranger.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
    });
}

#[test]
fn clones_are_the_same_socket() {
    run(|| {
        let (a, b) = connected();
        let clone = b.try_clone().unwrap();
        let readers = [b, clone].map(|socket| {
            spawn(move || {
                let mut byte = [0];
                socket.recv(&mut byte).unwrap();
                byte[0]
            })
        });
        settle();
        a.send(&[1]).unwrap();
        a.try_clone().unwrap().send(&[2]).unwrap();
        let mut got = readers.map(|reader| reader.join().unwrap());
        got.sort();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn what_does_not_fit_is_lost_and_the_next_is_whole() {
    run(|| {
        let (a, b) = connected();
        a.send(b"long one").unwrap();
        a.send(b"next").unwrap();
        let mut buffer = [0; 4];
        assert_eq!(b.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"long");
        assert_eq!(b.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"next");
    });
}

#[test]
fn a_datagram_may_be_empty() {
    run(|| {
        let (a, b) = connected();
        let reader = spawn(move || {
            let lengths = [(); 3].map(|()| b.recv(&mut [0; 8]).unwrap());
            (lengths, b)
        });
        yield_now();
        for bytes in [&b""[..], b"x", b""] {
            assert_eq!(a.send(bytes).unwrap(), bytes.len());
        }
        let (lengths, b) = reader.join().unwrap();
        assert_eq!(lengths, [0, 1, 0]);
        // So may a buffer; the datagram is taken.
        a.send(b"lost").unwrap();
        a.send(b"y").unwrap();
        assert_eq!(b.recv(&mut []).unwrap(), 0);
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_peek_takes_nothing_away() {
    run(|| {
        let (a, b) = connected();
        let from = a.local_addr().unwrap();
        a.send(b"one").unwrap();
        let mut buffer = [0; 8];
        for _ in 0..2 {
            assert_eq!(b.peek(&mut buffer).unwrap(), 3);
            assert_eq!(b.peek_from(&mut buffer).unwrap(), (3, from));
        }
        assert_eq!(b.recv_from(&mut buffer).unwrap(), (3, from));
        b.set_nonblocking(true).unwrap();
        assert_eq!(
            b.peek(&mut buffer).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn time_outs_are_kept_and_kept_to() {
    run(|| {
        let (a, b) = connected();
        assert_eq!(
            (b.read_timeout().unwrap(), b.write_timeout().unwrap()),
            (None, None)
        );
        let error = b.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        b.set_read_timeout(Some(SHORT)).unwrap();
        b.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(
            (b.read_timeout().unwrap(), b.write_timeout().unwrap()),
            (Some(SHORT), Some(SHORT))
        );
        let calls: [fn(&UdpSocket) -> io::Result<usize>; 4] = [
            |socket| socket.recv(&mut [0]),
            |socket| socket.peek(&mut [0]),
            |socket| socket.recv_from(&mut [0]).map(|(length, _)| length),
            |socket| socket.peek_from(&mut [0]).map(|(length, _)| length),
        ];
        for call in calls {
            assert_eq!(call(&b).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        a.send(b"x").unwrap();
        assert_eq!(b.recv(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn where_nobody_listens_the_next_call_says_so() {
    run(|| {
        let a = socket();
        let gone = socket();
        a.connect(gone.local_addr().unwrap()).unwrap();
        drop(gone);
        // To one that waits already, and to one that comes later.
        let a = Rc::new(a);
        let theirs = a.clone();
        let reader = spawn(move || theirs.recv(&mut [0]).unwrap_err().kind());
        settle();
        a.send(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionRefused);
        a.send(b"x").unwrap();
        let error = loop {
            match a.take_error().unwrap() {
                Some(error) => break error,
                None => yield_now(),
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // That was all; it works on.
        a.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(a.recv(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        let other = socket();
        a.connect(other.local_addr().unwrap()).unwrap();
        other.send_to(b"y", a.local_addr().unwrap()).unwrap();
        assert_eq!(a.recv(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn a_datagram_that_is_too_long_is_refused() {
    run(|| {
        let (a, _b) = connected();
        let error = a.send(&vec![0; 70_000]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    });
}

#[test]
fn settings_are_those_of_the_socket() {
    let socket = socket();
    socket.set_ttl(100).unwrap();
    assert_eq!(socket.ttl().unwrap(), 100);
    assert!(!socket.broadcast().unwrap());
    socket.set_broadcast(true).unwrap();
    assert!(socket.broadcast().unwrap());
    for on in [false, true] {
        socket.set_multicast_loop_v4(on).unwrap();
        assert_eq!(socket.multicast_loop_v4().unwrap(), on);
    }
    socket.set_multicast_ttl_v4(7).unwrap();
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
    assert!(socket.take_error().unwrap().is_none());
    let (group, loopback) = (Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::LOCALHOST);
    socket.join_multicast_v4(&group, &loopback).unwrap();
    socket.leave_multicast_v4(&group, &loopback).unwrap();
    let error = socket.leave_multicast_v4(&group, &loopback).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_multicast_loop_v6(false).unwrap();
    assert!(!socket.multicast_loop_v6().unwrap());
    let none = "::2".parse::<Ipv6Addr>().unwrap();
    assert!(socket.join_multicast_v6(&none, 0).is_err());
    assert!(socket.leave_multicast_v6(&none, 0).is_err());
}

#[test]
fn the_debug_text_is_that_of_std() {
    let text = format!("{:?}", socket());
    assert!(text.starts_with("UdpSocket { addr: 127.0.0.1:"), "{text}");
}

#[test]
fn what_would_wait_fails_where_it_may_not() {
    run(|| {
        let (a, b) = connected();
        b.set_nonblocking(true).unwrap();
        assert_eq!(b.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        a.send(b"x").unwrap();
        while b.peek(&mut [0]).is_err() {
            yield_now();
        }
        assert_eq!(b.recv(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn sockets_go_to_std_and_come_back() {
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
    run(|| {
        let (a, b) = connected();
        b.set_read_timeout(Some(SHORT)).unwrap();
        let number = b.as_raw_fd();
        let theirs = std::net::UdpSocket::from(b);
        assert_eq!(theirs.as_raw_fd(), number);
        assert!(theirs.read_timeout().unwrap().is_some());
        let error = theirs.recv(&mut [0]).unwrap_err(); // blocks, for so long
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        a.send(b"x").unwrap();
        assert_eq!(theirs.recv(&mut [0]).unwrap(), 1);
        let ours = UdpSocket::from(OwnedFd::from(UdpSocket::from(theirs)));
        ours.set_read_timeout(None).unwrap();
        let reader = spawn(move || {
            ours.recv(&mut [0]).unwrap();
            ours
        });
        yield_now();
        a.send(b"y").unwrap();
        let ours = reader.join().unwrap();
        assert_eq!(ours.as_fd().as_raw_fd(), number);
        assert_eq!(ours.into_raw_fd(), number);
    });
}

#[test]
fn those_who_receive_are_served_in_the_order_in_which_they_came() {
    run(|| {
        let (a, b) = connected();
        let (b, log) = (Rc::new(b), Rc::new(RefCell::new(Vec::new())));
        let readers: Vec<_> = (1..=4)
            .map(|n| {
                let (b, log) = (b.clone(), log.clone());
                spawn(move || {
                    let mut byte = [0];
                    b.recv(&mut byte).unwrap();
                    log.borrow_mut().push((n, byte[0]));
                })
            })
            .collect();
        settle();
        for n in 1..=4 {
            a.send(&[n]).unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(*log.borrow(), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    });
}

#[test]
fn a_killed_receive_loses_no_datagram() {
    run(|| {
        let (a, b) = connected();
        let b = Rc::new(b);
        let read = || {
            let b = b.clone();
            spawn(move || b.recv(&mut [0; 8]).unwrap())
        };
        let (first, second, third) = (read(), read(), read());
        settle();
        a.send(b"x").unwrap();
        first.kill("not this one");
        second.kill("nor this one");
        assert_eq!(third.join().unwrap(), 1);
        assert!(first.join().unwrap_err().is_killed());
        assert!(second.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_close_wakes_those_who_wait() {
    run(|| {
        let (a, b) = connected();
        let b = Rc::new(b);
        let readers = [(); 3].map(|()| {
            let b = b.clone();
            spawn(move || b.recv(&mut [0; 8]).unwrap_err().kind())
        });
        settle();
        b.close();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionAborted);
        }
        assert!(b.send(b"x").is_err() && b.local_addr().is_err() && b.try_clone().is_err());
        drop(a);
    });
}
