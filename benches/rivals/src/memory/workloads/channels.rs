//! Handing items from task to task through a bounded queue of 100.

use std::hint::black_box;
use std::time::Duration;

use super::{Workload, scaled};
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::{Channel, Runtime};

const CAPACITY: usize = 100;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("queue of 100, 1 to 1", |r, n| r.run(|s| pass::<R, R::Pair>(s, n, 1))),
        Workload::new("queue of 100, 4 to 4", |r, n| r.run(|s| pass::<R, R::Crowd>(s, n, 4))),
    ]
}

/// Hands `n` items on, from as many producers to as many consumers.
async fn pass<R: Runtime, C: Channel>(spawner: R::Spawner, n: u64, pairs: u64) -> Duration {
    let share = n.div_ceil(pairs);
    let (sender, receivers) = C::open(CAPACITY, pairs as usize);
    let start = Stopwatch::start();
    let consumers = receivers.into_iter().map(|receiver| R::spawn(&spawner, consume::<C>(receiver)));
    let consumers: Vec<_> = consumers.collect();
    let producers = (0..pairs).map(|_| R::spawn(&spawner, produce::<C>(sender.clone(), share)));
    for producer in producers.collect::<Vec<_>>() {
        producer.await;
    }
    C::close(sender);
    for consumer in consumers {
        consumer.await;
    }
    scaled(start.elapsed(), share * pairs, n)
}

async fn consume<C: Channel>(mut receiver: C::Receiver) {
    while let Some(item) = C::receive(&mut receiver).await {
        black_box(item);
    }
}

async fn produce<C: Channel>(sender: C::Sender, n: u64) {
    for item in 0..n {
        C::send(&sender, item).await;
    }
}
