//! A semaphore that reserves permits for the one it calls.
//!
//! `value` is the number of permits that anybody may take, `called` the number of those who were
//! taken out of the line with their permits reserved and have not run yet. A newcomer takes the fast
//! path only if the permits are there, nobody waits and nobody is called; so permits can be there while
//! somebody waits, and whoever arrives after a call serves the line until one of both is used up.
//!
//! Who wants several permits waits for all of them at once, and while it is the first in line nobody behind it
//! is served. So it comes to its turn, however many want one.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::permit::{OwnedPermit, Permit};
use super::stats::SemaphoreStats;
use crate::kernel::{Place, Standing, WaitList, call_each};
use crate::sync::WouldWait;

/// Lets a limited number of tasks through at a time, in the order in which they asked.
///
/// Share it between tasks by `Rc<Semaphore>`.
///
/// # asyncio
/// `asyncio.Semaphore`. A [`Permit`] gives back exactly what it took. Where permits are given back by hand, and too
/// many would be a mistake, there is [`BoundedSemaphore`](crate::BoundedSemaphore).
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
    /// Permits that were [forgotten](Permit::forget), ever: what a bounded semaphore may take back.
    forgotten: Cell<usize>,
    /// With how many permits each of them wants.
    line: WaitList<(Waker, usize)>,
}

impl Semaphore {
    /// Makes a semaphore with so many permits; with 0 everybody waits for a first [`release`].
    ///
    /// [`release`]: Semaphore::release
    ///
    /// # asyncio
    /// `asyncio.Semaphore(permits)`.
    pub const fn new(permits: usize) -> Self {
        Semaphore {
            value: Cell::new(permits),
            called: Cell::new(0),
            forgotten: Cell::new(0),
            line: WaitList::of("Semaphore::acquire"),
        }
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
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = Permit<'_>> {
        self.acquire_many(1)
    }

