//! A group's limit: so many children run at once, the others stand in line.
//!
//! A child takes its slot, or its place in line, when it is created, not at its first step: else one that is
//! created later could be quicker. A slot that is given back goes to the first in line; until that one has its
//! step it counts as taken.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use crate::kernel::{Place, Standing, WaitList};

pub(super) struct Slots {
    free: Cell<usize>,
    line: WaitList,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Self {
        Self { free: Cell::new(limit), line: WaitList::of("room in its TaskGroup") }
    }

    fn take(&self) -> bool {
        let can = self.free.get() > 0;
        if can {
            self.free.set(self.free.get() - 1);
        }
        can
    }

    fn give_back(&self) {
        if !self.line.wake_one() {
            self.free.set(self.free.get() + 1);
        }
    }
}

/// A slot, or a place in line for one.
struct Claim {
    slots: Rc<Slots>,
    place: Place,
    has_slot: bool,
}

impl Claim {
    /// `waker` is for the time until the first poll.
    fn new(slots: Rc<Slots>, waker: &Waker) -> Self {
        // Nobody is in line while a slot is free.
        let mut claim = Self { place: Place::new(), has_slot: slots.take(), slots };
        if !claim.has_slot {
            claim.place.enter(&claim.slots.line, waker);
        }
        claim
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.has_slot {
            match self.place.poll(&self.slots.line, cx.waker()) {
                Standing::InLine => return Poll::Pending,
                Standing::Called | Standing::Outside => self.has_slot = true,
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let called = matches!(self.place.leave(&self.slots.line), Standing::Called);
        if self.has_slot || called {
            self.slots.give_back();
        }
    }
}

/// Waits until a slot is free and nobody is in line, and leaves it free.
pub(super) async fn wait_for_room(slots: Rc<Slots>) {
    let mut claim = None;
    poll_fn(|cx| claim.get_or_insert_with(|| Claim::new(slots.clone(), cx.waker())).poll(cx)).await;
}

/// A child of a group with a limit.
pub(super) struct Queued<T> {
    /// Before the claim, which is given up when it is gone. Boxed, so that not every kind of future is compiled
    /// twice.
    future: Pin<Box<dyn Future<Output = T>>>,
    claim: Claim,
}

impl<T> Queued<T> {
    pub(super) fn new(slots: Rc<Slots>, future: impl Future<Output = T> + 'static) -> Self {
        // Its task is made now and has its first step in any case: nobody has to be woken before.
        Self { future: Box::pin(future), claim: Claim::new(slots, Waker::noop()) }
    }
}

impl<T> Future for Queued<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        ready!(self.claim.poll(cx));
        self.future.as_mut().poll(cx)
    }
}
