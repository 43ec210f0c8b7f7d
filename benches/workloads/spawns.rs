//! Starting a task and awaiting it: in batches, and one at a time.

use std::future::{IntoFuture, Ready, ready};
use std::hint::black_box;
use std::time::Duration;

use super::cpu::Stopwatch;
use super::{Workload, each, scaled};

const BATCH: u64 = 1000;

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "spawn + join, batches of 1000",
        evloop: |s, n| s.evloop(batches(n, evloop::create_task)),
        rivals: &[
            ("tokio", |s, n| s.tokio(batches(n, tokio::spawn))),
            ("LocalSet", |s, n| s.local(batches(n, tokio::task::spawn_local))),
        ],
    },
    Workload {
        name: "spawn + join, one at a time",
        evloop: |s, n| s.evloop(each(n, || evloop::create_task(ready(1_u64)))),
        rivals: &[
            ("tokio", |s, n| s.tokio(each(n, || tokio::spawn(ready(1_u64))))),
            ("LocalSet", |s, n| s.local(each(n, || tokio::task::spawn_local(ready(1_u64))))),
        ],
    },
];

/// Starts and awaits `n` tasks, a thousand at a time.
async fn batches<J: IntoFuture>(n: u64, spawn: impl Fn(Ready<u64>) -> J) -> Duration {
    let rounds = n.div_ceil(BATCH);
    let mut tasks = Vec::with_capacity(BATCH as usize);
    let start = Stopwatch::start();
    for _ in 0..rounds {
        tasks.extend((0..BATCH).map(|i| spawn(ready(i))));
        for task in tasks.drain(..) {
            black_box(task.await);
        }
    }
    scaled(start.elapsed(), rounds * BATCH, n)
}
