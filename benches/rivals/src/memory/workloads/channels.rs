//! From task to task: through a bounded queue of 100, to and fro, and as questions with answers.

use std::hint::black_box;
use std::time::Duration;

use super::{Workload, scaled};
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::{Calls, Channel, Runtime};

const CAPACITY: usize = 100;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("ping-pong by channel, a message", |r, n| r.run(|s| ping_pong::<R, R::Pair>(s, n))),
        Workload::new("request by channel, reply by oneshot", |r, n| r.run(|s| ask::<R, R::Calls>(s, n))),
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

/// Two tasks and two channels of one: each waits for the other's message, and answers.
async fn ping_pong<R: Runtime, C: Channel>(spawner: R::Spawner, n: u64) -> Duration {
    let rounds = n.div_ceil(2);
    let (there, mut from_here) = C::open(1, 1);
    let (back, mut from_there) = C::open(1, 1);
    let (mut from_here, mut from_there) = (from_here.remove(0), from_there.remove(0));
    let start = Stopwatch::start();
    let echo = R::spawn(&spawner, async move {
        while let Some(item) = C::receive(&mut from_here).await {
            C::send(&back, item).await;
        }
    });
    let player = R::spawn(&spawner, async move {
        for item in 0..rounds {
            C::send(&there, item).await;
            black_box(C::receive(&mut from_there).await);
        }
        C::close(there);
    });
    player.await;
    echo.await;
    scaled(start.elapsed(), 2 * rounds, n)
}

/// A task asks `n` times, another one answers.
async fn ask<R: Runtime, C: Calls>(spawner: R::Spawner, n: u64) -> Duration {
    let (client, server) = C::open(CAPACITY);
    let start = Stopwatch::start();
    let server = R::spawn(&spawner, C::serve(server));
    let client = R::spawn(&spawner, async move {
        for number in 0..n {
            black_box(C::call(&client, number).await);
        }
    });
    client.await;
    server.await;
    start.elapsed()
}
