//! The atomics of the cross-thread hand-shakes: std's, or loom's under its model checker.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicIsize, Ordering},
};

#[cfg(all(test, loom))]
pub(crate) use self::modelled::AtomicBool;
#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicIsize, Ordering},
};

/// Loom takes `SeqCst` accesses for `AcqRel` ones and so reports orders of events that the language
/// excludes. It does know `SeqCst` fences: with one on either side of each such access, the accesses have
/// the one order that all threads agree on.
#[cfg(all(test, loom))]
mod modelled {
    use loom::sync::atomic::{self, Ordering, fence};

    pub(crate) struct AtomicBool(atomic::AtomicBool);

    fn fenced<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
        if order != Ordering::SeqCst {
            return access();
        }
        fence(Ordering::SeqCst);
        let result = access();
        fence(Ordering::SeqCst);
        result
    }

    impl AtomicBool {
        pub(crate) fn new(value: bool) -> Self {
            Self(atomic::AtomicBool::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            fenced(order, || self.0.load(order))
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            fenced(order, || self.0.store(value, order));
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            fenced(order, || self.0.swap(value, order))
        }
    }
}
