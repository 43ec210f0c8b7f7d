//! Timers that do not come to fire: sleeps that are dropped, timeouts that are not needed.
//!
//! Where many are polled in one step, tokio's side is `unconstrained`: after 128 polls its budget would be
//! spent, and a sleep polled then is pending without having set a timer.

use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::task::unconstrained;

use super::sides::{FAR, own_wake};
use super::{Workload, each};

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "sleep, polled once and dropped",
        evloop: |s, n| s.evloop(each(n, || once(evloop::sleep(FAR)))),
        rivals: &[
            ("tokio", |s, n| s.tokio(unconstrained(each(n, || once(tokio::time::sleep(FAR)))))),
            ("LocalSet", |s, n| s.local(unconstrained(each(n, || once(tokio::time::sleep(FAR)))))),
        ],
    },
    Workload {
        name: "the same among 10 000 others",
        evloop: |s, n| s.evloop(among(n, evloop::sleep)),
        rivals: &[
            ("tokio", |s, n| s.tokio(unconstrained(among(n, tokio::time::sleep)))),
            ("LocalSet", |s, n| s.local(unconstrained(among(n, tokio::time::sleep)))),
        ],
    },
    Workload {
        name: "timeout around a yield",
        evloop: |s, n| s.evloop(each(n, || evloop::wait_for(evloop::yield_now(), FAR))),
        rivals: &[
            ("tokio, own wake", |s, n| s.tokio(each(n, || tokio::time::timeout(FAR, own_wake())))),
            ("tokio, yield_now", |s, n| {
                s.tokio(each(n, || tokio::time::timeout(FAR, tokio::task::yield_now())))
            }),
            ("LocalSet, own wake", |s, n| s.local(each(n, || tokio::time::timeout(FAR, own_wake())))),
        ],
    },
    Workload {
        name: "timeout around a ready future",
        evloop: |s, n| s.evloop(each(n, || evloop::wait_for(ready(1_u64), FAR))),
        rivals: &[
            ("tokio", |s, n| s.tokio(each(n, || tokio::time::timeout(FAR, ready(1_u64))))),
            ("LocalSet", |s, n| s.local(each(n, || tokio::time::timeout(FAR, ready(1_u64))))),
        ],
    },
];

/// Polls a future once and drops it.
async fn once(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// Sleeps that are dropped, while 10 000 others, 10 to 20 seconds long, wait.
async fn among<F: Future>(n: u64, sleep: impl Fn(Duration) -> F) -> Duration {
    let crowd = 10_000..20_000;
    let mut others: Vec<Pin<Box<F>>> = crowd.map(|ms| Box::pin(sleep(Duration::from_millis(ms)))).collect();
    poll_fn(|cx| {
        for other in &mut others {
            let _ = other.as_mut().poll(cx);
        }
        Poll::Ready(())
    })
    .await;
    each(n, || once(sleep(FAR))).await
}
