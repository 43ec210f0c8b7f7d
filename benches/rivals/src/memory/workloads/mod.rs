//! The list of workloads, each a function over any runtime.
//!
//! A workload does something `n` times on a runtime that stays, and returns how much CPU time that took.
//! The clock runs inside the runtime, so making it, entering it and ending are not in the figure.

mod channels;
pub(super) mod locks;
mod spawns;
mod threads;
mod timers;
mod wakers;
mod yields;

use std::future::{Future, IntoFuture};
use std::hint::black_box;
use std::time::Duration;

use super::runtime::Runtime;
use crate::cpu_clock::Stopwatch;

pub(crate) struct Workload<R> {
    pub(crate) name: &'static str,
    /// Does the thing so many times; returns the time of all of them.
    pub(crate) run: fn(&mut R, u64) -> Duration,
}

impl<R> Workload<R> {
    fn new(name: &'static str, run: fn(&mut R, u64) -> Duration) -> Self {
        Self { name, run }
    }
}

/// All, in the order of the table; the same for every runtime.
pub(crate) fn all<R: Runtime>() -> Vec<Workload<R>> {
    let groups = [
        yields::all(),
        spawns::all(),
        wakers::all(),
        timers::all(),
        channels::all(),
        threads::all(),
        locks::all(),
    ];
    groups.into_iter().flatten().collect()
}

/// Awaits `n` of what `make` makes, one after the other.
async fn each<F: IntoFuture>(n: u64, make: impl Fn() -> F) -> Duration {
    let start = Stopwatch::start();
    for _ in 0..n {
        black_box(make().await);
    }
    start.elapsed()
}

/// Awaits `n` of them, and nothing else.
async fn repeat<F: Future>(n: u64, make: impl Fn() -> F) {
    for _ in 0..n {
        make().await;
    }
}

/// What `asked` would have taken where `done` took `took`: some workloads come in whole rounds only.
fn scaled(took: Duration, done: u64, asked: u64) -> Duration {
    took.mul_f64(asked as f64 / done as f64)
}
