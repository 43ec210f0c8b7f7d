//! Panics in bodies, cleanups, handlers and destructors: they end what they are in, reach the awaiter, and
//! leave neither scopes nor open offers behind.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Poll;

use evloop::time::secs;
use evloop::{catch_cancel, create_task, finally, on_cancel, race, sleep, wait_for, yield_now};
use futures::FutureExt;
use futures::future::{join, pending};

use crate::support::{Trace, nodes};

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

async fn bomb() {
    let _bomb = Bomb;
    pending::<()>().await;
}

/// Panics when it is polled under a deadline's own offer: at its third poll, the second of one step.
async fn panics_at_third_poll() {
    let mut polls = 0;
    std::future::poll_fn(|_| {
        polls += 1;
        if polls < 3 { Poll::Pending } else { panic!("third poll") }
    })
    .await
}

#[evloop::test]
async fn a_panic_in_the_body_is_resumed_after_the_cleanup() {
    let trace = Trace::new();
    let t = trace.clone();
    let body = async {
        sleep(secs(1)).await;
        panic!("in the body");
    };
    let outcome = trace.run(&[], finally::<_>(body, async move { t.cleanup("cleanup", 3).await }));
    let outcome: String = outcome.await;
    assert_eq!(outcome, "Panicked(in the body)@4");
    assert_eq!(trace.take(), ["cleanup@4"]);
}

#[evloop::test]
async fn a_request_during_the_cleanup_after_a_panic_leaves_the_panic() {
    let trace = Trace::new();
    let t = trace.clone();
    let body = finally(async { panic!("in the body") }, async move { t.cleanup("cleanup", 3).await });
    assert_eq!(trace.run(&[1], body).await, "Panicked(in the body)@1");
    assert_eq!(trace.take(), ["cleanup cut@1"]);
}

#[evloop::test]
async fn a_panic_in_a_cleanup_or_handler_ends_the_task_with_it() {
    let trace = Trace::new();
    let cleanup = async {
        sleep(secs(2)).await;
        panic!("in the cleanup");
    };
    assert_eq!(trace.run(&[1], finally(pending::<()>(), cleanup)).await, "Panicked(in the cleanup)@3");
    let handler = on_cancel(pending::<()>(), async |_| {
        sleep(secs(2)).await;
        panic!("in the handler");
    });
    assert_eq!(trace.run(&[4], handler).await, "Panicked(in the handler)@6");
    let at_once = on_cancel(pending::<()>(), async |_| panic!("in the handler"));
    assert_eq!(trace.run(&[7], at_once).await, "Panicked(in the handler)@7");
}

#[evloop::test]
async fn a_request_held_by_a_panicking_cleanup_goes_on_where_the_panic_is_caught() {
    let trace = Trace::new();
    let outcome = trace.run(&[1], async {
        let cleanup = async {
            sleep(secs(2)).await;
            panic!("in the cleanup");
        };
        let caught = AssertUnwindSafe(finally(pending::<()>(), cleanup)).catch_unwind().await.is_err();
        assert!(caught);
        // The request was never decided: it lands at the next suspension.
        sleep(secs(9)).await;
    });
    assert_eq!(outcome.await, "Cancelled@3");
}

#[evloop::test]
async fn a_panic_in_a_destructor_of_a_cancelled_body_reaches_the_awaiter() {
    let trace = Trace::new();
    assert_eq!(
        trace.run(&[1], async { catch_cancel(bomb()).await.is_err() }).await,
        "Panicked(in a destructor)@1"
    );
    assert_eq!(
        trace.run(&[2], async { wait_for(bomb(), secs(9)).await }).await,
        "Panicked(in a destructor)@2"
    );
    let deadline = trace.run(&[], async { wait_for(bomb(), secs(2)).await });
    assert_eq!(deadline.await, "Panicked(in a destructor)@4");
}

#[evloop::test]
async fn a_cleanup_runs_also_when_the_destructor_of_the_cancelled_body_panics() {
    let trace = Trace::new();
    let t = trace.clone();
    let body = async move { finally(bomb(), async move { t.cleanup("cleanup", 2).await }).await };
    assert_eq!(trace.run(&[1], body).await, "Panicked(in a destructor)@3");
    assert_eq!(trace.take(), ["cleanup@3"]);
}

