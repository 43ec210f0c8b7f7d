//! `QueuePutTests`.

use std::cell::Cell;
use std::rc::Rc;

use super::waiting;
use evloop::testing::settle;
use evloop::time::millis;
use evloop::{PutNowaitError, Queue, Task, call_later, create_task, gather, now, wait_for, yield_now};

type Put<T> = Task<Result<(), evloop::QueueShutDown<T>>>;

fn putter<T: 'static>(queue: &Rc<Queue<T>>, item: T) -> Put<T> {
    let queue = queue.clone();
    create_task(async move { queue.put(item).await })
}

fn getter<T: 'static>(queue: &Rc<Queue<T>>) -> Task<T> {
    let queue = queue.clone();
    create_task(async move { queue.get().await.unwrap() })
}

#[evloop::test]
async fn test_blocking_put() {
    let queue = Queue::new(0);
    let iteration = crate::support::tick();
    queue.put(1).await.unwrap();
    assert_eq!(crate::support::tick(), iteration, "it did not wait");
    assert_eq!(queue.get_nowait(), Ok(1));
}

#[evloop::test]
async fn test_blocking_put_wait() {
    let (queue, finished) = (Rc::new(Queue::new(1)), Rc::new(Cell::new(false)));
    let start = now();
    let task = create_task({
        let (queue, finished) = (queue.clone(), finished.clone());
        async move {
            queue.put(1).await.unwrap();
            queue.put(2).await.unwrap();
            finished.set(true);
        }
    });
    call_later(millis(10), {
        let queue = queue.clone();
        move || assert_eq!(queue.get_nowait(), Ok(1))
    });
    yield_now().await;
    assert!(!finished.get());
    task.await.unwrap();
    assert!(finished.get());
    assert_eq!(now() - start, millis(10));
    assert_eq!(queue.get_nowait(), Ok(2));
}

#[evloop::test]
async fn test_nonblocking_put() {
    let queue = Queue::new(0);
    queue.put_nowait(1).unwrap();
    assert_eq!(queue.get_nowait(), Ok(1));
}

#[evloop::test]
async fn test_get_cancel_drop_one_pending_reader() {
    let queue = Rc::new(Queue::new(0));
    let reader = getter(&queue);
    yield_now().await;
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    reader.cancel();
    let item = match reader.await {
        Ok(item) => item,
        Err(_) => getter(&queue).await.unwrap(),
    };
    assert_eq!(item, 1, "if this is 2, then 1 was lost");
}

#[evloop::test]
async fn test_get_cancel_drop_many_pending_readers() {
    let queue = Rc::new(Queue::new(0));
    let [first, second, third] = [(), (), ()].map(|()| getter(&queue));
    yield_now().await;
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    first.cancel();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(third.await.unwrap() + second.await.unwrap(), 3, "one each, none lost");
}

#[evloop::test]
async fn test_put_cancel_drop() {
    let queue = Rc::new(Queue::new(1));
    queue.put_nowait(1).unwrap();
    let writer = putter(&queue, 2);
    yield_now().await;
    assert_eq!(queue.get_nowait(), Ok(1));
    writer.cancel();
    assert!(writer.await.unwrap_err().is_cancelled());
    assert_eq!(queue.qsize(), 0, "the slot is free and the item was not stored");
    putter(&queue, 2).await.unwrap().unwrap();
    assert_eq!(queue.get_nowait(), Ok(2));
    assert_eq!(queue.qsize(), 0);
}

#[evloop::test]
async fn test_nonblocking_put_exception() {
    let queue = Queue::new(1);
    queue.put_nowait(1).unwrap();
    assert_eq!(queue.put_nowait(2), Err(PutNowaitError::QueueFull(2)));
}

#[evloop::test]
async fn test_put_cancelled() {
    let queue = Rc::new(Queue::new(0));
    let task = create_task({
        let queue = queue.clone();
        async move {
            queue.put(1).await.unwrap();
            true
        }
    });
    assert_eq!(queue.get().await.unwrap(), 1);
    assert!(task.done());
    assert!(matches!(task.result(), Some(Ok(true))));
}

#[evloop::test]
async fn test_put_cancelled_race() {
    let queue = Rc::new(Queue::new(1));
    let a = putter(&queue, "a");
    settle().await;
    let [b, c] = ["b", "X"].map(|item| putter(&queue, item));
    settle().await;
    assert!(a.done() && !b.done());
    c.cancel();
    settle().await;
    assert!(c.done());
    assert_eq!(queue.get().await.unwrap(), "a");
    settle().await;
    assert_eq!(queue.get().await.unwrap(), "b");
    b.await.unwrap().unwrap();
}

#[evloop::test]
async fn test_put_with_waiting_getters() {
    let queue = Rc::new(Queue::new(0));
    let task = getter(&queue);
    yield_now().await;
    queue.put("a").await.unwrap();
    assert_eq!(task.await.unwrap(), "a");
}

#[evloop::test]
async fn test_why_are_putters_waiting() {
    let queue = Rc::new(Queue::new(2));
    let empty_it = {
        let queue = queue.clone();
        async move {
            yield_now().await;
            for _ in 0..queue.qsize() {
                queue.get_nowait().unwrap();
            }
        }
    };
    let puts = [0, 1, 2, 3].map(|item| putter(&queue, item));
    let (taken, stored) = futures::join!(create_task(empty_it).join(), gather(puts));
    taken.unwrap();
    assert!(stored.unwrap().iter().all(Result::is_ok));
    assert_eq!((queue.qsize(), waiting(&queue)), (2, (0, 0)));
}

#[evloop::test]
async fn test_cancelled_puts_not_being_held_in_self_putters() {
    let queue = Queue::new(1);
    queue.put(1).await.unwrap();
    assert!(wait_for(queue.put(2), millis(100)).await.is_err());
    assert_eq!((queue.qsize(), waiting(&queue)), (1, (0, 0)));
}

#[evloop::test]
async fn test_cancelled_put_silence_value_error_exception() {
    let queue = Rc::new(Queue::new(1));
    queue.put_nowait(1).unwrap();
    let task = putter(&queue, 2);
    settle().await;
    assert_eq!(waiting(&queue), (0, 1));
    // The getter takes the putter out of the line; then the putter is cancelled.
    queue.get_nowait().unwrap();
    assert_eq!(waiting(&queue), (0, 0));
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!((queue.qsize(), waiting(&queue)), (0, (0, 0)));
}
