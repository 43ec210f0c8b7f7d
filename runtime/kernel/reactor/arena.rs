//! A list that only grows, whose items stay where they are, and handles by which they are found without a search.
//!
//! A [`Handle`] is a pointer that may travel to other threads, but does nothing there: only the arena that made
//! it follows it, after comparing numbers, and hands out a reference that lives no longer than itself. So what an
//! operation on a socket does to find its slot is one comparison and no borrow, and none of it is unsafe to use.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// See the module's description.
pub(crate) struct Arena<T> {
    /// Unique in the process.
    id: u64,
    items: RefCell<Vec<NonNull<T>>>,
}

/// Where an item of one arena is.
pub(crate) struct Handle<T> {
    arena: u64,
    /// Never changed. It is an `AtomicPtr` because a plain one could not travel; its loads are plain ones.
    item: AtomicPtr<T>,
}

impl<T> Arena<T> {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), items: RefCell::new(Vec::new()) }
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items.borrow().len()
    }

    /// Appends an item; returns its number.
    pub(crate) fn push(&self, item: T) -> usize {
        let mut items = self.items.borrow_mut();
        items.push(NonNull::from(Box::leak(Box::new(item))));
        items.len() - 1
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let item = *self.items.borrow().get(index)?;
        // SAFETY: `push` made it by `Box::leak`; it is given back in `drop` only, which nobody who has a reference
        // borrowed from `self` lives to see; and no `&mut` to it is ever made.
        Some(unsafe { item.as_ref() })
    }

    /// A handle to an item.
    pub(crate) fn handle(&self, index: usize) -> Option<Handle<T>> {
        let item = *self.items.borrow().get(index)?;
        Some(Handle { arena: self.id, item: AtomicPtr::new(item.as_ptr()) })
    }

    /// The item of a handle; `None` if the handle is another arena's.
    #[inline]
    pub(crate) fn at<'a>(&'a self, handle: &Handle<T>) -> Option<&'a T> {
        if handle.arena != self.id {
            return None;
        }
        // SAFETY: no other arena ever has this number, so this one made the handle, to an item of its own; the
        // rest as in `get`.
        Some(unsafe { &*handle.item.load(Ordering::Relaxed) })
    }
}

impl<T> Drop for Arena<T> {
    fn drop(&mut self) {
        for item in self.items.get_mut().drain(..) {
            // SAFETY: from `Box::leak`, given back once, and nobody has a reference: `self` is borrowed mutably.
            drop(unsafe { Box::from_raw(item.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn items_stay_where_they_are_while_the_arena_grows() {
        let arena = Arena::new();
        arena.push(Cell::new(7));
        let first = arena.get(0).unwrap();
        let handle = arena.handle(0).unwrap();
        for n in 1..1000 {
            assert_eq!(arena.push(Cell::new(n)), n);
        }
        first.set(8);
        assert_eq!((arena.at(&handle).unwrap().get(), arena.len()), (8, 1000));
        assert!(arena.get(1000).is_none() && arena.handle(1000).is_none());
    }

    #[test]
    fn another_arenas_handle_leads_nowhere() {
        let (one, other) = (Arena::new(), Arena::new());
        one.push(1);
        other.push(2);
        let handle = one.handle(0).unwrap();
        assert!(other.at(&handle).is_none());
        drop(one);
        let third = Arena::new();
        third.push(3);
        assert!(third.at(&handle).is_none(), "not even one in the same place");
    }

    #[test]
    fn a_handle_may_travel_though_its_item_may_not() {
        fn travels<T: Send + Sync>(_: &T) {}
        let arena = Arena::new();
        arena.push(Rc::new(1));
        let handle = arena.handle(0).unwrap();
        travels(&handle);
        let handle = std::thread::spawn(move || handle).join().unwrap();
        assert_eq!(**arena.at(&handle).unwrap(), 1);
    }

    #[test]
    fn items_go_with_the_arena() {
        let item = Rc::new(());
        let arena = Arena::new();
        arena.push(item.clone());
        arena.push(item.clone());
        drop(arena);
        assert_eq!(Rc::strong_count(&item), 1);
    }
}
