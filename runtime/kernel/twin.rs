//! A value with two owners, whose memory comes from the loop's free list.
//!
//! What both ends of a short-lived thing share, as by an `Rc` that is cloned once: the value is dropped with the
//! second end. One pair for each request is most of what a request costs where that is a `malloc` and a `free`.
//!
//! The memory may outlive the loop, be made in one loop (or in none) and be given back in another: a block of a free
//! list is the allocator's own, of a rounded size.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use super::context::with_current;
use super::scheduler::memory::{Room, allocate_anywhere, free_anywhere};

/// One of the two owners of a value. It stays on its thread.
pub(crate) struct Twin<T> {
    shared: NonNull<Shared<T>>,
    /// It may drop a `T`. (The pointer keeps it on this thread.)
    owns: PhantomData<T>,
}

struct Shared<T> {
    value: T,
    /// Whether one of the two has ended.
    is_single: Cell<bool>,
}

impl<T> Twin<T> {
    const ROOM: &'static Room = Room::of::<Shared<T>>();

    /// Makes both owners of a value, which is made in its place. (If `make` panics, a block of memory is lost.)
    #[inline]
    pub(crate) fn pair(make: impl FnOnce() -> T) -> (Self, Self) {
        let memory = with_current(|_, home| home.memory.allocate(Self::ROOM));
        let shared = memory.unwrap_or_else(|| allocate_anywhere(Self::ROOM)).cast::<Shared<T>>();
        // SAFETY: fresh memory for it.
        unsafe { shared.write(Shared { value: make(), is_single: Cell::new(false) }) };
        let twin = || Self { shared, owns: PhantomData };
        (twin(), twin())
    }

    /// Drops the value and frees the memory.
    ///
    /// # Safety
    /// It is `pair`'s, both twins have ended, and it is not called again.
    #[inline(never)]
    unsafe fn end(shared: NonNull<Shared<T>>) {
        /// Frees also if the value's destructor panics.
        struct Memory<T>(NonNull<Shared<T>>);
        impl<T> Drop for Memory<T> {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: the duty of `end`; and the value is gone.
                unsafe { Twin::free(self.0) };
            }
        }
        let memory = Memory(shared);
        // SAFETY: both have ended: nobody looks at the value any more. It is dropped once, here.
        unsafe { ptr::drop_in_place(&raw mut (*memory.0.as_ptr()).value) };
    }

    /// Frees the memory.
    ///
    /// # Safety
    /// It is `pair`'s, and nobody uses it any more.
    #[inline]
    unsafe fn free(memory: NonNull<Shared<T>>) {
        let memory = memory.cast();
        let is_freed = with_current(|_, home| {
            // SAFETY: a free list's, or the same from `allocate_anywhere`, for this room.
            unsafe { home.memory.free(memory, Self::ROOM) }
        });
        if is_freed.is_none() {
            // SAFETY: as above.
            unsafe { free_anywhere(memory, Self::ROOM) };
        }
    }
}

impl<T> Deref for Twin<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value lives until the second twin is dropped, and this one was not.
        unsafe { &(*self.shared.as_ptr()).value }
    }
}

impl<T> Drop for Twin<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: alive, because this one was not dropped before.
        if unsafe { self.shared.as_ref() }.is_single.replace(true) {
            // SAFETY: the other one has ended, and this one ends here.
            unsafe { Self::end(self.shared) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;

    #[test]
    fn the_value_goes_with_the_second() {
        let value = Rc::new(());
        let (one, other) = Twin::pair(|| value.clone());
        assert!(Rc::ptr_eq(&one, &other) && Rc::ptr_eq(&one, &value));
        drop(one);
        assert_eq!(Rc::strong_count(&value), 2);
        drop(other);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn the_memory_goes_from_loop_to_loop_and_outside() {
        let (outside, inside) = crate::run(async { Twin::pair(|| [1_u64; 20]) });
        let (from_outside, other) = Twin::pair(|| [2_u64; 20]);
        crate::run(async move {
            drop(other);
            assert_eq!((outside[0], from_outside[19]), (1, 2));
            drop((outside, from_outside, inside));
            let (again, _) = Twin::pair(|| [3_u64; 20]);
            assert_eq!(*again, [3; 20]);
        });
    }

    #[test]
    fn a_destructor_that_panics_or_makes_a_pair_takes_no_memory_along() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                drop(Twin::pair(|| 1_u8));
                panic!("expected: a destructor panics");
            }
        }
        crate::run(async {
            let (one, other) = Twin::pair(|| Bad);
            drop(one);
            assert!(catch_unwind(AssertUnwindSafe(|| drop(other))).is_err());
            let (first, _second) = Twin::pair(|| 2_u8);
            assert_eq!(*first, 2);
        });
    }
}
