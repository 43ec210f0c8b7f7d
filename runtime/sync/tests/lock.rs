//! `Lock`: asyncio's fairness (scenario O20), dropping, guards.

use super::{Count, HandLoop, poll};
use crate::sync::{Lock, LockGuard, MappedLockGuard, WouldWait};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Waker;

#[test]
fn a_release_calls_the_first_in_line_and_nobody_barges() {
    let trace = HandLoop::trace(async |ev| {
        let lock = Rc::new(Lock::new(()));
        for name in ["A", "B", "C"] {
            let (ev, lock) = (ev.clone(), lock.clone());
            ev.clone().spawn(async move {
                let guard = lock.acquire().await;
                ev.log(format!("{name} in"));
                if name == "A" {
                    ev.yield_now().await;
                    drop(guard);
                    ev.log(format!("A released; locked()={}", lock.locked()));
                    let _guard = lock.acquire().await;
                    ev.log("A in again");
                } else {
                    ev.log(format!("{name} out"));
                }
            });
        }
    });
    assert_eq!(
        trace,
        "2:A in | 3:A released; locked()=false | 4:B in | 4:B out | 5:C in | 5:C out | 6:A in again"
    );
}

#[test]
fn a_called_waiter_that_is_dropped_calls_the_next() {
    let trace = HandLoop::trace(async |ev| {
        let lock = Rc::new(Lock::new(()));
        let guard = lock.acquire().await;
        let ids = ["a", "b"].map(|name| {
            let (ev, lock) = (ev.clone(), lock.clone());
            ev.clone().spawn(async move {
                let _guard = lock.acquire().await;
                ev.log(format!("{name} in"));
            })
        });
        ev.yield_now().await;
        ev.cancel(ids[0]);
        drop(guard);
    });
    assert_eq!(trace, "4:b in");
}

#[test]
fn a_waiter_that_leaves_early_is_passed_over() {
    let lock = Lock::new(5);
    let guard = lock.acquire_nowait().unwrap();
    let (counts, wakers): (Vec<_>, Vec<_>) = (0..3).map(|_| Count::pair()).unzip();
    let mut first = Box::pin(lock.acquire());
    let mut second = Box::pin(lock.acquire());
    let mut third = Box::pin(lock.acquire());
    assert!(poll(&mut first, &wakers[0]).is_pending());
    assert!(poll(&mut second, &wakers[1]).is_pending());
    assert!(poll(&mut third, &wakers[2]).is_pending());
    drop(first);
    drop(guard);
    assert_eq!(lock.acquire_nowait().unwrap_err(), WouldWait);
    assert!(poll(&mut third, &wakers[2]).is_pending(), "a poll in line does not barge");
    assert_eq!(counts.iter().map(|c| c.get()).collect::<Vec<_>>(), [0, 1, 0]);
    drop(second);
    assert_eq!(counts.iter().map(|c| c.get()).collect::<Vec<_>>(), [0, 1, 1]);
    drop(third);
    assert!(!lock.locked());
    assert!(lock.acquire_nowait().is_ok(), "the last one called gave the lock back");
}

#[test]
fn guards_lead_to_the_value_and_to_the_lock() {
    let mut lock = Lock::new(vec![1]);
    {
        let mut acquire = Box::pin(lock.acquire());
        let guard = poll(&mut acquire, Waker::noop());
        let std::task::Poll::Ready(mut guard) = guard else { panic!("free") };
        guard.push(2);
        assert_eq!(*guard, [1, 2]);
        assert!(std::ptr::eq(LockGuard::lock(&guard), &lock));
        assert_eq!(format!("{guard:?} {lock:?}"), "LockGuard([1, 2]) Lock { locked: true, waiters: 0, .. }");
    }
    lock.get_mut().push(3);
    assert_eq!(lock.into_inner(), [1, 2, 3]);
}

#[test]
fn a_lock_of_something_unsized_works() {
    let lock: Rc<Lock<[u8]>> = Rc::new(Lock::new([1, 2]));
    lock.acquire_nowait().unwrap()[0] = 9;
    assert_eq!(lock.acquire_nowait().unwrap()[..], [9, 2]);
}

#[test]
fn a_guard_of_a_part_holds_the_lock_until_it_is_dropped() {
    let lock = Lock::new(([1, 2], "rest"));
    let (count, waker) = Count::pair();
    let mut next = Box::pin(lock.acquire());
    let numbers = LockGuard::map(lock.acquire_nowait().unwrap(), |value| &mut value.0[..]);
    assert!(poll(&mut next, &waker).is_pending());
    assert_eq!(format!("{numbers:?}"), "MappedLockGuard([1, 2])");
    let mut second = MappedLockGuard::map(numbers, |numbers| &mut numbers[1]);
    *second += *second;
    assert_eq!((count.get(), lock.locked()), (0, true));
    drop(second);
    assert_eq!((count.get(), lock.locked()), (1, false));
    drop(next);
    assert_eq!(lock.into_inner(), ([1, 4], "rest"));
}

#[test]
fn a_guard_whose_part_is_not_found_releases_the_lock() {
    let lock = Lock::from([1, 2]);
    let (count, waker) = Count::pair();
    for is_mapped in [false, true] {
        let mut next = Box::pin(lock.acquire());
        let guard = lock.acquire_nowait().unwrap();
        assert!(poll(&mut next, &waker).is_pending());
        let panics = catch_unwind(AssertUnwindSafe(|| {
            if is_mapped {
                let mapped = LockGuard::map(guard, |numbers| &mut numbers[..]);
                drop(MappedLockGuard::map(mapped, |numbers| &mut numbers[2]));
            } else {
                drop(LockGuard::map::<u8>(guard, |_| panic!("there is none")));
            }
        }));
        assert!(panics.is_err() && count.get() == 1 + usize::from(is_mapped));
        assert!(poll(&mut next, &waker).is_ready(), "and the value is free");
    }
}