    /// Waits for so many permits at once; dropping the permit, which is one for all of them, gives them back. Who asks
    /// for 0 waits for those ahead in the line, and takes nothing.
    ///
    /// While it is the first in line, nobody behind it gets any: so it waits for ever if there are never so many, and
    /// the others with it.
    ///
    /// # Cancel safety
    /// Safe, as [`acquire`](Semaphore::acquire): all of them go to the next in line, or back.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// Work of different sizes:
    /// ```
    /// evloop::run(async {
    ///     let megabytes = evloop::Semaphore::new(64);
    ///     let large = megabytes.acquire_many(48).await;
    ///     let small = megabytes.acquire().await;
    ///     assert_eq!(megabytes.available_permits(), 15);
    ///     drop((large, small));
    ///     assert_eq!(megabytes.available_permits(), 64);
    /// });
    /// ```
    #[inline]
    pub fn acquire_many(&self, permits: usize) -> impl Future<Output = Permit<'_>> {
        Acquire { semaphore: self, permits, place: Place::new() }
    }

    /// As [`acquire`](Semaphore::acquire), with a permit that keeps the semaphore alive and borrows nothing: it can
    /// be stored, and go into tasks.
    ///
    /// # Cancel safety
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # asyncio
    /// `await semaphore.acquire()`.
    ///
    /// # Examples
    /// No more than two tasks at a time, where those that are too many are not even started:
    /// ```
    /// use evloop::{Semaphore, TaskGroup, yield_now};
    /// use std::rc::Rc;
    ///
    /// evloop::run(async {
    ///     let slots = Rc::new(Semaphore::new(2));
    ///     TaskGroup::scope(async |tg| {
    ///         for _ in 0..10 {
    ///             let permit = slots.clone().acquire_owned().await;
    ///             let _task = tg.create_task(async move {
    ///                 yield_now().await;
    ///                 drop(permit);
    ///             });
    ///         }
    ///     })
    ///     .await;
    ///     assert_eq!(slots.available_permits(), 2);
    /// });
    /// ```
    pub async fn acquire_owned(self: Rc<Self>) -> OwnedPermit {
        self.acquire_many_owned(1).await
    }

    /// As [`acquire_many`](Semaphore::acquire_many), with a permit that keeps the semaphore alive and borrows nothing.
    ///
    /// # Cancel safety
    /// As [`acquire_many`](Semaphore::acquire_many).
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
    ///
    /// # Examples
    /// ```
    /// let semaphore = evloop::Semaphore::new(1);
    /// let permit = semaphore.acquire_nowait().unwrap();
    /// assert!(semaphore.acquire_nowait().is_err());
    /// drop(permit);
    /// ```
    #[doc(alias = "try_acquire")]
    #[inline]
    pub fn acquire_nowait(&self) -> Result<Permit<'_>, WouldWait> {
        self.acquire_many_nowait(1)
    }

    /// Takes so many permits if that is possible at once.
    ///
    /// # Errors
    /// [`WouldWait`] if there are not so many permits, or others wait or have been called and not run yet.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// let semaphore = evloop::Semaphore::new(3);
    /// let two = semaphore.acquire_many_nowait(2).unwrap();
    /// assert!(semaphore.acquire_many_nowait(2).is_err());
    /// drop(two);
    /// ```
    #[doc(alias = "try_acquire_many")]
    #[inline]
    pub fn acquire_many_nowait(&self, permits: usize) -> Result<Permit<'_>, WouldWait> {
        self.take(permits).map(|()| Permit::new(self, permits))
    }

    /// As [`acquire_nowait`](Semaphore::acquire_nowait), with a permit that keeps the semaphore alive and borrows
    /// nothing.
    ///
    /// # Errors
    /// As [`acquire_nowait`](Semaphore::acquire_nowait).
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// A server that turns away whoever is too many:
    /// ```
    /// use evloop::{Semaphore, create_task};
    /// use std::rc::Rc;
    ///
    /// evloop::run(async {
    ///     let places = Rc::new(Semaphore::new(2));
    ///     let visitor = || {
    ///         let place = places.clone().acquire_owned_nowait().ok()?;
    ///         Some(create_task(async move { drop(place) }))
    ///     };
    ///     let visits = [visitor(), visitor(), visitor()];
    ///     assert_eq!(visits.iter().flatten().count(), 2);
    ///     for visit in visits.into_iter().flatten() {
    ///         visit.await.unwrap();
    ///     }
    /// });
    /// ```
    #[doc(alias = "try_acquire_owned")]
    pub fn acquire_owned_nowait(self: Rc<Self>) -> Result<OwnedPermit, WouldWait> {
        self.acquire_many_owned_nowait(1)
    }

    /// As [`acquire_many_nowait`](Semaphore::acquire_many_nowait), with a permit that keeps the semaphore alive and
    /// borrows nothing.
    ///
    /// # Errors
    /// As [`acquire_many_nowait`](Semaphore::acquire_many_nowait).
    ///
    /// # asyncio
    /// No counterpart.
    #[doc(alias = "try_acquire_many_owned")]
    pub fn acquire_many_owned_nowait(self: Rc<Self>, permits: usize) -> Result<OwnedPermit, WouldWait> {
        self.take(permits)?;
        Ok(OwnedPermit::new(self, permits))
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
        self.give(1);
    }

    /// Adds so many permits and calls those who are served by them. There are at most `usize::MAX`: what would be more
    /// is lost.
    ///
    /// # asyncio
    /// So many times `semaphore.release()`.
    ///
    /// # Examples
    /// ```
    /// let semaphore = evloop::Semaphore::new(1);
    /// semaphore.add_permits(9);
    /// assert_eq!(semaphore.available_permits(), 10);
    /// ```
    pub fn add_permits(&self, permits: usize) {
        self.give(permits);
    }

    /// How many permits are there that are reserved for nobody. Others may wait nevertheless: see
    /// [`locked`](Semaphore::locked).
    ///
    /// # asyncio
    /// No counterpart.
    pub fn available_permits(&self) -> usize {
        self.value.get()
    }

    /// Would [`acquire`](Semaphore::acquire) have to wait?
    ///
    /// # asyncio
    /// `semaphore.locked()`.
    #[inline]
    pub fn locked(&self) -> bool {
        self.has_to_wait(1)
    }

    /// How many permits are free, and how many wait for one.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// let semaphore = evloop::Semaphore::new(3);
    /// let _permit = semaphore.acquire_nowait();
    /// let stats = semaphore.stats();
    /// assert_eq!((stats.available_permits, stats.waiters), (2, 0));
    /// ```
    pub fn stats(&self) -> SemaphoreStats {
        SemaphoreStats {
            available_permits: self.value.get(),
            waiters: self.line.len(),
            peak_waiters: self.line.peak(),
        }
    }

    /// Takes one of the permits that were forgotten for given back. False if there is none.
    pub(super) fn recall(&self) -> bool {
        let Some(rest) = self.forgotten.get().checked_sub(1) else {
            return false;
        };
        self.forgotten.set(rest);
        self.give(1);
        true
    }

    #[inline]
    fn has_to_wait(&self, permits: usize) -> bool {
        self.value.get() < permits || self.called.get() > 0 || !self.line.is_empty()
    }

    /// Takes permits that the caller answers for.
    #[inline]
    fn take(&self, permits: usize) -> Result<(), WouldWait> {
        if self.has_to_wait(permits) {
            return Err(WouldWait);
        }
        self.value.set(self.value.get() - permits);
        Ok(())
    }

    /// Notes permits that do not come back by themselves.
    pub(super) fn forget(&self, permits: usize) {
        self.forgotten.set(self.forgotten.get().saturating_add(permits));
    }

    /// Each permit calls one of those in line, as if they were given one after the other.
    #[inline]
    pub(super) fn give(&self, permits: usize) {
        self.value.set(self.value.get().saturating_add(permits));
        if !self.line.is_empty() {
            self.call_up_to(permits);
        }
    }

    /// Serves those who had to wait only because somebody was ahead of them.
    #[inline]
    fn call_all_served(&self) {
        if !self.line.is_empty() {
            self.call_up_to(usize::MAX);
        }
    }

    #[inline(never)]
    fn call_up_to(&self, most: usize) {
        let mut left = most;
        call_each(|| {
            left = left.checked_sub(1)?;
            let (waker, permits) = self.line.pop_front_if(|&(_, permits)| permits <= self.value.get())?;
            self.value.set(self.value.get() - permits);
            self.called.set(self.called.get() + 1);
            Some(|| waker.wake())
        });
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

struct Acquire<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    place: Place,
}

