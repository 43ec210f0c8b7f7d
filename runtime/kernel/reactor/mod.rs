//! The system's poller: where descriptors are registered, and where a loop with nothing to do spends its time.
//!
//! One `polling::Poller` creates and registers everything and is the portable way to wait. On Linux and
//! Android the loop waits on the poller's own descriptor directly (`direct.rs`): one system call where
//! `Poller::wait` makes five, and with nanosecond precision. Both ways are always compiled there and
//! chosen by [`Builder::portable_wait`](crate::Builder::portable_wait).
//!
//! ```text
//! SharedPoller   on any thread: ring, add, modify, delete        (kernel/context.rs: Shared)
//! Reactor        at home: wait, and hand out the events           (kernel/context.rs: Home)
//! Watched        a descriptor and its registration, in one owner  (kernel/source.rs)
//! Arena          where slots for registrations stay put           (kernel/slots/)
//! ```
//!
//! This folder knows no clock, no tasks and no loops. What the keys of registrations mean is the caller's.

mod arena;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod direct;
mod interest;
mod watched;

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use polling::{AsSource, Events, Poller};

pub(crate) use arena::{Arena, Handle};
pub use interest::PollMode;
pub(crate) use interest::{Direction, Event, Interest};
pub(crate) use watched::Watched;

#[cfg(unix)]
pub(crate) use std::os::fd::RawFd as RawSource;
#[cfg(windows)]
pub(crate) use std::os::windows::io::RawSocket as RawSource;

/// A wait that has an end lasts no longer than this, as asyncio's: some kernels refuse more.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What other threads may touch: registrations, and the bell that interrupts a wait.
pub(crate) struct SharedPoller {
    poller: Poller,
    mode: PollMode,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    bell: Option<direct::Bell>,
}

impl SharedPoller {
    /// A new poller. Without a wish for a mode, or where the wish cannot be met, it is the best there is.
    pub(crate) fn new(portable: bool, wish: Option<PollMode>) -> io::Result<Self> {
        let poller = Poller::new()?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let bell = if portable { None } else { Some(direct::Bell::new(&poller)?) };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = portable;
        let supported = |mode: &PollMode| match mode {
            PollMode::Edge => poller.supports_edge(),
            PollMode::Level => poller.supports_level(),
            PollMode::Oneshot => true,
        };
        let mode = wish.filter(supported).or_else(|| preferred().into_iter().find(supported));
        Ok(Self {
            mode: mode.unwrap_or(PollMode::Oneshot),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            bell,
            poller,
        })
    }

    /// How this poller's sockets are registered.
    pub(crate) fn mode(&self) -> PollMode {
        self.mode
    }

    /// The mode for descriptors that are reported as long as they are ready.
    #[cfg(unix)]
    pub(crate) fn repeating_mode(&self) -> PollMode {
        if self.poller.supports_level() { PollMode::Level } else { PollMode::Oneshot }
    }

    /// Ends the loop's wait, the present one or else the next. On any thread.
    pub(crate) fn ring(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(bell) = &self.bell {
            return bell.ring();
        }
        // It fails only if the descriptor is gone, and that lives as long as `self`.
        let _ = self.poller.notify();
    }

