//! `BaseTaskTests`: the tests of `shield`, and those of `shield` with `gather`.
//!
//! Deviations and what has no counterpart:
//! * a shield has no `cancel()` and cannot be asked whether it was cancelled: one cancels the task that awaits
//!   it, or drops it.
//! * `test_shield_cancel_inner`: a cancelled inner task is a value, as for `task.await`; a task that wants to
//!   end as cancelled because of it rethrows it.

use std::cell::{Cell, OnceCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    Promise, Task, TaskError, catch_cancel, create_task, finally, gather, get_running_loop, now, shield,
    sleep, wait_for, yield_now,
};
use futures::StreamExt;
use futures::future::select;

use crate::support::{Log, panic_of, poll_once, reports, tick, yields};

#[evloop::test]
async fn test_shield_result() {
    let promise = Promise::new();
    let inner = create_task(promise.clone());
    let outer = create_task(async move { shield(inner).await.unwrap().unwrap() });
    yield_now().await;
    promise.set_result(42).unwrap();
    assert_eq!(outer.await.unwrap(), 42);
}

#[evloop::test]
async fn test_shield_exception() {
    let outer = create_task(shield(async { Err::<(), _>("expected") }));
    assert_eq!(outer.await.unwrap().unwrap(), Err("expected"));
    let panicked = shield(async { panic!("expected") as u8 }).await;
    assert!(matches!(panicked, Err(TaskError::Panicked(panic)) if panic.message() == "expected"));
}

#[evloop::test]
async fn test_shield_cancel_inner() {
    let inner = create_task(sleep(secs(9)));
    let inner_ref = inner.task_ref();
    let outer = create_task(async move {
        match shield(inner).await {
            Err(TaskError::Cancelled(error)) => error.rethrow::<()>().await,
            other => panic!("{other:?}"),
        }
    });
    let outer_ref = outer.task_ref();
    yield_now().await;
    inner_ref.cancel_with("inner");
    match outer.await {
        Err(TaskError::Cancelled(_)) => assert!(outer_ref.cancelled()),
        other => panic!("{other:?}"),
    }
}

#[evloop::test]
async fn test_shield_cancel_outer() {
    // What the callback holds of the outer task is its waker, which keeps the header; a waker of our own
    // shows that it is gone.
    let promise = Promise::new();
    let inner = create_task(promise.clone());
    let outer = create_task({
        let shielded = shield(create_task(promise.clone()));
        async move { shielded.await.unwrap().unwrap() }
    });
    settle().await;
    outer.cancel();
    settle().await;
    assert!(outer.cancelled(), "at once");
    let wakes = std::sync::Arc::new(NoWake);
    let waker = Waker::from(wakes.clone());
    let mut shielded = shield(&inner);
    assert!(poll_once(&mut shielded, &mut Context::from_waker(&waker)).is_pending());
    assert_eq!(std::sync::Arc::strong_count(&wakes), 3);
    drop(shielded);
    assert_eq!(std::sync::Arc::strong_count(&wakes), 2, "its callback is detached");
    assert!(!inner.done() && inner.cancelling() == 0);
    promise.set_result(1).unwrap();
    assert_eq!(inner.await.unwrap().unwrap(), 1);
}

struct NoWake;

impl std::task::Wake for NoWake {
    fn wake(self: std::sync::Arc<Self>) {}
}

#[evloop::test]
async fn test_shield_shortcut() {
    let inner = create_task(async { 42 });
    settle().await;
    let iteration = tick();
    assert_eq!(shield(&inner).await.unwrap(), 42);
    assert_eq!(shield(inner).await.unwrap(), 42);
    assert_eq!(tick(), iteration, "no tick");
}

#[evloop::test]
async fn test_shield_effect() {
    let (promise, proof) = (Promise::<()>::new(), Rc::new(Cell::new(0)));
    let outer = create_task({
        let (promise, proof) = (promise.clone(), proof.clone());
        let inner = {
            let proof = proof.clone();
            async move {
                promise.await.unwrap();
                proof.set(proof.get() + 1);
            }
        };
        async move {
            shield(inner).await.unwrap();
            proof.set(proof.get() + 100);
        }
    });
    settle().await;
    outer.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    promise.set_result(()).unwrap();
    settle().await;
    assert_eq!(proof.get(), 1);
}

