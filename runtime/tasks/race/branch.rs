//! One branch of a race: a future, and the scope that gathers what it passes on.

use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::kernel::{Panic, Polled, Scope, report_panic};

pin_project! {
    /// One branch; an implementation detail of [`Branches`](super::Branches).
    #[derive(Debug)]
    pub struct Branch<F> {
        // Before the scope: content goes first. `None`: the branch is over.
        #[pin]
        content: Option<F>,
        scope: Scope,
        asked: bool,
    }
}

/// How a branch is polled; an implementation detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// As any future.
    Run,
    /// It has lost: it is asked to end, once nothing cleans up in it.
    Lose,
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

/// What looks at branches one after the other, for as long as it says `true`; an implementation detail.
pub(super) type Visit<'a, T> = dyn FnMut(Pin<&mut dyn Run<T>>) -> bool + 'a;

impl<F> Branch<F> {
    pub(super) const fn new(content: F) -> Self {
        Self { content: Some(content), scope: Scope::for_branch(), asked: false }
    }
}

/// Calls foreign code; its panic is a value.
pub(super) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new)
}

/// Drops what a panic goes before; should that panic, too, it is reported.
pub(super) fn drop_after_panic<T>(value: T) {
    if let Err(second) = caught(|| drop(value)) {
        report_panic("a value panicked when it was dropped for the panic of a race", second.into_payload());
    }
}

/// Polls a branch that has lost and was not asked to end yet. A cleanup that runs in it goes before: an offer
/// would cut it. `None`: there is nobody to ask.
fn lose<T>(
    scope: &mut Scope,
    asked: &mut bool,
    cx: &mut Context<'_>,
    content: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<Polled<T>> {
    // Not in a tree: it was never polled, or there is no loop.
    if scope.is_busy_below()? {
        let polled = scope.poll(cx, &mut *content);
        if !matches!(polled, Polled::Pending) || scope.is_busy_below() == Some(true) {
            return Some(polled);
        }
    }
    *asked = true;
    Some(scope.poll_with_own_offer(cx, content))
}

impl<F: Future> Run<F::Output> for Branch<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, turn: Turn) -> Step<F::Output> {
        let mut this = self.project();
        let polled = {
            let Some(mut content) = this.content.as_mut().as_pin_mut() else { return Step::Over };
            let mut content = |cx: &mut Context<'_>| content.as_mut().poll(cx);
            let (scope, asked) = (&mut *this.scope, &mut *this.asked);
            if *asked && scope.take_back_own_offer() {
                *asked = false;
            }
            caught(|| match turn {
                Turn::Lose if !*asked => lose(scope, asked, cx, &mut content),
                Turn::Run | Turn::Lose => Some(scope.poll(cx, &mut content)),
            })
        };
        let mut passes_on = None;
        let step = match polled {
            Ok(Some(Polled::Pending)) => return Step::Pending,
            Ok(Some(Polled::Ready(value))) => Step::Ended(value),
            Ok(Some(Polled::Taken(delivery))) if this.scope.is_own(&delivery) => Step::Over,
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
            None => this.scope.release(),
        }
        match (step, dropped) {
            (step, Ok(())) => step,
            (step @ Step::Panicked(_), Err(second)) => {
                report_panic("a destructor panicked after its branch of a race had", second.into_payload());
                step
            }
            (step, Err(panic)) => {
                drop_after_panic(step);
                Step::Panicked(panic)
            }
        }
    }

    fn stop(self: Pin<&mut Self>) -> Option<Panic> {
        let mut this = self.project();
        let dropped = caught(|| this.content.set(None));
        this.scope.release();
        dropped.err()
    }
}
