//! Hand-made shapes around one request: who takes it, who does not, what runs whole and what is cut.
//!
//! Each test asserts the outcome, the exact virtual instant ("Cancelled@10") and the trace of its cleanups.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{catch_cancel, current_task, finally, on_cancel, sleep, wait_for, yield_now};
use futures::future::{join, join_all, pending, select};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::support::{Trace, counted, iteration};

#[evloop::test]
async fn cancelled_before_its_first_step_a_body_never_runs() {
    let (trace, polls) = (Trace::new(), Rc::new(Cell::new(0)));
    let body = counted(&polls, wait_for(pending::<()>(), secs(9)));
    assert_eq!(trace.run(&[0], body).await, "Cancelled@0");
    assert_eq!(polls.get(), 0);
}

#[evloop::test]
async fn without_a_node_the_future_is_dropped_unpolled() {
    let (trace, polls) = (Trace::new(), Rc::new(Cell::new(0)));
    let body = counted(&polls, {
        let trace = trace.clone();
        async move { trace.never::<()>("body").await }
    });
    assert_eq!(trace.run(&[2], body).await, "Cancelled@2");
    assert_eq!(polls.get(), 1, "the first step only");
    assert_eq!(trace.take(), ["body dropped@2"]);
}

#[evloop::test(order = "fifo")]
async fn without_a_node_a_request_beats_a_value_of_the_same_step() {
    let (trace, polls) = (Trace::new(), Rc::new(Cell::new(0)));
    assert_eq!(trace.run(&[3], counted(&polls, sleep(secs(3)))).await, "Cancelled@3");
    assert_eq!(polls.get(), 1);
}

#[evloop::test]
async fn a_request_taken_back_in_the_same_step_does_nothing() {
    let trace = Trace::new();
    let task = evloop::create_task(async {
        let caught = catch_cancel(sleep(secs(5))).await.is_err();
        (caught, current_task().unwrap().cancelling())
    });
    sleep(secs(2)).await;
    task.cancel();
    task.cancel();
    assert_eq!((task.uncancel(), task.uncancel()), (1, 0));
    assert_eq!(trace.outcome(task).await, "(false, 0)@5");
}

/// What stands in front of the parked node when the request comes.
enum Then {
    Plain,
    Catch,
    Parked,
    NewCatch,
}

/// A catch is polled once and parked; the request comes at 2 while something else is awaited.
async fn parked(trace: &Trace, then: Then) -> String {
    let t = trace.clone();
    let steps = Rc::new(Cell::new(0));
    let seen = steps.clone();
    let outcome = trace.run(&[2], async move {
        let mut parked = pin!(catch_cancel(t.never::<()>("parked")));
        select(&mut parked, Box::pin(sleep(secs(1)))).await;
        match then {
            Then::Plain => sleep(secs(9)).await,
            Then::Catch => match catch_cancel(sleep(secs(9))).await {
                Ok(()) => t.say("the sleep ended"),
                Err(cancellation) => {
                    t.say("the other catch took it");
                    cancellation.swallow();
                }
            },
            Then::Parked => {
                sleep(secs(1)).await;
                if let Err(cancellation) = parked.await {
                    t.say("the parked catch took it");
                    cancellation.swallow();
                }
            }
            Then::NewCatch => {
                sleep(secs(1)).await;
                let entered = iteration();
                if let Err(cancellation) = catch_cancel(pending::<()>()).await {
                    t.say("the new catch took it");
                    cancellation.swallow();
                }
                seen.set(iteration() - entered);
            }
        }
    });
    let outcome = outcome.await;
    trace.say(&format!("{} steps later", steps.get()));
    outcome
}

#[evloop::test]
async fn a_parked_node_takes_nothing() {
    let trace = Trace::new();
    assert_eq!(parked(&trace, Then::Plain).await, "Cancelled@2");
    assert_eq!(trace.take(), ["parked dropped@2", "0 steps later@2"]);
}

#[evloop::test]
async fn a_catch_beside_a_parked_one_takes_it() {
    let trace = Trace::new();
    assert_eq!(parked(&trace, Then::Catch).await, "()@2");
    assert_eq!(trace.take(), ["the other catch took it@2", "parked dropped@2", "0 steps later@2"]);
}

