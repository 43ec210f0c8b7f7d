//! `scope`: children that borrow, in the current task.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use evloop::time::secs;
use evloop::{Promise, Scope, create_task, now, scope, sleep, yield_now};
use futures::FutureExt;
use futures::future::{pending, select};

use crate::support::{Log, OnDrop, forever_with, panic_of, text, tick, virtual_loop};

#[evloop::test]
async fn children_borrow_from_outside_and_run_beside_the_body() {
    let (log, names) = (Log::new(), [String::from("a"), String::from("b")]);
    let start = now();
    let value = scope(async |s| {
        for (n, name) in names.iter().enumerate() {
            let log = &log;
            s.spawn(async move {
                sleep(secs(3 - n as u64)).await;
                log.push(format!("{name} ends"));
            });
        }
        sleep(secs(1)).await;
        log.push("body ends");
        "value"
    });
    assert_eq!(value.await, "value");
    assert_eq!(log.take(), ["body ends", "b ends", "a ends"]);
    assert_eq!(now() - start, secs(3));
}

#[evloop::test]
async fn a_handle_gives_the_childs_value_and_dropping_it_leaves_the_child_alone() {
    let log = Log::new();
    let sum = scope(async |s| {
        let one = s.spawn(async {
            sleep(secs(2)).await;
            1
        });
        let two = s.spawn(async { 2 });
        drop(s.spawn(async { log.push("runs all the same") }));
        assert!(!one.is_finished() && !two.is_finished());
        let one = one.await;
        assert!(two.is_finished());
        one + two.await
    });
    assert_eq!(sum.await, 3);
    assert_eq!(log.take(), ["runs all the same"]);
}

#[evloop::test]
async fn a_scope_without_children_is_its_body() {
    let before = tick();
    assert_eq!(scope(async |_| 5).await, 5);
    assert_eq!(tick(), before);
}

#[evloop::test]
async fn children_start_children_and_all_are_waited_for() {
    fn grow<'env>(s: &Scope<'env>, log: &'env Log, depth: u64) {
        let inner = s.clone();
        s.spawn(async move {
            sleep(secs(1)).await;
            log.push(format!("{depth}"));
            if depth > 0 {
                grow(&inner, log, depth - 1);
            }
        });
    }
    let (log, start) = (Log::new(), now());
    scope(async |s| grow(&s, &log, 3)).await;
    assert_eq!(log.take(), ["3", "2", "1", "0"]);
    assert_eq!(now() - start, secs(4));
}

#[evloop::test]
async fn children_await_each_other() {
    let value = scope(async |s| {
        let first = s.spawn(async {
            sleep(secs(1)).await;
            20
        });
        let second = s.spawn(async move { first.await + 1 });
        s.spawn(async move { second.await * 2 }).await
    });
    assert_eq!(value.await, 42);
}

#[evloop::test]
async fn children_begin_in_order_one_iteration_after_their_start() {
    let (log, first) = (Log::new(), tick());
    scope(async |s| {
        for n in 0..3 {
            let log = &log;
            s.spawn(async move { log.push(format!("{n}@{}", tick() - first)) });
        }
        log.push(format!("body@{}", tick() - first));
        yield_now().await;
        // The children were ready before the body was again.
        log.push(format!("body@{}", tick() - first));
    })
    .await;
    assert_eq!(log.take(), ["body@0", "0@1", "1@1", "2@1", "body@1"]);
}

#[evloop::test]
async fn a_child_is_polled_only_when_it_was_woken() {
    let polls = Cell::new(0);
    let body_polls = Cell::new(0);
    scope(async |s| {
        let mut sleeping = Box::pin(sleep(secs(5)));
        let polls = &polls;
        s.spawn(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            sleeping.as_mut().poll(cx)
        }));
        s.spawn(async {
            for _ in 0..100 {
                yield_now().await;
            }
        });
        let mut sleeping = Box::pin(sleep(secs(6)));
        poll_fn(|cx| {
            body_polls.set(body_polls.get() + 1);
            sleeping.as_mut().poll(cx)
        })
        .await;
    })
    .await;
    assert_eq!((polls.get(), body_polls.get()), (2, 2));
}

