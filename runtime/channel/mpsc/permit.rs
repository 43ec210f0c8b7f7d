//! A slot that waits for its value.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::chan::Chan;
use super::slot::Slot;
use crate::channel::error::SendError;

/// Room for one value in a channel, from [`Sender::reserve`](super::Sender::reserve).
///
/// Dropping it gives the slot to the next in line, or back. The receiver waits for permits that were out when it closed the
/// channel, and for what they send.
///
/// # asyncio
/// No counterpart.
#[must_use = "a permit that is dropped at once gives its slot back at once"]
pub struct Permit<'a, T> {
    chan: &'a Chan<T>,
}

impl<'a, T> Permit<'a, T> {
    /// Of a slot that is the caller's.
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        chan.permit_made();
        Permit { chan }
    }

    /// Sends the value, without waiting.
    ///
    /// # Errors
    /// [`SendError`] with the value if the receiver is gone. One that has closed the channel still receives it.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let (sender, mut receiver) = evloop::channel::mpsc::channel(1);
    ///     let permit = sender.reserve().await.unwrap();
    ///     receiver.close();
    ///     permit.send(1).unwrap();
    ///     assert_eq!(receiver.recv().await, Some(1));
    ///     assert_eq!(receiver.recv().await, None);
    /// });
    /// ```
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        let chan = self.chan;
        mem::forget(self); // it owns nothing; the account is settled here
        chan.permit_used(value).map_err(SendError)
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.chan.permit_dropped();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

pub(super) struct Reserve<'a, T> {
    slot: Slot<'a, T>,
}

impl<'a, T> Reserve<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        Reserve { slot: Slot::new(chan) }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let chan = self.slot.chan;
        self.slot.poll(cx).map(|slot| slot.map(|()| Permit::new(chan)))
    }
}
