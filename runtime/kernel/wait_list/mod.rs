//! FIFO of waiting wakers; leaving the line early is O(1).
//!
//! Every primitive that can make a task wait (queue, lock, event, …) keeps one line per condition
//! and stores the waker of each waiting future in it, with what it asks for if that differs. The line is
//! a doubly linked list whose nodes live in a slab:
//!
//! ```text
//! head ──► slot 2 ◄──► slot 0 ◄──► slot 5 ◄── tail          free ──► slot 1 ──► slot 3 ──► slot 4
//! ```
//!
//! Slot 0 lies in the list itself: a line of one, the most frequent by far, needs no memory of its own.
//!
//! A [`WaitKey`] is a slot number and the serial number of the entry. Serial numbers only ever
//! rise, so a key of an entry that has left is recognised even if its slot serves another one: *not
//! in line any more* is what "called" means here. [`Place`] wraps a key for the use in a future.
//!
//! No foreign code runs while the line is borrowed: wakers are cloned, woken and dropped before or
//! after. Whoever takes an entry out gets it by value.
//!
//! It is *not* a lock and knows no condition: the owner decides whom to call and what a called
//! future finds. Slots are reused, never given back before the list is dropped.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroU64;
use std::panic::{self, AssertUnwindSafe};
use std::task::Waker;

use super::debug::probe;
use super::exception::discard;

/// A line of waiting entries, in most cases plain wakers.
pub(crate) struct WaitList<E = Waker> {
    /// Beside the cell, so that the common question "does anyone wait?" is one load.
    len: Cell<usize>,
    peak: Cell<usize>,
    line: RefCell<Line<E>>,
    /// Nothing in it keeps it from moving to another thread, where those who wait here are not. It stays.
    stays: PhantomData<*const ()>,
    /// What its waiters say when they are asked what they wait for.
    operation: &'static str,
}

/// Names one entry of one [`WaitList`], for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WaitKey {
    serial: NonZeroU64,
    index: u32,
}

impl<E> WaitList<E> {
    #[allow(dead_code, reason = "what is not of an operation is of the tests")]
    pub(crate) const fn new() -> Self {
        Self::of("a turn in a line")
    }

