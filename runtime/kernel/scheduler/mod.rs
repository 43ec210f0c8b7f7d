//! What is ready, and in which order it runs.
//!
//! One intrusive FIFO holds everything: task steps and `call_soon` callbacks are [`Entry`] nodes of the
//! same list and differ by their vtable only. So asyncio's order holds by construction: whatever is
//! scheduled first runs first, of whichever kind it is.
//!
//! A *batch* is what was ready when it began: the list is taken whole, and what becomes ready meanwhile
//! starts a new one. The scheduler knows neither tasks nor timers nor I/O; it sees entries. (What else may be in an
//! entry's vtable, the functions of an [`alarm`], is data to it.)

pub(crate) mod alarm;
pub(crate) mod inbox;
#[cfg(all(test, loom))]
mod loom;
pub(crate) mod memory;
pub(crate) mod shuffle;

use std::cell::Cell;
use std::ptr::NonNull;

use super::debug::{Debug, Step};
use alarm::{AlarmVtable, Alarmed};
use shuffle::Disorder;

/// The head of everything that can stand in the FIFO. Tasks and callbacks begin with it.
#[repr(C)]
pub(crate) struct Entry {
    /// The vtable: first, so that an alarm may be set for an entry. A pointer, not a reference: a kind may keep more
    /// behind the `EntryVtable` than the scheduler sees, and reach it from here.
    head: Alarmed,
    next: Cell<Option<NonNull<Entry>>>,
}

/// What the scheduler may do with an entry. All functions take the entry's first address and may free
/// it; all but `discard_abroad`, and the alarm's, are called at home only. None of them unwinds: they catch what
/// foreign code throws.
#[repr(C)]
pub(crate) struct EntryVtable {
    /// What happens at a time.
    pub(crate) alarm: AlarmVtable,
    /// Its turn has come. Owns the list's claim on the entry.
    pub(crate) run: unsafe fn(NonNull<Entry>),
    /// The loop ends: drop what it holds without running it. Owns the list's claim on the entry.
    pub(crate) discard: unsafe fn(NonNull<Entry>),
    /// It arrived by the inbox: put it into the FIFO if it still belongs there. Owns the letter's claim.
    pub(crate) deliver: unsafe fn(NonNull<Entry>, &ReadyList),
    /// The loop was gone already when the letter was posted; any thread. Owns the letter's claim.
    pub(crate) discard_abroad: unsafe fn(NonNull<Entry>),
    /// What debug mode says of it. Owns nothing: the entry stays in the list.
    pub(crate) describe: unsafe fn(NonNull<Entry>) -> Step,
}

impl Entry {
    /// # Safety
    /// `vtable` points to an `EntryVtable` that lives for ever, and its functions fit what this becomes
    /// the head of.
    pub(crate) const unsafe fn new(vtable: *const EntryVtable) -> Self {
        // SAFETY: an `EntryVtable` begins with an `AlarmVtable` (`repr(C)`); the rest is the caller's duty.
        Self { head: unsafe { Alarmed::new(vtable.cast()) }, next: Cell::new(None) }
    }

    /// What `new` was given, with all that may stand behind it.
    #[inline]
    pub(crate) fn vtable_ptr(&self) -> *const EntryVtable {
        self.head.vtable_ptr().cast()
    }

    #[inline]
    fn vtable(&self) -> &'static EntryVtable {
        // SAFETY: the duty of `new`.
        unsafe { &*self.vtable_ptr() }
    }
}

/// The FIFO, and the rest of the batch that is running.
pub(crate) struct ReadyList {
    head: Cell<Option<NonNull<Entry>>>,
    tail: Cell<Option<NonNull<Entry>>>,
    /// What the running batch has not reached yet. Kept here, not on the stack, so that the end of the
    /// loop finds it.
    batch: Cell<Option<NonNull<Entry>>>,
    /// Whether batches run in a random order, for tests.
    disorder: Cell<Option<Disorder>>,
}

impl ReadyList {
    pub(crate) const fn new() -> Self {
        Self {
            head: Cell::new(None),
            tail: Cell::new(None),
            batch: Cell::new(None),
            disorder: Cell::new(None),
        }
    }

    /// From now on each batch runs in a random order, which the seed decides; or in its own.
    pub(crate) fn shuffle(&self, seed: Option<u64>) {
        self.disorder.set(seed.map(Disorder::from_seed));
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }

    /// Whether more than `most` entries are still to run: of the batch that runs and behind it.
    pub(crate) fn holds_more_than(&self, most: usize) -> bool {
        let mut count = 0;
        for list in [&self.batch, &self.head] {
            let mut at = list.get();
            while let Some(entry) = at {
                count += 1;
                if count > most {
                    return true;
                }
                // SAFETY: entries in the list are alive.
                at = unsafe { entry.as_ref() }.next.get();
            }
        }
        false
    }

