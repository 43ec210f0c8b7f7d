//! What all queues have in common: bound, lines, counting, shut-down.
//!
//! The algorithm is asyncio's: `put` stores the item and then calls the first in the line of
//! getters; a called getter looks again when it runs, and if somebody was faster it joins the end of
//! the line. Full and putters are the mirror image. Nobody owns what he was called for, so nothing
//! is lost when he is dropped: he passes the call on if there is still something to take.
//!
//! ```text
//!  put ── full? ──► line of putters          get ── empty? ──► line of getters
//!   │                  ▲  call the first       │                   ▲  call the first
//!   ▼                  └───────────────────────┼── item taken      │
//!  item stored ────────────────────────────────┼───────────────────┘
//!                                              ▼
//!                       task_done, unfinished = 0 ──► all joiners
//! ```
//!
//! Whoever finds what he wants goes on without suspending. The order of the items is *not* decided
//! here but by the buffer.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use super::buffer::Buffer;
use super::error::{GetNowaitError, PutNowaitError, QueueShutDown};
use super::stats::QueueStats;
use super::waiting::{Get, Join, Put};
use crate::kernel::WaitList;

/// What [`Queue`], [`PriorityQueue`] and [`LifoQueue`] have in common, that is, everything but the
/// order of the items. Use it by those names.
///
/// What the items borrow must live as long as the queue: declare it before.
///
/// [`Queue`]: super::Queue
/// [`PriorityQueue`]: super::PriorityQueue
/// [`LifoQueue`]: super::LifoQueue
pub struct BaseQueue<T, B> {
    buffer: B,
    maxsize: usize,
    /// A put that finds fewer items in has nothing else to ask: there is room, and no new peak. So it is the peak, and
    /// zero after the shut-down.
    limit: Cell<usize>,
    peak_size: Cell<usize>,
    /// Items that were reported as done, counted as the buffer counts those that it has seen: the others are unfinished,
    /// of which neither put nor get need keep an account.
    done: Cell<usize>,
    is_shut_down: Cell<bool>,
    pub(super) getters: WaitList,
    pub(super) putters: WaitList,
    pub(super) joiners: WaitList,
    items: PhantomData<T>,
}

impl<T, B: Buffer<T>> BaseQueue<T, B> {
    /// Makes an empty queue for at most `maxsize` items; 0 means: any number.
    ///
    /// # asyncio
    /// `asyncio.Queue(maxsize)`.
    pub fn new(maxsize: usize) -> Self {
        BaseQueue {
            buffer: B::default(),
            maxsize,
            limit: Cell::new(0),
            peak_size: Cell::new(0),
            done: Cell::new(0),
            is_shut_down: Cell::new(false),
            getters: WaitList::of("Queue::get"),
            putters: WaitList::of("Queue::put"),
            joiners: WaitList::of("Queue::join"),
            items: PhantomData,
        }
    }

    /// How many items the queue may hold; 0 means: any number.
    ///
    /// # asyncio
    /// `queue.maxsize`.
    pub fn maxsize(&self) -> usize {
        self.maxsize
    }

