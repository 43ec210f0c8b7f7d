//! Starting a task and awaiting it: in batches, one at a time, and as a group.

use std::future::ready;
use std::hint::black_box;
use std::time::Duration;

use super::{Workload, each, scaled};
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::Runtime;

const BATCH: u64 = 1000;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("spawn + join, batches of 1000", |r, n| r.run(|s| batches::<R>(s, n))),
        Workload::new("spawn + join, one at a time", |r, n| {
            r.run(|s| each(n, move || R::spawn(&s, ready(1_u64))))
        }),
        Workload::new("task group of 1000", |r, n| r.run(|s| groups::<R>(s, n))),
    ]
}

/// Starts and awaits `n` tasks, a thousand at a time.
async fn batches<R: Runtime>(spawner: R::Spawner, n: u64) -> Duration {
    let rounds = n.div_ceil(BATCH);
    let mut tasks = Vec::with_capacity(BATCH as usize);
    let start = Stopwatch::start();
    for _ in 0..rounds {
        tasks.extend((0..BATCH).map(|i| R::spawn(&spawner, ready(i))));
        for task in tasks.drain(..) {
            black_box(task.await);
        }
    }
    scaled(start.elapsed(), rounds * BATCH, n)
}

/// Starts `n` tasks and waits for them, in groups of a thousand.
async fn groups<R: Runtime>(spawner: R::Spawner, n: u64) -> Duration {
    let rounds = n.div_ceil(BATCH);
    let start = Stopwatch::start();
    for _ in 0..rounds {
        R::group(spawner.clone(), BATCH).await;
    }
    scaled(start.elapsed(), rounds * BATCH, n)
}
