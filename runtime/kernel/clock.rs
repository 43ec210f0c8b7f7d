//! The loop's time: the only `Instant::now()` of the crate.
//!
//! Inside the kernel, time is a `u64` of nanoseconds, [`BIRTH`] when the loop was made: there is room for
//! deadlines from before that, which keep their order, and for 540 years after it. Outside it is std's
//! `Instant`; virtual time is the start plus the virtual time elapsed, so deadlines of both clocks have
//! one type.

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
    /// another thread holds a [`LoopProxy`](crate::LoopProxy) or a task waits for a socket or another descriptor.
    Virtual,
}

/// The kernel's time when its loop was made: 36 years of room for earlier deadlines.
pub(crate) const BIRTH: u64 = 1 << 60;

/// A running clock of either kind.
pub(crate) struct TimeSource {
    start: Instant,
    /// The virtual time; `None` for the monotonic clock.
    virtual_now: Option<Cell<u64>>,
}

impl TimeSource {
    pub(crate) fn new(clock: Clock) -> Self {
        let virtual_now = match clock {
            Clock::Monotonic => None,
            Clock::Virtual => Some(Cell::new(BIRTH)),
        };
        Self { start: Instant::now(), virtual_now }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.virtual_now.is_some()
    }

    /// The kernel's time.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        match &self.virtual_now {
            None => BIRTH.saturating_add(nanos(self.start.elapsed())),
            Some(now) => now.get(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.virtual_now {
            None => Instant::now(),
            Some(now) => self.instant(now.get()),
        }
    }

    /// The instant of a time of the kernel's; the start for one that `Instant` cannot hold.
    pub(crate) fn instant(&self, ns: u64) -> Instant {
        let instant = match ns.checked_sub(BIRTH) {
            Some(after) => self.start.checked_add(Duration::from_nanos(after)),
            None => self.start.checked_sub(Duration::from_nanos(BIRTH - ns)),
        };
        instant.unwrap_or(self.start)
    }

    /// The kernel's form of an instant.
    #[inline]
    pub(crate) fn ns(&self, instant: Instant) -> u64 {
        match instant.checked_duration_since(self.start) {
            Some(after) => BIRTH.saturating_add(nanos(after)),
            None => BIRTH.saturating_sub(nanos(self.start.saturating_duration_since(instant))),
        }
    }

    /// Moves virtual time forward to `ns`; never back.
    pub(crate) fn advance_to(&self, ns: u64) {
        if let Some(now) = &self.virtual_now {
            now.set(now.get().max(ns));
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
