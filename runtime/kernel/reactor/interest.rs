//! What a registration asks for and what an event tells: directions, and how they are watched.

use std::fmt;

/// How sockets are registered with the system's poller.
///
/// The default is the fastest that the platform has; the others are for finding out whether a problem lies
/// there, and for measuring. All of them behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollMode {
    /// Registered once, for both directions; the system tells each change once. On Linux and Android it
    /// also tells the end of the stream apart, so a read that comes up short needs no second one.
    Edge,
    /// Registered once, for what is waited for; the system tells what is there again and again, and what
    /// nobody waits for is taken out.
    Level,
    /// Registered anew for each wait, which is one system call more. Every platform has it.
    Oneshot,
}

/// One of the two things that a descriptor can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// A set of directions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest(u8);

impl Interest {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const BOTH: Self = Self(3);

    #[inline]
    pub(crate) const fn of(direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => 1,
            Direction::Write => 2,
        })
    }

    pub(crate) const fn new(read: bool, write: bool) -> Self {
        Self(read as u8 | (write as u8) << 1)
    }

    #[inline]
    pub(crate) const fn contains(self, direction: Direction) -> bool {
        self.0 & Self::of(direction).0 != 0
    }

    #[inline]
    #[must_use]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    #[must_use]
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["none", "read", "write", "read and write"][usize::from(self.0)])
    }
}

/// What the system says of one registered descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// What it was registered with.
    pub(crate) key: usize,
    pub(crate) ready: Interest,
    /// A read may stop before all is read: in front of the end of the stream, an error or an urgent byte. From here
    /// on a short one does not mean that there is nothing more.
    pub(crate) split: bool,
}
