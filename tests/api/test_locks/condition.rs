//! `ConditionTests`, and what a condition here does beyond them.

use std::cell::Cell;
use std::rc::Rc;

use evloop::testing::settle;
use evloop::time::{millis, secs};
use evloop::{
    Condition, Lock, LockGuard, Task, TaskError, TimeoutError, call_soon, create_task, now, on_cancel,
    wait_for, yield_now,
};

use super::{Holder, number};
use crate::support::{Log, tick, yields};

/// A lock, a condition that is used with it, and a log.
#[derive(Default)]
struct Monitor {
    lock: Lock<i32>,
    changed: Condition,
    log: Log,
}

impl Monitor {
    fn new() -> Rc<Self> {
        Rc::default()
    }

    /// A task that waits, logs its name once it was notified, and keeps the lock until it is told.
    fn holder(self: &Rc<Self>, name: &'static str) -> Holder {
        let this = self.clone();
        Holder::new(|leave| {
            create_task(async move {
                let guard = this.lock.acquire().await;
                let _guard = this.changed.wait(guard).await;
                this.log.push(name);
                leave.await.unwrap();
            })
        })
    }

    /// A task that waits and logs its name once it was notified.
    fn waiter(self: &Rc<Self>, name: &'static str) -> Task<()> {
        let this = self.clone();
        create_task(async move {
            let guard = this.lock.acquire().await;
            let _guard = this.changed.wait(guard).await;
            this.log.push(name);
        })
    }

    async fn notify(&self, n: usize) {
        let guard = self.lock.acquire().await;
        self.changed.notify(&guard, n);
    }

    /// A task that waits; cancelled, it acquires the lock before it lets the cancellation pass.
    fn relocker(self: &Rc<Self>) -> Task<()> {
        let this = self.clone();
        create_task(async move {
            let guard = this.lock.acquire().await;
            let wait = this.changed.wait(guard);
            let _guard = on_cancel(wait, async |c| {
                let _guard = this.lock.acquire().await;
                this.log.push("relocked");
                c.rethrow().await
            })
            .await;
            this.log.push("notified");
        })
    }

    /// A consumer of the value, as in the original's last two tests: takes one at a time until it is negative.
    fn consumer(self: &Rc<Self>) -> Task<()> {
        let this = self.clone();
        create_task(async move {
            let mut guard = this.lock.acquire().await;
            loop {
                guard = this.changed.wait_for(guard, |value| *value != 0).await;
                if *guard < 0 {
                    return;
                }
                *guard -= 1;
            }
        })
    }
}

#[evloop::test(order = "fifo")]
async fn test_wait() {
    let monitor = Monitor::new();
    let (lock, changed, log) = (&monitor.lock, &monitor.changed, &monitor.log);
    let [first, second, third] = ["1", "2", "3"].map(|name| monitor.holder(name));
    yield_now().await;
    assert!(!lock.locked());
    assert_eq!(number(changed, "waiters"), 3);

    let guard = lock.acquire().await;
    changed.notify(&guard, 1);
    yield_now().await;
    assert!(log.is_empty(), "notified, but the lock is ours");
    changed.notify(&guard, 2);
    yield_now().await;
    assert!(log.is_empty());
    assert_eq!((number(changed, "waiters"), number(lock, "waiters")), (0, 3));

    drop(guard);
    yield_now().await;
    assert_eq!(log.take(), ["1"]);
    assert!(lock.locked());
    first.leave();
    yields(2).await;
    assert_eq!(log.take(), ["2"]);
    assert!(lock.locked());
    second.leave();
    yields(2).await;
    assert_eq!(log.take(), ["3"]);
    assert!(lock.locked());
    third.leave();
    for holder in [first, second, third] {
        holder.task.await.unwrap();
    }
    assert!(!lock.locked());
}

#[evloop::test]
async fn test_wait_cancel() {
    let monitor = Monitor::new();
    let task = monitor.relocker();
    settle().await;
    let guard = monitor.lock.acquire().await;
    task.cancel();
    settle().await;
    assert_eq!(number(&monitor.changed, "waiters"), 0, "it has left the line");
    assert!(!task.done(), "its handler waits for the lock");
    drop(guard);
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(monitor.log.take(), ["relocked"]);
    assert!(!monitor.lock.locked());
}

#[evloop::test]
async fn test_wait_cancel_contested() {
    let monitor = Monitor::new();
    let task = monitor.relocker();
    settle().await;
    assert!(!monitor.lock.locked());
    let guard = monitor.lock.acquire().await;
    monitor.changed.notify(&guard, 1);
    let to_cancel = task.clone();
    call_soon(move || assert!(to_cancel.cancel()));
    settle().await;
    assert!(!task.done(), "its handler waits for the lock");
    drop(guard);
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(monitor.log.take(), ["relocked"]);
}

