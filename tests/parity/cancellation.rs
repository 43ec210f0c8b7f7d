//! When a cancellation lands, what it beats, and how it travels: O15 to O19.

use std::future::pending;

use evloop::{
    AllCompleted, Promise, TaskError, catch_cancel, create_task, current_task, on_cancel, wait, yield_now,
};

use crate::trace::{Trace, yields};

/// O15. A task waits on fut; main calls `cancel()`, then awaits the task. The error appears one tick after
/// the request, the observers see it one tick after that.
///
/// CPython: `2:cancel() -> true, fut cancelled, task not done, count 1 | 3:caught in task | 4:task done
/// callback, cancelled | 4:parent sees cancellation | 4:cancel again -> false`.
///
/// Ours deviates by design in one thing: fut is not cancelled. A promise may have other owners, and in
/// Rust leaving off waiting for something does not change it.
#[evloop::test(order = "fifo")]
async fn o15_a_cancellation_lands_one_tick_after_the_request() {
    let trace = Trace::new();
    let promise = Promise::<()>::new();
    let task = create_task({
        let (trace, promise) = (trace.clone(), promise.clone());
        async move {
            match catch_cancel(promise).await {
                Ok(result) => result.unwrap(),
                Err(cancellation) => {
                    trace.log("caught in task");
                    cancellation.rethrow().await
                }
            }
        }
    });
    let done = trace.clone();
    task.add_done_callback(move |task| {
        done.log(format_args!("task done callback, cancelled {}", task.cancelled()));
    });
    yield_now().await;
    trace.log(format_args!(
        "cancel() -> {}, fut cancelled {}, task done {}, count {}",
        task.cancel(),
        promise.cancelled(),
        task.done(),
        task.cancelling()
    ));
    let task_ref = task.task_ref();
    if let Err(TaskError::Cancelled(_)) = task.await {
        trace.log("parent sees cancellation");
    }
    trace.log(format_args!("cancel again -> {}", task_ref.cancel()));
    assert_eq!(
        trace.take(),
        [
            "2:cancel() -> true, fut cancelled false, task done false, count 1",
            "3:caught in task",
            "4:task done callback, cancelled true",
            "4:parent sees cancellation",
            "4:cancel again -> false"
        ]
    );
}

/// O16. `create_task(c)`; cancel at once; wait.
///
/// CPython: `4:cancelled True`, the body never ran. Ours: the same; the future is dropped unpolled.
#[evloop::test(order = "fifo")]
async fn o16_a_task_cancelled_before_its_first_step_never_runs() {
    let trace = Trace::new();
    let task = create_task({
        let trace = trace.clone();
        async move { trace.log("never") }
    });
    task.cancel();
    wait([&task], AllCompleted, None).await;
    trace.log(format_args!("cancelled {}", task.cancelled()));
    assert_eq!(trace.take(), ["4:cancelled true"]);
}

/// O17. A task waits on fut; main sets the result and in the same step cancels the task. Second run: also
/// `uncancel()`. The pending request beats the value at the next step; uncancel to zero withdraws it.
///
/// CPython: `3:CancelledError, fut result still 'R' | 5:cancelled True || 6:uncancel -> 0 | 7:got R |
/// 9:cancelled False`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o17_a_request_beats_a_value_that_is_only_just_ready() {
    async fn body(trace: Trace, promise: Promise<&'static str>) {
        match catch_cancel(&promise).await {
            Ok(value) => trace.log(format_args!("got {}", value.unwrap())),
            Err(cancellation) => {
                let result = promise.result().unwrap().unwrap();
                trace.log(format_args!("CancelledError, fut result still {result:?}"));
                cancellation.rethrow().await
            }
        }
    }
    let trace = Trace::new();
    for uncancel in [false, true] {
        let promise = Promise::new();
        let task = create_task(body(trace.clone(), promise.clone()));
        yield_now().await;
        promise.set_result("R").unwrap();
        task.cancel();
        if uncancel {
            trace.log(format_args!("uncancel -> {}", task.uncancel()));
        }
        wait([&task], AllCompleted, None).await;
        trace.log(format_args!("cancelled {}", task.cancelled()));
    }
    assert_eq!(
        trace.take(),
        [
            "3:CancelledError, fut result still \"R\"",
            "5:cancelled true",
            "6:uncancel -> 0",
            "7:got R",
            "9:cancelled false"
        ]
    );
}

/// O18 a and b. c1 cancels itself, awaits a done future, returns 5. c2 cancels itself, catches at
/// `sleep(0)`, awaits again. Nothing is delivered where nothing suspends, and one request once.
///
/// CPython: `2:c1 got done | 2:c1 returns | 3:c2 caught | 4:c2 second await ok, count 1 |
/// 6:t1 cancelled True, t2 result 6`.
///
/// Ours deviates by design: c1 keeps its value. It had returned before there was a step to deliver in, and
/// a value that was computed is not thrown away.
#[evloop::test(order = "fifo")]
async fn o18_a_request_is_delivered_once_and_only_where_a_task_suspends() {
    let trace = Trace::new();
    let done = Promise::new();
    done.set_result(()).unwrap();
    let t1 = create_task({
        let trace = trace.clone();
        async move {
            current_task().unwrap().cancel();
            done.await.unwrap();
            trace.log("c1 got done");
            trace.log("c1 returns");
            5
        }
    });
    let t2 = create_task({
        let trace = trace.clone();
        async move {
            let this = current_task().unwrap();
            this.cancel();
            if let Err(cancellation) = catch_cancel(yield_now()).await {
                cancellation.swallow();
                trace.log("c2 caught");
            }
            yield_now().await;
            trace.log(format_args!("c2 second await ok, count {}", this.cancelling()));
            6
        }
    });
    wait([&t1, &t2], AllCompleted, None).await;
    trace.log(format_args!(
        "t1 cancelled {}, result {}, t2 result {}",
        t1.cancelled(),
        t1.result().unwrap().unwrap(),
        t2.result().unwrap().unwrap()
    ));
    assert_eq!(
        trace.take(),
        [
            "2:c1 got done",
            "2:c1 returns",
            "3:c2 caught",
            "4:c2 second await ok, count 1",
            "6:t1 cancelled false, result 5, t2 result 6"
        ]
    );
}

