//! The end that sends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::blocking::{assert_off_loop, block_on};
use super::link::Link;
use super::stats::Stats;
use crate::channel::error::{SendError, TrySendError};
use crate::kernel::{OutsideWait, WaitKey, probe, with_current};

/// Sends into a [`channel`](super::channel()), from any thread. Clones send into the same channel.
///
/// # asyncio
/// No counterpart; see the [module](super).
pub struct Sender<T> {
    link: Arc<Link<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(link: Arc<Link<T>>) -> Self {
        Self { link }
    }

    /// Sends a value; waits, if the channel is full, until there is room.
    ///
    /// Those who wait get room in the order in which they came, and nobody gets it before them. On an evloop loop
    /// a task that sends 128 times in one step lets the others run, room or not; elsewhere (any executor will do)
    /// there is no such limit.
    ///
    /// # Errors
    /// [`SendError`] with the value if the receiver is gone or closed, also while this waits.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it has not sent: the value is dropped. It leaves the line, and room that it was
    /// already given goes to the next.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread;
    ///
    /// // A loop feeds a plain thread.
    /// let (sender, mut receiver) = thread::channel(2);
    /// let thread = std::thread::spawn(move || {
    ///     let mut sum = 0;
    ///     while let Some(n) = receiver.blocking_recv() {
    ///         sum += n;
    ///     }
    ///     sum
    /// });
    /// evloop::run(async move {
    ///     for n in 0..10 {
    ///         sender.send(n).await.unwrap(); // not more than two ahead
    ///     }
    /// });
    /// assert_eq!(thread.join().unwrap(), 45);
    /// ```
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        self.sending(value)
    }

    fn sending(&self, value: T) -> Sending<'_, T> {
        Sending { link: &self.link, value: Some(value), place: None, outside: OutsideWait::default() }
    }

    /// Sends a value; blocks this thread, if the channel is full, until there is room.
    ///
    /// # Errors
    /// [`SendError`] with the value if the receiver is gone or closed, also while this waits.
    ///
    /// # Panics
    /// Inside of a running loop, which it would stop. Await [`send`](Self::send) there.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread;
    ///
    /// // A plain thread feeds a loop.
    /// let (sender, mut receiver) = thread::channel(2);
    /// let thread = std::thread::spawn(move || {
    ///     for n in 0..10 {
    ///         sender.blocking_send(n).unwrap(); // not more than two ahead
    ///     }
    /// });
    /// let sum = evloop::run(async move {
    ///     let mut sum = 0;
    ///     while let Some(n) = receiver.recv().await {
    ///         sum += n;
    ///     }
    ///     sum
    /// });
    /// assert_eq!(sum, 45);
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        assert_off_loop("blocking_send", "await send() there");
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError(value)),
            // Without a timeout it ends with an output.
            Err(TrySendError::Full(value)) => block_on(self.sending(value), None).unwrap_or(Ok(())),
        }
    }

    /// Sends a value if there is room that nobody waits for. Never blocks: it may be called anywhere.
    ///
    /// # Errors
    /// [`TrySendError::Full`] and [`TrySendError::Closed`], with the value.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread::{self, TrySendError};
    ///
    /// let (sender, receiver) = thread::channel(1);
    /// sender.try_send("first").unwrap();
    /// assert_eq!(sender.try_send("second"), Err(TrySendError::Full("second")));
    /// drop(receiver);
    /// assert_eq!(sender.try_send("third"), Err(TrySendError::Closed("third")));
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.link.try_send(value)
    }

    /// Waits until nobody will receive any more: the receiver is gone or closed.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread;
    ///
    /// // A loop works for a thread, as long as that wants it.
    /// let (sender, receiver) = thread::channel::<u64>(1);
    /// std::thread::spawn(move || drop(receiver));
    /// evloop::run(async move {
    ///     let work = evloop::create_task(std::future::pending::<u64>());
    ///     sender.closed().await;
    ///     work.cancel();
    ///     assert!(work.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> {
        self.closing()
    }

    fn closing(&self) -> Closing<'_, T> {
        Closing { link: &self.link, place: None, outside: OutsideWait::default() }
    }

    /// Blocks this thread until nobody will receive any more: the receiver is gone or closed.
    ///
    /// # Panics
    /// Inside of a running loop, which it would stop. Await [`closed`](Self::closed) there.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::thread;
    ///
    /// // A thread that keeps something up for as long as a loop wants it.
    /// let (sender, receiver) = thread::unbounded::<()>();
    /// let keeper = std::thread::spawn(move || sender.blocking_closed());
    /// evloop::run(async move { drop(receiver) });
    /// keeper.join().unwrap();
    /// ```
    #[track_caller]
    pub fn blocking_closed(&self) {
        assert_off_loop("blocking_closed", "await closed() there");
        // Without a timeout it ends with an output.
        block_on(self.closing(), None);
    }

    /// Whether the receiver is gone or closed: then nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.refuses()
    }

    /// How many items wait to be received, those that the receiver has at hand included.
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
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.link.add_sender();
        Self { link: self.link.clone() }
    }
}

/// The last one ends the channel: what was sent is still received.
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.link.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("channel", &self.stats()).finish()
    }
}

/// The future of [`Sender::send`].
struct Sending<'a, T> {
    link: &'a Link<T>,
    value: Option<T>,
    /// In line, or called and not come yet.
    place: Option<WaitKey>,
    outside: OutsideWait,
}

// Nothing in it is pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { link, value, place, outside } = &mut *self;
        assert!(value.is_some(), "a send was polled after it was ready");
        if !affords() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let sent = link.poll_send(value, place, cx.waker());
        match sent {
            Poll::Pending => {
                outside.begin();
                probe::waits_for(|| "thread::Sender::send".into());
            }
            Poll::Ready(_) => outside.end(),
        }
        sent
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.link.leave(place);
        }
    }
}

/// The future of [`Sender::closed`].
struct Closing<'a, T> {
    link: &'a Link<T>,
    /// In line, or called.
    place: Option<WaitKey>,
    outside: OutsideWait,
}

impl<T> Future for Closing<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { link, place, outside } = &mut *self;
        let closed = link.poll_closed(place, cx.waker());
        match closed {
            Poll::Pending => {
                outside.begin();
                probe::waits_for(|| "thread::Sender::closed".into());
            }
            Poll::Ready(()) => outside.end(),
        }
        closed
    }
}

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.link.stop_watching(place);
        }
    }
}

/// Whether the step of a loop that runs may exchange one more thing with the outside.
pub(super) fn affords() -> bool {
    with_current(|_, home| home.afford()) != Some(false)
}
