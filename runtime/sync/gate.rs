//! Who may go in: one at a time, in the order in which they asked.
//!
//! ```text
//!            enter, nobody waits              leave, nobody waits
//!   Free ────────────────────────────► Held ────────────────────────► Free
//!                                       │ ▲
//!               leave, somebody waits:  │ │ the called one runs
//!             call the first in line    ▼ │
//!                                     Promised ──► the called one gives up: call the next, else Free
//! ```
//!
//! While the gate is *promised* nobody is in, but nobody else can go in either: a task that leaves and
//! wants in again at once goes to the end of the line. `Free` implies that the line is empty, so this one
//! state decides whether the fast path is open.
//!
//! It knows nothing of what lies behind it. Who holds it is noted and changes nothing: it is *not* reentrant.

use std::cell::Cell;
use std::task::Waker;

use crate::kernel::{Place, Standing, WaitList, current_task_id, probe, tell_of_own_lock};

pub(super) struct Gate {
    /// What one waits in: `Lock::acquire`.
    operation: &'static str,
    turn: Cell<Turn>,
    /// The task that went in last; 0 if that was none.
    holder: Cell<u64>,
    line: WaitList,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nobody is in, nobody waits.
    Free,
    /// Nobody is in; the first in line has been called and has not come yet.
    Promised,
    /// Somebody is in.
    Held,
}

impl Gate {
    pub(super) const fn of(operation: &'static str) -> Self {
        Gate { operation, turn: Cell::new(Turn::Free), holder: Cell::new(0), line: WaitList::of(operation) }
    }

    /// Goes in if nobody is in and nobody waits.
    #[inline]
    pub(super) fn try_enter(&self) -> bool {
        let is_free = self.turn.get() == Turn::Free;
        if is_free {
            self.enter();
        }
        is_free
    }

    /// A waiting future's poll: true once it has gone in.
    // The usual way is short enough to be inlined.
    #[inline]
    pub(super) fn poll_enter(&self, place: &mut Place, waker: &Waker) -> bool {
        place.is_outside() && self.try_enter() || self.poll_in_line(place, waker)
    }

    #[inline(never)]
    fn poll_in_line(&self, place: &mut Place, waker: &Waker) -> bool {
        match place.poll(&self.line, waker) {
            Standing::InLine => {
                self.say_who_holds_it();
                false
            }
            Standing::Called => {
                self.enter();
                true
            }
            Standing::Outside => {
                if self.holder() == Some(current_task_id()) {
                    tell_of_own_lock(self.operation);
                }
                let waker = waker.clone();
                // To clone it was foreign code, which may have left.
                let is_in = self.try_enter();
                if !is_in {
                    place.enter_as(&self.line, waker);
                }
                is_in
            }
        }
    }

    /// A waiting future's end: it leaves the line, and passes on a turn that it had been given.
    #[inline]
    pub(super) fn give_up(&self, place: &mut Place) {
        if place.leave(&self.line) == Standing::Called {
            self.pass_on();
        }
    }

    /// Calls the next in line after somebody has left, or after the one who was called has given up.
    #[inline]
    pub(super) fn pass_on(&self) {
        if self.line.is_empty() {
            self.turn.set(Turn::Free);
        } else {
            self.call_next();
        }
    }

    #[inline(never)]
    fn call_next(&self) {
        if let Some(waker) = self.line.pop_front() {
            self.turn.set(Turn::Promised);
            waker.wake();
        }
    }

    /// Calls all who wait, since there is no need to go in any more. They find the gate as it is.
    pub(super) fn call_off(&self) {
        self.line.wake_all();
    }

    pub(super) fn is_held(&self) -> bool {
        self.turn.get() == Turn::Held
    }

    /// The task that is in, if somebody is in and was in a task when he went in.
    pub(super) fn holder(&self) -> Option<u64> {
        Some(self.holder.get()).filter(|&id| id != 0 && self.is_held())
    }

    fn say_who_holds_it(&self) {
        if let Some(holder) = self.holder() {
            probe::in_hands_of("held by", holder);
        }
    }

    pub(super) fn line(&self) -> &WaitList {
        &self.line
    }

    #[inline]
    fn enter(&self) {
        self.turn.set(Turn::Held);
        self.holder.set(current_task_id());
    }
}
