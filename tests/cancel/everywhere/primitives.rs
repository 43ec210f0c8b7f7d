//! What tasks wait for: queues, locks, semaphores, events, conditions, barriers, promises, time, threads. Each has a rival that waits behind the
//! future under test, and has to get its turn whatever becomes of that.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evloop::testing::{Ended, Run, settle};
use evloop::time::{interval, secs};
use evloop::{
    Barrier, Condition, Event, Lock, Promise, Queue, Semaphore, create_task, now, sleep, to_thread, yield_now,
};

use super::{everywhere, in_fifo_order, others};

/// The list that several write to.
type Sink<T> = Rc<RefCell<Vec<T>>>;

/// A number out of a primitive's `Debug` text.
fn number(primitive: &impl Debug, name: &str) -> usize {
    let text = format!("{primitive:?}");
    let (_, rest) = text.split_once(&format!("{name}: ")).expect("a field of that name");
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

#[test]
fn queue_get() {
    let outcomes = everywhere(|| {
        let (queue, got) = (Rc::new(Queue::new(0)), Sink::default());
        let take_two = {
            let (queue, got) = (queue.clone(), got.clone());
            async move {
                for _ in 0..2 {
                    let item = queue.get().await.unwrap();
                    got.borrow_mut().push(item);
                }
            }
        };
        // It starts after the future under test, since that is the first task after this one.
        let rival = create_task({
            let (queue, got) = (queue.clone(), got.clone());
            async move {
                yield_now().await;
                while let Ok(item) = queue.get().await {
                    got.borrow_mut().push(item);
                }
            }
        });
        let producer = create_task({
            let queue = queue.clone();
            async move {
                for item in 0..4 {
                    sleep(secs(1)).await;
                    queue.put_nowait(item).unwrap();
                }
            }
        });
        (take_two, async move |_: &Run<_>| {
            settle().await;
            assert!(queue.empty(), "the rival takes what is there, and waits for nobody's next put");
            producer.await.unwrap();
            queue.shutdown();
            rival.await.unwrap();
            assert_eq!(*got.borrow(), [0, 1, 2, 3], "nothing is lost, nothing comes twice");
            assert_eq!((queue.qsize(), number(&queue, "getters")), (0, 0));
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@3"
        ],
        "the rival has the second one's turn"
    );
}

#[test]
fn queue_put() {
    let outcomes = everywhere(|| {
        let (queue, stored) = (Rc::new(Queue::new(1)), Sink::default());
        queue.put_nowait("full").unwrap();
        let put_two = {
            let (queue, stored) = (queue.clone(), stored.clone());
            async move {
                for item in ["one", "two"] {
                    queue.put(item).await.unwrap();
                    stored.borrow_mut().push(item);
                }
            }
        };
        let rival = create_task({
            let queue = queue.clone();
            async move {
                yield_now().await;
                queue.put("rival").await.unwrap();
            }
        });
        let consumer = create_task({
            let queue = queue.clone();
            async move {
                let mut taken = Vec::new();
                loop {
                    sleep(secs(1)).await;
                    match queue.get().await {
                        Ok(item) => taken.push(item),
                        Err(_) => return taken,
                    }
                }
            }
        });
        (put_two, async move |_: &Run<_>| {
            settle().await;
            assert!(queue.full() || number(&queue, "putters") == 0, "nobody waits where there is room");
            rival.await.unwrap();
            queue.shutdown();
            let mut taken = consumer.await.unwrap();
            let at = taken.iter().position(|item| *item == "rival").expect("the rival had its turn");
            taken.remove(at);
            let mut expected = vec!["full"];
            expected.extend(&*stored.borrow());
            assert_eq!(taken, expected, "what was stored is there, and nothing else");
            assert_eq!(number(&queue, "putters"), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn queue_join() {
    let outcomes = everywhere(|| {
        let queue = Rc::new(Queue::new(0));
        for item in 0..2 {
            queue.put_nowait(item).unwrap();
        }
        let worker = create_task({
            let queue = queue.clone();
            async move {
                while let Ok(_item) = queue.get().await {
                    sleep(secs(1)).await;
                    queue.task_done();
                }
            }
        });
        let rival = create_task({
            let queue = queue.clone();
            async move {
                queue.join().await;
                now()
            }
        });
        let (start, ours) = (now(), queue.clone());
        (async move { ours.join().await }, async move |_: &Run<_>| {
            assert_eq!(rival.await.unwrap() - start, secs(2), "who else waits is told in time");
            queue.shutdown();
            worker.await.unwrap();
            queue.join().await;
        })
    });
    assert_eq!(outcomes, ["()@2", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@2"]);
}

#[test]
fn lock() {
    let outcomes = everywhere(|| {
        let lock = Rc::new(Lock::new(Vec::new()));
        let enter = |name, seconds| {
            let lock = lock.clone();
            async move {
                let mut guard = lock.acquire().await;
                guard.push(name);
                sleep(secs(seconds)).await;
                drop(guard);
            }
        };
        let holder = create_task(enter("holder", 1));
        let rival = create_task({
            let enter = enter("rival", 1);
            async move {
                yield_now().await;
                enter.await;
            }
        });
        (enter("ours", 2), async move |run: &Run<_>| {
            settle().await;
            assert!(lock.locked() || number(&lock, "waiters") == 0, "nobody waits for a free lock");
            holder.await.unwrap();
            rival.await.unwrap();
            let mut names = lock.acquire_nowait().expect("the lock is free").clone();
            names.sort_unstable();
            // Whether a run that is interrupted came in depends on where it was, and on the order.
            let entered = run.is_undisturbed() || names.contains(&"ours");
            let expected: &[_] = if entered { &["holder", "ours", "rival"] } else { &["holder", "rival"] };
            assert_eq!(names, expected);
            assert_eq!(number(&lock, "waiters"), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn semaphore() {
    let outcomes = everywhere(|| {
        let semaphore = Rc::new(Semaphore::new(2));
        let enter = |seconds| {
            let semaphore = semaphore.clone();
            async move {
                let _permit = semaphore.acquire().await;
                sleep(secs(seconds)).await;
            }
        };
        let holders = [create_task(enter(1)), create_task(enter(2))];
        let rivals = [1, 1].map(|seconds| {
            let enter = enter(seconds);
            create_task(async move {
                yield_now().await;
                enter.await;
            })
        });
        (enter(2), async move |_: &Run<_>| {
            settle().await;
            let free = number(&semaphore, "permits");
            assert!(free == 0 || number(&semaphore, "waiters") == 0, "nobody waits while there are permits");
            for task in holders.into_iter().chain(rivals) {
                task.await.unwrap();
            }
            let _both = [(); 2].map(|()| semaphore.acquire_nowait().expect("the permits are back"));
            assert!(semaphore.acquire_nowait().is_err(), "and no more than there were");
            assert_eq!(number(&semaphore, "waiters"), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn event() {
    let outcomes = everywhere(|| {
        let event = Rc::new(Event::new());
        let wait = || {
            let event = event.clone();
            async move { event.wait().await }
        };
        let rival = create_task(wait());
        let setter = create_task({
            let event = event.clone();
            async move {
                sleep(secs(2)).await;
                event.set();
            }
        });
        let start = now();
        (wait(), async move |_: &Run<_>| {
            rival.await.unwrap();
            assert_eq!(now() - start, secs(2), "who else waits is woken in time");
            setter.await.unwrap();
            assert!(event.is_set());
            assert_eq!(number(&event, "waiters"), 0);
        })
    });
    assert_eq!(outcomes, ["()@2", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@2"]);
}

#[test]
fn condition() {
    let outcomes = everywhere(|| {
        let monitor = Rc::new((Lock::new(0), Condition::new()));
        let take_one = |seconds| {
            let monitor = monitor.clone();
            async move {
                let (lock, condition) = &*monitor;
                let mut guard = condition.wait_for(lock.acquire().await, |items| *items > 0).await;
                *guard -= 1;
                sleep(secs(seconds)).await;
            }
        };
        let rival = create_task({
            let take_one = take_one(1);
            async move {
                yield_now().await;
                take_one.await;
            }
        });
        let producer = create_task({
            let monitor = monitor.clone();
            async move {
                sleep(secs(1)).await;
                let mut guard = monitor.0.acquire().await;
                *guard += 1;
                monitor.1.notify(&guard, 1);
                sleep(secs(1)).await; // who was notified waits for the lock
            }
        });
        (take_one(1), async move |run: &Run<_>| {
            producer.await.unwrap();
            sleep(secs(2)).await;
            let (lock, condition) = &*monitor;
            let taken = run.interruption.is_none_or(|interruption| interruption.suspension == 3);
            assert_eq!(
                rival.done(),
                !taken,
                "the one notification reached the one who lived on to take the item"
            );
            let mut guard = lock.acquire_nowait().expect("the lock is free");
            assert_eq!(*guard, 0);
            if taken {
                *guard += 1;
                condition.notify(&guard, 1);
            }
            drop(guard);
            rival.await.unwrap();
            assert_eq!((number(condition, "waiters"), number(lock, "waiters")), (0, 0));
            assert_eq!(*lock.acquire_nowait().unwrap(), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "3: Cancelled@2",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@2",
            "3 woken: Cancelled@3"
        ],
        "in the condition's line, in the lock's, with the lock"
    );
}

#[test]
fn barrier() {
    let outcomes = everywhere(|| {
        let barrier = Rc::new(Barrier::new(3));
        let party = |seconds| {
            let barrier = barrier.clone();
            async move {
                sleep(secs(seconds)).await;
                barrier.wait().await.unwrap()
            }
        };
        let others = [create_task(party(2)), create_task(party(3))];
        (party(1), async move |run: &Run<_>| {
            sleep(secs(4)).await;
            let mut indices = Vec::new();
            if barrier.n_waiting() > 0 {
                assert!(others.iter().all(|task| !task.done()), "they wait for one who comes instead");
                indices.push(barrier.wait().await.unwrap());
            } else if let Ended::Value(index) = run.ended {
                indices.push(index);
            }
            for task in others {
                indices.push(task.await.unwrap());
            }
            indices.sort_unstable();
            let gone_at_last = run.interruption.is_some() && indices.len() == 2;
            let expected: &[_] = if gone_at_last { &[1, 2] } else { &[0, 1, 2] };
            assert_eq!(indices, expected);
            assert_eq!(format!("{barrier:?}"), "Barrier { state: Filling, waiters: 0, parties: 3 }");
        })
    });
    assert_eq!(
        outcomes,
        [
            "0@3",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@1",
            "1 woken: Cancelled@1",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn a_barriers_next_round() {
    let outcomes = in_fifo_order(|| {
        let barrier = Rc::new(Barrier::new(2));
        let party = || {
            let barrier = barrier.clone();
            async move { barrier.wait().await.unwrap() }
        };
        // While these two drain the barrier, ours waits outside, and is called.
        let first = create_task(party());
        let second = create_task(party());
        let rivals = [(); 2].map(|()| {
            let party = party();
            create_task(async move {
                yield_now().await;
                party.await
            })
        });
        (party(), async move |run: &Run<_>| {
            settle().await;
            assert_eq!((first.await.unwrap(), second.await.unwrap()), (0, 1));
            if run.is_undisturbed() {
                assert!(!rivals[1].done(), "it waits for its round");
                assert_eq!(barrier.wait().await, Ok(1));
            }
            settle().await;
            if barrier.n_waiting() > 0 {
                assert_eq!(barrier.wait().await, Ok(1));
            }
            for rival in rivals {
                rival.await.unwrap();
            }
            assert_eq!(format!("{barrier:?}"), "Barrier { state: Filling, waiters: 0, parties: 2 }");
        })
    });
    assert_eq!(
        outcomes,
        ["1@0", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@0"],
        "a rival came when there was room for one more"
    );
}

#[test]
fn promise() {
    let outcomes = everywhere(|| {
        let promise = Promise::new();
        let setter = promise.clone();
        let _ = create_task(async move {
            sleep(secs(2)).await;
            setter.set_result("set").expect("nobody else has set or cancelled it");
        });
        let rival = create_task(promise.clone());
        let ours = promise.clone();
        (ours, async move |_: &Run<_>| {
            assert_eq!(rival.await.unwrap(), Ok("set"));
            assert_eq!(number(&promise, "observers"), 0);
            assert!(others().is_empty());
        })
    });
    assert_eq!(outcomes, ["Ok(\"set\")@2", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@2"]);
}

#[test]
fn sleeps() {
    let outcomes = everywhere(|| {
        let body = async {
            sleep(secs(2)).await;
            sleep(secs(3)).await;
        };
        // That no timer is left is looked at after each run.
        (body, async |_: &Run<_>| ())
    });
    assert_eq!(
        outcomes,
        [
            "()@5",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@2",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@5"
        ]
    );
}

#[test]
fn interval_ticks() {
    let outcomes = everywhere(|| {
        let start = now();
        let ticks = Rc::new(Lock::new(interval(secs(2))));
        let seen = Sink::default();
        let body = {
            let (ticks, seen) = (ticks.clone(), seen.clone());
            async move {
                let mut ticks = ticks.acquire().await;
                for _ in 0..3 {
                    let tick = ticks.tick().await;
                    seen.borrow_mut().push(tick);
                }
            }
        };
        (body, async move |_: &Run<_>| {
            // A tick that nobody saw comes again.
            for _ in 0..2 {
                let tick = ticks.acquire_nowait().unwrap().tick().await;
                seen.borrow_mut().push(tick);
            }
            let expected = (0..).map(|n| start + secs(2 * n)).take(seen.borrow().len());
            assert!(seen.borrow().iter().copied().eq(expected), "{seen:?}");
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@4",
            "0: Cancelled@0",
            "1: Cancelled@0",
            "2: Cancelled@2",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@4"
        ]
    );
}

#[test]
fn a_function_on_a_thread() {
    let outcomes = everywhere(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let called = calls.clone();
        let job = to_thread(move || called.fetch_add(1, Ordering::Relaxed));
        (job, async move |run: &Run<_>| {
            // The pool's threads go on with the next one.
            assert_eq!(to_thread(|| 7).await, 7);
            let most = usize::from(run.interruption.is_none_or(|interruption| interruption.suspension == 1));
            let calls = calls.load(Ordering::Relaxed);
            assert!(calls <= most, "{calls} calls, at most {most}");
            if run.is_undisturbed() {
                assert_eq!(calls, 1);
            }
        })
    });
    assert_eq!(outcomes, ["0@0", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@0"]);
}
