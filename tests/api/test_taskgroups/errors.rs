//! Children and bodies that fail.

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    TaskError, TaskGroup, TryTaskGroup, create_task, current_task, finally, now, on_cancel, sleep, yield_now,
};
use futures::FutureExt;

use super::{Error, errors, fails_after};
use crate::support::{Log, LogsItsDrop, forever_with};

#[evloop::test]
async fn test_taskgroup_04() {
    let (start, log) = (now(), Log::new());
    let ended = TaskGroup::try_scope(async |tg| {
        let _ = tg.create_task(fails_after(millis(100), Error::ZeroDivision));
        let held = log.on_drop("cancelled");
        let other = tg.create_task(async move {
            forever_with(held).await;
            Ok(())
        });
        other.unwrap().await.ok();
        unreachable!("the body is cancelled where it waits");
        #[expect(unreachable_code, reason = "it says what the body would return")]
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::ZeroDivision]);
    assert_eq!(log.take(), ["cancelled"]);
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_cancel_children_on_child_error() {
    let log = Log::new();
    let runner = log.clone();
    let task = create_task(async move {
        let log = runner.clone();
        let ended = TaskGroup::try_scope(async |tg| {
            let _ = tg.create_task(fails_after(secs(1), Error::ZeroDivision));
            for _ in 0..5 {
                let held = log.on_drop("child");
                let _ = tg.create_task(async move {
                    forever_with(held).await;
                    Ok(())
                });
            }
            let held = log.on_drop("body");
            forever_with(held).await;
            Ok(())
        });
        assert_eq!(errors(ended.await), [Error::ZeroDivision]);
        runner.push("after the group");
        current_task().unwrap().cancelling()
    });
    assert_eq!(task.await.unwrap(), 0);
    let mut log = log.take();
    log[..6].sort_unstable();
    assert_eq!(log, ["body", "child", "child", "child", "child", "child", "after the group"]);
}

#[evloop::test(order = "fifo")]
async fn test_taskgroup_09() {
    let log = Log::new();
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        for name in ["t1", "t2"] {
            let held = log.on_drop(name);
            let _ = tg.create_task(async move {
                forever_with(held).await;
                Ok(())
            });
        }
        sleep(millis(100)).await;
        Err(Error::ZeroDivision)
    });
    assert_eq!(errors(ended.await), [Error::ZeroDivision]);
    assert_eq!(log.take(), ["t1", "t2"], "cancelled in order of creation");
}

#[evloop::test(order = "fifo")]
async fn test_taskgroup_10() {
    let log = Log::new();
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let (one, two, ran) = (log.on_drop("t1"), log.on_drop("t2"), log.clone());
        let _ = tg.create_task(async move {
            drop(one);
            ran.push("ran");
            Ok(())
        });
        let _ = tg.create_task(async move {
            drop(two);
            Ok(())
        });
        Err(Error::ZeroDivision)
    });
    assert_eq!(errors(ended.await), [Error::ZeroDivision]);
    assert_eq!(log.take(), ["t1", "t2"]);
}

/// The body turns its cancellation, which a child's failure brought, into an error of its own.
#[evloop::test]
async fn test_taskgroup_19() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(fails_after(millis(100), Error::Type));
        on_cancel(
            async {
                sleep(secs(10)).await;
                Ok(())
            },
            async |_| Err(Error::Value),
        )
        .await
    });
    assert_eq!(errors(ended.await), [Error::Type, Error::Value]);
}

/// Errors of children and body, all of one kind.
#[evloop::test]
async fn test_taskgroup_20a() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(on_cancel(sleep(secs(10)), async |_| ()).fail_with(Error::Key));
        settle().await;
        Err(Error::Value)
    });
    assert_eq!(errors(ended.await), [Error::Key, Error::Value], "the body's is the last");
}

#[evloop::test]
async fn test_taskgroup_21a() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(fails_after(millis(1), Error::Key));
        on_cancel(
            async {
                sleep(secs(10)).await;
                Ok(())
            },
            async |_| {
                sleep(secs(1)).await;
                Err(Error::Value)
            },
        )
        .await
    });
    assert_eq!(errors(ended.await), [Error::Key, Error::Value]);
}

trait FailWith: Future + Sized {
    /// Ends with an error when this ends.
    async fn fail_with(self, error: Error) -> Result<(), Error> {
        self.await;
        Err(error)
    }
}

impl<F: Future> FailWith for F {}

/// An error of a cleanup inside of the body joins the group; nothing of it is left in the task.
#[evloop::test]
async fn test_taskgroup_context_manager_exit_raises() {
    let task = create_task(async {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(fails_after(millis(10), Error::ZeroDivision));
            // A resource whose way out fails.
            on_cancel(
                async {
                    sleep(secs(10)).await;
                    Ok(())
                },
                async |_| Err(Error::Value),
            )
            .await
        });
        assert_eq!(errors(ended.await), [Error::ZeroDivision, Error::Value]);
        yield_now().await; // nothing is pending
        current_task().unwrap().cancelling()
    });
    assert_eq!(task.await.unwrap(), 0);
}