#[evloop::test]
async fn a_parked_catch_that_is_resumed_in_the_very_step_takes_it() {
    let trace = Trace::new();
    assert_eq!(parked(&trace, Then::Parked).await, "()@2");
    assert_eq!(trace.take(), ["parked dropped@2", "the parked catch took it@2", "0 steps later@2"]);
}

#[evloop::test]
async fn a_catch_entered_in_the_step_of_the_offer_takes_it_one_step_later() {
    let trace = Trace::new();
    assert_eq!(parked(&trace, Then::NewCatch).await, "()@2");
    assert_eq!(trace.take(), ["the new catch took it@2", "parked dropped@2", "1 steps later@2"]);
}

#[evloop::test]
async fn the_next_catch_after_a_swallow_is_not_delivered_to() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let first = catch_cancel(pending::<()>()).await.is_err();
        let second = catch_cancel(sleep(secs(3))).await.is_err();
        (first, second)
    });
    assert_eq!(outcome.await, "(true, false)@5");
}

#[evloop::test]
async fn a_raised_request_waits_for_every_handler() {
    for b_swallows in [false, true] {
        let trace = Trace::new();
        let (a, b) = (trace.clone(), trace.clone());
        let outcome = trace.run(&[2], async move {
            let a = on_cancel(pending::<()>(), async |c| {
                a.cleanup("a", 1).await;
                c.rethrow().await
            });
            let b = on_cancel(pending::<()>(), async |c| {
                b.cleanup("b", 8).await;
                if !b_swallows {
                    c.rethrow::<()>().await;
                }
            });
            futures::join!(a, b)
        });
        assert_eq!(outcome.await, "Cancelled@10", "b swallows: {b_swallows}");
        assert_eq!(trace.take(), ["a@3", "b@10"]);
    }
}

#[evloop::test]
async fn code_after_a_bare_catch_holds_nothing_back() {
    let trace = Trace::new();
    let (a, b) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[2], async move {
        let a = async {
            if let Err(cancellation) = catch_cancel(pending::<()>()).await {
                a.cleanup("a", 1).await;
                cancellation.rethrow().await
            }
        };
        let b = async {
            if let Err(cancellation) = catch_cancel(pending::<()>()).await {
                b.cleanup("b", 8).await;
                cancellation.rethrow().await
            }
        };
        futures::join!(a, b)
    });
    assert_eq!(outcome.await, "Cancelled@3");
    assert_eq!(trace.take(), ["a@3", "b cut@3"]);
}

#[evloop::test]
async fn when_both_branches_swallow_the_value_stands() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let a = async { catch_cancel(pending::<()>()).await.is_err() };
        let b = on_cancel(async { pending::<bool>().await }, async |_| true);
        futures::join!(a, b)
    });
    assert_eq!(outcome.await, "(true, true)@2");
}

#[evloop::test]
async fn two_tokens_in_one_frame_and_one_rethrown() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let (a, b) = futures::join!(catch_cancel(pending::<()>()), catch_cancel(pending::<()>()));
        if let Err(cancellation) = a {
            cancellation.rethrow::<()>().await;
        }
        drop(b);
    });
    assert_eq!(outcome.await, "Cancelled@2");
}

#[evloop::test]
async fn a_token_in_the_slot_of_a_join_and_the_sibling_rethrows() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let rethrows = async {
            if let Err(cancellation) = catch_cancel(pending::<()>()).await {
                cancellation.rethrow::<()>().await;
            }
        };
        join(catch_cancel(pending::<()>()), rethrows).await.0.is_err()
    });
    assert_eq!(outcome.await, "Cancelled@2");
}

#[evloop::test]
async fn a_plain_branch_beside_a_catch_runs_to_its_end() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let (caught, ()) = join(catch_cancel(pending::<()>()), sleep(secs(9))).await;
        caught.is_err()
    });
    assert_eq!(outcome.await, "true@9");
}

#[evloop::test]
async fn a_hundred_handlers_run_whole() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        let all: FuturesUnordered<_> = (0..100)
            .map(|i| {
                let t = t.clone();
                on_cancel(pending::<()>(), async move |c| {
                    t.cleanup("one", 1 + i % 6).await;
                    c.rethrow().await
                })
            })
            .collect();
        all.collect::<Vec<()>>().await;
    });
    assert_eq!(outcome.await, "Cancelled@8");
    let lines = trace.take();
    assert_eq!(lines.len(), 100);
    assert!(lines.iter().all(|line| !line.contains("cut")), "{lines:?}");
}

