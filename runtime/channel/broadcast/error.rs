//! What a receiver of a broadcast is told in place of a value.

use std::error::Error;
use std::fmt;

use crate::channel::error::NO_SENDER;

/// So many values were missed, because this receiver was too slow; it goes on with the oldest that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lagged(missed) = self;
        write!(f, "{missed} values were missed: receive faster, or give the channel a larger capacity")
    }
}

impl Error for Lagged {}

/// Why `recv` gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// So many values were missed; the next call gives the oldest that is kept.
    Lagged(u64),
    /// There is nothing more, and all senders are gone.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Lagged(missed) => Lagged(*missed).fmt(f),
            RecvError::Closed => f.write_str(NO_SENDER),
        }
    }
}

impl Error for RecvError {}

/// Why `try_recv` gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is nothing now.
    Empty,
    /// So many values were missed; the next call gives the oldest that is kept.
    Lagged(u64),
    /// There is nothing more, and all senders are gone.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("nothing was sent yet: await recv() to wait for it"),
            TryRecvError::Lagged(missed) => Lagged(*missed).fmt(f),
            TryRecvError::Closed => f.write_str(NO_SENDER),
        }
    }
}

impl Error for TryRecvError {}
