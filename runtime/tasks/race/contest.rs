//! What all races have in common: once it is decided, the losers are asked to end and waited for, and then
//! the decision is announced, unless a request from outside or a panic goes before it.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::branch::{Run, Step, Turn, caught, drop_after_panic};
use crate::kernel::{Panic, Polled, Scope, report_panic};

/// A race between branches that its owner keeps: the scope around them, and what has come of it so far.
#[derive(Debug)]
pub(super) struct Contest<D> {
    pub(super) standing: Standing<D>,
    scope: Scope,
}

impl<D> Drop for Standing<D> {
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            report_panic("a branch of a race panicked and the race was dropped", panic.into_payload());
        }
    }
}

/// What has come of a race so far. `D` is what it decides about: the winner.
#[derive(Debug)]
pub(super) struct Standing<D> {
    decision: Option<D>,
    panic: Option<Panic>,
    stage: Stage,
    /// Something has passed on a request from outside, and pends for ever until that has gone out of the
    /// race, which therefore must not give a value any more.
    owes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Undecided,
    /// The losers are asked to end and waited for.
    Decided,
    Over,
}

impl<D> Contest<D> {
    pub(super) const fn new() -> Self {
        let standing = Standing { decision: None, panic: None, stage: Stage::Undecided, owes: false };
        Self { standing, scope: Scope::new() }
    }

    /// Polls the race: `advance` polls its branches, `stop` drops what is left of them.
    ///
    /// # Panics
    /// With the panic of a branch, when all are over; and if it was ready before.
    pub(super) fn poll<B: ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        branches: &mut B,
        mut advance: impl FnMut(&mut Standing<D>, &mut Context<'_>, &mut B) -> Poll<()>,
        stop: impl FnOnce(&mut B, &mut dyn FnMut(Option<Panic>)),
    ) -> Poll<D> {
        let standing = &mut self.standing;
        if standing.stage == Stage::Over {
            // A request has ended it and has gone on outwards.
            assert!(standing.owes, "a race was polled after it was ready");
            return Poll::Pending;
        }
        match self.scope.poll(cx, |cx| advance(standing, cx, branches)) {
            Polled::Pending => return Poll::Pending,
            Polled::Ready(()) => {}
            Polled::Taken(delivery) => {
                self.scope.hold(delivery);
                stop(branches, &mut |panic| {
                    if let Some(panic) = panic {
                        standing.panicked(panic);
                    }
                });
                if standing.panic.is_none() {
                    // The winner's value goes, too: a request beats what is not announced yet.
                    let decision = standing.decision.take();
                    if let Err(panic) = caught(|| drop(decision)) {
                        standing.panicked(panic);
                    }
                }
                if standing.panic.is_none() {
                    standing.stage = Stage::Over;
                    standing.owes = true;
                    if let Some(delivery) = self.scope.take_hold() {
                        self.scope.raise_out(delivery);
                    }
                    return Poll::Pending;
                }
            }
        }
        // A request that is held goes on outwards.
        self.scope.release();
        standing.stage = Stage::Over;
        if let Some(panic) = standing.panic.take() {
            // Not by the unwinding, which its destructor might make an abort.
            drop_after_panic(standing.decision.take());
            panic.resume();
        }
        match standing.decision.take() {
            Some(decision) => Poll::Ready(decision),
            None => unreachable!("a race ended undecided"),
        }
    }
}

impl<D> Standing<D> {
    pub(super) fn is_undecided(&self) -> bool {
        self.stage == Stage::Undecided
    }

    /// It is decided; the other branches have lost.
    pub(super) fn decide(&mut self, decision: D) {
        self.decision = Some(decision);
        self.stage = Stage::Decided;
    }

    /// A branch has panicked: as if that were the decision. The first one is passed on in the end.
    pub(super) fn panicked(&mut self, panic: Panic) {
        if self.stage == Stage::Undecided {
            self.stage = Stage::Decided;
        }
        match self.panic {
            None => self.panic = Some(panic),
            Some(_) => report_panic("another branch of a race panicked", panic.into_payload()),
        }
    }

    /// A request from outside is on its way outwards.
    pub(super) fn owe(&mut self) {
        self.owes = true;
    }

    pub(super) fn owes(&self) -> bool {
        self.owes
    }

    /// Polls a branch of a race that is undecided; the value of one that has ended.
    pub(super) fn run<T>(&mut self, cx: &mut Context<'_>, branch: Pin<&mut dyn Run<T>>) -> Option<T> {
        match branch.poll(cx, Turn::Run) {
            Step::Ended(value) => return Some(value),
            Step::Panicked(panic) => self.panicked(panic),
            Step::PassedOn => self.owe(),
            Step::Pending | Step::Over => {}
        }
        None
    }

    /// Polls the losers of a race that is decided, each by one call of the closure it is given; ready when
    /// all are over. `lost` gets what a loser gives all the same.
    pub(super) fn wait_for_losers<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut lost: impl FnMut(usize, T),
        visit: impl FnOnce(&mut dyn FnMut(usize, Pin<&mut dyn Run<T>>)),
    ) -> Poll<()> {
        let mut waiting = false;
        visit(&mut |index, branch| match branch.poll(cx, Turn::Lose) {
            Step::Pending => waiting = true,
            Step::Ended(value) => {
                if let Err(panic) = caught(|| lost(index, value)) {
                    self.panicked(panic);
                }
            }
            Step::Panicked(panic) => self.panicked(panic),
            Step::PassedOn => self.owe(),
            Step::Over => {}
        });
        if waiting || self.owes { Poll::Pending } else { Poll::Ready(()) }
    }
}
