//! Unix sockets: what std's own tests ask for, and what is ours. What all connections have in common
//! is in `net_streams.rs`.
#![allow(unsafe_code)]
mod net_support;

use maypole::net::Shutdown;
use maypole::net::unix::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use maypole::{run, spawn, yield_now};
use net_support::{Name, settle};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_path_connects_two() {
    let name = Name::new();
    run(|| {
        let listener = UnixListener::bind(&name).unwrap();
        let server = spawn(move || {
            let (mut stream, peer) = listener.accept().unwrap();
            assert!(peer.is_unnamed());
            let mut word = [0; 5];
            stream.read_exact(&mut word).unwrap();
            stream.write_all(&word).unwrap();
        });
        let mut stream = UnixStream::connect(&name).unwrap();
        assert_eq!(
            stream.peer_addr().unwrap().as_pathname(),
            Some(name.as_ref())
        );
        assert!(stream.local_addr().unwrap().is_unnamed());
        stream.write_all(b"hello").unwrap();
        assert_eq!(io::read_to_string(stream).unwrap(), "hello");
        server.join().unwrap();
    });
}

#[test]
fn many_connect_and_are_iterated_over() {
    let name = Name::new();
    run(|| {
        let listener = Rc::new(UnixListener::bind(&name).unwrap());
        assert_eq!(
            listener.local_addr().unwrap().as_pathname(),
            Some(name.as_ref())
        );
        let theirs = listener.clone();
        let server = spawn(move || {
            let mut sum = 0;
            for stream in &*theirs {
                let mut byte = [0];
                stream.unwrap().read_exact(&mut byte).unwrap();
                sum += u32::from(byte[0]);
            }
            sum
        });
        let clients: Vec<_> = (1..=20)
            .map(|n| {
                let path = name.0.clone();
                spawn(move || UnixStream::connect(path).unwrap().write_all(&[n]).unwrap())
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        settle();
        listener.close();
        assert_eq!(server.join().unwrap(), 210);
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
    });
}

#[test]
fn paths_that_cannot_be_are_refused() {
    run(|| {
        let long = "x".repeat(200);
        let calls: [fn(&str) -> Option<io::Error>; 5] = [
            |path| UnixStream::connect(path).err(),
            |path| UnixListener::bind(path).err(),
            |path| UnixDatagram::bind(path).err(),
            |path| UnixDatagram::unbound().unwrap().connect(path).err(),
            |path| UnixDatagram::unbound().unwrap().send_to(b"x", path).err(),
        ];
        for call in calls {
            for path in [&*long, "asdf\0asdf"] {
                assert_eq!(call(path).unwrap().kind(), ErrorKind::InvalidInput);
            }
        }
    });
}

#[test]
fn a_file_that_is_missing_or_stale_or_there_already_is_told() {
    let name = Name::new();
    run(|| {
        assert_eq!(
            UnixStream::connect(&name).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let listener = UnixListener::bind(&name).unwrap();
        assert_eq!(
            UnixListener::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        drop(listener);
        assert_eq!(
            UnixListener::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        let error = UnixStream::connect(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        std::fs::remove_file(&name).unwrap();
        UnixListener::bind(&name).unwrap();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_no_paths_are_told_whole() {
    use std::os::linux::net::SocketAddrExt;
    let address = |n: u32| {
        let name = format!("maypole test {} {n}", std::process::id());
        SocketAddr::from_abstract_name(name).unwrap()
    };
    run(|| {
        let (server, client) = (address(1), address(2));
        let listener = UnixListener::bind_addr(&server).unwrap();
        let name = |address: SocketAddr| address.as_abstract_name().map(<[u8]>::to_vec);
        assert_eq!(name(listener.local_addr().unwrap()), name(server.clone()));
        // A client with a name of its own: std has none, the system does.
        let theirs = bound_client(&client, &server);
        let (mut stream, peer) = listener.accept().unwrap();
        assert_eq!(name(peer), name(client.clone()));
        stream.write_all(b"x").unwrap();
        let mut ours = UnixStream::from(theirs);
        ours.read_exact(&mut [0]).unwrap();
        assert_eq!(name(ours.peer_addr().unwrap()), name(server.clone()));
        assert_eq!(name(ours.local_addr().unwrap()), name(client.clone()));
    });
}

/// A stream that was bound before it was connected.
#[cfg(target_os = "linux")]
fn bound_client(at: &SocketAddr, to: &SocketAddr) -> std::os::unix::net::UnixStream {
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::os::linux::net::SocketAddrExt;
    let raw = |address: &SocketAddr| {
        let name = address.as_abstract_name().unwrap();
        // SAFETY: numbers, all of which may be 0.
        let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in raw.sun_path[1..].iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
        (raw, length as libc::socklen_t)
    };
    // SAFETY: a call on numbers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
    // SAFETY: it was just made.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    for (call, (address, length)) in [
        (libc::bind as unsafe extern "C" fn(_, _, _) -> _, raw(at)),
        (libc::connect, raw(to)),
    ] {
        // SAFETY: an address of the length that is given.
        assert_eq!(unsafe { call(fd, (&raw const address).cast(), length) }, 0);
    }
    socket.into()
}

/// Sends one byte, and a descriptor along with it.
fn send_descriptor(stream: &UnixStream, byte: u8, descriptor: impl AsFd) {
    let mut part = libc::iovec {
        iov_base: (&raw const byte).cast_mut().cast(),
        iov_len: 1,
    };
    let mut control = [0_u64; 8];
    // SAFETY: numbers and pointers, all of which may be 0.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: arithmetic.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    // SAFETY: the buffer has room for a header.
    let header = unsafe { &mut *libc::CMSG_FIRSTHDR(&raw const message) };
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: arithmetic.
    header.cmsg_len = unsafe { libc::CMSG_LEN(4) } as _;
    let number = descriptor.as_fd().as_raw_fd();
    // SAFETY: the buffer has room for a number after the header.
    unsafe {
        libc::CMSG_DATA(header)
            .cast::<i32>()
            .write_unaligned(number)
    };
    // SAFETY: the message refers to what lives here.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, 0) };
    assert_eq!(sent, 1, "{}", io::Error::last_os_error());
}

#[test]
fn a_descriptor_that_is_sent_along_is_closed_and_hides_nothing() {
    run(|| {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        // Registered, and known to be empty.
        b.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(b.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        b.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let before = net_support::descriptors();
        // The read stops at it, and what comes after it has no event of its own.
        send_descriptor(&a, b'1', std::fs::File::open("/dev/null").unwrap());
        a.write_all(b"23").unwrap();
        settle();
        let mut word = [0; 8];
        let mut read = 0;
        while read < 3 {
            read += b.read(&mut word[read..]).unwrap();
        }
        assert_eq!(&word[..3], b"123");
        drop(b);
        assert!(net_support::descriptors() < before);
    });
}

#[test]
fn connects_wait_while_the_listener_has_no_room() {
    let name = Name::new();
    run(|| {
        let listener = Rc::new(UnixListener::bind(&name).unwrap());
        // SAFETY: a call on numbers.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let path = name.0.clone();
                spawn(move || UnixStream::connect(path).unwrap().read(&mut [0]).unwrap())
            })
            .collect();
        let killed = {
            let path = name.0.clone();
            spawn(move || UnixStream::connect(path).is_ok())
        };
        settle();
        killed.kill("it waits too long");
        assert!(killed.join().unwrap_err().is_killed());
        for _ in 0..8 {
            listener.accept().unwrap().0.write_all(b"x").unwrap();
        }
        for client in clients {
            assert_eq!(client.join().unwrap(), 1);
        }
    });
}

#[test]
fn a_connect_that_would_wait_outside_of_a_run_is_refused() {
    let name = Name::new();
    let listener = UnixListener::bind(&name).unwrap();
    // SAFETY: a call on numbers.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let _first = UnixStream::connect(&name).unwrap();
    let refused = std::panic::catch_unwind(|| UnixStream::connect(&name).map(drop));
    let text = refused.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("connect at tests/net_unix.rs"), "{text}");
}

#[test]
fn settings_and_texts_are_those_of_std() {
    let name = Name::new();
    run(|| {
        let listener = UnixListener::bind(&name).unwrap();
        assert!(listener.take_error().unwrap().is_none());
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let clone = listener.try_clone().unwrap();
        assert_eq!(clone.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        clone.set_nonblocking(false).unwrap();
        let stream = UnixStream::connect(&name).unwrap();
        clone.accept().unwrap();
        for (text, start) in [
            (format!("{listener:?}"), "UnixListener { fd: "),
            (format!("{stream:?}"), "UnixStream { fd: "),
            (
                format!("{:?}", UnixDatagram::unbound().unwrap()),
                "UnixDatagram { fd: ",
            ),
        ] {
            assert!(text.starts_with(start), "{text}");
        }
    });
}

#[test]
fn sockets_go_to_std_and_come_back() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net;
    let name = Name::new();
    run(|| {
        let (a, mut b) = UnixStream::pair().unwrap();
        a.set_read_timeout(Some(SHORT)).unwrap();
        let theirs = net::UnixStream::from(a);
        let error = { &theirs }.read(&mut [0]).unwrap_err(); // blocks
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let mut ours = UnixStream::from(OwnedFd::from(theirs));
        ours.set_read_timeout(None).unwrap();
        let reader = spawn(move || ours.read(&mut [0]).unwrap());
        yield_now();
        b.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);

        let theirs = net::UnixListener::from(UnixListener::bind(&name).unwrap());
        let ours = UnixListener::from(theirs);
        let acceptor = spawn(move || drop(ours.accept().unwrap()));
        yield_now();
        UnixStream::connect(&name).unwrap();
        acceptor.join().unwrap();

        let (a, b) = UnixDatagram::pair().unwrap();
        let theirs = net::UnixDatagram::from(a);
        theirs.send(b"x").unwrap();
        assert_eq!(b.recv(&mut [0]).unwrap(), 1);
        let ours = UnixDatagram::from(theirs);
        b.send(b"y").unwrap();
        assert_eq!(ours.recv(&mut [0]).unwrap(), 1);
    });
}

// ── datagrams ────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_pair_of_datagram_sockets_talks() {
    run(|| {
        let (a, b) = UnixDatagram::pair().unwrap();
        a.send(b"one").unwrap();
        a.send(b"").unwrap();
        a.send(b"much too long").unwrap();
        let mut buffer = [0; 4];
        assert_eq!(b.recv(&mut buffer).unwrap(), 3);
        assert_eq!(b.recv(&mut buffer).unwrap(), 0);
        assert_eq!(b.recv(&mut buffer).unwrap(), 4);
        let (length, from) = {
            a.send(b"x").unwrap();
            b.recv_from(&mut buffer).unwrap()
        };
        assert!(length == 1 && from.is_unnamed());
        let reader = spawn(move || b.recv(&mut [0; 8]).unwrap());
        settle();
        a.send(b"late").unwrap();
        assert_eq!(reader.join().unwrap(), 4);
    });
}

#[test]
fn a_path_names_a_datagram_socket() {
    let (name, other) = (Name::new(), Name::new());
    run(|| {
        let server = UnixDatagram::bind(&name).unwrap();
        let client = UnixDatagram::bind(&other).unwrap();
        client.send_to(b"hello", &name).unwrap();
        let mut buffer = [0; 8];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!((length, from.as_pathname()), (5, Some(other.as_ref())));
        server.send_to_addr(b"you", &from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 3);
        client.connect(&name).unwrap();
        client.send(b"again").unwrap();
        assert_eq!(server.recv(&mut buffer).unwrap(), 5);
        let unbound = UnixDatagram::unbound().unwrap();
        assert_eq!(
            unbound.send(b"x").unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        assert!(unbound.peer_addr().is_err());
        drop(server);
        let error = client.send(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = unbound.send_to(b"x", &name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_shutdown_wakes_those_who_receive() {
    run(|| {
        let (a, b) = UnixDatagram::pair().unwrap();
        let b = Rc::new(b);
        let theirs = b.clone();
        let reader = spawn(move || theirs.recv(&mut [0]).unwrap());
        settle();
        b.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        let (length, from) = b.recv_from(&mut [0]).unwrap();
        assert!(length == 0 && from.is_unnamed());
        assert_eq!(a.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let clone = b.try_clone().unwrap();
        clone.close();
        assert_eq!(
            clone.send(b"x").unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
    });
}

/// Sends until the receiver has no room.
fn fill(socket: &UnixDatagram, send: impl Fn(&UnixDatagram) -> io::Result<usize>) -> usize {
    socket.set_nonblocking(true).unwrap();
    let sent = (0..).take_while(|_| send(socket).is_ok()).count();
    socket.set_nonblocking(false).unwrap();
    sent
}

#[test]
fn a_send_waits_for_room_wherever_it_goes() {
    let (name, other) = (Name::new(), Name::new());
    run(|| {
        let server = UnixDatagram::bind(&name).unwrap();
        let free = UnixDatagram::bind(&other).unwrap();
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect(&name).unwrap();
        let unconnected = Rc::new(UnixDatagram::unbound().unwrap());
        let (pair, paired) = UnixDatagram::pair().unwrap();
        let to = |path: &Name| {
            let path = path.0.clone();
            move |socket: &UnixDatagram| socket.send_to(b"x", &path)
        };
        let full = fill(&connected, |socket| socket.send(b"x"));
        assert!(full > 0);
        assert_eq!(fill(&unconnected, to(&name)), 0);
        let full_pair = fill(&pair, |socket| socket.send(b"x"));
        let senders = [
            spawn(move || connected.send(b"x").unwrap()),
            spawn({
                let (unconnected, send) = (unconnected.clone(), to(&name));
                move || send(&unconnected).unwrap()
            }),
            spawn(move || pair.send(b"x").unwrap()),
        ];
        settle();
        assert!(senders.iter().all(|sender| !sender.is_finished()));
        // It does not keep the same socket from sending elsewhere.
        unconnected.send_to(b"y", &other).unwrap();
        assert_eq!(free.recv(&mut [0]).unwrap(), 1);
        // Nor longer than it may.
        unconnected.set_write_timeout(Some(SHORT)).unwrap();
        let error = unconnected.send_to(b"x", &name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        for _ in 0..full + 2 {
            server.recv(&mut [0]).unwrap();
        }
        for _ in 0..full_pair + 1 {
            paired.recv(&mut [0]).unwrap();
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_close_ends_a_send_that_waits_for_room() {
    let name = Name::new();
    run(|| {
        let _server = UnixDatagram::bind(&name).unwrap();
        let client = Rc::new(UnixDatagram::unbound().unwrap());
        let path = name.0.clone();
        fill(&client, |socket| socket.send_to(b"x", &path));
        let send = || {
            let (client, path) = (client.clone(), name.0.clone());
            spawn(move || client.send_to(b"x", path).unwrap_err().kind())
        };
        let (sender, killed) = (send(), send());
        settle();
        killed.kill("it waits too long");
        assert!(killed.join().unwrap_err().is_killed());
        client.close();
        assert_eq!(sender.join().unwrap(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn time_outs_of_datagrams() {
    run(|| {
        let (a, b) = UnixDatagram::pair().unwrap();
        assert_eq!(a.read_timeout().unwrap(), None);
        let error = a.set_write_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        a.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(a.recv(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        fill(&a, |socket| socket.send(b"x"));
        a.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(a.send(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
        b.set_nonblocking(true).unwrap();
        while b.recv(&mut [0]).is_ok() {}
        assert_eq!(b.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}
