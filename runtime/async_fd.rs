//! Any descriptor that the system's poller takes, awaited.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use crate::kernel::{Direction, Done, Reading, Source, Who, Writing};

/// A descriptor whose readiness can be awaited: a pipe, a terminal, a socket of another library.
///
/// The descriptor has to be non-blocking, and must be the same one as long as it is in here. It is registered
/// with the loop in which it is awaited first; it is `Send` and `Sync` if `T` is, and moves between loops as
/// [sockets](crate::net) do. Unix only. Regular files are always ready, and the poller refuses them: use
/// [`to_thread`](crate::to_thread).
///
/// # asyncio
/// `loop.add_reader` and `add_writer`, as futures.
///
/// # Examples
/// ```
/// use evloop::AsyncFd;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// evloop::run(async {
///     let (mut one, other) = UnixStream::pair()?;
///     other.set_nonblocking(true)?;
///     let other = AsyncFd::new(other);
///     one.write_all(b"hello")?;
///     let mut buffer = [0; 16];
///     let n = other.read_with(|mut stream| stream.read(&mut buffer)).await?;
///     assert_eq!(&buffer[..n], b"hello");
/// #   Ok::<(), std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct AsyncFd<T: AsFd> {
    source: Source<T>,
}

impl<T: AsFd> AsyncFd<T> {
    /// Wraps a non-blocking descriptor. Nothing is registered yet.
    pub fn new(io: T) -> Self {
        Self { source: Source::new(io) }
    }

    /// What is inside. Closing it or exchanging its descriptor from there leaves waiting tasks alone.
    pub fn get_ref(&self) -> &T {
        self.source.io()
    }

    /// Takes it out of the loop.
    pub fn into_inner(self) -> T {
        self.source.into_io()
    }

    /// Waits until there may be something to read. To use it, [`try_read_with`](Self::try_read_with): it notes
    /// if there was nothing.
    ///
    /// # Errors
    /// What the system says if it refuses the descriptor (a regular file); an error off the loop.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + '_ {
        self.source.ready::<Reading>()
    }

    /// Waits until something may be written. As [`readable`](Self::readable), with
    /// [`try_write_with`](Self::try_write_with).
    ///
    /// # Errors
    /// As `readable`.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + '_ {
        self.source.ready::<Writing>()
    }

    /// Calls `op` whenever there may be something to read, until it does not say
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    /// What `op` says; and as [`readable`](Self::readable).
    ///
    /// # Cancel safety
    /// Safe if `op` is: what it returns is returned in the same step.
    pub fn read_with<'a, R>(
        &'a self,
        mut op: impl FnMut(&T) -> io::Result<R> + 'a,
    ) -> impl Future<Output = io::Result<R>> + 'a
    where
        R: 'a,
    {
        self.source.io_when(Reading, move |io| op(io).map(Done::more))
    }

    /// Calls `op` whenever something may be written. As [`read_with`](Self::read_with).
    ///
    /// # Errors
    /// As `read_with`.
    ///
    /// # Cancel safety
    /// As `read_with`.
    pub fn write_with<'a, R>(
        &'a self,
        mut op: impl FnMut(&T) -> io::Result<R> + 'a,
    ) -> impl Future<Output = io::Result<R>> + 'a
    where
        R: 'a,
    {
        self.source.io_when(Writing, move |io| op(io).map(Done::more))
    }

    /// Calls `op` once if there may be something to read, and notes it if there was nothing.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing; what `op` says; an error off the loop.
    pub fn try_read_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_io(Direction::Read, |io| op(io).map(Done::more))
    }

    /// As [`try_read_with`](Self::try_read_with), for writing.
    ///
    /// # Errors
    /// As `try_read_with`.
    pub fn try_write_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.try_io(Direction::Write, |io| op(io).map(Done::more))
    }

    /// As [`read_with`](Self::read_with), for futures written by hand. Moves to this loop if it was waited for
    /// in another.
    ///
    /// # Errors
    /// As `read_with`.
    pub fn poll_read_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source.come_here();
        self.source.poll_io(cx, Direction::Read, Who::Owner, |io| op(io).map(Done::more))
    }

    /// As [`poll_read_with`](Self::poll_read_with), for writing.
    ///
    /// # Errors
    /// As `read_with`.
    pub fn poll_write_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.source.come_here();
        self.source.poll_io(cx, Direction::Write, Who::Owner, |io| op(io).map(Done::more))
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.get_ref()).finish()
    }
}
