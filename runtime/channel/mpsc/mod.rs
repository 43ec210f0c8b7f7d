//! From many tasks to one: bounded by [`channel`], or of any length by [`unbounded`].
//!
//! `chan.rs` is what the ends share and holds the accounts; `slot.rs` waits for room, for `sender.rs` and `permit.rs`;
//! `receiver.rs` is the other end.
//!
//! A slot that a received value leaves behind goes to the first in the line of senders and is his from then on: nobody
//! can step in between, and whoever gives his turn up passes it on. So senders get in exactly in the order in which they
//! began to wait, which is more than asyncio's queue promises, where a called putter may find the room taken.

mod chan;
mod permit;
mod receiver;
mod sender;
mod slot;
mod stats;
mod unbounded;

pub use super::error::{SendError, TryRecvError, TrySendError};
pub use permit::Permit;
pub use receiver::Receiver;
pub use sender::Sender;
pub use stats::Stats;
pub use unbounded::UnboundedSender;

use std::rc::Rc;

use chan::Chan;

/// Makes a channel that holds at most `capacity` values; senders wait while it is full.
///
/// The sender can be cloned. The receiver gets the values in the order in which they were sent, and `None` after the
/// last one when all senders are gone.
///
/// # Panics
/// If `capacity` is 0: a value is always stored before it is received.
///
/// # asyncio
/// `asyncio.Queue(maxsize)` with two kinds of handles, and an end by itself in place of `shutdown()`.
///
/// # Examples
/// ```
/// use evloop::channel::mpsc;
///
/// evloop::run(async {
///     let (sender, mut receiver) = mpsc::channel(2);
///     for worker in 0..3 {
///         let sender = sender.clone();
///         let _ = evloop::create_task(async move {
///             for n in 0..3 {
///                 sender.send((worker, n)).await.unwrap(); // waits while two are in it
///             }
///         });
///     }
///     drop(sender); // the workers have theirs
///     let mut received = 0;
///     while let Some((_worker, _n)) = receiver.recv().await {
///         received += 1;
///     }
///     assert_eq!(received, 9);
/// });
/// ```
#[doc(alias = "bounded")]
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a channel of capacity 0 could never hold a value: take 1, or a oneshot beside each value to know that it \
         was received"
    );
    let chan = Rc::new(Chan::new(capacity));
    (Sender::new(chan.clone()), Receiver::new(chan))
}

/// Makes a channel without a bound: sending never waits.
///
/// It grows as long as more is sent than received. Where a sender is not to outrun the receiver, take [`channel`].
///
/// # asyncio
/// `asyncio.Queue()`.
///
/// # Examples
/// ```
/// use evloop::channel::mpsc;
///
/// evloop::run(async {
///     let (sender, mut receiver) = mpsc::unbounded();
///     let _ = evloop::call_soon(move || drop(sender.send("from a callback")));
///     assert_eq!(receiver.recv().await, Some("from a callback"));
///     assert_eq!(receiver.recv().await, None); // the callback and its sender are gone
/// });
/// ```
#[doc(alias = "unbounded_channel")]
pub fn unbounded<T>() -> (UnboundedSender<T>, Receiver<T>) {
    let chan = Rc::new(Chan::new(usize::MAX));
    (UnboundedSender::new(chan.clone()), Receiver::new(chan))
}
