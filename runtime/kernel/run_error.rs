//! Why a loop's run ended without a value.

use std::error::Error;
use std::fmt;
use std::io;

use super::debug::Stuck;
use super::task::CancelledError;

/// Why a run of a loop gave no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A loop runs on this thread already: await instead of running another one inside.
    AlreadyRunning,
    /// The main task was cancelled.
    Cancelled(CancelledError),
    /// Ctrl-C: see [`Runner`](crate::Runner).
    Interrupted,
    /// `stop()` was called before the main task ended.
    Stopped,
    /// The loop was dropped from inside, or the [`Runner`](crate::Runner) is closed.
    Closed,
    /// Nothing can happen any more; see [`Builder::detect_stuck`](crate::Builder::detect_stuck).
    Stuck(Stuck),
    /// The system refused to make or to wait on a poller.
    Io(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning => f.write_str(
                "a loop runs on this thread already; await the future there, or run it on another thread",
            ),
            Self::Cancelled(error) => write!(f, "the main task was {error}"),
            Self::Interrupted => f.write_str("interrupted by Ctrl-C"),
            Self::Stopped => f.write_str("the loop was stopped before the main task ended"),
            Self::Closed => {
                f.write_str("the loop is closed: it was dropped from inside, or its Runner was closed before")
            }
            Self::Stuck(stuck) => stuck.fmt(f),
            Self::Io(error) => write!(f, "the system's poller failed: {error}"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Cancelled(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
