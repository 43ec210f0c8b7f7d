//! Awaiting a task: the futures behind `task.await`.
//!
//! An awaited task is a leaf of the awaiter's tree of scopes. A delivery that it takes is forwarded to
//! the task, and the awaiter waits for what becomes of it: a task that ends cancelled passes
//! the delivery on, one that gives a value after all has swallowed it for its awaiter, too.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::node::{Leaf, Scope};
use super::task::{Awaiting, Task, TaskError, TaskRef};

/// What all three futures have in common.
#[derive(Debug)]
struct Waiting {
    scope: Scope,
    place: Awaiting,
}

impl Waiting {
    const fn new() -> Self {
        Self { scope: Scope::new(), place: Awaiting::new() }
    }

    /// Ready when the task has ended and its end is the awaiter's business.
    #[track_caller]
    fn poll(&mut self, task: &TaskRef, cx: &Context<'_>) -> Poll<()> {
        if task.done() && !self.scope.is_attached() {
            return Poll::Ready(());
        }
        assert!(
            !task.is_current(),
            "a task awaits itself and would wait for ever; let another task await it, or return its value"
        );
        if task.done() && self.scope.is_idle() {
            // The usual end: no request has come.
            self.scope.release();
            return Poll::Ready(());
        }
        match self.scope.poll_leaf(cx) {
            Leaf::Waits => {}
            Leaf::Dead => return Poll::Pending,
            Leaf::Taken(delivery) => {
                self.scope.hold(delivery);
                if !task.done() {
                    task.forward(&delivery);
                } else if task.cancelled() || !task.has_heard_of(&delivery) {
                    // A request beats a value that is only just there (O17), but for one that was swallowed.
                    let all = self.scope.take_hold().unwrap_or(delivery);
                    self.scope.raise_out(all);
                    return Poll::Pending;
                }
            }
        }
        if !task.done() {
            self.place.register(task, cx);
            return Poll::Pending;
        }
        match self.scope.take_hold() {
            Some(delivery) if task.cancelled() => {
                self.scope.raise_out(delivery);
                Poll::Pending
            }
            // It gave a value after all, or nobody had asked it to end.
            _ => {
                self.scope.release();
                Poll::Ready(())
            }
        }
    }
}

fn taken<T>(output: Option<Result<T, TaskError>>) -> Result<T, TaskError> {
    output.expect("the task's output was taken before; await it once, or await `&task` where T: Clone")
}

/// The future of `task.await`.
#[must_use = "futures do nothing unless awaited"]
pub struct Join<T> {
    task: Task<T>,
    waiting: Waiting,
}

/// The future of `(&mut task).await`.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinMut<'a, T> {
    task: &'a mut Task<T>,
    waiting: Waiting,
}

/// The future of `(&task).await`.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinRef<'a, T> {
    task: &'a Task<T>,
    waiting: Waiting,
}

impl<T> Task<T> {
    /// The future of the task's output, for combinators that want a future rather than something to
    /// `await`. Dropping it detaches the task, as dropping the task does.
    ///
    /// # Panics
    /// When a task awaits itself, or when the output was taken before.
    ///
    /// # Cancel safety
    /// Lossy: the output goes with the future. Await `&mut task` to keep it.
    pub fn join(self) -> Join<T> {
        Join { task: self, waiting: Waiting::new() }
    }
}

impl<T> IntoFuture for Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = Join<T>;

    fn into_future(self) -> Join<T> {
        self.join()
    }
}

impl<'a, T> IntoFuture for &'a mut Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = JoinMut<'a, T>;

    fn into_future(self) -> JoinMut<'a, T> {
        JoinMut { task: self, waiting: Waiting::new() }
    }
}

impl<'a, T: Clone> IntoFuture for &'a Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = JoinRef<'a, T>;

    fn into_future(self) -> JoinRef<'a, T> {
        JoinRef { task: self, waiting: Waiting::new() }
    }
}

impl<T> Future for Join<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.waiting.poll(&this.task, cx).map(|()| taken(this.task.take_result()))
    }
}

impl<T> Future for JoinMut<'_, T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.waiting.poll(this.task, cx).map(|()| taken(this.task.take_result()))
    }
}

impl<T: Clone> Future for JoinRef<'_, T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.waiting
            .poll(this.task, cx)
            .map(|()| taken(this.task.result().map(|r| r.cloned().map_err(Clone::clone))))
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        self.waiting.place.leave(&self.task);
    }
}

impl<T> Drop for JoinMut<'_, T> {
    fn drop(&mut self) {
        self.waiting.place.leave(self.task);
    }
}

impl<T> Drop for JoinRef<'_, T> {
    fn drop(&mut self) {
        self.waiting.place.leave(self.task);
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Join").field(&self.task).finish()
    }
}

impl<T> fmt::Debug for JoinMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinMut").field(&self.task).finish()
    }
}

impl<T> fmt::Debug for JoinRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinRef").field(&self.task).finish()
    }
}
