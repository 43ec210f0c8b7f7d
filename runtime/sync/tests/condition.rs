//! `Condition`: its two lines, polled by hand.

use super::{Count, a_waker_panics_in, panicking_waker, poll};
use crate::sync::{Condition, Lock};
use std::task::{Poll, Waker};

#[test]
fn a_waiter_that_was_notified_waits_in_the_locks_line() {
    let (lock, condition) = (Lock::new(1), Condition::new());
    let (count, waker) = Count::pair();
    let mut wait = Box::pin(condition.wait(lock.acquire_nowait().unwrap()));
    assert!(lock.locked(), "until it is polled");
    assert!(poll(&mut wait, &waker).is_pending());
    assert!(!lock.locked());
    assert!(poll(&mut wait, &waker).is_pending(), "a poll is no notification");
    assert_eq!(format!("{condition:?}"), "Condition { waiters: 1 }");

    let mut guard = lock.acquire_nowait().unwrap();
    *guard = 2;
    condition.notify(&guard, 1);
    assert_eq!(count.get(), 1);
    assert!(poll(&mut wait, &waker).is_pending());
    drop(guard);
    assert_eq!(count.get(), 2);
    assert!(lock.acquire_nowait().is_err(), "nobody gets between");
    let Poll::Ready(guard) = poll(&mut wait, &waker) else { panic!("it has its turn") };
    assert_eq!(*guard, 2);
}

#[test]
fn a_notified_waiter_that_is_dropped_notifies_the_next_from_either_line() {
    for is_in_locks_line in [false, true] {
        let (lock, condition) = (Lock::new(()), Condition::new());
        let [(_, first_waker), (second, second_waker), (third, third_waker)] =
            [(); 3].map(|()| Count::pair());
        let start = |waker: &Waker| {
            let mut wait = Box::pin(condition.wait(lock.acquire_nowait().unwrap()));
            assert!(poll(&mut wait, waker).is_pending());
            wait
        };
        let mut notified = start(&first_waker);
        let _others = [start(&second_waker), start(&third_waker)];
        let guard = lock.acquire_nowait().unwrap();
        condition.notify(&guard, 1);
        if is_in_locks_line {
            assert!(poll(&mut notified, &first_waker).is_pending());
        }
        drop(notified);
        assert_eq!((second.get(), third.get()), (1, 0));
        drop(guard);
        assert!(lock.acquire_nowait().is_ok(), "it left the lock's line, too");
    }
}

#[test]
fn a_waiter_that_has_the_lock_has_used_its_notification() {
    let (lock, condition) = (Lock::new(()), Condition::new());
    let (count, waker) = Count::pair();
    let mut first = Box::pin(condition.wait(lock.acquire_nowait().unwrap()));
    assert!(poll(&mut first, Waker::noop()).is_pending());
    let mut second = Box::pin(condition.wait(lock.acquire_nowait().unwrap()));
    assert!(poll(&mut second, &waker).is_pending());
    condition.notify(&lock.acquire_nowait().unwrap(), 1);
    drop(poll(&mut first, Waker::noop()));
    drop(first);
    assert_eq!(count.get(), 0);
    drop(second); // was not notified
    assert_eq!(format!("{condition:?}"), "Condition { waiters: 0 }");
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_the_notification() {
    let (lock, condition) = (Lock::new(()), Condition::new());
    let (count, waker) = Count::pair();
    let wakers = [panicking_waker(), waker.clone(), waker];
    let _waiters = wakers.map(|waker| {
        let mut wait = Box::pin(condition.wait(lock.acquire_nowait().unwrap()));
        assert!(poll(&mut wait, &waker).is_pending());
        wait
    });
    let guard = lock.acquire_nowait().unwrap();
    assert!(a_waker_panics_in(|| condition.notify(&guard, 2)));
    assert_eq!((count.get(), format!("{condition:?}")), (1, "Condition { waiters: 1 }".to_owned()));
}
