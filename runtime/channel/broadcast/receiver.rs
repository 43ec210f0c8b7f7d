//! The receiving end: a number in the ring, and a place in the line.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::Shared;
use super::error::{Lagged, RecvError, TryRecvError};
use crate::kernel::{Place, Standing};

/// Receives every value that was sent since it was made, by [`channel`](super::channel) or [`Sender::subscribe`](super::Sender::subscribe).
///
/// It is a [`Stream`] of `Result<T, Lagged>`.
///
/// # asyncio
/// No counterpart.
#[must_use = "a receiver that is dropped receives nothing"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The number of the value that it wants.
    next: u64,
    place: Place,
    /// It was told that nothing can come any more.
    has_heard: bool,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        let next = shared.ring.borrow().next();
        Receiver { shared, next, place: Place::new(), has_heard: false }
    }

    /// Makes a receiver of what is sent from now on, as [`Sender::subscribe`](super::Sender::subscribe).
    ///
    /// # Examples
    /// ```
    /// let (sender, mut first) = evloop::channel::broadcast::channel(4);
    /// sender.send(1).unwrap();
    /// let mut second = first.resubscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(second.try_recv(), Ok(2));
    /// assert_eq!(first.try_recv(), Ok(1));
    /// ```
    pub fn resubscribe(&self) -> Self {
        Receiver::new(self.shared.clone())
    }

    /// How many values were sent that this receiver has not seen; also those that it has missed.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.ring.borrow().next() - self.next).unwrap_or(usize::MAX)
    }

    /// Has it seen everything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next value, if there is one; moves on, also past what was missed.
    fn take(&mut self) -> Result<Rc<T>, TryRecvError> {
        let mut ring = self.shared.ring.borrow_mut();
        match ring.see(self.next) {
            Some(Ok(value)) => {
                self.next += 1;
                Ok(value)
            }
            Some(Err(missed)) => {
                self.next += missed;
                Err(TryRecvError::Lagged(missed))
            }
            None if self.shared.senders.get() == 0 => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T: Clone> Receiver<T> {
    /// Receives the next value, waiting while there is none. The last one who receives it gets the value itself, the others
    /// get clones.
    ///
    /// # Errors
    /// [`Lagged`](RecvError::Lagged) with the number of values that this receiver has missed; the next call gives the oldest
    /// that is kept. [`Closed`](RecvError::Closed) after the last value, when all senders are gone.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future takes no value.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::broadcast::{self, RecvError};
    ///
    /// evloop::run(async {
    ///     let (sender, mut receiver) = broadcast::channel(2);
    ///     for n in 1..=5 {
    ///         sender.send(n).unwrap();
    ///     }
    ///     drop(sender);
    ///     let mut seen = Vec::new();
    ///     let end = loop {
    ///         match receiver.recv().await {
    ///             Ok(n) => seen.push(n),
    ///             Err(RecvError::Lagged(missed)) => println!("too slow for {missed} of them"),
    ///             Err(end) => break end,
    ///         }
    ///     };
    ///     assert_eq!((seen, end), (vec![4, 5], RecvError::Closed));
    /// });
    /// ```
    pub fn recv(&mut self) -> impl Future<Output = Result<T, RecvError>> {
        Recv { receiver: self }
    }

    /// Receives the next value if there is one.
    ///
    /// # Errors
    /// Those of [`recv`](Receiver::recv), and [`Empty`](TryRecvError::Empty) where that waits.
    ///
    /// # Examples
    /// ```
    /// use evloop::channel::broadcast::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = broadcast::channel(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send('a').unwrap();
    /// sender.send('b').unwrap();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(1)));
    /// assert_eq!(receiver.try_recv(), Ok('b'));
    /// ```
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.take().map(Rc::unwrap_or_clone)
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let mut taken = self.take();
        if matches!(taken, Err(TryRecvError::Empty)) {
            if self.place.poll(&self.shared.line, cx.waker()) != Standing::InLine {
                self.place.enter(&self.shared.line, cx.waker());
            }
            // To clone the waker was foreign code, which may have sent.
            taken = self.take();
        }
        let result = match taken {
            Err(TryRecvError::Empty) => return Poll::Pending,
            Ok(value) => Ok(Rc::unwrap_or_clone(value)),
            Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
            Err(TryRecvError::Closed) => {
                self.has_heard = true;
                Err(RecvError::Closed)
            }
        };
        self.place.leave(&self.shared.line);
        Poll::Ready(result)
    }
}

impl<T: Clone> Stream for Receiver<T> {
    type Item = Result<T, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(|received| match received {
            Ok(value) => Some(Ok(value)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged(missed))),
            Err(RecvError::Closed) => None,
        })
    }
}

/// Terminated once it was received that the channel is closed: there is nothing to wait for any more.
impl<T: Clone> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.has_heard
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let shared = &*self.shared;
        let rest = shared.receivers.get() - 1;
        shared.receivers.set(rest);
        let unseen = shared.ring.borrow_mut().forget(self.next);
        self.place.leave(&shared.line); // all are called at once: there is nothing to pass on
        if rest == 0 {
            shared.watchers.wake_all();
        }
        drop(unseen); // the values' own code, last
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}

struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_recv(cx)
    }
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        let receiver = &mut *self.receiver;
        receiver.place.leave(&receiver.shared.line);
    }
}