/// Children that end as their promises say, and references to them.
fn children() -> ([Promise<u8>; 2], [Task<u8>; 2]) {
    let promises = [Promise::new(), Promise::new()];
    let tasks = promises.clone().map(|promise| create_task(async move { promise.await.unwrap() }));
    (promises, tasks)
}

#[evloop::test]
async fn test_shield_gather() {
    let ([a, b], tasks) = children();
    let refs = tasks.each_ref().map(|task| task.task_ref());
    let parent = Rc::new(create_task(async move { gather(tasks).await.unwrap() }));
    let outer = create_task({
        let parent = parent.clone();
        async move { shield(&*parent).await.unwrap() }
    });
    yields(2).await;
    outer.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!(!parent.done() && refs.iter().all(|task| task.cancelling() == 0));
    a.set_result(1).unwrap();
    b.set_result(2).unwrap();
    assert_eq!((&*parent).await.unwrap(), [1, 2]);
}

#[evloop::test]
async fn test_gather_shield() {
    let ([a, b], tasks) = children();
    let refs = tasks.each_ref().map(|task| task.task_ref());
    let parent = create_task(gather(tasks.map(shield)));
    yields(2).await;
    parent.cancel();
    let cancelled_at = tick();
    assert!(parent.await.unwrap_err().is_cancelled());
    assert_eq!(tick(), cancelled_at + 5, "passed on, the shields end, it is heard, the gather ends, we");
    assert!(refs.iter().all(|task| !task.done() && task.cancelling() == 0));
    a.set_result(1).unwrap();
    b.set_result(2).unwrap();
    yields(2).await;
    assert!(refs.iter().all(|task| task.done() && !task.cancelled()));
}

#[test]
fn test_shield_coroutine_without_loop() {
    let said = panic_of(|| drop(shield(async {})));
    assert!(said.contains("no event loop runs on this thread"), "{said}");
}

#[evloop::test]
async fn test_shield_coroutine_use_running_loop() {
    let log = Log::new();
    let shielded = shield({
        let log = log.clone();
        async move {
            log.push("runs");
            42
        }
    });
    settle().await;
    assert_eq!(log.take(), ["runs"], "started at the call");
    assert_eq!(shielded.await.unwrap(), 42);
}

// ---- Newer than 3.13 ----

#[evloop::test]
async fn an_error_after_the_outer_was_cancelled_is_not_lost() {
    // Somebody still has the task and awaits it: the error is theirs, nobody else is told.
    let reports = reports();
    let fails = || async {
        sleep(secs(2)).await;
        panic!("late") as u8
    };
    let inner = Rc::new(create_task(fails()));
    let outer = create_task({
        let inner = inner.clone();
        async move { shield(&*inner).await }
    });
    sleep(secs(1)).await;
    outer.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!((&*inner).await.unwrap_err().is_panic());
    drop(inner);
    assert!(reports.is_empty());
    // Nobody can see it any more: the handler is told.
    let outer = create_task(shield(fails()));
    sleep(secs(1)).await;
    outer.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!(reports.is_empty());
    sleep(secs(2)).await;
    assert_eq!(reports.take(), ["late"]);
}

// ---- Beyond CPython's tests ----

#[evloop::test]
async fn a_task_is_shielded_by_value_by_reference_or_in_place() {
    let mut inner = create_task(sleep(secs(2)));
    assert!(wait_for(shield(&inner), secs(1)).await.is_err());
    assert!(wait_for(shield(&mut inner), millis(500)).await.is_err());
    assert!(!inner.done() && inner.cancelling() == 0);
    assert!(wait_for(shield(&mut inner), secs(1)).await.unwrap().is_ok());
    assert!(inner.done() && inner.result().is_none(), "taken");
    let said = create_task(async move { drop(shield(inner).await) }).await.unwrap_err();
    assert!(said.to_string().contains("taken before"), "{said}");
}

