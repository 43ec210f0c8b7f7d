//! What the primitives say of themselves: plain numbers of one moment, and peaks since the primitive was made.
//!
//! *Waiters* are those in line: who has been called and has not run yet is not among them. A task is given by its
//! [number](crate::TaskRef::id): the id of the one that ran when the thing was taken, wherever the guard went since.

/// What [`Lock::stats`](crate::Lock::stats) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStats {
    /// Does somebody hold the lock?
    pub locked: bool,
    /// The task that does; `None` also if the lock was taken outside of any task.
    pub holder: Option<u64>,
    /// How many wait.
    pub waiters: usize,
    /// The most who ever waited at the same time.
    pub peak_waiters: usize,
}

/// What [`RwLock::stats`](crate::RwLock::stats) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RwLockStats {
    /// How many read, or were called to and have not run yet.
    pub readers: usize,
    /// Does somebody write?
    pub write_locked: bool,
    /// The task that writes; `None` also if it got the lock outside of any task.
    pub writer: Option<u64>,
    /// How many wait, to read or to write.
    pub waiters: usize,
    /// The most who ever waited at the same time.
    pub peak_waiters: usize,
}

/// What [`Semaphore::stats`](crate::Semaphore::stats) says, and [`BoundedSemaphore`](crate::BoundedSemaphore)'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStats {
    /// Permits that nobody has and that are reserved for nobody.
    pub available_permits: usize,
    /// How many wait.
    pub waiters: usize,
    /// The most who ever waited at the same time.
    pub peak_waiters: usize,
}

/// What [`Event::stats`](crate::Event::stats) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventStats {
    /// Is the flag set?
    pub is_set: bool,
    /// How many wait.
    pub waiters: usize,
    /// The most who ever waited at the same time.
    pub peak_waiters: usize,
}

/// What [`Condition::stats`](crate::Condition::stats) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionStats {
    /// How many wait for a notification; who has got one waits for the lock, and counts there.
    pub waiters: usize,
    /// The most who ever waited at the same time.
    pub peak_waiters: usize,
}

/// What [`Barrier::stats`](crate::Barrier::stats) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierStats {
    /// How many have arrived and wait for the others.
    pub waiters: usize,
    /// The most who ever waited for the others at the same time: never all, since the last one does not wait.
    pub peak_waiters: usize,
    /// How many wait until the round before theirs is over.
    pub next_round: usize,
}

/// What [`OnceCell::stats`](crate::OnceCell::stats) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnceCellStats {
    /// Is the value there?
    pub is_set: bool,
    /// The task that makes it now; `None` also if the maker runs outside of any task.
    pub initializer: Option<u64>,
    /// How many wait for it.
    pub waiters: usize,
    /// The most who ever waited at the same time.
    pub peak_waiters: usize,
}
