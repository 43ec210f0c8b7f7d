//! The future around a future under test: it counts the suspensions and interrupts at one of them.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::scenario::{How, Interruption};
use crate::tasks::current_task;

/// So many suspensions, and the future goes round in circles without any time passing.
const ENDLESS: usize = 1_000_000;

/// What the one who runs a probe knows of it.
#[derive(Default)]
pub(super) struct Progress {
    /// How often the future was suspended.
    pub(super) suspensions: Cell<usize>,
    /// Whether the interruption took place.
    pub(super) interrupted: Cell<bool>,
}

/// Ready with `None` when it dropped its content.
pub(super) struct Probe<F> {
    content: Option<Pin<Box<F>>>,
    plan: Option<Interruption>,
    progress: Rc<Progress>,
}

impl<F> Probe<F> {
    pub(super) fn new(content: F, plan: Option<Interruption>, progress: Rc<Progress>) -> Self {
        Self { content: Some(Box::pin(content)), plan, progress }
    }

    /// What is to be done now, once.
    fn due(&self) -> Option<How> {
        let plan = self.plan.filter(|plan| plan.suspension == self.progress.suspensions.get())?;
        (!self.progress.interrupted.get()).then_some(plan.how)
    }

    fn cancel(&self) {
        self.progress.interrupted.set(true);
        current_task().expect("it is polled by its task").cancel();
    }

    fn drop_content<T>(&mut self) -> Poll<Option<T>> {
        self.progress.interrupted.set(true);
        self.content = None;
        Poll::Ready(None)
    }
}

impl<F: Future> Future for Probe<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match this.due() {
            Some(How::CancelWoken) => {
                // Whoever is below is polled in the next step, with the request: nobody can tell that this one was.
                this.cancel();
                return Poll::Pending;
            }
            Some(How::DropWoken | How::Drop) => return this.drop_content(),
            Some(How::Cancel) | None => {}
        }
        let content = this.content.as_mut().expect("it is not polled when it was ready");
        if let Poll::Ready(value) = content.as_mut().poll(cx) {
            this.content = None;
            return Poll::Ready(Some(value));
        }
        let suspensions = this.progress.suspensions.get() + 1;
        this.progress.suspensions.set(suspensions);
        assert!(suspensions < ENDLESS, "it was suspended {ENDLESS} times, and no end is in sight");
        match this.due() {
            Some(How::Cancel) => this.cancel(),
            Some(How::Drop) => return this.drop_content(),
            Some(How::CancelWoken | How::DropWoken) | None => {}
        }
        Poll::Pending
    }
}
