//! Cleanup with a say: the handler form of catching a cancellation.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use crate::kernel::{Polled, Scope};

/// The cancellation that an [`on_cancel`] handler handles.
pub struct Cancelling<'a> {
    rethrown: &'a AtomicBool,
}

impl Cancelling<'_> {
    /// Ends the handler and passes the cancellation on: this never returns. Where the type is not known
    /// from the context, write `rethrow::<()>()`.
    pub async fn rethrow<T>(self) -> T {
        // Only ever seen by the poll that polls this, so no ordering is needed; an atomic so that the
        // future stays `Send`.
        self.rethrown.store(true, Ordering::Relaxed);
        std::future::pending().await
    }
}

impl fmt::Debug for Cancelling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelling").finish_non_exhaustive()
    }
}

/// Runs `future`; if a cancellation reaches it, the future is dropped and `handler` runs instead.
///
/// The handler may await, and it runs whole whatever other branches of the task do: the cancellation waits
/// for it. A value that it returns swallows the cancellation; `c.rethrow()` passes it on at the handler's
/// end. Only another cancellation of the task, or of a scope around this, ends the handler early.
///
/// # Cancel safety
/// As the content.
///
/// # asyncio
/// `except asyncio.CancelledError:` with a body that awaits.
///
/// # Examples
/// ```
/// use evloop::{on_cancel, time::secs};
///
/// evloop::run(async {
///     let task = evloop::create_task(on_cancel(evloop::sleep(secs(3600)), async |c| {
///         evloop::yield_now().await; // say goodbye to somebody
///         c.rethrow().await
///     }));
///     evloop::yield_now().await;
///     task.cancel();
///     assert!(task.await.unwrap_err().is_cancelled());
/// });
/// ```
pub async fn on_cancel<F, H>(future: F, handler: H) -> F::Output
where
    F: IntoFuture,
    H: for<'a> AsyncFnOnce(Cancelling<'a>) -> F::Output,
{
    let rethrown = AtomicBool::new(false);
    // Declared before what it contains: locals are dropped in reverse, so the scope goes last.
    let mut scope = Scope::new();
    {
        let mut body = pin!(Some(future.into_future()));
        let ended = poll_fn(|cx| {
            let polled = {
                // It is dropped only when this is ready.
                let Some(mut content) = body.as_mut().as_pin_mut() else { return Poll::Pending };
                scope.poll(cx, |cx| content.as_mut().poll(cx))
            };
            match polled {
                Polled::Ready(value) => Poll::Ready(Some(value)),
                Polled::Pending => Poll::Pending,
                Polled::Taken(delivery) => {
                    scope.hold(delivery);
                    scope.set_cleaning(true);
                    body.set(None);
                    Poll::Ready(None)
                }
            }
        })
        .await;
        if let Some(value) = ended {
            return value;
        }
    }
    let mut cleanup = Scope::for_cleanup();
    let mut handling = pin!(Some(handler(Cancelling { rethrown: &rethrown })));
    poll_fn(|cx| {
        // No handler: it has ended and its cancellation has been passed on.
        let polled = {
            let Some(mut content) = handling.as_mut().as_pin_mut() else { return Poll::Pending };
            scope.poll_aside(cx, |cx| match cleanup.poll(cx, |cx| content.as_mut().poll(cx)) {
                Polled::Pending if rethrown.load(Ordering::Relaxed) => Poll::Ready(Err(None)),
                Polled::Pending => Poll::Pending,
                Polled::Ready(value) => Poll::Ready(Ok(value)),
                Polled::Taken(delivery) => Poll::Ready(Err(Some(delivery))),
            })
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(value)) => {
                scope.take_hold();
                scope.set_cleaning(false);
                scope.release();
                Poll::Ready(value)
            }
            Poll::Ready(Err(taken)) => {
                handling.set(None);
                cleanup.release();
                scope.end_cleanup(taken);
                Poll::Pending
            }
        }
    })
    .await
}
