//! What `wait_for` and `timeout` have in common: a scope whose owner makes it an offer of its own when a
//! deadline comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::TimeoutError;
use crate::kernel::{Polled, Scope};

/// Polls `content` inside of `scope`. When `came` says, once, that the deadline has come, the content is
/// polled once more in the same step, under the scope's own offer; what takes it is waited for.
///
/// `content` becomes `None` when a delivery ends it. If that was from outside, it has been passed on, and the
/// scope pends for ever.
pub(super) fn poll_until<F: Future>(
    scope: &mut Scope,
    mut content: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
    came: impl FnOnce(&mut Context<'_>) -> bool,
) -> Poll<Result<F::Output, TimeoutError>> {
    let polled = {
        let Some(mut content) = content.as_mut().as_pin_mut() else { return Poll::Pending };
        match scope.poll(cx, |cx| content.as_mut().poll(cx)) {
            Polled::Pending if came(cx) => scope.poll_with_own_offer(cx, |cx| content.as_mut().poll(cx)),
            polled => polled,
        }
    };
    match polled {
        Polled::Ready(value) => Poll::Ready(Ok(value)),
        Polled::Pending => Poll::Pending,
        Polled::Taken(delivery) => {
            content.set(None);
            if scope.is_own(&delivery) {
                scope.release();
                return Poll::Ready(Err(TimeoutError));
            }
            scope.raise_out(delivery);
            Poll::Pending
        }
    }
}
