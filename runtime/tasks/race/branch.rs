//! One branch of a race: a future, and the scope that gathers what it passes on.

use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::Context;

use pin_project_lite::pin_project;

use crate::kernel::{Panic, Polled, Scope};

pin_project! {
    /// One branch; an implementation detail of [`Branches`](super::Branches).
    #[derive(Debug)]
    pub struct Branch<F> {
        // Before the scope: content goes first. `None`: the branch is over.
        #[pin]
        content: Option<F>,
        scope: Scope,
    }
}

/// How a branch is polled; an implementation detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// As any future.
    Run,
    /// It has lost: it is asked to end.
    End,
}

/// What a poll of a branch came to; an implementation detail.
#[derive(Debug)]
pub enum Step<T> {
    Pending,
    /// It has ended by itself.
    Ended(T),
    /// Its content, or a destructor in it, panicked.
    Panicked(Panic),
    /// It was over before, or is now because the race ended it.
    Over,
    /// A request from outside of the race has ended it and goes on outwards.
    PassedOn,
}

/// A branch as the race sees it; an implementation detail.
pub trait Run<T> {
    #[doc(hidden)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, turn: Turn) -> Step<T>;
    /// Drops the content, if it is still there; the panic of a destructor comes back.
    #[doc(hidden)]
    fn stop(self: Pin<&mut Self>) -> Option<Panic>;
}

impl<F> Branch<F> {
    pub(super) const fn new(content: F) -> Self {
        Self { content: Some(content), scope: Scope::for_branch() }
    }
}

/// Calls foreign code; its panic is a value.
pub(super) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new)
}

impl<F: Future> Run<F::Output> for Branch<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, turn: Turn) -> Step<F::Output> {
        let mut this = self.project();
        let polled = {
            let Some(mut content) = this.content.as_mut().as_pin_mut() else { return Step::Over };
            let content = |cx: &mut Context<'_>| content.as_mut().poll(cx);
            caught(|| match turn {
                Turn::Run => Some(this.scope.poll(cx, content)),
                // What was never polled is just dropped.
                Turn::End if !this.scope.is_attached() => None,
                Turn::End => this.scope.poll_to_end(cx, content),
            })
        };
        let mut passes_on = None;
        let step = match polled {
            Ok(Some(Polled::Pending)) => return Step::Pending,
            Ok(Some(Polled::Ready(value))) => Step::Ended(value),
            Ok(Some(Polled::Taken(delivery))) if this.scope.is_from_around(&delivery) => Step::Over,
            Ok(Some(Polled::Taken(delivery))) => {
                passes_on = Some(delivery);
                Step::PassedOn
            }
            Ok(None) => Step::Over,
            Err(panic) => Step::Panicked(panic),
        };
        // The content goes first, also before its scope does.
        let dropped = caught(|| this.content.set(None));
        match passes_on {
            Some(delivery) => this.scope.raise_out(delivery),
            None => {
                this.scope.forget_request_from_around();
                this.scope.release();
            }
        }
        match (step, dropped) {
            (step, Ok(())) | (step @ Step::Panicked(_), Err(_)) => step,
            (_, Err(panic)) => Step::Panicked(panic),
        }
    }

    fn stop(self: Pin<&mut Self>) -> Option<Panic> {
        let mut this = self.project();
        let dropped = caught(|| this.content.set(None));
        this.scope.release();
        dropped.err()
    }
}
