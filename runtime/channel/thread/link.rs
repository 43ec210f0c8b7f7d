//! What the two ends share.
//!
//! One lock guards the items that were sent, the line of senders who wait for room, and the receiver's waker.
//! The receiver takes *all* items at once and then gives them out without the lock; so that the capacity still
//! means what was not received, it counts each item it gives out in a word of its own (`receipts.rs`). Senders
//! work with the room they know of, and look at that word when it is used up.
//!
//! ```text
//! senders ──► queue ───── all at once ────► batch ──► receiver
//!    │       (locked)                     (its own)      │
//!    └── room used up? ◄──────── receipts ◄──────────────┘  one more; watched? call the first in line
//! ```
//!
//! Room that becomes free while somebody waits is *promised* to the first in line: it leaves the line, and the
//! slot is its own until it comes or gives up. While anybody is in line nobody else gets room, so there is no
//! barging. In line, with room to be had, nobody stays: whoever makes room, joins or gives a promise back looks
//! (`call_waiting`).
//!
//! Once the receiver has closed nobody joins a line, and it calls all who are in one: those who wait for room, and
//! those who wait for just that.
//!
//! Foreign code (wakers, values) runs outside of the lock.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::PoisonError;
use std::task::{Poll, Waker};

use super::receipts::{Receipts, further};
use super::stats::Stats;
use crate::channel::error::{SendError, TrySendError};
use crate::kernel::atomic::{Mutex, MutexGuard};
use crate::kernel::{Line, WaitKey, guarded};

/// See the module's description.
pub(super) struct Link<T> {
    state: Mutex<State<T>>,
    receipts: Receipts,
    /// `None`: without a bound. Then there is always room, and nobody watches receipts.
    capacity: Option<usize>,
}

struct State<T> {
    queue: VecDeque<T>,
    /// Items sent so far.
    sent: u64,
    /// Slots that are free and promised to nobody, as far as receipts were looked at.
    room: usize,
    /// The receipts that `room` knows of.
    seen: usize,
    /// Senders who wait for room. Who is not in line any more was promised a slot, or the receiver has closed.
    line: Line<Waker>,
    waiting: usize,
    watched: bool,
    /// Senders who wait for the receiver to close or to go.
    watchers: Line<Waker>,
    /// The receiver's, while it waits.
    receiver: Option<Waker>,
    senders: usize,
    closed: Closed,
}

/// What the receiver has done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closed {
    No,
    /// It receives what was sent before, and nothing else.
    ForMore,
    /// It is gone.
    ForGood,
}

/// What the receiver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Items,
    /// Nothing, so far.
    Nothing,
    /// Nothing, and nothing can come.
    TheEnd,
}

/// A buffer for more items than this, that is far too large for what comes now, is given back.
const LARGE: usize = 1024;

impl<T> Link<T> {
    /// With one sender.
    pub(super) fn new(capacity: Option<usize>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            sent: 0,
            room: capacity.unwrap_or(0),
            seen: 0,
            line: Line::new(),
            waiting: 0,
            watched: false,
            watchers: Line::new(),
            receiver: None,
            senders: 1,
            closed: Closed::No,
        };
        Self { state: Mutex::new(state), receipts: Receipts::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No foreign code runs under this lock, so it is whole whatever happened.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    // The senders' side.

    pub(super) fn add_sender(&self) {
        self.lock().senders += 1;
    }

    pub(super) fn remove_sender(&self) {
        let mut state = self.lock();
        state.senders -= 1;
        let receiver = if state.senders == 0 { state.receiver.take() } else { None };
        drop(state);
        wake(receiver);
    }

    /// Whether what is sent would come back.
    pub(super) fn refuses(&self) -> bool {
        self.lock().closed != Closed::No
    }

    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut state = self.lock();
        if state.closed != Closed::No {
            drop(state);
            return Err(TrySendError::Closed(value));
        }
        if !self.claim(&mut state) {
            drop(state);
            return Err(TrySendError::Full(value));
        }
        self.put(state, value);
        Ok(())
    }

