//! Task groups: O31 to O33.

use std::future::pending;

use evloop::time::secs;
use evloop::{
    AllCompleted, TaskGroup, catch_cancel, create_task, current_task, on_cancel, sleep, wait, yield_now,
};

use crate::trace::{Trace, yields};

/// O31. The body ends at once; a ends in tick 4, b in tick 2. The last child's callback tick (5) completes
/// the exit, the parent resumes in 6.
///
/// CPython: `1:body-end | 2:b end | 4:a end | 6:after group`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o31_a_group_returns_two_ticks_after_its_last_child() {
    let trace = Trace::new();
    TaskGroup::scope(async |tg| {
        for (name, extra) in [("a", 2), ("b", 0)] {
            let trace = trace.clone();
            let child = async move {
                yields(extra).await;
                trace.log(format_args!("{name} end"));
            };
            let _ = tg.create_task(child);
        }
        trace.log("body-end");
    })
    .await;
    trace.log("after group");
    assert_eq!(trace.take(), ["1:body-end", "2:b end", "4:a end", "6:after group"]);
}

/// O32. Children w (sleeps), fail (raises), bad (raises in cleanup); the body sleeps. The failure is noticed one tick
/// later, the other children are cancelled, then the body.
///
/// CPython: `2:fail raises | 4:w cancelled | 4:bad raises in cleanup | 4:body cancelled, count 1 | 6:group [ValueError,
/// KeyError], count 0 | 7:parent continues`; w and bad may change places, since their order is a set's.
///
/// Ours deviates by design in the count: `cancelling()` counts calls of `Task::cancel` only, and the group makes
/// none of its parent.
#[evloop::test(order = "fifo")]
async fn o32_a_failure_cancels_the_other_children_and_then_the_body() {
    let trace = Trace::new();
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let w = trace.clone();
        let _ = tg.create_task(on_cancel(long(), async move |c| {
            w.log("w cancelled");
            c.rethrow().await
        }));
        let fail = trace.clone();
        let _ = tg.create_task(async move {
            fail.log("fail raises");
            Err::<(), _>("ValueError")
        });
        let bad = trace.clone();
        let _ = tg.create_task(on_cancel(long(), async move |_| {
            bad.log("bad raises in cleanup");
            Err("KeyError")
        }));
        on_cancel(long(), async |c| {
            trace.log(format_args!("body cancelled, count {}", current_task().unwrap().cancelling()));
            c.rethrow().await
        })
        .await
    });
    let errors = ended.await.unwrap_err().into_iter().collect::<Vec<_>>().join(", ");
    trace.log(format_args!("group [{errors}], count {}", current_task().unwrap().cancelling()));
    yield_now().await;
    trace.log("parent continues");
    assert_eq!(
        trace.take(),
        [
            "2:fail raises",
            "4:w cancelled",
            "4:bad raises in cleanup",
            "4:body cancelled, count 0",
            "6:group [ValueError, KeyError], count 0",
            "7:parent continues"
        ]
    );
}

async fn long() -> Result<(), &'static str> {
    sleep(secs(60)).await;
    Ok(())
}

/// O33, a child that is cancelled: not an error, and siblings do not notice.
///
/// CPython: `4:ok finished | 6:group exits cleanly`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o33_a_cancelled_child_disturbs_nobody() {
    let trace = Trace::new();
    TaskGroup::scope(async |tg| {
        tg.create_task(sleep(secs(60))).unwrap().cancel();
        let trace = trace.clone();
        let _ = tg.create_task(async move {
            yields(2).await;
            trace.log("ok finished");
        });
    })
    .await;
    trace.log("group exits cleanly");
    assert_eq!(trace.take(), ["4:ok finished", "6:group exits cleanly"]);
}

/// O33, the parent is cancelled while it waits in the exit: it asks its children, waits for them, and then goes on
/// as cancelled.
///
/// CPython: `2:body-end | 3:cancel | 5:child cancelled | 7:parent CancelledError, count 1 | 9:cancelled`. Ours: the
/// same.
#[evloop::test(order = "fifo")]
async fn o33_a_cancelled_parent_waits_for_its_children() {
    let trace = Trace::new();
    let task = create_task({
        let trace = trace.clone();
        async move {
            let group = TaskGroup::scope(async |tg| {
                let child = trace.clone();
                let _ = tg.create_task(on_cancel(pending::<()>(), async move |c| {
                    child.log("child cancelled");
                    c.rethrow().await
                }));
                trace.log("body-end");
            });
            if let Err(cancellation) = catch_cancel(group).await {
                let count = current_task().unwrap().cancelling();
                trace.log(format_args!("parent CancelledError, count {count}"));
                cancellation.rethrow().await
            }
        }
    });
    yields(2).await;
    trace.log("cancel");
    task.cancel();
    wait([&task], AllCompleted, None).await;
    trace.log(if task.cancelled() { "cancelled" } else { "not cancelled" });
    assert_eq!(
        trace.take(),
        ["2:body-end", "3:cancel", "5:child cancelled", "7:parent CancelledError, count 1", "9:cancelled"]
    );
}
