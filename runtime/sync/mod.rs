//! What tasks of one loop use to agree with each other: [`Promise`], [`Lock`], [`Event`], [`Condition`],
//! [`Semaphore`] and [`Barrier`].
//!
//! All of them are `!Send`: they count in plain cells and are shared by `Rc`. They know of no loop;
//! they keep the wakers of those who wait in a line (`WaitList`) and wake them in asyncio's order.
//! Waking only queues a task: who releases or completes something goes on first.

mod barrier;
mod condition;
mod event;
mod lock;
mod promise;
mod semaphore;

pub use barrier::{Barrier, BrokenBarrierError};
pub use condition::Condition;
pub use event::Event;
pub use lock::{Lock, LockGuard, WouldWait};
pub use promise::{CallbackId, InvalidStateError, Promise};
pub use semaphore::{Permit, Semaphore};

#[cfg(test)]
pub(crate) mod tests;
