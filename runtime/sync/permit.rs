//! What one has of a semaphore: permits that come back by themselves, unless they are forgotten.

use std::fmt;
use std::mem;
use std::rc::Rc;

use super::bounded_semaphore::BoundedSemaphore;
use super::semaphore::Semaphore;

/// One or several permits of a [`Semaphore`] or a [`BoundedSemaphore`]; dropping it gives them back.
///
/// # asyncio
/// The body of `async with semaphore:`; dropping is `semaphore.release()`.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl<'a> Permit<'a> {
    /// For permits that were taken.
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, permits: usize) -> Self {
        Permit { semaphore, permits }
    }

    /// Ends the permit without giving anything back. Nobody is called, and what the semaphore says of itself stays as
    /// it is.
    ///
    /// So a permit can outlive the code that took it: whoever sees the end of what it was taken for gives it back, by
    /// [`release`](Semaphore::release) or [`add_permits`](Semaphore::add_permits). Or nobody does, and the semaphore has
    /// fewer from then on.
    ///
    /// # asyncio
    /// `await semaphore.acquire()` without a `release()` in the same function.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let semaphore = evloop::Semaphore::new(1);
    ///     semaphore.acquire().await.forget();
    ///     assert!(semaphore.locked());
    ///     semaphore.release();
    ///     assert!(!semaphore.locked());
    /// });
    /// ```
    pub fn forget(self) {
        self.semaphore.forget(self.permits);
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.give(self.permits);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

/// As [`Permit`], of a semaphore that it keeps alive.
///
/// # asyncio
/// As [`Permit`].
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct OwnedPermit {
    semaphore: Rc<dyn Issuer>,
    permits: usize,
}

/// A semaphore of either kind.
pub(super) trait Issuer {
    fn semaphore(&self) -> &Semaphore;
}

impl Issuer for Semaphore {
    fn semaphore(&self) -> &Semaphore {
        self
    }
}

impl Issuer for BoundedSemaphore {
    fn semaphore(&self) -> &Semaphore {
        self.inner()
    }
}

impl OwnedPermit {
    /// For permits that were taken.
    pub(super) fn new(semaphore: Rc<dyn Issuer>, permits: usize) -> Self {
        OwnedPermit { semaphore, permits }
    }

    /// As [`Permit::forget`]. The semaphore is not kept alive any more.
    ///
    /// # asyncio
    /// As [`Permit::forget`].
    ///
    /// # Examples
    /// A request takes a permit, its reply gives it back, and in between there is no code that waits:
    /// ```
    /// use evloop::{Semaphore, call_soon};
    /// use std::rc::Rc;
    ///
    /// evloop::run(async {
    ///     let window = Rc::new(Semaphore::new(1));
    ///     let on_reply = {
    ///         let window = window.clone();
    ///         move || window.release()
    ///     };
    ///     window.clone().acquire_owned().await.forget();
    ///     let _ = call_soon(on_reply);
    ///     assert_eq!(window.stats().available_permits, 0);
    ///     drop(window.acquire().await); // after the reply
    /// });
    /// ```
    pub fn forget(mut self) {
        // Dropped with none it gives nothing back.
        let permits = mem::take(&mut self.permits);
        self.semaphore.semaphore().forget(permits);
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.semaphore().give(self.permits);
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("permits", &self.permits).finish_non_exhaustive()
    }
}
