//! Hand-made shapes with task groups, and blocks with a deadline that moves.
//!
//! Each test asserts the outcome, the exact virtual instant and the trace of its cleanups.

use std::future::pending;
use std::pin::pin;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    Promise, Task, TaskGroup, catch_cancel, create_task, finally, now, on_cancel, sleep, timeout, timeout_at,
    wait_for, yield_now,
};
use futures::future::{join, join_all, select};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::support::{Trace, nodes};

/// A child that never ends by itself and takes `n` seconds to clean up.
fn child(trace: &Trace, name: &'static str, n: u64) -> impl Future<Output = ()> + use<> {
    let trace = trace.clone();
    finally(pending::<()>(), async move { trace.cleanup(name, n).await })
}

/// A child that swallows its first request and returns `n` seconds later.
async fn stubborn(n: u64) {
    catch_cancel(pending::<()>()).await.unwrap_err().swallow();
    sleep(secs(n)).await;
}

async fn fails_at(n: u64) -> Result<(), &'static str> {
    sleep(secs(n)).await;
    Err("failed")
}

/// A group whose body ends at once, with these children.
async fn group_of(children: Vec<impl Future<Output = ()> + 'static>) {
    TaskGroup::scope(async |tg| {
        for child in children {
            let _ = tg.create_task(child);
        }
    })
    .await;
}

#[evloop::test]
async fn a_deadline_waits_for_the_cleanup_of_a_groups_child() {
    let trace = Trace::new();
    let group = group_of(vec![child(&trace, "child", 4)]);
    assert_eq!(trace.run(&[], wait_for(group, secs(5))).await, "Err(TimeoutError)@9");
    assert_eq!(trace.take(), ["child@9"]);
}

#[evloop::test]
async fn a_group_whose_child_swallows_waits_and_then_times_out() {
    let trace = Trace::new();
    let group = group_of(vec![stubborn(3)]);
    assert_eq!(trace.run(&[], wait_for(group, secs(5))).await, "Err(TimeoutError)@8");
}

#[evloop::test]
async fn a_failure_waits_for_the_cleanups_of_body_and_children() {
    let trace = Trace::new();
    let (body, other) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[], async move {
        TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(fails_at(2));
            let _ = tg.create_task(async move {
                child(&other, "child", 6).await;
                Ok(())
            });
            finally(pending::<()>(), body.cleanup("body", 3)).await;
            Ok(())
        })
        .await
    });
    assert_eq!(outcome.await, r#"Err(ErrorGroup(["failed"]))@8"#);
    assert_eq!(trace.take(), ["body@5", "child@8"]);
}

#[evloop::test]
async fn an_error_is_returned_and_the_request_lands_at_the_next_suspension() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(on_cancel(pending::<Result<(), _>>(), async |_| {
                sleep(secs(3)).await;
                Err("in the cleanup")
            }));
            Ok(())
        });
        t.say(&format!("{:?}", ended.await));
        yield_now().await;
        unreachable!("the request is still to come");
    });
    assert_eq!(outcome.await.replace("()", ""), "Cancelled@5");
    assert_eq!(trace.take(), [r#"Err(ErrorGroup(["in the cleanup"]))@5"#]);
}

#[evloop::test]
async fn a_catch_around_what_follows_an_error_gets_the_request() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async move {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(on_cancel(pending::<Result<(), _>>(), async |_| Err(1)));
            Ok(())
        });
        let errors = ended.await.unwrap_err();
        let caught = catch_cancel(sleep(secs(10))).await.is_err();
        (errors.len(), caught)
    });
    assert_eq!(outcome.await, "(1, true)@2");
}

/// A group in which a child fails at 2, while the body and another child have cleanups; then a catch.
async fn failing_group(trace: Trace) -> (usize, bool) {
    let other = trace.clone();
    let ended = TaskGroup::try_scope::<(), _>(async |tg| {
        let _ = tg.create_task(fails_at(2));
        let _ = tg.create_task(async move {
            child(&other, "child", 4).await;
            Ok(())
        });
        finally(pending::<()>(), trace.cleanup("body", 3)).await;
        Ok(())
    });
    let errors = ended.await.unwrap_err().len();
    (errors, catch_cancel(pending::<()>()).await.is_err())
}

#[evloop::test]
async fn a_request_left_by_an_error_is_taken_along_by_who_takes_something_else_next() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[2], async move {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(on_cancel(pending::<Result<(), _>>(), async |_| Err(1)));
            Ok(())
        });
        assert_eq!(ended.await.unwrap_err().len(), 1);
        // In the same step a deadline begins a cleanup, and with its end all is done.
        wait_for(finally(pending::<()>(), t.cleanup("cleanup", 3)), secs(0)).await.is_err()
    });
    assert_eq!(outcome.await, "Cancelled@5");
    assert_eq!(trace.take(), ["cleanup@5"]);
}

