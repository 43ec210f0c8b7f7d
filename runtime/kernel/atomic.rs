//! The atomics of the cross-thread hand-shakes: std's, or loom's under its model checker.

#[cfg(all(test, loom))]
pub(crate) use self::modelled::AtomicBool;
#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicIsize, AtomicUsize, Ordering},
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering},
};

/// loom takes `SeqCst` accesses for `AcqRel`, and does not know that a store which follows what a
/// read-modify-write has read must follow its write too: it shows orders of events that the language
/// excludes. `SeqCst` fences it knows exactly. So here a `SeqCst` store is a swap, and a fence stands between
/// it and the same thread's next `SeqCst` load: that is all our hand-shakes ask of `SeqCst`. Either of the
/// two made weaker gets no fence, and the models see it fail.
#[cfg(all(test, loom))]
mod modelled {
    use std::cell::Cell;

    use loom::sync::atomic::{self, Ordering, fence};

    loom::thread_local! {
        /// Whether this thread's last `SeqCst` access was a store.
        static STORED: Cell<bool> = Cell::new(false);
    }

    pub(crate) struct AtomicBool(atomic::AtomicBool);

    impl AtomicBool {
        pub(crate) fn new(value: bool) -> Self {
            Self(atomic::AtomicBool::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            before_load(order);
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            if order == Ordering::SeqCst {
                // A store releases, and does not acquire.
                self.0.swap(value, Ordering::Release);
                after_store(order);
            } else {
                self.0.store(value, order);
            }
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            before_load(order);
            let before = self.0.swap(value, order);
            after_store(order);
            before
        }
    }

    fn before_load(order: Ordering) {
        if order == Ordering::SeqCst && STORED.with(Cell::take) {
            fence(Ordering::SeqCst);
        }
    }

    fn after_store(order: Ordering) {
        if order == Ordering::SeqCst {
            STORED.with(|stored| stored.set(true));
        }
    }
}
