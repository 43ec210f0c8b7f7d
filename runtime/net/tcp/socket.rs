//! A socket that is neither connected nor listening yet: the place for options.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::listener::TcpListener;
use super::stream::{TcpStream, connected};

/// A TCP socket before it connects or listens, to set options and the local address.
///
/// Options that have no method here are set by `socket2::SockRef::from(&socket)`.
///
/// # Examples
/// ```
/// use evloop::net::TcpSocket;
///
/// evloop::run(async {
///     let socket = TcpSocket::new_v4()?;
///     socket.bind("127.0.0.1:0".parse().unwrap())?;
///     let listener = socket.listen(1024)?;
///     let client = TcpSocket::new_v4()?;
///     client.set_nodelay(true)?;
///     let stream = client.connect(listener.local_addr()?).await?;
///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
/// #   Ok::<(), std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// For IPv4.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// For IPv6.
    ///
    /// # Errors
    /// If the system has no descriptor left, or no IPv6.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    pub(super) fn for_address(address: &SocketAddr) -> io::Result<Self> {
        Self::new(Domain::for_address(*address))
    }

    fn new(domain: Domain) -> io::Result<Self> {
        // Where the system can, it is born non-blocking: one call less.
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
        let socket = {
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            socket
        };
        Ok(Self { socket })
    }

    /// Allows an address that a former listener's connections still hold (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_address(reuse)
    }

    /// Lets several listeners share an address; the system distributes the connections (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// What the system says.
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        self.socket.set_reuse_port(reuse)
    }

    /// Whether several listeners may share the address.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket.reuse_port()
    }

    /// Keeps an IPv6 socket from taking IPv4 connections, too (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        self.socket.set_only_v6(only_v6)
    }

    /// As [`TcpStream::set_nodelay`].
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(nodelay)
    }

    /// As [`TcpStream::set_keepalive`].
    ///
    /// # Errors
    /// What the system says.
    pub fn set_keepalive(&self, silence: Option<Duration>) -> io::Result<()> {
        match silence {
            None => self.socket.set_keepalive(false),
            Some(time) => self.socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time)),
        }
    }

    /// As [`TcpStream::set_linger`].
    ///
    /// # Errors
    /// As [`TcpStream::set_linger`].
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        linger_without_waiting(&self.socket, linger)
    }

    /// As [`TcpStream::set_send_buffer_size`].
    ///
    /// # Errors
    /// What the system says.
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket.set_send_buffer_size(size)
    }

    /// As [`TcpStream::set_recv_buffer_size`]. To be of full use it is set before connecting or listening.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(size)
    }

    /// Takes the local address; port 0 stands for one that is free.
    ///
    /// # Errors
    /// What the system says ([`AddrInUse`](io::ErrorKind::AddrInUse), …), with the address in its text.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket
            .bind(&address.into())
            .map_err(|error| io::Error::new(error.kind(), format!("cannot bind to {address}: {error}")))
    }

    /// The local address.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Connects to one address. As [`TcpStream::connect`].
    ///
    /// # Errors
    /// As [`TcpStream::connect`].
    ///
    /// # Cancel safety
    /// Safe: the attempt is given up and the socket closed.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        match self.socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if is_in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        connected(net::TcpStream::from(self.socket)).await
    }

    /// Listens for connections; at most `backlog` wait to be accepted.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(TcpListener::of_nonblocking(net::TcpListener::from(self.socket)))
    }
}

/// Sets `SO_LINGER` to what does not make a close wait.
pub(super) fn linger_without_waiting(socket: &Socket, linger: Option<Duration>) -> io::Result<()> {
    if linger.is_some_and(|time| !time.is_zero()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "closing would block the loop for that time; shut the writing side down and read to the end instead",
        ));
    }
    socket.set_linger(linger)
}

#[cfg(unix)]
fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
        || error.kind() == io::ErrorKind::Interrupted
}

#[cfg(windows)]
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