#[evloop::test]
async fn every_branch_of_a_stream_is_asked_even_if_the_stream_yields_after_each_second_one() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        let all: FuturesUnordered<_> = (0..100)
            .map(|_| {
                let t = t.clone();
                finally(pending::<()>(), async move {
                    // Wakes its own branch: after two of these FuturesUnordered returns to the loop.
                    yield_now().await;
                    t.cleanup("one", 3).await;
                })
            })
            .collect();
        all.collect::<Vec<()>>().await;
    });
    assert_eq!(outcome.await, "Cancelled@5", "all clean up at the same time");
    let lines = trace.take();
    assert_eq!(lines.len(), 100);
    assert!(lines.iter().all(|line| !line.contains("cut")), "{lines:?}");
}

#[evloop::test]
async fn what_is_raised_is_offered_to_every_branch_of_a_stream_that_yields_early() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        let late = async {
            // These scopes are opened after the request was taken: only the re-offer can reach them.
            sleep(secs(3)).await;
            let all: FuturesUnordered<_> = (0..100)
                .map(|_| {
                    let t = t.clone();
                    finally(pending::<()>(), async move {
                        yield_now().await;
                        t.cleanup("one", 3).await;
                    })
                })
                .collect();
            all.collect::<Vec<()>>().await;
        };
        let holds = finally(pending::<()>(), t.cleanup("first", 4));
        join(holds, late).await;
    });
    assert_eq!(outcome.await, "Cancelled@9");
    let lines = trace.take();
    assert_eq!(lines.len(), 101);
    assert!(lines.iter().all(|line| !line.contains("cut")), "{lines:?}");
}

#[evloop::test]
async fn a_catch_that_a_stream_polls_last_still_takes_it() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let stop = Rc::new(Cell::new(false));
        // Futures that wake themselves make FuturesUnordered yield before it has polled all.
        let restless = |stop: Rc<Cell<bool>>| async move {
            sleep(secs(2)).await;
            while !stop.get() {
                yield_now().await;
            }
            false
        };
        let all = FuturesUnordered::new();
        for _ in 0..3 {
            all.push(Box::pin(restless(stop.clone())) as std::pin::Pin<Box<dyn Future<Output = bool>>>);
        }
        all.push(Box::pin(async {
            let caught = catch_cancel(pending::<()>()).await.is_err();
            stop.set(true);
            caught
        }));
        all.collect::<Vec<bool>>().await.into_iter().filter(|caught| *caught).count()
    });
    assert_eq!(outcome.await, "1@2");
}

#[evloop::test]
async fn an_outer_catch_does_not_take_what_the_inner_one_took_in_an_extended_offer() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let inner = async {
            let caught = catch_cancel(pending::<()>()).await.is_err();
            // Each of these wakes the task, so the offer is extended as long as it can be.
            for _ in 0..5 {
                yield_now().await;
            }
            caught
        };
        catch_cancel(inner).await.ok()
    });
    assert_eq!(outcome.await, "Some(true)@2");
}

#[evloop::test]
async fn two_requests_of_one_step_are_one_delivery() {
    let trace = Trace::new();
    let outcome = trace.run(&[2, 2], async {
        let first = catch_cancel(pending::<()>()).await.is_err();
        let second = catch_cancel(sleep(secs(3))).await.is_err();
        (first, second, current_task().unwrap().cancelling())
    });
    assert_eq!(outcome.await, "(true, false, 2)@5");
}

#[evloop::test]
async fn another_request_ends_a_cleanup() {
    let trace = Trace::new();
    let t = trace.clone();
    let body = async move { finally(pending::<()>(), async move { t.cleanup("finally", 5).await }).await };
    assert_eq!(trace.run(&[2, 4], body).await, "Cancelled@4");
    assert_eq!(trace.take(), ["finally cut@4"]);

    let trace = Trace::new();
    let t = trace.clone();
    let body = on_cancel(pending::<()>(), async move |_| t.cleanup("handler", 5).await);
    assert_eq!(trace.run(&[2, 4], body).await, "Cancelled@4");
    assert_eq!(trace.take(), ["handler cut@4"]);
}

#[evloop::test]
async fn finally_inside_finally_cleans_up_from_the_inside() {
    let trace = Trace::new();
    let (a, b) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[2], async move {
        let inner = finally(pending::<()>(), async move { a.cleanup("inner", 3).await });
        finally(inner, async move { b.cleanup("outer", 4).await }).await;
    });
    assert_eq!(outcome.await, "Cancelled@9");
    assert_eq!(trace.take(), ["inner@5", "outer@9"]);
}

