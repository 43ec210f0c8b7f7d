//! Memory for tasks: a per-loop free list, so that a short-lived task costs no `malloc`.
//!
//! Blocks are rounded up to classes of 16 bytes; each is an ordinary block of the global allocator with
//! that rounded size, so any thread may free it without the list.

use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// A class per 16 bytes: malloc's own granularity and alignment.
const STEP: usize = 16;
/// Larger blocks go straight to the allocator; what is in them dwarfs the cost of the call.
const LARGEST: usize = 512;
/// Blocks kept per class. A burst of this many tasks recycles wholly; 32 classes of 1024 blocks bound
/// what an idle loop holds to 8 MiB, and in practice two or three classes are in use.
const KEEP: u16 = 1024;

/// Free blocks by class; each block's first word links to the next.
pub(crate) struct FreeList {
    heads: [Cell<*mut Block>; LARGEST / STEP],
    counts: [Cell<u16>; LARGEST / STEP],
}

struct Block {
    next: *mut Block,
}

/// What is really asked of the allocator for `layout`.
#[inline]
fn rounded(layout: Layout) -> Layout {
    let align = layout.align().max(STEP);
    let size = layout.size().max(STEP).next_multiple_of(STEP);
    // Rounding a valid layout up by less than 16 bytes overflows only next to `isize::MAX`.
    Layout::from_size_align(size, align).unwrap_or(layout)
}

/// The class of a rounded layout, if it has one.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    (layout.align() == STEP && layout.size() <= LARGEST).then(|| layout.size() / STEP - 1)
}

impl FreeList {
    pub(crate) fn new() -> Self {
        Self {
            heads: [const { Cell::new(ptr::null_mut()) }; LARGEST / STEP],
            counts: [const { Cell::new(0) }; LARGEST / STEP],
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
        // SAFETY: `rounded` never returns a size of zero.
        let memory = unsafe { alloc::alloc(layout) };
        NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// Takes memory back, at home.
    ///
    /// # Safety
    /// `memory` came from `allocate` with the same layout and holds nothing that is still needed.
    #[inline]
    pub(crate) unsafe fn free(&self, memory: NonNull<u8>, layout: Layout) {
        if let Some(class) = class(rounded(layout)) {
            let count = self.counts[class].get();
            if count < KEEP {
                let block = memory.cast::<Block>();
                // SAFETY: the memory is free, at least 16 bytes large and aligned to 16.
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
            let size = (class + 1) * STEP;
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
