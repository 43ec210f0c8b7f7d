//! Yielding: alone, and among a thousand.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use super::cpu::Stopwatch;
use super::sides::own_wake;
use super::{Workload, each, scaled};

const TASKS: u64 = 1000;

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "yield, 1 task",
        evloop: |s, n| s.evloop(each(n, evloop::yield_now)),
        rivals: &[
            ("tokio, own wake", |s, n| s.tokio(each(n, own_wake))),
            ("tokio, yield_now", |s, n| s.tokio(each(n, tokio::task::yield_now))),
            ("LocalSet, own wake", |s, n| s.local(each(n, own_wake))),
        ],
    },
    Workload {
        name: "yield, 1000 tasks",
        evloop: |s, n| s.evloop(many(n, |each| evloop::create_task(repeat(each, evloop::yield_now)))),
        rivals: &[
            ("tokio, own wake", |s, n| s.tokio(many(n, |each| tokio::spawn(repeat(each, own_wake))))),
            ("tokio, yield_now", |s, n| {
                s.tokio(many(n, |each| tokio::spawn(repeat(each, tokio::task::yield_now))))
            }),
            ("LocalSet, own wake", |s, n| {
                s.local(many(n, |each| tokio::task::spawn_local(repeat(each, own_wake))))
            }),
        ],
    },
];

async fn repeat<F: Future>(n: u64, make: impl Fn() -> F) {
    for _ in 0..n {
        make().await;
    }
}

/// `n` yields, shared out among the tasks that `spawn` makes for so many each.
async fn many<J: IntoFuture>(n: u64, spawn: impl Fn(u64) -> J) -> Duration {
    let rounds = n.div_ceil(TASKS);
    // Their start and end are in the figure, a few yields' worth; few rounds would show them too much.
    let rounds = rounds.max(100);
    let start = Stopwatch::start();
    let tasks: Vec<J> = (0..TASKS).map(|_| spawn(rounds)).collect();
    for task in tasks {
        task.await;
    }
    scaled(start.elapsed(), rounds * TASKS, n)
}
