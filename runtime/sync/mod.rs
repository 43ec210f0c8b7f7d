//! What tasks of one loop use to agree with each other: [`Promise`], [`Lock`], [`RwLock`], [`Event`], [`Condition`],
//! [`Semaphore`], [`BoundedSemaphore`], [`Barrier`] and [`OnceCell`].
//!
//! All of them are `!Send`: they count in plain cells and are shared by `Rc`. They know of no loop;
//! they keep the wakers of those who wait in a line (`WaitList`) and wake them in asyncio's order.
//! Waking only queues a task: who releases or completes something goes on first.
//!
//! Each says by its `stats()` how many wait in it, and the like; a [`Promise`] has none, since it is used once.

mod barrier;
mod bounded_semaphore;
mod condition;
mod event;
mod gate;
mod lock;
mod once_cell;
mod permit;
mod promise;
mod rw_lock;
mod semaphore;
mod stats;

pub use barrier::{Barrier, BrokenBarrierError};
pub use bounded_semaphore::{BoundedSemaphore, ReleasedTooOften};
pub use condition::Condition;
pub use event::Event;
pub use lock::{Lock, LockGuard, MappedLockGuard, WouldWait};
pub use once_cell::OnceCell;
pub use permit::{OwnedPermit, Permit};
pub use promise::{CallbackId, InvalidStateError, Promise};
pub use rw_lock::{MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::Semaphore;
pub use stats::{
    BarrierStats, ConditionStats, EventStats, LockStats, OnceCellStats, RwLockStats, SemaphoreStats,
};

#[cfg(test)]
pub(crate) mod tests;
