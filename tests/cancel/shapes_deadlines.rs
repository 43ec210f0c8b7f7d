//! Hand-made shapes around deadlines: what `wait_for` waits for, and deliveries that meet in one step.
//!
//! Each test asserts the outcome, the exact virtual instant ("Err(TimeoutError)@8") and the trace of its
//! cleanups.

use std::pin::pin;
use std::time::Duration;

use evloop::testing::settle;
use evloop::time::secs;
use evloop::{catch_cancel, finally, gather, on_cancel, sleep, wait_for, yield_now};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, pending, select};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::support::{Trace, child, stubborn};

#[evloop::test]
async fn an_endless_cleanup_does_not_turn_a_request_into_a_timeout() {
    let trace = Trace::new();
    let inline = trace.run(&[3], async {
        let content = async {
            let caught = catch_cancel(pending::<()>()).await;
            pending::<()>().await;
            drop(caught);
        };
        wait_for(content, secs(8)).await
    });
    assert_eq!(inline.await, "Cancelled@8");

    let trace = Trace::new();
    let structured = trace.run(&[3], wait_for(finally(pending::<()>(), pending()), secs(8)));
    assert_eq!(structured.await, "Cancelled@8");

    let trace = Trace::new();
    let handler = trace.run(&[3], wait_for(on_cancel(pending::<()>(), async |_| pending().await), secs(8)));
    assert_eq!(handler.await, "Cancelled@8");
}

#[evloop::test]
async fn a_deadline_waits_for_the_cleanup_of_the_awaited_task() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move { wait_for(child(&t, "child", 4), secs(5)).await.is_err() });
    assert_eq!(outcome.await, "true@9");
    assert_eq!(trace.take(), ["child@9"]);
}

#[evloop::test]
async fn a_deadline_waits_for_all_children_of_a_gather() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let both = (child(&t, "a", 4), child(&t, "b", 6));
        wait_for(gather(both), secs(5)).await.is_err()
    });
    assert_eq!(outcome.await, "true@11");
    assert_eq!(trace.take(), ["a@9", "b@11"]);
}

#[evloop::test]
async fn a_gather_whose_child_swallows_waits_and_then_times_out() {
    let trace = Trace::new();
    let outcome =
        trace.run(&[], async { wait_for(gather((stubborn(3), stubborn(1))), secs(5)).await.is_err() });
    assert_eq!(outcome.await, "true@8");
}

#[evloop::test]
async fn an_awaited_task_that_swallows_a_deadline_has_consumed_it() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async { wait_for(stubborn(3), secs(5)).await.unwrap().unwrap() });
    assert_eq!(outcome.await, "\"swallowed\"@8");
}

#[evloop::test]
async fn a_content_that_swallows_its_deadline_gives_a_value() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let content = async {
            let caught = catch_cancel(pending::<()>()).await.is_err();
            t.cleanup("inline", 2).await;
            caught
        };
        wait_for(content, secs(5)).await
    });
    assert_eq!(outcome.await, "Ok(true)@7");
    assert_eq!(trace.take(), ["inline@7"]);
}

#[evloop::test]
async fn of_equal_deadlines_the_inner_one_gives_its_error_as_a_value() {
    let trace = Trace::new();
    let outcome = trace.run(&[], wait_for(wait_for(pending::<()>(), secs(5)), secs(5)));
    assert_eq!(outcome.await, "Ok(Err(TimeoutError))@5");
}

#[evloop::test]
async fn equal_deadlines_are_one_delivery_to_a_cleanup_inside() {
    let trace = Trace::new();
    let t = trace.clone();
    let content = finally(pending::<()>(), async move { t.cleanup("inside", 3).await });
    let outcome = trace.run(&[], wait_for(wait_for(content, secs(5)), secs(5)));
    assert_eq!(outcome.await, "Err(TimeoutError)@8");
    assert_eq!(trace.take(), ["inside@8"]);
}

