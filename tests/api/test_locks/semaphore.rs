//! `SemaphoreTests`. The permits are forgotten where the originals do not release.

use std::rc::Rc;

use evloop::sync::ReleasedTooOften;
use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    BoundedSemaphore, Promise, Semaphore, Task, TaskGroup, TaskRef, create_task, gather, gather_all, sleep,
    wait_for, yield_now,
};

use super::{cancelled_soon, number};
use crate::support::Log;

/// A task that takes a permit for good.
fn taker(semaphore: &Rc<Semaphore>, log: &Log, name: &'static str) -> Task<()> {
    let (semaphore, log) = (semaphore.clone(), log.clone());
    create_task(async move {
        semaphore.acquire().await.forget();
        log.push(name);
    })
}

/// Such tasks, which have come to the line in this order.
async fn takers<const N: usize>(
    semaphore: &Rc<Semaphore>,
    log: &Log,
    names: [&'static str; N],
) -> [Task<()>; N] {
    let mut tasks = Vec::new();
    for name in names {
        tasks.push(taker(semaphore, log, name));
        settle().await;
    }
    tasks.try_into().expect("one for each name")
}

#[test]
fn test_initial_value_zero() {
    assert!(Semaphore::new(0).locked());
}

#[evloop::test(order = "fifo")]
async fn test_acquire() {
    let (semaphore, log) = (Rc::new(Semaphore::new(3)), Log::new());
    semaphore.acquire().await.forget();
    semaphore.acquire().await.forget();
    assert!(!semaphore.locked());
    let tasks = ["1", "2", "3"].map(|name| taker(&semaphore, &log, name));
    yield_now().await;
    assert_eq!(log.take(), ["1"]);
    assert!(semaphore.locked());
    assert_eq!((number(&semaphore, "waiters"), number(&semaphore, "permits")), (2, 0));

    let fourth = taker(&semaphore, &log, "4");
    semaphore.release();
    semaphore.release();
    assert_eq!(number(&semaphore, "permits"), 0, "both are reserved");
    yield_now().await;
    assert_eq!(log.take(), ["2", "3"]);
    assert!(semaphore.locked());
    assert_eq!((number(&semaphore, "waiters"), number(&semaphore, "permits")), (1, 0));
    assert!(tasks.iter().all(|task| task.done()) && !fourth.done());

    semaphore.release();
    fourth.await.unwrap();
}

#[evloop::test]
async fn test_acquire_cancel() {
    let semaphore = Rc::new(Semaphore::new(1));
    semaphore.acquire().await.forget();
    let ours = semaphore.clone();
    cancelled_soon(async move { ours.acquire().await.forget() }).await;
    assert_eq!(number(&semaphore, "waiters"), 0);
    semaphore.release();
    assert!(!semaphore.locked());
}

#[evloop::test]
async fn test_acquire_cancel_before_awoken() {
    let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
    let [first, second, third, fourth] = takers(&semaphore, &log, ["1", "2", "3", "4"]).await;
    first.cancel();
    second.cancel();
    semaphore.release();
    settle().await;
    assert!(first.cancelled() && second.cancelled());
    assert_eq!(log.take(), ["3"]);
    assert!(third.done() && !fourth.done());
    fourth.cancel();
    settle().await;
    assert_eq!(number(&semaphore, "waiters"), 0);
}

#[evloop::test]
async fn test_acquire_hang() {
    let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
    let [first, second] = takers(&semaphore, &log, ["1", "2"]).await;
    first.cancel();
    semaphore.release();
    settle().await;
    assert!(semaphore.locked());
    assert!(first.cancelled() && second.done());
    assert_eq!(log.take(), ["2"]);
}

#[evloop::test(order = "fifo")]
async fn test_acquire_no_hang() {
    let semaphore = Rc::new(Semaphore::new(1));
    let second = Promise::<TaskRef>::new();
    let first = create_task({
        let (semaphore, second) = (semaphore.clone(), second.clone());
        async move {
            let permit = semaphore.acquire().await;
            yield_now().await;
            drop(permit);
            second.result().unwrap().unwrap().cancel();
        }
    });
    let task = create_task({
        let semaphore = semaphore.clone();
        async move {
            let _permit = semaphore.acquire().await;
            unreachable!("it was cancelled");
        }
    });
    second.set_result(task.clone()).unwrap();
    let (first, second) = gather_all((first, task)).await;
    assert!(first.is_ok() && second.unwrap_err().is_cancelled());
    assert!(wait_for(semaphore.acquire(), secs(1)).await.is_ok());
}

#[test]
fn test_release_not_acquired() {
    assert_eq!(BoundedSemaphore::new(1).release(), Err(ReleasedTooOften));
}

#[evloop::test]
async fn test_release_no_waiters() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.acquire().await;
    assert!(semaphore.locked());
    drop(permit);
    assert!(!semaphore.locked());
}