/// O18 c. `cancel()` twice in one step: one delivery, and the count stays.
///
/// CPython: `3:caught once, count 2 | 4:survived | 6:result ok, count 2`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o18_two_requests_in_one_step_are_one_delivery() {
    let trace = Trace::new();
    let task = create_task({
        let trace = trace.clone();
        async move {
            if let Err(cancellation) = catch_cancel(pending::<()>()).await {
                cancellation.swallow();
                trace.log(format_args!("caught once, count {}", current_task().unwrap().cancelling()));
            }
            yield_now().await;
            trace.log("survived");
            "ok"
        }
    });
    yield_now().await;
    task.cancel();
    task.cancel();
    wait([&task], AllCompleted, None).await;
    let result = task.result().unwrap().unwrap();
    trace.log(format_args!("result {result}, count {}", task.cancelling()));
    assert_eq!(trace.take(), ["3:caught once, count 2", "4:survived", "6:result ok, count 2"]);
}

/// O18 d. `cancel()` in two successive ticks: the later request interrupts the cleanup of the earlier one.
/// Run with both ways of writing a cleanup.
///
/// CPython: `3:1st | 4:2nd interrupts cleanup | 6:cancelled True, count 2`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o18_a_later_request_interrupts_the_cleanup_of_an_earlier_one() {
    async fn interrupted(trace: Trace) {
        if let Err(second) = catch_cancel(pending::<()>()).await {
            trace.log("2nd interrupts cleanup");
            second.rethrow().await
        }
    }
    async fn by_token(trace: Trace) {
        if let Err(_first) = catch_cancel(pending::<()>()).await {
            trace.log("1st");
            interrupted(trace).await;
        }
    }
    async fn by_handler(trace: Trace) {
        on_cancel(pending::<()>(), async |_| {
            trace.log("1st");
            interrupted(trace.clone()).await;
        })
        .await
    }
    async fn twice(trace: Trace, task: evloop::Task<()>) -> Vec<String> {
        yield_now().await;
        task.cancel();
        yield_now().await;
        task.cancel();
        wait([&task], AllCompleted, None).await;
        trace.log(format_args!("cancelled {}, count {}", task.cancelled(), task.cancelling()));
        trace.take()
    }
    let expected = ["3:1st", "4:2nd interrupts cleanup", "6:cancelled true, count 2"];
    let trace = Trace::from_here();
    assert_eq!(twice(trace.clone(), create_task(by_token(trace))).await, expected);
    let trace = Trace::from_here();
    assert_eq!(twice(trace.clone(), create_task(by_handler(trace))).await, expected);
}

/// O19. A parent awaits a child task; cancel the parent. The child re-raises, or swallows and returns a
/// value: the parent only learns the child's outcome.
///
/// CPython: `3:parent.cancel() | 4:child caught | 5:parent cancelled`, and `9:parent.cancel() |
/// 10:child caught | 11:parent got child-value; parent not cancelled, count 1`.
///
/// Ours deviates by design: everything after the request is one tick later. `cancel()` only marks and
/// wakes; the parent is offered the request in its own step, where its `await` takes it and passes it on
/// to the child. asyncio walks down the chain of awaited tasks inside `cancel()`.
#[evloop::test(order = "fifo")]
async fn o19_a_cancel_travels_to_the_awaited_task_first() {
    async fn child(trace: Trace, swallow: bool) -> &'static str {
        match catch_cancel(pending()).await {
            Ok(value) => value,
            Err(cancellation) => {
                trace.log("child caught");
                if !swallow {
                    cancellation.rethrow().await
                }
                "child-value"
            }
        }
    }
    async fn parent(trace: Trace, swallow: bool) {
        match catch_cancel(create_task(child(trace.clone(), swallow))).await {
            Ok(value) => {
                let count = current_task().unwrap().cancelling();
                trace.log(format_args!("parent got {}; count {count}", value.unwrap()));
            }
            Err(cancellation) => {
                trace.log("parent cancelled");
                cancellation.rethrow().await
            }
        }
    }
    for swallow in [false, true] {
        let trace = Trace::from_here();
        let task = create_task(parent(trace.clone(), swallow));
        yields(2).await;
        trace.log("parent.cancel()");
        task.cancel();
        wait([&task], AllCompleted, None).await;
        assert_eq!(task.cancelled(), !swallow);
        let last = if swallow { "6:parent got child-value; count 1" } else { "6:parent cancelled" };
        assert_eq!(trace.take(), ["3:parent.cancel()", "5:child caught", last]);
    }
}