#[evloop::test]
async fn equal_deadlines_are_one_delivery_to_code_after_a_catch_inside() {
    let trace = Trace::new();
    let t = trace.clone();
    let content = async move {
        if let Err(cancellation) = catch_cancel(pending::<()>()).await {
            t.cleanup("inline", 3).await;
            cancellation.rethrow().await
        }
    };
    let outcome = trace.run(&[], wait_for(wait_for(content, secs(5)), secs(5)));
    assert_eq!(outcome.await, "Err(TimeoutError)@8");
    assert_eq!(trace.take(), ["inline@8"]);
}

#[evloop::test(order = "fifo")]
async fn a_request_and_a_deadline_in_one_step_are_one_delivery() {
    let trace = Trace::new();
    let t = trace.clone();
    let handler = on_cancel(pending::<()>(), async move |c| {
        t.cleanup("handler", 2).await;
        c.rethrow().await
    });
    assert_eq!(trace.run(&[5], wait_for(handler, secs(5))).await, "Cancelled@7");
    assert_eq!(trace.take(), ["handler@7"]);

    let trace = Trace::new();
    let t = trace.clone();
    let structured = finally(pending::<()>(), async move { t.cleanup("finally", 2).await });
    assert_eq!(trace.run(&[5], wait_for(structured, secs(5))).await, "Cancelled@7");
    assert_eq!(trace.take(), ["finally@7"]);
}

#[evloop::test]
async fn a_cleanup_ended_by_one_of_equal_deadlines_hands_over_to_one_that_runs_whole() {
    let trace = Trace::new();
    let t = trace.clone();
    // The request is held by an endless cleanup until the inner deadline ends it; the outer one, of the
    // same step, must not end what this starts.
    let inner = wait_for(finally(pending::<()>(), pending()), secs(7));
    let outer = finally(async { inner.await.is_ok() }, async move { t.cleanup("outer", 5).await });
    assert_eq!(trace.run(&[2], wait_for(outer, secs(7))).await, "Cancelled@12");
    assert_eq!(trace.take(), ["outer@12"]);
}

#[evloop::test(order = "fifo")]
async fn a_deadline_inside_of_a_cleanup_stays_its_own_when_deliveries_meet() {
    let trace = Trace::new();
    let t = trace.clone();
    let handler = on_cancel(pending::<()>(), async move |c| {
        let flush = finally(pending::<()>(), t.cleanup("flush", 1));
        let timed_out = wait_for(flush, Duration::ZERO).await.is_err();
        t.say(&format!("handler: {timed_out}"));
        c.rethrow().await
    });
    // Request and deadline come in one step, and so does the handler's own deadline.
    assert_eq!(trace.run(&[2], wait_for(handler, secs(2))).await, "Cancelled@3");
    assert_eq!(trace.take(), ["flush@3", "handler: true@3"]);
}

#[evloop::test]
async fn a_deadline_of_a_dropped_scope_around_a_borrowed_future_asks_nobody() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let mut child = Box::pin(child(&t, "child", 4).join());
        // At 3 the deadline comes, the await takes it, and both are dropped by code: first the scope whose
        // deadline it was, then the await.
        select(wait_for(child.as_mut(), secs(3)), pin!(sleep(secs(3)))).await;
        drop(child);
        sleep(secs(9)).await;
    });
    assert_eq!(outcome.await, "()@12");
    assert_eq!(trace.take(), ["child@7"]);
}

#[evloop::test(order = "fifo")]
async fn a_request_and_a_deadline_in_one_step_are_one_delivery_to_code_after_a_catch() {
    let trace = Trace::new();
    let t = trace.clone();
    let inline = async move {
        if let Err(cancellation) = catch_cancel(pending::<()>()).await {
            t.cleanup("inline", 2).await;
            cancellation.rethrow().await
        }
    };
    assert_eq!(trace.run(&[5], wait_for(inline, secs(5))).await, "Cancelled@7");
    assert_eq!(trace.take(), ["inline@7"]);
}

#[evloop::test]
async fn a_value_beats_a_deadline_of_the_same_step() {
    let trace = Trace::new();
    assert_eq!(trace.run(&[], wait_for(sleep(secs(5)), secs(5))).await, "Ok(())@5");
}

