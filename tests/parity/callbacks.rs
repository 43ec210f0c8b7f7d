//! One FIFO for tasks and callbacks, and what joins it in each iteration: O01 to O04, O13, O14, O38. Descriptors, which
//! O05 and O38 have as well, are in `descriptors.rs`.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;

use evloop::time::{now, secs};
use evloop::{
    Promise, call_at, call_later, call_soon, create_task, gather, get_running_loop, sleep, yield_now,
};

use crate::trace::{Trace, yields};

/// O01. main calls `call_soon(A)`, `create_task(task1)`, `call_soon(B)`, `create_task(task2)`, then
/// `sleep(0)`. A new task's first step is an ordinary entry, and `sleep(0)` re-queues main behind all four.
///
/// CPython: `1:main-before | 2:soonA | 2:task1 | 2:soonB | 2:task2 | 2:main-after`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o01_create_task_and_call_soon_share_one_fifo() {
    async fn task(trace: Trace, name: &'static str) {
        trace.log(name);
    }
    let trace = Trace::new();
    trace.log("main-before");
    call_soon(trace.logs("soonA"));
    create_task(task(trace.clone(), "task1")).detach();
    call_soon(trace.logs("soonB"));
    create_task(task(trace.clone(), "task2")).detach();
    yield_now().await;
    trace.log("main-after");
    assert_eq!(trace.take(), ["1:main-before", "2:soonA", "2:task1", "2:soonB", "2:task2", "2:main-after"]);
}

/// O02. `call_soon(f)`, `call_soon(h)`; f itself calls `call_soon(g)`; main yields twice. The number of
/// entries to run is fixed when a batch starts.
///
/// CPython: `2:f | 2:f-end | 2:h | 2:main1 | 3:g | 3:main2`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o02_a_callbacks_callback_waits_one_tick() {
    let trace = Trace::new();
    let f = trace.clone();
    call_soon(move || {
        f.log("f");
        call_soon(f.logs("g"));
        f.log("f-end");
    });
    call_soon(trace.logs("h"));
    yield_now().await;
    trace.log("main1");
    yield_now().await;
    trace.log("main2");
    assert_eq!(trace.take(), ["2:f", "2:f-end", "2:h", "2:main1", "3:g", "3:main2"]);
}

/// O03. `call_at` with the same overdue deadline for callbacks 0 to n-1.
///
/// CPython: n=3 `[0, 1, 2]`; n=4 `[0, 2, 1, 3]`; n=6 `[0, 2, 5, 4, 1, 3]`; n=8 `[0, 2, 6, 5, 7, 4, 1, 3]`.
///
/// Ours deviates by design: ties are first come, first served. Theirs come out of a binary heap that
/// compares deadlines only and are documented as unspecified.
#[evloop::test(order = "fifo")]
async fn o03_timer_ties_are_first_come_first_served() {
    for count in [3, 4, 6, 8] {
        let order = Rc::new(RefCell::new(Vec::new()));
        let (when, ticks) = (now(), Rc::new(Cell::new(Vec::new())));
        for i in 0..count {
            let (order, ticks) = (order.clone(), ticks.clone());
            call_at(when, move || {
                order.borrow_mut().push(i);
                let mut seen = ticks.take();
                seen.push(get_running_loop().unwrap().iterations());
                ticks.set(seen);
            });
        }
        yields(2).await;
        assert_eq!(*order.borrow(), (0..count).collect::<Vec<_>>());
        let ticks = ticks.take();
        assert!(ticks.iter().all(|tick| *tick == ticks[0]), "all in one iteration: {ticks:?}");
    }
}

/// O04. `call_later(0)`, `call_later(-1)`, `call_later(-2)`, `call_soon(soon)`, `sleep(0)`. Due timers come
/// after what is ready already, by deadline, in the same tick. A `Duration` is never negative: the port of
/// a negative delay is a time that has passed. The loop is 10 seconds old here, see the next test.
///
/// CPython: `2:soon | 2:main | 2:later-2 | 2:later-1 | 2:later0`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o04_due_timers_run_after_what_is_ready_in_order_of_their_deadlines() {
    sleep(secs(10)).await;
    assert_eq!(o04().await, ["2:soon", "2:main", "2:later-2", "2:later-1", "2:later0"]);
}

/// O04 as in CPython, on a loop that is younger than the deadlines are old. Same trace.
#[evloop::test(order = "fifo")]
async fn o04_deadlines_before_the_loops_birth_keep_their_order() {
    assert_eq!(o04().await, ["2:soon", "2:main", "2:later-2", "2:later-1", "2:later0"]);
}