#[evloop::test]
async fn test_wait_cancel_after_notify() {
    let monitor = Monitor::new();
    let task = monitor.relocker();
    settle().await;
    let guard = monitor.lock.acquire().await;
    monitor.changed.notify(&guard, 1);
    settle().await; // it comes to the lock's line
    assert_eq!(number(&monitor.lock, "waiters"), 1);
    task.cancel();
    settle().await; // the cancellation reaches it, and its handler gets in line
    assert_eq!(number(&monitor.lock, "waiters"), 1);
    assert!(!task.done());
    drop(guard);
    settle().await;
    assert!(task.cancelled());
    assert_eq!(monitor.log.take(), ["relocked"]);
}

#[evloop::test]
async fn test_wait_for() {
    let monitor = Monitor::new();
    let task = create_task({
        let monitor = monitor.clone();
        async move {
            let guard = monitor.lock.acquire().await;
            let guard = monitor.changed.wait_for(guard, |value| *value == 7).await;
            monitor.log.push("7");
            *guard
        }
    });
    settle().await;
    monitor.notify(1).await;
    settle().await;
    assert!(monitor.log.is_empty(), "the predicate says no");
    *monitor.lock.acquire().await = 7;
    settle().await;
    assert!(monitor.log.is_empty(), "nobody has notified it");
    monitor.notify(1).await;
    settle().await;
    assert_eq!(monitor.log.take(), ["7"]);
    assert_eq!(task.await.unwrap(), 7);
    assert!(!monitor.lock.locked());
}

/// The half that is not about the missing lock: a predicate that is true at once does not wait.
#[evloop::test]
async fn test_wait_for_unacquired() {
    let monitor = Monitor::new();
    let iteration = tick();
    let guard = monitor.lock.acquire().await;
    let guard = monitor.changed.wait_for(guard, |value| *value == 0).await;
    assert_eq!((*guard, tick()), (0, iteration));
}

#[evloop::test(order = "fifo")]
async fn test_notify() {
    let monitor = Monitor::new();
    let tasks = ["1", "2", "3"].map(|name| monitor.waiter(name));
    yield_now().await;
    monitor.notify(1).await;
    yield_now().await;
    assert_eq!(monitor.log.take(), ["1"]);

    let guard = monitor.lock.acquire().await;
    monitor.changed.notify(&guard, 1);
    monitor.changed.notify(&guard, 2048);
    drop(guard);
    yields(2).await;
    assert_eq!(monitor.log.take(), ["2", "3"]);
    assert!(tasks.iter().all(|task| task.done()));
}

#[evloop::test(order = "fifo")]
async fn test_notify_all() {
    let monitor = Monitor::new();
    let tasks = ["1", "2"].map(|name| monitor.waiter(name));
    yield_now().await;
    let guard = monitor.lock.acquire().await;
    monitor.changed.notify_all(&guard);
    drop(guard);
    yields(2).await;
    assert_eq!(monitor.log.take(), ["1", "2"]);
    assert!(tasks.iter().all(|task| task.done()));
}

#[evloop::test]
async fn test_context_manager() {
    let monitor = Monitor::new();
    let task = monitor.waiter("1");
    settle().await;
    {
        let guard = monitor.lock.acquire().await;
        assert!(monitor.lock.locked());
        monitor.changed.notify(&guard, 1);
        assert!(!task.done());
    }
    assert!(!monitor.lock.locked());
    task.await.unwrap();
    assert!(!monitor.lock.locked(), "its guard went with it");
}

/// As two conditions of one lock: waiting for one leaves the lock to who notifies the other.
#[evloop::test(order = "fifo")]
async fn test_explicit_lock() {
    let shared = Rc::new((Lock::new(()), Condition::new(), Condition::new()));
    let log = Log::new();
    let wait = |name, which: fn(&(Lock<()>, Condition, Condition)) -> &Condition| {
        let (shared, log) = (shared.clone(), log.clone());
        create_task(async move {
            let guard = shared.0.acquire().await;
            let _guard = which(&shared).wait(guard).await;
            assert!(shared.0.locked());
            log.push(name);
        })
    };
    let left = wait("left", |shared| &shared.1);
    let right = wait("right", |shared| &shared.2);
    yield_now().await;
    assert!(!shared.0.locked());
    let guard = shared.0.acquire().await;
    assert!(std::ptr::eq(LockGuard::lock(&guard), &shared.0));
    shared.2.notify_all(&guard);
    shared.1.notify_all(&guard);
    drop(guard);
    right.await.unwrap();
    left.await.unwrap();
    assert_eq!(log.take(), ["right", "left"], "one line for the lock");
}

#[evloop::test]
async fn test_timeout_in_block() {
    let monitor = Monitor::new();
    let start = now();
    let guard = monitor.lock.acquire().await;
    let waited = wait_for(monitor.changed.wait(guard), millis(500)).await;
    assert_eq!(waited.map(|guard| *guard), Err(TimeoutError));
    assert_eq!(now() - start, millis(500));
    assert_eq!(number(&monitor.changed, "waiters"), 0);
    // In asyncio the lock would be held here.
    assert_eq!(*monitor.lock.acquire_nowait().unwrap(), 0);
}

