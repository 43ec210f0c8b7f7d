//! From many to all: every receiver gets every value that is sent after it subscribed.
//!
//! ```text
//!   number   7      8      9     10                 A has 8 next, B 10, C 11: it waits.
//!          ┌──────┬──────┬──────┬──────┐            D had 5: it will be told that it missed 2.
//!   ring   │ 1 to │ 2 to │ 2 to │ 3 to │  next: 11
//!          │ go   │ go   │ go   │ go   │
//!          └──────┴──────┴──────┴──────┘
//! ```
//!
//! A ring keeps the last values, each with the number of receivers that have not seen it; numbers count for ever. Each receiver
//! knows the number that it wants next; if the ring begins later, it has missed some. What all have seen goes at once; the
//! last one gets the value itself, the others clones. A value lies in an `Rc`, for `T::clone` is foreign code and
//! runs when nothing is borrowed.

mod error;
mod receiver;
mod ring;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;

use super::deserted::Deserted;
pub use super::error::SendError;
use crate::kernel::WaitList;
pub use error::{Lagged, RecvError, TryRecvError};
pub use receiver::Receiver;
use ring::Ring;

/// Makes a channel that keeps the last `capacity` values for those receivers that have not seen them yet.
///
/// Sending never waits: a receiver that is more than `capacity` values behind misses the oldest, is told how many by
/// [`RecvError::Lagged`], and goes on with the oldest that is kept.
///
/// # Panics
/// If `capacity` is 0: a value is always stored before it is received.
///
/// # asyncio
/// No counterpart.
///
/// # Examples
/// ```
/// use evloop::channel::broadcast::{self, RecvError};
///
/// evloop::run(async {
///     let (sender, mut first) = broadcast::channel(2);
///     let mut second = sender.subscribe();
///     assert_eq!(sender.send("a").unwrap(), 2); // so many will get it
///     assert_eq!(first.recv().await, Ok("a"));
///     sender.send("b").unwrap();
///     sender.send("c").unwrap(); // the second one has not seen three
///     assert_eq!(second.recv().await, Err(RecvError::Lagged(1)));
///     assert_eq!(second.recv().await, Ok("b"));
///     drop(sender);
///     assert_eq!(second.recv().await, Ok("c"));
///     assert_eq!(second.recv().await, Err(RecvError::Closed));
/// });
/// ```
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a channel of capacity 0 could never hold a value: take 1, or channel::watch for the latest value"
    );
    let sender = Sender {
        shared: Rc::new(Shared {
            ring: RefCell::new(Ring::new()),
            capacity,
            senders: Cell::new(1),
            receivers: Cell::new(0),
            line: WaitList::of("broadcast::Receiver::recv"),
            watchers: WaitList::of("broadcast::Sender::closed"),
        }),
    };
    let receiver = sender.subscribe();
    (sender, receiver)
}

struct Shared<T> {
    ring: RefCell<Ring<T>>,
    capacity: usize,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Receivers that have seen all. A call goes to every one.
    line: WaitList,
    /// Senders that wait for the last receiver to go.
    watchers: WaitList,
}

/// Sends to all receivers; made by [`channel`]. Clones send into the same one.
///
/// # asyncio
/// No counterpart.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a value to all who receive now; returns how many they are. It never waits.
    ///
    /// # Errors
    /// [`SendError`] with the value if nobody receives. Later there may be somebody again, see
    /// [`subscribe`](Sender::subscribe).
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = evloop::channel::broadcast::channel(4);
    /// assert_eq!(sender.send(1).unwrap(), 1);
    /// drop(receiver);
    /// assert_eq!(sender.send(2).unwrap_err().0, 2);
    /// ```
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let shared = &*self.shared;
        let receivers = shared.receivers.get();
        if receivers == 0 {
            return Err(SendError(value));
        }
        let given_up = shared.ring.borrow_mut().push(value, receivers, shared.capacity);
        shared.line.wake_all();
        drop(given_up); // the value's own code, last
        Ok(receivers)
    }

    /// Makes a receiver of what is sent from now on.
    ///
    /// # Examples
    /// ```
    /// let (sender, mut first) = evloop::channel::broadcast::channel(4);
    /// sender.send(1).unwrap();
    /// let mut second = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(first.try_recv(), Ok(1));
    /// assert_eq!(second.try_recv(), Ok(2));
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone())
    }

    /// Waits until nobody receives any more. It is done even if somebody does again when this task runs.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, receiver) = evloop::channel::broadcast::channel::<u32>(4);
    ///     let _ = evloop::call_soon(move || drop(receiver));
    ///     sender.closed().await; // nobody listens any more
    ///     assert!(sender.is_closed());
    /// });
    /// ```
    pub fn closed(&self) -> impl Future<Output = ()> {
        Deserted::new(&self.shared.receivers, &self.shared.watchers)
    }

    /// Is there no receiver?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// How many values are kept because somebody has not seen them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.ring.borrow().len()
    }

    /// Has everybody seen everything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values are kept at most.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.shared.capacity
    }

    /// Do both send into the same channel?
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.set(self.shared.senders.get() + 1);
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let rest = self.shared.senders.get() - 1;
        self.shared.senders.set(rest);
        if rest == 0 {
            self.shared.line.wake_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("senders", &self.shared.senders.get())
            .field("receivers", &self.receiver_count())
            .field("waiting", &self.shared.line.len())
            .finish()
    }
}
