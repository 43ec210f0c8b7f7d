//! The sending end of a bounded channel.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::chan::Chan;
use super::permit::{Permit, Reserve};
use super::slot::Slot;
use super::stats::Stats;
use crate::channel::error::{SendError, TrySendError};
use crate::kernel::{Place, Standing};

/// Sends into a bounded channel; made by [`channel`](super::channel). Clones send into the same one.
///
/// # asyncio
/// `asyncio.Queue`, the side of `put`.
pub struct Sender<T> {
    handle: Handle<T>,
}

impl<T> Sender<T> {
    pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
        Sender { handle: Handle::new(chan) }
    }

    /// Sends a value, waiting while the channel is full.
    ///
    /// Tasks that wait get in in the order in which they began to; nobody overtakes them.
    ///
    /// # Errors
    /// [`SendError`] with the value if the receiver is gone or has closed the channel, also during the wait.
    ///
    /// # Cancel safety
    /// Lossy. Dropping the future before it is done drops its value, and nothing else: it leaves the line, and a slot that it
    /// was called for goes to the next. To keep the value, wait by [`reserve`](Sender::reserve) and send after that.
    ///
    /// # asyncio
    /// `await queue.put(item)`; there, a called putter can find the room taken by somebody else.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, receiver) = evloop::channel::mpsc::channel(1);
    ///     sender.send("a").await.unwrap();
    ///     drop(receiver);
    ///     assert_eq!(sender.send("b").await.unwrap_err().0, "b");
    /// });
    /// ```
    #[doc(alias = "put")]
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        Send { slot: Slot::new(&self.handle.chan), value: Some(value) }
    }

    /// Sends a value if there is a free slot.
    ///
    /// # Errors
    /// With the value, [`Full`](TrySendError::Full) if there is none, [`Closed`](TrySendError::Closed) if the receiver is
    /// gone or has closed the channel.
    ///
    /// # asyncio
    /// `queue.put_nowait(item)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::mpsc::{TrySendError, channel};
    ///
    /// let (sender, receiver) = channel(1);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
    /// ```
    #[doc(alias = "put_nowait")]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let chan = &*self.handle.chan;
        match chan.take_slot() {
            Ok(()) => {
                chan.fill(value);
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(TrySendError::Full(value)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(value)),
        }
    }

    /// Waits for a slot and keeps it for one value, which need not exist yet.
    ///
    /// The wait is that of [`send`](Sender::send), in the same line. A permit that is dropped gives its slot to the next in
    /// line, or back.
    ///
    /// # Errors
    /// [`SendError`] if the receiver is gone or has closed the channel, also during the wait.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line; a slot that it was called for goes to the next.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// A value that must not get lost if the wait takes too long:
    /// ```
    /// use evloop::{channel::mpsc, time::secs, wait_for};
    ///
    /// evloop::run(async {
    ///     let (sender, mut receiver) = mpsc::channel(1);
    ///     let precious = String::from("precious");
    ///     match wait_for(sender.reserve(), secs(1)).await {
    ///         Ok(permit) => permit.unwrap().send(precious).unwrap(),
    ///         Err(_timeout) => println!("{precious} is still ours"),
    ///     }
    ///     assert_eq!(receiver.recv().await.unwrap(), "precious");
    /// });
    /// ```
    pub fn reserve(&self) -> impl Future<Output = Result<Permit<'_, T>, SendError>> {
        Reserve::new(&self.handle.chan)
    }

    /// Takes a free slot for one value, if there is one.
    ///
    /// # Errors
    /// [`Full`](TrySendError::Full) if there is none, [`Closed`](TrySendError::Closed) if the receiver is gone or has closed
    /// the channel.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// let (sender, _receiver) = evloop::channel::mpsc::channel(1);
    /// let permit = sender.try_reserve().unwrap();
    /// assert!(sender.try_send(1).is_err()); // the slot is taken
    /// permit.send(2).unwrap();
    /// ```
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError> {
        let chan = &*self.handle.chan;
        chan.take_slot().map(|()| Permit::new(chan))
    }

    /// Waits until nobody will receive any more: the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::mpsc;
    ///
    /// evloop::run(async {
    ///     let (sender, receiver) = mpsc::channel::<u32>(1);
    ///     drop(receiver);
    ///     sender.closed().await; // there is no use in working on
    ///     assert!(sender.is_closed());
    /// });
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> {
        Closed::new(&self.handle.chan)
    }

    /// Is the receiver gone, or has it closed the channel?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.chan.is_closed()
    }

    /// How many values are in the channel.
    #[doc(alias = "qsize")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.handle.chan.len()
    }

    /// Is no value in the channel?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values can be sent now without waiting; 0 if the channel is closed.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.handle.chan.free()
    }

    /// How many values the channel can hold.
    #[doc(alias = "maxsize")]
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.handle.chan.capacity()
    }

    /// Do both send into the same channel?
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.handle.is(&other.handle)
    }

    /// What there is to know about the channel, for logs and metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.chan.stats()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { handle: self.handle.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).field("stats", &self.stats()).finish()
    }
}

/// A sender, as the channel counts them.
pub(super) struct Handle<T> {
    pub(super) chan: Rc<Chan<T>>,
}

impl<T> Handle<T> {
    pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
        chan.sender_made();
        Handle { chan }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.chan, &other.chan)
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle::new(self.chan.clone())
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.chan.sender_dropped();
    }
}

struct Send<'a, T> {
    slot: Slot<'a, T>,
    value: Option<T>,
}

const IS_DONE: &str = "send() is done: do not poll it again";

// the value is only moved, never pinned
impl<T> Unpin for Send<'_, T> {}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Before it takes a slot, which nobody would give back.
        assert!(this.value.is_some(), "{IS_DONE}");
        let Poll::Ready(slot) = this.slot.poll(cx) else { return Poll::Pending };
        let value = this.value.take().expect(IS_DONE);
        Poll::Ready(match slot {
            Ok(()) => {
                this.slot.chan.fill(value);
                Ok(())
            }
            Err(SendError(())) => Err(SendError(value)),
        })
    }
}

/// Waits for the receiver to close.
pub(super) struct Closed<'a, T> {
    chan: &'a Chan<T>,
    place: Place,
}

impl<'a, T> Closed<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        Closed { chan, place: Place::new() }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let chan = self.chan;
        if self.place.poll(&chan.watchers, cx.waker()) == Standing::Outside && !chan.is_closed() {
            self.place.enter(&chan.watchers, cx.waker());
        }
        // Also after cloning the waker, which may have closed it.
        if chan.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        self.place.leave(&self.chan.watchers); // all are called at once: there is nothing to pass on
    }
}
