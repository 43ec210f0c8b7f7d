//! The bits and counts of a task: plain at home, atomic abroad. Pure transitions: each returns what the
//! caller must now do.
//!
//! # Who counts what
//! A reference is a waker, a [`TaskRef`](super::TaskRef) or a [`Task`](super::Task) handle. At home it is
//! counted in `local`, by plain arithmetic; abroad in `remote`, atomically, in units of [`ONE`]. Either may
//! be negative (cloned here, dropped there): only the sum means something.
//!
//! While a task is unfinished its loop keeps it alive, so nobody tests for zero. When it is done, neither
//! queued nor owned by a `Task`, the owner looks ([`settle`](State::settle)): a sum of zero means that no
//! reference exists and none can come, and the memory is freed without one atomic write in its life.
//! Otherwise the two counts are merged into `remote` for good, all counting becomes atomic, and whoever
//! brings it to zero frees.
//!
//! Why the look is exact: every change of `remote` is a read-modify-write, a reference is counted before
//! it is handed on, and handing it on orders the two; so no order of `remote`'s changes shows a drop
//! without the clone before it. What the owner loads may be old, but it holds every clone whose reference
//! has come home to be dropped here, since that came after. So when the sum is zero, every reference
//! counted in it has ended; and one that is not counted in it would have been cloned from one that is,
//! and after that had been counted as ended: there is none. Drops are `Release` and the last look
//! `Acquire`: all use of the memory happens before its end. `loom.rs` checks this.
//!
//! A task that lives long may be woken from abroad any number of times, each by a waker that was cloned
//! here and dropped there: `local` rises for ever while `remote` falls. Far from the end of either it is
//! carried over ([`carry_over`](State::carry_over)); the sum stays.
//!
//! A wake from abroad sets [`NOTIFIED`] in `remote` before it posts a letter: it holds later wakes back
//! (one letter is enough) and keeps the memory alive while the letter travels.

use std::cell::Cell;

use crate::kernel::atomic::{AtomicIsize, Ordering};

/// In the FIFO.
pub(super) const QUEUED: u32 = 1;
/// Ended: the output, if any, is in its place.
pub(super) const DONE: u32 = 1 << 1;
/// A `Task` exists: it owns the output.
pub(super) const JOIN: u32 = 1 << 2;
/// The stage holds the future.
pub(super) const FUTURE: u32 = 1 << 3;
/// The stage holds the output.
pub(super) const OUTPUT: u32 = 1 << 4;
/// Polled at least once.
pub(super) const STARTED: u32 = 1 << 5;
/// `cancel()` was called and not delivered yet.
pub(super) const CANCEL: u32 = 1 << 6;
/// An offer of an earlier step is still open (in the side box).
pub(super) const OFFER: u32 = 1 << 7;
/// Woken since the bit was last cleared, queued before or not.
pub(super) const WOKEN: u32 = 1 << 8;
/// Ended by cancellation.
pub(super) const CANCELLED: u32 = 1 << 9;
/// Ended by a panic that nobody has seen yet.
pub(super) const UNSEEN_PANIC: u32 = 1 << 10;

/// Ended by a panic.
pub(super) const PANICKED: u32 = 1 << 11;
/// Ended with an error for an output.
pub(super) const FAILED: u32 = CANCELLED | PANICKED;
/// Somebody who needs no handle hears of its end: a group.
pub(super) const HEARD_OF: u32 = 1 << 12;
/// The side box has a context.
pub(super) const CONTEXT: u32 = 1 << 13;

/// One reference in `remote`.
const ONE: isize = 4;
/// In `remote`: a letter is on its way.
const NOTIFIED: isize = 2;
/// In `remote`: the counts were merged.
const MERGED: isize = 1;
/// In `local`: the counts were merged, count in `remote`.
const LOCAL_MERGED: i32 = i32::MIN;
/// `local` stays between this and its negative. With it `remote`, which is never further from the number
/// of living references than `local`, has room on machines of 32 bits, too. (Loom's models are to get there.)
const MOST_LOCAL: i32 = if cfg!(all(test, loom)) { 2 } else { 1 << 26 };
/// Counts beyond this can only come from leaking references in a loop.
const TOO_MANY: isize = isize::MAX / 2;

