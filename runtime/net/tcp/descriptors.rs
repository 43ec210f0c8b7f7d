//! What an accepting server does when descriptors or memory run out.
//!
//! A connection that cannot be accepted stays in line, so the listener stays ready, and a loop that just
//! tries again burns the processor. Here accepting pauses for a second, which gives the connections that are
//! served time to end. If there is still no descriptor, those in line are taken with a spare one, kept for
//! this, and closed at once: so clients learn that they are not served instead of waiting in silence. It is
//! reported once, until a connection is accepted again.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::kernel::{report_error, with_current};
use crate::time::now;

/// asyncio's.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How many are turned away before others have their turn.
const TURNED_AWAY: usize = 128;
#[cfg(unix)]
const NOWHERE: &str = "/dev/null";
#[cfg(windows)]
const NOWHERE: &str = "NUL";

/// What a failed accept means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Of one connection, which is gone: the next may be better.
    OfConnection,
    /// There is no descriptor for it.
    OutOfDescriptors,
    /// There is no memory for it.
    OutOfMemory,
    /// Of the listener.
    OfListener,
}

impl Failure {
    #[cfg(unix)]
    pub(super) fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(
                Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH,
            ) => Self::OfConnection,
            Some(Errno::MFILE | Errno::NFILE) => Self::OutOfDescriptors,
            Some(Errno::NOBUFS | Errno::NOMEM) => Self::OutOfMemory,
            _ => Self::OfListener,
        }
    }

    #[cfg(windows)]
    pub(super) fn of(error: &io::Error) -> Self {
        // The codes of Windows Sockets for the same.
        match error.raw_os_error() {
            Some(10053 | 10054) => Self::OfConnection,
            Some(10024) => Self::OutOfDescriptors,
            Some(10055) => Self::OutOfMemory,
            _ => Self::OfListener,
        }
    }
}

/// A loop's spare descriptor.
struct Reserve {
    spare: RefCell<Option<File>>,
    reported: Cell<bool>,
    /// The present shortage: when it was seen first, and last.
    shortage: Cell<Option<(Instant, Instant)>>,
}

impl Reserve {
    fn new() -> Self {
        let spare = RefCell::new(File::open(NOWHERE).ok());
        Self { spare, reported: Cell::new(false), shortage: Cell::new(None) }
    }

    /// This loop's.
    fn here() -> Option<Rc<Self>> {
        with_current(|_, home| home.extension(Self::new))
    }
}

/// Somebody is going to accept: a descriptor is put aside, before there are none.
pub(super) fn prepare() {
    drop(Reserve::here());
}

/// A connection was accepted, so there are descriptors: one of them is put aside.
pub(super) fn plenty() {
    let Some(reserve) = Reserve::here() else { return };
    reserve.reported.set(false);
    reserve.shortage.set(None);
    if reserve.spare.borrow().is_none() {
        *reserve.spare.borrow_mut() = File::open(NOWHERE).ok();
    }
}

/// There was nothing to accept a connection with. Says whether that has been so for a second: it counts for
/// the whole loop, since the future that has waited may be given up and another begun.
pub(super) fn ran_out(error: &io::Error) -> bool {
    let Some(reserve) = Reserve::here() else { return false };
    if !reserve.reported.replace(true) {
        report_error("connections cannot be accepted; they wait, and are turned away after a second", error);
    }
    let now = now();
    let first = match reserve.shortage.get() {
        Some((first, last)) if now - last < 2 * PAUSE => first,
        _ => now,
    };
    reserve.shortage.set(Some((first, now)));
    now - first >= PAUSE
}

/// Closes the connections in line, with the spare descriptor.
pub(super) fn turn_away(listener: &TcpListener) {
    let Some(reserve) = Reserve::here() else { return };
    drop(reserve.spare.take());
    for _ in 0..TURNED_AWAY {
        if listener.accept().is_err() {
            break;
        }
    }
    *reserve.spare.borrow_mut() = File::open(NOWHERE).ok();
}
