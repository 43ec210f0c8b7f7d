//! Deadlines against values, against cancellation and against each other: O24, O28, O29 (order only).
//!
//! CPython's programs block the thread past two deadlines, so that both timers fire in one iteration. Here they
//! are two equal deadlines of the virtual clock: ties are first come, first served, so who is set first stands
//! for the earlier deadline.

use std::future::pending;

use evloop::time::{millis, now, secs};
use evloop::{
    AllCompleted, Promise, TimeoutError, call_at, call_later, call_soon, catch_cancel, create_task,
    current_task, on_cancel, timeout, timeout_at, wait, wait_for, yield_now,
};

use crate::trace::{Trace, yields};

/// O24. Await fut under a deadline; a timer just before it sets fut's result, and both are due in the same
/// iteration. Then: a timer just after it.
///
/// CPython: `2:set_result | 3:TimeoutError, fut result 'V', expired true, count 0`, and
/// `5:set_result -> InvalidStateError to the exception handler | 6:TimeoutError, fut cancelled`.
///
/// Ours deviates by design: (1) a value that is ready beats its timeout, so the first run gets V. (2) The
/// deadline is acted on in the step that it wakes, not one tick later, so in the second run TimeoutError
/// comes before the setter. (3) The promise is left as it is, not cancelled (O15), so the late setter
/// succeeds, and nobody looks. (`expired` can be asked inside of the block only; that the block gives a value says
/// that it has not been reached, its error that it has.)
#[evloop::test(order = "fifo")]
async fn o24_a_ready_value_beats_its_timeout() {
    fn setter(trace: &Trace, promise: &Promise<char>) -> impl FnOnce() + 'static {
        let (trace, promise) = (trace.clone(), promise.clone());
        move || match promise.set_result('V') {
            Ok(()) => trace.log("set_result"),
            Err(_) => trace.log("set_result -> InvalidStateError"),
        }
    }
    async fn waiter(trace: &Trace, promise: &Promise<char>) {
        let block = timeout_at(now() + millis(10), async |t| (promise.await, t.expired()));
        let result = block.await;
        let count = current_task().unwrap().cancelling();
        match result {
            Ok((value, expired)) => {
                trace.log(format_args!("got {}, expired {expired}, count {count}", value.unwrap()));
            }
            Err(TimeoutError { .. }) => {
                trace.log(format_args!("TimeoutError, fut done {}, count {count}", promise.done()));
            }
        }
    }
    let trace = Trace::new();
    let before = Promise::new();
    call_later(millis(10), setter(&trace, &before));
    waiter(&trace, &before).await;
    yield_now().await;

    let after = Promise::new();
    let (set, when) = (setter(&trace, &after), now() + millis(10));
    call_soon(move || drop(call_at(when, set))); // when main's own deadline is in line
    waiter(&trace, &after).await;
    yield_now().await;
    assert_eq!(
        trace.take(),
        [
            "2:set_result",
            "2:got V, expired false, count 0",
            "5:TimeoutError, fut done false, count 0",
            "5:set_result"
        ]
    );
}

/// O28. A timeout and a cancel from outside in one tick, the cancel first.
///
/// CPython: `4:CancelledError wins, expired True, count 1 | 6:task cancelled`.
///
/// Ours deviates by design: the deadline is acted on in the step that it wakes, so all is one tick
/// earlier. Who wins is the same, and the deadline has not acted when the request gets there.
#[evloop::test(order = "fifo")]
async fn o28_a_cancel_in_the_tick_of_the_timeout_wins() {
    assert_eq!(
        o28(true).await,
        ["3:expired false", "3:CancelledError wins, count 1", "5:task cancelled true"]
    );
}

/// O28 with the cancel just after the deadline.
///
/// CPython: as before, since the deadline only requests a cancellation, which is delivered a tick later:
/// `4:CancelledError wins, expired True, count 1 | 6:task cancelled True`.
///
/// Ours deviates for the reason above: the timeout has been answered when the cancel comes, to a task that
/// is done.
#[evloop::test(order = "fifo")]
async fn o28_a_cancel_after_the_timeout_of_the_same_tick_is_too_late() {
    assert_eq!(o28(false).await, ["3:expired true", "3:TimeoutError, count 0", "5:task cancelled false"]);
}

async fn o28(cancel_first: bool) -> Vec<String> {
    let trace = Trace::new();
    let when = now() + millis(10);
    let task = create_task({
        let trace = trace.clone();
        async move {
            let block = timeout_at(when, async |t| {
                on_cancel(pending::<()>(), async |c| {
                    trace.log(format_args!("expired {}", t.expired()));
                    c.rethrow().await
                })
                .await;
            });
            let result = catch_cancel(block).await;
            let count = current_task().unwrap().cancelling();
            match result {
                Ok(_) => trace.log(format_args!("TimeoutError, count {count}")),
                Err(cancellation) => {
                    trace.log(format_args!("CancelledError wins, count {count}"));
                    cancellation.rethrow().await
                }
            }
        }
    });
    let cancel = {
        let task = task.task_ref();
        move || {
            task.cancel();
        }
    };
    if cancel_first {
        call_at(when, cancel);
        yield_now().await;
    } else {
        yield_now().await;
        call_at(when, cancel);
    }
    wait([&task], AllCompleted, None).await;
    trace.log(format_args!("task cancelled {}", task.cancelled()));
    trace.take()
}

