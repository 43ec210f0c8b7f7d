//! A socket that connections come to.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::descriptors::{self, Failure, PAUSE};
use super::socket::TcpSocket;
use super::stream::TcpStream;
use crate::kernel::{Direction, Done, Reading, Source, Who};
use crate::net::address::{ToSocketAddrs, some_addresses};
use crate::time::{Sleep, sleep};

/// How many connections wait to be accepted, where nobody says so.
const BACKLOG: u32 = 1024;

/// A TCP socket that accepts connections.
///
/// `Send` and `Sync`; see [the module](crate::net) for what that means. Several tasks may accept at once.
/// Dropping it refuses further connections; those that wait to be accepted are reset.
///
/// # asyncio
/// A listening non-blocking `socket.socket`, and `loop.sock_accept`.
///
/// # Examples
/// ```
/// use evloop::net::TcpListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:5000").await?;
/// loop {
///     let (stream, _peer) = listener.accept().await?;
///     let _ = evloop::create_task(async move {
///         stream.write_all(b"Hello\n").await
///     });
/// }
/// # }
/// ```
pub struct TcpListener {
    source: Source<net::TcpListener>,
    /// Of [`poll_accept`](Self::poll_accept).
    pause: Option<Sleep>,
}

impl TcpListener {
    /// Listens at the first of these addresses that can be had; port 0 stands for one that is free.
    ///
    /// On Unix the address may still be held by connections of a former listener (`SO_REUSEADDR`). The system
    /// keeps up to 1024 connections that wait to be accepted. For other settings use [`TcpSocket`].
    ///
    /// # Errors
    /// What the system says ([`AddrInUse`](io::ErrorKind::AddrInUse), …) of the last address; what the lookup
    /// of a name says.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in some_addresses(address).await? {
            match listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::InvalidInput.into()))
    }

    /// Adopts a listening socket; makes it non-blocking.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::of_nonblocking(listener))
    }

    pub(super) fn of_nonblocking(listener: net::TcpListener) -> Self {
        Self { source: Source::new(listener), pause: None }
    }

    /// Releases the socket, out of any loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> net::TcpListener {
        self.source.into_io()
    }

    /// Accepts a connection; waits for one. Returns it with the other side's address.
    ///
    /// A connection that has failed before it could be accepted is passed over. When descriptors or memory
    /// run out, this waits instead of failing: for a second, after which connections in line are closed
    /// at once, so that their clients learn of it. The loop's exception handler is told once.
    ///
    /// # Errors
    /// What the system says of the listener; an error off the loop.
    ///
    /// # Cancel safety
    /// Safe: a connection is returned in the step in which it is accepted.
    ///
    /// # asyncio
    /// `loop.sock_accept`, and how a server's accept loop treats errors.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        descriptors::prepare();
        loop {
            let result = self.source.io_when(Reading, |io| accept(io).map(Done::more)).await;
            match judge(result) {
                Outcome::Over(result) => return result,
                Outcome::Again => {}
                Outcome::Pause { turn_away } => {
                    self.turn_away(turn_away);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// As [`accept`](Self::accept), for futures written by hand.
    ///
    /// # Errors
    /// As `accept`.
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.source.come_here();
        descriptors::prepare();
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(Pin::new(pause).poll(cx));
                self.pause = None;
            }
            let result = std::task::ready!(
                self.source.poll_io(cx, Direction::Read, Who::Owner, |io| accept(io).map(Done::more))
            );
            match judge(result) {
                Outcome::Over(result) => return Poll::Ready(result),
                Outcome::Again => {}
                Outcome::Pause { turn_away } => {
                    self.turn_away(turn_away);
                    self.pause = Some(sleep(PAUSE));
                }
            }
        }
    }

    /// Who has waited for a second is not let wait longer.
    fn turn_away(&self, is_time: bool) {
        if is_time {
            descriptors::turn_away(self.source.io());
        }
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// How many hops a packet of its connections may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.io().ttl()
    }

    /// Sets how many hops a packet of its connections may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.io().set_ttl(ttl)
    }

    /// The error that waits on the socket, if any; it is cleared.
    ///
    /// # Errors
    /// What the system says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::for_address(&address)?;
    // On Windows it would let others steal the address.
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

enum Outcome {
    Over(io::Result<(TcpStream, SocketAddr)>),
    Again,
    Pause { turn_away: bool },
}

fn judge(result: io::Result<(net::TcpStream, SocketAddr)>) -> Outcome {
    match result {
        Ok((stream, address)) => {
            descriptors::plenty();
            Outcome::Over(Ok((TcpStream::of_nonblocking(stream), address)))
        }
        Err(error) => match Failure::of(&error) {
            Failure::OfConnection => Outcome::Again,
            failure @ (Failure::OutOfDescriptors | Failure::OutOfMemory) => {
                let is_time = descriptors::ran_out(&error);
                Outcome::Pause { turn_away: is_time && failure == Failure::OutOfDescriptors }
            }
            Failure::OfListener => Outcome::Over(Err(error)),
        },
    }
}

/// Where the system can, the connection is born non-blocking: one call less.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let (fd, address) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let address = address.ok_or(io::ErrorKind::InvalidData)?;
    Ok((net::TcpStream::from(fd), SocketAddr::try_from(address)?))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, address))
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.source.io().as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.source.io().as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for TcpListener {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.source.io().as_socket()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
