//! A value for one future.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use evloop::testing::{Run, Scenario, cancel_everywhere};
use evloop::time::{millis, secs};
use evloop::{ContextVar, create_task, gather_all, sleep, yield_now};
use futures::FutureExt as _;

use crate::support::{Log, OnDrop};

static X: ContextVar<u32> = ContextVar::new("x").with_default(|| 0);

#[evloop::test]
async fn the_value_is_there_while_the_future_is_polled() {
    let inner = X.scope(1, async {
        assert_eq!(X.get(), Some(1));
        yield_now().await;
        X.set(2);
        yield_now().await;
        let child = create_task(async { X.get() });
        (X.get(), X.scope(3, async { X.get() }).await, child.await.unwrap())
    });
    let beside = async {
        for _ in 0..3 {
            assert_eq!(X.get(), Some(0));
            yield_now().await;
        }
    };
    let (seen, ()) = futures::join!(inner, beside);
    assert_eq!(seen, (Some(2), Some(3), Some(2)));
    assert_eq!(X.get(), Some(0));
}

#[evloop::test]
async fn a_panic_takes_it_back() {
    let panics = AssertUnwindSafe(X.scope(1, async { panic!("inside") })).catch_unwind();
    assert!(panics.await.is_err());
    assert_eq!(X.get(), Some(0));
}

#[evloop::test]
async fn destructors_are_in_it_too() {
    let log = Log::new();
    let says = |log: &Log| {
        let log = log.clone();
        OnDrop::new(move || log.push(X.get().unwrap().to_string()))
    };
    drop(X.scope(1, async {}));
    let owned = says(&log);
    drop(X.scope(2, async move { drop(owned) }));
    assert_eq!(log.take(), ["2"], "never polled");
    let owned = says(&log);
    let waits = X.scope(3, async move {
        let _owned = owned;
        X.set(4);
        std::future::pending::<()>().await
    });
    assert!(waits.now_or_never().is_none(), "polled once and dropped");
    assert_eq!((log.take(), X.get()), (vec!["4".to_owned()], Some(0)));
}

#[evloop::test]
async fn a_future_that_moves_to_another_task_takes_it_along() {
    let mut moving = Box::pin(X.scope(1, async {
        yield_now().await;
        X.get()
    }));
    assert!(futures::poll!(moving.as_mut()).is_pending());
    assert_eq!(create_task(async move { (moving.await, X.get()) }).await.unwrap(), (Some(1), Some(0)));
}

#[test]
fn cancelled_or_dropped_anywhere_it_leaves_nothing_behind() {
    cancel_everywhere(|| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sees = seen.clone();
        let body = async move {
            X.set(7);
            X.scope(1, async move {
                sees.borrow_mut().push(X.get());
                sleep(secs(1)).await;
                X.scope(2, async { yield_now().await }).await;
                sees.borrow_mut().push(X.get());
                sleep(secs(1)).await;
            })
            .await;
            assert_eq!(X.get(), Some(7));
        };
        Scenario::new(body).check(async move |_: Run<()>| {
            assert_eq!(X.get(), Some(0));
            assert!(seen.borrow().iter().all(|x| *x == Some(1)));
        })
    });
}

#[evloop::test]
async fn a_hundred_scopes_beside_each_other_do_not_mix() {
    let all = gather_all((1..=100).map(|n| {
        X.scope(n, async move {
            for step in 0..5 {
                assert_eq!(X.get(), Some(n));
                X.scope(n + 1000, async {
                    sleep(millis(u64::from(n + step) % 5)).await;
                    assert_eq!(X.get(), Some(n + 1000));
                })
                .await;
            }
        })
    }));
    assert!(all.await.into_iter().all(|ended| ended.is_ok()));
    assert_eq!(X.get(), Some(0));
}
