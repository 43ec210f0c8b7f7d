//! Locks and semaphores: taken and given back by a task that is alone, and handed on among four.
//!
//! tokio's side is `unconstrained` where one step takes many: after 128 of them its budget would be spent.

use std::future::{Future, IntoFuture};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evloop::{Lock, Semaphore};
use tokio::sync::{Mutex, Semaphore as TokioSemaphore};
use tokio::task::unconstrained;

use super::cpu::Stopwatch;
use super::sides::own_wake;
use super::{Workload, scaled};

const TASKS: u64 = 4;

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "lock, uncontended",
        evloop: |s, n| {
            s.evloop(async move {
                let lock = Lock::new(0_u64);
                let start = Stopwatch::start();
                for _ in 0..n {
                    *lock.acquire().await += 1;
                }
                start.elapsed()
            })
        },
        rivals: &[("tokio", |s, n| {
            s.tokio(unconstrained(async move {
                let lock = Mutex::new(0_u64);
                let start = Stopwatch::start();
                for _ in 0..n {
                    *lock.lock().await += 1;
                }
                start.elapsed()
            }))
        })],
    },
    Workload {
        name: "semaphore, uncontended",
        evloop: |s, n| {
            s.evloop(async move {
                let semaphore = Semaphore::new(2);
                let start = Stopwatch::start();
                for _ in 0..n {
                    let _permit = semaphore.acquire().await;
                }
                start.elapsed()
            })
        },
        rivals: &[("tokio", |s, n| {
            s.tokio(unconstrained(async move {
                let semaphore = TokioSemaphore::new(2);
                let start = Stopwatch::start();
                for _ in 0..n {
                    let _permit = semaphore.acquire().await.expect("nobody closes it");
                }
                start.elapsed()
            }))
        })],
    },
    Workload {
        name: "lock, 4 tasks",
        evloop: |s, n| {
            s.evloop(async move {
                let lock = Rc::new(Lock::new(0_u64));
                let start = |share| {
                    let lock = lock.clone();
                    evloop::create_task(async move {
                        for _ in 0..share {
                            let mut guard = lock.acquire().await;
                            *guard += 1;
                            own_wake().await;
                        }
                    })
                };
                among(n, start).await
            })
        },
        rivals: &[("tokio", |s, n| {
            s.tokio(async move {
                let lock = Arc::new(Mutex::new(0_u64));
                let start = |share| {
                    let lock = lock.clone();
                    tokio::spawn(async move {
                        for _ in 0..share {
                            let mut guard = lock.lock().await;
                            *guard += 1;
                            own_wake().await;
                        }
                    })
                };
                among(n, start).await
            })
        })],
    },
];

/// Starts the tasks with their share of `n`, and awaits them.
fn among<T: IntoFuture>(n: u64, start: impl Fn(u64) -> T) -> impl Future<Output = Duration> {
    let share = n.div_ceil(TASKS);
    let watch = Stopwatch::start();
    let tasks: Vec<_> = (0..TASKS).map(|_| start(share).into_future()).collect();
    async move {
        for task in tasks {
            task.await;
        }
        scaled(watch.elapsed(), share * TASKS, n)
    }
}
