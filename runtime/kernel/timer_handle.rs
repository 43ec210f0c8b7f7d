//! The handle of `call_later` and `call_at`.

use std::fmt;
use std::panic::Location;
use std::time::Instant;

use super::context::{LoopRef, Visit};
use super::task::callback::Handle;
use super::timers::TimerKey;

/// A callback scheduled for a time, to cancel it. Dropping the handle does nothing.
///
/// # asyncio
/// `asyncio.TimerHandle`.
///
/// # Examples
/// ```
/// use evloop::time::secs;
///
/// evloop::run(async {
///     let start = evloop::now();
///     let timer = evloop::call_later(secs(3600), || unreachable!("it is cancelled in time"));
///     assert!(timer.when() >= start + secs(3600));
///     timer.cancel();
///     assert!(timer.cancelled());
/// });
/// ```
pub struct TimerHandle {
    handle: Handle,
    when: Instant,
    key: Option<TimerKey>,
    loop_ref: LoopRef,
}

impl TimerHandle {
    pub(super) fn new(handle: Handle, when: Instant, key: Option<TimerKey>, loop_ref: LoopRef) -> Self {
        Self { handle, when, key, loop_ref }
    }

    /// Drops the callback, at once, and takes its timer out. After the callback ran this does nothing.
    pub fn cancel(&self) {
        // Inside of the loop, also when its host does this between turns: a destructor that panics is told
        // to the loop's own handler.
        let _visit = Visit::new(&self.loop_ref);
        self.handle.cancel();
        if let Some(key) = self.key {
            let alarm = self.loop_ref.with(|home| home.timers.cancel(key, home.time.ns(self.when)));
            drop(alarm);
        }
    }

    /// Whether [`cancel`](Self::cancel) was called, or the loop ended before the time came.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.handle.cancelled()
    }

    /// Where it was scheduled, as [`Handle::location`].
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.handle.location()
    }

    /// The time it is scheduled for, on the loop's clock.
    #[must_use]
    pub fn when(&self) -> Instant {
        self.when
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle").field("when", &self.when).field("cancelled", &self.cancelled()).finish()
    }
}
