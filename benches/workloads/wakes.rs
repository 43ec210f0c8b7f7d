//! Wakers: cloning one, and waking a task that is parked.

use std::future::{Future, IntoFuture, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::cpu::Stopwatch;
use super::{Workload, scaled};

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "waker, clone + drop",
        evloop: |s, n| s.evloop(clones(n)),
        rivals: &[("tokio", |s, n| s.tokio(clones(n))), ("LocalSet", |s, n| s.local(clones(n)))],
    },
    Workload {
        name: "wake a parked task, and its step",
        evloop: |s, n| s.evloop(relay(n, evloop::create_task)),
        rivals: &[
            ("tokio", |s, n| s.tokio(relay(n, tokio::spawn))),
            ("LocalSet", |s, n| s.local(relay(n, tokio::task::spawn_local))),
        ],
    },
];

/// Clones and drops the waker of the running task.
async fn clones(n: u64) -> Duration {
    poll_fn(|cx| {
        let start = Stopwatch::start();
        for _ in 0..n {
            drop(black_box(cx.waker().clone()));
        }
        Poll::Ready(start.elapsed())
    })
    .await
}

/// Two tasks wake each other in turn by wakers that they keep.
async fn relay<J: IntoFuture>(n: u64, spawn: impl Fn(Runner) -> J) -> Duration {
    let steps = n.div_ceil(2);
    let wakers = Arc::new([OnceLock::new(), OnceLock::new()]);
    let start = Stopwatch::start();
    let runners = [0, 1].map(|me| spawn(Runner { wakers: wakers.clone(), me, steps }));
    for runner in runners {
        runner.await;
    }
    scaled(start.elapsed(), 2 * steps, n)
}

/// One of the two. `OnceLock`, since tokio's tasks must be `Send`; once set, it is a load.
struct Runner {
    wakers: Arc<[OnceLock<Waker>; 2]>,
    me: usize,
    steps: u64,
}

impl Future for Runner {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.wakers[self.me].get_or_init(|| cx.waker().clone());
        if let Some(other) = self.wakers[1 - self.me].get() {
            other.wake_by_ref();
        }
        self.steps -= 1;
        if self.steps == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}