#[evloop::test]
async fn a_request_in_the_step_of_a_failure_does_not_cut_the_cleanups_that_the_failure_begins() {
    let trace = Trace::new();
    let task = create_task(failing_group(trace.clone()));
    sleep(secs(2)).await;
    yield_now().await; // the group hears of the failure in this iteration, and acts in its next step
    task.cancel();
    assert_eq!(trace.outcome(task).await, "(1, true)@6");
    assert_eq!(trace.take(), ["body@5", "child@6"]);
}

#[evloop::test]
async fn a_failure_after_a_request_ends_the_bodys_cleanup_as_any_further_request_does() {
    let trace = Trace::new();
    assert_eq!(trace.run(&[1], failing_group(trace.clone())).await, "(1, true)@6");
    assert_eq!(trace.take(), ["body cut@2", "child@6"]);
}

#[evloop::test]
async fn a_request_that_meets_a_failure_while_the_group_waits_does_not_cut_either() {
    let trace = Trace::new();
    let other = trace.clone();
    let outcome = trace.run(&[2], async move {
        let ended = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(fails_at(2));
            let _ = tg.create_task(async move {
                child(&other, "child", 4).await;
                Ok(())
            });
            Ok(())
        });
        ended.await.unwrap_err().len()
    });
    assert_eq!(outcome.await, "1@6", "nothing is awaited after the group");
    assert_eq!(trace.take(), ["child@6"]);
}

#[evloop::test]
async fn a_further_request_is_forwarded_and_ends_the_cleanups() {
    let trace = Trace::new();
    let group = group_of(vec![child(&trace, "child", 9)]);
    assert_eq!(trace.run(&[1, 3], group).await, "Cancelled@3");
    assert_eq!(trace.take(), ["child cut@3"]);
}

#[evloop::test]
async fn a_group_opened_after_the_offer_is_waited_for_when_something_is_raised() {
    let trace = Trace::new();
    let (t, u) = (trace.clone(), trace.clone());
    let outcome = trace.run(&[2], async move {
        let handler = on_cancel(pending::<()>(), async |c| {
            t.cleanup("handler", 6).await;
            c.rethrow().await
        });
        let opens = async {
            sleep(secs(4)).await;
            group_of(vec![child(&u, "child", 3)]).await;
        };
        join(handler, opens).await;
    });
    assert_eq!(outcome.await, "Cancelled@11");
    assert_eq!(trace.take(), ["handler@8", "child@11"]);
}

#[evloop::test]
async fn a_group_dropped_by_select_leaves_its_request_to_the_parent() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        {
            let group = pin!(group_of(vec![child(&t, "child", 5)]));
            let time = pin!(sleep(secs(3)));
            select(group, time).await;
        }
        t.say("dropped");
        sleep(secs(100)).await;
    });
    assert_eq!(outcome.await, "Cancelled@3");
    // The drop asks the child once more, which ends its cleanup.
    assert_eq!(trace.take(), ["dropped@3", "child cut@3"]);
}

#[evloop::test]
async fn groups_side_by_side_all_wait_for_their_children() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        let groups = [("a", 4), ("b", 2), ("c", 6)].map(|(name, n)| group_of(vec![child(&t, name, n)]));
        join_all(groups).await;
    });
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["b@3", "a@5", "c@7"]);

    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let groups = [("a", 4), ("b", 2)].map(|(name, n)| group_of(vec![child(&t, name, n)]));
        let stream: FuturesUnordered<_> = groups.into_iter().collect();
        wait_for(stream.collect::<()>(), secs(2)).await
    });
    assert_eq!(outcome.await, "Err(TimeoutError)@13");
    assert_eq!(trace.take(), ["b@11", "a@13"]);
}

#[evloop::test]
async fn nested_groups_end_from_the_inside() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        TaskGroup::scope(async |tg| {
            let _ = tg.create_task(child(&t, "outer child", 1));
            let inner = group_of(vec![child(&t, "inner child", 3)]);
            finally(inner, t.cleanup("inner body", 2)).await;
        })
        .await;
    });
    // The outer children are asked when the body is gone.
    assert_eq!(outcome.await, "Cancelled@7");
    assert_eq!(trace.take(), ["inner child@4", "inner body@6", "outer child@7"]);
}

#[evloop::test]
async fn a_group_in_a_child_of_a_group_is_waited_for() {
    let trace = Trace::new();
    let t = trace.clone();
    let inner = async move { group_of(vec![child(&t, "grandchild", 3)]).await };
    assert_eq!(trace.run(&[1], group_of(vec![inner])).await, "Cancelled@4");
    assert_eq!(trace.take(), ["grandchild@4"]);
}