#[evloop::test]
async fn a_finally_whose_body_swallowed_cleans_up_before_a_raised_request_drops_it() {
    let trace = Trace::new();
    let (t, u) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[2], async move {
        let body = async {
            catch_cancel(pending::<()>()).await.unwrap_err().swallow();
            sleep(secs(9)).await;
        };
        let cleans = finally(body, async move { t.cleanup("finally", 4).await });
        let rethrows = on_cancel(pending::<()>(), async |c| {
            u.cleanup("handler", 1).await;
            c.rethrow().await
        });
        join(cleans, rethrows).await;
    });
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["handler@3", "finally@7"]);
}

#[evloop::test]
async fn a_cleanup_after_a_return_is_waited_for_by_a_request_raised_beside_it() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        // The body swallows, so the cleanup runs on the way of an ordinary return.
        let body = async { catch_cancel(pending::<()>()).await.is_err() };
        let cleans = finally(body, async move { t.cleanup("cleanup", 4).await });
        join(cleans, on_cancel(pending::<()>(), async |c| c.rethrow().await)).await.0
    });
    assert_eq!(outcome.await, "Cancelled@6");
    assert_eq!(trace.take(), ["cleanup@6"]);
}

#[evloop::test]
async fn a_task_that_cancels_itself_and_returns_keeps_its_value() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        current_task().unwrap().cancel();
        "value"
    });
    assert_eq!(outcome.await, "\"value\"@0");
}

#[evloop::test]
async fn a_task_that_cancels_itself_catches_it_where_it_waits_next() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        current_task().unwrap().cancel();
        catch_cancel(pending::<()>()).await.is_err()
    });
    assert_eq!(outcome.await, "true@0");
}

#[evloop::test]
async fn a_loop_that_catches_for_ever_is_dropped_after_the_eighth_re_offer() {
    let trace = Trace::new();
    let swallowed = Rc::new(Cell::new(0));
    let count = swallowed.clone();
    let outcome = trace.run(&[2], async move {
        let stubborn = async {
            loop {
                catch_cancel(pending::<()>()).await.unwrap_err().swallow();
                count.set(count.get() + 1);
            }
        };
        let rethrows = on_cancel(pending::<()>(), async |c| c.rethrow().await);
        join(stubborn, rethrows).await
    });
    assert_eq!(outcome.await, "Cancelled@2");
    assert_eq!(swallowed.get(), 9, "the request itself, then eight re-offers");
}

#[evloop::test]
async fn cleanup_beside_a_waiting_scope_is_cut_inline_and_whole_in_a_handler() {
    let trace = Trace::new();
    let t = trace.clone();
    let inline = trace.run(&[1], async move {
        let cleans = async {
            if let Err(cancellation) = catch_cancel(pending::<()>()).await {
                t.cleanup("inline", 4).await;
                cancellation.rethrow().await
            }
        };
        join(cleans, wait_for(sleep(secs(6)), secs(8))).await
    });
    assert_eq!(inline.await, "Cancelled@1");
    assert_eq!(trace.take(), ["inline cut@1"]);

    let trace = Trace::new();
    let t = trace.clone();
    let handler = trace.run(&[1], async move {
        let cleans = on_cancel(pending::<()>(), async |c| {
            t.cleanup("handler", 4).await;
            c.rethrow().await
        });
        join(cleans, wait_for(sleep(secs(6)), secs(8))).await
    });
    assert_eq!(handler.await, "Cancelled@5");
    assert_eq!(trace.take(), ["handler@5"]);
}

#[evloop::test]
async fn many_branches_of_each_kind_end_together() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[3], async move {
        let finals = (1..4).map(|n| {
            let t = t.clone();
            finally(pending::<()>(), async move { t.cleanup("f", n).await })
        });
        let handlers = (1..4).map(|n| {
            let t = t.clone();
            on_cancel(pending::<()>(), async move |_| t.cleanup("h", n).await)
        });
        join(join_all(finals), join_all(handlers)).await;
    });
    assert_eq!(outcome.await, "Cancelled@6");
    let mut lines = trace.take();
    lines.sort();
    assert_eq!(lines, ["f@4", "f@5", "f@6", "h@4", "h@5", "h@6"]);
}
