//! Offers while they are open: polling under one, and when one outlives its step.

use super::header::TaskPtr;
use super::state::WOKEN;
use crate::kernel::context::Home;
use crate::kernel::report::guarded;
use crate::kernel::scope::delivery::{EXTENSIONS, Offer};
use crate::kernel::scope::tree::Wakers;

/// Calls wakers that the tree gave out; no borrow is held.
pub(crate) fn wake_all(wakers: Wakers) {
    for waker in wakers {
        guarded("a waker panicked", || waker.wake());
    }
}

/// Polls something while `offer` is open; returns the offer with what happened to it.
pub(crate) fn poll_under<R>(home: &Home, offer: Offer, poll: impl FnOnce() -> R) -> (R, Offer) {
    note_woken(home);
    let depth = {
        let mut tree = home.scopes.borrow_mut();
        tree.open.push(offer);
        tree.open.len()
    };
    // A panic in there leaves the offer on the stack; the step that catches it empties the stack.
    let result = poll();
    note_woken(home);
    let mut tree = home.scopes.borrow_mut();
    tree.open.truncate(depth);
    let offer = tree.open.pop();
    drop(tree);
    let Some(offer) = offer else { unreachable!("the offer pushed above") };
    (result, offer)
}

/// Moves the task's "was woken" bit to the open offers, so that it can be asked again from here on.
pub(crate) fn note_woken(home: &Home) {
    if take_woken(home) {
        for offer in &mut home.scopes.borrow_mut().open {
            offer.woken = true;
        }
    }
}

/// Whether an offer stays open into the next step: somebody below may still come to it.
pub(crate) fn may_extend(home: &Home, offer: &Offer) -> bool {
    offer.extensions < EXTENSIONS
        && (offer.woken || (offer.saw_new && !offer.took))
        && home.scopes.borrow().has_live_below(offer.origin.index)
}

/// Whether the task whose step runs was woken since this was last asked; the bit starts anew.
fn take_woken(home: &Home) -> bool {
    let Some(entry) = home.current_task.get() else { return false };
    // SAFETY: as in `current_root`.
    let state = unsafe { TaskPtr::from_entry(entry).state() };
    let woken = state.has(WOKEN);
    state.clear(WOKEN);
    woken
}
