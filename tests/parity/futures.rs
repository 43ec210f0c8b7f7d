//! Who is told when a promise or a task is done, in which order, and what each form of await costs:
//! O06 to O09.

use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    AllCompleted, Promise, Task, call_soon, create_task, gather, shield, wait, wait_for, yield_now,
};

use crate::trace::{Trace, yields};

/// O06. Task w1 awaits fut; then a done callback cb is added; then task w2 awaits fut; main sets the
/// result, then `call_soon(soon)`, `sleep(0)`. Waiting tasks and callbacks live in one list; completion
/// schedules them in that order, and the setter keeps running.
///
/// CPython: `3:setter-continues | 4:w1 | 4:cb | 4:w2 | 4:soon | 4:main`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o06_set_result_wakes_waiters_in_registration_order() {
    async fn waiter(trace: Trace, promise: Promise<()>, name: &'static str) {
        promise.await.unwrap();
        trace.log(name);
    }
    let trace = Trace::new();
    let promise = Promise::new();
    create_task(waiter(trace.clone(), promise.clone(), "w1")).detach();
    yield_now().await;
    let cb = trace.logs("cb");
    promise.add_done_callback(move |_| cb());
    create_task(waiter(trace.clone(), promise.clone(), "w2")).detach();
    yield_now().await;
    promise.set_result(()).unwrap();
    trace.log("setter-continues");
    call_soon(trace.logs("soon"));
    yield_now().await;
    trace.log("main");
    assert_eq!(trace.take(), ["3:setter-continues", "4:w1", "4:cb", "4:w2", "4:soon", "4:main"]);
}

/// O07. Add c1, c2, c1; remove c1; add c1; set the result; add `late` after completion. Adding to a done
/// future schedules the call, it is never synchronous.
///
/// CPython: `1:removed 2 | 1:sync-done | 2:c2 | 2:c1 | 2:late | 2:main`. Ours: the same. CPython removes
/// all equal functions at once and returns how many; closures have no equality, so each registration has
/// its id here and the port removes two.
#[evloop::test(order = "fifo")]
async fn o07_done_callbacks_can_be_removed_and_are_never_synchronous() {
    let trace = Trace::new();
    let promise = Promise::<()>::new();
    let add = |event| {
        let logs = trace.logs(event);
        promise.add_done_callback(move |_| logs())
    };
    let first = add("c1");
    add("c2");
    let second = add("c1");
    let removed = [first, second].into_iter().filter(|id| promise.remove_done_callback(*id)).count();
    trace.log(format_args!("removed {removed}"));
    add("c1");
    promise.set_result(()).unwrap();
    trace.log("sync-done");
    add("late");
    yield_now().await;
    trace.log("main");
    assert_eq!(trace.take(), ["1:removed 2", "1:sync-done", "2:c2", "2:c1", "2:late", "2:main"]);
}

/// O08. On one task register cb1, let p1 await it, register cb2, let p2 await it. All fire one tick after
/// the task's last step.
///
/// CPython: `4:c ends | 5:cb1 | 5:p1 | 5:cb2 | 5:p2`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o08_callbacks_and_awaiting_tasks_of_a_task_interleave_by_registration() {
    async fn parent(trace: Trace, c: Rc<Task<()>>, name: &'static str) {
        (&*c).await.unwrap();
        trace.log(name);
    }
    let trace = Trace::new();
    let c = create_task({
        let trace = trace.clone();
        async move {
            yields(2).await;
            trace.log("c ends");
        }
    });
    let c = Rc::new(c);
    let cb1 = trace.logs("cb1");
    c.add_done_callback(move |_| cb1());
    let p1 = create_task(parent(trace.clone(), c.clone(), "p1"));
    yield_now().await;
    let cb2 = trace.logs("cb2");
    c.add_done_callback(move |_| cb2());
    let p2 = create_task(parent(trace.clone(), c.clone(), "p2"));
    gather((p1, p2)).await.unwrap();
    assert_eq!(trace.take(), ["4:c ends", "5:cb1", "5:p1", "5:cb2", "5:p2"]);
}

/// O08 with the tasks first: a task that awaits before any callback is registered keeps its place, too.
///
/// CPython (p1 awaits, then cb1, then p2): `4:c ends | 5:p1 | 5:cb1 | 5:p2`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o08_the_first_awaiter_keeps_its_place_before_later_callbacks() {
    async fn parent(trace: Trace, c: Rc<Task<()>>, name: &'static str) {
        (&*c).await.unwrap();
        trace.log(name);
    }
    let trace = Trace::new();
    let c = create_task({
        let trace = trace.clone();
        async move {
            yields(2).await;
            trace.log("c ends");
        }
    });
    let c = Rc::new(c);
    let p1 = create_task(parent(trace.clone(), c.clone(), "p1"));
    yield_now().await;
    let cb1 = trace.logs("cb1");
    c.add_done_callback(move |_| cb1());
    let p2 = create_task(parent(trace.clone(), c.clone(), "p2"));
    gather((p1, p2)).await.unwrap();
    assert_eq!(trace.take(), ["4:c ends", "5:p1", "5:cb1", "5:p2"]);
}

/// O09. main awaits in turn: a coroutine directly; a new task; gather of two; wait_for of a coroutine; wait
/// on one task; shield of a task; an already done future. All bodies finish in their first step. A direct
/// await, wait_for and done futures cost no tick, a task two (start, wake-up); gather, wait and shield
/// three (start, the child's callback, wake-up).
///
/// CPython: `1:a | 1:direct | 1:b | 2:task | 3:c | 4:g1 | 4:g2 | 6:d | 6:wf | 6:e | 7:w | 9:f | 10:sh |
/// 12:g | 12:h-donefuture`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o09_what_each_form_of_await_costs() {
    async fn body(trace: Trace, name: &'static str) {
        trace.log(name);
    }
    let trace = Trace::new();
    let body = |name| body(trace.clone(), name);
    trace.log("a");
    body("direct").await;
    trace.log("b");
    create_task(body("task")).await.unwrap();
    trace.log("c");
    gather((body("g1"), body("g2"))).await.unwrap();
    trace.log("d");
    wait_for(body("wf"), secs(1)).await.unwrap();
    trace.log("e");
    wait([create_task(body("w"))], AllCompleted, None).await;
    trace.log("f");
    shield(create_task(body("sh"))).await.unwrap();
    trace.log("g");
    let done = Promise::new();
    done.set_result(()).unwrap();
    done.await.unwrap();
    trace.log("h-donefuture");
    assert_eq!(
        trace.take(),
        [
            "1:a",
            "1:direct",
            "1:b",
            "2:task",
            "3:c",
            "4:g1",
            "4:g2",
            "6:d",
            "6:wf",
            "6:e",
            "7:w",
            "9:f",
            "10:sh",
            "12:g",
            "12:h-donefuture"
        ]
    );
}
