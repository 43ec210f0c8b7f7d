//! The two directions of a connection, apart: lent, or owned by different tasks.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::stream::TcpStream;
use crate::kernel::Who;

/// The reading direction, lent by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The writing direction, lent by [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

/// The reading direction, owned; from [`TcpStream::into_split`].
///
/// It does not move to another loop by itself, since the other half may be waiting in this one.
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<TcpStream>);

/// The writing direction, owned; from [`TcpStream::into_split`]. Dropping it shuts the direction down, unless
/// [`forget`](Self::forget) is called.
///
/// It does not move to another loop by itself, since the other half may be waiting in this one.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    /// Always there, but in the midst of taking it out.
    stream: Option<Arc<TcpStream>>,
}

/// The halves are of different connections; here they are again.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(super) fn into_split(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    (OwnedReadHalf(stream.clone()), OwnedWriteHalf { stream: Some(stream) })
}

macro_rules! reads {
    ($($half:ty),*) => {$(
        impl $half {
            /// As [`TcpStream::read`].
            ///
            /// # Errors
            /// As [`TcpStream::read`].
            pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream().read(buffer).await
            }

            /// As [`TcpStream::read_exact`].
            ///
            /// # Errors
            /// As [`TcpStream::read_exact`].
            pub async fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
                self.stream().read_exact(buffer).await
            }

            /// As [`TcpStream::read_vectored`].
            ///
            /// # Errors
            /// As [`TcpStream::read_vectored`].
            pub async fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream().read_vectored(buffers).await
            }

            /// As [`TcpStream::peek`].
            ///
            /// # Errors
            /// As [`TcpStream::peek`].
            pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream().peek(buffer).await
            }

            /// As [`TcpStream::readable`].
            ///
            /// # Errors
            /// As [`TcpStream::readable`].
            pub async fn readable(&self) -> io::Result<()> {
                self.stream().readable().await
            }

            /// As [`TcpStream::try_read`].
            ///
            /// # Errors
            /// As [`TcpStream::try_read`].
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream().try_read(buffer)
            }

            /// As [`TcpStream::local_addr`].
            ///
            /// # Errors
            /// As [`TcpStream::local_addr`].
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.stream().local_addr()
            }

            /// As [`TcpStream::peer_addr`].
            ///
            /// # Errors
            /// As [`TcpStream::peer_addr`].
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.stream().peer_addr()
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.stream()
            }
        }

        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_read_shared(cx, Who::Owner, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_read_vectored_shared(cx, Who::Owner, buffers)
            }
        }
    )*};
}

macro_rules! writes {
    ($($half:ty),*) => {$(
        impl $half {
            /// As [`TcpStream::write`].
            ///
            /// # Errors
            /// As [`TcpStream::write`].
            pub async fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                self.stream().write(buffer).await
            }

            /// As [`TcpStream::write_all`].
            ///
            /// # Errors
            /// As [`TcpStream::write_all`].
            pub async fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
                self.stream().write_all(buffer).await
            }

            /// As [`TcpStream::write_vectored`].
            ///
            /// # Errors
            /// As [`TcpStream::write_vectored`].
            pub async fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream().write_vectored(buffers).await
            }

            /// As [`TcpStream::writable`].
            ///
            /// # Errors
            /// As [`TcpStream::writable`].
            pub async fn writable(&self) -> io::Result<()> {
                self.stream().writable().await
            }

            /// As [`TcpStream::try_write`].
            ///
            /// # Errors
            /// As [`TcpStream::try_write`].
            pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
                self.stream().try_write(buffer)
            }

            /// Ends the writing direction: the other side reads the end of the stream.
            ///
            /// # Errors
            /// As [`TcpStream::shutdown`].
            pub fn shutdown(&self) -> io::Result<()> {
                self.stream().shutdown(Shutdown::Write)
            }

            /// As [`TcpStream::local_addr`].
            ///
            /// # Errors
            /// As [`TcpStream::local_addr`].
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.stream().local_addr()
            }

            /// As [`TcpStream::peer_addr`].
            ///
            /// # Errors
            /// As [`TcpStream::peer_addr`].
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.stream().peer_addr()
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.stream()
            }
        }

        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_write_shared(cx, Who::Owner, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_write_vectored_shared(cx, Who::Owner, buffers)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.shutdown())
            }
        }
    )*};
}

reads!(ReadHalf<'_>, OwnedReadHalf);
writes!(WriteHalf<'_>, OwnedWriteHalf);

impl ReadHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }
}

impl WriteHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }
}

impl OwnedReadHalf {
    fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Puts the connection together again.
    ///
    /// # Errors
    /// [`ReuniteError`], with both, if `write` is of another connection.
    pub fn reunite(self, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.0, write.shared()) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        // There were two, and this is the last.
        Ok(Arc::into_inner(self.0).unwrap_or_else(|| unreachable!("a connection has two halves")))
    }
}

impl OwnedWriteHalf {
    fn shared(&self) -> &Arc<TcpStream> {
        self.stream.as_ref().expect("it is taken out at the end only")
    }

    fn stream(&self) -> &TcpStream {
        self.shared()
    }

    /// As [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    /// As [`OwnedReadHalf::reunite`].
    pub fn reunite(self, read: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        read.reunite(self)
    }

    /// Drops it without shutting the direction down.
    pub fn forget(mut self) {
        self.stream = None;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // It fails if the connection is over already.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves are of different connections")
    }
}

impl Error for ReuniteError {}
