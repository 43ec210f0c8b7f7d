//! Gathering: order of starts, of ends and of results, errors, cancellation: O10 to O12.

use evloop::time::secs;
use evloop::{
    GatherError, catch_cancel, create_task, gather, gather_all, on_cancel, sleep, try_gather, yield_now,
};

use crate::trace::{Trace, yields};

/// O10. `gather(a, b, c)`; a needs 2 extra ticks, b none, c one. Children start in argument order, results
/// are in argument order; the last child's callback is in tick 5, the awaiter runs in 6.
///
/// CPython: `2:a start | 2:b start | 2:b end | 2:c start | 3:c end | 4:a end | 6:result ['a','b','c']`.
/// Ours: the same.
#[evloop::test(order = "fifo")]
async fn o10_gather_starts_and_answers_in_argument_order() {
    async fn child(trace: Trace, name: &'static str, extra: u32) -> &'static str {
        trace.log(format_args!("{name} start"));
        yields(extra).await;
        trace.log(format_args!("{name} end"));
        name
    }
    let trace = Trace::new();
    let child = |name, extra| child(trace.clone(), name, extra);
    let result = gather([child("a", 2), child("b", 0), child("c", 1)]).await.unwrap();
    trace.log(format_args!("result {result:?}"));
    assert_eq!(
        trace.take(),
        [
            "2:a start",
            "2:b start",
            "2:b end",
            "2:c start",
            "3:c end",
            "4:a end",
            r#"6:result ["a", "b", "c"]"#
        ]
    );
}

/// O11. gather of a slow sibling and a child that raises at once: the error is delivered, no sibling is
/// cancelled. Errors that children return are `try_gather`'s here.
///
/// CPython: `2:f raises | 4:gather raised; sibling done False | 5:sibling finished anyway`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o11_gather_delivers_the_first_error_and_siblings_keep_running() {
    let trace = Trace::new();
    let sibling = create_task({
        let trace = trace.clone();
        async move {
            yields(3).await;
            trace.log("sibling finished anyway");
            Ok(())
        }
    });
    let fail = {
        let trace = trace.clone();
        async move {
            trace.log("f raises");
            Err::<(), _>("ValueError")
        }
    };
    let sibling_ref = sibling.task_ref();
    let error = try_gather((sibling, fail)).await.unwrap_err();
    assert!(matches!(error, GatherError::Failed("ValueError")));
    trace.log(format_args!("gather raised; sibling done {}", sibling_ref.done()));
    yield_now().await;
    assert!(sibling_ref.done() && !sibling_ref.cancelled());
    assert_eq!(
        trace.take(),
        ["2:f raises", "4:gather raised; sibling done false", "5:sibling finished anyway"]
    );
}

/// O12. Cancel the task that awaits `gather(a, b)`; a's cleanup ends at once, b's needs two more ticks.
///
/// CPython: `3:cancel | 4:a cancelled | 4:a cleanup done | 4:b cancelled | 6:gather raised CancelledError |
/// 6:b cleanup done`, and with return_exceptions `13:cancel | 14:a cancelled | 14:a cleanup done |
/// 14:b cancelled | 16:b cleanup done | 18:gather raised CancelledError`.
///
/// Ours deviates by design, twice: (1) both forms wait for all children, as asyncio's return_exceptions
/// does, so no cleanup runs on behind the back of code that goes on; (2) the request reaches the children
/// one tick later, since it is offered to the awaiting task first, in its own step, and passed on from
/// there (as in O19).
#[evloop::test(order = "fifo")]
async fn o12_a_cancelled_gather_cancels_all_children_and_waits_for_all() {
    async fn child(trace: Trace, name: &'static str, ticks: u32) {
        on_cancel(sleep(secs(3600)), async |c| {
            trace.log(format_args!("{name} cancelled"));
            yields(ticks).await;
            trace.log(format_args!("{name} cleanup done"));
            c.rethrow().await
        })
        .await
    }
    async fn parent(trace: Trace, return_exceptions: bool) {
        let children = (child(trace.clone(), "a", 0), child(trace.clone(), "b", 2));
        let caught = match return_exceptions {
            false => catch_cancel(gather(children)).await.map(drop),
            true => catch_cancel(gather_all(children)).await.map(drop),
        };
        if let Err(cancellation) = caught {
            trace.log("gather raised CancelledError");
            cancellation.rethrow().await
        }
    }
    for return_exceptions in [false, true] {
        let trace = Trace::from_here();
        let task = create_task(parent(trace.clone(), return_exceptions));
        yields(2).await;
        trace.log("cancel");
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(
            trace.take(),
            [
                "3:cancel",
                "5:a cancelled",
                "5:a cleanup done",
                "5:b cancelled",
                "7:b cleanup done",
                "9:gather raised CancelledError"
            ]
        );
    }
}
