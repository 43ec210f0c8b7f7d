//! Tasks as users work with them: starting, gathering, cancelling with cleanup.
//!
//! The tasks themselves are the kernel's; what is here is built on its door.

mod as_completed;
mod body;
mod catch_cancel;
mod detach_reporting;
mod finally;
mod functions;
mod gather;
mod group;
mod on_cancel;
mod race;
mod scope;
mod select;
mod shield;
mod wait;
mod watch;
mod yield_now;

pub use as_completed::{AsCompleted, AsCompletedTimeout, as_completed};
pub use catch_cancel::{Cancellation, CatchCancel, catch_cancel};
pub use finally::finally;
pub use functions::{
    NoRunningLoop, all_tasks, call_at, call_later, call_soon, create_task, current_task, get_running_loop,
};
pub use gather::{
    Children, Gather, GatherAll, GatherError, Gatherable, Gathering, IntoTask, Mode, Oks, Results,
    TryChildren, TryGather, TryGatherable, Values, gather, gather_all, try_gather,
};
pub use group::{ErrorGroup, GroupClosed, TaskGroup, TaskGroupBuilder, TryTaskGroup};
pub use on_cancel::{Cancelling, on_cancel};
pub use race::{Branches, Race, Raceable, Staggered, race, staggered_race};
pub use scope::{Scope, ScopedChild, scope};
pub use select::{Select, select};
pub use shield::{Inner, Shield, Shieldable, shield};
pub use wait::{
    AllCompleted, FirstCompleted, FirstException, FirstPanic, MayFail, ReturnWhen, Wait, Waited, wait,
};
pub use yield_now::{YieldNow, yield_now};
