//! Waiting for the last of many receivers to go, of which there may be some again later.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::kernel::{Place, Standing, WaitList};

/// Waits until there is no receiver. The last one calls all `watchers`.
pub(super) struct Deserted<'a> {
    receivers: &'a Cell<usize>,
    watchers: &'a WaitList,
    place: Place,
}

impl<'a> Deserted<'a> {
    pub(super) fn new(receivers: &'a Cell<usize>, watchers: &'a WaitList) -> Self {
        Deserted { receivers, watchers, place: Place::new() }
    }
}

impl Future for Deserted<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (receivers, watchers) = (self.receivers, self.watchers);
        match self.place.poll(watchers, cx.waker()) {
            Standing::InLine => return Poll::Pending,
            Standing::Called => return Poll::Ready(()), // there was none for a moment, that is enough
            Standing::Outside if receivers.get() > 0 => self.place.enter(watchers, cx.waker()),
            Standing::Outside => {}
        }
        // Also after cloning the waker, which may have dropped the last one.
        if receivers.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Deserted<'_> {
    fn drop(&mut self) {
        self.place.leave(self.watchers); // all are called at once: there is nothing to pass on
    }
}