#[evloop::test]
async fn test_cancelled_error_wakeup() {
    let monitor = Monitor::new();
    let task = monitor.relocker();
    settle().await;
    assert_eq!(number(&monitor.changed, "waiters"), 1);
    task.cancel_with("foo");
    let Err(TaskError::Cancelled(error)) = task.await else { panic!("it was cancelled") };
    assert_eq!(error.message(), Some("foo"));
    assert_eq!(monitor.log.take(), ["relocked"]);
}

#[evloop::test]
async fn test_cancelled_error_re_aquire() {
    let monitor = Monitor::new();
    let task = monitor.relocker();
    settle().await;
    let guard = monitor.lock.acquire().await;
    monitor.changed.notify(&guard, 1);
    settle().await;
    assert_eq!(number(&monitor.lock, "waiters"), 1, "it is about to acquire the lock");
    task.cancel_with("foo");
    drop(guard);
    let Err(TaskError::Cancelled(error)) = task.await else { panic!("it was cancelled") };
    assert_eq!(error.message(), Some("foo"));
    assert_eq!(monitor.log.take(), ["relocked"]);
}

/// Produces one item, has the consumer that is told of it cancelled, after `pause`, and waits until the other one has
/// taken the item.
async fn one_item_for_two(pause: impl AsyncFnOnce()) {
    let monitor = Monitor::new();
    let first = monitor.consumer();
    settle().await;
    let second = monitor.consumer();
    settle().await;
    assert_eq!(number(&monitor.changed, "waiters"), 2);
    let mut guard = monitor.lock.acquire().await;
    *guard += 1;
    monitor.changed.notify(&guard, 1);
    pause().await;
    first.cancel();
    drop(guard);
    settle().await;
    assert!(first.cancelled());
    let mut guard = monitor.lock.acquire_nowait().unwrap();
    assert_eq!(*guard, 0, "the other one was notified in its place");
    *guard = -1;
    monitor.changed.notify_all(&guard);
    drop(guard);
    wait_for(second, secs(1)).await.unwrap().unwrap();
}

#[evloop::test]
async fn test_cancelled_wakeup() {
    one_item_for_two(async || ()).await;
}

#[evloop::test]
async fn test_cancelled_wakeup_relock() {
    one_item_for_two(settle).await;
}

/// In asyncio it would wait for the lock.
#[evloop::test]
async fn without_a_handler_a_cancelled_wait_ends_at_once_and_without_the_lock() {
    let monitor = Monitor::new();
    let first = monitor.waiter("in the lock's line");
    settle().await;
    let tasks = [first, monitor.waiter("in the condition's")];
    settle().await;
    let guard = monitor.lock.acquire().await;
    monitor.changed.notify(&guard, 1);
    settle().await;
    assert_eq!((number(&monitor.lock, "waiters"), number(&monitor.changed, "waiters")), (1, 1));
    tasks[0].cancel();
    tasks[1].cancel();
    settle().await;
    assert!(tasks.iter().all(|task| task.cancelled()));
    assert_eq!((number(&monitor.lock, "waiters"), number(&monitor.changed, "waiters")), (0, 0));
    drop(guard);
    assert!(!monitor.lock.locked() && monitor.log.is_empty());
}

/// asyncio notifies another one whenever a wait ends with an error; here only who was notified passes that on.
#[evloop::test]
async fn who_leaves_without_a_notification_notifies_nobody() {
    let monitor = Monitor::new();
    let [first, second] = [monitor.waiter("1"), monitor.waiter("2")];
    yield_now().await;
    first.cancel();
    yields(3).await;
    assert!(first.cancelled() && !second.done());
    assert_eq!(number(&monitor.changed, "waiters"), 1);
    monitor.notify(1).await;
    second.await.unwrap();
}

#[evloop::test]
async fn the_lock_is_released_when_the_wait_begins() {
    let monitor = Monitor::new();
    let guard = monitor.lock.acquire().await;
    let wait = monitor.changed.wait(guard);
    assert!(monitor.lock.locked(), "a future that is not polled does nothing");
    drop(wait);
    assert!(!monitor.lock.locked());
}

#[evloop::test]
async fn a_predicate_that_panics_leaves_the_lock_free() {
    let monitor = Monitor::new();
    let asked = Rc::new(Cell::new(0));
    let task = create_task({
        let (monitor, asked) = (monitor.clone(), asked.clone());
        async move {
            let guard = monitor.lock.acquire().await;
            let predicate = |_: &mut i32| {
                asked.set(asked.get() + 1);
                assert!(asked.get() < 2, "the second time");
                false
            };
            drop(monitor.changed.wait_for(guard, predicate).await);
        }
    });
    settle().await;
    monitor.notify(1).await;
    assert!(matches!(task.await, Err(TaskError::Panicked(panic)) if panic.message() == "the second time"));
    assert!(!monitor.lock.locked());
}
