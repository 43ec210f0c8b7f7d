//! Hand-made shapes around what waits for others: awaited tasks, `gather`, and what `select` drops.
//!
//! Each test asserts the outcome, the exact virtual instant ("Cancelled@6") and the trace of its cleanups.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    TaskError, catch_cancel, create_task, finally, gather, gather_all, on_cancel, sleep, yield_now,
};
use futures::future::{join, pending, select};

use crate::support::{Trace, child, stubborn};

// ---- Awaited tasks ----

#[evloop::test]
async fn of_two_awaiters_of_a_cancelled_task_only_the_cancelled_one_is_cancelled() {
    let trace = Trace::new();
    let awaited = Rc::new(child(&trace, "child", 3));
    let (a, b) = (awaited.clone(), awaited);
    let first = create_task(async move { (&*a).await.unwrap_err().is_cancelled() });
    let second = create_task(async move { (&*b).await.unwrap_err().is_cancelled() });
    sleep(secs(1)).await;
    first.cancel();
    let (first, second) = join(trace.outcome(first), trace.outcome(second)).await;
    assert_eq!((first.as_str(), second.as_str()), ("Cancelled@4", "true@4"));
    assert_eq!(trace.take(), ["child@4"]);
}

#[evloop::test]
async fn an_awaiter_of_two_tasks_waits_for_both() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let (a, b) = (child(&t, "a", 2), child(&t, "b", 5));
        futures::join!(async { a.await.is_err() }, async { b.await.is_err() })
    });
    assert_eq!(outcome.await, "Cancelled@6");
    assert_eq!(trace.take(), ["a@3", "b@6"]);
}

#[evloop::test]
async fn an_awaiter_of_two_tasks_waits_for_both_when_one_swallows() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let (a, b) = (stubborn(2), child(&t, "b", 5));
        futures::join!(async { a.await.unwrap() }, async { b.await.is_err() })
    });
    assert_eq!(outcome.await, "Cancelled@6");
    assert_eq!(trace.take(), ["b@6"]);
}

#[evloop::test]
async fn a_child_that_swallows_has_swallowed_it_for_its_awaiter() {
    let trace = Trace::new();
    let outcome = trace.run(&[1], async {
        let value = stubborn(2).await.unwrap();
        sleep(secs(3)).await;
        value
    });
    assert_eq!(outcome.await, "\"swallowed\"@6");
}

#[evloop::test]
async fn each_further_request_is_forwarded_again() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1, 3], async move {
        let child = create_task(async move {
            catch_cancel(pending::<()>()).await.unwrap_err().swallow();
            t.say("first swallowed");
            t.never::<()>("child").await;
        });
        child.await.is_err()
    });
    assert_eq!(outcome.await, "Cancelled@3");
    assert_eq!(trace.take(), ["first swallowed@1", "child dropped@3"]);
}

#[evloop::test]
async fn a_request_beats_the_value_of_a_task_that_is_only_just_there() {
    let trace = Trace::new();
    let child = Rc::new(create_task(async {
        sleep(secs(3)).await;
        "value"
    }));
    let awaited = child.clone();
    let parent = create_task(async move { (&*awaited).await.unwrap() });
    let parent_ref = parent.task_ref();
    child.add_done_callback(move |_| assert!(parent_ref.cancel()));
    // The callback runs in the tick of the parent's step; it was registered first only if the parent has
    // not been polled yet, and it has not.
    assert_eq!(trace.outcome(parent).await, "Cancelled@3");
}

#[evloop::test]
async fn a_further_request_beats_the_value_of_a_child_that_swallowed_the_first() {
    let trace = Trace::new();
    let child = Rc::new(stubborn(2));
    let awaited = child.clone();
    let parent = create_task(async move { (&*awaited).await.unwrap() });
    let parent_ref = parent.task_ref();
    child.add_done_callback(move |_| assert!(parent_ref.cancel()));
    sleep(secs(1)).await;
    parent.cancel();
    assert_eq!(trace.outcome(parent).await, "Cancelled@3");
}

#[evloop::test]
async fn a_child_that_is_cancelled_by_another_is_a_value_for_its_awaiter() {
    let trace = Trace::new();
    let child = create_task(pending::<()>());
    let child_ref = child.task_ref();
    let parent = create_task(async move {
        let ended = child.await;
        sleep(secs(1)).await;
        matches!(ended, Err(TaskError::Cancelled(_)))
    });
    sleep(secs(2)).await;
    child_ref.cancel();
    assert_eq!(trace.outcome(parent).await, "true@3");
}

#[evloop::test]
async fn a_panic_of_a_cancelled_child_reaches_the_awaiter() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let child = create_task(finally(pending::<()>(), async { panic!("in the cleanup") }));
        child.await.unwrap_err().is_panic()
    });
    assert_eq!(outcome.await, "true@2");
}

// ---- Dropped while holding ----

