//! One value from one task to another.
//!
//! The state is a [`Cell`] for the value, two seats and two flags in one block, whose memory the loop keeps for the next: a
//! reply costs no `malloc`, only the task's step. [`Promise`](crate::Promise) is the same thing for many: its value stays
//! and is cloned, its line of waiters and callbacks is a second allocation at the first wait, and it does not know that
//! nobody will set it. It would carry both ends of a oneshot, and make each reply slower; so this is a state of its own,
//! with the same rules.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

pub use super::error::{RecvError, TryRecvError};
use super::seat::OnceSeat;
use crate::kernel::Twin;

/// Makes a channel for one value: the sender sends it, awaiting the receiver gives it.
///
/// Each side learns that the other one is gone: the receiver gets a [`RecvError`], the sender has its value back.
///
/// # asyncio
/// `loop.create_future()` between two tasks; the counterpart in full is [`Promise`](crate::Promise).
///
/// # Examples
/// ```
/// use evloop::channel::oneshot;
///
/// evloop::run(async {
///     let (sender, receiver) = oneshot::channel();
///     let _ = evloop::call_soon(move || drop(sender.send(7)));
///     assert_eq!(receiver.await, Ok(7));
///
///     let (sender, receiver) = oneshot::channel::<u32>();
///     drop(sender);
///     assert!(receiver.await.is_err());
/// });
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = Twin::pair(|| Shared {
        value: Cell::new(None),
        sender_is_gone: Cell::new(false),
        is_closed: Cell::new(false),
        receiver: OnceSeat::new(),
        sender: OnceSeat::new(),
    });
    (Sender { shared: sender }, Receiver { shared: receiver })
}

struct Shared<T> {
    value: Cell<Option<T>>,
    sender_is_gone: Cell<bool>,
    /// By the receiver, or it is gone.
    is_closed: Cell<bool>,
    receiver: OnceSeat,
    sender: OnceSeat,
}

impl<T> Shared<T> {
    /// Nothing will change any more for the receiver; a value is set just before its sender goes.
    #[inline]
    fn is_done(&self) -> bool {
        self.sender_is_gone.get() || self.is_closed.get()
    }

    fn close(&self) {
        if !self.is_closed.replace(true) {
            self.sender.call();
        }
    }
}

/// Sends the value; made by [`channel`].
///
/// # asyncio
/// The side of `asyncio.Future` that calls `set_result`.
#[must_use = "a sender that is dropped tells the receiver that nothing will come"]
pub struct Sender<T> {
    shared: Twin<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends the value, without waiting.
    ///
    /// # Errors
    /// The value, if the receiver is gone or has closed the channel. One that goes later drops the value.
    ///
    /// # asyncio
    /// `future.set_result(value)`.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = evloop::channel::oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send(5), Err(5));
    /// ```
    pub fn send(self, value: T) -> Result<(), T> {
        if self.shared.is_closed.get() {
            return Err(value);
        }
        self.shared.value.set(Some(value));
        Ok(()) // the receiver is called when the sender goes, which is now
    }

    /// Waits until the receiver is gone or has closed the channel: nobody wants the value any more.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # asyncio
    /// No counterpart: there, who awaits a future cancels it.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::oneshot;
    ///
    /// evloop::run(async {
    ///     let (mut sender, receiver) = oneshot::channel::<u32>();
    ///     let _ = evloop::call_soon(move || drop(receiver));
    ///     sender.closed().await; // there is no use in working on
    /// });
    /// ```
    pub fn closed(&mut self) -> impl Future<Output = ()> {
        Closed { sender: self }
    }

    /// Is the receiver gone, or has it closed the channel?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed.get()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.sender_is_gone.set(true);
        self.shared.receiver.call();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &*self.sender.shared;
        if !shared.is_closed.get() {
            shared.sender.wait(cx.waker(), "oneshot::Sender::closed");
        }
        // Also after cloning the waker, which may have closed it.
        if shared.is_closed.get() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        // Here a waker is for one wait; kept, it would keep its task's memory.
        self.sender.shared.sender.clear();
    }
}

/// A future of the value; made by [`channel`].
///
/// # Errors
/// [`RecvError`] if the sender was dropped without a value, the channel was [closed](Receiver::close) before, or the value
/// was taken already.
///
/// # Cancel safety
/// Safe by reference: `(&mut receiver).await` that is dropped takes nothing. The receiver itself, when it is dropped, drops the
/// value.
///
/// # asyncio
/// `await future`.
#[must_use = "a receiver that is dropped tells the sender that nobody wants the value"]
pub struct Receiver<T> {
    shared: Twin<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Takes the value if it is there.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if it can still come, [`Closed`](TryRecvError::Closed) if it cannot, or was taken.
    ///
    /// # asyncio
    /// `future.result()`.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::oneshot::{TryRecvError, channel};
    ///
    /// let (sender, mut receiver) = channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send('a').unwrap();
    /// assert_eq!(receiver.try_recv(), Ok('a'));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let shared = &*self.shared;
        if !shared.is_done() {
            return Err(TryRecvError::Empty);
        }
        shared.value.take().ok_or(TryRecvError::Closed)
    }

    /// Refuses a value that was not sent yet; one that was can still be received.
    ///
    /// # asyncio
    /// `future.cancel()`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::oneshot::channel();
    ///     receiver.close();
    ///     assert_eq!(sender.send(1), Err(1));
    ///     assert!(receiver.await.is_err());
    /// });
    /// ```
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Is there a value, or will there never be one?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shared.is_done()
    }

    /// Waits until there is a value or never will be, and leaves it there.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future takes nothing.
    ///
    /// # asyncio
    /// `await asyncio.wait([future])`.
    pub fn wait_done(&mut self) -> impl Future<Output = ()> {
        poll_fn(move |cx| self.poll_done(cx))
    }

    #[inline]
    fn poll_done(&self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &*self.shared;
        if !shared.is_done() {
            shared.receiver.wait(cx.waker(), "oneshot::Receiver");
        }
        // Also after cloning the waker, which may have sent.
        if shared.is_done() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_done(cx).map(|()| self.shared.value.take().ok_or(RecvError))
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        if self.shared.sender_is_gone.get() {
            return; // nobody has to hear of it, and what is left goes with the block
        }
        self.shared.close();
        self.shared.receiver.clear();
        drop(self.shared.value.take()); // the value's own code, last
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("done", &self.is_done()).finish()
    }
}