    /// Sends the value, or waits in line; `place` is where.
    pub(super) fn poll_send(
        &self,
        value: &mut Option<T>,
        place: &mut Option<WaitKey>,
        waker: &Waker,
    ) -> Poll<Result<(), SendError<T>>> {
        // To clone it is foreign code: when it turns out to be needed, one more round is made.
        let mut fresh: Option<Waker> = None;
        loop {
            let mut state = self.lock();
            let called = match place.map(|key| state.line.get_mut(key)) {
                None => false,
                Some(None) => true,
                Some(Some(current)) => {
                    if current.will_wake(waker) {
                        return Poll::Pending;
                    }
                    let former = fresh.take().map(|fresh| std::mem::replace(current, fresh));
                    drop(state);
                    if former.is_some() {
                        drop(former);
                        return Poll::Pending;
                    }
                    fresh = Some(waker.clone());
                    continue;
                }
            };
            *place = None;
            if state.closed != Closed::No {
                drop(state);
                return Poll::Ready(value.take().map_or(Ok(()), |value| Err(SendError(value))));
            }
            if called || self.claim(&mut state) {
                if let Some(value) = value.take() {
                    self.put(state, value);
                }
                return Poll::Ready(Ok(()));
            }
            if let Some(fresh) = fresh.take() {
                *place = Some(state.line.push_back(fresh));
                state.waiting += 1;
                drop(state);
                self.call_waiting();
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(waker.clone());
        }
    }

    /// Gives a place up; a promise goes to the next.
    pub(super) fn leave(&self, place: WaitKey) {
        let mut state = self.lock();
        if let Some(waker) = state.line.remove(place) {
            state.waiting -= 1;
            drop(state);
            drop(waker);
        } else if state.closed == Closed::No {
            state.room += 1;
            drop(state);
            self.call_waiting();
        }
    }

    /// Waits until sends are refused; `place` is where.
    pub(super) fn poll_closed(&self, place: &mut Option<WaitKey>, waker: &Waker) -> Poll<()> {
        // As in `poll_send`.
        let mut fresh: Option<Waker> = None;
        loop {
            let mut state = self.lock();
            if state.closed != Closed::No {
                return Poll::Ready(());
            }
            match place.and_then(|key| state.watchers.get_mut(key)) {
                Some(current) if current.will_wake(waker) => return Poll::Pending,
                Some(current) => {
                    if let Some(fresh) = fresh.take() {
                        let former = std::mem::replace(current, fresh);
                        drop(state);
                        drop(former);
                        return Poll::Pending;
                    }
                }
                None => {
                    if let Some(fresh) = fresh.take() {
                        *place = Some(state.watchers.push_back(fresh));
                        return Poll::Pending;
                    }
                }
            }
            drop(state);
            fresh = Some(waker.clone());
        }
    }

    /// Waits no more for the receiver to go.
    pub(super) fn stop_watching(&self, place: WaitKey) {
        let waker = self.lock().watchers.remove(place);
        drop(waker);
    }

    /// Takes a slot that is free and that nobody waits for.
    fn claim(&self, state: &mut State<T>) -> bool {
        if self.capacity.is_none() {
            return true;
        }
        if state.waiting > 0 {
            return false;
        }
        if state.room == 0 {
            state.account(self.receipts.count());
        }
        let free = state.room > 0;
        state.room -= usize::from(free);
        free
    }

    /// Puts a value into the slot that it has.
    fn put(&self, mut state: MutexGuard<'_, State<T>>, value: T) {
        state.queue.push_back(value);
        state.sent += 1;
        let receiver = state.receiver.take();
        drop(state);
        wake(receiver);
    }

    /// Promises what room there is to those in line.
    fn call_waiting(&self) {
        loop {
            let (waker, more) = self.call_next();
            wake(waker);
            if !more {
                return;
            }
        }
    }

    /// Takes the first out of the line, if there is room; says whether there are more.
    fn call_next(&self) -> (Option<Waker>, bool) {
        let mut state = self.lock();
        if state.waiting > 0 && state.room == 0 {
            state.account(self.receipts.count());
            if state.room == 0 && !state.watched {
                state.watched = true;
                state.account(self.receipts.watch());
            }
            if state.room == 0 {
                return (None, false);
            }
        }
        let first = state.leave_first();
        state.room -= usize::from(first.is_some());
        if state.waiting == 0 && state.watched {
            state.watched = false;
            self.receipts.unwatch();
        }
        (first, state.waiting > 0)
    }

    // The receiver's side.

    /// Exchanges an empty batch for all that was sent.
    pub(super) fn refill(&self, batch: &mut VecDeque<T>) -> Found {
        let (found, spare) = self.lock().refill(batch);
        drop(spare);
        found
    }

    /// As [`refill`](Self::refill); where nothing has come, the waker is called when something does.
    pub(super) fn refill_or_wait(&self, batch: &mut VecDeque<T>, waker: Waker) -> Found {
        let mut state = self.lock();
        let (found, spare) = state.refill(batch);
        let unused = if found == Found::Nothing { state.receiver.replace(waker) } else { Some(waker) };
        drop(state);
        drop((unused, spare));
        found
    }

    /// Calls nobody any more.
    pub(super) fn stop_waiting(&self) {
        let waker = self.lock().receiver.take();
        drop(waker);
    }

    /// An item has been received.
    pub(super) fn received(&self) {
        if self.capacity.is_none() {
            self.receipts.add_unwatched();
        } else if self.receipts.add() {
            self.call_waiting();
        }
    }

    /// Whether nothing more is sent.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Refuses what comes from now on; those who wait hear of it.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if state.closed == Closed::No {
            state.closed = Closed::ForMore;
        }
        // A stream that was polled somewhere.
        let receiver = state.receiver.take();
        drop(state);
        wake(receiver);
        while let Some(waker) = self.send_away() {
            wake(Some(waker));
        }
    }

    /// Somebody who has not heard of the close: first those who wait for room.
    fn send_away(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.leave_first().or_else(|| state.watchers.pop_front(NonZeroU64::MAX))
    }

    /// As [`close`](Self::close); what was sent and not taken is dropped.
    pub(super) fn abandon(&self) {
        self.close();
        let mut state = self.lock();
        state.closed = Closed::ForGood;
        let left = std::mem::take(&mut state.queue);
        drop(state);
        drop(left);
    }

    // Both.

    pub(super) fn len(&self) -> usize {
        self.stats().len
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        // What was received was sent before, so under the lock this is no less than nothing.
        let left = further(state.sent as usize, self.receipts.count());
        Stats {
            capacity: self.capacity,
            len: if state.closed == Closed::ForGood { 0 } else { left },
            sent: state.sent,
            received: state.sent - left as u64,
            senders: state.senders,
            waiting_senders: state.waiting,
            receiver_waits: state.receiver.is_some(),
        }
    }
}

impl<T> State<T> {
    /// Adds the room that receipts have made.
    fn account(&mut self, count: usize) {
        self.room += further(count, self.seen);
        self.seen = count;
    }

    fn leave_first(&mut self) -> Option<Waker> {
        let first = self.line.pop_front(NonZeroU64::MAX)?;
        self.waiting -= 1;
        Some(first)
    }

    fn is_over(&self) -> bool {
        self.senders == 0 || self.closed != Closed::No
    }

    /// Also returns a buffer to be dropped.
    fn refill(&mut self, batch: &mut VecDeque<T>) -> (Found, VecDeque<T>) {
        if self.queue.is_empty() {
            return (if self.is_over() { Found::TheEnd } else { Found::Nothing }, VecDeque::new());
        }
        let too_large = batch.capacity() > LARGE.max(8 * self.queue.len());
        let spare = if too_large { std::mem::take(batch) } else { VecDeque::new() };
        std::mem::swap(batch, &mut self.queue);
        (Found::Items, spare)
    }
}

/// A waker that panics is no business of whoever calls it, who may have others to call.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        guarded("a waker panicked", || waker.wake());
    }
}
