//! A semaphore that reserves a permit for the one it calls.
//!
//! `value` is the number of permits that anybody may take, `called` the number of those who were
//! taken out of the line with a permit reserved and have not run yet. A newcomer takes the fast
//! path only if a permit is there, nobody waits and nobody is called; so permits can be there while
//! somebody waits, and whoever arrives after a call serves the line until one of both is used up.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::kernel::{Place, Standing, WaitList};
use crate::sync::WouldWait;

/// Lets a limited number of tasks through at a time, in the order in which they asked.
///
/// Share it between tasks by `Rc<Semaphore>`.
///
/// # asyncio
/// `asyncio.Semaphore`. A [`Permit`] gives back exactly what it took, which is what
/// `BoundedSemaphore` checks for.
///
/// # Examples
/// ```
/// use evloop::{Semaphore, sleep, time::millis};
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let slots = Rc::new(Semaphore::new(2));
///     let mut tasks = Vec::new();
///     for _ in 0..4 {
///         let slots = slots.clone();
///         tasks.push(evloop::create_task(async move {
///             let _permit = slots.acquire().await; // two at a time
///             sleep(millis(10)).await;
///         }));
///     }
///     for task in tasks {
///         task.await.unwrap();
///     }
///     assert!(!slots.locked());
/// });
/// ```
pub struct Semaphore {
    value: Cell<usize>,
    called: Cell<usize>,
    line: WaitList,
}

impl Semaphore {
    /// Makes a semaphore with so many permits; with 0 everybody waits for a first [`release`].
    ///
    /// [`release`]: Semaphore::release
    ///
    /// # asyncio
    /// `asyncio.Semaphore(permits)`.
    pub const fn new(permits: usize) -> Self {
        Semaphore { value: Cell::new(permits), called: Cell::new(0), line: WaitList::new() }
    }

    /// Waits for a permit and takes it; dropping the permit gives it back.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line; a permit already reserved for it goes to the
    /// next in line, or back.
    ///
    /// # asyncio
    /// `async with semaphore:` or `await semaphore.acquire()`. Same order.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let semaphore = evloop::Semaphore::new(1);
    ///     let permit = semaphore.acquire().await;
    ///     assert!(semaphore.locked());
    ///     drop(permit);
    ///     assert!(!semaphore.locked());
    /// });
    /// ```
    pub fn acquire(&self) -> impl Future<Output = Permit<'_>> {
        Acquire { semaphore: self, place: Place::new() }
    }

    /// Takes a permit if that is possible at once.
    ///
    /// # Errors
    /// [`WouldWait`] if there is no permit, or others wait or have been called and not run yet.
    ///
    /// # asyncio
    /// No counterpart: there one tests `locked()` first.
    ///
    /// # Examples
    /// ```
    /// let semaphore = evloop::Semaphore::new(1);
    /// let permit = semaphore.acquire_nowait().unwrap();
    /// assert!(semaphore.acquire_nowait().is_err());
    /// drop(permit);
    /// ```
    #[doc(alias = "try_acquire")]
    pub fn acquire_nowait(&self) -> Result<Permit<'_>, WouldWait> {
        if self.locked() {
            return Err(WouldWait);
        }
        self.value.set(self.value.get() - 1);
        Ok(Permit { semaphore: self })
    }

    /// Adds a permit and calls the first in line, for whom it is reserved from then on.
    ///
    /// Dropping a [`Permit`] does the same. Call it to raise the number of permits, or to give
    /// back one that was [forgotten](Permit::forget).
    ///
    /// # asyncio
    /// `semaphore.release()`. May exceed the initial number, as there.
    ///
    /// # Examples
    /// ```
    /// let semaphore = evloop::Semaphore::new(0);
    /// assert!(semaphore.locked());
    /// semaphore.release();
    /// assert!(semaphore.acquire_nowait().is_ok());
    /// ```
    pub fn release(&self) {
        self.value.set(self.value.get() + 1);
        self.call_next();
    }

    /// Would [`acquire`](Semaphore::acquire) have to wait?
    ///
    /// # asyncio
    /// `semaphore.locked()`.
    pub fn locked(&self) -> bool {
        self.value.get() == 0 || self.called.get() > 0 || !self.line.is_empty()
    }

    /// Reserves a permit, of which there must be one, for the first in line. False if nobody waits.
    fn call_next(&self) -> bool {
        let Some(waker) = self.line.pop_front() else {
            return false;
        };
        self.value.set(self.value.get() - 1);
        self.called.set(self.called.get() + 1);
        waker.wake();
        true
    }

    /// Serves those who had to wait only because somebody was ahead of them.
    fn call_all_served(&self) {
        while self.value.get() > 0 && self.call_next() {}
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("permits", &self.value.get())
            .field("waiters", &(self.line.len() + self.called.get()))
            .finish()
    }
}

/// A permit of a [`Semaphore`]; dropping it gives it back.
///
/// # asyncio
/// The body of `async with semaphore:`; dropping is `semaphore.release()`.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Keeps the permit away from the semaphore until somebody calls [`Semaphore::release`].
    ///
    /// # asyncio
    /// `await semaphore.acquire()` without a `release()` in the same function.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

struct Acquire<'a> {
    semaphore: &'a Semaphore,
    place: Place,
}

impl<'a> Future for Acquire<'a> {
    type Output = Permit<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit<'a>> {
        let semaphore = self.semaphore;
        match self.place.poll(&semaphore.line, cx.waker()) {
            Standing::InLine => return Poll::Pending,
            Standing::Called => {
                semaphore.called.set(semaphore.called.get() - 1);
                let permit = Permit { semaphore };
                semaphore.call_all_served();
                return Poll::Ready(permit);
            }
            Standing::Outside => {}
        }
        if let Ok(permit) = semaphore.acquire_nowait() {
            return Poll::Ready(permit);
        }
        self.place.enter(&semaphore.line, cx.waker());
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let semaphore = self.semaphore;
        match self.place.leave(&semaphore.line) {
            Standing::Outside => {}
            Standing::InLine => semaphore.call_all_served(),
            Standing::Called => {
                semaphore.called.set(semaphore.called.get() - 1);
                semaphore.value.set(semaphore.value.get() + 1);
                semaphore.call_all_served();
            }
        }
    }
}
