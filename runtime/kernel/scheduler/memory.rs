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

/// How much memory something takes, as a list gives it.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// What is really asked of the allocator.
    rounded: Layout,
    /// [`NO_CLASS`] if no list has it.
    class: usize,
}

const NO_CLASS: usize = usize::MAX;

impl Room {
    /// Room for a `T`, worked out by the compiler.
    pub(crate) const fn of<T>() -> &'static Self {
        const { &Self::for_layout(Layout::new::<T>()) }
    }

    const fn for_layout(layout: Layout) -> Self {
        let align = if layout.align() < STEP { STEP } else { layout.align() };
        let size = if layout.size() < SMALLEST { SMALLEST } else { layout.size() };
        let size = (size + BESIDE).next_multiple_of(STEP) - BESIDE;
        let rounded = match Layout::from_size_align(size, align) {
            Ok(rounded) => rounded,
            // Rounding a valid layout up by less than 16 bytes overflows only next to `isize::MAX`.
            Err(_) => layout,
        };
        let has_class = align == STEP && size <= LARGEST;
        Self { rounded, class: if has_class { (size - SMALLEST) / STEP } else { NO_CLASS } }
    }
}

/// New memory.
#[inline(never)]
pub(crate) fn allocate_anywhere(room: &'static Room) -> NonNull<u8> {
    // SAFETY: no room has a size of zero.
    let memory = unsafe { alloc::alloc(room.rounded) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(room.rounded))
}

impl FreeList {
    pub(crate) fn new() -> Self {
        Self {
            heads: [const { Cell::new(ptr::null_mut()) }; CLASSES],
            counts: [const { Cell::new(0) }; CLASSES],
        }
    }

    /// Memory, uninitialised.
    #[inline]
    pub(crate) fn allocate(&self, room: &'static Room) -> NonNull<u8> {
        if let Some(head) = self.heads.get(room.class)
            && let Some(block) = NonNull::new(head.get())
        {
            // SAFETY: blocks in the list are free memory of their class that `free` initialised.
            head.set(unsafe { block.as_ref() }.next);
            self.counts[room.class].set(self.counts[room.class].get() - 1);
            return block.cast();
        }
        allocate_anywhere(room)
    }

    /// Takes memory back, at home.
    ///
    /// # Safety
    /// `memory` came from `allocate`, of any list, or from `allocate_anywhere`, for the same room, and holds nothing
    /// that is still needed.
    #[inline]
    pub(crate) unsafe fn free(&self, memory: NonNull<u8>, room: &'static Room) {
        if let Some(count) = self.counts.get(room.class)
            && count.get() < KEEP
        {
            let block = memory.cast::<Block>();
            // SAFETY: the memory is free, at least 24 bytes large and aligned to 16.
            unsafe { block.write(Block { next: self.heads[room.class].replace(block.as_ptr()) }) };
            count.set(count.get() + 1);
            return;
        }
        // SAFETY: passed on.
        unsafe { free_anywhere(memory, room) };
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
pub(crate) unsafe fn free_anywhere(memory: NonNull<u8>, room: &'static Room) {
    // SAFETY: `allocate_anywhere` asked for exactly this.
    unsafe { alloc::dealloc(memory.as_ptr(), room.rounded) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(size: usize, align: usize) -> Room {
        Room::for_layout(Layout::from_size_align(size, align).unwrap())
    }

    #[test]
    fn a_class_has_room_for_what_is_rounded_to_it_and_wastes_less_than_16_bytes() {
        let mut classes = std::collections::BTreeSet::new();
        for size in 0..=LARGEST {
            let room = room(size, 8);
            let rounded = room.rounded.size();
            assert!(rounded >= size && (rounded - size < STEP || size < SMALLEST));
            assert_eq!((rounded + BESIDE) % STEP, 0);
            assert_eq!((rounded, room.rounded.align()), (SMALLEST + room.class * STEP, STEP));
            classes.insert(room.class);
        }
        assert_eq!(classes, (0..CLASSES).collect());
        assert_eq!((room(LARGEST + 1, 8).class, room(64, 32).class), (NO_CLASS, NO_CLASS));
    }

    #[test]
    fn a_block_comes_back_to_its_class_and_no_other() {
        let list = FreeList::new();
        let (small, large) = (Room::of::<[u64; 9]>(), Room::of::<[u64; 10]>());
        let block = list.allocate(small);
        // SAFETY: it came from `allocate` for this room.
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