#[evloop::test(order = "fifo")]
async fn it_costs_three_ticks_from_the_start_and_two_from_the_end() {
    let iteration = tick();
    shield(async {}).await.unwrap();
    assert_eq!(tick() - iteration, 3);
    let promise = Promise::new();
    let inner = create_task(promise.clone());
    let shielded = shield(&inner);
    yield_now().await;
    promise.set_result(()).unwrap();
    let iteration = tick();
    shielded.await.unwrap().unwrap();
    assert_eq!(tick() - iteration, 3, "the task is woken, its end is heard, we are woken");
}

#[evloop::test(order = "fifo")]
async fn a_request_of_the_same_tick_beats_the_value_and_the_value_stays() {
    let promise = Promise::new();
    let inner = Rc::new(create_task(promise.clone()));
    let outer = create_task({
        let inner = inner.clone();
        async move { catch_cancel(shield(&*inner)).await.is_err() }
    });
    yield_now().await;
    promise.set_result("value").unwrap();
    yields(2).await;
    assert!(inner.done() && !outer.done());
    outer.cancel();
    assert!(outer.await.unwrap());
    assert_eq!((&*inner).await.unwrap(), Ok("value"));
}

#[evloop::test]
async fn a_task_that_shields_itself_is_told_so() {
    let slot = Rc::new(OnceCell::<Task<()>>::new());
    let task = create_task({
        let slot = slot.clone();
        async move { shield(slot.get().unwrap()).await.unwrap() }
    });
    slot.set(task).unwrap();
    settle().await;
    let ended = slot.get().unwrap().result().unwrap().unwrap_err().to_string();
    assert!(ended.contains("a task awaits itself"), "{ended}");
}

#[evloop::test]
async fn the_inner_task_is_waited_for_from_another_branch_of_the_same_task() {
    let start = now();
    let inner = create_task(async {
        sleep(secs(2)).await;
        5
    });
    // Polled again and again by a select beside it, and moved to another waker.
    let mut shielded = shield(&inner);
    for _ in 0..3 {
        select(&mut shielded, pin!(sleep(millis(100)))).await;
    }
    let shielded = futures::stream::iter([shielded]).buffer_unordered(2);
    assert_eq!(shielded.collect::<Vec<_>>().await[0].as_ref().unwrap(), &5);
    assert_eq!(now() - start, secs(2));
}

#[evloop::test]
async fn cancelled_or_dropped_at_any_tick_it_never_touches_the_inner_task() {
    for by_value in [false, true] {
        for dropped in [false, true] {
            for at in 0..6 {
                let log = Log::new();
                let inner = create_task({
                    let log = log.clone();
                    finally(yields(3), async move { log.push("cleaned up") })
                });
                let inner_ref = inner.task_ref();
                let outer = create_task(async move {
                    let content = async {
                        if by_value {
                            shield(inner).await.unwrap();
                        } else {
                            let kept = inner;
                            shield(&kept).await.unwrap();
                        }
                    };
                    if dropped {
                        select(pin!(content), pin!(yields(at))).await;
                    } else {
                        content.await;
                    }
                });
                yields(at).await;
                if !dropped {
                    outer.cancel();
                }
                yields(8).await;
                assert!(outer.done() && inner_ref.done());
                assert!(!inner_ref.cancelled() && inner_ref.cancelling() == 0);
                assert_eq!(log.take(), ["cleaned up"]);
                assert_eq!(get_running_loop().unwrap().scope_nodes(), 0);
            }
        }
    }
}

#[evloop::test]
async fn a_shield_opens_no_node() {
    let inner = create_task(sleep(secs(1)));
    let mut shielded = pin!(shield(&inner));
    let pending = std::future::poll_fn(|cx| Poll::Ready(shielded.as_mut().poll(cx).is_pending())).await;
    assert!(pending);
    assert_eq!(get_running_loop().unwrap().scope_nodes(), 0);
    assert!(shielded.await.is_ok());
}
