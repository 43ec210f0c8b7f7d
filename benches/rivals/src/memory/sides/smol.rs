//! smol: a `LocalExecutor` under `smol::block_on`, which is async-io's and drives timers and sockets.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use smol::channel::{Receiver, Sender};
use smol::{LocalExecutor, Task, Timer, future};

use crate::memory::runtime::{Calls, Channel, FromThreads, Runtime};

/// Counted, since a task that starts others must have it at hand.
pub(crate) struct Smol(Rc<LocalExecutor<'static>>);

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    const SETUP: &'static str = "LocalExecutor under async-io's block_on, async-io's timers, async-channel";

    type Spawner = Rc<LocalExecutor<'static>>;
    type Task<T: Send + 'static> = Task<T>;
    type Pair = Shared;
    type Crowd = Shared;
    type Lock = smol::lock::Mutex<u64>;
    type Semaphore = smol::lock::Semaphore;
    type Calls = Replies;
    type Bounded = Shared;
    type Unbounded = Unbounded;

    fn new() -> Self {
        Self(Rc::new(LocalExecutor::new()))
    }

    fn run<F>(&mut self, body: impl FnOnce(Self::Spawner) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let task = self.0.spawn(body(self.0.clone()));
        smol::block_on(self.0.run(task))
    }

    fn spawn<F>(executor: &Self::Spawner, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        executor.spawn(future)
    }

    fn detach<T: Send + 'static>(task: Task<T>) {
        task.detach();
    }

    /// It has no groups: the tasks are kept and awaited.
    async fn group(executor: Self::Spawner, tasks: u64) {
        let tasks: Vec<_> = (0..tasks).map(|i| executor.spawn(future::ready(i))).collect();
        for task in tasks {
            task.await;
        }
    }

    fn yield_now() -> impl Future + 'static {
        future::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        Timer::after(duration)
    }

    fn sleep_until(instant: Instant) -> impl Future + 'static {
        Timer::at(instant)
    }

    /// Its documentation's way: whichever of the two comes first.
    fn timeout<F: Future + 'static>(duration: Duration, future: F) -> impl Future + 'static {
        let late = async move {
            Timer::after(duration).await;
            None
        };
        future::or(async { Some(future.await) }, late)
    }
}

/// async-channel has several producers and several consumers.
pub(crate) struct Shared;

impl Channel for Shared {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn open(capacity: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        let (sender, receiver) = smol::channel::bounded(capacity);
        (sender, vec![receiver; receivers])
    }

    async fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).await.expect("the channel is open");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

/// It has no oneshot: a channel of one takes its place.
pub(crate) struct Replies;

impl Calls for Replies {
    type Client = Sender<(u64, Sender<u64>)>;
    type Server = Receiver<(u64, Sender<u64>)>;

    fn open(capacity: usize) -> (Self::Client, Self::Server) {
        smol::channel::bounded(capacity)
    }

    async fn call(client: &Self::Client, number: u64) -> u64 {
        let (reply, answer) = smol::channel::bounded(1);
        client.send((number, reply)).await.expect("the channel is open");
        answer.recv().await.expect("it is answered")
    }

    async fn serve(server: Self::Server) {
        while let Ok((number, reply)) = server.recv().await {
            reply.try_send(number + 1).expect("it is waited for");
        }
    }
}

impl FromThreads for Shared {
    fn send_blocking(sender: &Self::Sender, item: u64) {
        sender.send_blocking(item).expect("the channel is open");
    }
}

/// The same without a bound.
pub(crate) struct Unbounded;

impl Channel for Unbounded {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn open(_: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        let (sender, receiver) = smol::channel::unbounded();
        (sender, vec![receiver; receivers])
    }

    async fn send(sender: &Self::Sender, item: u64) {
        Shared::send(sender, item).await;
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        Shared::receive(receiver).await
    }
}

impl FromThreads for Unbounded {
    fn send_blocking(sender: &Self::Sender, item: u64) {
        Shared::send_blocking(sender, item);
    }
}
