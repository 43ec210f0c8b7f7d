//! Locks for readers and writers, values that are made once, several permits at a time: as in `primitives`, with rivals
//! who wait behind the future under test and have to get their turn whatever becomes of that.

use std::cell::RefCell;
use std::rc::Rc;

use evloop::testing::{Run, settle};
use evloop::time::secs;
use evloop::{BoundedSemaphore, OnceCell, RwLock, Semaphore, create_task, sleep, yield_now};

use super::{everywhere, in_fifo_order};

/// Entered once after a wait of a second, and left after two.
const WAITS_THEN_HOLDS: [&str; 6] = [
    "()@3",
    "0: Cancelled@0",
    "1: Cancelled@0",
    "2: Cancelled@1",
    "1 woken: Cancelled@1",
    "2 woken: Cancelled@3",
];

/// Was the future under test in, for a moment at least?
fn entered<T>(run: &Run<T>) -> bool {
    run.interruption.is_none_or(|interruption| interruption.suspension == 2)
}

#[test]
fn writing() {
    let outcomes = in_fifo_order(|| {
        let lock = Rc::new(RwLock::new(Vec::new()));
        let holder = create_task({
            let lock = lock.clone();
            async move {
                let _guard = lock.read().await;
                sleep(secs(1)).await;
            }
        });
        let readers = [(); 2].map(|()| {
            let lock = lock.clone();
            create_task(async move {
                yield_now().await;
                let names = lock.read().await;
                sleep(secs(1)).await;
                names.len()
            })
        });
        let ours = {
            let lock = lock.clone();
            async move {
                let mut names = lock.write().await;
                names.push("ours");
                sleep(secs(2)).await;
            }
        };
        (ours, async move |run: &Run<_>| {
            settle().await;
            let stats = lock.stats();
            assert!(stats.write_locked || stats.waiters == 0, "nobody but a writer keeps readers out");
            holder.await.unwrap();
            for reader in readers {
                assert_eq!(reader.await.unwrap(), usize::from(entered(run)));
            }
            assert!(lock.write_nowait().is_ok(), "all have left");
            assert_eq!(lock.stats().waiters, 0);
        })
    });
    assert_eq!(outcomes, WAITS_THEN_HOLDS);
}

#[test]
fn reading() {
    let outcomes = everywhere(|| {
        let lock = Rc::new(RwLock::new(0));
        let holder = create_task({
            let lock = lock.clone();
            async move {
                let _guard = lock.write().await;
                sleep(secs(1)).await;
            }
        });
        let other = create_task({
            let lock = lock.clone();
            async move {
                drop(lock.read().await);
            }
        });
        let writer = create_task({
            let lock = lock.clone();
            async move {
                yield_now().await;
                *lock.write().await += 1;
            }
        });
        let ours = {
            let lock = lock.clone();
            async move {
                let _guard = lock.read().await;
                sleep(secs(2)).await;
            }
        };
        (ours, async move |_: &Run<_>| {
            settle().await;
            let stats = lock.stats();
            assert!(stats.write_locked || stats.waiters == 0, "nobody waits for a free lock");
            holder.await.unwrap();
            other.await.unwrap();
            writer.await.unwrap();
            assert_eq!(*lock.write_nowait().expect("all have left"), 1);
        })
    });
    assert_eq!(outcomes, WAITS_THEN_HOLDS);
}

