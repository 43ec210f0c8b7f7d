//! What differs between the three kinds of queue, and what all three must do: `LifoQueueTests`,
//! `PriorityQueueTests`, `_QueueJoinTestMixin` and `_QueueShutdownTestMixin`.

use evloop::{LifoQueue, PriorityQueue};

#[evloop::test]
async fn lifo_queue_test_order() {
    let queue = LifoQueue::new(0);
    for item in [1, 3, 2] {
        queue.put_nowait(item).unwrap();
    }
    assert_eq!([(); 3].map(|()| queue.get_nowait().unwrap()), [2, 3, 1]);
}

#[evloop::test]
async fn priority_queue_test_order() {
    let queue = PriorityQueue::new(0);
    for item in [1, 3, 2] {
        queue.put_nowait(item).unwrap();
    }
    assert_eq!([(); 3].map(|()| queue.get_nowait().unwrap()), [1, 2, 3]);
}

macro_rules! for_each_kind {
    ($($name:ident is $Queue:ident),+) => { $(
        mod $name {
            use std::cell::Cell;
            use std::rc::Rc;

            use evloop::testing::settle;
            use evloop::{
                $Queue, GetNowaitError, PutNowaitError, QueueShutDown, create_task, gather, yield_now,
            };

            use crate::support::panic_of;

            async fn assert_is_shut_down(queue: &$Queue<&'static str>) {
                assert_eq!(queue.put("data").await, Err(QueueShutDown("data")));
                assert_eq!(queue.put_nowait("data"), Err(PutNowaitError::QueueShutDown("data")));
                assert_eq!(queue.get().await, Err(QueueShutDown(())));
                assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueShutDown));
            }

            fn assert_nothing_is_unfinished(queue: &$Queue<&'static str>) {
                assert!(panic_of(|| queue.task_done()).contains("task_done() called too often"));
            }

            fn joining(queue: &Rc<$Queue<&'static str>>) -> evloop::Task<()> {
                let queue = queue.clone();
                create_task(async move { queue.join().await })
            }

            #[evloop::test]
            async fn test_task_done_underflow() {
                assert_nothing_is_unfinished(&$Queue::new(0));
            }

            #[evloop::test]
            async fn test_task_done() {
                let queue = Rc::new($Queue::new(0));
                for item in 0..100_u32 {
                    queue.put_nowait(item).unwrap();
                }
                let (sum, running) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(true)));
                let workers = [(), ()].map(|()| {
                    let (queue, sum, running) = (queue.clone(), sum.clone(), running.clone());
                    create_task(async move {
                        while running.get() {
                            let item = queue.get().await.unwrap();
                            sum.set(sum.get() + item);
                            yield_now().await;
                            queue.task_done();
                        }
                    })
                });
                queue.join().await;
                assert_eq!(sum.get(), (0..100).sum::<u32>());
                assert!(queue.empty());
                running.set(false);
                queue.put_nowait(0).unwrap();
                queue.put_nowait(0).unwrap();
                gather(workers).await.unwrap();
            }

            #[evloop::test]
            async fn test_join_empty_queue() {
                let queue = $Queue::<u8>::new(0);
                let iteration = crate::support::tick();
                queue.join().await;
                queue.join().await;
                assert_eq!(crate::support::tick(), iteration);
            }

            #[evloop::test]
            async fn test_shutdown_empty() {
                let queue = Rc::new($Queue::<&'static str>::new(0));
                let getter = create_task({
                    let queue = queue.clone();
                    async move { queue.get().await }
                });
                settle().await;
                queue.shutdown();
                assert_eq!(queue.qsize(), 0);
                queue.join().await;
                settle().await;
                assert!(getter.done());
                assert_eq!(getter.await.unwrap(), Err(QueueShutDown(())));
                assert_is_shut_down(&queue).await;
            }

            #[evloop::test]
            async fn test_shutdown_nonempty() {
                let queue = Rc::new($Queue::new(1));
                queue.put_nowait("data").unwrap();
                let join = joining(&queue);
                let put = create_task({
                    let queue = queue.clone();
                    async move { queue.put("data2").await }
                });
                settle().await;
                assert!(!put.done());
                queue.shutdown();
                assert_eq!(queue.qsize(), 1);
                settle().await;
                assert!(put.done());
                assert_eq!(put.await.unwrap(), Err(QueueShutDown("data2")));
                assert_eq!(queue.get().await, Ok("data"), "what is in comes out");
                assert!(!join.done());
                assert_is_shut_down(&queue).await;
                queue.task_done();
                settle().await;
                assert!(join.done());
                assert_nothing_is_unfinished(&queue);
            }

            #[evloop::test]
            async fn test_shutdown_immediate() {
                let queue = Rc::new($Queue::new(0));
                queue.put_nowait("data").unwrap();
                let join = joining(&queue);
                settle().await;
                assert!(!join.done());
                assert_eq!(queue.shutdown_now(), ["data"], "asyncio throws the items away");
                assert_eq!(queue.qsize(), 0);
                settle().await;
                assert!(join.done());
                assert_is_shut_down(&queue).await;
                assert_nothing_is_unfinished(&queue);
            }

            #[evloop::test]
            async fn test_shutdown_immediate_with_unfinished() {
                let queue = Rc::new($Queue::new(0));
                queue.put_nowait("data").unwrap();
                queue.put_nowait("data").unwrap();
                let join = joining(&queue);
                assert_eq!(queue.get().await, Ok("data"));
                assert_eq!(queue.shutdown_now().len(), 1);
                settle().await;
                assert!(!join.done(), "the item that was taken is not done");
                assert_is_shut_down(&queue).await;
                queue.task_done();
                settle().await;
                assert!(join.done());
                assert_nothing_is_unfinished(&queue);
            }
        }
    )+ };
}

for_each_kind! { queue is Queue, lifo_queue is LifoQueue, priority_queue is PriorityQueue }
