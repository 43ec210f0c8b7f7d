//! The kernel: everything that touches raw pointers, other threads or the system's wait.
//!
//! This is its door: the few items that the other folders build on. Layers, each importing only those
//! above it in this list:
//!
//! 0. `atomic`, `clock`, `exception`, `fifo`, `home_cell`, `debug`, `wait_list`, `scheduler`, `timers`, `reactor`, `slots`, `scope`, `variables`
//! 1. `context` (a loop's state), `report`, `twin` (a value with two owners)
//! 2. `task` (tasks and callbacks: what stands in the FIFO)
//! 3. `node` (one scope as its owner sees it), `join` (awaiting a task), `progress` (of a write), `source` (waiting for a descriptor)
//! 4. `proxy`, `job`, `errand`, `remote_task`, `timer_handle`, `readers`, `loop_handle`: what is asked of a loop
//! 5. `outside` (asking for events and due timers), `spin` (before a sleep), `event_loop` (the turn), `builder`, `run_error`

pub(crate) mod atomic;
mod builder;
mod clock;
#[expect(unsafe_code, reason = "follows the thread-local pointer to the loop this thread is in")]
mod context;
mod debug;
mod errand;
mod event_loop;
mod exception;
#[expect(unsafe_code, reason = "a ring of items without a flag that it is borrowed")]
mod fifo;
#[expect(unsafe_code, reason = "one block with a face per thread, reached by pointers")]
mod home_cell;
mod job;
mod join;
mod loop_handle;
mod node;
mod outside;
mod progress;
mod proxy;
#[expect(unsafe_code, reason = "registrations, and the direct wait")]
mod reactor;
#[cfg(unix)]
mod readers;
mod remote_task;
mod report;
mod run_error;
#[expect(unsafe_code, reason = "the intrusive FIFO and the memory of its entries")]
mod scheduler;
mod scope;
mod slots;
mod source;
mod spin;
#[expect(unsafe_code, reason = "tasks: raw memory, wakers, vtables")]
mod task;
mod timer_handle;
mod timers;
#[expect(unsafe_code, reason = "a value with two owners, in recycled memory")]
mod twin;
mod variables;
mod wait_list;

pub use builder::Builder;
pub use clock::Clock;
pub use debug::{DebugReport, Step, Stuck, TaskInfo, TaskWaits, Wait};
pub use event_loop::EventLoop;
pub use exception::ErrorContext;
pub use join::{Join, JoinMut, JoinRef};
pub use loop_handle::LoopHandle;
pub use proxy::{LoopClosed, LoopProxy};
pub use reactor::PollMode;
pub use remote_task::RemoteTask;
pub use run_error::RunError;
pub use task::callback::Handle;
pub use task::{CallbackId, CancelledError, Panic, Task, TaskBuilder, TaskError, TaskRef};
pub use timer_handle::TimerHandle;
pub use variables::Context;

pub(crate) use clock::real_now;
pub(crate) use context::{Visit, with_current};
pub(crate) use debug::probe;
pub(crate) use errand::Errand;
pub(crate) use event_loop::MainRun;
pub(crate) use fifo::Fifo;
pub(crate) use job::JobTicket;
pub(crate) use loop_handle::{far_from, spawn_here, spawn_here_with};
pub(crate) use node::{Leaf, Polled, Scope, Token, raise_here};
pub(crate) use progress::Progress;
pub(crate) use proxy::OutsideWait;
pub(crate) use reactor::Direction;
pub(crate) use report::{guarded, report_error, report_error_of, report_panic};
pub(crate) use scope::delivery::Delivery;
pub(crate) use slots::Who;
pub(crate) use source::{Done, Reading, Source, Writing};
pub(crate) use spin::Spin;
pub(crate) use task::{
    SeenPanic, alarm_for, captured_context, current_context, current_context_to_set, current_task,
    current_task_id, probe_tasks, run_in, tell_of_own_lock, travelling_context,
};
pub(crate) use timers::{Look, TimerKey};
pub(crate) use twin::Twin;
pub(crate) use variables::{Held, Identity, Key, Travelling, Value, Variable};
pub(crate) use wait_list::{Line, Place, Standing, WaitKey, WaitList, call_each};
