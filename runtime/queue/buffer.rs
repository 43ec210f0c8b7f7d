//! The three orders in which a queue can give its items out.
//!
//! A buffer stores; it knows nothing of bounds, waiting or shut-down. The traits are public in a
//! private module: they appear in signatures, and nobody outside can implement them.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

/// What a queue needs of its store.
pub trait Buffer<T>: Default {
    /// What the public type is called.
    const NAME: &'static str;

    /// How many items are in.
    fn len(&self) -> usize;

    /// Puts an item in.
    fn push(&mut self, item: T);

    /// Takes the next item out.
    fn pop(&mut self) -> Option<T>;
}

/// First in, first out.
pub struct OldestFirst<T>(VecDeque<T>);

impl<T> Default for OldestFirst<T> {
    fn default() -> Self {
        OldestFirst(VecDeque::new())
    }
}

impl<T> Buffer<T> for OldestFirst<T> {
    const NAME: &'static str = "Queue";

    fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

/// Last in, first out.
pub struct NewestFirst<T>(Vec<T>);

impl<T> Default for NewestFirst<T> {
    fn default() -> Self {
        NewestFirst(Vec::new())
    }
}

impl<T> Buffer<T> for NewestFirst<T> {
    const NAME: &'static str = "LifoQueue";

    fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
}

/// Smallest item first, equal ones in the order in which they came.
pub struct SmallestFirst<T> {
    heap: BinaryHeap<Ranked<T>>,
    next_number: u64,
}

impl<T: Ord> Default for SmallestFirst<T> {
    fn default() -> Self {
        SmallestFirst { heap: BinaryHeap::new(), next_number: 0 }
    }
}

impl<T: Ord> Buffer<T> for SmallestFirst<T> {
    const NAME: &'static str = "PriorityQueue";

    fn len(&self) -> usize {
        self.heap.len()
    }

    fn push(&mut self, item: T) {
        self.heap.push(Ranked { item, number: self.next_number });
        self.next_number += 1;
    }

    fn pop(&mut self) -> Option<T> {
        self.heap.pop().map(|ranked| ranked.item)
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
