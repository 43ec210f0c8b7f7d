//! Sleeping: a deadline in the loop's wheel.
//!
//! A [`Sleep`] is plain data: the deadline, and once it was polled the key of its timer and the loop's
//! number. So it is `Send` and `Sync` by construction. Dropped on its loop, it takes the timer out; dropped
//! elsewhere, the timer stays until it is due and wakes a task that does not mind.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::now;
use crate::kernel::{Alarm, Look, TimerKey, far_from, with_current};

/// The future of [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// `sleep(ZERO)`, not polled yet: it only yields.
    Yield,
    Idle,
    Armed {
        loop_id: u64,
        key: TimerKey,
    },
    Over,
}

/// Waits until `duration` has passed, counted from this call.
///
/// Deadlines are met to the nanosecond that the system's wait allows; never early, and in the order of
/// deadlines, ties in the order in which the sleeps began. A zero duration yields once, as
/// [`yield_now`](crate::yield_now).
///
/// # Panics
/// When awaited outside of a loop.
///
/// # Cancel safety
/// Safe. Dropping it takes the timer out.
///
/// # asyncio
/// `asyncio.sleep(seconds)`, which counts from the first await.
///
/// # Examples
/// ```
/// use evloop::time::{millis, now};
///
/// evloop::run(async {
///     let start = now();
///     evloop::sleep(millis(2)).await;
///     assert!(now() - start >= millis(2));
/// });
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let now = now();
    if duration.is_zero() {
        return Sleep { deadline: now, state: State::Yield };
    }
    sleep_until(now.checked_add(duration).unwrap_or_else(|| far_from(now)))
}

/// Waits until a time of the loop's clock. A time that has passed still yields once.
///
/// # Panics
/// When awaited outside of a loop.
///
/// # Cancel safety
/// Safe. Dropping it takes the timer out.
///
/// # asyncio
/// The `loop.call_at` idiom.
///
/// # Examples
/// ```
/// use evloop::time::{millis, now, sleep_until};
///
/// evloop::run(async {
///     let next = now() + millis(1);
///     sleep_until(next).await;
///     assert!(now() >= next);
/// });
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, state: State::Idle }
}

impl Sleep {
    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the time has come and the future was told.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Sets another deadline. A sleep that is over begins anew.
    pub fn reset(&mut self, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
        self.state = State::Idle;
    }

    fn arm(&mut self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let armed = with_current(|block, home| State::Armed {
            loop_id: block.shared().id,
            key: home.timers.insert(home.time.ns(self.deadline), Alarm::Wake(waker)),
        });
        self.state = armed.expect("sleep() needs a running loop: await it inside of evloop::run");
    }

    /// Takes the timer out, if this is its loop.
    fn disarm(&mut self) {
        if let State::Armed { loop_id, key } = std::mem::replace(&mut self.state, State::Over) {
            let alarm = with_current(|block, home| {
                (block.shared().id == loop_id).then(|| home.timers.cancel(key)).flatten()
            });
            drop(alarm);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.state {
            State::Over => return Poll::Ready(()),
            State::Yield => {
                this.state = State::Over;
                cx.waker().wake_by_ref();
            }
            State::Idle => this.arm(cx),
            State::Armed { loop_id, key } => {
                let look = with_current(|block, home| {
                    (block.shared().id == loop_id).then(|| home.timers.look(key, cx.waker()))
                });
                match look.flatten() {
                    Some(Look::Waiting) => {}
                    Some(Look::Fired) => {
                        this.state = State::Over;
                        return Poll::Ready(());
                    }
                    Some(Look::WakesAnother) => {
                        let waker = cx.waker().clone();
                        drop(with_current(|_, home| home.timers.replace(key, waker)));
                    }
                    // It was moved to another loop: the old timer stays until due, harmless.
                    None => this.arm(cx),
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
