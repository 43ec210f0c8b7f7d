//! The CPU time of a process: user and system time of all its threads, in nanoseconds.
//!
//! Unlike the time on the wall it leaves out what other programs took of the core meanwhile. Another
//! process is asked by its clock's number, so that it need not answer and is not disturbed.

#![expect(unsafe_code, reason = "neither std nor rustix has the CPU clock of another process")]

use std::io;
use std::time::Duration;

/// A process's clock of CPU time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// Of this process.
    pub(crate) const OWN: Self = Self(libc::CLOCK_PROCESS_CPUTIME_ID);

    /// Of another.
    pub(crate) fn of(process: u32) -> io::Result<Self> {
        let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
        let mut clock = 0;
        // SAFETY: the pointer is to a live `clockid_t`, which the call fills in.
        let error = unsafe { libc::clock_getcpuclockid(process, &raw mut clock) };
        if error == 0 { Ok(Self(clock)) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    /// The CPU time so far.
    pub(crate) fn read(self) -> io::Result<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a live `timespec`, which the call fills in.
        let result = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
}

/// The CPU time of this process since it was started.
#[derive(Debug)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(own())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        own().saturating_sub(self.0)
    }
}

fn own() -> Duration {
    CpuClock::OWN.read().expect("a process may read its own clock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_by_number_is_the_own_clock() {
        let by_number = CpuClock::of(std::process::id()).unwrap();
        let (before, between, after) = (own(), by_number.read().unwrap(), own());
        assert!(before <= between && between <= after, "{before:?} {between:?} {after:?}");
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_clock() {
        assert!(CpuClock::of(u32::MAX).is_err());
    }
}
