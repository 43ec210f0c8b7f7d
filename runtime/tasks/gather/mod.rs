//! Waiting for several tasks at once.
//!
//! Whatever is not a task yet becomes one at the call. A child's end is heard by a done callback (`watch.rs`),
//! one tick later, as in asyncio, and the gatherer is woken only when that may decide something.

mod children;
mod mode;

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::watch::News;
use crate::kernel::{Leaf, Scope, TaskError};

pub use children::{Children, Gatherable, IntoTask, TryChildren, TryGatherable};
pub use mode::{Mode, Oks, Results, Values};

/// Why [`try_gather`] failed.
#[derive(Clone, Debug)]
pub enum GatherError<E> {
    /// A child returned this error.
    Failed(E),
    /// A child was cancelled or panicked.
    Task(TaskError),
}

impl<E: fmt::Display> fmt::Display for GatherError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Task(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for GatherError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Task(error) => Some(error),
        }
    }
}

/// The future of [`gather`], [`gather_all`] and [`try_gather`]; `M` says of which.
#[must_use = "the children run, and are cancelled when this is dropped; await it"]
pub struct Gathering<C, M> {
    children: C,
    news: News,
    over: bool,
    scope: Scope,
    mode: PhantomData<M>,
}

/// The future of [`gather`].
pub type Gather<C> = Gathering<C, Values>;
/// The future of [`gather_all`].
pub type GatherAll<C> = Gathering<C, Results>;
/// The future of [`try_gather`].
pub type TryGather<C> = Gathering<C, Oks>;

/// Runs several futures or tasks at once and waits for all their values, in the order of the arguments.
///
/// Futures become tasks now, in order, before this is awaited. The first child that fails (is cancelled,
/// or panics) ends the waiting at once; the others run on, detached. A cancellation that reaches the
/// waiting is passed to all unfinished children and goes on when all have ended. Dropping the future asks
/// unfinished children to end.
///
/// Children are tasks, hence `'static`; for borrowed futures use a `join!`.
///
/// # Errors
/// How the first failed child ended.
///
/// # Panics
/// Outside of a loop.
///
/// # Cancel safety
/// Lossy: dropping it asks the children to end; their values go with it.
///
/// # asyncio
/// `asyncio.gather(*aws)`; a cancelled gather there does not wait for all children.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let both = evloop::gather((async { 1 }, evloop::create_task(async { "two" }))).await;
///     assert_eq!(both.unwrap(), (1, "two"));
///
///     let squares = evloop::gather((1..4).map(|n| async move { n * n })).await;
///     assert_eq!(squares.unwrap(), [1, 4, 9]);
/// });
/// ```
#[doc(alias = "join_all")]
#[track_caller]
pub fn gather<Kind, G: Gatherable<Kind>>(children: G) -> Gather<G::Children> {
    Gathering::new(children.start())
}

/// As [`gather`], and waits for all children whatever becomes of them: the result has each one's outcome.
///
/// # Panics
/// Outside of a loop.
///
/// # Cancel safety
/// Lossy: as [`gather`].
///
/// # asyncio
/// `asyncio.gather(*aws, return_exceptions=True)`.
///
/// # Examples
/// ```
/// evloop::run(async {
///     let lost = evloop::create_task(std::future::pending::<()>());
///     lost.cancel();
///     let (one, other) = evloop::gather_all((async { 1 }, lost)).await;
///     assert_eq!(one.unwrap(), 1);
///     assert!(other.unwrap_err().is_cancelled());
/// });
/// ```
#[track_caller]
pub fn gather_all<Kind, G: Gatherable<Kind>>(children: G) -> GatherAll<G::Children> {
    Gathering::new(children.start())
}

/// As [`gather`], for children that return `Result`: the first error ends the waiting.
///
/// # Errors
/// The first child's error, or how the first failed child ended.
///
/// # Panics
/// Outside of a loop.
///
/// # Cancel safety
/// Lossy: as [`gather`].
///
/// # asyncio
/// `asyncio.gather(*aws)` of coroutines that raise.
///
/// # Examples
/// ```
/// use evloop::GatherError;
///
/// evloop::run(async {
///     let numbers = ["1", "2", "x"].map(|s| async move { s.parse::<i32>() });
///     let failed = evloop::try_gather(numbers).await.unwrap_err();
///     assert!(matches!(failed, GatherError::Failed(_)));
/// });
/// ```
#[track_caller]
pub fn try_gather<Kind, G: TryGatherable<Kind>>(children: G) -> TryGather<G::Children> {
    Gathering::new(children.start())
}

impl<C: Children, M: Mode<C> + 'static> Gathering<C, M> {
    fn new(children: C) -> Self {
        // What has ended before, or in its own creation, is not waited for (O37).
        let news = News::of_unfinished(children.refs(), M::may_decide);
        Self { children, news, over: false, scope: Scope::new(), mode: PhantomData }
    }

    /// Takes part in the awaiter's tree; `true` once a delivery was passed on: then this pends for ever.
    fn attend(&mut self, cx: &Context<'_>, all_ended: bool) -> bool {
        match self.scope.poll_leaf(cx) {
            Leaf::Waits => {}
            Leaf::Dead => return true,
            Leaf::Taken(delivery) => {
                self.scope.hold(delivery);
                self.news.tasks().iter().for_each(|task| task.forward(&delivery));
            }
        }
        if all_ended && let Some(delivery) = self.scope.take_hold() {
            self.scope.raise_out(delivery);
            return true;
        }
        false
    }

    fn decision(&mut self) -> Option<M::Output> {
        while let Some(index) = self.news.next_ended() {
            if M::fails(&self.children, index, &self.news.tasks()[index]) {
                return Some(M::failure(&mut self.children, index));
            }
        }
        self.news.all_ended().then(|| M::success(&mut self.children))
    }
}

impl<C: Children + Unpin, M: Mode<C> + Unpin + 'static> Future for Gathering<C, M> {
    type Output = M::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Output> {
        let this = &mut *self;
        assert!(!this.over, "a gather was polled after it was ready");
        let all_ended = this.news.all_ended();
        if (!this.news.tasks().is_empty() && this.attend(cx, all_ended)) || this.scope.holds() {
            this.news.wake_later("gather of", cx);
            return Poll::Pending;
        }
        if let Some(output) = this.decision() {
            this.over = true;
            this.scope.release();
            return Poll::Ready(output);
        }
        this.news.wake_later("gather of", cx);
        Poll::Pending
    }
}

impl<C, M> Gathering<C, M> {
    fn cancel_unfinished(&self) {
        for task in self.news.tasks() {
            task.cancel();
        }
    }
}

impl<C, M> Drop for Gathering<C, M> {
    fn drop(&mut self) {
        if !self.over {
            self.cancel_unfinished();
        }
    }
}

impl<C, M> fmt::Debug for Gathering<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").field("tasks", &self.news).field("over", &self.over).finish()
    }
}
