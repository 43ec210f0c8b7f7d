//! A connection.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{self, Shutdown, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::socket::{TcpSocket, linger_without_waiting};
use crate::kernel::{Direction, Done, Progress, Reading, Source, Writing};
use crate::net::address::{ToSocketAddrs, some_addresses};

/// A TCP connection.
///
/// `Send` and `Sync`; see [the module](crate::net) for what that means. All operations take `&self`; it is
/// also a `futures_io::AsyncRead` and `AsyncWrite`, and so is `&TcpStream`. Dropping it closes the connection; what was
/// written still goes out.
///
/// Options that have no method here are set by `socket2::SockRef::from(&stream)`.
///
/// # asyncio
/// A connected non-blocking `socket.socket`, and the loop's `sock_` methods.
///
/// # Examples
/// See [the module](crate::net).
pub struct TcpStream {
    pub(super) source: Source<net::TcpStream>,
}

impl TcpStream {
    /// Connects. Of several addresses one after another is tried, until one answers.
    ///
    /// # Errors
    /// What the system says ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused), …); if no address of
    /// several answers, the last one's kind, and all their texts. What the lookup of a name says. An error
    /// off any loop.
    ///
    /// # Cancel safety
    /// Safe: the attempt is given up and its socket closed. Use [`wait_for`](crate::wait_for) for a limit of
    /// time; the system's own is minutes.
    ///
    /// # asyncio
    /// `loop.sock_connect`.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let addresses = some_addresses(address).await?;
        let mut errors = Vec::new();
        for address in addresses {
            // The system may lack the address's family.
            match TcpSocket::for_address(&address) {
                Err(error) => errors.push(error),
                Ok(socket) => match socket.connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => errors.push(error),
                },
            }
        }
        Err(combined(errors))
    }

    /// Adopts a connected socket; makes it non-blocking.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # asyncio
    /// `create_connection(sock=…)`.
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::of_nonblocking(stream))
    }

    pub(super) fn of_nonblocking(stream: net::TcpStream) -> Self {
        Self { source: Source::new(stream) }
    }

    /// Releases the socket, out of any loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> net::TcpStream {
        self.source.into_io()
    }

    fn io(&self) -> &net::TcpStream {
        self.source.io()
    }

    /// Reads what there is, up to the length of the buffer; waits if there is nothing. 0 is the end of the
    /// stream (or an empty buffer).
    ///
    /// # Errors
    /// What the system says ([`ConnectionReset`](io::ErrorKind::ConnectionReset), …); an error off the loop.
    ///
    /// # Cancel safety
    /// Safe: what is read is returned in the same step, so nothing is lost.
    ///
    /// # asyncio
    /// `loop.sock_recv_into`.
    pub fn read<'a>(&'a self, buffer: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let trivial = buffer.is_empty();
        self.source.io_when(Reading, move |io| read(io, buffer)).at_once_if(trivial)
    }

    /// As [`read`](Self::read), into several buffers one after another.
    ///
    /// # Errors
    /// As `read`.
    ///
    /// # Cancel safety
    /// As `read`.
    pub fn read_vectored<'a>(
        &'a self,
        buffers: &'a mut [IoSliceMut<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let trivial = buffers.iter().all(|buffer| buffer.is_empty());
        self.source.io_when(Reading, move |io| read_vectored(io, buffers)).at_once_if(trivial)
    }

    /// Fills the buffer.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the stream ends before; otherwise as
    /// [`read`](Self::read).
    ///
    /// # Cancel safety
    /// Not safe: what was read so far is in the buffer, and nobody knows how much it is.
    pub async fn read_exact(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// As [`read`](Self::read), but what it returns is there for the next read, too.
    ///
    /// # Errors
    /// As `read`.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn peek<'a>(&'a self, buffer: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.source.io_when(Reading, move |io| io.peek(buffer).map(Done::more))
    }

    /// Writes some of the buffer, as much as the system takes; waits while it takes nothing. Returns how
    /// much it was.
    ///
    /// # Errors
    /// What the system says ([`BrokenPipe`](io::ErrorKind::BrokenPipe), …); an error off the loop.
    ///
    /// # Cancel safety
    /// Safe: what is written is returned in the same step.
    pub fn write<'a>(&'a self, buffer: &'a [u8]) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let trivial = buffer.is_empty();
        self.source.io_when(Writing, move |io| write(io, buffer)).at_once_if(trivial)
    }

    /// As [`write`](Self::write), from several buffers one after another.
    ///
    /// # Errors
    /// As `write`.
    ///
    /// # Cancel safety
    /// As `write`.
    pub fn write_vectored<'a>(
        &'a self,
        buffers: &'a [IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let trivial = buffers.iter().all(|buffer| buffer.is_empty());
        self.source.io_when(Writing, move |io| write_vectored(io, buffers)).at_once_if(trivial)
    }

    /// Writes the whole buffer.
    ///
    /// # Errors
    /// As [`write`](Self::write); how much went out before is not known then.
    ///
    /// # Cancel safety
    /// Not safe: nobody knows how much went out.
    ///
    /// # asyncio
    /// `loop.sock_sendall`.
    pub fn write_all<'a>(&'a self, mut buffer: &'a [u8]) -> impl Future<Output = io::Result<()>> + Send + 'a {
        let trivial = buffer.is_empty();
        let mut progress = Progress::new("TcpStream::write_all", buffer.len());
        let operation = self.source.io_when(Writing, move |io| {
            if buffer.is_empty() {
                return Ok(Done::more(()));
            }
            match progress.note(send(io, buffer))? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                n if n == buffer.len() => Ok(Done::more(())),
                n => {
                    buffer = &buffer[n..];
                    // Once more, with the rest.
                    Err(io::ErrorKind::Interrupted.into())
                }
            }
        });
        operation.at_once_if(trivial)
    }

    /// Waits until there may be something to read, or the end of the stream. It may be gone when it is looked
    /// for: use [`try_read`](Self::try_read), and wait again if there is nothing.
    ///
    /// # Errors
    /// An error off the loop.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.source.ready::<Reading>()
    }

    /// Waits until the system may take something. As [`readable`](Self::readable), with
    /// [`try_write`](Self::try_write).
    ///
    /// # Errors
    /// An error off the loop.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.source.ready::<Writing>()
    }

    /// Reads what there is and does not wait.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing; otherwise as [`read`](Self::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.try_io(Direction::Read, |io| read(io, buffer))
    }

    /// As [`try_read`](Self::try_read), into several buffers one after another.
    ///
    /// # Errors
    /// As `try_read`.
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.try_io(Direction::Read, |io| read_vectored(io, buffers))
    }

    /// As [`peek`](Self::peek), without waiting.
    ///
    /// # Errors
    /// As `try_read`.
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.try_io(Direction::Read, |io| io.peek(buffer).map(Done::more))
    }

    /// Writes what the system takes and does not wait.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it takes nothing; otherwise as [`write`](Self::write).
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.source.try_io(Direction::Write, |io| write(io, buffer))
    }

    /// As [`try_write`](Self::try_write), from several buffers one after another.
    ///
    /// # Errors
    /// As `try_write`.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.try_io(Direction::Write, |io| write_vectored(io, buffers))
    }

    /// Ends one direction of the connection, or both. After [`Shutdown::Write`] the other side reads the end of
    /// the stream.
    ///
    /// # Errors
    /// What the system says ([`NotConnected`](io::ErrorKind::NotConnected), …).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io().shutdown(how)
    }

    /// Lends both directions, to use them independently.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        halves::split(self)
    }

    /// Takes both directions apart, for different tasks. Dropping the write half shuts its direction down; the
    /// connection is closed when both are gone.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        halves::into_split(self)
    }

    /// This side's address.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io().local_addr()
    }

    /// The other side's address.
    ///
    /// # Errors
    /// What the system says ([`NotConnected`](io::ErrorKind::NotConnected), …).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io().peer_addr()
    }

    /// Whether small packets are sent at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io().nodelay()
    }

    /// Sends small packets at once instead of waiting for more (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io().set_nodelay(nodelay)
    }

    /// How long closing waits for what was written to go out.
    ///
    /// # Errors
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.io()).linger()
    }

    /// Sets what becomes of written data when the socket is closed (`SO_LINGER`): `None`, the system sends it
    /// in the background; zero, it is thrown away and the connection reset. A longer time would make the
    /// drop of this stream block the whole loop, so it is refused.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for any time but zero; what the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        linger_without_waiting(&SockRef::from(self.io()), linger)
    }

    /// Whether a silent connection is probed.
    ///
    /// # Errors
    /// What the system says.
    pub fn keepalive(&self) -> io::Result<bool> {
        SockRef::from(self.io()).keepalive()
    }

    /// Has the system probe the connection after a time of silence; `None`: never.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_keepalive(&self, silence: Option<Duration>) -> io::Result<()> {
        let socket = SockRef::from(self.io());
        match silence {
            None => socket.set_keepalive(false),
            Some(time) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time)),
        }
    }

    /// How many hops a packet may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io().ttl()
    }

    /// Sets how many hops a packet may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io().set_ttl(ttl)
    }

    /// The size of the system's buffer for what was written, in bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        SockRef::from(self.io()).send_buffer_size()
    }

    /// Sets the size of the system's buffer for what was written, in bytes; Linux takes twice as much.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        SockRef::from(self.io()).set_send_buffer_size(size)
    }

    /// The size of the system's buffer for what was not read yet, in bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        SockRef::from(self.io()).recv_buffer_size()
    }

    /// Sets the size of the system's buffer for what was not read yet, in bytes; Linux takes twice as much.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        SockRef::from(self.io()).set_recv_buffer_size(size)
    }

    /// The error that waits on the socket, if any; it is cleared.
    ///
    /// # Errors
    /// What the system says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io().take_error()
    }
}

