//! `LockTests`.

use std::rc::Rc;

use evloop::testing::settle;
use evloop::{Lock, Promise, call_soon, create_task, yield_now};

use super::{Holder, cancelled_soon, number};
use crate::support::Log;

#[evloop::test]
async fn test_acquire() {
    let (lock, log) = (Rc::new(Lock::new(())), Log::new());
    let guard = lock.acquire().await;
    let first = Holder::of_lock(&lock, &log, "1");
    settle().await;
    let second = Holder::of_lock(&lock, &log, "2");
    settle().await;
    assert!(log.is_empty());

    drop(guard);
    settle().await;
    assert_eq!(log.take(), ["1"]);

    let third = Holder::of_lock(&lock, &log, "3");
    first.leave();
    settle().await;
    assert_eq!(log.take(), ["2"], "the third came later");
    second.leave();
    settle().await;
    assert_eq!(log.take(), ["3"]);
    third.leave();
    for holder in [first, second, third] {
        holder.task.await.unwrap();
    }
    assert!(!lock.locked());
}

#[evloop::test]
async fn test_acquire_cancel() {
    let lock = Rc::new(Lock::new(()));
    let _guard = lock.acquire().await;
    let ours = lock.clone();
    cancelled_soon(async move { drop(ours.acquire().await) }).await;
    assert_eq!(number(&lock, "waiters"), 0);
    assert!(lock.locked());
}

#[evloop::test(order = "fifo")]
async fn test_cancel_race() {
    let (lock, log) = (Rc::new(Lock::new(())), Log::new());
    let a = Holder::of_lock(&lock, &log, "A");
    yield_now().await;
    assert!(lock.locked());
    let b = Holder::of_lock(&lock, &log, "B");
    let c = Holder::of_lock(&lock, &log, "C");
    c.leave();
    yield_now().await;
    assert_eq!(number(&lock, "waiters"), 2);

    a.leave();
    b.task.cancel();
    yield_now().await;
    assert!(!lock.locked(), "released, and C has not come yet");
    assert!(a.task.done() && b.task.cancelled());
    c.task.await.unwrap();
    assert_eq!(log.take(), ["A", "C"]);
    assert!(!lock.locked());
}

#[evloop::test]
async fn test_cancel_release_race() {
    let (lock, log) = (Rc::new(Lock::new(())), Log::new());
    let release = Promise::new();
    let holder = create_task({
        let (lock, release) = (lock.clone(), release.clone());
        async move {
            let guard = lock.acquire_nowait().unwrap();
            release.await.unwrap();
            drop(guard);
        }
    });
    settle().await;
    let first = Holder::of_lock(&lock, &log, "1");
    settle().await;
    let second = Holder::of_lock(&lock, &log, "2");
    settle().await;
    let third = Holder::of_lock(&lock, &log, "3");
    settle().await;
    assert_eq!(number(&lock, "waiters"), 3);
    let to_cancel = first.task.clone();
    call_soon(move || {
        release.set_result(()).unwrap();
        to_cancel.cancel();
    });
    assert!(first.task.await.unwrap_err().is_cancelled());
    holder.await.unwrap();
    settle().await;
    assert_eq!(log.take(), ["2"], "one took the lock");
    assert_eq!(number(&lock, "waiters"), 1);

    third.task.cancel();
    settle().await;
    assert!(third.task.cancelled());
    second.leave();
    second.task.await.unwrap();
    assert!(!lock.locked());
}

#[evloop::test]
async fn test_finished_waiter_cancelled() {
    let (lock, log) = (Rc::new(Lock::new(())), Log::new());
    let guard = lock.acquire().await;
    let b = Holder::of_lock(&lock, &log, "b");
    settle().await;
    assert_eq!(number(&lock, "waiters"), 1);

    let c = Holder::of_lock(&lock, &log, "c");
    b.task.cancel();
    drop(guard);
    settle().await;
    assert!(b.task.cancelled());
    assert!(lock.locked());
    assert_eq!(log.take(), ["c"]);
    c.leave();
    c.task.await.unwrap();
}

#[evloop::test]
async fn test_release_no_waiters() {
    let lock = Lock::new(());
    let guard = lock.acquire().await;
    assert!(lock.locked());
    drop(guard);
    assert!(!lock.locked());
    assert!(lock.acquire_nowait().is_ok());
}

#[evloop::test]
async fn test_context_manager() {
    let lock = Lock::new(());
    assert!(!lock.locked());
    {
        let _guard = lock.acquire().await;
        assert!(lock.locked());
    }
    assert!(!lock.locked());
}
