//! Queues: who is woken, who may be overtaken, and how a queue ends: O22, O23, O37.

use std::rc::Rc;

use evloop::{AllCompleted, Queue, catch_cancel, create_task, gather, wait, yield_now};

use crate::trace::Trace;

/// O22. c1 and c2 wait in get; put x wakes c1, but main takes x with `get_nowait` in the same step; then
/// put y, put z. A woken getter looks again, and finding nothing it joins the end of the line.
///
/// CPython: `2:c1 waits | 2:c2 waits | 2:thief got x | 4:c2 got y | 4:c1 got z`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o22_an_overtaken_getter_joins_the_end_of_the_line() {
    async fn consumer(trace: Trace, queue: Rc<Queue<char>>, name: &'static str) {
        trace.log(format_args!("{name} waits"));
        let item = queue.get().await.unwrap();
        trace.log(format_args!("{name} got {item}"));
    }
    let trace = Trace::new();
    let queue = Rc::new(Queue::new(0));
    let tasks = ["c1", "c2"].map(|name| create_task(consumer(trace.clone(), queue.clone(), name)));
    yield_now().await;
    queue.put_nowait('x').unwrap();
    trace.log(format_args!("thief got {}", queue.get_nowait().unwrap()));
    yield_now().await;
    queue.put_nowait('y').unwrap();
    queue.put_nowait('z').unwrap();
    gather(tasks).await.unwrap();
    assert_eq!(trace.take(), ["2:c1 waits", "2:c2 waits", "2:thief got x", "4:c2 got y", "4:c1 got z"]);
}

/// O22, second run: put x wakes a, then a is cancelled. The wake-up goes to the next, no item is lost.
///
/// CPython: `3:a cancelled; qsize 1 | 4:b got x`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o22_a_cancelled_getter_passes_its_call_on() {
    async fn consumer(trace: Trace, queue: Rc<Queue<char>>, name: char) {
        match catch_cancel(queue.get()).await {
            Ok(item) => trace.log(format_args!("{name} got {}", item.unwrap())),
            Err(cancellation) => {
                trace.log(format_args!("{name} cancelled; qsize {}", queue.qsize()));
                cancellation.rethrow().await
            }
        }
    }
    let trace = Trace::new();
    let queue = Rc::new(Queue::new(0));
    let a = create_task(consumer(trace.clone(), queue.clone(), 'a'));
    let b = create_task(consumer(trace.clone(), queue.clone(), 'b'));
    yield_now().await;
    queue.put_nowait('x').unwrap();
    a.cancel();
    wait([&a, &b], AllCompleted, None).await;
    assert!(a.cancelled() && b.result().unwrap().is_ok());
    assert_eq!(trace.take(), ["3:a cancelled; qsize 1", "4:b got x"]);
}

/// O23. `Queue(1)`; a producer puts 0 to 3, a consumer gets and calls `task_done`; a third task joins in
/// its second step. join returns the first time that the unfinished count is zero, here when 1 was done
/// before 2 was put.
///
/// CPython: `2:put 0 | 2:got 0 | 3:put 1 | 4:got 1 | 5:put 2 | 5:joined | 6:got 2 | 7:put 3 | 8:got 3`.
/// Ours: the same.
#[evloop::test(order = "fifo")]
async fn o23_producer_and_consumer_of_a_bounded_queue_wake_each_other_for_the_next_tick() {
    async fn producer(trace: Trace, queue: Rc<Queue<u32>>) {
        for i in 0..4 {
            queue.put(i).await.unwrap();
            trace.log(format_args!("put {i}"));
        }
    }
    async fn consumer(trace: Trace, queue: Rc<Queue<u32>>) {
        for _ in 0..4 {
            let i = queue.get().await.unwrap();
            trace.log(format_args!("got {i}"));
            queue.task_done();
        }
    }
    async fn joiner(trace: Trace, queue: Rc<Queue<u32>>) {
        yield_now().await;
        queue.join().await;
        trace.log("joined");
    }
    let trace = Trace::new();
    let queue = Rc::new(Queue::new(1));
    let with = || (trace.clone(), queue.clone());
    let ((t1, q1), (t2, q2), (t3, q3)) = (with(), with(), with());
    gather((producer(t1, q1), consumer(t2, q2), joiner(t3, q3))).await.unwrap();
    assert_eq!(
        trace.take(),
        ["2:put 0", "2:got 0", "3:put 1", "4:got 1", "5:put 2", "5:joined", "6:got 2", "7:put 3", "8:got 3"]
    );
}

/// O37, queue shut-down, with one item in the queue, two blocked putters and a joiner; the getter comes a
/// tick later. Blocked putters fail, getters drain first, and join still needs `task_done`.
///
/// CPython: `2:shutdown() | 3:put i1 ShutDown | 3:put i2 ShutDown | 4:g got i0 | 4:g ShutDown | 5:joined`.
/// Ours: the same.
///
/// The barrier of O37 is in `sync.rs`; its eager tasks are left out, since the crate does not have them yet.
#[evloop::test(order = "fifo")]
async fn o37_shutdown_fails_blocked_putters_and_lets_getters_drain() {
    async fn putter(trace: Trace, queue: Rc<Queue<&'static str>>, item: &'static str) {
        let refused = queue.put(item).await.unwrap_err().0;
        trace.log(format_args!("put {refused} ShutDown"));
    }
    let trace = Trace::new();
    let queue = Rc::new(Queue::new(1));
    queue.put_nowait("i0").unwrap();
    let put = |item| create_task(putter(trace.clone(), queue.clone(), item));
    let putters = (put("i1"), put("i2"));
    let joiner = create_task({
        let (trace, queue) = (trace.clone(), queue.clone());
        async move {
            queue.join().await;
            trace.log("joined");
        }
    });
    yield_now().await;
    queue.shutdown();
    trace.log("shutdown()");
    yield_now().await;
    let getter = create_task({
        let (trace, queue) = (trace.clone(), queue.clone());
        async move {
            let item = queue.get().await.unwrap();
            trace.log(format_args!("g got {item}"));
            queue.task_done();
            if queue.get().await.is_err() {
                trace.log("g ShutDown");
            }
        }
    });
    gather((putters.0, putters.1, joiner, getter)).await.unwrap();
    assert_eq!(
        trace.take(),
        ["2:shutdown()", "3:put i1 ShutDown", "3:put i2 ShutDown", "4:g got i0", "4:g ShutDown", "5:joined"]
    );
}