#[test]
fn making_a_value_once() {
    let outcomes = in_fifo_order(|| {
        let (cell, makers) = (Rc::new(OnceCell::new()), Rc::new(RefCell::new(Vec::new())));
        let get = |name: &'static str, seconds, comes_to: Result<&'static str, ()>| {
            let (cell, makers) = (cell.clone(), makers.clone());
            async move {
                let made = cell.get_or_try_init(async || {
                    makers.borrow_mut().push(name);
                    sleep(secs(seconds)).await;
                    comes_to
                });
                made.await.copied()
            }
        };
        let failing = create_task(get("failing", 1, Err(())));
        let rivals = ["first rival", "second rival"].map(|name| {
            let get = get(name, 1, Ok(name));
            create_task(async move {
                yield_now().await;
                get.await
            })
        });
        let ours = get("ours", 2, Ok("ours"));
        (async move { ours.await.map(drop).unwrap() }, async move |run: &Run<_>| {
            settle().await;
            let stats = cell.stats();
            assert!(stats.is_set == (stats.waiters == 0), "who waits waits for one who makes it: {stats:?}");
            assert_eq!(failing.await.unwrap(), Err(()));
            let value = if run.is_undisturbed() { "ours" } else { "first rival" };
            for rival in rivals {
                assert_eq!(rival.await.unwrap(), Ok(value));
            }
            let mut expected = vec!["failing"];
            expected.extend(entered(run).then_some("ours"));
            expected.extend((!run.is_undisturbed()).then_some("first rival"));
            assert_eq!((cell.get(), &*makers.borrow()), (Some(&value), &expected));
        })
    });
    assert_eq!(outcomes, WAITS_THEN_HOLDS);
}

#[test]
fn several_permits() {
    let outcomes = in_fifo_order(|| {
        let semaphore = Rc::new(Semaphore::new(3));
        let enter = |permits, seconds| {
            let semaphore = semaphore.clone();
            async move {
                let _permit = semaphore.acquire_many(permits).await;
                sleep(secs(seconds)).await;
            }
        };
        let holder = create_task(enter(2, 1));
        let rivals = [1, 3].map(|permits| {
            let enter = enter(permits, 1);
            create_task(async move {
                yield_now().await;
                enter.await;
            })
        });
        (enter(2, 2), async move |_: &Run<_>| {
            settle().await;
            // The one who wants three is the last: alone in line it waits for three, else somebody waits for one.
            let stats = semaphore.stats();
            assert!(stats.available_permits < [4, 3, 1][stats.waiters], "{stats:?}: somebody is forgotten");
            for task in [holder].into_iter().chain(rivals) {
                task.await.unwrap();
            }
            assert_eq!((semaphore.available_permits(), semaphore.stats().waiters), (3, 0));
        })
    });
    assert_eq!(outcomes, WAITS_THEN_HOLDS);
}

#[test]
fn an_owned_permit() {
    let outcomes = everywhere(|| {
        let semaphore = Rc::new(Semaphore::new(1));
        let enter = |seconds| {
            let semaphore = semaphore.clone();
            async move {
                let _permit = semaphore.acquire_owned().await;
                sleep(secs(seconds)).await;
            }
        };
        let holder = create_task(enter(1));
        let rival = create_task({
            let enter = enter(1);
            async move {
                yield_now().await;
                enter.await;
            }
        });
        (enter(2), async move |_: &Run<_>| {
            holder.await.unwrap();
            rival.await.unwrap();
            assert_eq!((semaphore.available_permits(), Rc::strong_count(&semaphore)), (1, 1));
        })
    });
    assert_eq!(outcomes, WAITS_THEN_HOLDS);
}

#[test]
fn a_bounded_semaphore() {
    let outcomes = everywhere(|| {
        let semaphore = Rc::new(BoundedSemaphore::new(1));
        let enter = |seconds| {
            let semaphore = semaphore.clone();
            async move {
                let _permit = semaphore.acquire().await;
                sleep(secs(seconds)).await;
            }
        };
        let holder = create_task({
            let semaphore = semaphore.clone();
            async move {
                semaphore.acquire().await.forget();
                sleep(secs(1)).await;
                semaphore.release().unwrap();
            }
        });
        let rival = create_task({
            let enter = enter(1);
            async move {
                yield_now().await;
                enter.await;
            }
        });
        (enter(2), async move |_: &Run<_>| {
            holder.await.unwrap();
            rival.await.unwrap();
            assert_eq!(semaphore.available_permits(), 1);
            assert!(semaphore.release().is_err(), "none is missing");
        })
    });
    assert_eq!(outcomes, WAITS_THEN_HOLDS);
}
