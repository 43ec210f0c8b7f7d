//! How a cancellation enters a task and how it leaves: the task's side of `scope/`.
//!
//! `cancel()` only marks and wakes. The next step makes the offer while it polls: the first node that may
//! take it does. If nobody took it, the future is dropped. What nodes pass outwards arrives at the root
//! (`settle_raised`) and ends the task once every cleanup below is over.
//!
//! Who awaits a task passes on to it what is delivered to him, in his step. In asyncio the same request has reached the
//! task when it was made, and is one with what else comes before the task's step. So a task that has heard of a request
//! of that very moment is left alone (`forward`): else, where all are asked at once, as at the end of a run, it would be
//! asked again in the midst of its cleanup, if its step came before that of who awaits it. One of another moment is
//! another request: it may be what the task has to hear of after it has swallowed the first.

use std::mem;
use std::sync::Arc;
use std::task::Poll;

use super::handle::TaskRef;
use super::header::{Header, TaskPtr};
use super::offers::{extend, poll_again, poll_under, wake_all};
use super::state::{CANCEL, OFFER, STARTED};
use super::step::{end_cancelled, poll};
use crate::kernel::context::Home;
use crate::kernel::scope::delivery::{Delivery, Offer};
use crate::kernel::scope::tree::NIL;

impl TaskRef {
    /// Asks the task to end; `false` if it has.
    pub(super) fn request_cancel(&self, message: Option<Arc<str>>) -> bool {
        if self.done() {
            return false;
        }
        // SAFETY: a counted reference, at home.
        let moment = unsafe { self.task.loop_ref() }.with(|home| home.scopes.borrow().moment());
        self.ask(moment.unwrap_or_default(), message);
        true
    }

    /// Passes on to the task what was delivered to somebody who awaits it. It counts as a `cancel()`.
    pub(crate) fn forward(&self, delivery: &Delivery) {
        // SAFETY: a counted reference.
        if unsafe { self.task.block() }.home_if_current().is_none() {
            // Another loop counts its own moments.
            self.request_cancel(None);
            return;
        }
        if self.done() {
            return;
        }
        if self.has_heard_of(delivery) {
            self.header().attached.side(|side| side.cancelling = side.cancelling.saturating_add(1));
        } else {
            self.ask(delivery.asked, None);
        }
    }

    /// Whether what it was last told of was asked for at the same moment.
    pub(crate) fn has_heard_of(&self, delivery: &Delivery) -> bool {
        let heard = self.header().attached.side_if_any(|side| side.heard);
        // SAFETY: a counted reference.
        let is_of_this_loop = unsafe { self.task.block() }.home_if_current().is_some();
        is_of_this_loop && heard == Some(delivery.asked)
    }

    fn ask(&self, moment: u64, message: Option<Arc<str>>) {
        let header = self.header();
        let former = header.attached.side(|side| {
            side.cancelling = side.cancelling.saturating_add(1);
            side.asked = side.asked.max(moment);
            mem::replace(&mut side.message, message)
        });
        drop(former);
        header.state.set(CANCEL);
        // SAFETY: a counted reference, at home.
        let loop_ref = unsafe { self.task.loop_ref() };
        let root = header.root.get();
        if root != NIL {
            let wakers = loop_ref.with(|home| home.scopes.borrow_mut().wakers_below(root));
            wake_all(wakers.unwrap_or_default());
        }
        // SAFETY: as above.
        unsafe { self.task.wake_by_handle() };
    }
}