impl<'a> Acquire<'a> {
    /// The poll of one that has to wait, or had to.
    #[inline(never)]
    fn poll_in_line(&mut self, waker: &Waker) -> Poll<Permit<'a>> {
        let (semaphore, permits) = (self.semaphore, self.permits);
        match self.place.poll(&semaphore.line, waker) {
            Standing::InLine => Poll::Pending,
            Standing::Called => {
                semaphore.called.set(semaphore.called.get() - 1);
                let permit = Permit::new(semaphore, permits);
                semaphore.call_all_served();
                Poll::Ready(permit)
            }
            Standing::Outside => {
                let waker = waker.clone();
                // To clone it was foreign code, which may have given permits back.
                if let Ok(permit) = semaphore.acquire_many_nowait(permits) {
                    return Poll::Ready(permit);
                }
                self.place.enter_as(&semaphore.line, (waker, permits));
                Poll::Pending
            }
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Permit<'a>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit<'a>> {
        if self.place.is_outside()
            && let Ok(permit) = self.semaphore.acquire_many_nowait(self.permits)
        {
            return Poll::Ready(permit);
        }
        self.poll_in_line(cx.waker())
    }
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        let semaphore = self.semaphore;
        match self.place.leave(&semaphore.line) {
            Standing::Outside => {}
            Standing::InLine => semaphore.call_all_served(),
            Standing::Called => {
                semaphore.called.set(semaphore.called.get() - 1);
                semaphore.value.set(semaphore.value.get().saturating_add(self.permits));
                semaphore.call_all_served();
            }
        }
    }
}
