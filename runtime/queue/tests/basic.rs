//! What each method does, with and without shut-down.

use crate::queue::{GetNowaitError, LifoQueue, PriorityQueue, PutNowaitError, Queue, QueueShutDown};
use crate::sync::tests::{Count, a_waker_panics_in, panicking_waker, poll};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};

#[test]
fn size_and_bound_are_exact() {
    let queue = Queue::new(1);
    assert!(queue.empty() && !queue.full());
    queue.put_nowait(1).unwrap();
    assert!(!queue.empty() && queue.full());
    assert_eq!((queue.qsize(), queue.maxsize()), (1, 1));
    assert_eq!(queue.put_nowait(2), Err(PutNowaitError::QueueFull(2)));
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueEmpty));
    let unbounded = Queue::new(0);
    (0..1_000).for_each(|i| unbounded.put_nowait(i).unwrap());
    assert!(!unbounded.full());
}

#[test]
fn each_kind_gives_out_its_own_order() {
    let fifo = Queue::new(0);
    let lifo = LifoQueue::new(0);
    let smallest = PriorityQueue::new(0);
    for item in [3, 1, 2] {
        fifo.put_nowait(item).unwrap();
        lifo.put_nowait(item).unwrap();
        smallest.put_nowait(item).unwrap();
    }
    assert_eq!(fifo.shutdown_now(), [3, 1, 2]);
    assert_eq!(lifo.shutdown_now(), [2, 1, 3]);
    assert_eq!(smallest.shutdown_now(), [1, 2, 3]);
}

#[test]
fn equal_priorities_come_in_order_of_arrival() {
    #[derive(Debug)]
    struct Job(u8, usize);
    impl Ord for Job {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }
    impl PartialOrd for Job {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl PartialEq for Job {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Job {}

    let queue = PriorityQueue::new(0);
    (0..60).for_each(|i| queue.put_nowait(Job((i % 3) as u8, i)).unwrap());
    let order: Vec<usize> = queue.shutdown_now().iter().map(|job| job.1).collect();
    let expected: Vec<usize> = (0..3).flat_map(|p| (p..60).step_by(3)).collect();
    assert_eq!(order, expected);
}

#[test]
fn waiters_that_are_dropped_leave_no_entry_behind() {
    let queue = Queue::new(1);
    let (count, waker) = Count::pair();
    let mut get = Box::pin(queue.get());
    assert!(poll(&mut get, &waker).is_pending());
    drop(get);
    queue.put_nowait(0).unwrap();
    let mut put = Box::pin(queue.put(1));
    assert!(poll(&mut put, &waker).is_pending());
    drop(put);
    assert_eq!((queue.getters.len(), queue.putters.len(), count.get()), (0, 0, 0));
    assert_eq!(queue.get_nowait(), Ok(0));
    assert!(queue.empty(), "the item of a dropped put is not stored");
}

#[test]
fn called_waiters_that_are_dropped_pass_the_call_on_if_it_still_holds() {
    let queue = Queue::new(1);
    let (count, waker) = Count::pair();
    let mut gets = [(); 3].map(|()| Box::pin(queue.get()));
    let [first, second, third] = &mut gets;
    assert!(poll(first, Waker::noop()).is_pending());
    assert!(poll(second, &waker).is_pending());
    assert!(poll(third, &waker).is_pending());
    queue.put_nowait(1).unwrap();
    let [first, second, third] = gets;
    drop(first);
    assert_eq!(count.get(), 1);
    assert_eq!(queue.get_nowait(), Ok(1));
    drop(second); // was called, but there is nothing any more
    assert_eq!(count.get(), 1);
    drop(third);

    let (count, waker) = Count::pair();
    queue.put_nowait(1).unwrap();
    let mut puts = [2, 3].map(|item| Box::pin(queue.put(item)));
    let [first, second] = &mut puts;
    assert!(poll(first, Waker::noop()).is_pending());
    assert!(poll(second, &waker).is_pending());
    assert_eq!(queue.get_nowait(), Ok(1));
    let [first, mut second] = puts;
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(matches!(poll(&mut second, &waker), Poll::Ready(Ok(()))));
    assert_eq!(queue.get_nowait(), Ok(3));
}

#[test]
fn a_poll_in_line_keeps_the_place_and_takes_nothing() {
    let queue = Queue::new(0);
    let ((a, waker_a), (b, waker_b)) = (Count::pair(), Count::pair());
    let mut first = Box::pin(queue.get());
    let mut second = Box::pin(queue.get());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, &waker_b).is_pending());
    assert!(poll(&mut first, &waker_a).is_pending());
    queue.put_nowait(1).unwrap();
    assert!(poll(&mut second, &waker_b).is_pending(), "the item is there, but it is not his turn");
    assert_eq!((a.get(), b.get()), (1, 0));
    assert_eq!(poll(&mut first, &waker_a), Poll::Ready(Ok(1)));
}

