//! Hand-made shapes around the borrowing scope: its children take part in a cancellation as the branches of a
//! `join!` do.
//!
//! Each test asserts the outcome, the exact virtual instant ("Cancelled@6") and the trace of its cleanups.

use std::pin::pin;

use evloop::time::secs;
use evloop::{catch_cancel, finally, race, scope, sleep, wait_for};
use futures::future::{pending, ready, select};

use crate::support::{Trace, after, child, swallows, tidy};

#[evloop::test]
async fn the_cleanups_of_a_scopes_children_run_side_by_side_and_whole() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        scope(async |s| {
            let a = s.spawn(tidy(&t, "a", 2));
            s.spawn(tidy(&t, "b", 5));
            finally(a, t.cleanup("body", 3)).await
        })
        .await
    });
    assert_eq!(outcome.await, "Cancelled@6");
    assert_eq!(trace.take(), ["body dropped@1", "body dropped@1", "a@3", "body@4", "b@6"]);
}

#[evloop::test]
async fn a_scope_without_nodes_is_dropped_at_once() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        scope(async |s| {
            s.spawn(t.never::<()>("child"));
            t.never::<()>("body").await;
        })
        .await;
    });
    assert_eq!(outcome.await, "Cancelled@1");
    assert_eq!(trace.take(), ["body dropped@1", "child dropped@1"]);
}

#[evloop::test]
async fn a_child_that_swallows_leaves_the_plain_ones_running() {
    let trace = Trace::new();
    let outcome = trace.run(&[1], async {
        scope(async |s| {
            s.spawn(sleep(secs(9)));
            s.spawn(swallows("late", 2)).await
        })
        .await
    });
    assert_eq!(outcome.await, "\"late\"@9");
}

#[evloop::test]
async fn a_child_started_in_the_step_of_a_request_is_offered_it_too() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        scope(async |s| {
            s.spawn(tidy(&t, "first", 2));
            sleep(secs(2)).await;
            s.spawn(tidy(&t, "second", 3));
        })
        .await;
    });
    // The first one passes the request on at 4; the second has it since then.
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["body dropped@2", "first@4", "body dropped@4", "second@7"]);
}

#[evloop::test]
async fn children_await_tasks_and_have_deadlines() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[3], async move {
        let late = scope(async |s| {
            s.spawn(async { child(&t, "task", 4).await.is_err() });
            let late = s.spawn(wait_for(tidy(&t, "limited", 1), secs(1))).await.is_err();
            t.say("late");
            let caught = s.spawn(async {
                let caught = catch_cancel(pending::<()>()).await.is_err();
                t.say("caught");
                caught
            });
            late && caught.await
        });
        late.await
    });
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["body dropped@1", "limited@2", "late@2", "caught@3", "task@7"]);
}

#[evloop::test]
async fn a_deadline_around_a_scope_waits_for_its_children() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let all = scope(async |s| {
            s.spawn(tidy(&t, "a", 2));
            s.spawn(tidy(&t, "b", 4));
        });
        wait_for(all, secs(3)).await.is_err()
    });
    assert_eq!(outcome.await, "true@7");
    assert_eq!(trace.take(), ["body dropped@3", "body dropped@3", "a@5", "b@7"]);
}

#[evloop::test]
async fn a_scope_in_a_race_loses_as_a_whole() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let loses = scope(async |s| {
            s.spawn(tidy(&t, "a", 2));
            let (inner, t) = (s.clone(), &t);
            s.spawn(async move {
                catch_cancel(pending::<()>()).await.unwrap_err().swallow();
                // It may still start children, which are not asked any more but waited for.
                inner.spawn(t.cleanup("late child", 5));
            });
            "scope"
        });
        race((loses, after(1, "won"))).await
    });
    // What `a` passes on at 3 ends the scope.
    assert_eq!(outcome.await, "\"won\"@3");
    assert_eq!(trace.take(), ["body dropped@1", "a@3", "late child cut@3"]);
}

#[evloop::test]
async fn a_cleanup_that_begins_by_itself_before_the_races_request_arrives_is_not_cut() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let body = scope(async |s| {
            // Stands before the body in the list of those that are ready, so that nobody is asked any more.
            s.spawn(async { panic!("a child") });
            child(&t, "task", 9).await.is_err()
        });
        let loser = async {
            finally(body, t.cleanup("cleanup", 3)).await;
            "late"
        };
        race((loser, ready("won"))).await
    });
    assert_eq!(outcome.await, "Panicked(a child)@3");
    assert_eq!(trace.take(), ["cleanup@3"]);
}

#[evloop::test]
async fn a_race_in_a_scope_ends_its_losers_beside_the_other_children() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        scope(async |s| {
            s.spawn(t.cleanup("other", 6));
            let contest = s.spawn(race((tidy(&t, "loser", 3), after(1, "won"))));
            let value = contest.await;
            t.say(value);
        })
        .await;
    });
    assert_eq!(outcome.await, "()@6");
    assert_eq!(trace.take(), ["body dropped@1", "loser@4", "won@4", "other@6"]);
}

#[evloop::test]
async fn a_request_held_in_a_dropped_scope_goes_to_whoever_is_around() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        {
            let mut all = pin!(scope(async |s| {
                s.spawn(tidy(&t, "child", 9));
            }));
            select(&mut all, pin!(sleep(secs(4)))).await;
        }
        t.say("dropped");
        sleep(secs(3)).await;
    });
    assert_eq!(outcome.await, "Cancelled@4");
    assert_eq!(trace.take(), ["body dropped@1", "child cut@4", "dropped@4"]);
}
