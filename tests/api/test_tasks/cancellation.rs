//! The cancellation tests of `BaseTaskTests`.
//!
//! Deviations, each asserted here as it is in evloop:
//! * `test_cancel_inner_future`: a cancelled promise is a value to its awaiter, who may rethrow it.
//! * `test_cancel_task_catching`, `test_task_cancel_waiter_future`, `test_yield_future_passes_cancel`:
//!   cancelling an awaiter leaves the promise alone; an awaited *task* is cancelled.
//! * `test_cancel_at_end`: a value that is there stands.
//! * `test_uncancel_structured_blocks`: see `structured.rs`.

use std::cell::Cell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    Promise, TaskError, call_later, catch_cancel, create_task, current_task, finally, now, sleep, yield_now,
};

use crate::support::{Log, forever_with, yields};

/// The message that a task was cancelled with.
fn message<T: std::fmt::Debug>(ended: Result<T, TaskError>) -> Option<String> {
    match ended {
        Err(TaskError::Cancelled(error)) => error.message().map(str::to_owned),
        other => panic!("not cancelled: {other:?}"),
    }
}

#[evloop::test]
async fn test_task_cancel_message_getter() {
    let task = create_task(async { unreachable!("it never runs") });
    assert!(task.cancel_with("my message"));
    assert_eq!(message::<()>(task.await).as_deref(), Some("my message"));
}

