//! How many items were received, and whether somebody wants to hear of the next.
//!
//! Both share one word, which only its own order of changes concerns: a receipt that comes after
//! [`watch`](Receipts::watch) sees the watch, one that came before is in the count that `watch` returns. So no
//! receipt is missed, whatever else the two threads do.

use crate::kernel::atomic::{AtomicUsize, Ordering};

const WATCHED: usize = 1;
const ONE: usize = 2;
/// Counts begin again at zero, on machines of 32 bits in minutes: only differences mean something.
const COUNTS: usize = usize::MAX / ONE;

/// See the module's description. All accesses are relaxed: what else the threads tell each other is under a
/// lock. On a cache line of its own, since the receiver writes here for each item, and the senders seldom look.
#[repr(align(128))]
pub(super) struct Receipts(AtomicUsize);

impl Receipts {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// One more; the receiver only. Returns whether it is watched for.
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(ONE, Ordering::Relaxed) & WATCHED != 0
    }

    /// One more, where nobody ever watches; the receiver only.
    pub(super) fn add_unwatched(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(ONE), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed) / ONE
    }

    /// From now on, receipts see that somebody watches. Returns the count up to here.
    pub(super) fn watch(&self) -> usize {
        self.0.fetch_or(WATCHED, Ordering::Relaxed) / ONE
    }

    pub(super) fn unwatch(&self) {
        self.0.fetch_and(!WATCHED, Ordering::Relaxed);
    }
}

/// How much further one count is than another.
pub(super) fn further(count: usize, than: usize) -> usize {
    count.wrapping_sub(than) & COUNTS
}
