//! Queues between the tasks of one loop: [`Queue`], [`PriorityQueue`], [`LifoQueue`].
//!
//! One implementation, `base.rs`, over three stores, `buffer.rs`; `waiting.rs` holds the futures.
//! A queue is shared by `Rc`; it is *not* a channel between threads.

mod base;
mod buffer;
mod error;
mod stats;
mod waiting;

pub use base::BaseQueue;
pub use error::{GetNowaitError, PutNowaitError, QueueShutDown};
pub use stats::QueueStats;

use buffer::{NewestFirst, OldestFirst, SmallestFirst};

/// A queue that gives its items out in the order in which they came. Its methods are those of
/// [`BaseQueue`].
///
/// # asyncio
/// `asyncio.Queue`.
///
/// # Examples
/// ```
/// use evloop::Queue;
/// use std::rc::Rc;
///
/// evloop::run(async {
///     let queue = Rc::new(Queue::new(10)); // put waits while ten items are in it
///     let consumer = evloop::create_task({
///         let queue = queue.clone();
///         async move {
///             let mut sum = 0;
///             while let Ok(item) = queue.get().await {
///                 sum += item;
///                 queue.task_done();
///             }
///             sum
///         }
///     });
///     for item in 0..100 {
///         queue.put(item).await.unwrap();
///     }
///     queue.join().await; // every item was taken and done
///     queue.shutdown(); // the consumer's get() fails, its loop ends
///     assert_eq!(consumer.await.unwrap(), 4950);
/// });
/// ```
#[doc(alias = "channel")]
pub type Queue<T> = BaseQueue<T, OldestFirst<T>>;

/// A queue that gives its smallest item out first, equal ones in the order in which they came.
/// Its methods are those of [`BaseQueue`].
///
/// Comparing two items must not use the queue they are in; that panics.
///
/// # asyncio
/// `asyncio.PriorityQueue`, which leaves the order of equal items open.
///
/// # Examples
/// ```
/// use evloop::PriorityQueue;
///
/// evloop::run(async {
///     let queue = PriorityQueue::new(0);
///     for (priority, name) in [(2, "tests"), (1, "code"), (3, "docs")] {
///         queue.put((priority, name)).await.unwrap();
///     }
///     assert_eq!(queue.get().await.unwrap(), (1, "code"));
///     assert_eq!(queue.get().await.unwrap(), (2, "tests"));
/// });
/// ```
#[doc(alias = "BinaryHeap")]
pub type PriorityQueue<T> = BaseQueue<T, SmallestFirst<T>>;

/// A queue that gives its newest item out first. Its methods are those of [`BaseQueue`].
///
/// # asyncio
/// `asyncio.LifoQueue`.
///
/// # Examples
/// ```
/// use evloop::LifoQueue;
///
/// evloop::run(async {
///     let queue = LifoQueue::new(0);
///     queue.put(1).await.unwrap();
///     queue.put(2).await.unwrap();
///     assert_eq!(queue.get().await.unwrap(), 2);
/// });
/// ```
#[doc(alias = "stack")]
pub type LifoQueue<T> = BaseQueue<T, NewestFirst<T>>;

#[cfg(test)]
mod tests;
