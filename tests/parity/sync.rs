//! Locks, semaphores, conditions: nobody steals a turn, and a turn that is given up is passed on: O20, O21, O27.
//! Events and barriers wake all: O26, O37.

use std::rc::Rc;

use evloop::{
    AllCompleted, Barrier, BrokenBarrierError, Condition, Event, Lock, Semaphore, Task, catch_cancel,
    create_task, gather, on_cancel, wait, yield_now,
};

use crate::trace::{Trace, yields};

/// O20. A holds the lock, B and C queue; A releases and at once acquires again. Release wakes the first in
/// line without giving it the lock yet, but acquire refuses the fast path while somebody waits.
///
/// CPython: `2:A in | 4:A released; locked()=False | 5:B in | 5:B out | 6:C in | 6:C out | 7:A in again`.
/// Ours: the same.
#[evloop::test(order = "fifo")]
async fn o20_a_released_lock_goes_to_the_first_in_line() {
    async fn a(trace: Trace, lock: Rc<Lock<()>>) {
        let guard = lock.acquire().await;
        trace.log("A in");
        yields(2).await;
        drop(guard);
        trace.log(format_args!("A released; locked()={}", lock.locked()));
        let _guard = lock.acquire().await;
        trace.log("A in again");
    }
    async fn other(trace: Trace, lock: Rc<Lock<()>>, name: char) {
        let _guard = lock.acquire().await;
        trace.log(format_args!("{name} in"));
        trace.log(format_args!("{name} out"));
    }
    let trace = Trace::new();
    let lock = Rc::new(Lock::new(()));
    let other = |name| other(trace.clone(), lock.clone(), name);
    gather((a(trace.clone(), lock.clone()), other('B'), other('C'))).await.unwrap();
    assert_eq!(
        trace.take(),
        ["2:A in", "4:A released; locked()=false", "5:B in", "5:B out", "6:C in", "6:C out", "7:A in again"]
    );
}

/// O20, second run: the first waiter a is cancelled in the same step as the release. It passes the wake-up
/// on in its own step.
///
/// CPython: `3:a cancelled | 4:b in`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o20_a_cancelled_waiter_passes_its_turn_on() {
    async fn waiter(trace: Trace, lock: Rc<Lock<()>>, name: char) {
        match catch_cancel(lock.acquire()).await {
            Ok(_guard) => trace.log(format_args!("{name} in")),
            Err(cancellation) => {
                trace.log(format_args!("{name} cancelled"));
                cancellation.rethrow().await
            }
        }
    }
    let trace = Trace::new();
    let lock = Rc::new(Lock::new(()));
    let guard = lock.acquire().await;
    let a = create_task(waiter(trace.clone(), lock.clone(), 'a'));
    let b = create_task(waiter(trace.clone(), lock.clone(), 'b'));
    yield_now().await;
    drop(guard);
    a.cancel();
    wait([&a, &b], AllCompleted, None).await;
    assert!(a.cancelled() && b.result().unwrap().is_ok());
    assert_eq!(trace.take(), ["3:a cancelled", "4:b in"]);
}

/// O21. As O20 with `Semaphore(1)`. The permit is reserved for the woken waiter inside of release.
///
/// CPython: `2:A in | 4:A released; locked()=True | 5:B in | 6:C in | 7:A again`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o21_a_permit_is_transferred_at_release() {
    async fn a(trace: Trace, semaphore: Rc<Semaphore>) {
        let permit = semaphore.acquire().await;
        trace.log("A in");
        yields(2).await;
        drop(permit);
        trace.log(format_args!("A released; locked()={}", semaphore.locked()));
        let _permit = semaphore.acquire().await;
        trace.log("A again");
    }
    async fn other(trace: Trace, semaphore: Rc<Semaphore>, name: char) {
        let _permit = semaphore.acquire().await;
        trace.log(format_args!("{name} in"));
    }
    let trace = Trace::new();
    let semaphore = Rc::new(Semaphore::new(1));
    let other = |name| other(trace.clone(), semaphore.clone(), name);
    gather((a(trace.clone(), semaphore.clone()), other('B'), other('C'))).await.unwrap();
    assert_eq!(trace.take(), ["2:A in", "4:A released; locked()=true", "5:B in", "6:C in", "7:A again"]);
}

