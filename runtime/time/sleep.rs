//! Sleeping: a deadline in the loop's wheel.
//!
//! A [`Sleep`] is plain data: the deadline, and once it was polled the key of its timer and the loop's
//! number. So it is `Send` and `Sync` by construction. Dropped on its loop, it takes the timer out; dropped
//! elsewhere, the timer stays until it is due and wakes a task that does not mind.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::now;
use crate::kernel::{Look, TimerKey, alarm_for, far_from, probe, with_current};

/// The future of [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    state: Packed,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// `sleep(ZERO)`, not polled yet: it only yields.
    Yield,
    Idle,
    Armed {
        /// The lower half of the loop's number: enough, unless one lives while four billion loops come and go.
        loop_id: u32,
        key: TimerKey,
    },
    Over,
}

/// A [`State`] in 16 bytes, where the compiler would take 32: there may be millions of sleeps, and the frame of an
/// `async fn` often has room for one twice.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Of the timer's key; zero if there is no timer, and then `index` says why.
    serial: u64,
    index: u32,
    loop_id: u32,
}

impl Packed {
    const YIELD: Self = Self::without_timer(0);
    const IDLE: Self = Self::without_timer(1);
    const OVER: Self = Self::without_timer(2);

    const fn without_timer(why: u32) -> Self {
        Self { serial: 0, index: why, loop_id: 0 }
    }

    fn armed(loop_id: u32, key: TimerKey) -> Self {
        let (index, serial) = key.parts();
        Self { serial: serial.get(), index, loop_id }
    }

    fn unpack(self) -> State {
        match (NonZeroU64::new(self.serial), self.index) {
            (Some(serial), index) => {
                State::Armed { loop_id: self.loop_id, key: TimerKey::from_parts(index, serial) }
            }
            (None, 0) => State::Yield,
            (None, 1) => State::Idle,
            (None, _) => State::Over,
        }
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Sleep>() == 32, "the budget of a sleep");

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
        return Sleep { deadline: now, state: Packed::YIELD };
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
    Sleep { deadline, state: Packed::IDLE }
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
        matches!(self.state.unpack(), State::Over)
    }

    /// Sets another deadline. A sleep that is over begins anew.
    pub fn reset(&mut self, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
        self.state = Packed::IDLE;
    }

    fn arm(&mut self, cx: &Context<'_>) {
        let alarm = alarm_for(cx.waker());
        let armed = with_current(|block, home| {
            let key = home.timers.insert(home.time.ns(self.deadline), alarm);
            Packed::armed(block.shared().id as u32, key)
        });
        self.state = armed.expect("sleep() needs a running loop: await it inside of evloop::run");
    }

    /// Says what it waits for.
    fn say(&self) {
        probe::waits_for(|| {
            let left = self.deadline.saturating_duration_since(now());
            format!("a time that is {left:?} away").into()
        });
    }

    /// Takes the timer out, if this is its loop.
    fn disarm(&mut self) {
        if let State::Armed { loop_id, key } = self.state.unpack() {
            self.state = Packed::OVER;
            let alarm = with_current(|block, home| {
                let ours = block.shared().id as u32 == loop_id;
                ours.then(|| home.timers.cancel(key, home.time.ns(self.deadline))).flatten()
            });
            drop(alarm);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.state.unpack() {
            State::Over => return Poll::Ready(()),
            State::Yield => {
                this.state = Packed::OVER;
                cx.waker().wake_by_ref();
            }
            State::Idle => this.arm(cx),
            State::Armed { loop_id, key } => {
                let look = with_current(|block, home| {
                    (block.shared().id as u32 == loop_id).then(|| home.timers.look(key, cx.waker()))
                });
                match look.flatten() {
                    Some(Look::Waiting) => self.say(),
                    Some(Look::Fired) => {
                        this.state = Packed::OVER;
                        return Poll::Ready(());
                    }
                    Some(Look::WakesAnother) => {
                        let alarm = alarm_for(cx.waker());
                        drop(with_current(|_, home| home.timers.replace(key, alarm)));
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
