//! A lock that holds its data, with asyncio's fairness.
//!
//! Who may go in is the [`Gate`]'s business. The data lies in a `RefCell` that only guards borrow. It is *not*
//! reentrant.

use std::cell::{RefCell, RefMut};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::gate::Gate;
use super::stats::LockStats;
use crate::kernel::Place;

/// Gives one task at a time access to a value, in the order in which they asked.
///
/// Between two `await`s no other task runs, so a lock is only needed for what must stay untouched
/// *across* an `await`; for the rest a `RefCell` does. Share a lock between tasks by `Rc<Lock<T>>`.
/// A task that acquires a lock it already holds waits for ever, which [debug mode](crate::debug) tells at once.
///
/// # asyncio
/// `asyncio.Lock`, except that it contains what it protects and that its guard releases it.
///
/// # Examples
/// ```
/// use evloop::Lock;
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let log = Rc::new(Lock::new(Vec::new()));
///     let task = evloop::create_task({
///         let log = log.clone();
///         async move {
///             let mut log = log.acquire().await;
///             log.push("begin");
///             evloop::yield_now().await; // the log is still ours
///             log.push("end");
///         }
///     });
///     evloop::yield_now().await;
///     assert!(log.locked());
///     log.acquire().await.push("after");
///     task.await.unwrap();
///     assert_eq!(*log.acquire().await, ["begin", "end", "after"]);
/// });
/// ```
#[doc(alias = "Mutex")]
pub struct Lock<T: ?Sized> {
    gate: Gate,
    value: RefCell<T>,
}

impl<T> Lock<T> {
    /// Makes an unlocked lock around `value`.
    ///
    /// # asyncio
    /// `asyncio.Lock()`.
    pub const fn new(value: T) -> Self {
        Lock { gate: Gate::of("Lock::acquire"), value: RefCell::new(value) }
    }

    /// Ends the lock and returns its value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Lock<T> {
    /// Waits for the lock and returns a guard that gives access to the value and releases on drop.
    ///
    /// The lock is taken at once only if it is free and nobody waits; else the caller waits at the
    /// end of the line.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future leaves the line; a turn already granted passes to the next.
    ///
    /// # asyncio
    /// `async with lock:` or `await lock.acquire()`. Same order.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let lock = evloop::Lock::new(1);
    ///     *lock.acquire().await += 1;
    ///     assert_eq!(lock.into_inner(), 2);
    /// });
    /// ```
    #[doc(alias = "lock")]
    pub fn acquire(&self) -> impl Future<Output = LockGuard<'_, T>> {
        Acquire { lock: self, place: Place::new() }
    }

    /// Takes the lock if that is possible at once.
    ///
    /// # Errors
    /// [`WouldWait`] if the lock is held or promised to somebody in line.
    ///
    /// # asyncio
    /// No counterpart: there one tests `locked()` first.
    ///
    /// # Examples
    /// ```
    /// let lock = evloop::Lock::new(());
    /// let guard = lock.acquire_nowait().unwrap();
    /// assert!(lock.acquire_nowait().is_err());
    /// drop(guard);
    /// assert!(lock.acquire_nowait().is_ok());
    /// ```
    #[doc(alias = "try_lock")]
    pub fn acquire_nowait(&self) -> Result<LockGuard<'_, T>, WouldWait> {
        if self.gate.try_enter() { Ok(self.guard()) } else { Err(WouldWait) }
    }

    /// Does somebody hold the lock?
    ///
    /// False for a moment after a release even if others wait: the first of them has been called
    /// and has not run yet. Nobody can step in between.
    ///
    /// # asyncio
    /// `lock.locked()`.
    pub fn locked(&self) -> bool {
        self.gate.is_held()
    }

    /// Who holds the lock, and how many wait.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let lock = evloop::Lock::new(());
    ///     let guard = lock.acquire().await;
    ///     assert_eq!(lock.stats().holder, Some(evloop::current_task().unwrap().id()));
    ///     drop(guard);
    ///     assert_eq!(lock.stats().holder, None);
    /// });
    /// ```
    pub fn stats(&self) -> LockStats {
        let line = self.gate.line();
        LockStats {
            locked: self.locked(),
            holder: self.gate.holder(),
            waiters: line.len(),
            peak_waiters: line.peak(),
        }
    }

    /// The value, without locking: the borrow proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// For one who has just gone in.
    #[inline]
    fn guard(&self) -> LockGuard<'_, T> {
        // Only guards borrow the value, and there is no other while this one is in.
        LockGuard { value: self.value.borrow_mut(), release: Release(self) }
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Self {
        Lock::new(T::default())
    }
}