#[test]
fn shutdown_of_an_empty_queue_fails_everybody() {
    let queue = Queue::<u8>::new(0);
    let (count, waker) = Count::pair();
    let mut get = Box::pin(queue.get());
    assert!(poll(&mut get, &waker).is_pending());
    queue.shutdown();
    assert_eq!(count.get(), 1);
    assert_eq!(poll(&mut get, &waker), Poll::Ready(Err(QueueShutDown(()))));
    assert_eq!(queue.put_nowait(1), Err(PutNowaitError::QueueShutDown(1)));
    assert_eq!(queue.put_nowait(1).unwrap_err().into_item(), 1);
    assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueShutDown));
    assert_eq!(poll(&mut Box::pin(queue.put(2)), &waker), Poll::Ready(Err(QueueShutDown(2))));
    assert_eq!(poll(&mut Box::pin(queue.get()), &waker), Poll::Ready(Err(QueueShutDown(()))));
    assert!(poll(&mut Box::pin(queue.join()), &waker).is_ready());
}

#[test]
fn shutdown_now_returns_the_items_and_counts_them_as_done() {
    let queue = Queue::new(0);
    let (count, waker) = Count::pair();
    (0..4).for_each(|i| queue.put_nowait(i).unwrap());
    assert_eq!(queue.get_nowait(), Ok(0));
    let mut join = Box::pin(queue.join());
    assert!(poll(&mut join, &waker).is_pending());
    assert_eq!(queue.shutdown_now(), [1, 2, 3]);
    assert!(poll(&mut join, &waker).is_pending(), "one item was taken and is not done");
    queue.task_done();
    assert_eq!(count.get(), 1);
    assert!(poll(&mut join, &waker).is_ready());
    assert!(queue.shutdown_now().is_empty());
}

#[test]
#[should_panic(expected = "task_done() called too often: call it once for each item taken")]
fn task_done_on_a_fresh_queue_panics() {
    Queue::<u8>::new(0).task_done();
}

#[test]
fn errors_need_no_debug_of_the_item_and_say_what_to_do() {
    struct Plain;
    let queue = Queue::new(1);
    queue.put_nowait(Plain).unwrap();
    let full = queue.put_nowait(Plain).unwrap_err();
    assert_eq!(format!("{full:?}"), "QueueFull(..)");
    assert_eq!(full.to_string(), "the queue is full: await put() to wait for room");
    assert_eq!(
        format!("{queue:?}"),
        "Queue { qsize: 1, maxsize: 1, unfinished: 1, is_shut_down: false, getters: 0, putters: 0, .. }"
    );
}

#[test]
fn an_item_may_use_the_queue_when_it_is_dropped() {
    struct Meddler(Rc<Queue<Option<Meddler>>>, Rc<Cell<usize>>);
    impl Drop for Meddler {
        fn drop(&mut self) {
            self.0.put_nowait(None).unwrap_err();
            self.1.set(self.1.get() + self.0.qsize() + 1);
        }
    }
    let (queue, drops) = (Rc::new(Queue::new(2)), Rc::new(Cell::new(0)));
    let meddler = || Some(Meddler(queue.clone(), drops.clone()));
    queue.put_nowait(meddler()).unwrap();
    queue.put_nowait(meddler()).unwrap();
    drop(queue.put_nowait(meddler()));
    let mut put = Box::pin(queue.put(meddler()));
    assert!(poll(&mut put, Waker::noop()).is_pending());
    drop(put);
    assert_eq!(drops.get(), 6, "two refused items saw two in the queue");
    drop(queue.shutdown_now());
    assert_eq!(drops.get(), 8);
}

#[test]
fn a_waker_that_panics_does_not_stop_a_shut_down() {
    let queue = Queue::new(1);
    queue.put_nowait(1).unwrap();
    let (count, waker) = Count::pair();
    let mut put = Box::pin(queue.put(2));
    let mut join = Box::pin(queue.join());
    assert!(poll(&mut put, &waker).is_pending());
    assert!(poll(&mut join, &panicking_waker()).is_pending());
    assert!(a_waker_panics_in(|| drop(queue.shutdown_now())));
    assert_eq!(count.get(), 1);
    assert!(matches!(poll(&mut put, &waker), Poll::Ready(Err(refused)) if refused.0 == 2));
}

/// An item that is like no other, once there are two others beside it.
#[derive(Debug, PartialEq, Eq)]
struct Incomparable(u32);

impl PartialOrd for Incomparable {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Incomparable {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let panics = [self.0, other.0].contains(&2) && [self.0, other.0].contains(&3);
        assert!(!panics, "expected: a comparison panics");
        self.0.cmp(&other.0)
    }
}

#[test]
fn an_item_that_is_lost_to_a_comparison_is_not_waited_for() {
    for now in [false, true] {
        let queue = PriorityQueue::new(0);
        for item in [1, 2, 3] {
            queue.put_nowait(Incomparable(item)).unwrap();
        }
        let taken = catch_unwind(AssertUnwindSafe(|| {
            if now {
                drop(queue.shutdown_now());
            } else {
                drop(queue.get_nowait());
            }
        }));
        assert!(taken.is_err(), "2 and 3 are compared when 1 is taken");
        let left = if now { 0 } else { 2 };
        assert_eq!((queue.qsize(), queue.stats().unfinished), (left, left));
        if !now {
            queue.get_nowait().unwrap();
            queue.get_nowait().unwrap();
            queue.task_done();
            queue.task_done();
        }
        assert!(poll(&mut Box::pin(queue.join()), Waker::noop()).is_ready());
    }
}
