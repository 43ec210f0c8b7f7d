//! Panics of bodies and children: what leaves the group unwrapped.

use std::panic::AssertUnwindSafe;

use evloop::time::{millis, secs};
use evloop::{TaskError, TaskGroup, TryTaskGroup, create_task, finally, now, on_cancel, sleep, yield_now};
use futures::FutureExt;

use super::{Error, fails_after, long};
use crate::support::{Log, OnDrop, forever_with, reports, text, yields};

/// How a group ended that must panic.
async fn panic_of<T>(group: impl Future<Output = T>) -> String {
    match AssertUnwindSafe(group).catch_unwind().await {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text(&*payload).to_owned(),
    }
}

#[evloop::test]
async fn test_taskgroup_20() {
    let reports = reports();
    let group = TaskGroup::try_scope::<(), Error>(async |tg| {
        let _ = tg.create_task(on_cancel(long(), async |_| Err(Error::Value)));
        yield_now().await;
        panic!("an interrupt")
    });
    assert_eq!(panic_of(group).await, "an interrupt", "it wins over the errors of children");
    assert!(reports.is_empty());
}

#[evloop::test]
async fn a_panic_of_a_child_cancels_the_others_and_goes_on_around_the_group() {
    let (reports, log, start) = (reports(), Log::new(), now());
    let group = TaskGroup::scope(async |tg| {
        let _ = tg.create_task(async {
            sleep(secs(1)).await;
            panic!("a child's")
        });
        let other = log.clone();
        let _ = tg.create_task(finally(sleep(secs(100)), async move {
            sleep(secs(2)).await;
            other.push("cleaned up");
        }));
        let held = log.on_drop("body");
        forever_with(held).await;
    });
    assert_eq!(panic_of(group).await, "a child's");
    assert_eq!(now() - start, secs(3));
    assert_eq!(log.take(), ["body", "cleaned up"]);
    yields(2).await;
    assert!(reports.is_empty(), "it was seen: {:?}", reports.take());
}

#[evloop::test(order = "fifo")]
async fn further_panics_are_reported() {
    let reports = reports();
    let group = TaskGroup::scope(async |tg| {
        for name in ["first", "second"] {
            let _ = tg.create_task(async move { panic!("{name}") });
        }
        on_cancel(sleep(secs(10)), async |_| panic!("the body's")).await;
    });
    assert_eq!(panic_of(group).await, "first");
    assert_eq!(reports.take(), ["second", "the body's"]);
}

#[evloop::test]
async fn a_panic_of_the_body_waits_for_the_children() {
    let (log, start) = (Log::new(), now());
    let group = TaskGroup::scope(async |tg| {
        let log = log.clone();
        let _ = tg.create_task(finally(sleep(secs(100)), async move {
            sleep(secs(2)).await;
            log.push("cleaned up");
        }));
        sleep(secs(1)).await;
        panic!("the body's")
    });
    assert_eq!(panic_of(group).await, "the body's");
    assert_eq!((log.take(), now() - start), (vec!["cleaned up".to_owned()], secs(3)));
}

#[evloop::test]
async fn the_handle_of_a_child_that_panicked_tells_it_too() {
    let reports = reports();
    let group = async {
        let mut handle = None;
        let group = TaskGroup::scope(async |tg| {
            handle = tg.create_task(async { panic!("seen twice") }).ok();
        });
        (panic_of(group).await, handle)
    };
    let (text, handle) = group.await;
    assert_eq!(text, "seen twice");
    let handle: evloop::Task<()> = handle.unwrap();
    match handle.await {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "seen twice"),
        other => panic!("{other:?}"),
    }
    assert!(reports.is_empty());
}

#[evloop::test(order = "fifo")]
async fn a_panic_of_a_child_of_a_dropped_group_is_reported() {
    let reports = reports();
    let group = TaskGroup::scope(async |tg| {
        let _ = tg.create_task(async { panic!("before the drop") });
        let _ = tg.create_task(on_cancel(sleep(secs(10)), async |_| panic!("after the drop")));
        sleep(secs(10)).await;
    });
    let mut group = Box::pin(group);
    std::future::poll_fn(|cx| std::task::Poll::Ready(group.as_mut().poll(cx).is_pending())).await;
    // The children have their first steps.
    yield_now().await;
    drop(group);
    yields(3).await;
    assert_eq!(reports.take(), ["before the drop", "after the drop"]);
}