pub(crate) struct State {
    remote: AtomicIsize,
    local: Cell<i32>,
    flags: Cell<u32>,
}

/// What is to be done after a transition that may have been the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Then {
    Nothing,
    /// No reference is left and none can come: free the memory.
    Free,
}

/// What a wake from abroad has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Abroad {
    /// A letter is on its way already, or the task is over.
    Nothing,
    Post,
}

impl State {
    /// A new task: queued, owned by one handle, holding its future.
    pub(super) fn new() -> Self {
        Self { remote: AtomicIsize::new(0), local: Cell::new(1), flags: Cell::new(QUEUED | JOIN | FUTURE) }
    }

    #[inline]
    pub(super) fn flags(&self) -> u32 {
        self.flags.get()
    }

    #[inline]
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }

    #[inline]
    pub(super) fn set(&self, flags: u32) {
        self.flags.set(self.flags.get() | flags);
    }

    #[inline]
    pub(super) fn clear(&self, flags: u32) {
        self.flags.set(self.flags.get() & !flags);
    }

    /// A wake at home. `true`: the caller must put the task into the FIFO.
    #[inline]
    pub(super) fn wake_at_home(&self) -> bool {
        let flags = self.flags.get();
        self.flags.set(flags | QUEUED | WOKEN);
        if flags & (QUEUED | DONE) == 0 {
            return true;
        }
        if flags & QUEUED == 0 {
            // Done and not in the FIFO: it must not look as if it were.
            self.flags.set(flags);
        }
        false
    }

    #[inline]
    pub(super) fn clone_at_home(&self) {
        let count = self.local.get();
        if !has_room(count) {
            return self.clone_at_the_limit();
        }
        self.local.set(count + 1);
    }

    /// Merged, or time to carry over.
    #[inline(never)]
    fn clone_at_the_limit(&self) {
        if self.local.get() == LOCAL_MERGED {
            return self.clone_abroad();
        }
        self.carry_over();
        self.local.set(1);
    }

    #[inline]
    pub(super) fn drop_at_home(&self) -> Then {
        let count = self.local.get();
        if !has_room(count) {
            return self.drop_at_the_limit();
        }
        self.local.set(count - 1);
        if self.flags.get() & (DONE | QUEUED | JOIN) == DONE { self.settle() } else { Then::Nothing }
    }

    #[inline(never)]
    fn drop_at_the_limit(&self) -> Then {
        if self.local.get() == LOCAL_MERGED {
            return self.drop_abroad();
        }
        self.carry_over();
        self.drop_at_home()
    }

    /// Moves the count of this side to the other. At home, before the merge.
    fn carry_over(&self) {
        let local = self.local.replace(0) as isize * ONE;
        // Relaxed: it ends no reference, and publishes nothing that the merge or the owner's own look, which
        // come later on this thread, would not.
        if self.remote.fetch_add(local, Ordering::Relaxed) + local > TOO_MANY {
            // More references than memory can hold in any other way than forgetting them: going on would
            // be unsound.
            std::process::abort();
        }
    }

    pub(super) fn clone_abroad(&self) {
        // Relaxed: the new reference comes from one that is counted.
        if self.remote.fetch_add(ONE, Ordering::Relaxed) > TOO_MANY {
            std::process::abort();
        }
    }

    pub(super) fn drop_abroad(&self) -> Then {
        let before = self.remote.fetch_sub(ONE, Ordering::Release);
        self.was_last(before - ONE)
    }

    /// A wake from abroad.
    pub(super) fn notify(&self) -> Abroad {
        let seen = self.remote.load(Ordering::Relaxed);
        if seen & MERGED != 0 {
            return Abroad::Nothing;
        }
        // An exclusive access even if the bit is set: it orders what was done before this wake before the
        // poll that takes the letter's place, so that the poll sees it.
        let before = self.remote.fetch_or(NOTIFIED, Ordering::AcqRel);
        if before & (NOTIFIED | MERGED) == 0 {
            return Abroad::Post;
        }
        if before & NOTIFIED == 0 {
            // Merged in between: the task is over. The caller's own reference keeps the memory.
            self.remote.fetch_and(!NOTIFIED, Ordering::Relaxed);
        }
        Abroad::Nothing
    }

    /// The letter has arrived (at home) or found a closed box (anywhere).
    pub(super) fn letter_ends(&self) -> Then {
        let before = self.remote.fetch_and(!NOTIFIED, Ordering::AcqRel);
        self.was_last(before & !NOTIFIED)
    }

    /// The owner's final look. At home, when the task is done, not queued, and has no `Task`.
    pub(super) fn settle(&self) -> Then {
        debug_assert_eq!(self.flags.get() & (DONE | QUEUED | JOIN), DONE);
        let local = self.local.get();
        if local == LOCAL_MERGED {
            // A reference that outlived the first look may end here, but it was counted in `remote`.
            return Then::Nothing;
        }
        let remote = self.remote.load(Ordering::Acquire);
        let local = local as isize * ONE;
        if remote + local == 0 {
            return Then::Free;
        }
        self.local.set(LOCAL_MERGED);
        let before = self.remote.fetch_add(local + MERGED, Ordering::AcqRel);
        self.was_last(before + local + MERGED)
    }

    /// Whether the value that the caller has just given to `remote` means that the counts are merged and
    /// nothing is left. If so, nobody else can reach the task any more; if not, it may be gone already.
    fn was_last(&self, remote: isize) -> Then {
        if remote != MERGED {
            return Then::Nothing;
        }
        // With the `Release` of all other drops: their use of the memory comes before its end. A load, not
        // a fence: it reads what the caller wrote, which continues the release sequences of all the changes
        // before it; and ThreadSanitizer understands it.
        self.remote.load(Ordering::Acquire);
        Then::Free
    }
}

