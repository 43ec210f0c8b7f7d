//! What has a say in a cancellation: `wait_for`, `catch_cancel`, `on_cancel`, `finally`, and these inside each
//! other.

use std::cell::Cell;
use std::rc::Rc;

use evloop::testing::Run;
use evloop::time::secs;
use evloop::{Cancellation, catch_cancel, create_task, finally, on_cancel, sleep, wait_for};

use super::{Family, dropped, everywhere, others};

#[test]
fn wait_for_of_what_is_in_time() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let child = wait_for(family.child(2), secs(5));
        (child, async move |_: &Run<_>| family.is_gone())
    });
    assert_eq!(outcomes, ["Ok(2)@2", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}

#[test]
fn wait_for_of_what_is_late() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let child = wait_for(family.child(9), secs(5));
        (child, async move |_: &Run<_>| {
            // At 5 the cleanup begins: a cancellation from then on is a second one, and cuts it, as a drop does.
            assert_eq!(family.0.running.get(), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "Err(TimeoutError)@6",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@5",
            "3: Cancelled@5",
            "1 woken: Cancelled@6",
            "2 woken: Cancelled@5",
            "3 woken: Cancelled@6"
        ],
        "a cancellation never becomes a timeout"
    );
}

#[test]
fn wait_for_of_a_task() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let child = wait_for(create_task(family.child(9)), secs(5));
        (child, async move |run: &Run<_>| {
            if dropped(run) || run.interruption.is_some_and(|interruption| interruption.suspension == 0) {
                // A task whose handle is dropped runs on.
                sleep(secs(10)).await;
            }
            assert!(others().is_empty());
            assert_eq!(family.0.running.get(), 0);
        })
    });
    assert_eq!(
        outcomes,
        [
            "Err(TimeoutError)@6",
            "0: Cancelled@0",
            "1: Cancelled@1",
            // The task has been asked, and not told yet: two requests, one delivery.
            "2: Cancelled@6",
            // It cleans up: a second delivery, which cuts that.
            "3: Cancelled@5",
            "1 woken: Cancelled@6",
            "2 woken: Cancelled@5",
            "3 woken: Cancelled@6"
        ]
    );
}

#[test]
fn catch_cancel_that_swallows() {
    let outcomes = everywhere(|| {
        let body = async {
            let caught = catch_cancel(sleep(secs(2))).await;
            let caught = caught.map_err(Cancellation::swallow).is_err();
            sleep(secs(1)).await;
            caught
        };
        (body, async |_: &Run<_>| ())
    });
    assert_eq!(
        outcomes,
        [
            "false@3",
            "0: Cancelled@0",
            "1: true@1",
            "2: Cancelled@2",
            // A request beats what is only just there.
            "1 woken: true@3",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn catch_cancel_that_rethrows() {
    let outcomes = everywhere(|| {
        let cleaned = Rc::new(Cell::new(0));
        let body = {
            let cleaned = cleaned.clone();
            async move {
                if let Err(cancellation) = catch_cancel(sleep(secs(2))).await {
                    sleep(secs(1)).await;
                    cleaned.set(cleaned.get() + 1);
                    cancellation.rethrow::<()>().await;
                }
            }
        };
        (body, async move |run: &Run<_>| {
            let reached = run.interruption.is_some_and(|interruption| interruption.suspension > 0);
            assert_eq!(cleaned.get(), u32::from(reached && !dropped(run)));
        })
    });
    assert_eq!(outcomes, ["()@2", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}

#[test]
fn on_cancel_that_swallows() {
    let outcomes = everywhere(|| {
        let body = on_cancel(async { sleep(secs(2)).await }, async |_| sleep(secs(1)).await);
        (body, async |_: &Run<_>| ())
    });
    assert_eq!(outcomes, ["()@2", "0: Cancelled@0", "1: ()@1", "1 woken: ()@3"]);
}

#[test]
fn finally_runs_its_cleanup_once() {
    let outcomes = everywhere(|| {
        let (begun, whole) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let body = finally(sleep(secs(2)), {
            let (begun, whole) = (begun.clone(), whole.clone());
            async move {
                begun.set(begun.get() + 1);
                sleep(secs(1)).await;
                whole.set(whole.get() + 1);
            }
        });
        (body, async move |run: &Run<_>| {
            let expected = match run.interruption.map(|interruption| interruption.suspension) {
                // Nothing was begun that would have to be cleaned up.
                Some(0) => (0, 0),
                Some(1) if dropped(run) => (0, 0),
                // In the cleanup: that is cut.
                Some(2) => (1, 0),
                _ => (1, 1),
            };
            assert_eq!((begun.get(), whole.get()), expected, "{run:?}");
        })
    });
    assert_eq!(
        outcomes,
        [
            "()@3",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@2",
            "1 woken: Cancelled@3",
            "2 woken: Cancelled@3"
        ]
    );
}

#[test]
fn cleanups_inside_of_each_other_run_from_the_inside_out() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let order = Rc::new(Cell::new(""));
        let body = {
            let (inner, outer) = (order.clone(), order.clone());
            finally(
                on_cancel(family.child(4), async move |c| {
                    sleep(secs(1)).await;
                    assert_eq!(inner.replace("inner"), "");
                    c.rethrow().await
                }),
                async move {
                    let before = outer.replace("outer");
                    assert!(matches!(before, "" | "inner"));
                },
            )
        };
        (body, async move |run: &Run<_>| {
            let plain =
                dropped(run) || run.interruption.is_some_and(|interruption| interruption.suspension == 0);
            assert_eq!(order.get(), if plain { "" } else { "outer" });
            family.is_gone();
        })
    });
    assert_eq!(outcomes, ["4@4", "0: Cancelled@0", "1: Cancelled@2", "1 woken: Cancelled@6"]);
}
