//! The end that receives.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::blocking::{assert_off_loop, block_on};
use super::link::{Found, Link};
use super::sender::affords;
use super::stats::Stats;
use crate::channel::error::TryRecvError;
use crate::kernel::{OutsideWait, probe};
use crate::time::TimeoutError;

/// Receives from a [`channel`](super::channel()), on any thread. There is one.
///
/// It is a [`Stream`], too. Dropped, it drops what was not received, and sends fail.
///
/// # asyncio
/// No counterpart; see the [module](super).
///
/// # Examples
/// ```
/// use evloop::channel::thread;
/// use futures::StreamExt;
///
/// let (sender, receiver) = thread::channel(10);
/// std::thread::spawn(move || (1..=100).for_each(|n| sender.blocking_send(n).unwrap()));
/// let even = evloop::run(receiver.filter(|n| std::future::ready(n % 2 == 0)).count());
/// assert_eq!(even, 50);
/// ```
pub struct Receiver<T> {
    link: Arc<Link<T>>,
    /// What was taken out of the link and not received.
    pub(super) batch: VecDeque<T>,
    /// It was told that nothing can come any more.
    has_heard: bool,
    outside: OutsideWait,
}

impl<T> Receiver<T> {
    pub(super) fn new(link: Arc<Link<T>>) -> Self {
        Self { link, batch: VecDeque::new(), has_heard: false, outside: OutsideWait::default() }
    }

    /// Waits for the next item. `None`: all were received, and no more can come, since all senders are gone or the
    /// channel was [closed](Self::close).
    ///
    /// Items of one sender come in their order. On an evloop loop a task that receives 128 times in one step lets
    /// the others run, whatever has come; elsewhere (any executor will do) there is no such limit.
    ///
    /// # Cancel safety
    /// Safe: dropped, it has received nothing.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread;
    ///
    /// let (sender, mut receiver) = thread::channel(10);
    /// std::thread::spawn(move || sender.blocking_send("hello").unwrap());
    /// evloop::run(async move {
    ///     assert_eq!(receiver.recv().await, Some("hello"));
    ///     assert_eq!(receiver.recv().await, None);
    /// });
    /// ```
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        self.receiving()
    }

    fn receiving(&mut self) -> Receiving<'_, T> {
        Receiving { receiver: self, waits: false }
    }

    /// Blocks this thread until the next item. `None`: all were received, and no more can come.
    ///
    /// # Panics
    /// Inside of a running loop, which it would stop. Await [`recv`](Self::recv) there.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        assert_off_loop("blocking_recv", "await recv() there");
        match self.recv_at_once() {
            Some(received) => received,
            // Without a timeout it ends with an output.
            None => block_on(self.receiving(), None).flatten(),
        }
    }

    /// Blocks this thread until the next item, for no longer than `timeout`.
    ///
    /// # Errors
    /// [`TimeoutError`] if nothing has come by then.
    ///
    /// # Panics
    /// Inside of a running loop, which it would stop. There, [`wait_for`](crate::wait_for) waits no longer than a
    /// timeout.
    ///
    /// # Examples
    /// ```
    /// use evloop::{TimeoutError, channel::thread, time::millis};
    ///
    /// let (sender, mut receiver) = thread::channel(10);
    /// assert_eq!(receiver.blocking_recv_timeout(millis(1)), Err(TimeoutError));
    /// sender.blocking_send(1).unwrap();
    /// assert_eq!(receiver.blocking_recv_timeout(millis(1)), Ok(Some(1)));
    /// drop(sender);
    /// assert_eq!(receiver.blocking_recv_timeout(millis(1)), Ok(None));
    /// ```
    #[track_caller]
    pub fn blocking_recv_timeout(&mut self, timeout: Duration) -> Result<Option<T>, TimeoutError> {
        assert_off_loop("blocking_recv_timeout", "await wait_for(recv(), …) there");
        if let Some(received) = self.recv_at_once() {
            return Ok(received);
        }
        block_on(self.receiving(), Some(timeout)).ok_or(TimeoutError)
    }

    /// What a wait would end with, if that is known.
    fn recv_at_once(&mut self) -> Option<Option<T>> {
        match self.try_recv() {
            Ok(item) => Some(Some(item)),
            Err(TryRecvError::Closed) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// The next item, if it is there. Never blocks: it may be called anywhere.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`], or [`TryRecvError::Closed`] if no more can come.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = thread::unbounded();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.try_send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if self.batch.is_empty() {
            match self.link.refill(&mut self.batch) {
                Found::Items => {}
                Found::Nothing => return Err(TryRecvError::Empty),
                Found::TheEnd => return Err(TryRecvError::Closed),
            }
        }
        self.take().ok_or(TryRecvError::Empty)
    }

    /// Refuses what would be sent from now on. What was sent before is still received, then comes `None`; sends that
    /// wait for room fail.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread;
    ///
    /// let (sender, mut receiver) = thread::channel(10);
    /// sender.try_send("in time").unwrap();
    /// receiver.close();
    /// assert_eq!(sender.blocking_send("late").unwrap_err().into_inner(), "late");
    /// assert_eq!(receiver.blocking_recv(), Some("in time"));
    /// assert_eq!(receiver.blocking_recv(), None);
    /// ```
    pub fn close(&mut self) {
        self.link.close();
    }

    /// Whether no more can be sent: all senders are gone, or the channel was closed. There may still be something to
    /// receive.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.is_over()
    }

    /// How many items wait to be received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.link.len()
    }

    /// Whether no item waits to be received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may wait; `None`: any number.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.link.capacity()
    }

    /// All of it at one moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.link.stats()
    }

    #[inline]
    fn take(&mut self) -> Option<T> {
        let item = self.batch.pop_front()?;
        self.link.received();
        Some(item)
    }

    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.batch.is_empty() {
            match self.link.refill_or_wait(&mut self.batch, cx.waker().clone()) {
                Found::Items => {}
                Found::TheEnd => self.has_heard = true,
                Found::Nothing => {
                    self.outside.begin();
                    probe::waits_for(|| "thread::Receiver::recv".into());
                    return Poll::Pending;
                }
            }
        }
        self.outside.end();
        if !self.batch.is_empty() && !affords() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.take())
    }

    fn stop_waiting(&mut self) {
        self.link.stop_waiting();
        self.outside.end();
    }
}

/// `None` ends it. It waits from a poll that is pending up to the next poll, [`recv`](Receiver::recv) or drop: nobody tells
/// a stream that its item is not wanted any more.
impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), None)
    }
}

/// Terminated once `None` was received: there is nothing to wait for any more.
impl<T> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.has_heard
    }
}

impl<T> Unpin for Receiver<T> {}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.link.abandon();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("channel", &self.stats()).finish()
    }
}

/// The future of [`Receiver::recv`].
struct Receiving<'a, T> {
    receiver: &'a mut Receiver<T>,
    waits: bool,
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.receiver.poll(cx);
        self.waits = polled.is_pending();
        polled
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        if self.waits {
            self.receiver.stop_waiting();
        }
    }
}