/// A step with a request, or with an offer left open by an earlier one. `true`: the task has its output.
///
/// # Safety
/// Alive, at home, unfinished, in its own step, not being polled.
#[cold]
pub(super) unsafe fn poll_offered(task: TaskPtr, home: &Home) -> bool {
    // SAFETY: alive.
    let header = unsafe { task.header() };
    let state = &header.state;
    let root = header.root.get();
    let kept = header.attached.side_if_any(|side| side.offer.take()).flatten();
    let requested = state.has(CANCEL);
    state.clear(CANCEL | OFFER);
    let offer = if requested {
        let live = root != NIL && home.scopes.borrow().has_live_below(root);
        if !state.has(STARTED) || !live {
            // Nobody inside could take it. A body that never ran never runs (O16).
            // SAFETY: the caller's duty.
            unsafe { end_cancelled(task) };
            return true;
        }
        let mut tree = home.scopes.borrow_mut();
        let serial = tree.next_serial();
        let asked = header.attached.side(|side| {
            side.heard = side.asked;
            side.asked
        });
        Offer { asked, ..Offer::new(tree.key(root), serial, home.step()) }
    } else {
        let Some(offer) = kept else {
            // SAFETY: the caller's duty.
            return unsafe { poll(task) };
        };
        offer
    };
    // SAFETY: the caller's duty.
    let (ended, mut offer) = poll_under(home, offer, || unsafe { poll(task) });
    if ended {
        return true;
    }
    if extend(home, &mut offer) {
        header.attached.side(|side| side.offer = Some(offer));
        state.set(OFFER);
        let wakers = home.scopes.borrow_mut().wakers_below(root);
        wake_all(wakers);
        // SAFETY: alive, at home.
        unsafe { task.wake_at_home(&home.ready) };
        return false;
    }
    if home.scopes.borrow().is_served(root, offer.id) {
        return false;
    }
    // SAFETY: the caller's duty.
    unsafe { end(task, header, home) };
    true
}

/// Passes on what has arrived at the root, once nothing below is busy. `true`: the task has its output.
///
/// # Safety
/// As [`poll_offered`].
#[cold]
pub(super) unsafe fn settle_raised(task: TaskPtr, home: &Home) -> bool {
    // SAFETY: alive.
    let header = unsafe { task.header() };
    let root = header.root.get();
    loop {
        let (again, wakers) = {
            let mut tree = home.scopes.borrow_mut();
            let Some(again) = tree.next_offer_again(root, home.step()) else { return false };
            let wakers = if again.is_some() { tree.wakers_below(root) } else { Vec::new() };
            (again, wakers)
        };
        wake_all(wakers);
        let Some(offer) = again else {
            // SAFETY: the caller's duty.
            unsafe { end(task, header, home) };
            return true;
        };
        let ended = poll_again(home, offer, || {
            // SAFETY: the caller's duty; not called again after it has ended.
            if unsafe { poll(task) } { Poll::Ready(()) } else { Poll::Pending }
        });
        if ended.is_ready() {
            return true;
        }
    }
}

/// Drops the future for a delivery that nobody inside took.
///
/// # Safety
/// Alive, at home, unfinished, not being polled.
unsafe fn end(task: TaskPtr, header: &Header, home: &Home) {
    let mut wakers = Vec::new();
    let mut tree = home.scopes.borrow_mut();
    tree.absorb(header.root.get(), None, &mut wakers);
    drop(tree);
    wake_all(wakers);
    // SAFETY: the caller's duty.
    unsafe { end_cancelled(task) };
}

/// The root of the task whose step runs, made on first use; [`NIL`] outside of any task.
pub(crate) fn current_root(home: &Home) -> u32 {
    let Some(entry) = home.current_task.get() else { return NIL };
    // SAFETY: `current_task` is set by `step::run` only, to the task whose step runs: alive, at home.
    let task = unsafe { TaskPtr::from_entry(entry) };
    // SAFETY: as above.
    let header = unsafe { task.header() };
    if header.root.get() == NIL {
        // The root's waker: whoever raises something here from outside of a step wakes the task.
        // SAFETY: as above; the clone is a counted waker.
        let waker = unsafe { task.borrowed_waker() };
        let root = home.scopes.borrow_mut().insert(NIL, Some((*waker).clone()));
        header.root.set(root.index);
    }
    header.root.get()
}
