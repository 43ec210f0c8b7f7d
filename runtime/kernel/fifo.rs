//! First in, first out, for those who share it on one thread.
//!
//! A `RefCell` around a `VecDeque` would write its own flag twice for each of an item's two moves, which is half of what
//! a queue writes. Here nothing is ever borrowed: each method reads and writes plain cells and single slots, and between
//! the first and the last of them no code runs that is not its own. Items are moved, not compared, cloned or dropped
//! here; an allocator that uses the very queue for which it is called finds it whole.
//!
//! The ring counts what went in and what came out, each without end, and a number's slot is the number modulo the ring's
//! size, a power of two.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::panic::UnwindSafe;
use std::ptr::{self, NonNull};

/// See the module's description. What is left is dropped with it, the oldest first; so items must live as long as it
/// does.
///
/// The slots of the numbers from `taken` to `put` hold an item each, the others none.
pub(crate) struct Fifo<T> {
    /// Memory of the global allocator for `size` slots, a boxed slice; dangling if that is none. (In the cell it is
    /// invariant in `T`, as it must be where items go in by a shared reference; and it keeps this on its thread.)
    slots: Cell<NonNull<T>>,
    /// A power of two, or zero.
    size: Cell<usize>,
    put: Cell<usize>,
    taken: Cell<usize>,
    owns: PhantomData<T>,
}

// A panic leaves it whole: as `UnwindSafe` as what is in.
impl<T: UnwindSafe> UnwindSafe for Fifo<T> {}

impl<T> Fifo<T> {
    /// The size of the first memory.
    const FIRST_SIZE: usize = if mem::size_of::<T>() <= 1024 { 4 } else { 1 };