// Of nothing: systems answer that by the state of the connection, and it needs none.

pub(super) fn read(io: &net::TcpStream, buffer: &mut [u8]) -> io::Result<Done<usize>> {
    if buffer.is_empty() {
        return Ok(Done::more(0));
    }
    let count = receive(io, buffer)?;
    Ok(Done::read(count, buffer.len()))
}

pub(super) fn write(io: &net::TcpStream, buffer: &[u8]) -> io::Result<Done<usize>> {
    if buffer.is_empty() {
        return Ok(Done::more(0));
    }
    send(io, buffer).map(Done::more)
}

// Where a system call needs no library, it is a few instructions shorter, twice a request.

#[cfg(any(target_os = "linux", target_os = "android"))]
fn receive(io: &net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    use rustix::net::{RecvFlags, recv};
    let (_, count) = recv(io, buffer, RecvFlags::empty())?;
    Ok(count)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn send(io: &net::TcpStream, buffer: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};
    // As std does: a connection that is gone is an error, not a signal.
    Ok(send(io, buffer, SendFlags::NOSIGNAL)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn receive(mut io: &net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut io, buffer)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn send(mut io: &net::TcpStream, buffer: &[u8]) -> io::Result<usize> {
    io::Write::write(&mut io, buffer)
}

/// Every system takes as many buffers in one call; of more it may leave some out.
const BUFFERS: usize = 16;

pub(super) fn read_vectored(
    mut io: &net::TcpStream,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<Done<usize>> {
    let room = buffers.iter().map(|buffer| buffer.len()).sum();
    if room == 0 {
        return Ok(Done::more(0));
    }
    let count = io.read_vectored(buffers)?;
    Ok(if buffers.len() > BUFFERS { Done::more(count) } else { Done::read(count, room) })
}

pub(super) fn write_vectored(mut io: &net::TcpStream, buffers: &[IoSlice<'_>]) -> io::Result<Done<usize>> {
    if buffers.iter().all(|buffer| buffer.is_empty()) {
        return Ok(Done::more(0));
    }
    io.write_vectored(buffers).map(Done::more)
}

/// One error for several attempts.
fn combined(mut errors: Vec<io::Error>) -> io::Error {
    let Some(last) = errors.pop() else { return io::ErrorKind::InvalidInput.into() };
    let text = last.to_string();
    if errors.iter().all(|error| error.to_string() == text) {
        return last;
    }
    let texts: Vec<_> = errors.iter().map(io::Error::to_string).collect();
    io::Error::new(last.kind(), format!("no address answers: {}, {text}", texts.join(", ")))
}

/// Waits for the end of an attempt to connect.
pub(super) async fn connected(stream: net::TcpStream) -> io::Result<TcpStream> {
    let stream = TcpStream::of_nonblocking(stream);
    stream.writable().await?;
    match stream.take_error()? {
        None => Ok(stream),
        Some(error) => Err(error),
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.io().as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.io().as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for TcpStream {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.io().as_socket()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsRawSocket for TcpStream {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        self.io().as_raw_socket()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
