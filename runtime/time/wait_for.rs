//! Waiting for no longer than: a scope with a deadline of its own.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::deadline::poll_until;
use super::{Sleep, sleep};
use crate::kernel::Scope;

/// The time was over.
///
/// # asyncio
/// `asyncio.TimeoutError`, the builtin `TimeoutError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutError;

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was over")
    }
}

impl Error for TimeoutError {}

impl From<TimeoutError> for std::io::Error {
    fn from(error: TimeoutError) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, error)
    }
}

pin_project! {
    /// The future of [`wait_for`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct WaitFor<F> {
        // Before the scope: content goes first.
        #[pin]
        content: Option<F>,
        scope: Scope,
        deadline: Deadline,
    }
}

#[derive(Debug)]
enum Deadline {
    /// A timeout of zero: the content is polled once.
    Now,
    At(Sleep),
    /// It came: its offer was made.
    Past,
}

/// Waits for `future` for at most `timeout`, counted from this call.
///
/// A value that is ready at the deadline beats it. Otherwise the content is cancelled: cleanups in it
/// ([`finally`](crate::finally), [`on_cancel`](crate::on_cancel), an awaited task) run to their end
/// before the error is returned, so this may take longer than `timeout`. A content that gives a value in
/// spite of it has swallowed the deadline. A timeout of zero polls the content once.
///
/// # Errors
/// [`TimeoutError`] if the deadline ended it. A cancellation from outside passes through: it is never
/// turned into this error.
///
/// # Panics
/// When awaited outside of a loop.
///
/// # Cancel safety
/// As the content.
///
/// # asyncio
/// `asyncio.wait_for(aw, timeout)`, where a timeout wins against a value of the same tick, and zero never
/// starts a coroutine.
///
/// # Examples
/// ```
/// use evloop::time::{millis, secs};
///
/// evloop::run(async {
///     let eternity = async { evloop::sleep(secs(3600)).await };
///     assert!(evloop::wait_for(eternity, millis(1)).await.is_err());
///     assert_eq!(evloop::wait_for(async { "soon" }, secs(1)).await, Ok("soon"));
/// });
/// ```
pub fn wait_for<F: IntoFuture>(future: F, timeout: Duration) -> WaitFor<F::IntoFuture> {
    let deadline = if timeout.is_zero() { Deadline::Now } else { Deadline::At(sleep(timeout)) };
    WaitFor { content: Some(future.into_future()), scope: Scope::new(), deadline }
}

impl<F: Future> Future for WaitFor<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        poll_until(this.scope, this.content, cx, |cx| this.deadline.comes(cx))
    }
}

impl Deadline {
    /// Whether it has come; said once.
    fn comes(&mut self, cx: &mut Context<'_>) -> bool {
        let came = match self {
            Self::Past => false,
            Self::Now => true,
            Self::At(sleep) => Pin::new(sleep).poll(cx).is_ready(),
        };
        if came {
            *self = Self::Past;
        }
        came
    }
}
