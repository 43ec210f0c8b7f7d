//! Hand-made shapes around what waits for others: awaited tasks, `gather`, what `select` drops; and what waits
//! without passing a request on: `shield`, `wait`, `as_completed`.
//!
//! Each test asserts the outcome, the exact virtual instant ("Cancelled@6") and the trace of its cleanups.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    AllCompleted, FirstCompleted, TaskError, TaskGroup, as_completed, catch_cancel, create_task, finally,
    gather, gather_all, on_cancel, shield, sleep, wait, wait_for, yield_now,
};
use futures::future::{join, pending, select};

use crate::support::{Trace, child, nodes, stubborn};

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

#[evloop::test(order = "fifo")]
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

#[evloop::test(order = "fifo")]
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

// ---- shield: no node, whoever stands outside takes ----

/// A task that ends by itself after `n` seconds, and cleans up for one.
fn worker(trace: &Trace, name: &'static str, n: u64) -> evloop::Task<()> {
    let trace = trace.clone();
    create_task(finally(sleep(secs(n)), async move { trace.cleanup(name, 1).await }))
}

#[evloop::test]
async fn a_request_takes_effect_at_once_outside_of_a_shield() {
    let trace = Trace::new();
    let inner = Rc::new(worker(&trace, "inner", 5));
    let shielded = inner.clone();
    let outcome = trace.run(&[1], async move { shield(&*shielded).await.is_ok() });
    assert_eq!(outcome.await, "Cancelled@1");
    assert_eq!((inner.cancelling(), inner.done()), (0, false));
    assert!((&*inner).await.is_ok());
    assert_eq!(trace.take(), ["inner@6"]);
}

#[evloop::test]
async fn a_deadline_around_a_shield_is_met_and_the_task_inside_runs_on() {
    let trace = Trace::new();
    let inner = Rc::new(worker(&trace, "inner", 7));
    let shielded = inner.clone();
    let outcome = trace.run(&[], async move { wait_for(shield(&*shielded), secs(5)).await.is_err() });
    assert_eq!(outcome.await, "true@5");
    // The same task, shielded inside of another task that the deadline cancels.
    let shielded = inner.clone();
    let outcome = trace.run(&[], async move {
        let child = create_task(async move { shield(&*shielded).await });
        wait_for(child, secs(1)).await.is_err()
    });
    assert_eq!(outcome.await, "true@6");
    assert!((&*inner).await.is_ok());
    assert_eq!(trace.take(), ["inner@8"]);
}

#[evloop::test]
async fn a_deadline_around_a_group_with_a_shield_does_not_wait_for_the_task_inside() {
    let trace = Trace::new();
    let inner = Rc::new(worker(&trace, "inner", 7));
    let shielded = inner.clone();
    let outcome = trace.run(&[], async move {
        let group = TaskGroup::scope(async |tg| {
            let _ = tg.create_task(async move { shield(&*shielded).await });
        });
        wait_for(group, secs(5)).await.is_err()
    });
    assert_eq!(outcome.await, "true@5");
    assert_eq!(inner.cancelling(), 0);
    assert!((&*inner).await.is_ok());
    assert_eq!(trace.take(), ["inner@8"]);
}

#[evloop::test]
async fn a_catch_around_a_shield_gets_the_request_and_may_await_the_task() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let inner = worker(&t, "inner", 3);
        let caught = catch_cancel(shield(&inner)).await;
        t.say("caught");
        let token = caught.unwrap_err();
        inner.await.unwrap();
        token.rethrow::<()>().await
    });
    assert_eq!(outcome.await, "Cancelled@4");
    assert_eq!(trace.take(), ["caught@1", "inner@4"]);
}

#[evloop::test]
async fn a_handler_around_a_shield_may_await_the_task_and_is_ended_by_the_next_request() {
    let trace = Trace::new();
    let (t, inner) = (trace.clone(), Rc::new(worker(&trace, "inner", 9)));
    let shielded = inner.clone();
    let outcome = trace.run(&[1, 4], async move {
        on_cancel(async { shield(&*shielded).await.is_ok() }, async |c| {
            t.say("handler");
            let _ = shield(&*shielded).await;
            c.rethrow().await
        })
        .await
    });
    assert_eq!(outcome.await, "Cancelled@4");
    assert_eq!((trace.take(), inner.cancelling()), (vec!["handler@1".into()], 0));
}

#[evloop::test]
async fn a_shield_beside_an_awaited_task_holds_nothing_up() {
    let trace = Trace::new();
    let (t, inner) = (trace.clone(), Rc::new(worker(&trace, "inner", 9)));
    let shielded = inner.clone();
    let outcome = trace.run(&[1], async move {
        let child = child(&t, "child", 3);
        futures::join!(async { child.await.is_err() }, shield(&*shielded))
    });
    assert_eq!(outcome.await, "Cancelled@4", "the child's cleanup alone is waited for");
    assert_eq!((trace.take(), inner.cancelling()), (vec!["child@4".into()], 0));
}

