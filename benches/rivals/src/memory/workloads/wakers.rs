//! Wakers: cloning one, and waking a task that is parked.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Workload, scaled};
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::Runtime;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("waker, clone + drop", |r, n| r.run(|_| clones(n))),
        Workload::new("wake a parked task, and its step", |r, n| r.run(|s| relay::<R>(s, n))),
    ]
}

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
async fn relay<R: Runtime>(spawner: R::Spawner, n: u64) -> Duration {
    let steps = n.div_ceil(2);
    let wakers = Rc::new(RefCell::new([None, None]));
    let start = Stopwatch::start();
    let runners =
        [0, 1].map(|me| R::spawn(&spawner, Runner { wakers: wakers.clone(), known: false, me, steps }));
    for runner in runners {
        runner.await;
    }
    scaled(start.elapsed(), 2 * steps, n)
}

/// One of the two.
struct Runner {
    wakers: Rc<RefCell<[Option<Waker>; 2]>>,
    known: bool,
    me: usize,
    steps: u64,
}

impl Future for Runner {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = self.me;
        if !self.known {
            self.wakers.borrow_mut()[me] = Some(cx.waker().clone());
            self.known = true;
        }
        if let Some(other) = &self.wakers.borrow()[1 - me] {
            other.wake_by_ref();
        }
        self.steps -= 1;
        if self.steps == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}
