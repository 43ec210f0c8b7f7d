//! Waiting, with a lock released meanwhile, until somebody notifies.
//!
//! A waiter stands in two lines, one after the other: in the condition's until it is notified, then in its lock's. In
//! both, leaving early passes on what it was given: the notification to the next who waits here, the turn to the next
//! in the lock's line.
//!
//! The condition knows no lock: a guard says which one to release and to take again.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::stats::ConditionStats;
use crate::kernel::{Place, Standing, WaitList, call_each};
use crate::sync::LockGuard;

/// Lets tasks that hold a [`Lock`](crate::Lock) wait until another one that holds it says that something has changed.
///
/// Put it beside the lock, and use it with that lock only; several conditions may share a lock. Where the value that
/// is waited for is not touched across an `await`, an [`Event`](crate::Event) does.
///
/// # asyncio
/// `asyncio.Condition`, except that it does not contain its lock: who waits or notifies shows the lock's guard, so
/// that doing so without the lock does not compile. And see [`wait`](Condition::wait) for what a cancellation leaves.
///
/// # Examples
/// ```
/// use evloop::{Condition, Lock, create_task};
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let shared = Rc::new((Lock::new(Vec::new()), Condition::new()));
///     let consumer = create_task({
///         let shared = shared.clone();
///         async move {
///             let (items, changed) = &*shared;
///             let guard = items.acquire().await;
///             let mut guard = changed.wait_for(guard, |items| items.len() >= 2).await;
///             std::mem::take(&mut *guard)
///         }
///     });
///     let (items, changed) = &*shared;
///     for item in ["a", "b"] {
///         evloop::yield_now().await;
///         let mut guard = items.acquire().await;
///         guard.push(item);
///         changed.notify(&guard, 1);
///     }
///     assert_eq!(consumer.await.unwrap(), ["a", "b"]);
/// });
/// ```
#[doc(alias = "Condvar")]
pub struct Condition {
    line: WaitList,
}

impl Condition {
    /// Makes a condition that nobody waits for.
    ///
    /// # asyncio
    /// `asyncio.Condition(lock)`.
    pub const fn new() -> Self {
        Condition { line: WaitList::of("Condition::wait") }
    }

    /// Releases the lock, waits for a notification, acquires the lock again and returns its guard.
    ///
    /// Others may have had the lock between the notification and the return, and a notification may be one that
    /// somebody else has passed on: look at the value again, or use [`wait_for`](Condition::wait_for).
    ///
    /// # Cancel safety
    /// Safe for everybody else: dropping the future leaves the line; a notification that it had been given goes to the
    /// next who waits, also while it waits for the lock again. The lock is *not* held afterwards, since dropping
    /// cannot wait for it. Code that needs the lock when it was cancelled acquires it in an
    /// [`on_cancel`](crate::on_cancel) handler, which holds the cancellation back until it is done.
    ///
    /// # asyncio
    /// `await condition.wait()`. There a cancelled wait raises with the lock held, and even a waiter that had not been
    /// notified notifies another one.
    ///
    /// # Examples
    /// A wait that is cancelled, and takes its name off the list with the lock held:
    /// ```
    /// use evloop::{Condition, Lock, create_task, on_cancel};
    /// use std::rc::Rc;
    ///
    /// evloop::run(async {
    ///     let shared = Rc::new((Lock::new(vec!["main"]), Condition::new()));
    ///     let task = create_task({
    ///         let shared = shared.clone();
    ///         async move {
    ///             let (names, changed) = &*shared;
    ///             let mut guard = names.acquire().await;
    ///             guard.push("task");
    ///             let mut guard = on_cancel(changed.wait(guard), async |c| {
    ///                 let mut guard = names.acquire().await;
    ///                 guard.pop();
    ///                 drop(guard);
    ///                 c.rethrow().await
    ///             })
    ///             .await;
    ///             guard.pop();
    ///         }
    ///     });
    ///     evloop::yield_now().await;
    ///     let guard = shared.0.acquire().await;
    ///     assert_eq!(*guard, ["main", "task"]);
    ///     task.cancel();
    ///     drop(guard);
    ///     assert!(task.await.unwrap_err().is_cancelled());
    ///     assert_eq!(*shared.0.acquire().await, ["main"]);
    /// });
    /// ```
    pub async fn wait<'a, T: ?Sized>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        let lock = LockGuard::lock(&guard);
        Notification { condition: self, guard: Some(guard), place: Place::new() }.await;
        let unused = PassOn(self);
        let guard = lock.acquire().await;
        mem::forget(unused);
        guard
    }

    /// Waits until `predicate`, which is asked with the lock held, says yes: at once, or after any notification.
    ///
    /// # Cancel safety
    /// As [`wait`](Condition::wait).
    ///
    /// # asyncio
    /// `await condition.wait_for(predicate)`. What the predicate finds is in the guard.
    pub async fn wait_for<'a, T: ?Sized>(
        &self,
        mut guard: LockGuard<'a, T>,
        mut predicate: impl FnMut(&mut T) -> bool,
    ) -> LockGuard<'a, T> {
        while !predicate(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// Wakes the first `n` who wait, or all if there are fewer. They go on once they have the lock, one after the
    /// other, so not before `guard` is dropped.
    ///
    /// # asyncio
    /// `condition.notify(n)`.
    pub fn notify<T: ?Sized>(&self, guard: &LockGuard<'_, T>, n: usize) {
        let _ = guard; // it is the proof that the caller has the lock
        // Nobody who joins meanwhile, out of a foreign waker, is meant.
        let mut meant = 0..n.min(self.line.len());
        call_each(|| {
            let waker = meant.next().and_then(|_| self.line.pop_front())?;
            Some(|| waker.wake())
        });
    }

    /// Wakes all who wait.
    ///
    /// # asyncio
    /// `condition.notify_all()`.
    pub fn notify_all<T: ?Sized>(&self, guard: &LockGuard<'_, T>) {
        let _ = guard;
        self.line.wake_all();
    }

    /// How many wait for a notification.
    ///
    /// # asyncio
    /// No counterpart.
    pub fn stats(&self) -> ConditionStats {
        ConditionStats { waiters: self.line.len(), peak_waiters: self.line.peak() }
    }
}

impl Default for Condition {
    fn default() -> Self {
        Condition::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiters", &self.line.len()).finish()
    }
}

/// Releases the lock and ends when it is notified.
struct Notification<'c, 'a, T: ?Sized> {
    condition: &'c Condition,
    /// Until it waits.
    guard: Option<LockGuard<'a, T>>,
    place: Place,
}

impl<T: ?Sized> Future for Notification<'_, '_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let line = &self.condition.line;
        match self.place.poll(line, cx.waker()) {
            Standing::InLine => Poll::Pending,
            Standing::Called => Poll::Ready(()),
            Standing::Outside => {
                self.place.enter(line, cx.waker());
                // Only now, so that whoever the release calls finds this one in line.
                drop(self.guard.take());
                Poll::Pending
            }
        }
    }
}

impl<T: ?Sized> Drop for Notification<'_, '_, T> {
    fn drop(&mut self) {
        if self.place.leave(&self.condition.line) == Standing::Called {
            self.condition.line.wake_one();
        }
    }
}

/// Dropped, it notifies one other waiter.
struct PassOn<'c>(&'c Condition);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.0.line.wake_one();
    }
}