#[evloop::test]
async fn a_cancelled_gather_of_shields_waits_for_the_others_only() {
    let trace = Trace::new();
    let (t, inner) = (trace.clone(), worker(&trace, "inner", 9));
    let inner_ref = inner.task_ref();
    let outcome = trace.run(&[1], async move {
        gather((shield(inner), child(&t, "child", 3))).await.unwrap().0.unwrap();
    });
    assert_eq!(outcome.await, "Cancelled@4");
    assert!(!inner_ref.done() && inner_ref.cancelling() == 0);
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["child@4", "inner@10"]);
}

#[evloop::test]
async fn a_shielded_gather_is_not_cancelled() {
    let trace = Trace::new();
    let (t, u) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[1], async move {
        let both = gather((worker(&t, "a", 2), worker(&u, "b", 3)));
        shield(both).await.unwrap().unwrap();
    });
    assert_eq!(outcome.await, "Cancelled@1");
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["a@3", "b@4"]);
}

#[evloop::test]
async fn a_shielded_cleanup_outlives_the_request_that_cuts_its_wait() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1, 2], async move {
        let cleanup = {
            let t = t.clone();
            async move { t.cleanup("cleanup", 4).await }
        };
        finally(pending::<()>(), async move { drop(shield(cleanup).await) }).await;
    });
    assert_eq!(outcome.await, "Cancelled@2");
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["cleanup@5"]);
}

#[evloop::test]
async fn a_request_raised_outside_ends_a_shield_like_any_sleep() {
    let trace = Trace::new();
    let (t, inner) = (trace.clone(), Rc::new(worker(&trace, "inner", 20)));
    let shielded = inner.clone();
    // The handler of one branch holds the request for 3 seconds; the branch with the shield opens no scope.
    let outcome = trace.run(&[1], async move {
        let holds = on_cancel(pending::<()>(), async |c| {
            t.cleanup("handler", 3).await;
            c.rethrow().await
        });
        join(holds, shield(&*shielded)).await
    });
    assert_eq!(outcome.await, "Cancelled@4");
    assert_eq!((trace.take(), inner.cancelling()), (vec!["handler@4".into()], 0));
}

// ---- wait and as_completed: no nodes either ----

#[evloop::test]
async fn a_cancelled_wait_ends_at_once_and_its_tasks_run_on() {
    let trace = Trace::new();
    let members = Rc::new([worker(&trace, "a", 3), worker(&trace, "b", 4)]);
    let waited = members.clone();
    let outcome = trace.run(&[1], async move { wait(&*waited, AllCompleted, secs(9)).await.done.len() });
    assert_eq!(outcome.await, "Cancelled@1");
    let waited = members.clone();
    let late = trace.run(&[], async move {
        let waiting = wait(&*waited, FirstCompleted, None);
        wait_for(async { waiting.await.done.len() }, secs(1)).await.is_err()
    });
    assert_eq!(late.await, "true@2");
    assert!(members.iter().all(|task| !task.done() && task.cancelling() == 0));
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["a@4", "b@5"]);
}

#[evloop::test]
async fn a_handler_may_cancel_the_tasks_of_a_wait_and_wait_again() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let members = [child(&t, "a", 2), child(&t, "b", 4)];
        on_cancel(async { wait(&members, FirstCompleted, None).await.done.len() }, async |c| {
            members.iter().for_each(|task| assert!(task.cancel()));
            let ended = wait(&members, AllCompleted, secs(3)).await;
            t.say(&format!("{} ended, {} left", ended.done.len(), ended.pending.len()));
            wait(&members, AllCompleted, None).await;
            c.rethrow().await
        })
        .await
    });
    assert_eq!(outcome.await, "Cancelled@5");
    assert_eq!(trace.take(), ["a@3", "1 ended, 1 left@4", "b@5"]);
}

#[evloop::test]
async fn a_cancelled_loop_over_as_completed_leaves_the_rest_running() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[3], async move {
        let completed = as_completed([5, 1, 3].map(|n| worker(&t, "worker", n)));
        while let Some(task) = completed.next().await {
            task.await.unwrap();
            t.say("next");
        }
    });
    assert_eq!(outcome.await, "Cancelled@3");
    sleep(secs(9)).await;
    assert_eq!(trace.take(), ["worker@2", "next@2", "worker@4", "worker@6"]);
    assert_eq!(nodes(), 0);
}
