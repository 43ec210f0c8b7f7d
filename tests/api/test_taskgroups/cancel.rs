//! `TaskGroup.cancel`, which came with CPython 3.15.

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{TaskGroup, catch_cancel, create_task, current_task, now, on_cancel, sleep, yield_now};
use futures::FutureExt;

use super::{Error, errors, long};
use crate::support::{Log, forever_with, panic_of, yields};

#[evloop::test]
async fn taskgroup_cancel_from_the_body() {
    let log = Log::new();
    let task = create_task({
        let log = log.clone();
        async move {
            let ended = TaskGroup::cancellable(async |tg| {
                let held = log.on_drop("child");
                let _ = tg.create_task(forever_with(held));
                yield_now().await;
                tg.cancel();
                log.push("goes on to its next suspension");
                yield_now().await;
                log.push("not reached");
            });
            assert_eq!(ended.await, None);
            yield_now().await; // nothing is pending
            current_task().unwrap().cancelling()
        }
    });
    assert_eq!(task.await.unwrap(), 0);
    assert_eq!(log.take(), ["goes on to its next suspension", "child"]);
}

#[evloop::test]
async fn taskgroup_cancel_from_a_child() {
    let (log, start) = (Log::new(), now());
    let ended = TaskGroup::cancellable(async |tg| {
        let group = tg.clone();
        let _ = tg.create_task(async move {
            sleep(secs(1)).await;
            group.cancel();
        });
        let held = log.on_drop("child");
        let _ = tg.create_task(forever_with(held));
        let held = log.on_drop("body");
        forever_with(held).await;
    });
    assert_eq!(ended.await, None);
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert_eq!(dropped, ["body", "child"]);
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn taskgroup_cancel_twice() {
    let ended = TaskGroup::cancellable(async |tg| {
        tg.cancel();
        tg.cancel();
        assert!(tg.create_task(async {}).is_err(), "it takes no more");
        sleep(secs(10)).await;
    });
    assert_eq!(ended.await, None);
}

#[evloop::test]
async fn taskgroup_cancel_after_exit() {
    let tg = TaskGroup::scope(async |tg| tg).await;
    tg.cancel();
    yield_now().await;
}

#[evloop::test]
async fn taskgroup_cancel_with_a_child_error() {
    let ended = TaskGroup::try_cancellable::<(), _>(async |tg| {
        let failing = on_cancel(long(), async |_| Err(Error::Value));
        let _ = tg.create_task(failing);
        settle().await;
        tg.cancel();
        sleep(secs(10)).await;
        Ok(())
    });
    assert_eq!(errors(ended.await), [Error::Value]);
}

#[evloop::test]
async fn taskgroup_cancel_with_an_outside_cancel() {
    let task = create_task(async {
        let ended = TaskGroup::cancellable(async |tg| {
            let cleanup = async |c: evloop::tasks::Cancelling<'_>| {
                sleep(secs(1)).await;
                c.rethrow().await
            };
            let _ = tg.create_task(on_cancel(sleep(secs(10)), cleanup));
            yield_now().await;
            tg.cancel();
            sleep(secs(10)).await;
        });
        ended.await
    });
    yields(3).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn a_body_that_swallows_the_groups_own_cancellation_gives_its_value() {
    let ended = TaskGroup::cancellable(async |tg| {
        tg.cancel();
        catch_cancel(sleep(secs(10))).await.unwrap_err().swallow();
        sleep(millis(1)).await;
        "swallowed"
    });
    assert_eq!(ended.await, Some("swallowed"));
}

#[evloop::test]
async fn a_body_with_a_value_to_give_goes_on_when_the_group_is_cancelled() {
    let (log, start) = (Log::new(), now());
    let value = TaskGroup::scope(async |tg| {
        let held = log.on_drop("child");
        let _ = tg.create_task(forever_with(held));
        yield_now().await;
        tg.cancel();
        sleep(secs(1)).await;
        log.push("body");
        5
    });
    assert_eq!(value.await, 5);
    assert_eq!(log.take(), ["child", "body"]);
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn a_group_cancelled_while_it_waits_gives_the_bodys_value() {
    let ended = TaskGroup::cancellable(async |tg| {
        let group = tg.clone();
        let _ = tg.create_task(async move {
            sleep(secs(1)).await;
            group.cancel();
            sleep(secs(10)).await;
        });
        "the body's"
    });
    let start = now();
    assert_eq!(ended.await, Some("the body's"));
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn a_body_that_goes_on_after_a_cancel_is_cancelled_when_a_child_fails() {
    let start = now();
    let failed = TaskGroup::try_scope::<(), Error>(async |tg| {
        let _ = tg.create_task(on_cancel(long(), async |_| {
            sleep(secs(1)).await;
            Err(Error::Value)
        }));
        settle().await;
        tg.cancel();
        long().await
    });
    assert_eq!(errors(failed.await), [Error::Value]);
    assert_eq!(now() - start, secs(1));
}

#[test]
fn a_body_that_is_cancelled_outside_of_a_loop_panics() {
    let group = TaskGroup::cancellable(async |tg| {
        tg.cancel();
        std::future::pending::<()>().await;
    });
    let panic = panic_of(|| group.now_or_never());
    assert!(panic.contains("await it inside of evloop::run"), "{panic}");
}