#[evloop::test]
async fn a_child_that_cancels_its_groups_own_task_is_asked_itself() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let parent = evloop::current_task().unwrap();
        TaskGroup::scope(async |tg| {
            let t = t.clone();
            let _ = tg.create_task(async move {
                sleep(secs(1)).await;
                parent.cancel();
                finally(pending::<()>(), t.cleanup("child", 2)).await;
            });
        })
        .await;
    });
    assert_eq!(outcome.await, "Cancelled@3");
    assert_eq!(trace.take(), ["child@3"]);
}

#[evloop::test]
async fn a_groups_own_cancel_and_a_deadline_in_one_step_are_the_deadline() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[], async move {
        let group = TaskGroup::cancellable(async |tg| {
            let _ = tg.create_task(child(&t, "child", 2));
            let group = tg.clone();
            evloop::call_later(secs(1), move || group.cancel());
            pending::<()>().await;
        });
        wait_for(group, secs(1)).await
    });
    // The cancel comes first, and reaches the child; the deadline, in the same step, is the outer one.
    assert_eq!(outcome.await, "Err(TimeoutError)@3");
    assert_eq!(trace.take(), ["child@3"]);
}

#[evloop::test]
async fn what_was_taken_in_an_eager_first_step_counts_as_earlier() {
    for eager in [false, true] {
        let trace = Trace::new();
        let t = trace.clone();
        let group = TaskGroup::cancellable(async move |tg| {
            let _ = tg.create_task(child(&t, "child", 2));
            let group = tg.clone();
            evloop::call_later(secs(1), move || group.cancel());
            // The deadline comes in the first step, and begins this. What ends it is the group's own request.
            finally(pending::<()>(), t.cleanup("body", 9)).await;
        });
        let task = Task::builder().eager(eager).spawn(wait_for(group, secs(0)));
        assert_eq!(trace.outcome(task).await, "Err(TimeoutError)@3");
        assert_eq!(trace.take(), ["body cut@1", "child@3"], "asked once, not again by what was taken before");
    }
}

/// Polls a future until `at`, then gives it away.
async fn start<F: Future>(at: u64, future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    let time = pin!(sleep(secs(at)));
    match select(future.as_mut(), time).await {
        futures::future::Either::Left(_) => panic!("it ended"),
        futures::future::Either::Right(_) => {}
    }
    future
}

#[evloop::test]
async fn a_group_moved_to_another_task_belongs_to_that_one() {
    let trace = Trace::new();
    let (t, given) = (trace.clone(), Promise::new());
    let taken = given.clone();
    let first = create_task(async move {
        let group = start(1, group_of(vec![child(&t, "child", 2)])).await;
        drop(given.set_result(Rc::new(std::cell::Cell::new(Some(group)))));
        pending::<()>().await;
    });
    let second = create_task(async move {
        let group = taken.await.unwrap().take().unwrap();
        group.await;
    });
    sleep(secs(2)).await;
    first.cancel();
    sleep(secs(1)).await;
    assert!(first.done() && !second.done(), "the first task's request is not the group's any more");
    second.cancel();
    assert_eq!(trace.outcome(second).await, "Cancelled@5");
    assert_eq!(trace.take(), ["child@5"]);
    drop(first);
    assert_eq!(nodes(), 0);
}

/// A group is given from one task to another while it holds a request of the first one, which it took at 1; the first
/// one goes on until `end`.
async fn moved_with_a_request(trace: &Trace, end: u64) -> String {
    let (t, given) = (trace.clone(), Promise::new());
    let taken = given.clone();
    let first = create_task(async move {
        let group = start(2, group_of(vec![child(&t, "child", 5)])).await;
        drop(given.set_result(Rc::new(std::cell::Cell::new(Some(group)))));
        if end > 2 {
            sleep(secs(end - 2)).await;
        }
    });
    let second = create_task(async move {
        let group = taken.await.unwrap().take().unwrap();
        group.await;
    });
    sleep(secs(1)).await;
    first.cancel();
    let outcome = trace.outcome(second).await;
    assert!(first.done());
    drop(first);
    assert_eq!(nodes(), 0);
    outcome
}

#[evloop::test]
async fn a_group_that_is_moved_takes_its_request_along() {
    let trace = Trace::new();
    assert_eq!(moved_with_a_request(&trace, 3).await, "Cancelled@6");
    assert_eq!(trace.take(), ["child@6"]);
}

#[evloop::test]
async fn a_request_of_a_task_that_has_ended_is_void() {
    let trace = Trace::new();
    assert_eq!(moved_with_a_request(&trace, 2).await, "()@6");
    assert_eq!(trace.take(), ["child@6"]);
}

// ---- Deadlines that move ----

