//! Offers while they are open: polling under one, and when one outlives its step.

use std::task::Poll;

use super::header::TaskPtr;
use super::state::{QUEUED, WOKEN};
use crate::kernel::context::Home;
use crate::kernel::report::guarded;
use crate::kernel::scope::delivery::{EXTENSIONS, Offer};
use crate::kernel::scope::tree::Wakers;

/// Calls wakers that the tree gave out; no borrow is held.
#[inline]
pub(crate) fn wake_all(wakers: Wakers) {
    if !wakers.is_empty() {
        wake_each(wakers);
    }
}

#[cold]
fn wake_each(wakers: Wakers) {
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
    let close = Close { home, depth };
    let result = poll();
    note_woken(home);
    let offer = home.scopes.borrow_mut().open.pop();
    drop(close);
    let Some(offer) = offer else { unreachable!("the offer pushed above") };
    (result, offer)
}

/// Takes an offer off the stack also on unwind: whoever catches the panic, be it code inside of the task,
/// must not go on under an offer whose poll is over.
struct Close<'a> {
    home: &'a Home,
    depth: usize,
}

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.home.scopes.borrow_mut().open.truncate(self.depth - 1);
    }
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

/// Keeps an offer open into the next step, if [`may_extend`] says so. A step in which somebody took it does
/// not count against the limit: a stream that returns to the loop early (`FuturesUnordered` does when two
/// of its branches wake themselves) asks few branches in each. It ends all the same, since only those who
/// were born before the offer can take it, each once.
pub(crate) fn extend(home: &Home, offer: &mut Offer) -> bool {
    if !may_extend(home, offer) {
        return false;
    }
    if !offer.took_now {
        offer.extensions += 1;
    }
    if !offer.took {
        offer.born = home.scopes.borrow_mut().next_serial();
    }
    offer.took_now = false;
    offer.woken = false;
    true
}

/// Polls something under a re-offer: once, and on for as long as somebody takes it and the task is woken
/// meanwhile, for the same reason and with the same end as [`extend`].
pub(crate) fn poll_again<T>(home: &Home, mut offer: Offer, mut poll: impl FnMut() -> Poll<T>) -> Poll<T> {
    loop {
        let (result, kept) = poll_under(home, offer, &mut poll);
        if result.is_ready() || !(kept.took_now && (kept.woken || is_queued(home))) {
            return result;
        }
        offer = Offer { took_now: false, woken: false, ..kept };
    }
}

/// Whether the task whose step runs has been woken in this step: its next one is sure to come. Combinators
/// pass on only the first wake of each poll, so one that came before an offer may stand for one that comes
/// under it.
pub(crate) fn is_queued(home: &Home) -> bool {
    let Some(entry) = home.current_task.get() else { return false };
    // SAFETY: as in `current_root`.
    unsafe { TaskPtr::from_entry(entry).state() }.has(QUEUED)
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
