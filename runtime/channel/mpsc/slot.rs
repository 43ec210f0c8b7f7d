//! Waiting for a slot in a bounded channel.

use std::task::{Context, Poll};

use super::chan::Chan;
use crate::channel::error::{SendError, TrySendError};
use crate::kernel::{Place, Standing};

/// What `send` and `reserve` have in common. Who is called owns a slot; if he is dropped it goes to the next.
pub(super) struct Slot<'a, T> {
    pub(super) chan: &'a Chan<T>,
    place: Place,
}

impl<'a, T> Slot<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>) -> Self {
        Slot { chan, place: Place::new() }
    }

    /// Ready with a slot that is the caller's from now on.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.place.is_outside() { self.look(cx) } else { self.poll_again(cx) }
    }

    #[inline(always)]
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        match self.chan.take_slot() {
            Ok(()) => Poll::Ready(Ok(())),
            Err(TrySendError::Closed(())) => Poll::Ready(Err(SendError(()))),
            Err(TrySendError::Full(())) => self.wait(cx),
        }
    }

    #[inline(never)]
    fn poll_again(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let chan = self.chan;
        match self.place.poll(&chan.line, cx.waker()) {
            Standing::Outside => self.look(cx),
            Standing::InLine => Poll::Pending,
            Standing::Called if chan.is_closed() => Poll::Ready(Err(SendError(()))),
            Standing::Called => Poll::Ready(Ok(())),
        }
    }

    #[inline(never)]
    fn give_up(&mut self) {
        if self.place.leave(&self.chan.line) == Standing::Called && !self.chan.is_closed() {
            self.chan.leave_slot();
        }
    }

    #[inline(never)]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let chan = self.chan;
        self.place.enter(&chan.line, cx.waker());
        // Cloning the waker was foreign code: it may have received, or closed.
        match chan.take_slot() {
            Err(TrySendError::Full(())) => Poll::Pending,
            taken => {
                self.place.leave(&chan.line);
                Poll::Ready(taken.map_err(|_| SendError(())))
            }
        }
    }
}

impl<T> Drop for Slot<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.place.is_outside() {
            self.give_up();
        }
    }
}
