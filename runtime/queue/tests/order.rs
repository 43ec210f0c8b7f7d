//! Traces of asyncio, event for event: scenarios O22, O23, O37 and the checklist's order tests.

use crate::queue::Queue;
use crate::sync::tests::HandLoop;
use std::cell::Cell;
use std::rc::Rc;

/// A task that gets one item and logs it.
fn getter(ev: &HandLoop, queue: &Rc<Queue<&'static str>>, name: &'static str) -> usize {
    let (ev, queue) = (ev.clone(), queue.clone());
    ev.clone().spawn(async move {
        match queue.get().await {
            Ok(item) => ev.log(format!("{name} got {item}")),
            Err(_) => ev.log(format!("{name} ShutDown")),
        }
    })
}

#[test]
fn an_overtaken_getter_joins_the_end_of_the_line() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(0));
        getter(&ev, &queue, "c1");
        getter(&ev, &queue, "c2");
        ev.yield_now().await;
        queue.put_nowait("x").unwrap();
        ev.log(format!("thief got {}", queue.get_nowait().unwrap()));
        ev.yield_now().await;
        queue.put_nowait("y").unwrap();
        queue.put_nowait("z").unwrap();
    });
    assert_eq!(trace, "2:thief got x | 4:c2 got y | 4:c1 got z");
}

#[test]
fn a_called_getter_that_is_cancelled_passes_the_call_on() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(0));
        let a = getter(&ev, &queue, "a");
        getter(&ev, &queue, "b");
        ev.yield_now().await;
        ev.cancel(a); // takes effect in a's next step
        queue.put_nowait("x").unwrap();
        ev.yield_now().await;
        ev.log(format!("a cancelled; qsize {}", queue.qsize()));
    });
    assert_eq!(trace, "3:a cancelled; qsize 1 | 4:b got x");
}

#[test]
fn three_getters_two_items_first_getter_cancelled() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(0));
        let ids = ["a", "b", "c"].map(|name| getter(&ev, &queue, name));
        ev.yield_now().await;
        queue.put_nowait("x").unwrap();
        queue.put_nowait("y").unwrap();
        ev.drop_now(ids[0]);
    });
    assert_eq!(trace, "3:b got x | 3:c got y");
}

#[test]
fn a_bound_of_one_makes_producer_and_consumer_alternate() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(1));
        let (e, q) = (ev.clone(), queue.clone());
        ev.spawn(async move {
            for item in 0..4 {
                q.put(item).await.unwrap();
                e.log(format!("put {item}"));
            }
        });
        let (e, q) = (ev.clone(), queue.clone());
        ev.spawn(async move {
            for _ in 0..4 {
                let item = q.get().await.unwrap();
                e.log(format!("got {item}"));
                q.task_done();
            }
        });
        ev.yield_now().await;
        let (e, q) = (ev.clone(), queue.clone());
        ev.spawn(async move {
            q.join().await;
            e.log("joined");
        });
    });
    assert_eq!(
        trace,
        "2:put 0 | 2:got 0 | 3:put 1 | 4:got 1 | 5:put 2 | 5:joined | 6:got 2 | 7:put 3 | 8:got 3"
    );
}

#[test]
fn shutdown_fails_blocked_putters_and_lets_getters_drain() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(1));
        queue.put_nowait("i0").unwrap();
        for item in ["i1", "i2"] {
            let (e, q) = (ev.clone(), queue.clone());
            ev.spawn(async move {
                assert_eq!(q.put(item).await.unwrap_err().0, item);
                e.log(format!("put {item} ShutDown"));
            });
        }
        let (e, q) = (ev.clone(), queue.clone());
        ev.spawn(async move {
            q.join().await;
            e.log("joined");
        });
        ev.yield_now().await;
        queue.shutdown();
        ev.log("shutdown()");
        ev.yield_now().await;
        ev.yield_now().await;
        ev.log(format!("g got {}", queue.get().await.unwrap()));
        queue.task_done();
        assert!(queue.get().await.is_err());
        ev.log("g ShutDown");
    });
    assert_eq!(
        trace,
        "2:shutdown() | 3:put i1 ShutDown | 3:put i2 ShutDown | 4:g got i0 | 4:g ShutDown | 5:joined"
    );
}

#[test]
fn a_putter_called_before_the_shutdown_fails_although_there_is_room() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(1));
        queue.put_nowait(0).unwrap();
        let (e, q) = (ev.clone(), queue.clone());
        ev.spawn(async move { e.log(format!("{:?}", q.put(1).await)) });
        ev.yield_now().await;
        queue.get_nowait().unwrap();
        queue.shutdown();
        ev.yield_now().await;
        ev.log(format!("qsize {}", queue.qsize()));
    });
    assert_eq!(trace, "3:Err(QueueShutDown(..)) | 3:qsize 0");
}

#[test]
fn blocked_putters_store_in_their_order() {
    let trace = HandLoop::trace(async |ev| {
        let queue = Rc::new(Queue::new(1));
        let ids = [0, 1, 2, 3].map(|item| {
            let queue = queue.clone();
            ev.spawn(async move { queue.put(item).await.unwrap() })
        });
        ev.yield_now().await;
        ev.drop_now(ids[2]);
        for _ in 0..3 {
            ev.log(format!("{}", queue.get().await.unwrap()));
        }
    });
    assert_eq!(trace, "2:0 | 4:1 | 6:3");
}

#[test]
fn join_returns_when_all_items_of_two_workers_are_done() {
    let done = Rc::new(Cell::new(0));
    let count = done.clone();
    let trace = HandLoop::trace(async move |ev| {
        let queue = Rc::new(Queue::new(0));
        (0..100).for_each(|item| queue.put_nowait(item).unwrap());
        for worker in 0..2 {
            let (ev, queue, count) = (ev.clone(), queue.clone(), count.clone());
            ev.clone().spawn(async move {
                while let Ok(item) = queue.get().await {
                    for _ in 0..(item + worker) % 3 {
                        ev.yield_now().await;
                    }
                    count.set(count.get() + 1);
                    queue.task_done();
                }
            });
        }
        queue.join().await;
        assert_eq!(count.get(), 100);
        queue.join().await; // at once, and as often as one likes
        queue.shutdown();
        ev.log(queue.qsize().to_string());
    });
    assert_eq!((done.get(), trace.ends_with(":0")), (100, true));
}
