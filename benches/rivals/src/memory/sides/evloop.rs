//! evloop, as it comes.

use std::future::{Future, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use evloop::channel::{mpsc, oneshot, thread};
use evloop::{EventLoop, Queue, Task, TaskGroup};

use crate::memory::runtime::{Calls, Channel, FromThreads, Runtime};

pub(crate) struct Evloop(EventLoop);

impl Runtime for Evloop {
    const NAME: &'static str = "evloop";
    const SETUP: &'static str = "as it comes; no descriptors, hence no looks at the kernel";

    type Spawner = ();
    type Task<T: Send + 'static> = Task<T>;
    type Pair = Mpsc;
    type Crowd = Shared;
    type Lock = evloop::Lock<u64>;
    type Semaphore = evloop::Semaphore;
    type Calls = Replies;
    type Bounded = Threads<true>;
    type Unbounded = Threads<false>;

    fn new() -> Self {
        Self(EventLoop::new().expect("a poller"))
    }

    fn run<F>(&mut self, body: impl FnOnce(()) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.0.run_until_complete(body(())).expect("the loop runs to the end")
    }

    fn spawn<F>((): &(), future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        evloop::create_task(future)
    }

    async fn group((): (), tasks: u64) {
        TaskGroup::scope(async |tg| {
            for i in 0..tasks {
                let _ = tg.create_task(ready(i));
            }
        })
        .await;
    }

    fn yield_now() -> impl Future + 'static {
        evloop::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        evloop::sleep(duration)
    }

    fn sleep_until(instant: Instant) -> impl Future + 'static {
        evloop::sleep_until(instant)
    }

    fn timeout<F: Future + 'static>(duration: Duration, future: F) -> impl Future + 'static {
        evloop::wait_for(future, duration)
    }
}

/// Its channel for one consumer.
pub(crate) struct Mpsc;

impl Channel for Mpsc {
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

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

/// One queue, whoever puts and gets.
pub(crate) struct Shared;

impl Channel for Shared {
    type Sender = Rc<Queue<u64>>;
    type Receiver = Rc<Queue<u64>>;

    fn open(capacity: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        let queue = Rc::new(Queue::new(capacity));
        (queue.clone(), vec![queue; receivers])
    }

    async fn send(queue: &Self::Sender, item: u64) {
        queue.put(item).await.expect("the queue is open");
    }

    async fn receive(queue: &mut Self::Receiver) -> Option<u64> {
        queue.get().await.ok()
    }

    fn close(queue: Self::Sender) {
        queue.shutdown();
    }
}

pub(crate) struct Replies;

impl Calls for Replies {
    type Client = mpsc::Sender<(u64, oneshot::Sender<u64>)>;
    type Server = mpsc::Receiver<(u64, oneshot::Sender<u64>)>;

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

/// The channel between loops and threads, with a bound or without.
pub(crate) struct Threads<const BOUNDED: bool>;

impl<const BOUNDED: bool> Channel for Threads<BOUNDED> {
    type Sender = thread::Sender<u64>;
    type Receiver = thread::Receiver<u64>;

    fn open(capacity: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>) {
        assert_eq!(receivers, 1, "it has one receiver");
        let (sender, receiver) = if BOUNDED { thread::channel(capacity) } else { thread::unbounded() };
        (sender, vec![receiver])
    }

    async fn send(sender: &Self::Sender, item: u64) {
        sender.send(item).await.expect("the channel is open");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

impl<const BOUNDED: bool> FromThreads for Threads<BOUNDED> {
    fn send_blocking(sender: &Self::Sender, item: u64) {
        sender.blocking_send(item).expect("the channel is open");
    }
}
