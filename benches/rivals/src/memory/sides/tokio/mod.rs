//! tokio twice: the current_thread runtime with `spawn`, and a `LocalRuntime` with `spawn_local`.
//!
//! Both have timers and no I/O driver: with one, each of their looks outside is a system call, as each of
//! evloop's is. The event interval is the default, 61 polls, next to evloop's 64. Tasks of `spawn` have to
//! be `Send`; [`Here`] says so for those that never leave the thread.

mod here;

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet, coop};

use crate::memory::runtime::{Calls, Channel, FromThreads, Runtime};
use here::Here;

pub(crate) struct CurrentThread(tokio::runtime::Runtime);

impl Runtime for CurrentThread {
    const NAME: &'static str = "tokio";
    const SETUP: &'static str = "current_thread, timers and no I/O driver, tasks by spawn, tokio's channel";

    type Spawner = ();
    type Task<T: Send + 'static> = JoinHandle<T>;
    type Pair = Mpsc;
    type Crowd = Locked;
    type Lock = Mutex<u64>;
    type Semaphore = Semaphore;
    type Calls = Replies;
    type Bounded = Mpsc;
    type Unbounded = Unbounded;

    fn new() -> Self {
        Self(Builder::new_current_thread().enable_time().build().expect("a runtime"))
    }

    /// As a spawned task: the future given to `block_on` is served more slowly, by way of the driver.
    fn run<F>(&mut self, body: impl FnOnce(()) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let body = Here::new(body(()));
        self.0.block_on(async { tokio::spawn(body).await.expect("the task ends") })
    }

    fn spawn<F>((): &(), future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(Here::new(future))
    }

    async fn group((): (), tasks: u64) {
        let mut set = JoinSet::new();
        for i in 0..tasks {
            set.spawn(ready(i));
        }
        while set.join_next().await.is_some() {}
    }

    fn yield_now() -> impl Future + 'static {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        tokio::time::sleep(duration)
    }

    fn sleep_until(instant: Instant) -> impl Future + 'static {
        tokio::time::sleep_until(instant.into())
    }

    fn timeout<F: Future + 'static>(duration: Duration, future: F) -> impl Future + 'static {
        tokio::time::timeout(duration, future)
    }

    /// After 128 polls in one step its budget would be spent, and a sleep polled then is pending without
    /// having set a timer.
    fn unlimited<F: Future + 'static>(future: F) -> impl Future<Output = F::Output> + 'static {
        coop::unconstrained(future)
    }
}

pub(crate) struct Local(LocalRuntime);

impl Runtime for Local {
    const NAME: &'static str = "LocalRuntime";
    const SETUP: &'static str = "tokio's, timers and no I/O driver, tasks by spawn_local, tokio's channel";

    type Spawner = ();
    type Task<T: Send + 'static> = JoinHandle<T>;
    type Pair = Mpsc;
    type Crowd = Locked;
    type Lock = Mutex<u64>;
    type Semaphore = Semaphore;
    type Calls = Replies;
    type Bounded = Mpsc;
    type Unbounded = Unbounded;

    fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        Self(builder.enable_time().build_local(LocalOptions::default()).expect("a runtime"))
    }

    fn run<F>(&mut self, body: impl FnOnce(()) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let body = body(());
        self.0.block_on(async { tokio::task::spawn_local(body).await.expect("the task ends") })
    }

    fn spawn<F>((): &(), future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        tokio::task::spawn_local(future)
    }

    async fn group((): (), tasks: u64) {
        let mut set = JoinSet::new();
        for i in 0..tasks {
            set.spawn_local(ready(i));
        }
        while set.join_next().await.is_some() {}
    }

    fn yield_now() -> impl Future + 'static {
        CurrentThread::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        CurrentThread::sleep(duration)
    }

    fn sleep_until(instant: Instant) -> impl Future + 'static {
        CurrentThread::sleep_until(instant)
    }

    fn timeout<F: Future + 'static>(duration: Duration, future: F) -> impl Future + 'static {
        CurrentThread::timeout(duration, future)
    }

    fn unlimited<F: Future + 'static>(future: F) -> impl Future<Output = F::Output> + 'static {
        CurrentThread::unlimited(future)
    }
}

/// tokio's bounded channel, which has one consumer.
pub(crate) struct Mpsc;

impl Channel for Mpsc {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn open(capacity: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        assert_eq!(receivers, 1, "it has one consumer");
        let (sender, receiver) = mpsc::channel(capacity);
        (sender, vec![receiver])
    }

    async fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).await.expect("the channel is open");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

impl FromThreads for Mpsc {
    fn send_blocking(sender: &Self::Sender, item: u64) {
        sender.blocking_send(item).expect("the channel is open");
    }
}

/// tokio's channel without a bound.
pub(crate) struct Unbounded;

impl Channel for Unbounded {
    type Sender = UnboundedSender<u64>;
    type Receiver = UnboundedReceiver<u64>;

    fn open(_: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        assert_eq!(receivers, 1, "it has one consumer");
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, vec![receiver])
    }

    async fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the channel is open");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

impl FromThreads for Unbounded {
    fn send_blocking(sender: &Self::Sender, item: u64) {
        sender.send(item).expect("the channel is open");
    }
}

/// The bounded one for several consumers, who share its end by a lock. tokio has no queue of its own for them, so
/// this says what its users pay, not how good its channel is.
pub(crate) struct Locked;

impl Channel for Locked {
    type Sender = Sender<u64>;
    type Receiver = Arc<Mutex<Receiver<u64>>>;

    fn open(capacity: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        let (sender, receiver) = mpsc::channel(capacity);
        let receiver = Arc::new(Mutex::new(receiver));
        (sender, (0..receivers).map(|_| receiver.clone()).collect())
    }

    async fn send(sender: &Self::Sender, item: u64) {
        Mpsc::send(sender, item).await;
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.lock().await.recv().await
    }
}

pub(crate) struct Replies;

impl Calls for Replies {
    type Client = Sender<(u64, oneshot::Sender<u64>)>;
    type Server = Receiver<(u64, oneshot::Sender<u64>)>;

    fn open(capacity: usize) -> (Self::Client, Self::Server) {
        mpsc::channel(capacity)
    }

    async fn call(client: &Self::Client, number: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        client.send((number, reply)).await.expect("the channel is open");
        answer.await.expect("it is answered")
    }

    async fn serve(mut server: Self::Server) {
        while let Some((number, reply)) = server.recv().await {
            reply.send(number + 1).expect("it is waited for");
        }
    }
}
