//! Locks and semaphores: taken and given back by a task that is alone, and handed on among four.

use std::rc::Rc;
use std::time::Duration;

use super::yields::own_wake;
use super::{Workload, scaled};
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::Runtime;

const TASKS: u64 = 4;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("lock, uncontended", |r, n| r.run(|_| alone::<R, R::Lock>(n))),
        Workload::new("semaphore, uncontended", |r, n| r.run(|_| alone::<R, R::Semaphore>(n))),
        Workload::new("lock, 4 tasks", |r, n| r.run(|s| among::<R, R::Lock>(s, n))),
        Workload::new("semaphore of 2, 4 tasks", |r, n| r.run(|s| among::<R, R::Semaphore>(s, n))),
    ]
}

/// What one has to hold for a while.
pub(crate) trait Hold: 'static {
    fn new() -> Self;

    /// Takes it, lets `during` pass, and gives it back.
    async fn hold<F: Future>(&self, during: F);
}

async fn alone<R: Runtime, H: Hold>(n: u64) -> Duration {
    let thing = H::new();
    R::unlimited(async move {
        let start = Stopwatch::start();
        for _ in 0..n {
            thing.hold(std::future::ready(())).await;
        }
        start.elapsed()
    })
    .await
}

/// Each task takes it, lets the others run once, gives it back and wants it again.
async fn among<R: Runtime, H: Hold>(spawner: R::Spawner, n: u64) -> Duration {
    let share = n.div_ceil(TASKS);
    let thing = Rc::new(H::new());
    let start = Stopwatch::start();
    let tasks = (0..TASKS).map(|_| {
        let thing = thing.clone();
        R::spawn(&spawner, async move {
            for _ in 0..share {
                thing.hold(own_wake()).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await;
    }
    scaled(start.elapsed(), share * TASKS, n)
}