#[evloop::test]
async fn test_cancelling() {
    let task = create_task(sleep(secs(10)));
    assert_eq!(task.cancelling(), 0);
    assert!(!format!("{task:?}").contains("cancelling"));
    assert!(task.cancel());
    assert_eq!(task.cancelling(), 1);
    assert!(format!("{task:?}").contains("cancelling"));
    assert!(task.cancel(), "as often as one likes before the end");
    assert_eq!(task.cancelling(), 2);
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_uncancel_basic() {
    let task = create_task(async {
        if let Err(cancellation) = catch_cancel(sleep(secs(10))).await {
            cancellation.swallow();
            current_task().unwrap().uncancel();
        }
        sleep(secs(10)).await;
    });
    settle().await;
    assert!(task.cancel(), "the first sleep");
    assert_eq!(task.cancelling(), 1);
    settle().await;
    assert_eq!(task.cancelling(), 0, "uncancel in the handler");
    assert!(!format!("{task:?}").contains("cancelling"));
    assert!(!task.done());

    assert!(task.cancel(), "the second sleep");
    assert_eq!(task.cancelling(), 1);
    settle().await;
    assert!(task.cancelled() && task.done());
    assert_eq!(task.uncancel(), 0);
    assert_eq!(task.cancelling(), 0);
    assert!(task.cancelled() && task.done(), "uncancel after the end changes nothing");
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_uncancel_resets_must_cancel() {
    let promise = Promise::new();
    let task = create_task({
        let promise = promise.clone();
        async move {
            promise.await.unwrap();
            42
        }
    });
    yield_now().await;
    promise.set_result(()).unwrap();
    assert!(task.cancel());
    assert_eq!((task.cancelling(), task.uncancel()), (1, 0));
    assert_eq!(task.await.unwrap(), 42);
}

#[evloop::test]
async fn uncancel_to_more_than_zero_keeps_the_request() {
    let task = create_task(sleep(secs(10)));
    yield_now().await;
    task.cancel();
    task.cancel();
    assert_eq!(task.uncancel(), 1);
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_cancel() {
    let start = now();
    let task = create_task(async {
        sleep(secs(10)).await;
        12
    });
    yield_now().await;
    assert!(task.cancel() && !task.done());
    let task_ref = task.task_ref();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(task_ref.done() && task_ref.cancelled());
    assert!(!task_ref.cancel());
    assert_eq!(now(), start);
}

#[evloop::test]
async fn test_cancel_with_message_then_future_result() {
    let task = create_task(sleep(secs(10)));
    settle().await;
    task.cancel_with("my message");
    settle().await;
    let TaskError::Cancelled(error) = task.result().unwrap().unwrap_err() else { panic!("cancelled") };
    assert_eq!(error.message(), Some("my message"));
    assert_eq!(error.to_string(), "cancelled: my message");
}

#[evloop::test]
async fn test_cancel_with_message_then_future_exception() {
    let task = create_task(sleep(secs(10)));
    yield_now().await;
    task.cancel_with("first");
    task.cancel_with("second");
    let error = task.await.unwrap_err();
    assert_eq!(error.to_string(), "the task was cancelled: second", "the last message wins");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "cancelled: second");
}

#[evloop::test]
async fn test_cancel_with_message_before_starting_task() {
    let log = Log::new();
    let task = create_task(forever_with(log.on_drop("dropped unpolled")));
    task.cancel_with("my message");
    assert_eq!(message(task.await).as_deref(), Some("my message"));
    assert_eq!(log.take(), ["dropped unpolled"]);
}

#[evloop::test]
async fn a_message_passes_through_awaiters_that_rethrow() {
    let inner = create_task(sleep(secs(10)));
    let inner_ref = inner.task_ref();
    let outer = create_task(async move {
        match inner.await {
            Err(TaskError::Cancelled(error)) => {
                assert_eq!(error.message(), Some("why"));
                error.rethrow().await
            }
            other => panic!("{other:?}"),
        }
    });
    yield_now().await;
    inner_ref.cancel_with("why");
    message::<()>(outer.await);
}

#[evloop::test(order = "fifo")]
async fn test_cancel_yield() {
    let log = Log::new();
    let task = create_task({
        let log = log.clone();
        async move {
            log.push("one");
            yield_now().await;
            log.push("two");
            yield_now().await;
            unreachable!("cancelled at the second yield");
        }
    });
    yields(2).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["one", "two"]);
}

#[evloop::test]
async fn test_cancel_inner_future() {
    let promise = Promise::<()>::new();
    let task = create_task({
        let promise = promise.clone();
        async move {
            match promise.await {
                Ok(()) => 12,
                Err(error) => error.rethrow().await,
            }
        }
    });
    yield_now().await;
    promise.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_cancel_both_task_and_inner_future() {
    let promise = Promise::<()>::new();
    let task = create_task({
        let promise = promise.clone();
        async move {
            drop(promise.await);
            12
        }
    });
    yield_now().await;
    promise.cancel();
    task.cancel();
    let task_ref = task.task_ref();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(promise.cancelled() && task_ref.cancelled());
}

#[evloop::test]
async fn test_cancel_task_catching() {
    let (first, second) = (Promise::<()>::new(), Promise::<()>::new());
    let task = create_task({
        let (first, second) = (first.clone(), second.clone());
        async move {
            first.await.unwrap();
            match catch_cancel(second).await {
                Ok(_) => 0,
                Err(cancellation) => {
                    cancellation.swallow();
                    42
                }
            }
        }
    });
    settle().await;
    first.set_result(()).unwrap();
    settle().await;
    task.cancel();
    let task_ref = task.task_ref();
    assert_eq!(task.await.unwrap(), 42);
    assert!(!task_ref.cancelled());
    assert!(!second.done(), "the promise is left alone");
}

#[evloop::test]
async fn test_cancel_task_ignoring() {
    let promises = [(); 3].map(|()| Promise::<u8>::new());
    let task = create_task({
        let [first, second, third] = promises.clone();
        async move {
            first.await.unwrap();
            if let Err(cancellation) = catch_cancel(second).await {
                cancellation.swallow();
            }
            third.await.unwrap()
        }
    });
    settle().await;
    promises[0].set_result(0).unwrap();
    settle().await;
    task.cancel();
    settle().await;
    assert!(!task.done() && !promises[2].done(), "it waits for the third, which nobody touched");
    assert_eq!(task.cancelling(), 1, "swallowing does not take the request back");
    promises[2].set_result(42).unwrap();
    assert_eq!(task.await.unwrap(), 42);
}

#[evloop::test]
async fn test_cancel_current_task() {
    let start = now();
    let task = create_task(async {
        current_task().unwrap().cancel();
        sleep(secs(100)).await;
        12
    });
    let task_ref = task.task_ref();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(task_ref.done() && !task_ref.cancel());
    assert_eq!(now(), start, "at the next suspension, not after it");
}

#[evloop::test]
async fn test_cancel_at_end() {
    let task = create_task(async {
        current_task().unwrap().cancel();
        12
    });
    let task_ref = task.task_ref();
    assert_eq!(task.await.unwrap(), 12, "asyncio loses the value");
    assert!(task_ref.done() && !task_ref.cancelled());
}

#[evloop::test]
async fn test_cancel_awaited_task() {
    let log = Log::new();
    let nested = create_task(finally(sleep(secs(100)), {
        let log = log.clone();
        async move { log.push("the nested task was told") }
    }));
    let nested_ref = nested.task_ref();
    let awaiter = create_task(async move { drop(nested.await) });
    settle().await;
    awaiter.cancel();
    assert!(awaiter.await.unwrap_err().is_cancelled());
    assert!(nested_ref.cancelled());
    assert_eq!(log.take(), ["the nested task was told"]);
}

#[evloop::test]
async fn test_baseexception_during_cancel() {
    let task = create_task(async {
        if catch_cancel(sleep(secs(10))).await.is_err() {
            panic!("worse");
        }
    });
    settle().await;
    task.cancel();
    settle().await;
    assert!(task.done() && !task.cancelled(), "the panic is how it ended");
    match task.await {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "worse"),
        other => panic!("{other:?}"),
    }
}

#[evloop::test]
async fn test_task_cancel_sleeping_task() {
    let start = now();
    let sleeper = create_task(sleep(secs(5000)));
    let sleeper_ref = sleeper.task_ref();
    call_later(millis(100), move || assert!(sleeper_ref.cancel()));
    let seen = create_task(async move {
        match sleeper.await {
            Ok(()) => "slept in",
            Err(_) => "cancelled",
        }
    });
    assert_eq!(seen.await.unwrap(), "cancelled");
    assert_eq!(now() - start, millis(100));
}

#[evloop::test]
async fn test_task_cancel_waiter_future() {
    let promise = Promise::<u8>::new();
    let task = create_task(promise.clone());
    settle().await;
    assert_eq!(format!("{promise:?}"), "Promise { state: pending, observers: 1 }");
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(!promise.cancelled(), "asyncio cancels it under everybody else");
    assert_eq!(format!("{promise:?}"), "Promise { state: pending, observers: 0 }");
}

#[evloop::test]
async fn test_yield_future_passes_cancel() {
    let proof = Rc::new(Cell::new(0));
    let promise = Promise::<()>::new();
    async fn inner(promise: Promise<()>, proof: Rc<Cell<u32>>) {
        match catch_cancel(promise).await {
            Ok(_) => unreachable!("nobody sets it"),
            Err(cancellation) => {
                proof.set(proof.get() + 1);
                cancellation.rethrow::<()>().await;
            }
        }
    }
    let task = create_task({
        let (proof, promise) = (proof.clone(), promise.clone());
        async move {
            match catch_cancel(inner(promise, proof.clone())).await {
                Ok(()) => proof.set(proof.get() + 10),
                Err(cancellation) => {
                    proof.set(proof.get() + 100);
                    cancellation.swallow();
                }
            }
        }
    });
    settle().await;
    task.cancel();
    task.await.unwrap();
    assert_eq!(proof.get(), 101, "the inner handler first, then the outer one");
    assert!(!promise.cancelled());
}

#[evloop::test]
async fn a_task_whose_cancellation_is_swallowed_by_what_it_awaits_gets_the_value() {
    let child = create_task(async {
        match catch_cancel(sleep(secs(10))).await {
            Ok(()) => "slept",
            Err(cancellation) => {
                cancellation.swallow();
                "swallowed"
            }
        }
    });
    let parent = create_task(async move { child.await.unwrap() });
    settle().await;
    parent.cancel();
    assert_eq!((&parent).await.unwrap(), "swallowed");
    assert_eq!((parent.cancelled(), parent.cancelling()), (false, 1));
}
