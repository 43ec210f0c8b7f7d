//! CPython's `test_timeouts`: blocks with a deadline.
//!
//! Deviations, each asserted here as it is in evloop:
//! * A deadline acts in the step that it wakes, and `cancelling()` never counts it.
//! * `test_nested_timeouts`: of equal nested deadlines with nothing to clean up the inner one answers first.
//!
//! No counterpart, since the types rule them out: a block that is entered twice, before or after its time, or whose
//! deadline is moved from outside (`test_timeout_already_entered`, `test_timeout_double_enter`,
//! `test_timeout_not_entered`, `test_timeout_finished`); chained exceptions (`test_timeout_exception_cause` and the like).

use std::future::pending;

use evloop::time::{millis, secs};
use evloop::{
    Promise, TimeoutError, catch_cancel, create_task, current_task, finally, now, on_cancel, sleep, timeout,
    timeout_at, wait_for, yield_now,
};
use futures::FutureExt;

use crate::support::{Log, panic_of, tick};

#[evloop::test]
async fn test_timeout_basic() {
    let (log, start) = (Log::new(), now());
    let ended = timeout(millis(10), async |t| {
        assert_eq!(t.when(), Some(start + millis(10)));
        assert!(!t.expired());
        let cleanup = async |c: evloop::tasks::Cancelling<'_>| {
            log.push(format!("expired: {}", t.expired()));
            c.rethrow().await
        };
        on_cancel(sleep(secs(10)), cleanup).await;
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(log.take(), ["expired: true"]);
    assert_eq!(now() - start, millis(10));
}

#[evloop::test]
async fn test_timeout_at_basic() {
    let deadline = now() + millis(10);
    let ended = timeout_at(deadline, async |t| {
        assert_eq!(t.when(), Some(deadline));
        sleep(secs(10)).await;
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(now(), deadline);
}

#[evloop::test]
async fn test_nested_timeouts() {
    let start = now();
    let ended = timeout_at(start + millis(10), async |_| {
        timeout_at(start + millis(10), async |_| sleep(secs(10)).await).await
    });
    assert_eq!(ended.await, Ok(Err(TimeoutError)), "the inner one answers");
    assert_eq!((now() - start, current_task().unwrap().cancelling()), (millis(10), 0));
}

#[evloop::test]
async fn test_nested_timeouts_concurrent() {
    // The inner deadline is the later one: the outer one ends both.
    let start = now();
    let ended = timeout(millis(2), async |outer| {
        let inner = timeout(millis(10), async |_| sleep(secs(10)).await);
        let inner = inner.await;
        (inner, outer.expired())
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(now() - start, millis(2));
}

#[evloop::test]
async fn test_nested_timeouts_loop_busy() {
    // Both deadlines have passed when the task comes to its next step.
    let (log, start) = (Log::new(), now());
    let busy = create_task(sleep(millis(5)));
    let ended = timeout_at(start + millis(5), async |_| {
        let inner = timeout_at(start + millis(4), async |_| {
            catch_cancel(busy).await.ok();
            log.push("inner body");
        });
        let inner = inner.await;
        log.push(format!("{inner:?}"));
        yield_now().await;
        log.push("goes on until the outer deadline");
        sleep(secs(1)).await;
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(log.take(), ["inner body", "Ok(())", "goes on until the outer deadline"]);
    assert_eq!(now() - start, millis(5));
}

#[evloop::test]
async fn test_waiter_cancelled() {
    let log = Log::new();
    let own = log.clone();
    let task = create_task(async move {
        let caught = catch_cancel(timeout(secs(10), async |_| sleep(secs(20)).await)).await;
        let Err(cancellation) = caught else { unreachable!("it was cancelled") };
        own.push("cancelled");
        cancellation.rethrow::<()>().await
    });
    sleep(millis(5)).await;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(log.take(), ["cancelled"]);
}

#[evloop::test]
async fn test_timeout_not_called() {
    let start = now();
    let ended = timeout(secs(10), async |t| {
        sleep(millis(10)).await;
        (t.expired(), t.when())
    });
    assert_eq!(ended.await, Ok((false, Some(start + secs(10)))));
    assert_eq!(now() - start, millis(10));
}

#[evloop::test]
async fn test_timeout_disabled() {
    let ended = timeout(None, async |t| {
        sleep(secs(3600)).await;
        (t.expired(), t.when())
    });
    assert_eq!(ended.await, Ok((false, None)));
}

#[evloop::test]
async fn test_timeout_at_disabled() {
    let ended = timeout_at(None, async |t| {
        sleep(secs(3600)).await;
        (t.expired(), t.when())
    });
    assert_eq!(ended.await, Ok((false, None)));
}

#[evloop::test]
async fn test_timeout_zero() {
    let start = now();
    let ended = timeout(millis(0), async |t| {
        assert_eq!(t.when(), Some(start));
        sleep(secs(10)).await;
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(now(), start);
}

#[evloop::test]
async fn test_timeout_zero_sleep_zero() {
    let log = Log::new();
    let before = tick();
    let ended = timeout(millis(0), async |_| {
        log.push("the body begins");
        yield_now().await;
        log.push("not reached");
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(log.take(), ["the body begins"]);
    assert_eq!(tick(), before, "in the step of its first suspension");
    // Without a suspension there is no timeout.
    assert_eq!(timeout(millis(0), async |t| t.expired()).await, Ok(false));
}

#[evloop::test]
async fn test_timeout_in_the_past_sleep_zero() {
    sleep(secs(100)).await;
    let ended = timeout_at(now() - secs(99), async |_| yield_now().await);
    assert_eq!(ended.await, Err(TimeoutError));
}

#[evloop::test]
async fn test_foreign_exception_passed() {
    let ended = timeout(millis(10), async |_| Err::<(), _>("a foreign error"));
    assert_eq!(ended.await, Ok(Err("a foreign error")));
}

#[evloop::test]
async fn test_foreign_exception_on_timeout() {
    // An error of the cleanup wins over the timeout.
    let ended = timeout(millis(10), async |_| on_cancel(long(), async |_| Err("a foreign error")).await);
    assert_eq!(ended.await, Ok(Err("a foreign error")));
}

#[evloop::test]
async fn test_foreign_cancel_doesnt_timeout_if_not_expired() {
    let task = create_task(timeout(secs(10), async |t| {
        current_task().unwrap().cancel();
        assert!(!t.expired());
        yield_now().await;
    }));
    assert!(task.await.unwrap_err().is_cancelled());
}

#[evloop::test]
async fn test_outer_task_is_not_cancelled() {
    let task = create_task(async {
        let ended = timeout(millis(1), async |_| sleep(secs(10)).await).await;
        yield_now().await;
        (ended, current_task().unwrap().cancelling())
    });
    let task_ref = task.task_ref();
    assert_eq!(task.await.unwrap(), (Err(TimeoutError), 0));
    assert!(!task_ref.cancelled());
}

#[evloop::test]
async fn test_reschedule() {
    let start = now();
    let (set, go) = (Promise::new(), Promise::<()>::new());
    let (tell, wait) = (set.clone(), go.clone());
    let task = create_task(timeout(secs(10), async move |t| {
        sleep(secs(5)).await;
        t.reschedule(now() + millis(10)).unwrap();
        tell.set_result(t.when()).unwrap();
        wait.await.unwrap();
    }));
    assert_eq!(set.await.unwrap(), Some(start + secs(5) + millis(10)));
    assert_eq!(task.await.unwrap(), Err(TimeoutError));
    assert_eq!(now() - start, secs(5) + millis(10));
    drop(go);
}

#[evloop::test]
async fn a_deadline_can_be_moved_out_taken_away_and_set_anew() {
    let start = now();
    let ended = timeout(secs(1), async |t| {
        t.reschedule(start + secs(5)).unwrap();
        sleep(secs(3)).await; // past the first deadline
        t.reschedule(None).unwrap();
        sleep(secs(10)).await; // past the second
        t.reschedule(start + secs(14)).unwrap();
        sleep(secs(10)).await;
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(now() - start, secs(14));
}

#[evloop::test]
async fn a_deadline_moved_into_the_past_comes_at_the_next_suspension() {
    let (log, start) = (Log::new(), now());
    let ended = timeout(None, async |t| {
        sleep(secs(1)).await;
        t.reschedule(start).unwrap();
        log.push("goes on");
        yield_now().await;
        log.push("not reached");
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(log.take(), ["goes on"]);
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn a_moved_deadline_leaves_no_timer_behind() {
    let start = now();
    let ended = timeout(secs(10), async |t| {
        for _ in 0..100 {
            t.reschedule(now() + secs(10)).unwrap();
            yield_now().await;
        }
    });
    assert_eq!(ended.await, Ok(()));
    // Nothing is left to wait for but this.
    sleep(secs(1)).await;
    assert_eq!(now() - start, secs(1));
}

#[evloop::test]
async fn test_timeout_expiring() {
    // In its cleanup a block can neither be moved nor disarmed.
    let ended =
        timeout(millis(1), async |t| on_cancel(long(), async |_| t.reschedule(now() + secs(1))).await);
    assert_eq!(ended.await, Ok(Err(TimeoutError)));
}

#[evloop::test]
async fn test_timeout_expired() {
    // Nor after a body has swallowed it: a block ends once.
    let start = now();
    let ended = timeout(secs(1), async |t| {
        catch_cancel(sleep(secs(10))).await.unwrap_err().swallow();
        assert!(t.expired());
        assert_eq!(t.reschedule(None), Err(TimeoutError));
        sleep(secs(10)).await;
        "went on"
    });
    assert_eq!(ended.await, Ok("went on"));
    assert_eq!(now() - start, secs(11));
}

#[evloop::test]
async fn test_repr_active() {
    let ended = timeout(secs(10), async |t| format!("{t:?}"));
    let text = ended.await.unwrap();
    assert!(text.starts_with("Timeout { when: Some(") && text.ends_with("expired: false }"), "{text}");
}

#[evloop::test]
async fn test_repr_expired() {
    let log = Log::new();
    let ended = timeout(millis(1), async |t| {
        finally(sleep(secs(10)), async { log.push(format!("{t:?}")) }).await;
    });
    assert!(ended.await.is_err());
    assert!(log.take()[0].ends_with("expired: true }"));
}

#[evloop::test]
async fn test_repr_disabled() {
    let text = timeout(None, async |t| format!("{t:?}")).await.unwrap();
    assert_eq!(text, "Timeout { when: None, expired: false }");
}

#[evloop::test]
async fn test_nested_timeout_in_finally() {
    let (log, start) = (Log::new(), now());
    let ended = timeout(secs(1), async |_| {
        finally(sleep(secs(10)), async {
            let inner = timeout(secs(2), async |_| sleep(secs(10)).await).await;
            log.push(format!("{inner:?} after {:?}", now() - start));
        })
        .await;
    });
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(log.take(), ["Err(TimeoutError) after 3s"]);
}

#[evloop::test]
async fn test_timeout_after_cancellation() {
    let task = create_task(async {
        current_task().unwrap().cancel();
        catch_cancel(sleep(secs(1))).await.unwrap_err().swallow();
        timeout(millis(10), async |_| sleep(secs(10)).await).await
    });
    assert_eq!(task.await.unwrap(), Err(TimeoutError), "a count that is left does not matter");
}

#[evloop::test]
async fn test_cancel_in_timeout_after_cancellation() {
    let task = create_task(async {
        current_task().unwrap().cancel();
        catch_cancel(sleep(secs(1))).await.unwrap_err().swallow();
        let ended = timeout(secs(1), async |_| {
            current_task().unwrap().cancel();
            sleep(secs(2)).await;
        });
        ended.await
    });
    assert!(task.await.unwrap_err().is_cancelled());
}

#[test]
fn test_timeout_without_task() {
    use std::task::{Context, Waker};
    // Outside of a loop there is nobody to end the body: the timer says so.
    let text = crate::support::panic_of(|| {
        let block = std::pin::pin!(timeout(secs(1), async |_| pending::<()>().await));
        block.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    });
    assert!(text.contains("needs a running loop"), "{text}");
}

#[evloop::test]
async fn a_deadline_counts_from_the_call_and_the_body_begins_at_the_first_poll() {
    let (log, start) = (Log::new(), now());
    let block = timeout(secs(2), async |t| {
        log.push("begins");
        t.when()
    });
    sleep(secs(1)).await;
    assert!(log.is_empty());
    assert_eq!(block.await, Ok(Some(start + secs(2))));
}

#[evloop::test]
async fn blocks_are_send_when_their_body_is() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let block = send(timeout(secs(1), async |t| {
        sleep(millis(1)).await;
        t.expired()
    }));
    assert_eq!(block.await, Ok(false));
}

#[evloop::test]
async fn a_block_waits_for_what_wait_for_waits_for() {
    let start = now();
    let ended =
        timeout(secs(1), async |_| wait_for(finally(pending::<()>(), sleep_for(2)), secs(5)).await.is_ok());
    assert_eq!(ended.await, Err(TimeoutError));
    assert_eq!(now() - start, secs(3));
}

async fn sleep_for(seconds: u64) {
    sleep(secs(seconds)).await;
}

/// Ends well after a while, which no test waits for.
async fn long<E>() -> Result<(), E> {
    sleep(secs(3600)).await;
    Ok(())
}

#[test]
fn a_deadline_that_has_come_outside_of_a_loop_panics() {
    for panic in [
        panic_of(|| timeout(secs(0), async |_| pending::<()>().await).now_or_never()),
        panic_of(|| timeout_at(now(), async |_| pending::<()>().await).now_or_never()),
        panic_of(|| wait_for(pending::<()>(), secs(0)).now_or_never()),
    ] {
        assert!(panic.contains("await it inside of evloop::run"), "{panic}");
    }
}
