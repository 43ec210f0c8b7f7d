//! Futures against each other, in the current task: the first one's value counts, and the others are
//! cancelled and waited for.
//!
//! A race is a scope with one more scope around each branch. Those of the branches take no offers: to a
//! request from outside the branches are what those of a `join!` are. They tell which branch passed something
//! on, and they are where the race asks a loser to end (`branch.rs`). `contest.rs` is what [`race`] and
//! [`staggered_race`] have in common.

mod branch;
mod branches;
mod contest;
mod staggered;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pub use branches::{Branches, Raceable};
pub use staggered::{Staggered, staggered_race};

use contest::Contest;

pin_project! {
    /// The future of [`race`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Race<B>
    where
        B: Branches,
    {
        // Before the contest, whose scope is around them: content goes first.
        #[pin]
        branches: B,
        contest: Contest<B::Output>,
    }
}

/// Runs several futures in the current task and gives the first value; the others are cancelled, and their
/// cleanup is waited for.
///
/// The futures are polled in the order of the arguments, in the current task: they may borrow, and nothing
/// is spawned. Of those that are ready at once the earliest wins; those after it are not polled any more.
/// Whichever of them is woken, all are polled: for thousands, take tasks and [`wait`](crate::wait()).
///
/// The losers get a cancellation, where `select!` would only drop them: a cleanup in them
/// ([`finally`](crate::finally), [`on_cancel`](crate::on_cancel), an awaited task) runs to its end before
/// the value is given. So does one that runs in a loser already: the race never cuts it. A loser that
/// swallows the cancellation is waited for until it ends, and its value is dropped. A loser with nothing to
/// clean up is dropped at once, as is one that was not polled yet.
///
/// # Panics
/// When there is nothing that could race, and when polled after it was ready. A panic of a branch counts as its
/// end: the others are cancelled and waited for, then it goes on. Further panics, and that of a race which is
/// dropped before it could go on, are told to the loop's exception handler.
///
/// # Cancel safety
/// A cancellation of the whole goes into all branches, as in a `join!`, and on outwards after their cleanups.
/// While losers are cleaning up it beats the winner's value, which is dropped. Dropping the race drops all
/// branches.
///
/// # asyncio
/// `asyncio.wait(aws, return_when=FIRST_COMPLETED)`, then cancelling and awaiting the rest.
///
/// # Examples
/// ```
/// use evloop::{finally, race, sleep, time::{millis, secs}};
/// use std::cell::Cell;
///
/// evloop::run(async {
///     let closed = Cell::new(false);
///     let slow = async {
///         sleep(secs(3600)).await;
///         "slow"
///     };
///     let quick = async {
///         sleep(millis(1)).await;
///         "quick"
///     };
///     let cleanup = async {
///         evloop::yield_now().await;
///         closed.set(true);
///     };
///     assert_eq!(race((finally(slow, cleanup), quick)).await, "quick");
///     assert!(closed.get());
/// });
/// ```
#[doc(alias = "select")]
#[doc(alias = "FIRST_COMPLETED")]
#[track_caller]
pub fn race<Kind, R: Raceable<Kind>>(futures: R) -> Race<R::Branches> {
    let branches = futures.into_branches();
    assert!(!branches.is_empty(), "a race needs at least one future; nobody can win this one");
    Race { branches, contest: Contest::new() }
}

impl<B: Branches> Future for Race<B> {
    type Output = B::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<B::Output> {
        let mut this = self.project();
        this.contest.poll(
            cx,
            &mut this.branches,
            |standing, cx, branches| {
                if standing.is_undecided() {
                    branches.as_mut().visit(&mut |branch| {
                        if let Some(value) = standing.run(cx, branch) {
                            standing.decide(value);
                        }
                        standing.is_undecided()
                    });
                }
                if standing.is_undecided() {
                    return Poll::Pending;
                }
                standing.wait_for_losers(
                    cx,
                    |_, value| drop(value),
                    |visit| {
                        branches.as_mut().visit(&mut |branch| {
                            visit(0, branch);
                            true
                        });
                    },
                )
            },
            |branches, stopped| {
                branches.as_mut().visit(&mut |branch| {
                    stopped(branch.stop());
                    true
                });
            },
        )
    }
}

impl<B: Branches> fmt::Debug for Race<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race").finish_non_exhaustive()
    }
}
