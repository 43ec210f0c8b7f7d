//! Names of hosts, and what they stand for.

use std::future::Future;
use std::io;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as StdToSocketAddrs,
};

use crate::threads::to_thread;

/// What can be connected to or listened at: addresses, or names that are looked up.
///
/// A literal address (`"127.0.0.1:80"`, `"[::1]:80"`, `("127.0.0.1", 80)`) is never looked up; a name
/// (`"localhost:80"`, `("example.org", 80)`) is looked up by the system on a thread of the loop's pool.
///
/// It cannot be implemented outside of this crate.
pub trait ToSocketAddrs: sealed::Sealed {}

mod sealed {
    use super::{Future, SocketAddr, io};

    pub trait Sealed {
        /// In the order in which they are to be tried.
        fn to_addresses(&self) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
    }
}

use sealed::Sealed;

/// Looks up a host: its addresses, in the system's order of preference.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is neither an address nor `name:port`; what the system says if the
/// name is unknown.
///
/// # Cancel safety
/// Safe. A lookup that was begun goes on, on its thread, for nobody.
///
/// # asyncio
/// `loop.getaddrinfo`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let addresses = evloop::net::lookup_host("127.0.0.1:80").await?;
///     assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// #   Ok::<(), std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    host.to_addresses().await
}

/// As [`lookup_host`], but at least one.
pub(super) async fn some_addresses(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses = host.to_addresses().await?;
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to go to"));
    }
    Ok(addresses)
}

async fn resolve<A>(host: A) -> io::Result<Vec<SocketAddr>>
where
    A: StdToSocketAddrs<Iter: Iterator<Item = SocketAddr>> + Send + 'static,
{
    to_thread(move || host.to_socket_addrs().map(Iterator::collect)).await
}

macro_rules! is_address {
    ($($type:ty),*) => {$(
        impl ToSocketAddrs for $type {}

        impl Sealed for $type {
            async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

is_address!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for str {}

impl Sealed for str {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        resolve(self.to_owned()).await
    }
}

impl ToSocketAddrs for String {}

impl Sealed for String {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_addresses().await
    }
}

impl ToSocketAddrs for (&str, u16) {}

impl Sealed for (&str, u16) {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = *self;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        resolve((host.to_owned(), port)).await
    }
}

impl ToSocketAddrs for (String, u16) {}

impl Sealed for (String, u16) {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        (self.0.as_str(), self.1).to_addresses().await
    }
}

impl ToSocketAddrs for [SocketAddr] {}

impl Sealed for [SocketAddr] {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl ToSocketAddrs for Vec<SocketAddr> {}

impl Sealed for Vec<SocketAddr> {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.clone())
    }
}

impl<const N: usize> ToSocketAddrs for [SocketAddr; N] {}

impl<const N: usize> Sealed for [SocketAddr; N] {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl<T: ToSocketAddrs + Sync + ?Sized> ToSocketAddrs for &T {}

impl<T: ToSocketAddrs + Sync + ?Sized> Sealed for &T {
    async fn to_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_addresses().await
    }
}
