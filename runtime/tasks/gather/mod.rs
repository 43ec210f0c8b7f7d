//! Waiting for several tasks at once.
//!
//! Whatever is not a task yet becomes one at the call. A child's end is noticed by a done callback, one
//! tick later, as in asyncio; the callback wakes the gatherer only when that decides something.

mod children;
mod mode;

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::kernel::{Scope, TaskError, TaskRef, with_current};

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

/// What the children's callbacks tell the gatherer.
#[derive(Default)]
struct News {
    /// Children that have ended, in order.
    ended: Vec<usize>,
    waker: Option<Waker>,
}

/// The future of [`gather`], [`gather_all`] and [`try_gather`]; `M` says of which.
#[must_use = "the children run, and are cancelled when this is dropped; await it"]
pub struct Gathering<C, M> {
    children: C,
    tasks: Vec<TaskRef>,
    news: Rc<RefCell<News>>,
    /// How much of the news was looked at.
    seen: usize,
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
        let tasks = children.refs();
        let news = Rc::new(RefCell::new(News::default()));
        let count = tasks.len();
        for (index, task) in tasks.iter().enumerate() {
            let news = news.clone();
            task.add_done_callback(move |task| {
                let waker = {
                    let mut news = news.borrow_mut();
                    news.ended.push(index);
                    let decides = news.ended.len() == count || M::may_decide(task);
                    if decides { news.waker.take() } else { None }
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
        }
        Self { children, tasks, news, seen: 0, over: false, scope: Scope::new(), mode: PhantomData }
    }

    fn cancel_unfinished(&self) {
        for task in &self.tasks {
            task.cancel();
        }
    }

    /// Takes part in the awaiter's tree; `true` once a delivery was passed on: then this pends for ever.
    fn attend(&mut self, cx: &Context<'_>, all_ended: bool) -> bool {
        let dead = with_current(|block, home| {
            self.scope.attach(block.shared(), home, cx);
            if self.scope.is_dead(home) {
                return true;
            }
            if let Some(delivery) = self.scope.take(home) {
                self.scope.hold(delivery);
                self.cancel_unfinished();
            }
            false
        });
        if dead == Some(true) {
            return true;
        }
        if all_ended && let Some(delivery) = self.scope.take_hold() {
            self.scope.raise_out(delivery);
            return true;
        }
        false
    }

    fn decision(&mut self) -> Option<M::Output> {
        let news = self.news.borrow();
        while let Some(&index) = news.ended.get(self.seen) {
            self.seen += 1;
            if M::fails(&self.children, index, &self.tasks[index]) {
                drop(news);
                return Some(M::failure(&mut self.children, index));
            }
        }
        let all = news.ended.len() == self.tasks.len();
        drop(news);
        all.then(|| M::success(&mut self.children))
    }
}

impl<C: Children + Unpin, M: Mode<C> + Unpin + 'static> Future for Gathering<C, M> {
    type Output = M::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Output> {
        let this = &mut *self;
        assert!(!this.over, "a gather was polled after it was ready");
        let all_ended = this.news.borrow().ended.len() == this.tasks.len();
        if (!this.tasks.is_empty() && this.attend(cx, all_ended)) || this.scope.holds() {
            this.wake_later(cx);
            return Poll::Pending;
        }
        if let Some(output) = this.decision() {
            this.over = true;
            this.scope.release();
            return Poll::Ready(output);
        }
        this.wake_later(cx);
        Poll::Pending
    }
}

impl<C, M> Gathering<C, M> {
    fn wake_later(&self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let former = self.news.borrow_mut().waker.replace(waker);
        drop(former);
    }
}

impl<C, M> Drop for Gathering<C, M> {
    fn drop(&mut self) {
        if !self.over {
            for task in &self.tasks {
                task.cancel();
            }
        }
    }
}

impl<C, M> fmt::Debug for Gathering<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").field("tasks", &self.tasks).field("over", &self.over).finish()
    }
}
