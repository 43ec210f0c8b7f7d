//! The receiving end, of which there is one.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::chan::Chan;
use super::stats::Stats;
use crate::channel::error::TryRecvError;

/// Receives what is sent into a channel; made by [`channel`](super::channel) and [`unbounded`](super::unbounded).
///
/// It is a [`Stream`] of the values. Dropping it drops what is in the channel and fails whoever sends.
///
/// # asyncio
/// `asyncio.Queue`, the side of `get`.
#[must_use = "a receiver that is dropped fails whoever sends"]
pub struct Receiver<T> {
    chan: Rc<Chan<T>>,
    /// It was told that nothing can come any more.
    has_heard: Cell<bool>,
}

impl<T> Receiver<T> {
    pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
        Receiver { chan, has_heard: Cell::new(false) }
    }

    /// Receives the next value, waiting while there is none; `None` after the last one, when all senders are gone or the
    /// channel was [closed](Receiver::close).
    ///
    /// # Cancel safety
    /// Safe. Dropping the future takes no value.
    ///
    /// # asyncio
    /// `await queue.get()`, with `None` in place of `QueueShutDown`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::mpsc::channel(2);
    ///     sender.send(1).await.unwrap();
    ///     drop(sender);
    ///     assert_eq!(receiver.recv().await, Some(1));
    ///     assert_eq!(receiver.recv().await, None);
    /// });
    /// ```
    #[doc(alias = "get")]
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        Recv { receiver: self }
    }

    /// Receives the next value if there is one.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if there is none, [`Closed`](TryRecvError::Closed) if there will never be one again.
    ///
    /// # asyncio
    /// `queue.get_nowait()`.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::mpsc::{TryRecvError, channel};
    ///
    /// let (sender, mut receiver) = channel(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.try_send('a').unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok('a'));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    #[doc(alias = "get_nowait")]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.chan.take() {
            Some(value) => Ok(value),
            None if self.chan.has_ended() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Receives what there is, at most `limit` values, and adds it to `buffer`; waits while there is none. Returns how many
    /// it were: 0 at the end, and if `limit` is 0.
    ///
    /// As many waiting senders are called as slots are left behind.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future takes no value.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::mpsc::channel(10);
    ///     for n in 0..5 {
    ///         sender.send(n).await.unwrap();
    ///     }
    ///     let mut batch = Vec::new();
    ///     assert_eq!(receiver.recv_many(&mut batch, 3).await, 3);
    ///     assert_eq!(receiver.recv_many(&mut batch, 3).await, 2);
    ///     assert_eq!(batch, [0, 1, 2, 3, 4]);
    /// });
    /// ```
    pub fn recv_many<'a>(
        &'a mut self,
        buffer: &'a mut Vec<T>,
        limit: usize,
    ) -> impl Future<Output = usize> + use<'a, T> {
        RecvMany { receiver: self, buffer, limit }
    }

    /// What [`recv`](Receiver::recv) is when it is polled, for hand-written futures. If it is pending, the task is woken when
    /// there may be a value, until somebody else polls the receiver or waits by one of its futures.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.chan.take() {
            None => self.wait_for(cx, |chan| chan.take()),
            found => Poll::Ready(found),
        }
    }

    /// Refuses what is sent from now on, and fails senders that wait. What is in, and what
    /// [permits](super::Permit) that are out still send, can be received; after that comes `None`.
    ///
    /// # asyncio
    /// `queue.shutdown()`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::mpsc::channel(1);
    ///     sender.send(1).await.unwrap();
    ///     receiver.close();
    ///     assert!(sender.send(2).await.is_err());
    ///     assert_eq!(receiver.recv().await, Some(1));
    ///     assert_eq!(receiver.recv().await, None);
    /// });
    /// ```
    #[doc(alias = "shutdown")]
    pub fn close(&mut self) {
        self.chan.close();
    }

    /// Was the channel closed? Not yet when all senders are gone: then `recv` says so after the last value.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// How many values are in the channel.
    #[doc(alias = "qsize")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.chan.len()
    }

    /// Is no value in the channel?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values can be sent now without waiting; 0 if the channel is closed.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.chan.free()
    }

    /// How many values the channel can hold; `usize::MAX` if it is unbounded.
    #[doc(alias = "maxsize")]
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.chan.capacity()
    }

    /// What there is to know about the channel, for logs and metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.chan.stats()
    }

    /// Where `take` has found nothing: ready with `None` at the end.
    #[inline(never)]
    fn wait_for<R>(
        &self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&Chan<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        let chan = &*self.chan;
        if chan.has_ended() {
            self.has_heard.set(true);
            return Poll::Ready(None);
        }
        if !chan.receiver.wait(cx.waker()) {
            return Poll::Pending;
        }
        // To wait was foreign code.
        let found = take(chan);
        if found.is_none() && !chan.has_ended() {
            return Poll::Pending;
        }
        chan.receiver.leave();
        self.has_heard.set(found.is_none());
        Poll::Ready(found)
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

/// Terminated once `None` was received: there is nothing to wait for any more.
impl<T> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.has_heard.get()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.chan.abandon();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("closed", &self.is_closed()).field("stats", &self.stats()).finish()
    }
}

struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.poll_recv(cx)
    }
}

impl<T> Drop for Recv<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.receiver.chan.receiver.leave();
    }
}

struct RecvMany<'a, T> {
    receiver: &'a mut Receiver<T>,
    buffer: &'a mut Vec<T>,
    limit: usize,
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = &mut *self;
        if this.limit == 0 {
            return Poll::Ready(0);
        }
        let mut take = |chan: &Chan<T>| match chan.take_many(this.buffer, this.limit) {
            0 => None,
            count => Some(count),
        };
        match take(&this.receiver.chan) {
            Some(count) => Poll::Ready(count),
            None => this.receiver.wait_for(cx, take).map(|count| count.unwrap_or(0)),
        }
    }
}

impl<T> Drop for RecvMany<'_, T> {
    fn drop(&mut self) {
        self.receiver.chan.receiver.leave();
    }
}