#[evloop::test(order = "fifo")]
async fn test_acquire_fifo_order() {
    let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::new());
    TaskGroup::scope(async |tg| {
        for name in ["c1", "c2", "c3"] {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            let _ = tg.create_task(async move {
                for round in 1..=2 {
                    let _permit = semaphore.acquire().await;
                    log.push(format!("{name}_{round}"));
                    sleep(millis(10)).await;
                }
            });
        }
    })
    .await;
    assert_eq!(log.take(), ["c1_1", "c2_1", "c3_1", "c1_2", "c2_2", "c3_2"]);
}

#[evloop::test(order = "fifo")]
async fn test_acquire_fifo_order_2() {
    let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::new());
    let first = taker(&semaphore, &log, "1");
    let second = create_task({
        let (semaphore, log) = (semaphore.clone(), log.clone());
        async move {
            let permit = semaphore.acquire().await;
            log.push("2");
            drop(permit);
            semaphore.acquire().await.forget();
            log.push("4");
        }
    });
    let third = taker(&semaphore, &log, "3");
    yield_now().await;
    semaphore.release();
    semaphore.release();
    gather([first, second, third]).await.unwrap();
    assert_eq!(log.take(), ["1", "2", "3", "4"]);
}

#[evloop::test(order = "fifo")]
async fn test_acquire_fifo_order_3() {
    let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
    let tasks = ["1", "2", "3"].map(|name| taker(&semaphore, &log, name));
    yield_now().await;
    tasks[0].cancel();
    yield_now().await;
    semaphore.release();
    semaphore.release();
    let ended = gather_all(tasks).await;
    assert_eq!(ended.iter().map(|result| result.is_ok()).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(log.take(), ["2", "3"]);
}

#[evloop::test(order = "fifo")]
async fn test_acquire_fifo_order_4() {
    let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
    let fourth = Promise::<Task<()>>::new();
    let first = create_task({
        let (semaphore, log, fourth) = (semaphore.clone(), log.clone(), fourth.clone());
        async move {
            semaphore.acquire().await.forget();
            assert_eq!(number(&semaphore, "permits"), 0, "all who waited have been woken");
            log.push("1");
            let log = log.clone();
            fourth.set_result(create_task(async move { log.push("4") })).unwrap();
        }
    });
    let second = create_task({
        let (semaphore, log) = (semaphore.clone(), log.clone());
        async move {
            for _ in 0..3 {
                semaphore.release();
            }
            assert_eq!(number(&semaphore, "permits"), 2);
            assert!(semaphore.locked(), "the first has not woken up yet");
            semaphore.acquire().await.forget();
            log.push("2");
        }
    });
    let third = taker(&semaphore, &log, "3");
    yield_now().await;
    assert_eq!((number(&semaphore, "permits"), number(&semaphore, "waiters")), (2, 3));
    yield_now().await;
    let fourth = fourth.take_result().unwrap().unwrap();
    gather([first, second, third, fourth]).await.unwrap();
    assert_eq!(log.take(), ["1", "2", "3", "4"]);
}
