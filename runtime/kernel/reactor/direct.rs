//! The wait on Linux and Android, straight on the poller's epoll descriptor.
//!
//! `Poller::wait` sets a timer descriptor, re-arms it, waits, reads its event descriptor and re-arms
//! that: five system calls. Here it is one, `epoll_pwait2`, whose timeout is in nanoseconds; where a
//! kernel lacks it (or a sandbox forbids it), `epoll_wait` with milliseconds rounded up: late, never
//! early.
//!
//! The bell is an event descriptor of our own, registered edge-triggered and never read: each write is a
//! new edge, and its counter cannot overflow in practice (2^64 rings).
//!
//! Sockets are registered by an `epoll_ctl` of our own, because polling's flags do not fit: they lack
//! EPOLLRDHUP, without which an edge does not tell whether the end of the stream came with the data, and
//! they have EPOLLPRI, which one urgent byte keeps pending for ever: an edge tells that but once, other modes
//! again and again.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use polling::{Events, Poller};
use rustix::event::{EventfdFlags, eventfd};

use super::{Direction, Event, Interest, PollMode};

/// The kernel's own `timespec`: 64 bits each, also where libc's has 32.
#[repr(C)]
struct Timespec {
    sec: i64,
    nsec: i64,
}

/// Events taken from the kernel by one wait; what does not fit comes with the next.
const BATCH: usize = 1024;
/// The bell's key. `usize::MAX` is the poller's own.
const BELL_KEY: usize = usize::MAX - 1;

pub(super) struct Bell {
    fd: OwnedFd,
}

impl Bell {
    pub(super) fn new(poller: &Poller) -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // SAFETY: `add_with_mode` demands that the descriptor leaves the poller before it is closed. The
        // poller and this descriptor are fields of one `reactor::Bell` and go together, the poller's
        // epoll first (declaration order); nobody waits on it after that.
        unsafe { poller.add_with_mode(&fd, polling::Event::readable(BELL_KEY), polling::PollMode::Edge)? };
        Ok(Self { fd })
    }

    pub(super) fn ring(&self) {
        // Fails only on a full counter, which means that 2^64 rings are on record.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }
}

const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32;
const SPLIT: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLPRI) as u32;

/// Registers a descriptor.
pub(super) fn add(
    poller: &Poller,
    fd: RawFd,
    key: usize,
    interest: Interest,
    mode: PollMode,
) -> io::Result<()> {
    control(poller, libc::EPOLL_CTL_ADD, fd, key, flags(interest, mode))
}

/// Changes what a registered descriptor is watched for.
pub(super) fn modify(
    poller: &Poller,
    fd: RawFd,
    key: usize,
    interest: Interest,
    mode: PollMode,
) -> io::Result<()> {
    control(poller, libc::EPOLL_CTL_MOD, fd, key, flags(interest, mode))
}

fn flags(interest: Interest, mode: PollMode) -> libc::c_int {
    let mut flags = 0;
    if interest.contains(Direction::Read) {
        flags |= libc::EPOLLIN;
    }
    if interest.contains(Direction::Write) {
        flags |= libc::EPOLLOUT;
    }
    flags
        | match mode {
            PollMode::Edge => libc::EPOLLET | libc::EPOLLRDHUP | libc::EPOLLPRI,
            // Errors and hang-ups are reported even where nothing is asked for, and would be for ever.
            PollMode::Level if !interest.is_empty() => 0,
            PollMode::Level | PollMode::Oneshot => libc::EPOLLONESHOT,
        }
}

fn control(
    poller: &Poller,
    operation: libc::c_int,
    fd: RawFd,
    key: usize,
    flags: libc::c_int,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events: flags.cast_unsigned(), u64: key as u64 };
    // SAFETY: the event is valid for the call, in which the kernel copies it. A number that is no open
    // descriptor's, or not registered, is an error.
    let result = unsafe { libc::epoll_ctl(poller.as_fd().as_raw_fd(), operation, fd, &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) struct Wait {
    events: RefCell<Box<[MaybeUninit<libc::epoll_event>]>>,
    /// Whether the kernel answered ENOSYS or EPERM to `epoll_pwait2`.
    lacks_pwait2: Cell<bool>,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self {
            events: RefCell::new(vec![MaybeUninit::uninit(); BATCH].into_boxed_slice()),
            lacks_pwait2: Cell::new(false),
        }
    }

    pub(super) fn wait(
        &self,
        poller: &Poller,
        timeout: Option<Duration>,
        mut on_event: impl FnMut(Event),
    ) -> io::Result<()> {
        let mut buffer = self.events.borrow_mut();
        let epoll = poller.as_fd().as_raw_fd();
        let count = match self.call(epoll, &mut buffer, timeout) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            Err(e) => return Err(e),
        };
        let mut rearm = false;
        for event in &buffer[..count] {
            // SAFETY: the kernel has written the first `count` events.
            let event = unsafe { event.assume_init_ref() };
            // What polling promises and a test pins: the event's data is the registered key.
            #[expect(clippy::cast_possible_truncation, reason = "keys are registered as `usize`")]
            let key = event.u64 as usize;
            let flags = event.events;
            match key {
                usize::MAX => rearm = true,
                BELL_KEY => {}
                _ => on_event(Event {
                    key,
                    ready: Interest::new(flags & READABLE != 0, flags & WRITABLE != 0),
                    split: flags & SPLIT != 0,
                }),
            }
        }
        if rearm {
            // Somebody called `Poller::notify`, which only polling's own wait arms again.
            let mut others = Events::new();
            poller.wait(&mut others, Some(Duration::ZERO))?;
            // What it has taken from the kernel would not come again.
            for event in others.iter().filter(|event| event.key != BELL_KEY) {
                let ready = Interest::new(event.readable, event.writable);
                on_event(Event { key: event.key, ready, split: true });
            }
        }
        Ok(())
    }

    fn call(
        &self,
        epoll: i32,
        buffer: &mut [MaybeUninit<libc::epoll_event>],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let events = buffer.as_mut_ptr().cast::<libc::epoll_event>();
        let room = i32::try_from(buffer.len()).unwrap_or(i32::MAX);
        // No timeout and a zero one need no precision, and the older call is understood everywhere.
        if let Some(t) = timeout.filter(|t| !t.is_zero())
            && !self.lacks_pwait2.get()
        {
            let spec = Timespec {
                sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
                nsec: t.subsec_nanos().into(),
            };
            // SAFETY: the buffer has room for `room` events, `spec` is what the kernel reads (16 bytes on every
            // machine) and lives through the call, and the signal mask is null, for which the size is ignored.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll,
                    events,
                    room,
                    &raw const spec,
                    ptr::null::<libc::sigset_t>(),
                    0usize,
                )
            };
            if let Ok(count) = usize::try_from(result) {
                return Ok(count);
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOSYS | libc::EPERM) => self.lacks_pwait2.set(true),
                _ => return Err(error),
            }
        }
        // SAFETY: the buffer has room for `room` events.
        let result = unsafe { libc::epoll_wait(epoll, events, room, millis_up(timeout)) };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

