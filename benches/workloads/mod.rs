//! What is measured: each workload once for evloop and once for every rival, in the rival's own idiom.
//!
//! A workload is a function that does something `n` times on a runtime that stays, and returns how much
//! CPU time that took. The clock runs inside the runtime, so making it, entering it and ending are not in
//! the figure. (Interleaved with the rivals, and with more of them: `benches/rivals`.)

#![allow(dead_code, reason = "each bench takes its part")]

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;

pub(crate) mod cpu;
pub(crate) mod locks;
pub(crate) mod million;
pub(crate) mod queues;
pub(crate) mod sides;
pub(crate) mod spawns;
pub(crate) mod threads;
pub(crate) mod timers;
pub(crate) mod wakes;
pub(crate) mod yields;

use cpu::Stopwatch;
use sides::Sides;

/// Does the thing `n` times on one side; returns the time of all of them.
pub(crate) type Run = fn(&mut Sides, u64) -> Duration;

/// One thing that every runtime can do.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) evloop: Run,
    /// By name. The first is tokio's current_thread runtime in its best idiom.
    pub(crate) rivals: &'static [(&'static str, Run)],
}

/// Gives the workloads to criterion, a group each, all sides of one after the other.
pub(crate) fn measure(c: &mut Criterion, workloads: &[Workload]) {
    let mut sides = Sides::new();
    for workload in workloads {
        let mut group = c.benchmark_group(workload.name);
        group.bench_function("evloop", |b| b.iter_custom(|n| (workload.evloop)(&mut sides, n)));
        for (rival, run) in workload.rivals {
            group.bench_function(*rival, |b| b.iter_custom(|n| run(&mut sides, n)));
        }
        group.finish();
    }
}

/// Short: the machine drifts more in a minute than a longer measurement would gain.
pub(crate) fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args()
}

/// Awaits `n` of what `make` makes, one after the other.
pub(crate) async fn each<F: IntoFuture>(n: u64, make: impl Fn() -> F) -> Duration {
    let start = Stopwatch::start();
    for _ in 0..n {
        black_box(make().await);
    }
    start.elapsed()
}

/// What `asked` would have taken where `done` took `took`: some workloads come in whole rounds only.
pub(crate) fn scaled(took: Duration, done: u64, asked: u64) -> Duration {
    took.mul_f64(asked as f64 / done as f64)
}
