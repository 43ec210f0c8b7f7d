//! Combinators that run several tasks.

use evloop::testing::{Run, settle};
use evloop::time::secs;
use evloop::{GatherError, create_task, gather, gather_all, sleep, try_gather, wait_for};

use super::{Family, everywhere, in_fifo_order, others};

#[test]
fn gather_of_futures() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let all = gather((family.child(1), family.child(3)));
        (all, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(
        outcomes,
        ["Ok((1, 3))@3", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"],
        "the children's cleanups are waited for, if they have begun"
    );
}

#[test]
fn gather_of_tasks() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let all = gather([1, 2, 5].map(|seconds| create_task(family.child(seconds))));
        (all, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(outcomes, ["Ok([1, 2, 5])@5", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@5"]);
}

#[test]
fn gather_that_fails() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let (lost, other) = (create_task(family.child(1)), create_task(family.child(2)));
        lost.cancel();
        let all = gather((lost, other));
        (all, async move |run: &Run<_>| {
            if run.is_undisturbed() {
                assert_eq!(others().len(), 1, "as in asyncio the other one runs on, detached");
                assert_eq!(others()[0].cancelling(), 0);
                sleep(secs(2)).await;
                settle().await;
            }
            family.has_ended(run).await;
        })
    });
    assert_eq!(
        outcomes,
        [
            "Err(Cancelled(CancelledError { message: None }))@0",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "1 woken: Cancelled@1"
        ]
    );
}

#[test]
fn gather_all_of_what_ends_in_different_ways() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let lost = create_task(family.child(9));
        lost.cancel();
        let all = gather_all([create_task(family.child(1)), lost, create_task(family.child(2))]);
        let all = async { all.await.iter().map(Result::is_ok).collect::<Vec<_>>() };
        (all, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(
        outcomes,
        ["[true, false, true]@2", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@2"]
    );
}

#[test]
fn try_gather_of_what_works_and_what_fails() {
    let works = everywhere(|| {
        let family = Family::default();
        let child = |seconds| {
            let child = family.child(seconds);
            async { Ok::<_, GatherError<()>>(child.await) }
        };
        let all = try_gather((child(1), child(2)));
        (all, async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(
        works,
        [
            "Ok((1, 2))@2",
            "0: Cancelled@0",
            "1: Cancelled@1",
            // It has looked at the first one's value.
            "2: Cancelled@2",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@2"
        ]
    );

    let fails = everywhere(|| {
        let family = Family::default();
        let child = |seconds| {
            let child = family.child(seconds);
            async move { if child.await == 1 { Err("failed") } else { Ok(()) } }
        };
        let all = try_gather((child(1), child(3)));
        (all, async move |run: &Run<_>| {
            if run.is_undisturbed() {
                assert_eq!(others().len(), 1, "as in asyncio the other one runs on, detached");
                sleep(secs(2)).await;
                settle().await;
            }
            family.has_ended(run).await;
        })
    });
    assert_eq!(
        fails,
        ["Err(Failed(\"failed\"))@1", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@2"]
    );
}

#[test]
fn gather_inside_of_gather_inside_of_wait_for() {
    // Whether the inner one has begun when a request comes, and is waited for, is up to the order.
    let outcomes = in_fifo_order(|| {
        let family = Family::default();
        let inner = gather([family.child(1), family.child(2)]);
        let other = family.child(3);
        let outer = async { gather((async { inner.await.is_ok() }, other)).await.is_ok() };
        (wait_for(outer, secs(8)), async move |run: &_| family.has_ended(run).await)
    });
    assert_eq!(outcomes, ["Ok(true)@3", "0: Cancelled@0", "1: Cancelled@1", "1 woken: Cancelled@3"]);
}
