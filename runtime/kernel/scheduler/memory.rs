//! Memory for tasks: a per-loop free list, so that a short-lived task costs no `malloc`.
//!
//! Blocks are rounded up to classes of 16 bytes; each is an ordinary block of the global allocator with
//! that rounded size, so any thread may free it without the list. Sizes are 24, 40, 56 and so on: glibc's malloc
//! keeps a word beside each block and rounds both up to 16 together, so a size of 96 costs as much as one of 104.

use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// A class per 16 bytes: malloc's own granularity and alignment.
const STEP: usize = 16;
/// What malloc keeps beside a block.
const BESIDE: usize = 8;
const SMALLEST: usize = 2 * STEP - BESIDE;
/// Larger blocks go straight to the allocator; what is in them dwarfs the cost of the call.
const LARGEST: usize = 512 - BESIDE;
const CLASSES: usize = (LARGEST - SMALLEST) / STEP + 1;
/// Blocks kept per class. A burst of this many tasks recycles wholly; 31 classes of 1024 blocks bound
/// what an idle loop holds to 8 MiB, and in practice two or three classes are in use.
const KEEP: u16 = 1024;

/// Free blocks by class; each block's first word links to the next.
pub(crate) struct FreeList {
    heads: [Cell<*mut Block>; CLASSES],
    counts: [Cell<u16>; CLASSES],
}

struct Block {
    next: *mut Block,
}

/// What is really asked of the allocator for `layout`.
#[inline]
fn rounded(layout: Layout) -> Layout {
    let align = layout.align().max(STEP);
    let size = (layout.size().max(SMALLEST) + BESIDE).next_multiple_of(STEP) - BESIDE;
    // Rounding a valid layout up by less than 16 bytes overflows only next to `isize::MAX`.
    Layout::from_size_align(size, align).unwrap_or(layout)
}

/// The class of a rounded layout, if it has one.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    (layout.align() == STEP && layout.size() <= LARGEST).then(|| (layout.size() - SMALLEST) / STEP)
}

/// A new block of a rounded layout.
#[inline(never)]
fn fresh(layout: Layout) -> NonNull<u8> {
    // SAFETY: `rounded` never returns a size of zero.
    let memory = unsafe { alloc::alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Memory as a `FreeList` gives it, where there is none.
pub(crate) fn allocate_anywhere(layout: Layout) -> NonNull<u8> {
    fresh(rounded(layout))
}

impl FreeList {
    pub(crate) fn new() -> Self {
        Self {
            heads: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            counts: [const { Cell::new(0) }; CLASSES],
        }
    }

    /// Memory for `layout`, uninitialised.
    #[inline]
    pub(crate) fn allocate(&self, layout: Layout) -> NonNull<u8> {
        let layout = rounded(layout);
        if let Some(class) = class(layout) {
            let head = self.heads[class].get();
            if let Some(block) = NonNull::new(head) {
                // SAFETY: blocks in the list are free memory of their class that `free` initialised.
                self.heads[class].set(unsafe { block.as_ref() }.next);
                self.counts[class].set(self.counts[class].get() - 1);
                return block.cast();
            }
        }
        fresh(layout)
    }

    /// Takes memory back, at home.
    ///
    /// # Safety
    /// `memory` came from `allocate`, of any list, or from `allocate_anywhere`, with the same layout, and holds nothing that is still needed.
    #[inline]
    pub(crate) unsafe fn free(&self, memory: NonNull<u8>, layout: Layout) {
        if let Some(class) = class(rounded(layout)) {
            let count = self.counts[class].get();
            if count < KEEP {
                let block = memory.cast::<Block>();
                // SAFETY: the memory is free, at least 24 bytes large and aligned to 16.
                unsafe { block.write(Block { next: self.heads[class].get() }) };
                self.heads[class].set(block.as_ptr());
                self.counts[class].set(count + 1);
                return;
            }
        }
        // SAFETY: passed on.
        unsafe { free_anywhere(memory, layout) };
    }
}

impl Drop for FreeList {
    fn drop(&mut self) {
        for (class, head) in self.heads.iter().enumerate() {
            let size = SMALLEST + class * STEP;
            let Ok(layout) = Layout::from_size_align(size, STEP) else { continue };
            while let Some(block) = NonNull::new(head.get()) {
                // SAFETY: as in `allocate`.
                head.set(unsafe { block.as_ref() }.next);
                // SAFETY: each block was allocated with exactly its class's layout.
                unsafe { alloc::dealloc(block.as_ptr().cast(), layout) };
            }
        }
    }
}

/// Frees memory of a `FreeList` without the list, on any thread.
///
/// # Safety
/// As for [`FreeList::free`].
pub(crate) unsafe fn free_anywhere(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: `allocate` asked for exactly this.
    unsafe { alloc::dealloc(memory.as_ptr(), rounded(layout)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_room_for_what_is_rounded_to_it_and_wastes_less_than_16_bytes() {
        let mut classes = std::collections::BTreeSet::new();
        for size in 0..=LARGEST {
            let layout = rounded(Layout::from_size_align(size, 8).unwrap());
            assert!(layout.size() >= size && (layout.size() - size < STEP || size < SMALLEST));
            assert_eq!((layout.size() + BESIDE) % STEP, 0);
            let class = class(layout).unwrap();
            assert_eq!(layout.size(), SMALLEST + class * STEP);
            classes.insert(class);
        }
        assert_eq!(classes, (0..CLASSES).collect());
        assert_eq!(class(rounded(Layout::from_size_align(LARGEST + 1, 8).unwrap())), None);
        assert_eq!(class(rounded(Layout::from_size_align(64, 32).unwrap())), None);
    }

    #[test]
    fn a_block_comes_back_to_its_class_and_no_other() {
        let list = FreeList::new();
        let (small, large) = (Layout::new::<[u64; 9]>(), Layout::new::<[u64; 10]>());
        let block = list.allocate(small);
        // SAFETY: it came from `allocate` with this layout.
        unsafe { list.free(block, small) };
        let other = list.allocate(large);
        assert_ne!(other, block);
        assert_eq!(list.allocate(small), block);
        // SAFETY: as above.
        unsafe {
            list.free(other, large);
            list.free(block, small);
        }
    }
}