#[evloop::test]
async fn a_timeout_of_zero_polls_its_content_once() {
    let trace = Trace::new();
    let t = trace.clone();
    let plain = async move {
        t.say("begun");
        yield_now().await;
        t.say("gone on");
    };
    let zero = Duration::ZERO;
    assert_eq!(trace.run(&[], wait_for(plain, zero)).await, "Err(TimeoutError)@0");
    assert_eq!(trace.take(), ["begun@0"]);
    assert_eq!(trace.run(&[], wait_for(async { "ready" }, zero)).await, "Ok(\"ready\")@0");

    let t = trace.clone();
    let running = trace.run(&[], async move {
        let child = child(&t, "child", 4);
        settle().await;
        wait_for(child, zero).await.is_err()
    });
    assert_eq!(running.await, "true@4");
    assert_eq!(trace.take(), ["child@4"]);

    let t = trace.clone();
    let handler = on_cancel(pending::<()>(), async move |c| {
        t.cleanup("fresh", 2).await;
        c.rethrow().await
    });
    assert_eq!(trace.run(&[], wait_for(handler, zero)).await, "Err(TimeoutError)@6");
    assert_eq!(trace.take(), ["fresh@6"]);
}

#[evloop::test]
async fn the_token_of_a_deadline_ends_the_task_when_rethrown_outside_of_its_scope() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        // The value "a token" beats the deadline that made it.
        let caught = wait_for(catch_cancel(pending::<()>()), secs(5)).await.unwrap();
        caught.unwrap_err().rethrow::<()>().await;
    });
    assert_eq!(outcome.await, "Cancelled@5");
}

#[evloop::test]
async fn a_nested_deadline_that_comes_first_leaves_the_outer_one_alone() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let inner = wait_for(finally(pending::<()>(), t.cleanup("inside", 2)), secs(3));
        wait_for(async { inner.await.is_err() }, secs(9)).await
    });
    assert_eq!(outcome.await, "Ok(true)@5");
    assert_eq!(trace.take(), ["inside@5"]);
}

#[evloop::test]
async fn a_deadline_waits_for_a_task_that_a_stream_within_a_stream_polls_last() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let restless = || async {
            for _ in 0..3 {
                yield_now().await;
            }
            pending().await
        };
        let child = child(&t, "child", 4);
        yield_now().await;
        let awaits = async { child.await.unwrap() };
        // Two branches that wake themselves make the inner stream return before it asks the third; the
        // outer one passes only the first of its wakes on.
        let branches: [LocalBoxFuture<'_, ()>; 3] =
            [awaits.boxed_local(), restless().boxed_local(), restless().boxed_local()];
        let inner: FuturesUnordered<_> = branches.into_iter().collect();
        let timed = wait_for(inner.collect::<Vec<()>>(), Duration::ZERO);
        let outer: FuturesUnordered<_> = [timed].into_iter().collect();
        outer.collect::<Vec<_>>().await.len()
    });
    assert_eq!(outcome.await, "1@4");
    assert_eq!(trace.take(), ["child@4"]);
}

#[evloop::test]
async fn an_extended_deadline_does_not_cut_a_cleanup_that_its_own_re_offer_began() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let restless = async {
            for _ in 0..3 {
                yield_now().await;
            }
        };
        // In the step of the deadline the first branch takes it and passes it on at once, while the second
        // has not been asked: it takes the re-offer. In the next step the deadline's offer is still open.
        let passes_on = async { wait_for(wait_for(yield_now(), secs(9)), secs(9)).await.unwrap().unwrap() };
        let cleans = async {
            wait_for(finally(pending::<()>(), t.cleanup("cleanup", 3)), secs(9)).await.unwrap();
        };
        let branches: [LocalBoxFuture<'_, ()>; 3] =
            [passes_on.boxed_local(), cleans.boxed_local(), restless.boxed_local()];
        let all: FuturesUnordered<_> = branches.into_iter().collect();
        wait_for(all.collect::<Vec<()>>(), Duration::ZERO).await.is_err()
    });
    assert_eq!(outcome.await, "true@3");
    assert_eq!(trace.take(), ["cleanup@3"]);
}
