//! `try/except CancelledError`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::kernel::{CancelledError, Polled, Scope, Token, raise_here};

pin_project! {
    /// The future of [`catch_cancel`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct CatchCancel<F> {
        #[pin]
        content: Option<F>,
        scope: Scope,
    }
}

/// Runs `future` and catches a cancellation that reaches it: the future is dropped, and the result is the
/// caught [`Cancellation`]. What follows may await, go on, or end with
/// [`rethrow`](Cancellation::rethrow).
///
/// Where the cleanup awaits and other branches of a `join!` might be cancelled at the same time, use
/// [`on_cancel`](crate::on_cancel) or [`finally`](crate::finally): they hold the cancellation back until
/// they are done; code after a bare `catch_cancel` does not.
///
/// # Errors
/// The cancellation, if one was taken.
///
/// # Cancel safety
/// As the content. Dropping a caught cancellation in code swallows the request.
///
/// # asyncio
/// `try: … except asyncio.CancelledError as error: …`; `rethrow` is `raise`.
///
/// # Examples
/// ```
/// use evloop::{catch_cancel, time::secs};
///
/// evloop::run(async {
///     let task = evloop::create_task(async {
///         match catch_cancel(evloop::sleep(secs(3600))).await {
///             Ok(()) => "slept",
///             Err(cancellation) => {
///                 evloop::yield_now().await; // cleanup may await
///                 cancellation.swallow();
///                 "cleaned up"
///             }
///         }
///     });
///     evloop::yield_now().await;
///     task.cancel();
///     assert_eq!(task.await.unwrap(), "cleaned up");
/// });
/// ```
pub fn catch_cancel<F: IntoFuture>(future: F) -> CatchCancel<F::IntoFuture> {
    CatchCancel { content: Some(future.into_future()), scope: Scope::new() }
}

impl<F: Future> Future for CatchCancel<F> {
    type Output = Result<F::Output, Cancellation>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = {
            let mut content =
                this.content.as_mut().as_pin_mut().expect("catch_cancel was polled after it was ready");
            this.scope.poll(cx, |cx| content.as_mut().poll(cx))
        };
        match polled {
            Polled::Ready(value) => Poll::Ready(Ok(value)),
            Polled::Pending => Poll::Pending,
            Polled::Taken(delivery) => {
                this.content.set(None);
                let token = this.scope.make_token(delivery);
                this.scope.release();
                Poll::Ready(Err(Cancellation { token }))
            }
        }
    }
}

/// A caught cancellation, to be passed on or swallowed.
///
/// Dropping it swallows it; [`swallow`](Self::swallow) says so in the source.
#[must_use = "go on with `swallow()`, or pass it on with `rethrow().await`"]
pub struct Cancellation {
    token: Token,
}

impl Cancellation {
    /// Passes the cancellation on, outwards: this never returns.
    ///
    /// It acts where it is awaited: the next scope outwards gets it, at last the task, which ends
    /// cancelled. Where the type is not known from the context, write `rethrow::<()>()`.
    pub async fn rethrow<T>(self) -> T {
        self.token.rethrow();
        std::future::pending().await
    }

    /// Goes on as if there had been no cancellation. The task's
    /// [`cancelling`](crate::TaskRef::cancelling) count stays.
    pub fn swallow(self) {}
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").finish_non_exhaustive()
    }
}

impl CancelledError {
    /// Ends this task as cancelled, too: this never returns. Scopes outside of here get the cancellation
    /// first, as with [`Cancellation::rethrow`].
    ///
    /// # asyncio
    /// Letting a `CancelledError` pass.
    ///
    /// # Examples
    /// ```
    /// use evloop::TaskError;
    ///
    /// evloop::run(async {
    ///     let inner = evloop::create_task(std::future::pending::<()>());
    ///     inner.cancel();
    ///     let outer = evloop::create_task(async move {
    ///         match inner.await {
    ///             Err(TaskError::Cancelled(error)) => error.rethrow().await,
    ///             other => other.unwrap(),
    ///         }
    ///     });
    ///     assert!(outer.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    pub async fn rethrow<T>(self) -> T {
        raise_here(None);
        std::future::pending().await
    }
}
