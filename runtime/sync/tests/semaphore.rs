//! `Semaphore`: permits reserved at release (scenario O21), dropping, counting.

use super::{Count, HandLoop, a_waker_panics_in, panicking_waker, poll};
use crate::sync::{BoundedSemaphore, ReleasedTooOften, Semaphore, WouldWait};
use std::rc::Rc;
use std::task::{Poll, Waker};

#[test]
fn a_permit_is_reserved_at_release() {
    let trace = HandLoop::trace(async |ev| {
        let semaphore = Rc::new(Semaphore::new(1));
        for name in ["A", "B", "C"] {
            let (ev, semaphore) = (ev.clone(), semaphore.clone());
            ev.clone().spawn(async move {
                let permit = semaphore.acquire().await;
                ev.log(format!("{name} in"));
                if name == "A" {
                    ev.yield_now().await;
                    drop(permit);
                    ev.log(format!("A released; locked()={}", semaphore.locked()));
                    let _permit = semaphore.acquire().await;
                    ev.log("A again");
                }
            });
        }
    });
    assert_eq!(trace, "2:A in | 3:A released; locked()=true | 4:B in | 5:C in | 6:A again");
}

#[test]
fn two_releases_in_one_step_call_two() {
    let trace = HandLoop::trace(async |ev| {
        let semaphore = Rc::new(Semaphore::new(0));
        for name in 1..=3 {
            let (ev, semaphore) = (ev.clone(), semaphore.clone());
            ev.clone().spawn(async move {
                semaphore.acquire().await.forget();
                ev.log(name.to_string());
            });
        }
        ev.yield_now().await;
        semaphore.release();
        semaphore.release();
        ev.log(format!("locked {}", semaphore.locked()));
        ev.yield_now().await;
        ev.log("main");
        semaphore.release();
    });
    assert_eq!(trace, "2:locked true | 3:1 | 3:2 | 3:main | 4:3");
}

#[test]
fn tasks_that_acquire_twice_alternate() {
    let trace = HandLoop::trace(async |ev| {
        let semaphore = Rc::new(Semaphore::new(1));
        for name in ["a", "b", "c"] {
            let (ev, semaphore) = (ev.clone(), semaphore.clone());
            ev.clone().spawn(async move {
                for _ in 0..2 {
                    let _permit = semaphore.acquire().await;
                    ev.yield_now().await;
                    ev.log(name);
                }
            });
        }
    });
    assert_eq!(trace, "3:a | 5:b | 7:c | 9:a | 11:b | 13:c");
}

#[test]
fn with_free_permits_a_newcomer_still_queues_behind_a_called_one() {
    let semaphore = Semaphore::new(0);
    let (count, waker) = Count::pair();
    let mut first = Box::pin(semaphore.acquire());
    let mut late = Box::pin(semaphore.acquire());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    semaphore.release(); // reserved for the first
    semaphore.release(); // free, but the first has not run
    assert!(semaphore.locked());
    assert_eq!(semaphore.acquire_nowait().unwrap_err(), WouldWait);
    assert!(poll(&mut late, &waker).is_pending());
    assert_eq!(count.get(), 0);
    let Poll::Ready(permit) = poll(&mut first, Waker::noop()) else { panic!("called") };
    assert_eq!(count.get(), 1, "the first serves those behind it");
    assert!(poll(&mut late, &waker).is_ready());
    permit.forget();
    assert_eq!(format!("{semaphore:?}"), "Semaphore { permits: 1, waiters: 0 }");
}

#[test]
fn a_called_waiter_that_is_dropped_gives_its_permit_to_the_next_or_back() {
    let semaphore = Semaphore::new(0);
    let (count, waker) = Count::pair();
    let mut first = Box::pin(semaphore.acquire());
    let mut second = Box::pin(semaphore.acquire());
    let mut third = Box::pin(semaphore.acquire());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, Waker::noop()).is_pending());
    assert!(poll(&mut third, &waker).is_pending());
    drop(second); // leaves early
    semaphore.release();
    drop(first); // was called
    assert_eq!(count.get(), 1);
    drop(third);
    assert!(!semaphore.locked());
    assert!(semaphore.acquire_nowait().is_ok());
}

#[test]
fn a_spurious_poll_keeps_the_place() {
    let semaphore = Semaphore::new(0);
    let ((a, waker_a), (b, waker_b)) = (Count::pair(), Count::pair());
    let mut first = Box::pin(semaphore.acquire());
    let mut second = Box::pin(semaphore.acquire());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, &waker_b).is_pending());
    assert!(poll(&mut first, &waker_a).is_pending());
    semaphore.release();
    assert_eq!((a.get(), b.get()), (1, 0));
}