#[evloop::test]
async fn a_moved_deadline_waits_for_the_cleanup_like_any_other() {
    let trace = Trace::new();
    let t = trace.clone();
    let block = timeout(secs(2), async move |deadline| {
        sleep(secs(1)).await;
        deadline.reschedule(now() + secs(3)).unwrap();
        finally(pending::<()>(), t.cleanup("body", 2)).await;
    });
    assert_eq!(trace.run(&[], block).await, "Err(TimeoutError)@6");
    assert_eq!(trace.take(), ["body@6"]);
}

#[evloop::test(order = "fifo")]
async fn a_request_and_a_moved_deadline_in_one_step_are_one_delivery() {
    let trace = Trace::new();
    let t = trace.clone();
    let block = timeout(None, async move |deadline| {
        deadline.reschedule(now() + secs(5)).unwrap();
        finally(pending::<()>(), t.cleanup("body", 2)).await;
    });
    assert_eq!(trace.run(&[5], block).await, "Cancelled@7");
    assert_eq!(trace.take(), ["body@7"]);
}

#[evloop::test]
async fn a_deadline_is_moved_from_a_branch_beside_the_one_that_waits() {
    let trace = Trace::new();
    let block = timeout(secs(1), async |deadline| {
        let mover = async {
            for n in 1..=4 {
                deadline.reschedule(now() + secs(2)).unwrap();
                sleep(secs(if n == 4 { 10 } else { 1 })).await;
            }
        };
        join(mover, pending::<()>()).await;
    });
    assert_eq!(trace.run(&[], block).await, "Err(TimeoutError)@5");
}

#[evloop::test]
async fn of_a_block_in_a_block_the_deadline_that_comes_first_ends() {
    let trace = Trace::new();
    let (t, start) = (trace.clone(), now());
    let block = timeout_at(start + secs(9), async move |outer| {
        let inner = timeout_at(start + secs(3), async |_| {
            outer.reschedule(start + secs(2)).unwrap();
            finally(pending::<()>(), t.cleanup("inner", 4)).await;
        });
        inner.await.is_err()
    });
    // The inner deadline comes during the cleanup, which is a delivery of its own and ends it.
    assert_eq!(trace.run(&[], block).await, "Err(TimeoutError)@3");
    assert_eq!(trace.take(), ["inner cut@3"]);
}

#[evloop::test]
async fn a_block_in_a_cleanup_of_a_block_has_its_own_time() {
    let trace = Trace::new();
    let t = trace.clone();
    let block = timeout(secs(1), async move |_| {
        finally(pending::<()>(), async {
            let inner = timeout(secs(2), async |_| child(&t, "inner", 1).await).await;
            t.say(&format!("{inner:?}"));
        })
        .await;
    });
    assert_eq!(trace.run(&[], block).await, "Err(TimeoutError)@4");
    assert_eq!(trace.take(), ["inner@4", "Err(TimeoutError)@4"]);
}

#[evloop::test]
async fn a_request_left_by_what_took_it_in_a_re_offer_and_was_dropped_in_that_poll_is_not_lost() {
    let trace = Trace::new();
    let task = create_task(async move {
        for _ in 0..2 {
            // The timer wakes in the very step of the request: the group takes it and is dropped at once.
            let group = TaskGroup::scope(async |tg| {
                let _ = tg.create_task(yield_now());
                yield_now().await;
            });
            let _ = select(pin!(group), pin!(sleep(secs(0)))).await;
        }
        wait_for(pending::<()>(), secs(1)).await.is_err()
    });
    yield_now().await;
    task.cancel();
    assert_eq!(trace.outcome(task).await, "Cancelled@0");
}

#[evloop::test]
async fn a_request_left_by_an_error_does_not_reach_into_a_cleanup_beside_it() {
    let trace = Trace::new();
    let t = trace.clone();
    let outcome = trace.run(&[1], async move {
        // Asked at 1; it leaves the request to the next suspension when it fails at 2.
        let failing = TaskGroup::try_scope::<(), _>(async |tg| {
            let _ = tg.create_task(on_cancel(pending::<Result<(), _>>(), async |_| {
                sleep(secs(1)).await;
                Err(1)
            }));
            Ok(())
        });
        // Asked at 1, too; at 3 a deadline inside of its cleanup ends something that has a say.
        let cleaning = finally(pending::<()>(), async {
            let inner = finally(pending::<()>(), t.cleanup("inner", 1));
            assert!(wait_for(inner, secs(2)).await.is_err());
            t.cleanup("outer", 2).await;
        });
        let _ = join(failing, cleaning).await;
    });
    assert_eq!(outcome.await, "Cancelled@6");
    assert_eq!(trace.take(), ["inner@4", "outer@6"]);
}