    /// Of those who wait in an operation: `Lock::acquire`.
    pub(crate) const fn of(operation: &'static str) -> Self {
        WaitList {
            len: Cell::new(0),
            peak: Cell::new(0),
            line: RefCell::new(Line::new()),
            stays: PhantomData,
            operation,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// How long the line was when it was longest.
    pub(crate) fn peak(&self) -> usize {
        self.peak.get()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// Joins the line at its end.
    #[inline(never)]
    pub(crate) fn push(&self, entry: E) -> WaitKey {
        let len = self.len.get() + 1;
        self.len.set(len);
        if len > self.peak.get() {
            self.peak.set(len);
        }
        let pushed = self.line.borrow_mut().fill(entry);
        match pushed {
            Ok(key) => key,
            Err(entry) => self.push_more(entry),
        }
    }

    #[cold]
    #[inline(never)]
    fn push_more(&self, entry: E) -> WaitKey {
        self.line.borrow_mut().push_back(entry)
    }

    /// Takes the first entry out of the line.
    #[inline]
    pub(crate) fn pop_front(&self) -> Option<E> {
        if self.is_empty() {
            return None;
        }
        self.pop_front_until(NonZeroU64::MAX)
    }

    /// Takes the first entry out of the line if it is one that `may_go`.
    pub(crate) fn pop_front_if(&self, may_go: impl FnOnce(&E) -> bool) -> Option<E> {
        if self.is_empty() {
            return None;
        }
        let mut line = self.line.borrow_mut();
        let entry =
            if line.front().is_some_and(may_go) { line.pop_front(NonZeroU64::MAX)? } else { return None };
        self.len.set(self.len.get() - 1);
        Some(entry)
    }

    /// Is the entry in line?
    #[inline]
    fn holds(&self, key: WaitKey) -> bool {
        self.line.borrow().get(key).is_some()
    }

    /// Leaves the line. False if the entry was not in it any more, that is, if it had been called.
    #[inline(never)]
    pub(crate) fn remove(&self, key: WaitKey) -> bool {
        let entry = self.line.borrow_mut().remove(key);
        let was_in_line = entry.is_some();
        if was_in_line {
            self.len.set(self.len.get() - 1);
        }
        drop(entry); // foreign code, so only now that the borrow has ended and the count is right
        was_in_line
    }

    /// Is the entry in line? If so and it is not `is_current`, puts `fresh()` in its place, without
    /// moving it.
    pub(crate) fn refresh_with(
        &self,
        key: WaitKey,
        is_current: impl FnOnce(&E) -> bool,
        fresh: impl FnOnce() -> E,
    ) -> bool {
        self.refresh_part(key, is_current, fresh, |entry| entry)
    }

    /// The same for a part of the entry.
    fn refresh_part<P>(
        &self,
        key: WaitKey,
        is_current: impl FnOnce(&E) -> bool,
        fresh: impl FnOnce() -> P,
        part: impl FnOnce(&mut E) -> &mut P,
    ) -> bool {
        match self.line.borrow().get(key) {
            None => return false,
            Some(entry) => {
                probe::waits_for(|| self.operation.into());
                if is_current(entry) {
                    return true;
                }
            }
        }
        let mut fresh = fresh(); // foreign code: the entry may be gone afterwards
        let is_in_line = match self.line.borrow_mut().get_mut(key) {
            Some(entry) => {
                mem::swap(part(entry), &mut fresh);
                true
            }
            None => false,
        };
        drop(fresh); // the former one, or the one that came too late
        is_in_line
    }

    #[inline(never)]
    fn pop_front_until(&self, last: NonZeroU64) -> Option<E> {
        let entry = self.line.borrow_mut().pop_front(last)?;
        self.len.set(self.len.get() - 1);
        Some(entry)
    }
}

/// What stands in a line: at least the waker of the future that waits.
pub(crate) trait Waiter {
    fn waker(&self) -> &Waker;
    fn waker_mut(&mut self) -> &mut Waker;
}

impl Waiter for Waker {
    fn waker(&self) -> &Waker {
        self
    }

    fn waker_mut(&mut self) -> &mut Waker {
        self
    }
}

/// With what it asks for.
impl<A> Waiter for (Waker, A) {
    fn waker(&self) -> &Waker {
        &self.0
    }

    fn waker_mut(&mut self) -> &mut Waker {
        &mut self.0
    }
}

impl<E: Waiter> WaitList<E> {
    /// Is the entry in line? If so, makes sure that it would wake the task of `waker`.
    #[inline(never)]
    pub(crate) fn refresh(&self, key: WaitKey, waker: &Waker) -> bool {
        self.refresh_part(key, |old| old.waker().will_wake(waker), || waker.clone(), Waiter::waker_mut)
    }
}

impl WaitList<Waker> {
    /// Calls the first in line. False if nobody waits.
    #[inline]
    pub(crate) fn wake_one(&self) -> bool {
        let somebody_waits = !self.is_empty();
        if somebody_waits {
            self.wake_first();
        }
        somebody_waits
    }

    // Out of the way of those who find nobody, as all do who pass something on to a task that keeps pace.
    #[cold]
    fn wake_first(&self) {
        let waker = self.line.borrow_mut().pop_front(NonZeroU64::MAX);
        if let Some(waker) = waker {
            self.len.set(self.len.get() - 1);
            waker.wake();
        }
    }

    /// Calls everybody who is in line now, in order; who joins during the call is not meant.
    pub(crate) fn wake_all(&self) {
        Self::wake_all_of(&[self]);
    }

    /// As [`wake_all`](Self::wake_all), for several lines, one after the other.
    ///
    /// A waker that panics keeps nobody from his call: the first panic goes on when all are woken.
    pub(crate) fn wake_all_of(lines: &[&Self]) {
        let mut lines = lines.iter().filter(|line| !line.is_empty());
        let mut current: Option<(&Self, NonZeroU64)> = None;
        call_each(|| {
            loop {
                if let Some(waker) = current.and_then(|(line, last)| line.pop_front_until(last)) {
                    return Some(|| waker.wake());
                }
                let line = lines.next()?;
                current = Some((line, line.line.borrow().last_serial));
            }
        });
    }

    /// Calls one after the other as long as somebody waits and `go_on` says so, which is asked before each call.
    ///
    /// Panics of wakers as in [`wake_all_of`](Self::wake_all_of).
    pub(crate) fn wake_while(&self, mut go_on: impl FnMut() -> bool) {
        call_each(|| {
            let goes_on = !self.is_empty() && go_on();
            let waker = goes_on.then(|| self.pop_front()).flatten()?;
            Some(|| waker.wake())
        });
    }
}

/// Calls what `next` gives until it gives nothing. A panic keeps nobody from his call: the first one goes on when all
/// are called.
pub(crate) fn call_each<C: FnOnce()>(mut next: impl FnMut() -> Option<C>) {
    let mut first_panic = None;
    while let Some(call) = next() {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(call)) {
            match first_panic {
                None => first_panic = Some(payload),
                Some(_) => discard(payload),
            }
        }
    }
    if let Some(payload) = first_panic {
        panic::resume_unwind(payload);
    }
}

impl<E> fmt::Debug for WaitList<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Where a future stands with respect to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not joined, or has used its call.
    Outside,
    /// It waits.
    InLine,
    /// It was taken out of the line to be woken and has not acted on it yet.
    Called,
}

/// A future's place in a line.
///
/// `poll` answers where the future stands and turns *called* into *outside*: the caller now acts on
/// the call. A future with a place must `leave` in its `Drop`, and pass the call on if it was
/// called and the condition still holds.
#[derive(Debug, Default)]
pub(crate) struct Place {
    key: Option<WaitKey>,
}

impl Place {
    pub(crate) const fn new() -> Self {
        Place { key: None }
    }