/// O28, equal nested deadlines.
///
/// CPython: `3:inner block sees CancelledError, inner.expired True, count 1 | 3:outer TimeoutError,
/// outer.expired True, count 0`: both have asked, and the outer one reports.
///
/// Ours deviates by design: with nothing to clean up, the inner one returns its error as a ready value, and
/// the code between the two goes on. If it waits, the outer deadline ends it in the same step, so nothing
/// runs longer than there. The tick is 2, for the reason above. `cancelling()` counts `Task::cancel` only.
#[evloop::test(order = "fifo")]
async fn o28_of_equal_nested_deadlines_the_inner_one_answers_first() {
    let trace = Trace::new();
    let inner_first = wait_for(wait_for(pending::<()>(), millis(10)), millis(10)).await;
    trace.log(format_args!("{inner_first:?}"));
    let start = now();
    let body = async {
        let inner = wait_for(pending::<()>(), millis(10)).await;
        let count = current_task().unwrap().cancelling();
        trace.log(format_args!("inner block sees {:?}, count {count}", inner.unwrap_err()));
        pending::<()>().await;
    };
    let outer = wait_for(body, millis(10)).await;
    let count = current_task().unwrap().cancelling();
    trace.log(format_args!("outer {:?}, count {count}", outer.unwrap_err()));
    assert_eq!(now() - start, millis(10));
    assert_eq!(
        trace.take(),
        [
            "2:Ok(Err(TimeoutError))",
            "3:inner block sees TimeoutError, count 0",
            "3:outer TimeoutError, count 0"
        ]
    );
}

/// O29. wait_for of a coroutine, 0; of a done future, 0; `timeout(0)` around `sleep(0)`; `timeout(0)` around
/// code that never suspends.
///
/// CPython: `4:TimeoutError, body never ran | 4:done future value | 4:inside timeout(0) | 5:fired at first
/// suspension | 5:no suspension -> no timeout`.
///
/// Ours deviates by design: a timeout of zero polls its content once, so a body runs up to its first
/// suspension, and one without any gives its value; and all of it happens in the step that asks.
#[evloop::test(order = "fifo")]
async fn o29_a_timeout_of_zero_acts_at_the_first_suspension() {
    let trace = Trace::new();
    let body = async {
        trace.log("body runs up to its first suspension");
        yield_now().await;
        trace.log("never");
    };
    wait_for(body, secs(0)).await.unwrap_err();
    trace.log("TimeoutError");
    let done = Promise::new();
    done.set_result("value").unwrap();
    let value = wait_for(done, secs(0)).await.unwrap().unwrap();
    trace.log(format_args!("done future {value}"));
    let block = timeout(secs(0), async |_| {
        trace.log("inside timeout(0)");
        yield_now().await;
        trace.log("never");
    });
    if block.await.is_err() {
        trace.log("fired at first suspension");
    }
    if timeout(secs(0), async |_| ()).await.is_ok() {
        trace.log("no suspension -> no timeout");
    }
    yields(2).await;
    assert_eq!(
        trace.take(),
        [
            "1:body runs up to its first suspension",
            "1:TimeoutError",
            "1:done future value",
            "1:inside timeout(0)",
            "1:fired at first suspension",
            "1:no suspension -> no timeout"
        ]
    );
}

/// O29, waiting for slow cleanup: wait_for of a task whose cleanup needs 2 ticks, 1 ms. wait_for returns
/// only after the cancelled task has ended.
///
/// CPython: `4:inner cancelled | 6:inner cleanup finished | 7:TimeoutError, inner done`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o29_wait_for_returns_after_the_cleanup_of_what_it_cancelled() {
    let trace = Trace::new();
    let inner = create_task({
        let trace = trace.clone();
        async move {
            on_cancel(pending::<()>(), async |c| {
                trace.log("inner cancelled");
                yields(2).await;
                trace.log("inner cleanup finished");
                c.rethrow().await
            })
            .await
        }
    });
    let inner_ref = inner.task_ref();
    wait_for(inner, millis(1)).await.unwrap_err();
    trace.log(format_args!("TimeoutError, inner done {}", inner_ref.done()));
    assert_eq!(
        trace.take(),
        ["4:inner cancelled", "6:inner cleanup finished", "7:TimeoutError, inner done true"]
    );
}
