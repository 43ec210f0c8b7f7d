//! Ticking at a steady pace.

use std::time::{Duration, Instant};

use super::{now, sleep_until};

/// Ticks that come a period apart; made by [`interval`].
#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
    missed: MissedTicks,
}

/// What an [`Interval`] does about ticks for which nobody was there in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MissedTicks {
    /// They are left out; the next tick is the next multiple of the period that is still to come.
    #[default]
    Skip,
    /// They come one after the other without waiting until the pace is caught up with.
    Burst,
    /// The pace starts anew: the next tick is a period after the late one.
    Delay,
}

/// Ticks once at once and then every `period`. Missed ticks are skipped; see [`Interval::missed_ticks`].
///
/// # Panics
/// If the period is zero: that is [`yield_now`](crate::yield_now).
///
/// # asyncio
/// There is none; a loop over `asyncio.sleep` drifts.
///
/// # Examples
/// ```
/// use evloop::time::{interval, millis};
///
/// evloop::run(async {
///     let mut ticks = interval(millis(1));
///     let first = ticks.tick().await;
///     assert_eq!(ticks.tick().await - first, millis(1));
/// });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// As [`interval`], with its first tick at `start`.
///
/// # Panics
/// If the period is zero: that is [`yield_now`](crate::yield_now).
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period; use yield_now() to only yield");
    Interval { next: start, period, missed: MissedTicks::Skip }
}

impl Interval {
    /// Sets what happens to missed ticks.
    #[must_use]
    pub fn missed_ticks(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// The time between ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Waits for the next tick and returns the time it was due, on the loop's clock.
    ///
    /// # Panics
    /// Outside of a loop.
    ///
    /// # Cancel safety
    /// Safe. A tick that nobody saw comes again.
    pub async fn tick(&mut self) -> Instant {
        let due = self.next;
        if due > now() {
            sleep_until(due).await;
        }
        self.next = self.after(due, now());
        due
    }

    /// The tick after `due`, which was served at `now`.
    fn after(&self, due: Instant, now: Instant) -> Instant {
        let next = due + self.period;
        if next > now {
            return next;
        }
        match self.missed {
            MissedTicks::Burst => next,
            MissedTicks::Delay => now + self.period,
            MissedTicks::Skip => now + (self.period - remainder(now - due, self.period)),
        }
    }
}

/// `late` modulo `period`; std has no remainder of durations.
fn remainder(late: Duration, period: Duration) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let over = late.as_nanos() % period.as_nanos();
    let seconds = u64::try_from(over / SECOND).unwrap_or(u64::MAX);
    Duration::new(seconds, (over % SECOND) as u32)
}
