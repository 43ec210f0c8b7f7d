//! The three orders in which a queue can give its items out.
//!
//! A buffer stores; it knows nothing of bounds, waiting or shut-down. The traits are public in a
//! private module: they appear in signatures, and nobody outside can implement them.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;

use crate::kernel::Fifo;

/// What a queue needs of its store.
pub trait Buffer<T>: Default {
    /// What the public type is called.
    const NAME: &'static str;

    /// How many items are in.
    fn len(&self) -> usize;

    /// How many are in or were taken out, counted without end: only differences mean something.
    fn seen(&self) -> usize;

    /// Puts an item in.
    fn push(&self, item: T);

    /// Takes the next item out.
    fn pop(&self) -> Option<T>;

    /// Takes all items out, as they are.
    fn take(&self) -> Self;
}

/// First in, first out.
pub struct OldestFirst<T>(Fifo<T>);

impl<T> Default for OldestFirst<T> {
    fn default() -> Self {
        OldestFirst(Fifo::new())
    }
}

impl<T> Buffer<T> for OldestFirst<T> {
    const NAME: &'static str = "Queue";

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn seen(&self) -> usize {
        self.0.put_so_far()
    }

    #[inline]
    fn push(&self, item: T) {
        self.0.push(item);
    }

    #[inline]
    fn pop(&self) -> Option<T> {
        self.0.pop()
    }

    fn take(&self) -> Self {
        OldestFirst(self.0.take())
    }
}

/// Last in, first out.
pub struct NewestFirst<T> {
    stack: RefCell<Vec<T>>,
    taken: Cell<usize>,
}

impl<T> Default for NewestFirst<T> {
    fn default() -> Self {
        NewestFirst { stack: RefCell::default(), taken: Cell::new(0) }
    }
}

impl<T> Buffer<T> for NewestFirst<T> {
    const NAME: &'static str = "LifoQueue";

    fn len(&self) -> usize {
        self.stack.borrow().len()
    }

    fn seen(&self) -> usize {
        self.taken.get().wrapping_add(self.len())
    }

    fn push(&self, item: T) {
        self.stack.borrow_mut().push(item);
    }

    fn pop(&self) -> Option<T> {
        let item = self.stack.borrow_mut().pop()?;
        self.taken.set(self.taken.get().wrapping_add(1));
        Some(item)
    }

    fn take(&self) -> Self {
        let stack = self.stack.take();
        self.taken.set(self.taken.get().wrapping_add(stack.len()));
        NewestFirst { stack: RefCell::new(stack), taken: Cell::new(0) }
    }
}

/// Smallest item first, equal ones in the order in which they came.
pub struct SmallestFirst<T> {
    heap: RefCell<BinaryHeap<Ranked<T>>>,
    next_number: Cell<u64>,
    /// Without those that were lost to a comparison that panicked.
    taken: Cell<usize>,
}

impl<T: Ord> Default for SmallestFirst<T> {
    fn default() -> Self {
        SmallestFirst { heap: RefCell::default(), next_number: Cell::new(0), taken: Cell::new(0) }
    }
}

impl<T: Ord> Buffer<T> for SmallestFirst<T> {
    const NAME: &'static str = "PriorityQueue";

    fn len(&self) -> usize {
        self.heap.borrow().len()
    }

    fn seen(&self) -> usize {
        self.taken.get().wrapping_add(self.len())
    }

    fn push(&self, item: T) {
        let number = self.next_number.replace(self.next_number.get() + 1);
        self.heap.borrow_mut().push(Ranked { item, number });
    }

    fn pop(&self) -> Option<T> {
        let item = self.heap.borrow_mut().pop()?.item;
        self.taken.set(self.taken.get().wrapping_add(1));
        Some(item)
    }

    fn take(&self) -> Self {
        let heap = self.heap.take();
        self.taken.set(self.taken.get().wrapping_add(heap.len()));
        SmallestFirst { heap: RefCell::new(heap), next_number: Cell::new(0), taken: Cell::new(0) }
    }
}

/// An item with its number of arrival; the heap's greatest is the smallest and oldest.
struct Ranked<T> {
    item: T,
    number: u64,
}

impl<T: Ord> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.item.cmp(&self.item).then(other.number.cmp(&self.number))
    }
}

impl<T: Ord> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Ord> Eq for Ranked<T> {}

impl<T> fmt::Debug for OldestFirst<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OldestFirst")
    }
}

impl<T> fmt::Debug for NewestFirst<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewestFirst")
    }
}

impl<T> fmt::Debug for SmallestFirst<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmallestFirst")
    }
}