/// O21, second run: `Semaphore(0)`, three waiters, two releases in one step, a third one a tick later.
/// Each release wakes at most one waiter.
///
/// CPython: `2:value 0, locked True | 3:1 | 3:2 | 3:main | 4:3`. Ours: the same. The number of permits is
/// in the semaphore's `Debug` text only.
#[evloop::test(order = "fifo")]
async fn o21_each_release_wakes_one_waiter() {
    async fn waiter(trace: Trace, semaphore: Rc<Semaphore>, number: u32) {
        semaphore.acquire().await.forget();
        trace.log(number);
    }
    let trace = Trace::new();
    let semaphore = Rc::new(Semaphore::new(0));
    let tasks = [1, 2, 3].map(|n| create_task(waiter(trace.clone(), semaphore.clone(), n)));
    yield_now().await;
    semaphore.release();
    semaphore.release();
    assert!(format!("{semaphore:?}").contains("permits: 0"));
    trace.log(format_args!("value 0, locked {}", semaphore.locked()));
    yield_now().await;
    trace.log("main");
    semaphore.release();
    gather(tasks).await.unwrap();
    assert_eq!(trace.take(), ["2:value 0, locked true", "3:1", "3:2", "3:main", "4:3"]);
}

/// O26. 1 and 2 wait; 3 is created and has not run when the event is set. Later 4 waits, and the event is set and
/// cleared in one step. Set wakes all who wait, in order; clear does not take that back.
///
/// CPython: `3:3 | 3:1 | 3:2 | 5:4 woke, is_set False`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o26_an_event_wakes_all_in_order() {
    async fn waiter(trace: Trace, event: Rc<Event>, number: u32) {
        event.wait().await;
        match number {
            4 => trace.log(format_args!("4 woke, is_set {}", event.is_set())),
            _ => trace.log(number),
        }
    }
    let trace = Trace::new();
    let event = Rc::new(Event::new());
    let waiter = |number| create_task(waiter(trace.clone(), event.clone(), number));
    let mut tasks = vec![waiter(1), waiter(2)];
    yield_now().await;
    tasks.push(waiter(3));
    event.set();
    yield_now().await;
    event.clear();
    tasks.push(waiter(4));
    yield_now().await;
    event.set();
    event.clear();
    wait(&tasks, AllCompleted, None).await;
    assert_eq!(trace.take(), ["3:3", "3:1", "3:2", "5:4 woke, is_set false"]);
}

/// O26, last part: set, and cancel of the waiter, in one step.
///
/// CPython: `3:a cancelled although event set`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o26_a_cancellation_beats_the_event() {
    let trace = Trace::new();
    let event = Rc::new(Event::new());
    let a = create_task({
        let (trace, event) = (trace.clone(), event.clone());
        async move {
            match catch_cancel(event.wait()).await {
                Ok(()) => trace.log("a woke"),
                Err(cancellation) => {
                    trace.log("a cancelled although event set");
                    cancellation.rethrow().await
                }
            }
        }
    });
    yield_now().await;
    event.set();
    a.cancel();
    wait([&a], AllCompleted, None).await;
    assert!(a.cancelled());
    assert_eq!(trace.take(), ["3:a cancelled although event set"]);
}

type Monitor = Rc<(Lock<()>, Condition)>;

/// O27. 1, 2 and 3 wait; two are notified, and the lock is held for one more tick; later the rest. Who is woken queues
/// for the lock in the order of the notifications, and returns with it.
///
/// CPython: `2:notified 2 | 3:still holding lock | 3:released | 4:1 woke | 5:1 leaves | 6:2 woke | 7:2 leaves |
/// 9:notify_all | 10:3 woke | 11:3 leaves`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o27_the_notified_queue_for_the_lock() {
    async fn waiter(trace: Trace, monitor: Monitor, number: u32) {
        let (lock, condition) = &*monitor;
        let _guard = condition.wait(lock.acquire().await).await;
        trace.log(format_args!("{number} woke"));
        yield_now().await;
        trace.log(format_args!("{number} leaves"));
    }
    let trace = Trace::new();
    let monitor = Monitor::default();
    let (lock, condition) = &*monitor;
    let tasks = [1, 2, 3].map(|number| create_task(waiter(trace.clone(), monitor.clone(), number)));
    yield_now().await;
    let guard = lock.acquire().await;
    condition.notify(&guard, 2);
    trace.log("notified 2");
    yield_now().await;
    trace.log("still holding lock");
    drop(guard);
    trace.log("released");
    yields(6).await;
    let guard = lock.acquire().await;
    condition.notify_all(&guard);
    trace.log("notify_all");
    drop(guard);
    wait(&tasks, AllCompleted, None).await;
    assert_eq!(
        trace.take(),
        [
            "2:notified 2",
            "3:still holding lock",
            "3:released",
            "4:1 woke",
            "5:1 leaves",
            "6:2 woke",
            "7:2 leaves",
            "9:notify_all",
            "10:3 woke",
            "11:3 leaves"
        ]
    );
}

