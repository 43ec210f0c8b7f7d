//! A random order for a batch, for tests: what is right only in one order is found out.
//!
//! The generator is SplitMix64: a number decides everything, so a run can be repeated.

use std::ptr::NonNull;

use super::Entry;

/// Where the generator is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disorder(u64);

impl Disorder {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which is not zero. That the small ones are likelier by 2^-40 hurts nobody here.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Puts the entries of a list into a random order; returns the new first.
    ///
    /// # Safety
    /// The list that begins with `first` is whole, its entries are alive, and this is home.
    pub(super) unsafe fn shuffle(&mut self, first: NonNull<Entry>) -> NonNull<Entry> {
        let mut entries = vec![first];
        // SAFETY: alive, by the caller's word.
        while let Some(next) = unsafe { entries[entries.len() - 1].as_ref() }.next.get() {
            entries.push(next);
        }
        for place in (1..entries.len()).rev() {
            entries.swap(place, self.below(place + 1));
        }
        let mut next = None;
        for entry in entries.into_iter().rev() {
            // SAFETY: as above.
            unsafe { entry.as_ref() }.next.set(next);
            next = Some(entry);
        }
        next.unwrap_or(first)
    }
}
