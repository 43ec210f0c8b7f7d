//! `QueueGetTests`.

use std::cell::Cell;
use std::rc::Rc;

use super::waiting;
use evloop::testing::settle;
use evloop::time::millis;
use evloop::{GetNowaitError, Queue, call_later, create_task, gather, now, wait_for, yield_now};

#[evloop::test]
async fn test_blocking_get() {
    let queue = Queue::new(0);
    queue.put_nowait(1).unwrap();
    let iteration = crate::support::tick();
    assert_eq!(queue.get().await.unwrap(), 1);
    assert_eq!(crate::support::tick(), iteration, "it did not wait");
}

#[evloop::test]
async fn test_get_with_putters() {
    let queue = Rc::new(Queue::new(1));
    queue.put_nowait(1).unwrap();
    let mut putters = Vec::new();
    for item in [2, 3] {
        let queue = queue.clone();
        putters.push(create_task(async move { queue.put(item).await }));
        settle().await;
    }
    assert_eq!(waiting(&queue), (0, 2));
    assert_eq!(queue.get().await.unwrap(), 1);
    assert_eq!(waiting(&queue), (0, 1), "one was woken");
    settle().await;
    assert!(putters[0].done() && !putters[1].done());
}

#[evloop::test]
async fn test_blocking_get_wait() {
    let (queue, finished) = (Rc::new(Queue::new(0)), Rc::new(Cell::new(false)));
    let start = now();
    let getter = create_task({
        let (queue, finished) = (queue.clone(), finished.clone());
        async move {
            let item = queue.get().await;
            finished.set(true);
            item
        }
    });
    yield_now().await;
    assert!(!finished.get());
    call_later(millis(10), move || queue.put_nowait(1).unwrap());
    assert_eq!(getter.await.unwrap().unwrap(), 1);
    assert!(finished.get());
    assert_eq!(now() - start, millis(10));
}

#[evloop::test]
async fn test_nonblocking_get() {
    let queue = Queue::new(0);
    queue.put_nowait(1).unwrap();
    assert_eq!(queue.get_nowait(), Ok(1));
}

#[evloop::test]
async fn test_nonblocking_get_exception() {
    assert_eq!(Queue::<u8>::new(0).get_nowait(), Err(GetNowaitError::QueueEmpty));
}

#[evloop::test]
async fn test_get_cancelled_race() {
    let queue = Rc::new(Queue::new(0));
    let [first, second] = [(), ()].map(|()| {
        let queue = queue.clone();
        create_task(async move { queue.get().await })
    });
    settle().await;
    first.cancel();
    settle().await;
    assert!(first.done());
    queue.put("a").await.unwrap();
    settle().await;
    assert!(second.done(), "it was the next in line, and nobody else took the item");
    assert_eq!(second.await.unwrap().unwrap(), "a");
}

#[evloop::test]
async fn test_get_with_waiting_putters() {
    let queue = Rc::new(Queue::new(1));
    for item in ["a", "b"] {
        let queue = queue.clone();
        create_task(async move { queue.put(item).await.unwrap() }).detach();
        settle().await;
    }
    assert_eq!(queue.get().await.unwrap(), "a");
    assert_eq!(queue.get().await.unwrap(), "b");
}

#[evloop::test]
async fn test_why_are_getters_waiting() {
    let queue = Rc::new(Queue::new(1));
    let consumer = {
        let queue = queue.clone();
        async move {
            for _ in 0..5 {
                queue.get().await.unwrap();
            }
        }
    };
    let producer = {
        let queue = queue.clone();
        async move {
            for item in 0..5 {
                queue.put(item).await.unwrap();
            }
        }
    };
    gather((producer, consumer)).await.unwrap();
    assert!(queue.empty());
    assert_eq!(waiting(&queue), (0, 0));
}

#[evloop::test]
async fn test_cancelled_getters_not_being_held_in_self_getters() {
    let queue = Queue::<u8>::new(5);
    assert!(wait_for(queue.get(), millis(100)).await.is_err());
    assert_eq!(waiting(&queue), (0, 0));
}
