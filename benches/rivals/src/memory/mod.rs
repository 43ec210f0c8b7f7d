//! The workloads in memory: what tasks, wakers, timers and queues cost, no socket involved.
//!
//! A side is a runtime behind the trait [`Runtime`](runtime::Runtime), a workload a function over that
//! trait; so each workload is written once. Every side runs in a child process of its own, which the
//! parent asks for slices, round after round, in turn.

mod bytes;
mod compare;
mod million;
mod player;
mod runtime;
mod sides;
mod workloads;

use std::io;

pub(crate) use compare::compare;
use sides::SIDES;

/// The child's part: runs what the parent asks for.
pub(crate) fn play(side: &str) -> io::Result<()> {
    match SIDES.iter().find(|known| known.name == side) {
        Some(side) => (side.play)(),
        None => Err(io::Error::other(format!("no side is called {side}"))),
    }
}