/// Whether one more and one less can be counted plainly; no if the counts were merged.
#[inline]
fn has_room(local: i32) -> bool {
    (-MOST_LOCAL..MOST_LOCAL).contains(&local)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A task that has ended and been left by its handle, with `local` and `remote` references counted.
    fn ended(local: i32, remote: isize) -> State {
        let state = State::new();
        state.local.set(local);
        state.remote.store(remote * ONE, Ordering::Relaxed);
        state.clear(QUEUED | JOIN | FUTURE);
        state.set(DONE);
        state
    }

    #[test]
    fn any_number_of_references_may_be_cloned_here_and_dropped_there() {
        let state = State::new();
        // As after so many wakes from abroad; the handle's own reference is one of them.
        for count in [MOST_LOCAL - 3, i32::MAX - 3] {
            state.local.set(count);
            state.remote.store(-(count as isize - 1) * ONE, Ordering::Relaxed);
            for _ in 0..10 {
                state.clone_at_home();
                assert_eq!(state.drop_abroad(), Then::Nothing);
            }
            state.clear(QUEUED | JOIN | FUTURE);
            state.set(DONE);
            assert_eq!(state.drop_at_home(), Then::Free, "and the sum is still exact");
        }
    }

    #[test]
    fn any_number_of_references_may_be_cloned_there_and_dropped_here() {
        let state = ended(3 - MOST_LOCAL, MOST_LOCAL as isize - 2);
        state.set(JOIN);
        for _ in 0..10 {
            state.clone_abroad();
            assert_eq!(state.drop_at_home(), Then::Nothing);
        }
        state.clear(JOIN);
        assert_eq!(state.drop_at_home(), Then::Free);
    }

    #[test]
    fn a_reference_abroad_keeps_what_the_owner_has_left() {
        let state = ended(1, 1);
        assert_eq!(state.drop_at_home(), Then::Nothing);
        state.clone_at_home();
        assert_eq!(state.drop_abroad(), Then::Nothing);
        assert_eq!(state.drop_at_home(), Then::Free);
    }

    #[test]
    fn a_letter_under_way_keeps_what_everybody_has_left() {
        let state = ended(1, 0);
        assert_eq!(state.notify(), Abroad::Post);
        assert_eq!(state.notify(), Abroad::Nothing, "one letter is enough");
        assert_eq!(state.drop_at_home(), Then::Nothing);
        assert_eq!(state.letter_ends(), Then::Free);
    }
}
