//! The loop's time: the only `Instant::now()` of the crate.
//!
//! Inside the kernel, time is a `u64` of nanoseconds since the loop was made (580 years of them). Outside
//! it is std's `Instant`; virtual time is the start plus the virtual time elapsed, so deadlines of both
//! clocks have one type.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Which time a loop lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Clock {
    /// The system's monotonic clock.
    #[default]
    Monotonic,
    /// Virtual time: it jumps to the next deadline when there is nothing else to do, so an hour of
    /// sleeping passes in microseconds, and always in the same order.
    ///
    /// It stands still while [`to_thread`](crate::to_thread) jobs run, and passes at real pace while
    /// another thread holds a [`LoopProxy`](crate::LoopProxy).
    Virtual,
}

/// A running clock of either kind.
pub(crate) struct TimeSource {
    start: Instant,
    /// Virtual nanoseconds since `start`; `None` for the monotonic clock.
    elapsed: Option<Cell<u64>>,
}

impl TimeSource {
    pub(crate) fn new(clock: Clock) -> Self {
        let elapsed = match clock {
            Clock::Monotonic => None,
            Clock::Virtual => Some(Cell::new(0)),
        };
        Self { start: Instant::now(), elapsed }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.elapsed.is_some()
    }

    /// Nanoseconds since the loop was made.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        match &self.elapsed {
            None => nanos(self.start.elapsed()),
            Some(elapsed) => elapsed.get(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.elapsed {
            None => Instant::now(),
            Some(elapsed) => self.instant(elapsed.get()),
        }
    }

    /// The instant `ns` after the start. Saturates at what `Instant` can hold.
    pub(crate) fn instant(&self, ns: u64) -> Instant {
        self.start.checked_add(Duration::from_nanos(ns)).unwrap_or(self.start)
    }

    /// The kernel's form of an instant; what lies before the start is 0, that is, overdue.
    #[inline]
    pub(crate) fn ns(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.start))
    }

    /// Moves virtual time forward to `ns`; never back.
    pub(crate) fn advance_to(&self, ns: u64) {
        if let Some(elapsed) = &self.elapsed {
            elapsed.set(elapsed.get().max(ns));
        }
    }
}

/// The real time, whatever the loop's clock: for measuring how long steps and waits really take.
pub(crate) fn real_now() -> Instant {
    Instant::now()
}

/// A duration in nanoseconds, saturating after 580 years.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}
