//! A body that may end in any way: shared by what has something to do after it.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::Poll;

use crate::kernel::{Delivery, Polled, Scope, guarded, report_panic};

/// How a body ended.
pub(super) enum Body<T> {
    Returned(T),
    Panicked(Box<dyn Any + Send>),
    /// It was dropped for this.
    Taken(Delivery),
}

/// Polls a body by `poll` as what `scope` contains. When it has ended, in whatever way, `prepare` is called,
/// the body is dropped, and the result says how it ended. A destructor that panics is a way to end, too; the
/// first panic wins, and the others are reported.
pub(super) fn poll_body<F: Future>(
    scope: &mut Scope,
    mut body: Pin<&mut Option<F>>,
    poll: impl FnOnce(&mut Scope, Pin<&mut F>) -> Polled<F::Output>,
    prepare: impl FnOnce(&mut Scope, &Body<F::Output>),
) -> Poll<Body<F::Output>> {
    let polled = {
        // It is dropped only when this is ready.
        let Some(content) = body.as_mut().as_pin_mut() else { return Poll::Pending };
        panic::catch_unwind(AssertUnwindSafe(|| poll(scope, content)))
    };
    let ended = match polled {
        Ok(Polled::Pending) => return Poll::Pending,
        Ok(Polled::Ready(value)) => Body::Returned(value),
        Ok(Polled::Taken(delivery)) => Body::Taken(delivery),
        Err(payload) => Body::Panicked(payload),
    };
    prepare(scope, &ended);
    let dropped = panic::catch_unwind(AssertUnwindSafe(|| body.set(None)));
    Poll::Ready(match (ended, dropped) {
        (ended, Ok(())) => ended,
        (Body::Panicked(first), Err(second)) => {
            report_panic("a destructor panicked after its future had panicked", second);
            Body::Panicked(first)
        }
        (ended, Err(payload)) => {
            guarded("a value panicked when it was dropped for a panic", || drop(ended));
            Body::Panicked(payload)
        }
    })
}
