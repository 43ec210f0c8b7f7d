//! What is tested by `cancel_everywhere`, what is done to it, and what the check is told.

use std::fmt;
use std::future::{Ready, ready};

use crate::kernel::CancelledError;

/// One set-up for [`cancel_everywhere`](super::cancel_everywhere()): the future under test, and what must hold when it
/// has ended.
///
/// # Examples
/// See [`cancel_everywhere`](super::cancel_everywhere()).
#[must_use = "return it from the closure that `cancel_everywhere` is given"]
pub struct Scenario<F, C> {
    pub(super) future: F,
    pub(super) check: C,
    pub(super) fifo: bool,
}

/// The check of a scenario that has none.
type NoCheck<T> = fn(Run<T>) -> Ready<()>;

impl<F: Future + 'static> Scenario<F, NoCheck<F::Output>> {
    /// A future to be run, and to be ended at each of its awaits. Without a check, what is looked for is what
    /// must always hold.
    pub fn new(future: impl IntoFuture<Output = F::Output, IntoFuture = F>) -> Self {
        Self { future: future.into_future(), check: |_| ready(()), fifo: false }
    }
}

impl<F: Future + 'static, C> Scenario<F, C> {
    /// What to do after each run, one tick after the future under test has ended: assert that nothing is lost, try
    /// whether others get what they wait for.
    pub fn check<D: AsyncFnOnce(Run<F::Output>)>(self, check: D) -> Scenario<F, D> {
        Scenario { future: self.future, check, fifo: self.fifo }
    }

    /// Runs in asyncio's order, first come, first served, whatever `EVLOOP_TEST_SEED` says: for a scenario that is
    /// about the order, as `order = "fifo"` is for a test.
    ///
    /// # Examples
    /// ```
    /// use evloop::testing::{Scenario, cancel_everywhere};
    /// use evloop::{Lock, create_task, yield_now};
    /// use std::rc::Rc;
    ///
    /// cancel_everywhere(|| {
    ///     let lock = Rc::new(Lock::new(Vec::new()));
    ///     let enter = |name| {
    ///         let lock = lock.clone();
    ///         async move { lock.acquire().await.push(name) }
    ///     };
    ///     let [first, second] = ["first", "second"].map(|name| create_task(enter(name)));
    ///     let ours = async move { yield_now().await; second.await.unwrap() };
    ///     Scenario::new(ours).fifo().check(async move |_| {
    ///         first.await.unwrap();
    ///         assert_eq!(lock.acquire().await[0], "first");
    ///     })
    /// });
    /// ```
    pub fn fifo(self) -> Self {
        Self { fifo: true, ..self }
    }
}

impl<F, C> fmt::Debug for Scenario<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").finish_non_exhaustive()
    }
}

/// One run of a scenario, as its check sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run<T> {
    /// What was done to the future; `None` in the first run, which is left alone.
    pub interruption: Option<Interruption>,
    /// What became of it.
    pub ended: Ended<T>,
}

impl<T> Run<T> {
    /// The value, if the future came to one.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self.ended {
            Ended::Value(value) => Some(value),
            Ended::Cancelled(_) | Ended::Dropped => None,
        }
    }

    /// Whether nothing was done to the future.
    #[must_use]
    pub fn is_undisturbed(&self) -> bool {
        self.interruption.is_none()
    }
}

/// How a future under test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It was ready: left alone, or in spite of a cancellation.
    Value(T),
    /// It was cancelled, and its cleanups have run.
    Cancelled(CancelledError),
    /// It was dropped.
    Dropped,
}

/// What is done to a future under test, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interruption {
    /// What is done.
    pub how: How,
    /// At which of its suspensions: 1 is the first. 0 is before it ever ran.
    pub suspension: usize,
}

/// A way to end a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Cancel its task as soon as the future is suspended.
    Cancel,
    /// Cancel its task when the future was woken, before it is polled: what it waited for may be there already.
    CancelWoken,
    /// Drop the future as soon as it is suspended.
    Drop,
    /// Drop the future when it was woken, instead of polling it: as a `select!` does whose other branch is ready,
    /// too.
    DropWoken,
}

impl Interruption {
    /// All of them, for a future with so many suspensions.
    pub(super) fn all(suspensions: usize) -> impl Iterator<Item = Self> {
        let at = |how, first| (first..=suspensions).map(move |suspension| Self { how, suspension });
        // Before it ran nobody can have woken it.
        at(How::Cancel, 0).chain(at(How::CancelWoken, 1)).chain(at(How::Drop, 0)).chain(at(How::DropWoken, 1))
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.how {
            How::Cancel | How::CancelWoken => "cancelled",
            How::Drop | How::DropWoken => "dropped",
        };
        match self.how {
            _ if self.suspension == 0 => write!(f, "{what} before it ran"),
            How::Cancel | How::Drop => write!(f, "{what} at suspension {}", self.suspension),
            How::CancelWoken | How::DropWoken => {
                write!(f, "{what} when woken from suspension {}", self.suspension)
            }
        }
    }
}