    /// Whether the future has not joined, or has used its call.
    #[inline]
    pub(crate) fn is_outside(&self) -> bool {
        self.key.is_none()
    }

    /// Where does the future stand? While it waits, its waker is kept up to date and its place
    /// stays.
    #[inline]
    pub(crate) fn poll<E: Waiter>(&mut self, line: &WaitList<E>, waker: &Waker) -> Standing {
        let Some(key) = self.key else {
            return Standing::Outside;
        };
        // Most who are polled again were called: they need not know how a waker is refreshed.
        if line.holds(key) && line.refresh(key, waker) {
            return Standing::InLine;
        }
        self.key = None;
        Standing::Called
    }

    /// Joins the line at its end. The future must not be in it.
    pub(crate) fn enter(&mut self, line: &WaitList, waker: &Waker) {
        self.enter_as(line, waker.clone());
    }

    /// As [`enter`](Self::enter), with what it asks for.
    pub(crate) fn enter_as<E>(&mut self, line: &WaitList<E>, entry: E) {
        debug_assert!(self.key.is_none(), "a future waits in one place only");
        self.key = Some(line.push(entry));
    }

    /// Gives the place up and says where the future stood.
    #[inline]
    pub(crate) fn leave<E>(&mut self, line: &WaitList<E>) -> Standing {
        if self.is_outside() { Standing::Outside } else { self.leave_line(line) }
    }

    #[inline(never)]
    fn leave_line<E>(&mut self, line: &WaitList<E>) -> Standing {
        match self.key.take() {
            None => Standing::Outside,
            Some(key) if line.remove(key) => Standing::InLine,
            Some(_) => Standing::Called,
        }
    }
}

/// No slot: the end of the line or of the free list.
const NONE: u32 = u32::MAX;

/// The plain data structure; nothing in here calls foreign code. Behind a lock it serves several threads.
pub(crate) struct Line<E> {
    /// Number 0.
    first: Slot<E>,
    /// From number 1 on.
    more: Vec<Slot<E>>,
    head: u32,
    tail: u32,
    free: u32,
    last_serial: NonZeroU64,
}

struct Slot<E> {
    /// `None` in a free slot.
    entry: Option<E>,
    /// Of the entry, or of the last one that was here.
    serial: u64,
    /// The one before; of the first in line it means nothing.
    prev: u32,
    /// The next in line, or in a free slot the next free one.
    next: u32,
}

impl<E> Line<E> {
    pub(crate) const fn new() -> Self {
        let first = Slot { entry: None, serial: 0, prev: NONE, next: NONE };
        Line { first, more: Vec::new(), head: NONE, tail: NONE, free: 0, last_serial: NonZeroU64::MIN }
    }

