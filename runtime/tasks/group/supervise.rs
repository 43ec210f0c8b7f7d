//! The group's own future: the body, then the wait for all children.
//!
//! ```text
//!   BODY   body and children run          a child fails, cancel():  own offer into the body, children asked
//!     |                                   a request from outside:   body dropped, children asked, held
//!     | returned, failed, panicked, dropped
//!   WAIT   until no child is left         a request from outside:   children asked again, held
//!     |
//!   END    a panic > errors (what is held goes on at the next suspension outside) > what is held > the value
//! ```
//!
//! The body is the content of a scope node, which stays for the wait: there it is a leaf, like an awaited
//! task. The wait is never cut short.

use std::future::{pending, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::ErrorGroup;
use super::members::Members;
use crate::kernel::{Leaf, Polled, Scope, guarded, raise_here};
use crate::tasks::body::{Body, poll_body};

const DROPPED: &str = "a value or an error panicked when it was dropped for the panic of its task group";

/// Runs a group to its end. `Ok(None)`: its own `cancel` ended the body.
pub(super) async fn supervise<E: 'static, R>(
    members: Rc<Members<E>>,
    body: impl Future<Output = Result<R, E>>,
) -> Result<Option<R>, ErrorGroup<E>> {
    // Locals are dropped in reverse: the body, then the claim on the children, then the scope.
    let mut scope = Scope::staying();
    let _claim = Claim(&members);
    let mut own = false;
    let ended = {
        let mut body = pin!(Some(body));
        poll_fn(|cx| {
            let _attended = members.polled(cx);
            poll_body(
                &mut scope,
                body.as_mut(),
                |scope, mut content| poll_asking(scope, &members, cx, |cx| content.as_mut().poll(cx)),
                |scope, ended| {
                    if let Body::Taken(delivery) = ended {
                        own = scope.is_own(delivery);
                        if !own {
                            scope.hold(*delivery);
                            members.forward(delivery);
                        }
                    }
                },
            )
        })
        .await
    };
    let (value, failure) = match ended {
        Body::Returned(Ok(value)) => (Some(value), None),
        Body::Returned(Err(error)) => (None, Some(error)),
        Body::Taken(_) => (None, None),
        Body::Panicked(payload) => {
            members.body_panicked(payload);
            (None, None)
        }
    };
    // Those that were asked already are not asked a second time for the same reason.
    if value.is_none() && members.is_open() {
        members.end_children();
    }
    poll_fn(|cx| wait(&mut scope, &members, cx)).await;
    members.close();

    if let Some(panic) = members.take_panic() {
        // What is not returned goes, and must not panic in place of this.
        let errors = members.take_errors();
        guarded(DROPPED, || drop(value));
        guarded(DROPPED, || drop(failure));
        guarded(DROPPED, || drop(errors));
        scope.release();
        panic.resume();
    }
    let mut errors = members.take_errors();
    errors.extend(failure);
    if let Some(errors) = ErrorGroup::new(errors) {
        // What is held goes to the scope outside of this one.
        scope.release();
        return Err(errors);
    }
    match scope.take_hold().filter(|delivery| !scope.is_own(delivery)) {
        Some(delivery) => {
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value))) {
                // The request goes on where this is caught.
                scope.hold(delivery);
                scope.release();
                panic::resume_unwind(payload);
            }
            scope.raise_out(delivery);
            pending().await
        }
        None if value.is_none() && !own => {
            // The body was dropped for a request of a task that has ended since, and this has moved to
            // another one, which must not wait for ever.
            raise_here(None);
            pending().await
        }
        None => {
            scope.release();
            Ok(value)
        }
    }
}

/// Polls the body; under an offer of the group's own if a child has failed or the group was cancelled.
fn poll_asking<E: 'static, T>(
    scope: &mut Scope,
    members: &Members<E>,
    cx: &mut Context<'_>,
    mut content: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Polled<T> {
    if !members.takes_ask() {
        let polled = scope.poll(cx, &mut content);
        // It may have been the body itself that cancelled the group.
        if !matches!(polled, Polled::Pending) || !members.takes_ask() {
            return polled;
        }
    }
    scope.poll_with_own_offer(cx, content)
}

/// The wait for the children, as a leaf of the tree.
fn wait<E: 'static>(scope: &mut Scope, members: &Members<E>, cx: &mut Context<'_>) -> Poll<()> {
    let _attended = members.polled(cx);
    match scope.poll_leaf(cx) {
        Leaf::Waits => {}
        Leaf::Dead => return Poll::Pending,
        Leaf::Taken(delivery) => {
            scope.hold(delivery);
            members.forward(&delivery);
        }
    }
    if members.have_ended(cx) {
        return Poll::Ready(());
    }
    // The first suspension since the body returned: a request that it left undecided is accepted here.
    // One of the group's own has asked the children already.
    if let Some(delivery) = scope.hold_raised()
        && !scope.is_own(&delivery)
    {
        members.forward(&delivery);
    }
    members.say_who_is_left();
    Poll::Pending
}

/// The claim of the group's future on its children: without it, nobody waits for them.
struct Claim<'a, E: 'static>(&'a Rc<Members<E>>);

impl<E> Drop for Claim<'_, E> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
