//! Cleanup that awaits, whatever way the body ends.

use std::future::poll_fn;
use std::panic;
use std::pin::pin;
use std::task::Poll;

use super::body::{Body, poll_body};
use crate::kernel::{Polled, Scope, report_panic};

/// Runs `body` and then, however it ended, `cleanup`: after a return, after a cancellation, after a
/// panic. Both may await. The cleanup runs whole before the cancellation goes on outwards or the panic is
/// resumed; only another cancellation ends it early. A plain drop of the whole runs destructors only:
/// nothing can await then.
///
/// # Cancel safety
/// As the body and the cleanup.
///
/// # asyncio
/// `try: … finally: …`.
///
/// # Examples
/// ```
/// use evloop::{finally, time::secs};
/// use std::{cell::Cell, rc::Rc};
///
/// evloop::run(async {
///     let closed = Rc::new(Cell::new(false));
///     let task = evloop::create_task(finally(evloop::sleep(secs(3600)), {
///         let closed = closed.clone();
///         async move {
///             evloop::yield_now().await;
///             closed.set(true);
///         }
///     }));
///     evloop::yield_now().await;
///     task.cancel();
///     assert!(task.await.unwrap_err().is_cancelled());
///     assert!(closed.get());
/// });
/// ```
pub async fn finally<F: IntoFuture>(body: F, cleanup: impl IntoFuture<Output = ()>) -> F::Output {
    // Locals are dropped in reverse: the scope outlives what it contains.
    let mut scope = Scope::staying();
    let ended = {
        let mut body = pin!(Some(body.into_future()));
        poll_fn(|cx| {
            poll_body(
                &mut scope,
                body.as_mut(),
                |scope, mut content| scope.poll(cx, |cx| content.as_mut().poll(cx)),
                |scope, ended| {
                    if let Body::Taken(delivery) = ended {
                        scope.hold(*delivery);
                    }
                    scope.set_cleaning(true);
                },
            )
        })
        .await
    };
    let mut ended = Kept(Some(ended));
    let mut inner = Scope::for_cleanup();
    let mut cleanup = pin!(Some(cleanup.into_future()));
    poll_fn(|cx| {
        // No cleanup: it has ended and the cancellation has been passed on.
        let polled = {
            let Some(mut content) = cleanup.as_mut().as_pin_mut() else { return Poll::Pending };
            scope.poll_aside(cx, |cx| match inner.poll(cx, |cx| content.as_mut().poll(cx)) {
                Polled::Pending => Poll::Pending,
                Polled::Ready(()) => Poll::Ready(None),
                Polled::Taken(delivery) => Poll::Ready(Some(delivery)),
            })
        };
        let Poll::Ready(taken) = polled else {
            // This suspension is the first since the body returned: a request that it left undecided is
            // accepted here.
            scope.hold_raised();
            return Poll::Pending;
        };
        cleanup.set(None);
        inner.release();
        match ended.0.take() {
            Some(Body::Returned(value)) if taken.is_none() && !scope.holds() => {
                scope.set_cleaning(false);
                scope.release();
                Poll::Ready(value)
            }
            Some(Body::Panicked(payload)) => {
                scope.set_cleaning(false);
                scope.release();
                panic::resume_unwind(payload)
            }
            _ => {
                scope.end_cleanup(taken);
                Poll::Pending
            }
        }
    })
    .await
}

/// How the body ended, until that goes on.
struct Kept<T>(Option<Body<T>>);

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // The cleanup was dropped, or panicked itself.
        if let Some(Body::Panicked(payload)) = self.0.take() {
            report_panic("the body of a `finally` panicked and its cleanup did not come to its end", payload);
        }
    }
}
