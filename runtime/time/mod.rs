//! Time: the loop's clock, sleeping, ticking, and waiting for no longer than.
//!
//! Deadlines are `Instant`s of the loop's clock, which may be virtual: compare them with [`now`], not with
//! `Instant::now()`.

mod deadline;
mod interval;
mod sleep;
mod timeout;
mod wait_for;

use std::time::{Duration, Instant};

pub use interval::{Interval, MissedTicks, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};
pub use wait_for::{TimeoutError, WaitFor, wait_for};

use crate::kernel::{real_now, with_current};

/// The time of the loop this code runs in; outside of a loop, the system's.
///
/// # asyncio
/// `asyncio.get_running_loop().time()`.
///
/// # Examples
/// ```
/// use evloop::time::{now, secs};
///
/// evloop::run(async {
///     let start = now();
///     evloop::yield_now().await;
///     assert!(now() - start < secs(10));
/// });
/// ```
#[must_use]
pub fn now() -> Instant {
    with_current(|_, home| home.time.now()).unwrap_or_else(real_now)
}

/// So many seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
#[must_use]
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// So many microseconds.
#[must_use]
pub const fn micros(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}