impl<T> From<T> for Lock<T> {
    fn from(value: T) -> Self {
        Lock::new(value)
    }
}

impl<T: ?Sized> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("locked", &self.locked())
            .field("waiters", &self.gate.line().len())
            .finish_non_exhaustive()
    }
}

/// Access to the value of a [`Lock`]; dropping it releases the lock and calls the first in line.
///
/// # asyncio
/// The body of `async with lock:`; dropping is `lock.release()`.
#[must_use = "a guard that is dropped at once releases the lock again"]
pub struct LockGuard<'a, T: ?Sized> {
    // declared, hence dropped first: the value is accessible again before anybody is called
    value: RefMut<'a, T>,
    release: Release<'a, T>,
}

impl<'a, T: ?Sized> LockGuard<'a, T> {
    /// The lock that this guard holds.
    ///
    /// An associated function, so that it hides no method of the value.
    pub fn lock(guard: &Self) -> &'a Lock<T> {
        guard.release.0
    }

    /// Goes on with a part of the value; the lock is held as before.
    ///
    /// An associated function, so that it hides no method of the value.
    ///
    /// # Panics
    /// If `part` does; then the lock is released.
    ///
    /// # asyncio
    /// No counterpart: a lock there contains nothing.
    ///
    /// # Examples
    /// ```
    /// use evloop::{Lock, LockGuard};
    ///
    /// let lock = Lock::new((1, "one"));
    /// let mut number = LockGuard::map(lock.acquire_nowait().unwrap(), |pair| &mut pair.0);
    /// *number += 1;
    /// assert!(lock.locked());
    /// drop(number);
    /// assert_eq!(lock.into_inner(), (2, "one"));
    /// ```
    pub fn map<U: ?Sized>(guard: Self, part: impl FnOnce(&mut T) -> &mut U) -> MappedLockGuard<'a, U> {
        let LockGuard { value, release } = guard;
        let lock = release.0;
        mem::forget(release); // the next one takes over
        let leave = Leave(&lock.gate);
        MappedLockGuard { value: RefMut::map(value, part), leave }
    }
}

impl<T: ?Sized> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(&&*self.value).finish()
    }
}

/// As [`LockGuard`], of a part of the value: see [`LockGuard::map`].
#[must_use = "a guard that is dropped at once releases the lock again"]
pub struct MappedLockGuard<'a, T: ?Sized> {
    // As in `LockGuard`.
    value: RefMut<'a, T>,
    leave: Leave<'a>,
}

impl<'a, T: ?Sized> MappedLockGuard<'a, T> {
    /// Goes on with a part of this part.
    ///
    /// An associated function, so that it hides no method of the value.
    ///
    /// # Panics
    /// If `part` does; then the lock is released.
    pub fn map<U: ?Sized>(guard: Self, part: impl FnOnce(&mut T) -> &mut U) -> MappedLockGuard<'a, U> {
        let MappedLockGuard { value, leave } = guard;
        MappedLockGuard { value: RefMut::map(value, part), leave }
    }
}

impl<T: ?Sized> Deref for MappedLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MappedLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MappedLockGuard").field(&&*self.value).finish()
    }
}

/// One of the functions that end in `_nowait` found that it would have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WouldWait;

impl fmt::Display for WouldWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("taken, or others wait in line: await it to wait for a turn")
    }
}

impl Error for WouldWait {}

struct Acquire<'a, T: ?Sized> {
    lock: &'a Lock<T>,
    place: Place,
}

impl<'a, T: ?Sized> Future for Acquire<'a, T> {
    type Output = LockGuard<'a, T>;

    // Inlined, the guard is made where it is wanted; returned, it goes through memory, which takes twice as long.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LockGuard<'a, T>> {
        let lock = self.lock;
        if lock.gate.poll_enter(&mut self.place, cx.waker()) {
            Poll::Ready(lock.guard())
        } else {
            Poll::Pending
        }
    }
}

impl<T: ?Sized> Drop for Acquire<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.gate.give_up(&mut self.place);
    }
}

/// Leaves the gate.
struct Release<'a, T: ?Sized>(&'a Lock<T>);

impl<T: ?Sized> Drop for Release<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.gate.pass_on();
    }
}

/// Leaves the gate of a lock whose value's type is not known any more.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}
