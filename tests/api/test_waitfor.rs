//! CPython's `test_waitfor`: one awaitable and a deadline.
//!
//! Deviations, each asserted here as it is in evloop:
//! * A timeout of zero polls its content once; there a coroutine never starts.
//! * A value that is ready beats its deadline.
//!
//! "No timeout" is awaiting the thing itself, or [`evloop::timeout`] with `None`.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    Promise, TimeoutError, call_later, catch_cancel, create_task, current_task, finally, now, on_cancel,
    sleep, wait_for, yield_now,
};

use crate::support::{Log, forever_with, tick, yields};

#[evloop::test]
async fn test_asyncio_wait_for_cancelled() {
    let log = Log::new();
    let held = log.on_drop("content");
    let task = create_task(wait_for(forever_with(held), secs(10)));
    yield_now().await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["content"]);
}

#[evloop::test]
async fn test_asyncio_wait_for_timeout() {
    let start = now();
    assert_eq!(wait_for(pending::<()>(), millis(100)).await, Err(TimeoutError));
    assert_eq!(now() - start, millis(100));
    assert_eq!(TimeoutError.to_string(), "the time was over");
}

#[evloop::test]
async fn test_wait_for_timeout_less_then_0_or_0_future_done() {
    let promise = Promise::new();
    promise.set_result("done").unwrap();
    let before = tick();
    assert_eq!(wait_for(promise, Duration::ZERO).await.unwrap().unwrap(), "done");
    assert_eq!(tick(), before);
}

#[evloop::test]
async fn test_wait_for_timeout_less_then_0_or_0_coroutine_do_not_started() {
    let (polls, before) = (Rc::new(Cell::new(0)), tick());
    let counter = polls.clone();
    let content = async move {
        counter.set(counter.get() + 1);
        yield_now().await;
        counter.set(counter.get() + 1);
    };
    assert_eq!(wait_for(content, Duration::ZERO).await, Err(TimeoutError));
    assert_eq!((polls.get(), tick()), (1, before), "up to its first suspension");
}

#[evloop::test]
async fn test_wait_for_timeout_less_then_0_or_0() {
    let (log, start) = (Log::new(), now());
    let held = log.on_drop("cancelled");
    let task = create_task(async move {
        sleep(secs(1)).await;
        drop(held);
    });
    yield_now().await;
    assert!(wait_for(task, Duration::ZERO).await.is_err());
    assert_eq!(log.take(), ["cancelled"], "and waited for");
    assert_eq!(now(), start);
}

#[evloop::test]
async fn test_wait_for() {
    let (log, start) = (Log::new(), now());
    let held = log.on_drop("cancelled");
    let task = create_task(async move {
        sleep(secs(1)).await;
        drop(held);
    });
    let target = task.task_ref();
    assert!(wait_for(task, millis(100)).await.is_err());
    assert!(target.done() && target.cancelled());
    assert_eq!(log.take(), ["cancelled"]);
    assert_eq!(now() - start, millis(100));
}

#[evloop::test(order = "fifo")]
async fn test_wait_for_race_condition() {
    // The value comes in the iteration of the deadline, before it.
    let promise = Promise::new();
    let setter = promise.clone();
    call_later(millis(100), move || setter.set_result("ok").unwrap());
    assert_eq!(wait_for(promise, millis(100)).await.unwrap().unwrap(), "ok");
}

#[evloop::test]
async fn test_wait_for_cancellation_race_condition() {
    // The content is ready in the step in which the request is offered: the request wins, and is not lost.
    let promise = Promise::new();
    let own = promise.clone();
    let task = create_task(async move { wait_for(own, secs(10)).await });
    yield_now().await;
    promise.set_result(()).unwrap();
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_wait_for_waits_for_task_cancellation() {
    let (cleaned, start) = (Rc::new(Cell::new(false)), now());
    let sets = cleaned.clone();
    let task = create_task(finally(sleep(secs(10)), async move {
        sleep(millis(200)).await;
        sets.set(true);
    }));
    assert!(wait_for(task, millis(100)).await.is_err());
    assert!(cleaned.get());
    assert_eq!(now() - start, millis(300));
}

#[evloop::test]
async fn test_wait_for_waits_for_task_cancellation_w_timeout_0() {
    let (cleaned, start) = (Rc::new(Cell::new(false)), now());
    let sets = cleaned.clone();
    let task = create_task(finally(sleep(secs(10)), async move {
        sleep(millis(200)).await;
        sets.set(true);
    }));
    settle().await;
    assert!(wait_for(task, Duration::ZERO).await.is_err());
    assert!(cleaned.get());
    assert_eq!(now() - start, millis(200));
}

#[evloop::test]
async fn test_wait_for_reraises_exception_during_cancellation() {
    let content = on_cancel(long(), async |_| Err("during the cleanup"));
    assert_eq!(wait_for(content, millis(100)).await, Ok(Err("during the cleanup")));
}

#[evloop::test]
async fn test_wait_for_self_cancellation() {
    // A content that swallows the deadline and needs its time is waited for; a request then ends it.
    let log = Log::new();
    let own = log.clone();
    let task = create_task(async move {
        let content = async {
            catch_cancel(sleep(millis(300))).await.unwrap_err().swallow();
            own.push("swallowed the deadline");
            sleep(millis(300)).await;
        };
        wait_for(content, millis(100)).await
    });
    sleep(millis(200)).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["swallowed the deadline"]);
}

#[evloop::test]
async fn test_cancel_wait_for() {
    let start = now();
    let task = create_task(async { wait_for(sleep(secs(10)), secs(20)).await });
    sleep(millis(100)).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_cancel_blocking_wait_for() {
    // A content that nothing can end but a request.
    let task = create_task(wait_for(pending::<()>(), secs(3600)));
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_wait_for_cancel_suppressed() {
    let task = create_task(async {
        let content = async {
            catch_cancel(sleep(millis(200))).await.unwrap_err().swallow();
            "suppressed"
        };
        wait_for(content, secs(1)).await
    });
    sleep(millis(100)).await;
    task.cancel();
    assert_eq!(task.await.unwrap(), Ok("suppressed"));
}

#[evloop::test]
async fn test_wait_for_issue86296() {
    // A value that is ready does not make an outside request vanish.
    let reached = Rc::new(Cell::new(false));
    let sets = reached.clone();
    let task = create_task(async move {
        wait_for(async {}, secs(1)).await.unwrap();
        current_task().unwrap().cancel();
        wait_for(yield_now(), secs(1)).await.unwrap();
        sets.set(true);
    });
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(!reached.get());
}

#[evloop::test]
async fn a_time_far_away_is_no_time_limit() {
    assert_eq!(wait_for(async { 5 }, Duration::MAX).await, Ok(5));
}

#[evloop::test]
async fn a_timeout_error_is_an_io_error_too() {
    let error: std::io::Error = TimeoutError.into();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

/// Ends well after a while, which no test waits for.
async fn long<E>() -> Result<(), E> {
    sleep(secs(3600)).await;
    Ok(())
}
