//! What a task is.
//!
//! ```text
//!            create_task                    poll: Pending
//!   (new) ---------------> QUEUED --run--> POLLED --------------> WAITING
//!                             ^              | |                     |
//!                             |   wake       | | wake while polled   | wake
//!                             +--------------|-+---------------------+
//!                                            | Ready, panic, or a cancellation nobody took
//!                                            v
//!                                          DONE: output in its place, told to joiner and callbacks
//!                                            | not queued, no Task, no waker, no TaskRef
//!                                            v
//!                                          freed
//! ```
//!
//! One allocation per task: a header (`header.rs`), then the future or its output (`raw.rs`). What few tasks have
//! hangs on the header by one word (`attached.rs`), and so does whoever awaits it (`awaiting.rs`, `waiters.rs`). Bits and
//! counts are in `state.rs`, which also says who may touch what from where. `step.rs` is the arrows above,
//! `cancel.rs` the last of them. Other threads hold wakers only (`waker.rs`), and may free an empty header;
//! a future is built, polled and dropped at home.
//!
//! A callback (`callback.rs`) is the other kind of entry in the FIFO. For both an alarm can be set, and for the wakers of
//! others (`alarm.rs`).

mod alarm;
mod attached;
mod awaiting;
pub(crate) mod callback;
mod cancel;
mod current;
mod eager;
pub(crate) mod error;
mod handle;
mod header;
#[cfg(all(test, loom))]
mod loom;
mod offers;
mod probing;
mod raw;
mod spawn;
mod state;
mod step;
mod waiters;
mod waker;

pub(crate) use alarm::alarm_for;
pub(crate) use awaiting::Awaiting;
pub(crate) use cancel::current_root;
pub(crate) use current::{
    arrive_in_callback, captured_context, current_context, current_context_to_set, run_in, travelling_context,
};
pub(crate) use error::SeenPanic;
pub use error::{CancelledError, Panic, TaskError};
pub(crate) use handle::{BorrowedTask, close_all, current_task, current_task_id, live_tasks};
pub use handle::{CallbackId, Task, TaskRef};
pub(crate) use offers::{extend, is_queued, may_extend, note_woken, poll_again, poll_under, wake_all};
pub(crate) use probing::{probe_tasks, tell_of_own_lock};
pub use spawn::TaskBuilder;
pub(crate) use spawn::{spawn, spawn_with};
pub(crate) use waker::is_task_waker;