    /// Appends an entry.
    ///
    /// # Safety
    /// 1. The entry is alive, at home, and in no list.
    /// 2. It stays alive until it is run or discarded: the caller gives the list a claim on it.
    #[inline]
    pub(crate) unsafe fn push(&self, entry: NonNull<Entry>) {
        // SAFETY: alive by duty 1; `next` is touched at home only.
        unsafe { entry.as_ref() }.next.set(None);
        match self.tail.replace(Some(entry)) {
            // SAFETY: entries in the list are alive by duty 2 of their own push.
            Some(last) => unsafe { last.as_ref() }.next.set(Some(entry)),
            None => self.head.set(Some(entry)),
        }
    }

    /// Runs exactly the entries that are ready now; returns how many.
    pub(crate) fn run_batch(&self) -> u32 {
        self.run_batch_by(|entry, vtable| {
            // SAFETY: the entry was in the list, hence alive; its claim goes to `run`.
            unsafe { (vtable.run)(entry) };
        })
    }

    /// As [`run_batch`](Self::run_batch), in debug mode.
    #[cold]
    pub(crate) fn run_batch_watched(&self, debug: &Debug) -> u32 {
        self.run_batch_by(|entry, vtable| {
            // SAFETY: the entry was in the list, hence alive.
            let step = unsafe { (vtable.describe)(entry) };
            // SAFETY: as above; its claim goes to `run`.
            debug.watch(step, || unsafe { (vtable.run)(entry) });
        })
    }

    #[inline(always)]
    fn run_batch_by(&self, run: impl Fn(NonNull<Entry>, &'static EntryVtable)) -> u32 {
        debug_assert!(self.batch.get().is_none(), "a batch runs inside a batch");
        self.batch.set(self.head.take());
        self.tail.set(None);
        if self.disorder.get().is_some() {
            self.shuffle_batch();
        }
        let mut count = 0;
        while let Some(entry) = self.pop_batch() {
            count += 1;
            // SAFETY: the entry was in the list, hence alive.
            run(entry, unsafe { entry.as_ref() }.vtable());
        }
        count
    }

    #[cold]
    fn shuffle_batch(&self) {
        if let (Some(mut disorder), Some(first)) = (self.disorder.get(), self.batch.get()) {
            // SAFETY: the batch was just taken whole; its entries are alive.
            self.batch.set(Some(unsafe { disorder.shuffle(first) }));
            self.disorder.set(Some(disorder));
        }
    }

    /// Drops all that is ready without running it. What the drops push is dropped too.
    pub(crate) fn discard_all(&self) {
        loop {
            while let Some(entry) = self.pop_batch() {
                // SAFETY: as in `run_batch`.
                unsafe { (entry.as_ref().vtable().discard)(entry) };
            }
            self.batch.set(self.head.take());
            self.tail.set(None);
            if self.batch.get().is_none() {
                return;
            }
        }
    }

    #[inline]
    fn pop_batch(&self) -> Option<NonNull<Entry>> {
        let entry = self.batch.get()?;
        // SAFETY: entries in the list are alive.
        self.batch.set(unsafe { entry.as_ref() }.next.get());
        Some(entry)
    }
}

impl Drop for ReadyList {
    /// The end of a loop empties the list, and then drops the last of what it owns, whose destructors may
    /// schedule again. Each entry keeps the loop's block, so one that stayed would keep it for ever.
    fn drop(&mut self) {
        self.discard_all();
    }
}

/// An entry on its way through the inbox.
pub(crate) struct Letter(NonNull<Entry>);

// SAFETY: a letter is only carried: its entry is looked into at home (`deliver`), or by
// `discard_abroad`, which touches nothing but what its kind made for all threads. `new` demands it.
unsafe impl Send for Letter {}

impl Letter {
    /// # Safety
    /// The entry stays alive until the letter is delivered or discarded (a claim of its own), and its
    /// `discard_abroad` may run on any thread.
    pub(crate) unsafe fn new(entry: NonNull<Entry>) -> Self {
        Self(entry)
    }

    /// Puts the entry into its loop's FIFO.
    ///
    /// # Safety
    /// This is home: the letter was collected from the loop's own inbox, on its thread.
    pub(crate) unsafe fn deliver(self, ready: &ReadyList) {
        // SAFETY: alive by the duty of `new`; at home by the caller's.
        unsafe { (self.0.as_ref().vtable().deliver)(self.0, ready) }
    }

    /// Gives the claim up, on any thread.
    pub(crate) fn discard(self) {
        // SAFETY: alive by the duty of `new`, which allows this on any thread.
        unsafe { (self.0.as_ref().vtable().discard_abroad)(self.0) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
