//! A semaphore that knows how many permits it has: none comes back that was not taken.
//!
//! A permit that lives comes back by itself, so what is left to give back by hand are those that were forgotten, and
//! these are counted. All else is the [`Semaphore`]'s.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::rc::Rc;

use super::permit::{OwnedPermit, Permit};
use super::semaphore::Semaphore;
use super::stats::SemaphoreStats;
use crate::sync::WouldWait;

/// A [`Semaphore`] that never has more permits than it was made with: giving back too many is an error.
///
/// Share it between tasks by `Rc<BoundedSemaphore>`.
///
/// # asyncio
/// `asyncio.BoundedSemaphore`. It is stricter here: [`release`](BoundedSemaphore::release) does not give back a
/// permit that somebody holds. There, the error comes later, out of the end of the holder's `async with`.
///
/// # Examples
/// ```
/// use evloop::sync::{BoundedSemaphore, ReleasedTooOften};
///
/// evloop::run(async {
///     let lines = BoundedSemaphore::new(2);
///     let permit = lines.acquire().await;
///     assert_eq!(lines.release(), Err(ReleasedTooOften)); // that one comes back by itself
///     permit.forget();
///     assert_eq!(lines.release(), Ok(()));
///     assert_eq!(lines.release(), Err(ReleasedTooOften));
///     assert_eq!(lines.available_permits(), 2);
/// });
/// ```
pub struct BoundedSemaphore {
    semaphore: Semaphore,
}

impl BoundedSemaphore {
    /// Makes a semaphore with so many permits.
    ///
    /// # asyncio
    /// `asyncio.BoundedSemaphore(permits)`.
    pub const fn new(permits: usize) -> Self {
        BoundedSemaphore { semaphore: Semaphore::new(permits) }
    }

    /// Waits for a permit and takes it; dropping the permit gives it back.
    ///
    /// # Cancel safety
    /// Safe, as [`Semaphore::acquire`].
    ///
    /// # asyncio
    /// `async with semaphore:` or `await semaphore.acquire()`. Same order.
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = Permit<'_>> {
        self.semaphore.acquire()
    }

    /// As [`Semaphore::acquire_many`].
    ///
    /// # Cancel safety
    /// Safe, as there.
    ///
    /// # asyncio
    /// No counterpart.
    #[inline]
    pub fn acquire_many(&self, permits: usize) -> impl Future<Output = Permit<'_>> {
        self.semaphore.acquire_many(permits)
    }

    /// As [`acquire`](BoundedSemaphore::acquire), with a permit that keeps the semaphore alive and borrows nothing: it
    /// can be stored, and go into tasks.
    ///
    /// # Cancel safety
    /// As [`acquire`](BoundedSemaphore::acquire).
    ///
    /// # asyncio
    /// `await semaphore.acquire()`.
    pub async fn acquire_owned(self: Rc<Self>) -> OwnedPermit {
        self.acquire_many_owned(1).await
    }

    /// As [`acquire_many`](BoundedSemaphore::acquire_many), with a permit that keeps the semaphore alive and borrows
    /// nothing.
    ///
    /// # Cancel safety
    /// As [`acquire_many`](BoundedSemaphore::acquire_many).
    ///
    /// # asyncio
    /// No counterpart.
    pub async fn acquire_many_owned(self: Rc<Self>, permits: usize) -> OwnedPermit {
        mem::forget(self.acquire_many(permits).await); // it lives on as the owned one
        OwnedPermit::new(self, permits)
    }

    /// Takes a permit if that is possible at once.
    ///
    /// # Errors
    /// [`WouldWait`] if there is no permit, or others wait or have been called and not run yet.
    ///
    /// # asyncio
    /// No counterpart: there one tests `locked()` first.
    #[doc(alias = "try_acquire")]
    #[inline]
    pub fn acquire_nowait(&self) -> Result<Permit<'_>, WouldWait> {
        self.semaphore.acquire_nowait()
    }

    /// As [`Semaphore::acquire_many_nowait`].
    ///
    /// # Errors
    /// [`WouldWait`] if there are not so many permits, or others wait or have been called and not run yet.
    ///
    /// # asyncio
    /// No counterpart.
    #[doc(alias = "try_acquire_many")]
    #[inline]
    pub fn acquire_many_nowait(&self, permits: usize) -> Result<Permit<'_>, WouldWait> {
        self.semaphore.acquire_many_nowait(permits)
    }

    /// As [`acquire_nowait`](BoundedSemaphore::acquire_nowait), with a permit that keeps the semaphore alive and borrows
    /// nothing.
    ///
    /// # Errors
    /// As [`acquire_nowait`](BoundedSemaphore::acquire_nowait).
    ///
    /// # asyncio
    /// No counterpart.
    #[doc(alias = "try_acquire_owned")]
    pub fn acquire_owned_nowait(self: Rc<Self>) -> Result<OwnedPermit, WouldWait> {
        self.acquire_many_owned_nowait(1)
    }

    /// As [`acquire_many_nowait`](BoundedSemaphore::acquire_many_nowait), with a permit that keeps the semaphore alive
    /// and borrows nothing.
    ///
    /// # Errors
    /// As [`acquire_many_nowait`](BoundedSemaphore::acquire_many_nowait).
    ///
    /// # asyncio
    /// No counterpart.
    #[doc(alias = "try_acquire_many_owned")]
    pub fn acquire_many_owned_nowait(self: Rc<Self>, permits: usize) -> Result<OwnedPermit, WouldWait> {
        mem::forget(self.acquire_many_nowait(permits)?); // it lives on as the owned one
        Ok(OwnedPermit::new(self, permits))
    }

    /// Gives back a permit that was [forgotten](Permit::forget), one of several that were forgotten together, and calls the first in line.
    ///
    /// # Errors
    /// [`ReleasedTooOften`] if no forgotten permit is left; then nothing has changed.
    ///
    /// # asyncio
    /// `semaphore.release()`, with an error in place of `ValueError`.
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        if self.semaphore.recall() { Ok(()) } else { Err(ReleasedTooOften) }
    }

    /// How many permits are there that are reserved for nobody.
    ///
    /// # asyncio
    /// No counterpart.
    pub fn available_permits(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Would [`acquire`](BoundedSemaphore::acquire) have to wait?
    ///
    /// # asyncio
    /// `semaphore.locked()`.
    pub fn locked(&self) -> bool {
        self.semaphore.locked()
    }

    /// How many permits are free, and how many wait for one.
    ///
    /// # asyncio
    /// No counterpart.
    pub fn stats(&self) -> SemaphoreStats {
        self.semaphore.stats()
    }

    pub(super) fn inner(&self) -> &Semaphore {
        &self.semaphore
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundedSemaphore").field(&self.semaphore).finish()
    }
}

/// [`BoundedSemaphore::release`] found no permit that it could give back.
///
/// # asyncio
/// The `ValueError` of `BoundedSemaphore.release()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedTooOften;

impl fmt::Display for ReleasedTooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("released too often: release() gives back permits that were forgotten, the others come back by themselves")
    }
}

impl Error for ReleasedTooOften {}
