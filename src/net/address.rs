//! Addresses, and the names that stand for them.
use crate::thread::detached;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::panic::Location;

/// What stands for one or more socket addresses: std's trait of this name, for the same types, with
/// names looked up off the core.
///
/// # Examples
///
/// ```
/// use maypole::net::TcpListener;
/// maypole::run(|| {
///     assert!(TcpListener::bind("127.0.0.1:0").is_ok());
///     assert!(TcpListener::bind(("127.0.0.1", 0)).is_ok());
/// });
/// ```
pub trait ToSocketAddrs: sealed::Resolve {}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

/// All addresses that `name` stands for.
#[track_caller]
pub(super) fn resolve<A: ToSocketAddrs + ?Sized>(name: &A) -> io::Result<Vec<SocketAddr>> {
    name.resolve()
}

/// The first of them.
///
/// # Errors
///
/// `none` if there is none.
#[track_caller]
pub(super) fn first<A: ToSocketAddrs>(name: A, none: &'static str) -> io::Result<SocketAddr> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, none);
    name.first()?.ok_or_else(none)
}

/// The first success of `call` with one of the addresses, else the last failure.
#[track_caller]
pub(super) fn each<A: ToSocketAddrs, T>(
    name: A,
    mut call: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failure = io::Error::new(
        io::ErrorKind::InvalidInput,
        "could not resolve to any addresses",
    );
    for address in resolve(&name)? {
        match call(address) {
            Ok(value) => return Ok(value),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Looks a name up.
///
/// Parks: until the system's resolver has answered, in another OS thread. A kill does not wait for
/// it.
#[track_caller]
fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = (host.to_string(), port);
    let resolve = move || std::net::ToSocketAddrs::to_socket_addrs(&name).map(Iterator::collect);
    detached(resolve, Location::caller())
}

mod sealed {
    use super::*;

    /// How it is done, which users need not know.
    pub trait Resolve {
        #[track_caller]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>>;

        #[track_caller]
        fn first(&self) -> io::Result<Option<SocketAddr>> {
            Ok(self.resolve()?.into_iter().next())
        }
    }

    macro_rules! are_addresses {
        ($($type:ty),*) => {
            $(impl Resolve for $type {
                fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
                    Ok(vec![SocketAddr::from(*self)])
                }

                #[track_caller]
        fn first(&self) -> io::Result<Option<SocketAddr>> {
                    Ok(Some(SocketAddr::from(*self)))
                }
            })*
        };
    }

    are_addresses!(
        SocketAddr,
        SocketAddrV4,
        SocketAddrV6,
        (IpAddr, u16),
        (Ipv4Addr, u16),
        (Ipv6Addr, u16)
    );

    impl Resolve for (&str, u16) {
        #[track_caller]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            look_up(self.0, self.1)
        }
    }

    impl Resolve for (String, u16) {
        #[track_caller]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            look_up(&self.0, self.1)
        }
    }

    impl Resolve for str {
        #[track_caller]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            if let Ok(address) = self.parse::<SocketAddr>() {
                return Ok(vec![address]);
            }
            let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
            let (host, port) = self.rsplit_once(':').ok_or_else(|| {
                invalid(format!(
                    "{self:?} is no address: a host, a colon and a port"
                ))
            })?;
            let port = port
                .parse()
                .map_err(|_| invalid(format!("{self:?} is no address: {port:?} is no port")))?;
            look_up(host, port)
        }
    }

    impl Resolve for String {
        #[track_caller]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            self.as_str().resolve()
        }
    }

    impl Resolve for [SocketAddr] {
        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            Ok(self.to_vec())
        }
    }

    impl<T: Resolve + ?Sized> Resolve for &T {
        #[track_caller]
        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            (**self).resolve()
        }

        #[track_caller]
        fn first(&self) -> io::Result<Option<SocketAddr>> {
            (**self).first()
        }
    }
}