    pub(crate) const fn new() -> Self {
        Self {
            slots: Cell::new(NonNull::dangling()),
            size: Cell::new(0),
            put: Cell::new(0),
            taken: Cell::new(0),
            owns: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.put.get().wrapping_sub(self.taken.get())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items went in so far. It begins again at zero, on machines of 32 bits in minutes: only differences mean
    /// something.
    #[inline]
    pub(crate) fn put_so_far(&self) -> usize {
        self.put.get()
    }

    #[inline]
    pub(crate) fn push(&self, item: T) {
        // Not just once: growing is the allocator's code, too, which may have used this very queue.
        while self.len() == self.size.get() {
            self.grow();
        }
        let number = self.put.get();
        // SAFETY: there are more slots than items, hence some, and `slot` says where this one is. It is that of no item,
        // since all numbers from `taken` to here are less than a round apart.
        unsafe { self.slot(number).write(item) };
        self.put.set(number.wrapping_add(1));
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        let number = self.taken.get();
        if number == self.put.get() {
            return None;
        }
        // SAFETY: the oldest number that is in, so its slot holds an item, and there are slots. It is read once, since
        // from the next line on the slot counts as empty.
        let item = unsafe { self.slot(number).read() };
        self.taken.set(number.wrapping_add(1));
        Some(item)
    }

    /// Takes all items out, with their memory. What is left goes on counting.
    pub(crate) fn take(&self) -> Self {
        let all = Self::new();
        all.put.set(self.put.get());
        all.taken.set(self.taken.replace(self.put.get()));
        all.slots.swap(&self.slots);
        all.size.swap(&self.size);
        all
    }

    /// The slot of a number.
    ///
    /// # Safety
    /// There are slots.
    #[inline]
    unsafe fn slot(&self, number: usize) -> NonNull<T> {
        let index = number & self.size.get().wrapping_sub(1);
        // SAFETY: the size is not zero, by the caller's duty, so it is a power of two and the index less than it; and as
        // many slots are there, in one allocation.
        unsafe { self.slots.get().add(index) }
    }

    /// Makes room for twice as many, if nobody has done so meanwhile.
    #[cold]
    #[inline(never)]
    fn grow(&self) {
        let more = self.size.get().checked_mul(2).expect("a queue has less items than there are addresses");
        let more = more.max(Self::FIRST_SIZE);
        let memory: Box<[MaybeUninit<T>]> = Box::new_uninit_slice(more);
        if self.size.get() >= more {
            return;
        }
        let slots = NonNull::from(Box::leak(memory)).cast::<T>();
        let (taken, put) = (self.taken.get(), self.put.get());
        let mut number = taken;
        while number != put {
            // SAFETY: the number of an item that is in, hence there are slots, and this one's holds it.
            let from = unsafe { self.slot(number) };
            // SAFETY: the new memory has `more` slots, a power of two, so the index is less than that. They are other
            // memory than the old ones. What is moved is given up in the old ones below, where only memory is freed.
            unsafe { ptr::copy_nonoverlapping(from.as_ptr(), slots.add(number & (more - 1)).as_ptr(), 1) };
            number = number.wrapping_add(1);
        }
        let former = (self.slots.replace(slots), self.size.replace(more));
        // SAFETY: slots and size as they stood together in the cells, where nothing holds them any more. The allocator's
        // code again: all cells are set.
        unsafe { free(former.0, former.1) };
    }
}

/// Frees slots without a look at what is in.
///
/// # Safety
/// They are a [`Fifo`]'s, in that number, and nobody uses them afterwards.
unsafe fn free<T>(slots: NonNull<T>, size: usize) {
    let slots = ptr::slice_from_raw_parts_mut(slots.as_ptr().cast::<MaybeUninit<T>>(), size);
    // SAFETY: what `grow` has leaked, with its length; or, of length zero, what an empty box is.
    drop(unsafe { Box::from_raw(slots) });
}

impl<T> Drop for Fifo<T> {
    fn drop(&mut self) {
        /// Goes on where an item's destructor has panicked.
        struct Rest<'a, T>(&'a Fifo<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Some(item) = self.0.pop() {
                    drop(item);
                }
                // SAFETY: the fifo's own; it is empty now, and nobody can use it any more: it is being dropped. This
                // is dropped once.
                unsafe { free(self.0.slots.get(), self.0.size.get()) };
            }
        }
        let rest = Rest(self);
        while let Some(item) = rest.0.pop() {
            drop(item);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;

    /// An empty one that has counted so far.
    fn counted(count: usize) -> Fifo<Rc<usize>> {
        let fifo = Fifo::new();
        fifo.put.set(count);
        fifo.taken.set(count);
        fifo
    }

    #[test]
    fn it_is_what_a_deque_is_around_all_ends() {
        for begin in [0, 3, usize::MAX - 20] {
            let (fifo, mut model, mut next) = (counted(begin), VecDeque::new(), 0);
            for round in 0..60 {
                for _ in 0..round % 7 {
                    fifo.push(Rc::new(next));
                    model.push_back(next);
                    next += 1;
                }
                for _ in 0..round % 5 {
                    assert_eq!(fifo.pop().as_deref(), model.pop_front().as_ref());
                }
                assert_eq!((fifo.len(), fifo.is_empty()), (model.len(), model.is_empty()));
                assert_eq!(fifo.put_so_far(), begin.wrapping_add(next));
            }
            assert!(model.len() > 8 * Fifo::<Rc<usize>>::FIRST_SIZE, "it has grown more than twice");
            let taken = fifo.take();
            assert_eq!((taken.len(), fifo.len(), fifo.pop()), (model.len(), 0, None));
            fifo.push(Rc::new(next));
            assert_eq!(fifo.put_so_far(), begin.wrapping_add(next + 1));
            while let Some(item) = model.pop_front() {
                assert_eq!(taken.pop().as_deref(), Some(&item));
            }
            assert_eq!((taken.pop(), taken.len()), (None, 0));
            assert_eq!(fifo.pop().as_deref(), Some(&next));
        }
    }

    #[test]
    fn items_without_a_size_are_counted() {
        struct Nothing<'a>(&'a Cell<usize>);
        impl Drop for Nothing<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let dropped = Cell::new(0);
        let (units, probes) = (Fifo::new(), Fifo::new());
        for _ in 0..100 {
            units.push(());
            probes.push(Nothing(&dropped));
        }
        assert_eq!(std::iter::from_fn(|| units.pop()).count(), 100);
        drop(probes.pop());
        assert_eq!(dropped.get(), 1);
        drop(probes);
        assert_eq!(dropped.get(), 100);
    }

    #[test]
    fn what_is_left_is_dropped_once_also_if_one_of_it_panics() {
        struct Item(usize, Rc<Cell<usize>>);
        impl Drop for Item {
            fn drop(&mut self) {
                self.1.set(self.1.get() * 10 + self.0);
                assert_ne!(self.0, 2, "expected: a destructor panics");
            }
        }
        let log = Rc::new(Cell::new(0));
        let fifo = Fifo::new();
        (0..7).for_each(|n| fifo.push(Item(n, log.clone())));
        drop(fifo.pop());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(fifo))).is_err());
        assert_eq!((log.get(), Rc::strong_count(&log)), (123_456, 1));
    }
}
