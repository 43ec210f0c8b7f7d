//! Where the one waits who has an end of a channel to himself.
//!
//! A line for one: a flag that says whether somebody waits, and his waker, which stays after the call. Whoever receives
//! in a loop waits with the same waker again and again, and neither clones nor drops it.
//!
//! A call is a hint to look again and nobody else's turn; so there is nothing to pass on.

use std::cell::Cell;
use std::task::Waker;

use crate::kernel::probe;

pub(super) struct Seat {
    is_taken: Cell<bool>,
    /// Of the one who waits, or who waited last.
    waker: Cell<Option<Waker>>,
    /// What one waits in, when asked: `mpsc::Receiver::recv`.
    operation: &'static str,
}

impl Seat {
    pub(super) const fn of(operation: &'static str) -> Self {
        Seat { is_taken: Cell::new(false), waker: Cell::new(None), operation }
    }

    /// Does somebody wait?
    pub(super) fn is_taken(&self) -> bool {
        self.is_taken.get()
    }

    /// Sits down. True if that ran foreign code: then what is waited for may have happened, and the caller looks again.
    #[inline]
    pub(super) fn wait(&self, waker: &Waker) -> bool {
        let kept = self.waker.take();
        if kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.waker.set(kept);
            if self.is_taken.replace(true) {
                probe::waits_for(|| self.operation.into());
            }
            return false;
        }
        let fresh = waker.clone();
        self.is_taken.set(true);
        drop((self.waker.replace(Some(fresh)), kept));
        true
    }

    /// Wakes whoever waits.
    #[inline]
    pub(super) fn call(&self) {
        if self.is_taken.replace(false) {
            self.wake();
        }
    }

    fn wake(&self) {
        let Some(waker) = self.waker.take() else { return };
        waker.wake_by_ref();
        // Whoever has sat down meanwhile keeps the seat.
        let newer = self.waker.take();
        let (kept, other) = if newer.is_some() { (newer, Some(waker)) } else { (Some(waker), None) };
        self.waker.set(kept);
        drop(other);
    }

    /// Stands up without having been called.
    #[inline]
    pub(super) fn leave(&self) {
        if self.is_taken.get() {
            self.clear();
        }
    }

    /// Nobody will wait here again soon: forgets the waker, which keeps its task's memory.
    pub(super) fn clear(&self) {
        self.is_taken.set(false);
        drop(self.waker.take());
    }
}

/// A seat for a single wait: the waker goes with the call.
pub(super) struct OnceSeat(Cell<Option<Waker>>);

impl OnceSeat {
    pub(super) const fn new() -> Self {
        OnceSeat(Cell::new(None))
    }

    /// Sits down, in an operation. That runs foreign code: what is waited for may have happened, and the caller looks
    /// again.
    #[inline]
    pub(super) fn wait(&self, waker: &Waker, operation: &'static str) {
        let kept = self.0.take();
        if kept.is_some() {
            probe::waits_for(|| operation.into());
        }
        if kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.0.set(kept);
            return;
        }
        let fresh = waker.clone();
        drop((self.0.replace(Some(fresh)), kept));
    }

    /// Wakes whoever waits.
    #[inline]
    pub(super) fn call(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Stands up.
    #[inline]
    pub(super) fn clear(&self) {
        drop(self.0.take());
    }
}