    /// How many items are in the queue.
    ///
    /// # asyncio
    /// `queue.qsize()`.
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.buffer.len()
    }

    /// Is no item in the queue?
    ///
    /// # asyncio
    /// `queue.empty()`.
    #[doc(alias = "is_empty")]
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Does the queue hold `maxsize` items? Never true of an unbounded queue.
    ///
    /// # asyncio
    /// `queue.full()`.
    #[doc(alias = "is_full")]
    pub fn full(&self) -> bool {
        self.is_full_with(self.qsize())
    }

    /// Puts an item in, waiting while the queue is full.
    ///
    /// Waiting tasks are called in the order in which they began to wait. A task that is called and
    /// finds the room taken by somebody else joins the end of the line.
    ///
    /// # Errors
    /// [`QueueShutDown`] with the item if the queue is shut down, also during the wait and even if
    /// room appears.
    ///
    /// # Cancel safety
    /// Lossy. Dropping the future before it is done drops the item with it; the queue is as before,
    /// and a turn already granted passes to the next in line.
    ///
    /// # asyncio
    /// `await queue.put(item)`. Same order.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let queue = evloop::Queue::new(1);
    ///     queue.put("a").await.unwrap();
    ///     queue.shutdown();
    ///     assert_eq!(queue.put("b").await.unwrap_err().0, "b");
    /// });
    /// ```
    #[doc(alias = "send")]
    pub fn put(&self, item: T) -> impl Future<Output = Result<(), QueueShutDown<T>>> {
        Put::new(self, item)
    }

    /// Puts an item in if there is room.
    ///
    /// # Errors
    /// With the item, [`QueueFull`](PutNowaitError::QueueFull) if there is no room,
    /// [`QueueShutDown`](PutNowaitError::QueueShutDown) if the queue is shut down.
    ///
    /// # asyncio
    /// `queue.put_nowait(item)`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{PutNowaitError, Queue};
    ///
    /// let queue = Queue::new(1);
    /// queue.put_nowait(1).unwrap();
    /// assert_eq!(queue.put_nowait(2), Err(PutNowaitError::QueueFull(2)));
    /// ```
    #[doc(alias = "try_send")]
    #[inline]
    pub fn put_nowait(&self, item: T) -> Result<(), PutNowaitError<T>> {
        self.put_now(item).map_err(|item| {
            if self.is_shut_down.get() {
                PutNowaitError::QueueShutDown(item)
            } else {
                PutNowaitError::QueueFull(item)
            }
        })
    }

    /// As [`put_nowait`](Self::put_nowait), for those who wait if it fails.
    #[inline(always)]
    pub(super) fn put_now(&self, item: T) -> Result<(), T> {
        let len = self.buffer.len();
        if len >= self.limit.get() && !self.raise_limit(len) {
            return Err(item);
        }
        self.buffer.push(item);
        self.getters.wake_one();
        Ok(())
    }

    /// Is there room for one more than `len`, which are more than ever?
    #[cold]
    fn raise_limit(&self, len: usize) -> bool {
        let has_room = !self.is_full_with(len) && !self.is_shut_down.get();
        if has_room {
            self.limit.set(len + 1);
            self.peak_size.set(len + 1);
        }
        has_room
    }

    /// Removes and returns the next item, waiting while the queue is empty.
    ///
    /// Waiting tasks are called in the order in which they began to wait. A task that is called and
    /// finds the item taken by somebody else joins the end of the line.
    ///
    /// # Errors
    /// [`QueueShutDown`] if the queue is shut down and nothing is left in it.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future takes no item; a turn already granted passes to the next in line.
    ///
    /// # asyncio
    /// `await queue.get()`. Same order; items are moved out, not shared.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let queue = evloop::Queue::new(0);
    ///     queue.put(1).await.unwrap();
    ///     queue.shutdown();
    ///     assert_eq!(queue.get().await.unwrap(), 1); // what is in comes out
    ///     assert!(queue.get().await.is_err());
    /// });
    /// ```
    #[doc(alias = "recv")]
    pub fn get(&self) -> impl Future<Output = Result<T, QueueShutDown>> {
        Get::new(self)
    }

    /// Removes and returns the next item if there is one.
    ///
    /// # Errors
    /// [`QueueEmpty`](GetNowaitError::QueueEmpty) if there is none,
    /// [`QueueShutDown`](GetNowaitError::QueueShutDown) if there will never be one again.
    ///
    /// # asyncio
    /// `queue.get_nowait()`.
    ///
    /// # Examples
    /// ```
    /// use evloop::{GetNowaitError, Queue};
    ///
    /// let queue = Queue::new(0);
    /// queue.put_nowait('a').unwrap();
    /// assert_eq!(queue.get_nowait(), Ok('a'));
    /// assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueEmpty));
    /// ```
    #[doc(alias = "try_recv")]
    #[inline]
    pub fn get_nowait(&self) -> Result<T, GetNowaitError> {
        match self.get_now() {
            Some(item) => Ok(item),
            None if self.is_shut_down.get() => Err(GetNowaitError::QueueShutDown),
            None => Err(GetNowaitError::QueueEmpty),
        }
    }

    /// As [`get_nowait`](Self::get_nowait), for those who wait if it fails.
    #[inline(always)]
    pub(super) fn get_now(&self) -> Option<T> {
        let item = self.buffer.pop()?;
        self.putters.wake_one();
        Some(item)
    }

    /// Reports that the work on one item that was taken is done.
    ///
    /// Consumers call it once for each item, so that [`join`](BaseQueue::join) knows when all is
    /// done. It is allowed after a shut-down.
    ///
    /// # Panics
    /// If it is called more often than items were put.
    ///
    /// # asyncio
    /// `queue.task_done()`, with a panic in place of `ValueError`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let queue = evloop::Queue::new(0);
    ///     queue.put(1).await.unwrap();
    ///     queue.get().await.unwrap();
    ///     queue.task_done();
    ///     queue.join().await;
    /// });
    /// ```
    #[track_caller]
    pub fn task_done(&self) {
        let unfinished = self.unfinished();
        assert!(unfinished > 0, "task_done() called too often: call it once for each item taken");
        self.done.set(self.done.get().wrapping_add(1));
        if unfinished == 1 {
            self.joiners.wake_all();
        }
    }

    /// Waits until every item that was put has been reported as done.
    ///
    /// Returns at once if nothing is unfinished; else after the first moment at which nothing is,
    /// even if more has been put before the waiting task runs.
    ///
    /// # Cancel safety
    /// Safe. Dropping the future changes nothing.
    ///
    /// # asyncio
    /// `await queue.join()`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let queue = evloop::Queue::<u8>::new(0);
    ///     queue.join().await; // nothing to wait for
    /// });
    /// ```
    pub fn join(&self) -> impl Future<Output = ()> {
        Join::new(self)
    }

    /// Ends the queue: from now on every put fails, and every get once the queue is empty.
    ///
    /// Calls all who wait; waiting putters fail, even if there is room when they run. For
    /// [`join`](BaseQueue::join) the items that are left still have to be taken and done.
    ///
    /// # asyncio
    /// `queue.shutdown()`.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let queue = evloop::Queue::new(0);
    ///     queue.put(1).await.unwrap();
    ///     queue.shutdown();
    ///     assert!(queue.put(2).await.is_err());
    ///     assert_eq!(queue.get().await.unwrap(), 1);
    ///     assert!(queue.get().await.is_err());
    /// });
    /// ```
    #[doc(alias = "close")]
    pub fn shutdown(&self) {
        self.is_shut_down.set(true);
        self.limit.set(0);
        WaitList::wake_all_of(&[&self.getters, &self.putters]);
    }

    /// Ends the queue at once and returns the items that were left in it, next one first.
    ///
    /// The items count as done. Those that were taken before still need their
    /// [`task_done`](BaseQueue::task_done) before [`join`](BaseQueue::join) returns.
    ///
    /// # asyncio
    /// `queue.shutdown(immediate=True)`, which throws the items away.
    ///
    /// # Examples
    /// ```
    /// evloop::run(async {
    ///     let queue = evloop::Queue::new(0);
    ///     queue.put(1).await.unwrap();
    ///     queue.put(2).await.unwrap();
    ///     assert_eq!(queue.shutdown_now(), [1, 2]);
    ///     assert!(queue.get().await.is_err());
    ///     queue.join().await;
    /// });
    /// ```
    pub fn shutdown_now(&self) -> Vec<T> {
        self.is_shut_down.set(true);
        self.limit.set(0);
        // Of those that are left some may have been reported before: at most all are done now.
        let at_work = self.unfinished().saturating_sub(self.qsize());
        self.done.set(self.buffer.seen().wrapping_sub(at_work));
        let left = self.buffer.take();
        let items: Vec<T> = std::iter::from_fn(|| left.pop()).collect();
        // All in one call: a waker that panics keeps nobody from his.
        let lines = [&self.joiners, &self.getters, &self.putters];
        WaitList::wake_all_of(if at_work == 0 { &lines } else { &lines[1..] });
        items
    }

    /// How many items are in, how many are unfinished, and who waits.
    ///
    /// # asyncio
    /// No counterpart.
    ///
    /// # Examples
    /// ```
    /// let queue = evloop::Queue::new(0);
    /// queue.put_nowait('a').unwrap();
    /// queue.put_nowait('b').unwrap();
    /// queue.get_nowait().unwrap();
    /// let stats = queue.stats();
    /// assert_eq!((stats.size, stats.peak_size, stats.unfinished), (1, 2, 2));
    /// ```
    pub fn stats(&self) -> QueueStats {
        QueueStats {
            size: self.qsize(),
            peak_size: self.peak_size.get(),
            unfinished: self.unfinished(),
            getters: self.getters.len(),
            peak_getters: self.getters.peak(),
            putters: self.putters.len(),
            peak_putters: self.putters.peak(),
            joiners: self.joiners.len(),
        }
    }

    /// Items that were put and not reported as done yet.
    pub(super) fn unfinished(&self) -> usize {
        self.buffer.seen().wrapping_sub(self.done.get())
    }

    fn is_full_with(&self, len: usize) -> bool {
        self.maxsize != 0 && len >= self.maxsize
    }
}

impl<T, B: Buffer<T>> fmt::Debug for BaseQueue<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(B::NAME)
            .field("qsize", &self.qsize())
            .field("maxsize", &self.maxsize)
            .field("unfinished", &self.unfinished())
            .field("is_shut_down", &self.is_shut_down.get())
            .field("getters", &self.getters.len())
            .field("putters", &self.putters.len())
            .finish_non_exhaustive()
    }
}
