//! A child's future: what it is given, and the membership that ends with it.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::members::Members;
use crate::kernel::{SeenPanic, current_task, raise_here, report_panic, with_current};

/// A place in a group; dropping it leaves the group.
pub(super) struct Membership<E: 'static> {
    members: Rc<Members<E>>,
    place: usize,
}

impl<E> Membership<E> {
    pub(super) fn new(members: Rc<Members<E>>, place: usize) -> Self {
        Self { members, place }
    }
}

impl<E> Drop for Membership<E> {
    fn drop(&mut self) {
        self.members.leave(self.place);
    }
}

pin_project! {
    /// The future of a child's task.
    pub(super) struct Child<F, E: 'static> {
        // It goes before the membership: the group waits until it is gone. `None`: it is.
        #[pin]
        future: Option<F>,
        membership: Membership<E>,
    }

    impl<F, E: 'static> PinnedDrop for Child<F, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // Caught rather than asked for by `thread::panicking()`, which may have reasons outside of the loop.
            let dropped = panic::catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
            if let Err(payload) = dropped.or_else(|payload| this.membership.members.panicked(payload).map(drop)) {
                report_panic("the destructor of a child of a task group panicked", payload);
            }
        }
    }
}

impl<F, E> Child<F, E> {
    pub(super) fn new(future: F, membership: Membership<E>) -> Self {
        Self { future: Some(future), membership }
    }
}

impl<F: Future, E> Future for Child<F, E> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        match panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => polled,
            Err(payload) => match this.membership.members.panicked(payload) {
                Ok(panic) => panic::resume_unwind(Box::new(SeenPanic(panic))),
                Err(payload) => panic::resume_unwind(payload),
            },
        }
    }
}

/// Gives an error to the group, and to it alone: the child's own task ends as cancelled.
pub(super) async fn reporting<E: 'static, T>(
    members: Rc<Members<E>>,
    future: impl Future<Output = Result<T, E>>,
) -> T {
    match future.await {
        Ok(value) => value,
        Err(error) => {
            members.fail(error);
            drop(members);
            if let Some(task) = with_current(|_, home| current_task(home)).flatten() {
                task.ends_because("it failed; its task group has the error");
            }
            raise_here(None);
            std::future::pending().await
        }
    }
}