#[evloop::test]
async fn test_cancelling_level_preserved() {
    let task = create_task(async {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(async { Err::<(), _>(Error::Value) });
            Ok(())
        });
        assert_eq!(errors(ended.await), [Error::Value]);
        current_task().unwrap().cancelling()
    });
    assert_eq!(task.await.unwrap(), 0);
}

#[evloop::test]
async fn errors_come_in_the_order_in_which_they_happened() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(finally(sleep(secs(10)), sleep(secs(2))).fail_with(Error::Type));
        let _ =
            tg.create_task(on_cancel(sleep(secs(10)), async |_| sleep(secs(3)).await).fail_with(Error::Key));
        let _ =
            tg.create_task(on_cancel(sleep(secs(10)), async |_| sleep(secs(1)).await).fail_with(Error::Type));
        let _ = tg.create_task(fails_after(secs(1), Error::Value));
        Ok(())
    });
    // The first ends cancelled after its cleanup.
    assert_eq!(errors(ended.await), [Error::Value, Error::Type, Error::Key]);
}

#[evloop::test]
async fn who_awaits_a_failed_child_sees_it_end_cancelled_and_why() {
    let seen = Log::new();
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let failing = tg.create_task(fails_after(secs(1), Error::Value)).unwrap();
        let log = seen.clone();
        let outside = create_task(async move {
            match failing.await {
                Err(TaskError::Cancelled(error)) => log.push(error.message().unwrap_or("no message")),
                other => panic!("{other:?}"),
            }
        });
        outside.await.unwrap();
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::Value]);
    assert_eq!(seen.take(), ["it failed; its task group has the error"]);
}

#[evloop::test(order = "fifo")]
async fn a_group_of_errors_can_be_taken_apart() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        for n in 1..=4 {
            let _ = tg.create_task(async move { Err::<(), _>(format!("e{n}")) });
        }
        Ok(())
    });
    let group = ended.await.unwrap_err();
    assert_eq!((group.len(), group.first().as_str()), (4, "e1"));
    assert_eq!(group.to_string(), "4 errors: e1; e2; e3; e4");
    assert_eq!(format!("{group:#}"), "4 errors:\n  e1\n  e2\n  e3\n  e4");
    assert_eq!(format!("{group:?}"), r#"ErrorGroup(["e1", "e2", "e3", "e4"])"#);
    let (even, odd) = group.clone().split(|e| e.ends_with(['2', '4']));
    assert_eq!(even.unwrap().into_iter().collect::<Vec<_>>(), ["e2", "e4"]);
    assert_eq!(odd.as_ref().unwrap().iter().collect::<Vec<_>>(), ["e1", "e3"]);
    let (all, none) = group.split(|_| true);
    assert!(none.is_none());
    assert_eq!(all.unwrap().into_first(), "e1");
}

#[evloop::test]
async fn a_group_of_errors_is_an_error_with_a_source() {
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(async { "x".parse::<i32>() });
        Ok(())
    });
    let group: Box<dyn std::error::Error> = ended.await.unwrap_err().into();
    assert_eq!(group.source().unwrap().to_string(), "invalid digit found in string");
}

/// Holds the group that it is an error of.
struct Circle {
    _group: TryTaskGroup<Self>,
    _held: LogsItsDrop,
}

#[evloop::test(order = "fifo")]
async fn errors_that_are_not_returned_are_dropped_also_if_they_hold_the_group() {
    let log = Log::new();
    let fails = |tg: &TryTaskGroup<Circle>, name: &str| {
        let error = Circle { _group: tg.clone(), _held: log.on_drop(name) };
        let _ = tg.create_task(finally(async { Err::<(), _>(error) }, async { sleep(secs(1)).await }));
    };
    let mut group = Box::pin(TaskGroup::try_scope::<(), _>(async |tg| {
        let held = Circle { _group: tg.clone(), _held: log.on_drop("before the drop") };
        let _ = tg.create_task(async { Err::<(), _>(held) });
        fails(&tg, "after the drop");
        std::future::pending().await
    }));
    std::future::poll_fn(|cx| std::task::Poll::Ready(group.as_mut().poll(cx).is_pending())).await;
    yield_now().await;
    drop(group);
    assert_eq!(log.take(), ["before the drop"]);
    sleep(secs(2)).await;
    assert_eq!(log.take(), ["after the drop"]);

    let group = TaskGroup::try_scope::<(), _>(async |tg| {
        fails(&tg, "with a panic");
        sleep(millis(1)).await;
        panic!("the body's")
    });
    assert!(std::panic::AssertUnwindSafe(group).catch_unwind().await.is_err());
    assert_eq!(log.take(), ["with a panic"]);
}
