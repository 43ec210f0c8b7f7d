//! What the two ends of a channel share: the values and the accounts.
//!
//! Each slot is in one of four states, and while the channel is open their numbers add up to the capacity:
//!
//! ```text
//!          first in line is called          he runs
//!         ┌──────────────────────► called ────────────┐
//!         │                           │ gives up      ▼      received
//!   (left behind) ◄───────────────────┴─────────── filled ──────────────► (left behind)
//!         │ nobody waits          dropped             ▲
//!         ▼                   ┌────────── permit ─────┤ Permit::send
//!        free ────────────────┴───────────────────────┘
//! ```
//!
//! A slot that is left behind becomes free only if nobody waits, and who finds none free joins the line; so *free* implies
//! that the line is empty. Once the receiver has closed the channel slots no longer matter.

use std::cell::Cell;
use std::iter;

use super::stats::Stats;
use crate::channel::error::TrySendError;
use crate::channel::seat::Seat;
use crate::kernel::{Fifo, WaitList};

pub(super) struct Chan<T> {
    items: Fifo<T>,
    /// `usize::MAX` where there is no bound.
    capacity: usize,
    free: Cell<usize>,
    /// Permits that are out.
    permits: Cell<usize>,
    senders: Cell<usize>,
    reception: Cell<Reception>,
    /// The most values there have been.
    peak: Cell<usize>,
    pub(super) receiver: Seat,
    /// Those who wait for a slot.
    pub(super) line: WaitList,
    /// Those who wait for the receiver to close.
    pub(super) watchers: WaitList,
}

/// What the receiver does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reception {
    Open,
    /// It takes what is in, and what permits still bring.
    Closed,
    Gone,
}

impl<T> Chan<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Chan {
            items: Fifo::new(),
            capacity,
            free: Cell::new(capacity),
            permits: Cell::new(0),
            senders: Cell::new(0),
            reception: Cell::new(Reception::Open),
            peak: Cell::new(0),
            receiver: Seat::of("mpsc::Receiver::recv"),
            line: WaitList::of("mpsc::Sender::send"),
            watchers: WaitList::of("mpsc::Sender::closed"),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many values can be sent at once.
    pub(super) fn free(&self) -> usize {
        if self.is_closed() { 0 } else { self.free.get() }
    }

    /// Has the receiver closed the channel, or is it gone?
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.reception.get() != Reception::Open
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            len: self.len(),
            peak: self.peak.get(),
            senders: self.senders.get(),
            waiting_senders: self.line.len(),
            receiver_waits: self.receiver.is_taken(),
        }
    }

    /// Takes a free slot.
    #[inline]
    pub(super) fn take_slot(&self) -> Result<(), TrySendError> {
        if self.is_closed() {
            return Err(TrySendError::Closed(()));
        }
        match self.free.get().checked_sub(1) {
            Some(rest) => {
                self.free.set(rest);
                Ok(())
            }
            None => Err(TrySendError::Full(())),
        }
    }

    /// Puts a value into a slot that is the caller's.
    #[inline(always)]
    pub(super) fn fill(&self, value: T) {
        self.items.push(value);
        let len = self.items.len();
        if len > self.peak.get() {
            self.peak.set(len);
        }
        self.receiver.call();
    }

    /// Takes the oldest value, whose slot is left behind.
    #[inline(always)] // twice for each message of a receiver that keeps pace
    pub(super) fn take(&self) -> Option<T> {
        let value = self.items.pop()?;
        self.leave_slot();
        Some(value)
    }

    /// Moves up to `limit` of the oldest values.
    pub(super) fn take_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        let count = self.len().min(limit);
        buffer.reserve(count);
        buffer.extend(iter::from_fn(|| self.items.pop()).take(count));
        self.leave_slots(count);
        count
    }

    /// Nothing is in, and nothing can come.
    pub(super) fn has_ended(&self) -> bool {
        let no_more = self.senders.get() == 0 || self.is_closed() && self.permits.get() == 0;
        no_more && self.items.is_empty()
    }

    /// Gives a slot to the first in line, or back.
    #[inline]
    pub(super) fn leave_slot(&self) {
        match self.line.pop_front() {
            Some(waker) => waker.wake(),
            None => self.free.set(self.free.get() + 1),
        }
    }

    fn leave_slots(&self, count: usize) {
        /// Slots without an owner; those that nobody wants are free, also if a waker panics.
        struct Left<'a>(&'a Cell<usize>, Cell<usize>);
        impl Drop for Left<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + self.1.get());
            }
        }
        let left = Left(&self.free, Cell::new(count));
        self.line.wake_while(|| {
            let rest = left.1.get().checked_sub(1);
            left.1.set(rest.unwrap_or(0));
            rest.is_some()
        });
    }

    pub(super) fn permit_made(&self) {
        self.permits.set(self.permits.get() + 1);
    }

    /// Gives a permit's value back if the receiver is gone.
    pub(super) fn permit_used(&self, value: T) -> Result<(), T> {
        self.permits.set(self.permits.get() - 1);
        if self.reception.get() == Reception::Gone {
            return Err(value);
        }
        self.fill(value);
        Ok(())
    }

    pub(super) fn permit_dropped(&self) {
        self.permits.set(self.permits.get() - 1);
        if !self.is_closed() {
            self.leave_slot();
        } else if self.permits.get() == 0 {
            self.receiver.call(); // that was the last one it waits for
        }
    }

    #[inline]
    pub(super) fn sender_made(&self) {
        self.senders.set(self.senders.get() + 1);
    }

    #[inline]
    pub(super) fn sender_dropped(&self) {
        let rest = self.senders.get() - 1;
        self.senders.set(rest);
        if rest == 0 {
            self.receiver.call();
        }
    }

    /// Refuses what is not under way, and calls all who wait.
    pub(super) fn close(&self) {
        if !self.is_closed() {
            self.reception.set(Reception::Closed);
            WaitList::wake_all_of(&[&self.line, &self.watchers]);
        }
    }

    /// The receiver is dropped.
    pub(super) fn abandon(&self) {
        let was_closed = self.is_closed();
        self.reception.set(Reception::Gone);
        let items = self.items.take();
        self.receiver.clear();
        if !was_closed {
            WaitList::wake_all_of(&[&self.line, &self.watchers]);
        }
        drop(items); // the values' own code, last
    }
}
