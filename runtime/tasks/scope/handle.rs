//! The value of a child, for those who want it.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::kernel::probe;

/// What a child leaves for its handle.
enum Outcome<T> {
    Open(Option<Waker>),
    Value(T),
    Taken,
    /// The child was dropped before it ended.
    Lost,
}

struct Slot<T>(RefCell<Outcome<T>>);

impl<T> Slot<T> {
    /// Decides, once; wakes who waits.
    fn settle(&self, outcome: Outcome<T>) {
        let former = self.0.replace(outcome);
        if let Outcome::Open(Some(waker)) = former {
            waker.wake();
        }
    }
}

/// The child's end of a slot.
pub(super) struct Promised<T>(Option<Rc<Slot<T>>>);

impl<T> Promised<T> {
    pub(super) fn keep(mut self, value: T) {
        if let Some(slot) = self.0.take() {
            slot.settle(Outcome::Value(value));
        }
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.settle(Outcome::Lost);
        }
    }
}

/// A child of a [`scope`](crate::scope()): a future of its value. Dropping it leaves the child alone.
///
/// # Panics
/// Awaiting panics if the child was dropped before it ended, because its scope was; and if the value was taken
/// before.
///
/// # Cancel safety
/// Safe: the value stays until it is taken.
pub struct ScopedChild<T> {
    slot: Rc<Slot<T>>,
}

/// A slot's two ends.
pub(super) fn slot<T>() -> (Promised<T>, ScopedChild<T>) {
    let slot = Rc::new(Slot(RefCell::new(Outcome::Open(None))));
    (Promised(Some(slot.clone())), ScopedChild { slot })
}

impl<T> ScopedChild<T> {
    /// Whether the child has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !matches!(*self.slot.0.borrow(), Outcome::Open(_))
    }
}

impl<T> Future for ScopedChild<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Cloned and dropped outside of the borrow: wakers are foreign.
        let waker = Some(cx.waker().clone());
        let former = {
            let mut outcome = self.slot.0.borrow_mut();
            match &mut *outcome {
                Outcome::Open(there) => std::mem::replace(there, waker),
                _ => match std::mem::replace(&mut *outcome, Outcome::Taken) {
                    Outcome::Value(value) => return Poll::Ready(value),
                    Outcome::Lost => panic!("a scope was dropped before this child of it had ended"),
                    _ => panic!("a child's value was taken before; await its handle once"),
                },
            }
        };
        drop(former);
        probe::waits_for(|| "a child of its scope".into());
        Poll::Pending
    }
}

impl<T> fmt::Debug for ScopedChild<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedChild").field("is_finished", &self.is_finished()).finish()
    }
}
