//! A future that stays on its thread, for a `spawn` that wants `Send`.
//!
//! The workloads are written for tasks that need not be `Send`. tokio's current_thread runtime demands it
//! although a runtime that is neither shared nor moved polls and drops its tasks on one thread.

#![expect(unsafe_code, reason = "the wrapper's promise, kept by the only runtime it is given to")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// Costs nothing: it is its content.
    pub(super) struct Here<F> {
        #[pin]
        future: F,
    }
}

// SAFETY: only `CurrentThread` makes one, and gives it to a current_thread runtime that it owns. That runtime
// polls tasks within `block_on` and drops them there, or when it is itself dropped; `CurrentThread` is made,
// used and dropped by one call of `play`, on one thread. Broken if it or a task's handle left that thread.
unsafe impl<F> Send for Here<F> {}

impl<F> Here<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for Here<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