    fn slot(&self, index: u32) -> Option<&Slot<E>> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(at) => self.more.get(at as usize),
        }
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<E>> {
        match index.checked_sub(1) {
            None => Some(&mut self.first),
            Some(at) => self.more.get_mut(at as usize),
        }
    }

    fn get(&self, key: WaitKey) -> Option<&E> {
        let slot = self.slot(key.index)?;
        if slot.serial == key.serial.get() { slot.entry.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: WaitKey) -> Option<&mut E> {
        let slot = self.slot_mut(key.index)?;
        if slot.serial == key.serial.get() { slot.entry.as_mut() } else { None }
    }

    fn front(&self) -> Option<&E> {
        self.slot(self.head)?.entry.as_ref()
    }

    pub(crate) fn push_back(&mut self, entry: E) -> WaitKey {
        self.fill(entry).unwrap_or_else(|entry| {
            self.add_slot();
            self.push_back(entry)
        })
    }

    fn add_slot(&mut self) {
        let index = u32::try_from(self.more.len() + 1).unwrap_or(NONE);
        assert!(index != NONE, "more than 2^32 futures wait in one line");
        self.more.push(Slot { entry: None, serial: 0, prev: NONE, next: NONE });
        self.free = index;
    }

    /// Joins the line at its end if a slot is free.
    #[inline(always)]
    fn fill(&mut self, entry: E) -> Result<WaitKey, E> {
        let (prev, index) = (self.tail, self.free);
        // 2^64 waits are never reached: at one a nanosecond they take 584 years
        let serial = self.last_serial.saturating_add(1);
        let Some(slot) = self.slot_mut(index) else { return Err(entry) };
        // There was none, which the compiler cannot know: it would write down how to drop it.
        mem::forget(slot.entry.replace(entry));
        slot.serial = serial.get();
        slot.prev = prev;
        let next_free = mem::replace(&mut slot.next, NONE);
        self.free = next_free;
        self.last_serial = serial;
        self.tail = index;
        match self.slot_mut(prev) {
            Some(last) => last.next = index,
            None => self.head = index,
        }
        Ok(WaitKey { serial, index })
    }

    #[inline]
    pub(crate) fn pop_front(&mut self, last: NonZeroU64) -> Option<E> {
        let (index, free) = (self.head, self.free);
        let slot = self.slot_mut(index)?;
        if slot.serial > last.get() {
            return None;
        }
        let entry = slot.entry.take();
        let next = mem::replace(&mut slot.next, free);
        self.free = index;
        self.head = next;
        if next == NONE {
            self.tail = NONE;
        }
        entry
    }

    pub(crate) fn remove(&mut self, key: WaitKey) -> Option<E> {
        self.get(key)?;
        self.unlink(key.index)
    }

    /// Takes the entry out of a slot that is in line.
    fn unlink(&mut self, index: u32) -> Option<E> {
        let free = self.free;
        let slot = self.slot_mut(index)?;
        let entry = slot.entry.take();
        let (prev, next) = (slot.prev, mem::replace(&mut slot.next, free));
        self.free = index;
        if index == self.head {
            self.head = next;
        } else if let Some(before) = self.slot_mut(prev) {
            before.next = next;
        }
        match self.slot_mut(next) {
            Some(after) => after.prev = prev,
            None => self.tail = if self.head == NONE { NONE } else { prev },
        }
        entry
    }
}

#[cfg(test)]
mod tests;