#[evloop::test(order = "fifo")]
async fn what_is_woken_during_a_round_waits_for_the_next_and_others_have_their_turn() {
    let log = Log::new();
    let other = create_task({
        let log = log.clone();
        async move {
            for _ in 0..3 {
                log.push("other");
                yield_now().await;
            }
        }
    });
    scope(async |s| {
        for name in ["a", "b"] {
            let log = &log;
            s.spawn(async move {
                for _ in 0..3 {
                    log.push(name);
                    yield_now().await;
                }
            });
        }
    })
    .await;
    other.await.unwrap();
    assert_eq!(log.take(), ["other", "a", "b", "other", "a", "b", "other", "a", "b"]);
}

#[evloop::test]
async fn several_wakes_are_one_poll_and_a_wake_after_the_end_is_none() {
    let (waker, polls) = (RefCell::new(None::<Waker>), Cell::new(0));
    scope(async |s| {
        s.spawn(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            *waker.borrow_mut() = Some(cx.waker().clone());
            if polls.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
        sleep(secs(1)).await;
        let waker = waker.borrow().clone().unwrap();
        for _ in 0..3 {
            waker.wake_by_ref();
        }
        sleep(secs(1)).await;
        assert_eq!(polls.get(), 2);
        // The slot is another child's now, whose waker is another.
        let another = Cell::new(0);
        let another = Rc::new(another);
        let counter = another.clone();
        s.spawn(
            poll_fn(move |_| {
                counter.set(counter.get() + 1);
                if counter.get() == 1 { Poll::Pending } else { Poll::<()>::Ready(()) }
            })
            .or_stop_at(sleep(secs(3))),
        );
        sleep(secs(1)).await;
        waker.wake_by_ref();
        sleep(secs(1)).await;
        assert_eq!(another.get(), 1);
    })
    .await;
    waker.take().unwrap().wake();
}

/// Ends a future early, for the test above.
trait OrStopAt: Future<Output = ()> + Sized {
    async fn or_stop_at(self, end: impl Future<Output = ()>) {
        select(pin!(self), pin!(end)).await;
    }
}

impl<F: Future<Output = ()>> OrStopAt for F {}

#[evloop::test(clock = "real")]
async fn children_are_woken_from_other_threads() {
    let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
    let thread = std::thread::spawn(move || receiver.into_iter().for_each(Waker::wake));
    let log = Log::new();
    scope(async |s| {
        for n in 0..20 {
            let (sender, log) = (sender.clone(), &log);
            s.spawn(async move {
                let mut polled = false;
                poll_fn(|cx| {
                    if std::mem::replace(&mut polled, true) {
                        return Poll::Ready(());
                    }
                    sender.send(cx.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
                log.push(format!("{n}"));
            });
        }
    })
    .await;
    drop(sender);
    thread.join().unwrap();
    // One thread wakes them in order.
    assert_eq!(log.take(), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[evloop::test]
async fn dropping_the_scope_drops_the_body_and_then_the_children_in_order() {
    let log = Log::new();
    {
        let mut future = pin!(scope(async |s| {
            for n in 0..3 {
                // Each child holds the scope that holds it.
                let held = (s.clone(), log.on_drop(format!("child {n}")));
                s.spawn(forever_with(held));
            }
            forever_with(log.on_drop("body")).await;
        }));
        select(&mut future, pin!(sleep(secs(1)))).await;
        assert_eq!(log.take(), [""; 0]);
    }
    assert_eq!(log.take(), ["body", "child 0", "child 1", "child 2"]);
}

#[evloop::test]
async fn a_child_may_be_started_before_the_body_ends_but_not_after_the_scope_has() {
    let kept = RefCell::new(None);
    scope(async |s| {
        *kept.borrow_mut() = Some(s.clone());
        s.spawn(async {}).await;
    })
    .await;
    let kept = kept.take().unwrap();
    let refused = kept.try_spawn(async { 7 }).unwrap_err();
    assert_eq!(refused.await, 7, "the future comes back");
    let message = "this scope has ended; start children while its body or another child runs";
    assert_eq!(panic_of(|| drop(kept.spawn(async {}))), message);
    assert_eq!(format!("{kept:?}"), "Scope { unfinished: 0 }");
}

#[evloop::test]
async fn a_destructor_in_a_dropped_scope_is_refused_new_children() {
    let refused = Cell::new(false);
    {
        let future = scope(async |s| {
            let late = s.clone();
            let refused = &refused;
            let guard = OnDrop::new(move || refused.set(late.try_spawn(async {}).is_err()));
            s.spawn(forever_with(guard));
        });
        select(pin!(future), pin!(sleep(secs(1)))).await;
    }
    assert!(refused.get());
}

#[evloop::test]
async fn the_handle_of_a_child_that_was_dropped_says_so() {
    let kept = RefCell::new(None);
    {
        let future = scope(async |s| *kept.borrow_mut() = Some(s.spawn(pending::<()>())));
        select(pin!(future), pin!(sleep(secs(1)))).await;
    }
    let child = kept.take().unwrap();
    assert!(child.is_finished());
    let panic = std::panic::AssertUnwindSafe(child).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*panic), "a scope was dropped before this child of it had ended");
}

#[evloop::test]
async fn a_handle_outlives_its_scope_and_gives_its_value_once() {
    let mut child = scope(async |s| s.spawn(async { 3 })).await;
    assert_eq!((&mut child).await, 3);
    let again = std::panic::AssertUnwindSafe(child).catch_unwind().await.unwrap_err();
    assert_eq!(text(&*again), "a child's value was taken before; await its handle once");
}

#[evloop::test]
async fn a_panic_of_a_child_or_of_the_body_drops_all_and_goes_on() {
    for in_child in [true, false] {
        let log = Log::new();
        let future = scope(async |s| {
            let held = (s.clone(), log.on_drop("sibling"));
            s.spawn(forever_with(held));
            s.spawn(async {
                sleep(secs(1)).await;
                assert!(!in_child, "in a child");
            });
            let _guard = log.on_drop("body");
            sleep(secs(2)).await;
            panic!("in the body");
        });
        let panic = std::panic::AssertUnwindSafe(future).catch_unwind().await.unwrap_err();
        assert_eq!(text(&*panic), if in_child { "in a child" } else { "in the body" });
        assert_eq!(log.take(), ["body", "sibling"]);
    }
}

#[test]
fn a_leaked_scope_frees_nothing_and_breaks_nothing() {
    let log = Log::new();
    let kept = RefCell::new(None::<Waker>);
    let mut event_loop = virtual_loop();
    event_loop
        .run_until_complete(async {
            let local = String::from("borrowed");
            let mut future = Box::pin(scope(async |s| {
                let (local, log, kept) = (&local, &log, &kept);
                s.spawn(async move {
                    poll_fn(|cx| {
                        *kept.borrow_mut() = Some(cx.waker().clone());
                        Poll::<()>::Pending
                    })
                    .await;
                    log.push(format!("never: {local}"));
                });
            }));
            select(&mut future, pin!(sleep(secs(1)))).await;
            std::mem::forget(future);
            drop(local);
            kept.take().unwrap().wake();
            sleep(secs(1)).await;
        })
        .unwrap();
    assert!(log.is_empty());
}

#[evloop::test]
async fn scopes_nest_and_a_child_waits_for_what_another_sets() {
    let log = Log::new();
    let promise = Promise::new();
    let total = scope(async |outer| {
        let setter = promise.clone();
        let waits = outer.spawn(async { promise.clone().await.unwrap() });
        let inner = scope(async |s| {
            s.spawn(async { log.push("inner child") });
            outer.spawn(async move { setter.set_result(40).unwrap() });
            2
        });
        inner.await + waits.await
    });
    assert_eq!(total.await, 42);
    assert_eq!(log.take(), ["inner child"]);
}
