//! The sending end of a channel without a bound.

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use super::chan::Chan;
use super::sender::{Closed, Handle};
use super::stats::Stats;
use crate::channel::error::SendError;

/// Sends into a channel without a bound; made by [`unbounded`](super::unbounded). Clones send into the same one.
///
/// # asyncio
/// `asyncio.Queue()`, the side of `put_nowait`.
pub struct UnboundedSender<T> {
    handle: Handle<T>,
}

impl<T> UnboundedSender<T> {
    pub(super) fn new(chan: Rc<Chan<T>>) -> Self {
        UnboundedSender { handle: Handle::new(chan) }
    }

    /// Sends a value. It never waits, so callbacks and destructors can send, too.
    ///
    /// # Errors
    /// [`SendError`] with the value if the receiver is gone or has closed the channel.
    ///
    /// # asyncio
    /// `queue.put_nowait(item)`.
    ///
    /// # Examples
    /// ```
    /// let (sender, mut receiver) = evloop::channel::mpsc::unbounded();
    /// sender.send(1).unwrap();
    /// receiver.close();
    /// assert_eq!(sender.send(2).unwrap_err().0, 2);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[doc(alias = "put_nowait")]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let chan = &*self.handle.chan;
        // Memory ends before the slots do, so it can only be closed.
        match chan.take_slot() {
            Ok(()) => {
                chan.fill(value);
                Ok(())
            }
            Err(_closed) => Err(SendError(value)),
        }
    }

    /// Waits until nobody will receive any more: the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # asyncio
    /// No counterpart.
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

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        UnboundedSender { handle: self.handle.clone() }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("closed", &self.is_closed())
            .field("stats", &self.stats())
            .finish()
    }
}