async fn o04() -> Vec<String> {
    let trace = Trace::from_here();
    call_later(secs(0), trace.logs("later0"));
    call_at(now() - secs(1), trace.logs("later-1"));
    call_at(now() - secs(2), trace.logs("later-2"));
    call_soon(trace.logs("soon"));
    yield_now().await;
    trace.log("main");
    yield_now().await;
    trace.take()
}

/// O13. Tasks A and B each log three times with `sleep(0)` between.
///
/// CPython: `2:A0 | 2:B0 | 3:A1 | 3:B1 | 4:A2 | 4:B2`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o13_yielding_is_fair_round_robin() {
    async fn body(trace: Trace, name: char) {
        for i in 0..3 {
            trace.log(format_args!("{name}{i}"));
            yield_now().await;
        }
    }
    let trace = Trace::new();
    gather((body(trace.clone(), 'A'), body(trace.clone(), 'B'))).await.unwrap();
    assert_eq!(trace.take(), ["2:A0", "2:B0", "3:A1", "3:B1", "4:A2", "4:B2"]);
}

/// O14. A and B each create .x and .y, then yield. Children start before their parent goes on because
/// they were queued first.
///
/// CPython: `2:A | 2:B | 3:A.x | 3:A.y | 3:A end | 3:B.x | 3:B.y | 3:B end | 5:main`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o14_nested_creation_is_breadth_first() {
    async fn body(trace: Trace, name: char) {
        trace.log(name);
        for child in ['x', 'y'] {
            let trace = trace.clone();
            create_task(async move { trace.log(format_args!("{name}.{child}")) }).detach();
        }
        yield_now().await;
        trace.log(format_args!("{name} end"));
    }
    let trace = Trace::new();
    gather((body(trace.clone(), 'A'), body(trace.clone(), 'B'))).await.unwrap();
    trace.log("main");
    assert_eq!(
        trace.take(),
        ["2:A", "2:B", "3:A.x", "3:A.y", "3:A end", "3:B.x", "3:B.y", "3:B end", "5:main"]
    );
}

/// O38, cancelled handle. x, a callback that x cancels, and a later callback stand in one batch.
///
/// CPython: `2:x | 2:later callback | 2:main`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o38_a_handle_cancelled_inside_the_running_batch_is_skipped() {
    let trace = Trace::new();
    let handle = Rc::new(RefCell::new(None::<evloop::Handle>));
    call_soon({
        let (trace, handle) = (trace.clone(), handle.clone());
        move || {
            trace.log("x");
            handle.borrow().as_ref().unwrap().cancel();
        }
    });
    handle.replace(Some(call_soon(trace.logs("cancelled callback"))));
    call_soon(trace.logs("later callback"));
    yield_now().await;
    trace.log("main");
    assert_eq!(trace.take(), ["2:x", "2:later callback", "2:main"]);
}

/// O38, raising callback. The error goes to the exception handler and the batch continues. An exception
/// that a callback raises is a panic here.
///
/// CPython: `2:bad | 2:handler ValueError | 2:next | 2:main alive`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o38_a_callback_that_fails_is_reported_and_the_batch_continues() {
    let trace = Trace::new();
    get_running_loop().unwrap().set_exception_handler({
        let trace = trace.clone();
        move |context| trace.log(format_args!("handler {}", context.panic_message()))
    });
    let bad = trace.clone();
    call_soon(move || {
        bad.log("bad");
        resume_unwind(Box::new("ValueError")); // a panic that prints nothing
    });
    call_soon(trace.logs("next"));
    yield_now().await;
    trace.log("main alive");
    assert_eq!(trace.take(), ["2:bad", "2:handler ValueError", "2:next", "2:main alive"]);
}

/// O38, a future set inside the batch: its waiter runs in the next one.
///
/// CPython: `3:set | 3:after-in-same-batch | 4:waiter`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o38_a_promise_set_inside_the_batch_wakes_its_waiter_in_the_next() {
    let trace = Trace::new();
    let promise = Promise::new();
    let waiter = create_task({
        let (trace, promise) = (trace.clone(), promise.clone());
        async move {
            promise.await.unwrap();
            trace.log("waiter");
        }
    });
    yield_now().await;
    let set = trace.clone();
    call_soon(move || {
        set.log("set");
        promise.set_result(()).unwrap();
    });
    call_soon(trace.logs("after-in-same-batch"));
    waiter.await.unwrap();
    assert_eq!(trace.take(), ["3:set", "3:after-in-same-batch", "4:waiter"]);
}