#[evloop::test]
async fn a_panic_caught_by_code_of_the_task_leaves_no_open_offer() {
    let trace = Trace::new();
    let bystander = create_task(async { catch_cancel(sleep(secs(9))).await.is_ok() });
    let outcome = trace.run(&[], async {
        // The catch in there is why the content is polled under the offer at all.
        let content = join(panics_at_third_poll(), catch_cancel(pending::<()>()));
        let panics = AssertUnwindSafe(wait_for(content, secs(2))).catch_unwind();
        let beside = catch_cancel(sleep(secs(4)));
        let (panicked, slept) = join(panics, beside).await;
        (panicked.is_err(), slept.is_ok())
    });
    assert_eq!(outcome.await, "(true, true)@4");
    assert_eq!(trace.outcome(bystander).await, "true@9");
    assert_eq!(nodes(), 0);
}

#[evloop::test]
async fn a_panic_under_a_request_caught_by_code_leaves_its_siblings_their_request() {
    let trace = Trace::new();
    let outcome = trace.run(&[2], async {
        let handler = on_cancel(pending::<()>(), async |_| panic!("in the handler"));
        let panics = AssertUnwindSafe(handler).catch_unwind();
        let (panicked, caught) = join(panics, catch_cancel(sleep(secs(4)))).await;
        (panicked.is_err(), caught.is_err())
    });
    // The handler's request was never decided, so it is raised once more, and nobody is left to take it:
    // the join itself returns in that very step.
    assert_eq!(outcome.await, "(true, true)@2");
}

#[evloop::test]
async fn a_panicking_task_leaves_no_scope() {
    let trace = Trace::new();
    let outcome = trace.run(&[], async {
        let inside = async {
            yield_now().await;
            panic!("deep inside");
        };
        wait_for(catch_cancel(finally(inside, async {})), secs(3)).await.is_ok()
    });
    assert_eq!(outcome.await, "Panicked(deep inside)@0");
    assert_eq!(nodes(), 0);
}

/// From now on, what the loop's exception handler is told.
fn reports() -> Rc<RefCell<Vec<String>>> {
    let (reports, event_loop) = (Rc::<RefCell<Vec<String>>>::default(), evloop::get_running_loop().unwrap());
    let sink = reports.clone();
    event_loop
        .set_exception_handler(move |context| sink.borrow_mut().push(context.panic_message().to_owned()));
    reports
}

/// A future whose poll panics, and then its destructor does.
fn twice() -> impl Future<Output = ((), ())> {
    // Not by an `async` block: its unwinding drops what it contains, where a second panic aborts.
    join(bomb(), async { panic!("in a poll") })
}

#[evloop::test]
async fn a_second_panic_of_what_has_panicked_is_reported() {
    let (trace, reports) = (Trace::new(), reports());
    assert_eq!(trace.run(&[], finally(twice(), async {})).await, "Panicked(in a poll)@0");
    assert_eq!(reports.take(), ["in a destructor"]);
    assert_eq!(trace.run(&[], race([twice()])).await, "Panicked(in a poll)@0");
    assert_eq!(reports.take(), ["in a destructor"]);
}

#[evloop::test]
async fn a_panic_whose_way_is_cut_is_reported() {
    let reports = reports();
    let mut cleans_up = Box::pin(finally(async { panic!("in the body") }, sleep(secs(9))));
    assert!(futures::poll!(&mut cleans_up).is_pending());
    drop::<std::pin::Pin<Box<dyn Future<Output = ()>>>>(cleans_up);
    assert_eq!(reports.take(), ["in the body"]);

    let cleanup = async { panic!("in the cleanup") };
    let both = AssertUnwindSafe(finally::<_>(async { panic!("in the body") }, cleanup)).catch_unwind();
    assert!(matches!(both.await, Err::<(), _>(payload) if payload.is::<&str>()));
    assert_eq!(reports.take(), ["in the body"]);

    let (panics, slow) = (async { panic!("a branch") }, finally(pending::<()>(), sleep(secs(9))));
    let mut contest = Box::pin(race([slow.boxed_local(), panics.boxed_local()]));
    assert!(futures::poll!(&mut contest).is_pending());
    drop(contest);
    assert_eq!(reports.take(), ["a branch"]);
}
