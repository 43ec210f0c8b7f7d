//! Locks and semaphores: nobody steals a turn, and a turn that is given up is passed on: O20, O21.

use std::rc::Rc;

use evloop::{AllCompleted, Lock, Semaphore, catch_cancel, create_task, gather, wait, yield_now};

use crate::trace::{Trace, yields};

/// O20. A holds the lock, B and C queue; A releases and at once acquires again. Release wakes the first in
/// line without giving it the lock yet, but acquire refuses the fast path while somebody waits.
///
/// CPython: `2:A in | 4:A released; locked()=False | 5:B in | 5:B out | 6:C in | 6:C out | 7:A in again`.
/// Ours: the same.
#[evloop::test]
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
#[evloop::test]
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
#[evloop::test]
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
#[evloop::test]
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
