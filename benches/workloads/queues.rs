//! Handing items from task to task through a bounded queue, or a channel, of 100.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evloop::{Queue, channel};
use tokio::sync::{Mutex, mpsc};

use super::cpu::Stopwatch;
use super::{Workload, scaled};

const CAPACITY: usize = 100;

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "queue of 100, 1 to 1",
        evloop: |s, n| s.evloop(evloop_queue(n, 1)),
        rivals: &[
            ("tokio mpsc", |s, n| s.tokio(tokio_mpsc(n))),
            ("LocalSet mpsc", |s, n| s.local(local_mpsc(n))),
        ],
    },
    Workload {
        name: "channel of 100, 1 to 1",
        evloop: |s, n| s.evloop(evloop_channel(n)),
        rivals: &[
            ("tokio mpsc", |s, n| s.tokio(tokio_mpsc(n))),
            ("LocalSet mpsc", |s, n| s.local(local_mpsc(n))),
        ],
    },
    Workload {
        name: "queue of 100, 4 to 4",
        evloop: |s, n| s.evloop(evloop_queue(n, 4)),
        // tokio's mpsc has one receiver; several consumers share it by a lock. It has no queue of its own
        // for several, so this row says what its users pay, not how good its channel is.
        rivals: &[("tokio Mutex<mpsc>", |s, n| s.tokio(tokio_shared(n, 4)))],
    },
];

async fn evloop_queue(n: u64, pairs: u64) -> Duration {
    let share = n.div_ceil(pairs);
    let queue = Rc::new(Queue::new(CAPACITY));
    let start = Stopwatch::start();
    let consumers: Vec<_> = (0..pairs)
        .map(|_| {
            let queue = queue.clone();
            evloop::create_task(async move {
                while let Ok(item) = queue.get().await {
                    black_box(item);
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..pairs)
        .map(|_| {
            let queue = queue.clone();
            evloop::create_task(async move {
                for item in 0..share {
                    queue.put(item).await.expect("the queue is open");
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("it ends");
    }
    queue.shutdown();
    for consumer in consumers {
        consumer.await.expect("it ends");
    }
    scaled(start.elapsed(), share * pairs, n)
}

async fn evloop_channel(n: u64) -> Duration {
    let (sender, mut receiver) = channel::mpsc::channel(CAPACITY);
    let start = Stopwatch::start();
    let consumer = evloop::create_task(async move {
        while let Some(item) = receiver.recv().await {
            black_box(item);
        }
    });
    let producer = evloop::create_task(async move {
        for item in 0..n {
            sender.send(item).await.expect("the channel is open");
        }
    });
    producer.await.expect("it ends");
    consumer.await.expect("it ends");
    start.elapsed()
}

async fn consume(mut receiver: mpsc::Receiver<u64>) {
    while let Some(item) = receiver.recv().await {
        black_box(item);
    }
}

async fn produce(sender: mpsc::Sender<u64>, n: u64) {
    for item in 0..n {
        sender.send(item).await.expect("the channel is open");
    }
}

async fn tokio_mpsc(n: u64) -> Duration {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let start = Stopwatch::start();
    let consumer = tokio::spawn(consume(receiver));
    tokio::spawn(produce(sender, n)).await.expect("it ends");
    consumer.await.expect("it ends");
    start.elapsed()
}

async fn local_mpsc(n: u64) -> Duration {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let start = Stopwatch::start();
    let consumer = tokio::task::spawn_local(consume(receiver));
    tokio::task::spawn_local(produce(sender, n)).await.expect("it ends");
    consumer.await.expect("it ends");
    start.elapsed()
}

async fn tokio_shared(n: u64, pairs: u64) -> Duration {
    let share = n.div_ceil(pairs);
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let receiver = Arc::new(Mutex::new(receiver));
    let start = Stopwatch::start();
    let consumers: Vec<_> = (0..pairs)
        .map(|_| {
            let receiver = receiver.clone();
            tokio::spawn(async move {
                loop {
                    // A statement of its own: the lock is free again before the item is used.
                    let item = receiver.lock().await.recv().await;
                    let Some(item) = item else { return };
                    black_box(item);
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..pairs).map(|_| tokio::spawn(produce(sender.clone(), share))).collect();
    drop(sender);
    for task in producers.into_iter().chain(consumers) {
        task.await.expect("it ends");
    }
    scaled(start.elapsed(), share * pairs, n)
}
