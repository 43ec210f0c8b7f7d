//! Waiting for the first of several futures and keeping the others.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future of [`select`].
#[must_use = "futures do nothing unless awaited"]
pub struct Select<F> {
    futures: Vec<F>,
}

/// Waits for the first of several futures; gives its value, its index, and the other futures as they are, in
/// their order.
///
/// Nothing is dropped and nothing is cancelled: what has not ended can be awaited later, or go into the next
/// `select`. To end the others, with their cleanup, use [`race`](crate::race()).
///
/// The futures are polled in the order of the arguments, so of those that are ready at once the earliest is
/// given; those after it are not polled. They must be `Unpin`: tasks are, and `Box::pin` or `pin!` makes
/// every future so. Whichever of them is woken, all are polled: for thousands, take
/// [`as_completed`](crate::as_completed()).
///
/// # Panics
/// When there is nothing to wait for, and when polled after it was ready.
///
/// # Cancel safety
/// Lossy: the futures go with it. A cancellation goes into all of them, as in a `join!`. Those handed back
/// take no part in a cancellation until they are polled again.
///
/// # asyncio
/// `asyncio.wait(aws, return_when=FIRST_COMPLETED)`.
///
/// # Examples
/// ```
/// use evloop::{select, sleep, time::millis};
///
/// evloop::run(async {
///     let delays = [30, 10, 20].map(|n| {
///         Box::pin(async move {
///             sleep(millis(n)).await;
///             n
///         })
///     });
///     let (first, index, rest) = select(delays).await;
///     assert_eq!((first, index), (10, 1));
///     let (second, index, rest) = select(rest).await;
///     assert_eq!((second, index, rest.len()), (20, 1, 1));
/// });
/// ```
#[doc(alias = "select_all")]
#[doc(alias = "FIRST_COMPLETED")]
#[track_caller]
pub fn select<I>(futures: I) -> Select<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator<Item: IntoFuture<IntoFuture: Unpin>>,
{
    let futures: Vec<_> = futures.into_iter().map(IntoFuture::into_future).collect();
    assert!(!futures.is_empty(), "select needs at least one future; this would wait for ever");
    Select { futures }
}

impl<F: Future + Unpin> Future for Select<F> {
    type Output = (F::Output, usize, Vec<F>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let futures = &mut self.futures;
        assert!(!futures.is_empty(), "a select was polled after it was ready");
        for (index, future) in futures.iter_mut().enumerate() {
            if let Poll::Ready(value) = Pin::new(future).poll(cx) {
                let mut rest = std::mem::take(futures);
                drop(rest.remove(index));
                return Poll::Ready((value, index, rest));
            }
        }
        Poll::Pending
    }
}

// The futures are `Unpin` where this is one.
impl<F> Unpin for Select<F> {}

impl<F> fmt::Debug for Select<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("futures", &self.futures.len()).finish()
    }
}
