//! A channel whose ends may live anywhere: on other loops, on plain threads, under other executors.
//!
//! It is the one channel of evloop whose ends are `Send`. Any number of [`Sender`]s, one [`Receiver`]; with a bound,
//! by [`channel`], or without one, by [`unbounded`]. Each end can be awaited, and off the loops it can block. Between
//! tasks of one loop take [`Queue`](crate::Queue): it costs less, and the virtual clock knows all about it.
//!
//! A loop that sleeps is woken once, by the first item: who sends a thousand to it makes one system call. Who
//! has to wait, a loop or a thread, stays awake for some microseconds where waits turn out to be that short and nobody
//! else needs the core: two who are busy with each other seldom sleep.
//!
//! ```
//! use evloop::channel::thread;
//!
//! // A plain thread asks, a loop answers.
//! let (ask, mut questions) = thread::channel(10);
//! let (answer, mut answers) = thread::unbounded();
//! let client = std::thread::spawn(move || {
//!     for n in 1..=3 {
//!         ask.blocking_send(n).unwrap();
//!     }
//!     drop(ask); // ends the loop's part
//!     let mut all = Vec::new();
//!     while let Some(square) = answers.blocking_recv() {
//!         all.push(square);
//!     }
//!     all
//! });
//! evloop::run(async move {
//!     while let Some(n) = questions.recv().await {
//!         answer.send(n * n).await.unwrap();
//!     }
//! });
//! assert_eq!(client.join().unwrap(), [1, 4, 9]);
//! ```
//!
//! # The virtual clock
//! Who waits for its other end waits for the outside. While a task of a loop on the virtual clock does so, time passes at
//! real pace there, as with a [`LoopProxy`](crate::LoopProxy), and the loop is not taken for stuck. This is so wherever
//! the other end is: nobody can know where it was sent.
//!
//! # asyncio
//! None: there one uses a `queue.Queue` on one side and `loop.call_soon_threadsafe` on the other.

mod blocking;
mod link;
mod receipts;
mod receiver;
mod sender;
mod stats;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

pub use crate::channel::error::{SendError, TryRecvError, TrySendError};
pub use receiver::Receiver;
pub use sender::Sender;
pub use stats::Stats;

use link::Link;

/// Makes a channel in which up to `capacity` items wait to be received; who sends more waits.
///
/// # Panics
/// If `capacity` is 0, or more than a quarter of `usize::MAX`.
///
/// # asyncio
/// No counterpart; see the [module](self).
///
/// # Examples
/// ```
/// let (sender, mut receiver) = evloop::channel::thread::channel(1);
/// sender.try_send("only").unwrap();
/// assert!(sender.try_send("one too many").is_err());
/// assert_eq!(receiver.try_recv(), Ok("only"));
/// ```
#[track_caller]
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel with room for nothing: its capacity must be at least 1");
    assert!(capacity <= usize::MAX / 4, "a channel that large is better made by unbounded()");
    open(Some(capacity))
}

/// Makes a channel in which any number of items wait: sends never wait.
///
/// # asyncio
/// No counterpart; see the [module](self).
///
/// # Examples
/// ```
/// let (sender, mut receiver) = evloop::channel::thread::unbounded();
/// for n in 0..1000 {
///     sender.try_send(n).unwrap();
/// }
/// assert_eq!(receiver.try_recv(), Ok(0));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    open(None)
}

fn open<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let link = Arc::new(Link::new(capacity));
    (Sender::new(link.clone()), Receiver::new(link))
}