    /// Registers a descriptor that will be taken out before it is closed.
    fn add(&self, source: &impl AsSource, key: usize, interest: Interest, mode: PollMode) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if self.bell.is_some() {
            return direct::add(&self.poller, raw(source), key, interest, mode);
        }
        // SAFETY: the descriptor is open, being borrowed. That it leaves the poller before it is closed is
        // `Watched`'s doing. `add_fd` cannot know it of other people's descriptors; but it exists on Unix only,
        // where all that polling keeps of a registration are numbers, and a stale one is an error of the
        // system's or an event for nobody.
        unsafe { self.poller.add_with_mode(raw(source), event(key, interest), polling_mode(mode, interest)) }
    }

    /// Registers somebody else's descriptor, who may close it without a word.
    #[cfg(unix)]
    pub(crate) fn add_fd(
        &self,
        fd: std::os::fd::BorrowedFd<'_>,
        key: usize,
        interest: Interest,
        mode: PollMode,
    ) -> io::Result<()> {
        self.add(&fd, key, interest, mode)
    }

    /// Changes what a registered descriptor is watched for. It goes by the number, which the caller knows to
    /// be the registered descriptor's still, or nobody's in this poller: then it is an error.
    pub(crate) fn modify(
        &self,
        raw: RawSource,
        key: usize,
        interest: Interest,
        mode: PollMode,
    ) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if self.bell.is_some() {
            return direct::modify(&self.poller, raw, key, interest, mode);
        }
        self.poller.modify_with_mode(
            // SAFETY: the number is handed to one system call, to which a closed descriptor is an error.
            unsafe { borrow(raw) },
            event(key, interest),
            polling_mode(mode, interest),
        )
    }

    /// Ends a registration, by the number; as [`modify`](Self::modify).
    pub(crate) fn delete(&self, raw: RawSource) -> io::Result<()> {
        // SAFETY: as in `modify`.
        self.poller.delete(unsafe { borrow(raw) })
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

/// The modes from best to last.
fn preferred() -> [PollMode; 3] {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        // An edge needs no call after the registration. Measured with echo servers of 1, 50 and 1000 connections, as
        // times of a raw loop's CPU: edge 0.99, 0.99, 1.06, level 1.02, 1.01, 1.07 (`cargo rivals -- echo --modes`).
        // And through `polling`, level also watches for urgent data, which one hostile byte keeps pending for ever.
        [PollMode::Edge, PollMode::Level, PollMode::Oneshot]
    } else {
        [PollMode::Level, PollMode::Oneshot, PollMode::Edge]
    }
}

fn event(key: usize, interest: Interest) -> polling::Event {
    polling::Event::new(key, interest.contains(Direction::Read), interest.contains(Direction::Write))
}

fn polling_mode(mode: PollMode, interest: Interest) -> polling::PollMode {
    match mode {
        PollMode::Edge => polling::PollMode::Edge,
        // Errors and hang-ups are reported even where nothing is asked for, and would be for ever.
        PollMode::Level if !interest.is_empty() => polling::PollMode::Level,
        PollMode::Level | PollMode::Oneshot => polling::PollMode::Oneshot,
    }
}

#[cfg(unix)]
fn raw(source: &impl AsSource) -> RawSource {
    std::os::fd::AsRawFd::as_raw_fd(&source.source())
}

#[cfg(windows)]
fn raw(source: &impl AsSource) -> RawSource {
    std::os::windows::io::AsRawSocket::as_raw_socket(&source.source())
}

/// # Safety
/// The number goes to a system call that takes closed descriptors for an error, and nowhere else.
#[cfg(unix)]
unsafe fn borrow<'a>(raw: RawSource) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: the caller's duty; -1, the one forbidden value, is no descriptor's number.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(raw) }
}

/// # Safety
/// As on Unix.
#[cfg(windows)]
unsafe fn borrow<'a>(raw: RawSource) -> std::os::windows::io::BorrowedSocket<'a> {
    // SAFETY: the caller's duty.
    unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(raw) }
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

    /// Waits until something happens or `timeout` is over (`None`: without limit), and hands out what
    /// happened to registered descriptors. Never returns before a timeout of its own accord, except at
    /// [`LONGEST_WAIT`] or when a signal interrupts it.
    ///
    /// `on_event` runs while the events are borrowed, and may run others' code all the same: that cannot come back
    /// here, since a loop does not turn inside of its own turn.
    pub(crate) fn wait(
        &self,
        shared: &SharedPoller,
        timeout: Option<Duration>,
        mut on_event: impl FnMut(Event),
    ) -> io::Result<()> {
        let timeout = timeout.map(|t| t.min(LONGEST_WAIT));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if shared.bell.is_some() {
            return self.direct.wait(&shared.poller, timeout, on_event);
        }
        let mut events = self.events.borrow_mut();
        events.clear();
        match shared.poller.wait(&mut events, timeout) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => drop(result?),
        }
        for event in events.iter() {
            // `polling` does not tell what a read may stop at, so it may at any event.
            let ready = Interest::new(event.readable, event.writable);
            on_event(Event { key: event.key, ready, split: true });
        }
        Ok(())
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

#[cfg(test)]
mod tests;
