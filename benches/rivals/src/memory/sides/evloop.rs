//! evloop, as it comes.

use std::future::{Future, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use evloop::{EventLoop, Queue, Task, TaskGroup};

use crate::memory::runtime::{Channel, Runtime};

pub(crate) struct Evloop(EventLoop);

impl Runtime for Evloop {
    const NAME: &'static str = "evloop";
    const SETUP: &'static str = "as it comes; a look at the kernel after at most 64 steps";

    type Spawner = ();
    type Task<T: Send + 'static> = Task<T>;
    type Pair = Shared;
    type Crowd = Shared;
    type Lock = evloop::Lock<u64>;
    type Semaphore = evloop::Semaphore;

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
