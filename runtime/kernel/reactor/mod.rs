//! The wait: where a loop with nothing to do spends its time, until a deadline, a descriptor or the bell.
//!
//! One `polling::Poller` creates and registers everything and is the portable way to wait. On Linux and
//! Android the loop waits on the poller's own descriptor directly (`direct.rs`): one system call where
//! `Poller::wait` makes five, and with nanosecond precision. Both ways are always compiled there and
//! chosen by [`Builder::portable_wait`](crate::Builder::portable_wait).
//!
//! This module knows no clock, no timers and no tasks. Readiness of descriptors is handed to `on_event`
//! by key; the keys' meaning is the caller's.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod direct;

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use polling::{Events, Poller};

/// One wait lasts no longer than this, as asyncio's: some kernels refuse more.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The part of the wait that other threads may touch: the poller, and the way to interrupt it.
pub(crate) struct Bell {
    poller: Poller,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    direct: Option<direct::Bell>,
}

impl Bell {
    pub(crate) fn new(portable: bool) -> io::Result<Self> {
        let poller = Poller::new()?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let direct = if portable { None } else { Some(direct::Bell::new(&poller)?) };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = portable;
        Ok(Self {
            poller,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            direct,
        })
    }

    /// Ends the loop's wait, the present one or else the next. On any thread.
    pub(crate) fn ring(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(direct) = &self.direct {
            return direct.ring();
        }
        // It fails only if the descriptor is gone, and that lives as long as `self`.
        let _ = self.poller.notify();
    }

    /// Where `polling` waits on one descriptor of its own.
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "illumos",
        target_os = "solaris",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ))]
    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.poller)
    }
}

/// The waiting side; at home only.
pub(crate) struct Reactor {
    events: RefCell<Events>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    direct: direct::Wait,
}

impl Reactor {
    pub(crate) fn new() -> Self {
        Self {
            events: RefCell::new(Events::new()),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            direct: direct::Wait::new(),
        }
    }

    /// Waits until something happens or `timeout` is over (`None`: without limit). Never returns before
    /// a timeout of its own accord, except at [`LONGEST_WAIT`] or when a signal interrupts it.
    pub(crate) fn wait(&self, bell: &Bell, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = Some(timeout.map_or(LONGEST_WAIT, |t| t.min(LONGEST_WAIT)));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if bell.direct.is_some() {
            return self.direct.wait(&bell.poller, timeout);
        }
        let mut events = self.events.borrow_mut();
        events.clear();
        match bell.poller.wait(&mut events, timeout) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result.map(drop),
        }
    }
}

/// Asks the kernel to wake this thread exactly when a wait is over; restores what was when dropped.
///
/// Linux delays timed waits by up to 50 microseconds to save wake-ups ("timer slack"). A loop that
/// promises nanosecond deadlines cannot have that.
pub(crate) struct Punctual {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    slack: Option<direct::TimerSlack>,
}

impl Punctual {
    pub(crate) fn new(wanted: bool) -> Self {
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = wanted;
        Self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            slack: wanted.then(direct::TimerSlack::shrink),
        }
    }
}

impl Drop for Punctual {
    fn drop(&mut self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(slack) = self.slack.take() {
            slack.restore();
        }
    }
}