#[evloop::test]
async fn a_destructor_of_a_child_that_panics_fails_the_group() {
    let reports = reports();
    let group = TaskGroup::scope(async |tg| {
        let bomb = OnDrop::new(|| panic!("in a destructor"));
        let _ = tg.create_task(async move {
            let _bomb = bomb;
            sleep(millis(1)).await;
        });
        let held = OnDrop::new(|| panic!("in a future's destructor"));
        let _ = tg.create_task(evloop::wait_for(forever_with(held), secs(1)));
        sleep(secs(10)).await;
    });
    assert_eq!(panic_of(group).await, "in a destructor");
    assert_eq!(reports.take(), ["in a future's destructor"]);
}

#[evloop::test]
async fn a_request_that_comes_with_a_panic_goes_on_where_the_panic_is_caught() {
    let task = create_task(async {
        let group = TaskGroup::scope(async |tg| {
            let _ = tg.create_task(on_cancel(sleep(secs(10)), async |_| panic!("in the cleanup")));
            sleep(secs(10)).await;
        });
        assert_eq!(panic_of(group).await, "in the cleanup");
        yield_now().await;
        unreachable!("the request is delivered at this suspension")
    });
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn errors_that_come_with_a_panic_are_dropped() {
    let group = TaskGroup::try_scope::<(), Error>(async |tg| {
        let _ = tg.create_task(fails_after(secs(1), Error::Value));
        on_cancel(long(), async |_| panic!("the body's")).await
    });
    assert_eq!(panic_of(group).await, "the body's");
}

#[evloop::test]
async fn a_body_that_panics_before_it_gives_a_future_waits_for_the_children() {
    let (log, start) = (Log::new(), now());
    let group = TaskGroup::try_scope::<(), Error>(|tg: TryTaskGroup<Error>| {
        let held = log.on_drop("child");
        let _ = tg.create_task(async {
            forever_with(held).await;
            Ok(())
        });
        if tg.len() == 1 {
            panic!("at once");
        }
        async { Ok(()) }
    });
    assert_eq!(panic_of(group).await, "at once");
    assert_eq!((log.take(), now() - start), (vec!["child".to_string()], secs(0)));
}

#[test]
fn a_group_works_in_a_destructor_of_a_thread_that_panics() {
    let log = Log::new();
    let teardown = OnDrop::new(|| {
        evloop::run(async {
            let sum = TaskGroup::scope(async |tg| {
                let one = tg.create_task(async { 1 }).unwrap();
                one.await.unwrap() + tg.create_task(async { 2 }).unwrap().await.unwrap()
            });
            log.push(format!("{}", sum.await));
        });
    });
    let panic = crate::support::panic_of(|| {
        let _teardown = teardown;
        panic!("the test's")
    });
    assert_eq!((panic.as_str(), log.take()), ("the test's", vec!["3".to_string()]));
}

#[evloop::test]
async fn a_panic_of_a_child_beats_that_of_the_value_which_is_dropped_for_it() {
    let reports = reports();
    let group = TaskGroup::scope(async |tg| {
        let _ = tg.create_task(async {
            sleep(secs(1)).await;
            panic!("a child")
        });
        OnDrop::new(|| panic!("the value"))
    });
    assert_eq!(panic_of(group).await, "a child");
    assert_eq!(reports.take(), ["the value"]);
}

#[evloop::test]
async fn a_request_whose_value_cannot_be_dropped_goes_on_where_that_is_caught() {
    let task = create_task(async {
        let group = TaskGroup::scope(async |tg| {
            let _ = tg.create_task(finally(forever_with(()), async { sleep(secs(1)).await }));
            OnDrop::new(|| panic!("the value"))
        });
        assert_eq!(panic_of(group).await, "the value");
        yield_now().await;
        unreachable!("the request is delivered at this suspension")
    });
    yields(3).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}
