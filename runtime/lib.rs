//! asyncio for Rust: an event loop on one thread, with asyncio's words and asyncio's order of events.

#![cfg_attr(docsrs, feature(doc_cfg))]
// The library's own tests use the attributes under the crate's public name.
#[cfg(test)]
extern crate self as evloop;

mod kernel;
pub mod queue;
mod runner;
mod spawn;
pub mod sync;
pub mod tasks;
mod threads;
pub mod time;

pub use kernel::{
    Builder, CallbackId, CancelledError, Clock, ErrorContext, EventLoop, Handle, Join, JoinMut, JoinRef,
    LoopClosed, LoopHandle, LoopProxy, Panic, RemoteTask, RunError, Stuck, Task, TaskError, TaskRef,
    TimerHandle,
};
pub use queue::{GetNowaitError, LifoQueue, PriorityQueue, PutNowaitError, Queue, QueueShutDown};
pub use runner::{run, try_run};
pub use sync::{InvalidStateError, Lock, LockGuard, Permit, Promise, Semaphore};
pub use tasks::{
    Cancellation, GatherError, NoRunningLoop, all_tasks, call_at, call_later, call_soon, catch_cancel,
    create_task, current_task, finally, gather, gather_all, get_running_loop, on_cancel, try_gather,
    yield_now,
};
pub use threads::{ToThread, to_thread};
pub use time::{TimeoutError, interval, now, sleep, sleep_until, wait_for};

#[cfg(feature = "macros")]
pub use evloop_macros::{main, test};

/// What the attributes expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::runner::{main_on as main, test_on as test};
}
