//! Groups in a task that is cancelled.

use std::future::pending;

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    Promise, TaskGroup, catch_cancel, create_task, current_task, finally, on_cancel, sleep, yield_now,
};

use super::{Error, errors, fails_after, long};
use crate::support::{Log, forever_with, yields};

#[evloop::test(order = "fifo")]
async fn test_cancellation() {
    let log = Log::new();
    let outer = log.clone();
    let task = create_task(async move {
        let log = outer.clone();
        let ended = catch_cancel(TaskGroup::scope(async |tg| {
            for n in 0..5 {
                let held = log.on_drop(format!("child {n}"));
                let _ = tg.create_task(forever_with(held));
            }
        }));
        let Err(cancellation) = ended.await else { unreachable!("it was cancelled") };
        outer.push("propagates");
        cancellation.rethrow::<()>().await
    });
    yields(3).await;
    assert!(!task.done());
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["child 0", "child 1", "child 2", "child 3", "child 4", "propagates"]);
}

#[evloop::test(order = "fifo")]
async fn test_taskgroup_07() {
    let log = Log::new();
    let outer = log.clone();
    let task = create_task(async move {
        let log = outer;
        TaskGroup::scope(async |tg| {
            for n in 0..5 {
                let held = log.on_drop(format!("child {n}"));
                let _ = tg.create_task(forever_with(held));
            }
            on_cancel(sleep(secs(10)), async |c| {
                log.push("the body sees it");
                c.rethrow().await
            })
            .await;
        })
        .await;
    });
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["the body sees it", "child 0", "child 1", "child 2", "child 3", "child 4"]);
}

#[evloop::test]
async fn test_taskgroup_08() {
    let task = create_task(async {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            for _ in 0..5 {
                let failing = on_cancel(long(), async |_| Err(Error::ZeroDivision));
                let _ = tg.create_task(failing);
            }
            sleep(secs(10)).await;
            Ok(())
        });
        errors(ended.await)
    });
    yields(2).await;
    task.cancel();
    assert_eq!(
        task.await.unwrap(),
        [Error::ZeroDivision; 5],
        "the errors win, and nothing was awaited since"
    );
}

/// The task is cancelled from outside, and while its body cleans up a child fails.
async fn body_in_cleanup_when_a_child_fails(started: Promise<()>) -> Vec<Error> {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(fails_after(millis(100), Error::Type));
        started.set_result(()).unwrap();
        finally(sleep(secs(10)), sleep(millis(500))).await;
        Ok(())
    });
    errors(ended.await)
}

#[evloop::test]
async fn test_taskgroup_15() {
    let started = Promise::new();
    let task = create_task(body_in_cleanup_when_a_child_fails(started.clone()));
    started.await.unwrap();
    task.cancel();
    assert_eq!(task.await.unwrap(), [Error::Type]);
}

#[evloop::test]
async fn test_taskgroup_16() {
    let started = Promise::new();
    let inner = started.clone();
    let task = create_task(async move { create_task(body_in_cleanup_when_a_child_fails(inner)).await });
    started.await.unwrap();
    task.cancel();
    assert_eq!(task.await.unwrap().unwrap(), [Error::Type]);
}

#[evloop::test]
async fn test_taskgroup_17() {
    let task = create_task(TaskGroup::scope(async |_| sleep(secs(10)).await));
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_taskgroup_18() {
    let task = create_task(async {
        let ended =
            TaskGroup::try_scope::<(), _>(async |_| on_cancel(long(), async |_| Err(Error::Value)).await);
        errors(ended.await)
    });
    yields(2).await;
    task.cancel();
    assert_eq!(task.await.unwrap(), [Error::Value]);
}

#[evloop::test(order = "fifo")]
async fn test_taskgroup_22() {
    let log = Log::new();
    let outer = log.clone();
    let task = create_task(async move {
        TaskGroup::scope(async |tg| {
            let (one, two) = (outer.on_drop("t1"), outer.on_drop("t2"));
            let _ = tg.create_task(forever_with(one));
            let _ = tg.create_task(forever_with(two));
        })
        .await;
    });
    yield_now().await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["t1", "t2"]);
}

#[evloop::test]
async fn test_error_and_cancel() {
    let log = Log::new();
    let outer = log.clone();
    let task = create_task(async move {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(on_cancel(long(), async |_| Err(Error::Value)));
            Ok(())
        });
        assert_eq!(errors(ended.await), [Error::Value]);
        outer.push(format!("handled, count {}", current_task().unwrap().cancelling()));
        let next = catch_cancel(yield_now()).await;
        outer.push(format!("cancelled at the next suspension: {}", next.is_err()));
        if let Err(cancellation) = next {
            cancellation.rethrow().await
        }
    });
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["handled, count 1", "cancelled at the next suspension: true"]);
}

#[evloop::test]
async fn a_child_that_swallows_hears_of_the_next_request() {
    let log = Log::new();
    let outer = log.clone();
    let task = create_task(async move {
        TaskGroup::scope(async |tg| {
            let log = outer.clone();
            let _ = tg.create_task(async move {
                catch_cancel(pending::<()>()).await.unwrap_err().swallow();
                log.push("swallowed");
                pending::<()>().await;
            });
        })
        .await;
    });
    yields(2).await;
    task.cancel();
    yields(4).await;
    assert!(!task.done(), "the group waits for its child");
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["swallowed"]);
}

#[evloop::test]
async fn a_request_before_the_first_step_starts_nothing() {
    let task = create_task(TaskGroup::scope(async |_| unreachable!("it never ran")));
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn a_group_that_is_dropped_asks_its_children_to_end() {
    let log = Log::new();
    let group = TaskGroup::scope(async |tg| {
        for n in 0..2 {
            let (held, log) = (log.on_drop(format!("child {n}")), log.clone());
            let cleanup = async move {
                yield_now().await;
                log.push("cleaned up");
            };
            let _ = tg.create_task(finally(forever_with(held), cleanup));
        }
        pending::<()>().await;
    });
    assert!(evloop::wait_for(std::future::ready(()), secs(1)).await.is_ok());
    let mut group = Box::pin(group);
    std::future::poll_fn(|cx| {
        assert!(group.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    settle().await;
    drop(group);
    settle().await;
    let mut log = log.take();
    log.sort_unstable();
    assert_eq!(log, ["child 0", "child 1", "cleaned up", "cleaned up"]);
    assert_eq!(evloop::all_tasks().len(), 1);
}