/// O27, second run: 1 is notified and cancelled in one step. It passes the notification on to 2.
///
/// CPython: `3:1 cancelled while holding the lock | 4:2 woke`. Ours: the same, where the handler acquires the lock; the
/// wait itself has been dropped.
#[evloop::test(order = "fifo")]
async fn o27_a_cancelled_waiter_passes_its_notification_on() {
    async fn waiter(trace: Trace, monitor: Monitor, number: u32) {
        let (lock, condition) = &*monitor;
        let guard = lock.acquire().await;
        let _guard = on_cancel(condition.wait(guard), async |c| {
            let _guard = lock.acquire().await;
            trace.log(format_args!("{number} cancelled while holding the lock"));
            c.rethrow().await
        })
        .await;
        trace.log(format_args!("{number} woke"));
    }
    let trace = Trace::new();
    let monitor = Monitor::default();
    let tasks = [1, 2].map(|number| create_task(waiter(trace.clone(), monitor.clone(), number)));
    yield_now().await;
    let guard = monitor.0.acquire().await;
    monitor.1.notify(&guard, 1);
    drop(guard);
    tasks[0].cancel();
    wait(&tasks, AllCompleted, None).await;
    assert!(tasks[0].cancelled());
    assert_eq!(trace.take(), ["3:1 cancelled while holding the lock", "4:2 woke"]);
}

/// O37, the barrier: three parties. The last to arrive does not suspend and goes on first.
///
/// CPython: `2:p2 index 2 | 3:p0 index 0 | 3:p1 index 1`. Ours: the same.
#[evloop::test(order = "fifo")]
async fn o37_the_last_party_goes_on_first() {
    let trace = Trace::new();
    let barrier = Rc::new(Barrier::new(3));
    let parties = ["p0", "p1", "p2"].map(|name| {
        let (trace, barrier) = (trace.clone(), barrier.clone());
        create_task(async move {
            let index = barrier.wait().await.unwrap();
            trace.log(format_args!("{name} index {index}"));
        })
    });
    gather(parties).await.unwrap();
    assert_eq!(trace.take(), ["2:p2 index 2", "3:p0 index 0", "3:p1 index 1"]);
}

/// O37, the barrier, second run: a waiter is cancelled, which does not break the barrier; then it is aborted, and at
/// last reset.
///
/// CPython: `3:a cancelled; n_waiting 0 | broken False | 7:c broken | 9:broken True | 10:d broken at once | 12:after
/// reset broken False`. Ours: the same. While the cancellation is handled the wait is over already, there as here.
#[evloop::test(order = "fifo")]
async fn o37_abort_breaks_a_barrier_and_a_cancellation_does_not() {
    fn party(trace: &Trace, barrier: &Rc<Barrier>, name: &'static str) -> Task<()> {
        let (trace, barrier) = (trace.clone(), barrier.clone());
        create_task(async move {
            match catch_cancel(barrier.wait()).await {
                Err(cancellation) => {
                    trace.log(format_args!("{name} cancelled; n_waiting {}", barrier.n_waiting()));
                    cancellation.swallow();
                }
                Ok(Err(BrokenBarrierError)) if name == "d" => trace.log("d broken at once"),
                Ok(Err(BrokenBarrierError)) => trace.log(format_args!("{name} broken")),
                Ok(Ok(_)) => unreachable!("there are never three"),
            }
        })
    }
    let trace = Trace::new();
    let barrier = Rc::new(Barrier::new(3));
    let a = party(&trace, &barrier, "a");
    yield_now().await;
    a.cancel();
    yields(2).await;
    trace.note(format_args!("broken {}", barrier.broken()));
    let c = party(&trace, &barrier, "c");
    yields(2).await;
    barrier.abort();
    wait([&c], AllCompleted, None).await;
    trace.log(format_args!("broken {}", barrier.broken()));
    let d = party(&trace, &barrier, "d");
    wait([&d], AllCompleted, None).await;
    barrier.reset();
    trace.log(format_args!("after reset broken {}", barrier.broken()));
    assert_eq!(
        trace.take(),
        [
            "3:a cancelled; n_waiting 0",
            "broken false",
            "7:c broken",
            "9:broken true",
            "10:d broken at once",
            "12:after reset broken false"
        ]
    );
}
