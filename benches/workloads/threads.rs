//! Handing items from a plain thread to a task: the CPU time of both. They run on any core.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Workload;
use super::cpu::Stopwatch;

const CAPACITY: usize = 100;

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "a thread sends, channel of 100",
        evloop: |s, n| s.evloop(evloop_bounded(n)),
        rivals: &[
            ("tokio mpsc", |s, n| s.tokio(tokio_bounded(n))),
            ("LocalSet mpsc", |s, n| s.local(tokio_bounded(n))),
        ],
    },
    Workload {
        name: "a thread sends, unbounded",
        evloop: |s, n| s.evloop(evloop_unbounded(n)),
        rivals: &[
            ("tokio mpsc", |s, n| s.tokio(tokio_unbounded(n))),
            ("LocalSet mpsc", |s, n| s.local(tokio_unbounded(n))),
        ],
    },
];

/// A thread that calls `send` so many times once it is told to: it is there before the clock starts.
struct Producer {
    thread: thread::JoinHandle<()>,
    go: mpsc::Sender<()>,
}

impl Producer {
    fn new(n: u64, send: impl Fn(u64) + Send + 'static) -> Self {
        let (go, may_go) = mpsc::channel();
        let thread = thread::spawn(move || {
            may_go.recv().expect("the other side says so");
            (0..n).for_each(send);
        });
        Self { thread, go }
    }

    fn start(&self) -> Stopwatch {
        let stopwatch = Stopwatch::start();
        self.go.send(()).expect("the thread waits");
        stopwatch
    }

    fn end(self) {
        self.thread.join().expect("the thread ends");
    }
}

async fn evloop_bounded(n: u64) -> Duration {
    let (sender, receiver) = evloop::channel::thread::channel(CAPACITY);
    evloop_channel(receiver, Producer::new(n, move |item| sender.blocking_send(item).expect("it is open")))
        .await
}

async fn evloop_unbounded(n: u64) -> Duration {
    let (sender, receiver) = evloop::channel::thread::unbounded();
    evloop_channel(receiver, Producer::new(n, move |item| sender.blocking_send(item).expect("it is open")))
        .await
}

async fn evloop_channel(
    mut receiver: evloop::channel::thread::Receiver<u64>,
    producer: Producer,
) -> Duration {
    let stopwatch = producer.start();
    while let Some(item) = receiver.recv().await {
        black_box(item);
    }
    let took = stopwatch.elapsed();
    producer.end();
    took
}

async fn tokio_bounded(n: u64) -> Duration {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY);
    let producer = Producer::new(n, move |item| sender.blocking_send(item).expect("it is open"));
    let stopwatch = producer.start();
    while let Some(item) = receiver.recv().await {
        black_box(item);
    }
    let took = stopwatch.elapsed();
    producer.end();
    took
}

async fn tokio_unbounded(n: u64) -> Duration {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let producer = Producer::new(n, move |item| sender.send(item).expect("it is open"));
    let stopwatch = producer.start();
    while let Some(item) = receiver.recv().await {
        black_box(item);
    }
    let took = stopwatch.elapsed();
    producer.end();
    took
}
