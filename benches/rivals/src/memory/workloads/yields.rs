//! Letting the others run: alone, and among a thousand.
//!
//! Each time twice: by waking oneself and being pending once, which is the same code everywhere, and by the
//! runtime's own `yield_now`, which means more in some: tokio's defers the wake until the driver was asked.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Workload, each, repeat, scaled};
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::Runtime;

const TASKS: u64 = 1000;
/// The tasks' start and end are in the figure; few rounds would show them too much.
const LEAST_ROUNDS: u64 = 100;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("yield, 1 task, own wake", |r, n| r.run(|_| each(n, own_wake))),
        Workload::new("yield, 1 task, yield_now", |r, n| r.run(|_| each(n, R::yield_now))),
        Workload::new("yield, 1000 tasks, own wake", |r, n| r.run(|s| many::<R, _>(s, n, own_wake))),
        Workload::new("yield, 1000 tasks, yield_now", |r, n| r.run(|s| many::<R, _>(s, n, R::yield_now))),
    ]
}

/// `n` yields, shared out among the tasks.
async fn many<R: Runtime, F: Future + 'static>(spawner: R::Spawner, n: u64, make: fn() -> F) -> Duration {
    let rounds = n.div_ceil(TASKS).max(LEAST_ROUNDS);
    let start = Stopwatch::start();
    let tasks: Vec<_> = (0..TASKS).map(|_| R::spawn(&spawner, repeat(rounds, make))).collect();
    for task in tasks {
        task.await;
    }
    scaled(start.elapsed(), rounds * TASKS, n)
}

/// Wakes its task and is pending once.
pub(super) struct OwnWake(bool);

pub(super) fn own_wake() -> OwnWake {
    OwnWake(false)
}

impl Future for OwnWake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
