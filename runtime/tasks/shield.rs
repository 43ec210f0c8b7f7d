//! Keeping a cancellation away from a task.
//!
//! A [`Shield`] is no scope: whoever stands outside of it takes a delivery and drops it, and the task inside
//! is never asked to end. It hears of the task's end by a done callback, added at the call, one tick later
//! than who awaits the task itself.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::IntoTask;
use super::watch::News;
use crate::kernel::{Task, TaskError, TaskRef};

/// What [`shield`] takes: a future, which becomes a task, or a task, owned, `&mut`, or `&` where its value
/// can be cloned.
pub trait Shieldable {
    /// The task inside, owned or borrowed.
    type Inner: Inner;

    /// Makes a task of what is none.
    #[track_caller]
    fn into_inner(self) -> Self::Inner;
}

/// A task, owned or borrowed; an implementation detail of [`Shield`].
pub trait Inner {
    /// What the task gives.
    type Output;

    #[doc(hidden)]
    fn inner_ref(&self) -> &TaskRef;
    /// The output, if it is there.
    #[doc(hidden)]
    fn output(&mut self) -> Option<Result<Self::Output, TaskError>>;
}

impl<A: IntoTask> Shieldable for A {
    type Inner = Task<A::Output>;

    #[track_caller]
    fn into_inner(self) -> Self::Inner {
        self.into_task()
    }
}

impl<T> Shieldable for &mut Task<T> {
    type Inner = Self;

    fn into_inner(self) -> Self {
        self
    }
}

impl<T: Clone> Shieldable for &Task<T> {
    type Inner = Self;

    fn into_inner(self) -> Self {
        self
    }
}

impl<T> Inner for Task<T> {
    type Output = T;

    fn inner_ref(&self) -> &TaskRef {
        self
    }

    fn output(&mut self) -> Option<Result<T, TaskError>> {
        self.take_result()
    }
}

impl<T> Inner for &mut Task<T> {
    type Output = T;

    fn inner_ref(&self) -> &TaskRef {
        self
    }

    fn output(&mut self) -> Option<Result<T, TaskError>> {
        self.take_result()
    }
}

impl<T: Clone> Inner for &Task<T> {
    type Output = T;

    fn inner_ref(&self) -> &TaskRef {
        self
    }

    fn output(&mut self) -> Option<Result<T, TaskError>> {
        self.result().map(|result| result.cloned().map_err(Clone::clone))
    }
}

/// The future of [`shield`].
#[must_use = "the task inside runs on by itself; await this for its output"]
pub struct Shield<I> {
    inner: I,
    /// `None`: the task had ended at the call.
    news: Option<News>,
}

/// Awaits a task without passing a cancellation on to it.
///
/// A future becomes a task, at the call. A cancellation that reaches the `await` takes effect outside of it
/// at once, as it would at a sleep, while the task runs on. Whoever wants to see its end keeps the task and
/// gives a reference; a task that was given by value is detached then, and if it panics, the exception
/// handler is told.
///
/// # Errors
/// How the task has ended, if not with a value. [`TaskError::Cancelled`] means that the task itself was
/// cancelled; to end this task as well, [`rethrow`](crate::CancelledError::rethrow) it.
///
/// # Panics
/// When a task awaits itself, or when the output was taken before. Outside of a loop, if a future is to be
/// started.
///
/// # Cancel safety
/// Safe for a reference: the output stays in the task. Lossy for a future or a task by value: the output
/// goes when the task ends.
///
/// # asyncio
/// `asyncio.shield(aw)`.
///
/// # Examples
/// ```
/// use evloop::{create_task, shield, sleep, time::{millis, secs}, wait_for};
///
/// evloop::run(async {
///     let saving = create_task(async { sleep(millis(20)).await; "saved" });
///     assert!(wait_for(shield(&saving), millis(1)).await.is_err());
///     assert_eq!(saving.cancelling(), 0, "it was not even asked");
///     assert_eq!(saving.await.unwrap(), "saved");
/// });
/// ```
#[track_caller]
pub fn shield<S: Shieldable>(inner: S) -> Shield<S::Inner> {
    let inner = inner.into_inner();
    let task = inner.inner_ref();
    let news = (!task.done()).then(|| News::of(vec![task.clone()], |_| true));
    Shield { inner, news }
}

/// The task is never pinned.
impl<I> Unpin for Shield<I> {}

impl<I: Inner> Future for Shield<I> {
    type Output = Result<I::Output, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(news) = &this.news
            && !news.all_ended()
        {
            assert!(
                !this.inner.inner_ref().is_current(),
                "a task awaits itself and would wait for ever; let another task await it, or return its value"
            );
            news.wake_later("the end of", cx);
            return Poll::Pending;
        }
        let output = this.inner.output();
        Poll::Ready(output.expect(
            "the task's output was taken before; await it once, or shield `&task` where its value can be cloned",
        ))
    }
}

impl<I: Inner> fmt::Debug for Shield<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shield").field(self.inner.inner_ref()).finish()
    }
}