/// Whole milliseconds, rounded up: a deadline may be met late, never early.
fn millis_up(timeout: Option<Duration>) -> i32 {
    match timeout {
        None => -1,
        Some(t) => {
            let rest = u64::from(t.subsec_nanos().div_ceil(1_000_000));
            let millis = t.as_secs().saturating_mul(1000).saturating_add(rest);
            i32::try_from(millis).unwrap_or(i32::MAX)
        }
    }
}

/// The thread's former timer slack, in nanoseconds.
pub(super) struct TimerSlack(libc::c_int);

impl TimerSlack {
    /// Sets the slack to the least, 1 ns.
    pub(super) fn shrink() -> Self {
        // SAFETY: reads a number of this thread; no pointers.
        let before = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) };
        set_slack(1);
        Self(before)
    }

    pub(super) fn restore(self) {
        // A failed reading is negative; then there is nothing to restore.
        if self.0 > 0 {
            set_slack(self.0);
        }
    }
}

fn set_slack(ns: libc::c_int) {
    // SAFETY: sets a number of this thread; no pointers. A failure leaves timers as they were.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, libc::c_long::from(ns), 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_carries_the_key_it_was_registered_with() {
        let poller = Poller::new().unwrap();
        let bell = Bell::new(&poller).unwrap();
        bell.ring();
        let wait = Wait::new();
        let mut buffer = wait.events.borrow_mut();
        let count = wait.call(poller.as_fd().as_raw_fd(), &mut buffer, None).unwrap();
        assert_eq!(count, 1);
        // SAFETY: the kernel has written one event.
        let event = unsafe { buffer[0].assume_init() };
        assert_eq!({ event.u64 }, BELL_KEY as u64);
        // An edge is reported once, and the next ring is a new edge though nobody read.
        assert_eq!(wait.call(poller.as_fd().as_raw_fd(), &mut buffer, Some(Duration::ZERO)).unwrap(), 0);
        bell.ring();
        assert_eq!(wait.call(poller.as_fd().as_raw_fd(), &mut buffer, Some(Duration::ZERO)).unwrap(), 1);
    }

    #[test]
    fn a_timeout_has_the_kernels_layout() {
        assert_eq!((size_of::<Timespec>(), std::mem::offset_of!(Timespec, nsec)), (16, 8));
        let (poller, wait) = (Poller::new().unwrap(), Wait::new());
        let began = crate::kernel::clock::real_now();
        wait.wait(&poller, Some(Duration::from_millis(3)), |_| ()).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(3));
    }

    #[test]
    fn a_foreign_notify_is_armed_again() {
        let poller = Poller::new().unwrap();
        let wait = Wait::new();
        for _ in 0..2 {
            poller.notify().unwrap();
            wait.wait(&poller, Some(Duration::from_secs(5)), |_| ()).unwrap();
            assert_eq!(
                wait.call(poller.as_fd().as_raw_fd(), &mut wait.events.borrow_mut(), Some(Duration::ZERO))
                    .unwrap(),
                0
            );
        }
    }

    #[test]
    fn without_pwait2_milliseconds_are_rounded_up() {
        assert_eq!(millis_up(None), -1);
        assert_eq!(millis_up(Some(Duration::ZERO)), 0);
        assert_eq!(millis_up(Some(Duration::from_nanos(1))), 1);
        assert_eq!(millis_up(Some(Duration::from_micros(1000))), 1);
        assert_eq!(millis_up(Some(Duration::from_micros(1001))), 2);
        assert_eq!(millis_up(Some(Duration::MAX)), i32::MAX);
        let (poller, wait) = (Poller::new().unwrap(), Wait::new());
        wait.lacks_pwait2.set(true);
        wait.wait(&poller, Some(Duration::from_micros(10)), |_| ()).unwrap();
    }
}
