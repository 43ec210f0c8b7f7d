//! What runs several futures in one task: races, `select`, and children that borrow.

use std::cell::Cell;
use std::rc::Rc;

use evloop::testing::Run;
use evloop::time::secs;
use evloop::{race, scope, select, sleep, staggered_race};

use super::{Family, dropped, everywhere};

/// What must hold for futures that run inside of the one under test: they go with it, and a cleanup is cut by a drop, or
/// by a further request, only.
fn went_along<T>(family: &Family, run: &Run<T>, may_be_cut: bool) {
    if dropped(run) || may_be_cut {
        assert_eq!(family.0.running.get(), 0);
    } else {
        family.is_gone();
    }
}

#[test]
fn a_race_whose_loser_cleans_up() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let both = race([family.child(1), family.child(5)]);
        (both, async move |run: &Run<_>| {
            // From the second suspension on the loser cleans up already: a request cuts that.
            let again = run.interruption.is_some_and(|interruption| interruption.suspension >= 2);
            went_along(&family, run, again);
        })
    });
    assert_eq!(
        outcomes,
        [
            "1@2",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@1",
            "3: Cancelled@1",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@1",
            "3 woken: Cancelled@2"
        ]
    );
}

#[test]
fn a_race_of_what_needs_no_cleanup() {
    let outcomes = everywhere(|| {
        let both = race((sleep(secs(1)), sleep(secs(5))));
        (both, async |_: &Run<_>| ())
    });
    assert_eq!(outcomes, ["()@1", "0: Cancelled@0", "1: Cancelled@0", "1 woken: Cancelled@1"]);
}

#[test]
fn a_staggered_race_whose_second_attempt_succeeds() {
    let outcomes = everywhere(|| {
        let (family, begun_attempts) = (Family::default(), Rc::new(Cell::new(0)));
        let attempts = [(1, false), (3, true), (9, true)].map(|(seconds, succeeds)| {
            let (family, begun_attempts) = (family.clone(), begun_attempts.clone());
            async move || {
                begun_attempts.update(|count| count + 1);
                family.child(seconds).await;
                if succeeds { Ok(seconds) } else { Err("failed") }
            }
        });
        let racing = staggered_race(attempts, None);
        (async { racing.await.winner }, async move |run: &Run<_>| {
            went_along(&family, run, false);
            assert!(begun_attempts.get() <= 2, "one after the other, and none after a request");
        })
    });
    assert_eq!(
        outcomes,
        [
            "Some((1, 3))@4",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@2",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@5"
        ]
    );
}

#[test]
fn select_hands_the_others_back() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let both = [Box::pin(family.child(1)), Box::pin(family.child(3))];
        let one_then_other = async move {
            let (first, _, rest) = select(both).await;
            let (second, _, rest) = select(rest).await;
            assert!(rest.is_empty());
            [first, second]
        };
        (one_then_other, async move |run: &Run<_>| went_along(&family, run, false))
    });
    assert_eq!(
        outcomes,
        [
            "[1, 3]@3",
            "0: Cancelled@0",
            "1: Cancelled@1",
            "2: Cancelled@2",
            "1 woken: Cancelled@2",
            "2 woken: Cancelled@4"
        ]
    );
}

#[test]
fn a_scope_whose_children_borrow() {
    let outcomes = everywhere(|| {
        let family = Family::default();
        let children = family.clone();
        let scoped = async move {
            let (one, two) = (&children, &children);
            scope(async |s| {
                let first = s.spawn(one.child(1));
                s.spawn(two.child(3));
                first.await
            })
            .await
        };
        (scoped, async move |run: &Run<_>| went_along(&family, run, false))
    });
    assert_eq!(
        outcomes,
        [
            "1@3",
            "0: Cancelled@0",
            // The children begin in the round after this.
            "1: Cancelled@0",
            "2: Cancelled@1",
            "3: Cancelled@2",
            "4: Cancelled@2",
            "1 woken: Cancelled@0",
            "2 woken: Cancelled@2",
            "3 woken: Cancelled@2",
            "4 woken: Cancelled@4"
        ]
    );
}
