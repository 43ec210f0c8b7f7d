//! Timers that do not come to fire: sleeps that are dropped, timeouts that are not needed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::yields::own_wake;
use super::{Workload, each};
use crate::memory::runtime::Runtime;

/// Long enough never to come.
const FAR: Duration = Duration::from_secs(30);

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("sleep, polled once and dropped", |r, n| {
            r.run(|_| R::unlimited(each(n, || once(R::sleep(FAR)))))
        }),
        Workload::new("timeout around own wake", |r, n| r.run(|_| each(n, || R::timeout(FAR, own_wake())))),
        Workload::new("timeout around yield_now", |r, n| {
            r.run(|_| each(n, || R::timeout(FAR, R::yield_now())))
        }),
    ]
}

/// Polls a future once and drops it.
async fn once(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}