#[evloop::test]
async fn a_waiting_await_dropped_by_select_leaves_its_request_to_the_parent() {
    let trace = Trace::new();
    let t = trace.clone();
    let plain = trace.run(&[1], async move {
        let child = child(&t, "child", 5);
        select(child.join(), pin!(sleep(secs(4)))).await;
        t.say("dropped");
        sleep(secs(3)).await;
    });
    assert_eq!(plain.await, "Cancelled@4");
    assert_eq!(trace.take(), ["dropped@4"]);
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["child@6"], "detached");

    let trace = Trace::new();
    let t = trace.clone();
    let caught = trace.run(&[1], async move {
        let child = child(&t, "child", 5);
        select(child.join(), pin!(sleep(secs(4)))).await;
        let caught = catch_cancel(sleep(secs(3))).await.is_err();
        let again = catch_cancel(sleep(secs(3))).await.is_err();
        (caught, again)
    });
    assert_eq!(caught.await, "(true, false)@7");
}

#[evloop::test]
async fn a_finally_dropped_by_select_leaves_its_request_to_the_parent() {
    let trace = Trace::new();
    let t = trace.clone();
    let plain = trace.run(&[1], async move {
        select(Box::pin(finally(pending::<()>(), t.cleanup("f", 5))), pin!(sleep(secs(4)))).await;
        sleep(secs(3)).await;
    });
    assert_eq!(plain.await, "Cancelled@4");
    assert_eq!(trace.take(), ["f cut@4"]);

    let trace = Trace::new();
    let t = trace.clone();
    let caught = trace.run(&[1], async move {
        select(Box::pin(finally(pending::<()>(), t.cleanup("f", 5))), pin!(sleep(secs(4)))).await;
        catch_cancel(sleep(secs(3))).await.is_err()
    });
    assert_eq!(caught.await, "true@4");
}

#[evloop::test]
async fn a_request_left_by_a_dropped_wait_passes_through_the_cleanup_that_follows() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        // The body returns in the step of the drop; the cleanup is the next suspension.
        let body = async {
            select(Box::pin(finally(pending::<()>(), sleep(secs(9)))), pin!(sleep(secs(3)))).await;
        };
        finally(body, t.cleanup("cleanup", 2)).await;
    });
    assert_eq!(outcome.await, "Cancelled@5");
    assert_eq!(trace.take(), ["cleanup@5"]);
}

#[evloop::test]
async fn dropped_waits_do_not_wear_the_task_out() {
    let trace = Trace::new();
    // A request, dropped undecided and caught by the next scope, twelve times: more often than one
    // raised delivery is offered again.
    let outcome = trace.run(&[1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23], async {
        let mut caught = 0;
        for _ in 0..12 {
            let wait = Box::pin(finally(sleep(secs(9)), pending()));
            select(wait, pin!(sleep(secs(2)))).await;
            caught += u32::from(catch_cancel(yield_now()).await.is_err());
        }
        caught
    });
    assert_eq!(outcome.await, "12@24");
}

// ---- gather ----

#[evloop::test]
async fn a_cancelled_gather_waits_for_all_children() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        gather((child(&t, "a", 2), child(&t, "b", 6))).await.unwrap();
    });
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["a@3", "b@7"]);
}

#[evloop::test]
async fn a_cancelled_gather_goes_on_as_cancelled_even_if_its_children_swallow() {
    let trace = Trace::new();
    let outcome = trace.run(&[1], async { gather_all([stubborn(2), stubborn(4)]).await.len() });
    assert_eq!(outcome.await, "Cancelled@5");
}

#[evloop::test]
async fn a_catch_around_a_gather_gets_the_request_after_the_children() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let both = gather((child(&t, "a", 2), child(&t, "b", 6)));
        let caught = catch_cancel(both).await.is_err();
        t.say("caught");
        caught
    });
    assert_eq!(outcome.await, "true@7");
    assert_eq!(trace.take(), ["a@3", "b@7", "caught@7"]);
}

#[evloop::test]
async fn a_gather_opened_after_the_offer_is_waited_for_when_something_is_raised() {
    let trace = Trace::new();
    let (t, u) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[1], async move {
        let holds = on_cancel(pending::<()>(), async |c| {
            t.cleanup("handler", 6).await;
            c.rethrow().await
        });
        let opens = async {
            sleep(secs(4)).await;
            gather([child(&u, "child", 3)]).await.unwrap();
        };
        join(holds, opens).await;
    });
    assert_eq!(outcome.await, "Cancelled@10");
    assert_eq!(trace.take(), ["handler@7", "child@10"]);
}

#[evloop::test]
async fn the_first_failure_ends_a_gather_and_the_others_run_on() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let fails = create_task(async {
            sleep(secs(2)).await;
            panic!("early");
        });
        let slow = create_task(async move { t.cleanup("slow", 5).await });
        gather::<_, (evloop::Task<()>, evloop::Task<()>)>((fails, slow)).await.unwrap_err().is_panic()
    });
    assert_eq!(outcome.await, "true@2");
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["slow@5"]);
}

#[evloop::test]
async fn a_gather_dropped_by_its_user_asks_its_children_to_end() {
    let trace = Trace::new();
    let (t, children) = (trace.clone(), Rc::new(RefCell::new(Vec::new())));
    let kept = children.clone();
    let outcome = trace.run(&[], async move {
        let (a, b) = (child(&t, "a", 2), child(&t, "b", 6));
        kept.borrow_mut().extend([a.task_ref(), b.task_ref()]);
        select(gather((a, b)), pin!(sleep(secs(3)))).await;
    });
    assert_eq!(outcome.await, "()@3");
    assert!(children.borrow().iter().all(|task| !task.done() && task.cancelling() == 1));
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["a@5", "b@9"]);
}
