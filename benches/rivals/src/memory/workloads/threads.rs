//! Handing items from another thread to a task: the CPU time of both.
//!
//! The other thread is a plain one that blocks, or runs a runtime of the same kind. It works on another core, which is
//! what threads are for; or on the same one, where it and the loop take turns and the caches are left alone.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Workload;
use crate::cores;
use crate::cpu_clock::Stopwatch;
use crate::memory::runtime::{Channel, FromThreads, Runtime};

const CAPACITY: usize = 100;

pub(super) fn all<R: Runtime>() -> Vec<Workload<R>> {
    vec![
        Workload::new("a thread sends, channel of 100", |r, n| {
            r.run(|_| receive::<R::Bounded>(n, cores::leave, plain::<R::Bounded>))
        }),
        Workload::new("a thread sends, unbounded", |r, n| {
            r.run(|_| receive::<R::Unbounded>(n, cores::leave, plain::<R::Unbounded>))
        }),
        Workload::new("the same on one core, of 100", |r, n| {
            r.run(|_| receive::<R::Bounded>(n, || Ok(()), plain::<R::Bounded>))
        }),
        Workload::new("the same on one core, unbounded", |r, n| {
            r.run(|_| receive::<R::Unbounded>(n, || Ok(()), plain::<R::Unbounded>))
        }),
        Workload::new("a loop sends, channel of 100", |r, n| {
            r.run(|_| receive::<R::Bounded>(n, cores::leave, looped::<R, R::Bounded>))
        }),
        Workload::new("a loop sends, unbounded", |r, n| {
            r.run(|_| receive::<R::Unbounded>(n, cores::leave, looped::<R, R::Unbounded>))
        }),
    ]
}

/// What a thread does that has a sender: it calls the function when it is about to send so many.
type Produce<C> = fn(<C as Channel>::Sender, u64, Box<dyn FnOnce()>);

/// Receives `n` items that another thread sends. The thread is there before the clock starts, and ends after.
async fn receive<C: FromThreads>(
    n: u64,
    settle: fn() -> std::io::Result<()>,
    produce: Produce<C>,
) -> Duration {
    let (sender, mut receivers) = C::open(CAPACITY, 1);
    let mut receiver = receivers.pop().expect("one receiver");
    let (ready, is_ready) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let thread = thread::spawn(move || {
        settle().expect("a thread may choose its core");
        let start = Box::new(move || {
            ready.send(()).expect("the other side waits");
            may_go.recv().expect("the other side says so");
        });
        produce(sender, n, start);
    });
    is_ready.recv().expect("the thread starts");
    let start = Stopwatch::start();
    go.send(()).expect("the thread waits");
    while let Some(item) = C::receive(&mut receiver).await {
        black_box(item);
    }
    let took = start.elapsed();
    thread.join().expect("the thread ends");
    took
}

fn plain<C: FromThreads>(sender: C::Sender, n: u64, start: Box<dyn FnOnce()>) {
    start();
    for item in 0..n {
        C::send_blocking(&sender, item);
    }
}

fn looped<R: Runtime, C: FromThreads>(sender: C::Sender, n: u64, start: Box<dyn FnOnce()>) {
    R::new().run(|_| async move {
        start();
        for item in 0..n {
            C::send(&sender, item).await;
        }
    });
}
