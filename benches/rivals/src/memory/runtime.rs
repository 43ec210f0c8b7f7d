//! What the workloads ask of a runtime. To implement it is to take part.

use std::future::{Future, IntoFuture};
use std::time::{Duration, Instant};

use super::workloads::locks::Hold;

/// A runtime in one thread, in its best idiom.
pub(crate) trait Runtime: Sized + 'static {
    const NAME: &'static str;
    /// How it is configured, for the head of the table.
    const SETUP: &'static str;

    /// What tasks are started by, where that is a value.
    type Spawner: Clone + 'static;
    /// A started task, which can be awaited.
    type Task<T: Send + 'static>: IntoFuture + 'static;
    /// Its queue between two tasks.
    type Pair: Channel;
    /// Its queue among several on both ends.
    type Crowd: Channel;
    /// Its lock for one at a time.
    type Lock: Hold;
    /// Its semaphore for two.
    type Semaphore: Hold;
    /// Its way to ask a task and get an answer.
    type Calls: Calls;
    /// Its bounded channel from other threads, and its unbounded one.
    type Bounded: FromThreads;
    type Unbounded: FromThreads;

    fn new() -> Self;

    /// Runs a body to its end as a task among tasks.
    fn run<F>(&mut self, body: impl FnOnce(Self::Spawner) -> F) -> F::Output
    where
        F: Future + 'static,
        F::Output: Send + 'static;

    fn spawn<F>(spawner: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: Send + 'static;

    /// Lets a task go on by itself.
    fn detach<T: Send + 'static>(task: Self::Task<T>) {
        drop(task);
    }

    /// Starts so many tasks as a group, of which nothing is wanted but that all have ended.
    fn group(spawner: Self::Spawner, tasks: u64) -> impl Future<Output = ()> + 'static;

    fn yield_now() -> impl Future + 'static;

    fn sleep(duration: Duration) -> impl Future + 'static;

    fn sleep_until(instant: Instant) -> impl Future + 'static;

    fn timeout<F: Future + 'static>(duration: Duration, future: F) -> impl Future + 'static;

    /// Takes off a limit on how much one step may do, if there is one: where its leaves would refuse to
    /// work within a long step, the figure would be that of the refusal.
    fn unlimited<F: Future + 'static>(future: F) -> impl Future<Output = F::Output> + 'static {
        future
    }
}

/// A queue of numbers.
pub(crate) trait Channel: 'static {
    type Sender: Clone + 'static;
    type Receiver: 'static;

    fn open(capacity: usize, receivers: usize) -> (Self::Sender, Vec<Self::Receiver>);

    async fn send(sender: &Self::Sender, item: u64);

    /// `None` once it is closed and empty.
    async fn receive(receiver: &mut Self::Receiver) -> Option<u64>;

    /// What ends it when all producers are done; by default that the last sender goes.
    fn close(sender: Self::Sender) {
        drop(sender);
    }
}

/// Requests by a channel, each with a channel of its own for the reply. The answer to a number is the next one.
pub(crate) trait Calls: 'static {
    type Client: 'static;
    type Server: 'static;

    fn open(capacity: usize) -> (Self::Client, Self::Server);

    async fn call(client: &Self::Client, number: u64) -> u64;

    /// Answers until the client is gone.
    fn serve(server: Self::Server) -> impl Future<Output = ()> + 'static;
}

/// A channel into which other threads send. (Its capacity means nothing if it has no bound.)
pub(crate) trait FromThreads: Channel<Sender: Send> {
    /// Blocks if the channel is full.
    fn send_blocking(sender: &Self::Sender, item: u64);
}
