//! A race whose branches start one after the other: each when the one before has failed or has had its head
//! start.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::branch::{Branch, Run, caught};
use super::branches::{Boxed, Branches};
use super::contest::{Contest, Standing};
use crate::kernel::{Panic, Polled, Scope};
use crate::time::{Sleep, sleep};

/// What became of a [`staggered_race`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staggered<T, E> {
    /// Which one has won, counted from 0, and its value; `None` if all have failed.
    pub winner: Option<(usize, T)>,
    /// The error of each that was started, in order: none for the winner, and none for those that were
    /// cancelled.
    pub errors: Vec<Option<E>>,
}

/// Starts attempts one after the other until one succeeds: each next one when the latest has failed, or has
/// not succeeded within `delay`. The first success wins; the other attempts are cancelled, and their cleanup
/// is waited for as in a [`race`](crate::race()). Without a delay they run strictly one after the other.
///
/// The attempts are closures that give a future, made and polled in the current task: they may borrow, and
/// nothing is spawned. When all fail, the result has no winner.
///
/// # Panics
/// When awaited outside of a loop with a delay. A panic of an attempt counts as its end: the others are
/// cancelled and waited for, then it goes on.
///
/// # Cancel safety
/// A cancellation of the whole goes into all attempts and on outwards after their cleanups. Nothing is started
/// any more. While losers are cleaning up it beats the winner's value, which is dropped. Dropping the future
/// drops all attempts.
///
/// # asyncio
/// `asyncio.staggered.staggered_race(coro_fns, delay)`, the core of happy eyeballs. There, losers leave a
/// `CancelledError` in the list.
///
/// # Examples
/// ```
/// use evloop::{sleep, staggered_race, time::{millis, secs}};
///
/// evloop::run(async {
///     let addresses = [("unreachable", secs(3600)), ("far", millis(20)), ("near", millis(1))];
///     let attempts = addresses.map(|(name, distance)| {
///         async move || {
///             sleep(distance).await;
///             Ok::<_, std::io::Error>(name)
///         }
///     });
///     let outcome = staggered_race(attempts, millis(2)).await;
///     assert_eq!(outcome.winner, Some((2, "near")));
///     assert_eq!(outcome.errors.len(), 3);
/// });
/// ```
#[doc(alias = "happy_eyeballs")]
pub async fn staggered_race<S, F, T, E>(
    starters: impl IntoIterator<Item = S>,
    delay: impl Into<Option<Duration>>,
) -> Staggered<T, E>
where
    S: FnOnce() -> F,
    F: Future<Output = Result<T, E>>,
{
    // Locals are dropped in reverse: the scope of the contest outlives what it contains.
    let mut contest = Contest::new();
    let mut attempts = Attempts {
        running: Boxed::new(),
        starters: Some(starters.into_iter()),
        listener: Scope::new(),
        delay: delay.into(),
        alarm: None,
        latest_failed: false,
        failed: 0,
        errors: Vec::new(),
    };
    let winner = poll_fn(|cx| contest.poll(cx, &mut attempts, Attempts::advance, Attempts::stop)).await;
    Staggered { winner, errors: attempts.errors }
}

/// The attempts, and what is needed to start the next one.
struct Attempts<I, F, E> {
    running: Boxed<F>,
    /// Those that are still to be started.
    starters: Option<I>,
    /// While something is to be started: takes a request from outside, so that nothing is.
    listener: Scope,
    delay: Option<Duration>,
    alarm: Option<Sleep>,
    latest_failed: bool,
    failed: usize,
    errors: Vec<Option<E>>,
}

impl<I, S, F, T, E> Attempts<I, F, E>
where
    I: Iterator<Item = S>,
    S: FnOnce() -> F,
    F: Future<Output = Result<T, E>>,
{
    fn advance(
        standing: &mut Standing<Option<(usize, T)>>,
        cx: &mut Context<'_>,
        attempts: &mut Self,
    ) -> Poll<()> {
        if standing.is_undecided() {
            attempts.listen(standing, cx);
            for index in 0..attempts.running.len() {
                attempts.run(standing, cx, index);
                if !standing.is_undecided() {
                    break;
                }
            }
            attempts.start_next(standing, cx);
        }
        if standing.is_undecided() {
            return Poll::Pending;
        }
        if let Err(panic) = caught(|| attempts.start_no_more()) {
            standing.panicked(panic);
        }
        let (running, errors) = (Pin::new(&mut attempts.running), &mut attempts.errors);
        let lost = |index: usize, result: Result<T, E>| errors[index] = result.err();
        standing.wait_for_losers(cx, lost, |visit| {
            let mut index = 0;
            running.visit(&mut |attempt| {
                visit(index, attempt);
                index += 1;
                true
            });
        })
    }

    /// Takes a request from outside while there is something to be started.
    fn listen(&mut self, standing: &mut Standing<Option<(usize, T)>>, cx: &mut Context<'_>) {
        if self.starters.is_none() {
            return;
        }
        if let Polled::Taken(delivery) = self.listener.poll(cx, |_| Poll::<Infallible>::Pending) {
            standing.owe();
            self.alarm = None;
            let dropped = caught(|| self.starters = None);
            self.listener.raise_out(delivery);
            if let Err(panic) = dropped {
                standing.panicked(panic);
            }
        }
    }

    fn run(&mut self, standing: &mut Standing<Option<(usize, T)>>, cx: &mut Context<'_>, index: usize) {
        match standing.run(cx, self.running[index].as_mut()) {
            Some(Ok(value)) => standing.decide(Some((index, value))),
            Some(Err(error)) => {
                self.errors[index] = Some(error);
                self.failed += 1;
                self.latest_failed |= index + 1 == self.running.len();
            }
            None => {}
        }
    }

    /// Starts what is due.
    fn start_next(&mut self, standing: &mut Standing<Option<(usize, T)>>, cx: &mut Context<'_>) {
        while standing.is_undecided()
            && let Some(starters) = &mut self.starters
        {
            let is_due = self.running.is_empty()
                || self.latest_failed
                || self.alarm.as_mut().is_some_and(|alarm| Pin::new(alarm).poll(cx).is_ready());
            if !is_due {
                return;
            }
            match caught(|| starters.next().map(|starter| starter())) {
                Ok(Some(attempt)) => {
                    self.running.push(Box::pin(Branch::new(attempt)));
                    self.errors.push(None);
                    self.latest_failed = false;
                    self.alarm = self.delay.map(sleep);
                    self.run(standing, cx, self.running.len() - 1);
                }
                Ok(None) => {
                    if let Err(panic) = caught(|| self.start_no_more()) {
                        standing.panicked(panic);
                    }
                }
                Err(panic) => standing.panicked(panic),
            }
        }
        if standing.is_undecided() && !standing.owes() && self.failed == self.running.len() {
            standing.decide(None);
        }
    }

    fn start_no_more(&mut self) {
        self.alarm = None;
        self.listener.release();
        // Foreign, so last.
        self.starters = None;
    }

    fn stop(&mut self, stopped: &mut dyn FnMut(Option<Panic>)) {
        for attempt in &mut self.running {
            stopped(attempt.as_mut().stop());
        }
        stopped(caught(|| self.starters = None).err());
        self.start_no_more();
    }
}