#[test]
fn a_waiter_that_leaves_serves_those_behind_it_if_permits_are_free() {
    let semaphore = Semaphore::new(0);
    let (count, waker) = Count::pair();
    let mut called = Box::pin(semaphore.acquire());
    assert!(poll(&mut called, Waker::noop()).is_pending());
    semaphore.release();
    semaphore.release(); // free, but nobody passes the one that was called
    let mut leaving = Box::pin(semaphore.acquire());
    let mut last = Box::pin(semaphore.acquire());
    assert!(poll(&mut leaving, Waker::noop()).is_pending());
    assert!(poll(&mut last, &waker).is_pending());
    drop(leaving);
    assert_eq!(count.get(), 1);
    drop((called, last));
    assert_eq!(format!("{semaphore:?}"), "Semaphore { permits: 2, waiters: 0 }");
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_a_free_permit() {
    let semaphore = Semaphore::new(0);
    let (count, waker) = Count::pair();
    let mut called = Box::pin(semaphore.acquire());
    assert!(poll(&mut called, Waker::noop()).is_pending());
    (0..3).for_each(|_| semaphore.release());
    let mut second = Box::pin(semaphore.acquire());
    let mut third = Box::pin(semaphore.acquire());
    assert!(poll(&mut second, &panicking_waker()).is_pending());
    assert!(poll(&mut third, &waker).is_pending());
    assert!(a_waker_panics_in(|| drop(called)));
    assert_eq!(count.get(), 1);
    assert!(poll(&mut second, Waker::noop()).is_ready());
    assert!(poll(&mut third, Waker::noop()).is_ready());
}

#[test]
fn who_wants_many_holds_back_those_behind_it() {
    let trace = HandLoop::trace(async |ev| {
        let semaphore = Rc::new(Semaphore::new(2));
        for (name, permits) in [("one", 1), ("three", 3), ("small", 1), ("none", 0)] {
            let (ev, semaphore) = (ev.clone(), semaphore.clone());
            ev.clone().spawn(async move {
                let _permit = semaphore.acquire_many(permits).await;
                ev.log(name);
                ev.yield_now().await;
            });
        }
        ev.yield_now().await;
        ev.yield_now().await;
        ev.log(format!("{:?}", semaphore.stats()));
        semaphore.release();
        ev.log(format!("free {}", semaphore.available_permits()));
    });
    assert_eq!(
        trace,
        "2:one | 3:SemaphoreStats { available_permits: 2, waiters: 3, peak_waiters: 3 } | 3:free 0 \
         | 4:three | 6:small | 6:none"
    );
}

#[test]
fn permits_come_and_go_together() {
    let semaphore = Semaphore::new(0);
    let counted = [(); 3].map(|()| Count::pair());
    let mut waiting = [2, 2, 1].map(|permits| Box::pin(semaphore.acquire_many(permits)));
    for (wait, (_, waker)) in waiting.iter_mut().zip(&counted) {
        assert!(poll(wait, waker).is_pending());
    }
    let counts = || counted.iter().map(|(count, _)| count.get()).collect::<Vec<_>>();
    semaphore.add_permits(3);
    assert_eq!((counts(), semaphore.available_permits()), (vec![1, 0, 0], 1));
    let [first, second, third] = waiting;
    drop(first); // was called: its two are enough for the second, and one is left for the third
    assert_eq!((counts(), semaphore.available_permits()), (vec![1, 1, 1], 0));
    drop(second);
    drop(third);
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn an_owned_permit_keeps_the_semaphore() {
    let semaphore = Rc::new(Semaphore::new(1));
    let mut acquire = Box::pin(semaphore.clone().acquire_owned());
    let Poll::Ready(permit) = poll(&mut acquire, Waker::noop()) else { panic!("free") };
    drop(acquire);
    assert_eq!((Rc::strong_count(&semaphore), semaphore.locked()), (2, true));
    let (count, waker) = Count::pair();
    let mut next = Box::pin(semaphore.clone().acquire_owned());
    assert!(poll(&mut next, &waker).is_pending());
    drop(permit);
    assert_eq!(count.get(), 1);
    drop(next);
    assert_eq!((Rc::strong_count(&semaphore), semaphore.locked()), (1, false));
}

#[test]
fn an_owned_permit_that_is_forgotten_never_comes_back_by_itself_and_calls_nobody() {
    let semaphore = Rc::new(Semaphore::new(3));
    let permit = semaphore.clone().acquire_many_owned_nowait(2).unwrap();
    assert_eq!(format!("{permit:?}"), "OwnedPermit { permits: 2, .. }");
    let (count, waker) = Count::pair();
    let mut waiting = Box::pin(semaphore.acquire_many(2));
    assert!(poll(&mut waiting, &waker).is_pending());
    let before = semaphore.stats();
    assert_eq!((before.available_permits, before.waiters), (1, 1));
    permit.forget();
    assert_eq!((semaphore.stats(), count.get()), (before, 0));
    assert_eq!(Rc::strong_count(&semaphore), 1, "it does not keep the semaphore any more");
    semaphore.release();
    assert_eq!((semaphore.available_permits(), count.get()), (0, 1));
    drop(waiting);
    assert_eq!(semaphore.available_permits(), 2, "one of the three is not back");
}

#[test]
fn several_permits_may_be_owned_by_one() {
    let semaphore = Rc::new(Semaphore::new(2));
    let mut acquire = Box::pin(semaphore.clone().acquire_many_owned(2));
    let Poll::Ready(permit) = poll(&mut acquire, Waker::noop()) else { panic!("free") };
    drop(acquire);
    let mut next = Box::pin(semaphore.clone().acquire_many_owned(1));
    let mut last = Box::pin(semaphore.clone().acquire_owned());
    let counted = [(); 2].map(|()| Count::pair());
    assert!(poll(&mut next, &counted[0].1).is_pending() && poll(&mut last, &counted[1].1).is_pending());
    drop(permit);
    assert_eq!(counted.each_ref().map(|(count, _)| count.get()), [1, 1]);
    drop((next, last));
    assert_eq!((semaphore.available_permits(), Rc::strong_count(&semaphore)), (2, 1));
}

#[test]
fn what_does_not_wait_takes_all_that_it_wants_or_nothing_and_passes_nobody() {
    let semaphore = Rc::new(Semaphore::new(2));
    assert_eq!(semaphore.acquire_many_nowait(3).unwrap_err(), WouldWait);
    assert_eq!(semaphore.clone().acquire_many_owned_nowait(3).unwrap_err(), WouldWait);
    assert_eq!(semaphore.available_permits(), 2);
    let both = semaphore.acquire_many_nowait(2).unwrap();
    assert_eq!(semaphore.clone().acquire_owned_nowait().unwrap_err(), WouldWait);
    let mut waiting = Box::pin(semaphore.acquire());
    assert!(poll(&mut waiting, Waker::noop()).is_pending());
    drop(both); // one of them is free now, and the first in line has not come yet
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(semaphore.clone().acquire_owned_nowait().unwrap_err(), WouldWait);
    assert_eq!(semaphore.acquire_many_nowait(0).unwrap_err(), WouldWait);
    drop(waiting);
    let owned = semaphore.clone().acquire_owned_nowait().unwrap();
    assert_eq!((semaphore.available_permits(), Rc::strong_count(&semaphore)), (1, 2));
    drop(owned);
    assert_eq!((semaphore.available_permits(), Rc::strong_count(&semaphore)), (2, 1));
}

#[test]
fn a_bounded_semaphore_takes_back_owned_permits_that_were_forgotten_one_by_one() {
    let semaphore = Rc::new(BoundedSemaphore::new(4));
    let mut acquire = Box::pin(semaphore.clone().acquire_owned());
    let Poll::Ready(held) = poll(&mut acquire, Waker::noop()) else { panic!("free") };
    drop(acquire);
    let mut acquire = Box::pin(semaphore.clone().acquire_many_owned(2));
    let Poll::Ready(two) = poll(&mut acquire, Waker::noop()) else { panic!("free") };
    drop(acquire);
    assert!(semaphore.clone().acquire_many_owned_nowait(2).is_err());
    assert!(semaphore.acquire_many_nowait(2).is_err());
    drop(semaphore.clone().acquire_owned_nowait().unwrap());
    two.forget();
    assert_eq!((semaphore.stats().available_permits, Rc::strong_count(&semaphore)), (1, 2));
    assert_eq!([semaphore.release(), semaphore.release()], [Ok(()); 2]);
    assert_eq!(semaphore.release(), Err(ReleasedTooOften), "the other is held");
    drop(held);
    assert_eq!(semaphore.release(), Err(ReleasedTooOften), "and has come back by itself");
    assert_eq!((semaphore.available_permits(), Rc::strong_count(&semaphore)), (4, 1));
    let mut many = Box::pin(semaphore.acquire_many(5));
    assert!(poll(&mut many, Waker::noop()).is_pending(), "there are never so many");
}

#[test]
fn a_bounded_semaphore_takes_back_what_was_forgotten_and_no_more() {
    let semaphore = BoundedSemaphore::new(2);
    assert_eq!(semaphore.release(), Err(ReleasedTooOften));
    let held = semaphore.acquire_nowait().unwrap();
    assert_eq!(semaphore.release(), Err(ReleasedTooOften), "it comes back by itself");
    semaphore.acquire_nowait().unwrap().forget();
    let (count, waker) = Count::pair();
    let mut waiting = Box::pin(semaphore.acquire());
    assert!(poll(&mut waiting, &waker).is_pending());
    assert_eq!((semaphore.release(), count.get()), (Ok(()), 1));
    assert_eq!(semaphore.release(), Err(ReleasedTooOften));
    assert!(poll(&mut waiting, &waker).is_ready());
    drop((held, waiting));
    assert_eq!((semaphore.available_permits(), semaphore.locked()), (2, false));
    assert_eq!(
        format!("{semaphore:?} {}", semaphore.stats().peak_waiters),
        "BoundedSemaphore(Semaphore { permits: 2, waiters: 0 }) 1"
    );
}
