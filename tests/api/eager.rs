//! What eager tasks promise beyond CPython's tests: the step below them on the stack is left in peace.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use evloop::context::Context;
use evloop::time::secs;
use evloop::{
    ContextVar, Runner, Task, TaskError, call_soon, catch_cancel, create_task, current_task,
    get_running_loop, on_cancel, sleep, timeout, wait_for, yield_now,
};

use crate::support::{Log, OnDrop, forever_with, reports, tick, virtual_loop};

fn at_once<F: Future + 'static>(future: F) -> Task<F::Output> {
    Task::builder().eager(true).spawn(future)
}

#[test]
fn eager_start_overrides_the_factory() {
    let done = |eager: Option<bool>| {
        let builder = Task::builder();
        eager.map_or(builder.clone(), |eager| builder.eager(eager)).spawn(async {}).done()
    };
    let both = async || [done(None), done(Some(true)), done(Some(false))];
    assert_eq!(evloop::run(both()), [false, true, false]);
    let mut runner = Runner::builder().eager_tasks(true).build().unwrap();
    assert_eq!(runner.run(both()).unwrap(), [true, true, false]);
}

#[test]
fn before_the_loop_runs_tasks_begin_in_their_turn() {
    let mut event_loop = virtual_loop();
    let task = event_loop.handle().create_task_with(Task::builder().eager(true), async { tick() });
    assert!(!task.done());
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 1);
}

#[evloop::test]
async fn a_panic_stays_in_the_eager_task() {
    let reports = reports();
    let task: Task<()> = at_once(async { panic!("inside") });
    assert!(task.done() && reports.is_empty());
    let name = current_task().unwrap().name();
    assert!(matches!(task.await, Err(TaskError::Panicked(_))));
    let unseen: Task<()> = at_once(async { panic!("nobody looks") });
    drop(unseen);
    assert_eq!(reports.take(), ["nobody looks"]);
    assert_eq!(current_task().unwrap().name(), name);
}

#[evloop::test(order = "fifo")]
async fn it_may_end_its_own_handles_and_its_creators_wakers() {
    // The eager step wakes the task that waits below it, and cancels it: both take effect afterwards.
    let log = Log::new();
    let sink = log.clone();
    let outer = create_task(async move {
        let me = current_task().unwrap();
        let caught = catch_cancel(async {
            at_once(async move { me.cancel() }).detach();
            sink.push("goes on");
            sleep(secs(3600)).await;
        })
        .await;
        sink.push(if caught.is_err() { "cancelled" } else { "slept" });
    });
    yield_now().await;
    yield_now().await;
    assert_eq!(log.take(), ["goes on", "cancelled"]);
    outer.await.unwrap();
}

/// Polls `inner` by hand in each of its own polls.
async fn polled_inside<F: Future + Unpin>(mut inner: F, each_poll: impl Fn()) -> F::Output {
    std::future::poll_fn(move |cx| {
        each_poll();
        std::pin::Pin::new(&mut inner).poll(cx)
    })
    .await
}

#[evloop::test(order = "fifo")]
async fn a_step_inside_of_an_offer_cannot_take_it() {
    // While the cancellation is offered, the outer task's poll starts an eager task that has scopes of its own
    // and one that was born before, in another task, under no offer.
    let log = Log::new();
    let moved = Rc::new(RefCell::new(None));
    let (sink, stock) = (log.clone(), moved.clone());
    let outer = create_task(async move {
        // Polled once here: its node is older than any offer to come.
        let mut older = Box::pin(on_cancel(sleep(secs(1)), async |c| c.rethrow().await));
        std::future::poll_fn(|cx| {
            assert!(older.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        *stock.borrow_mut() = Some(older);
        let waiting = Box::pin(catch_cancel(sleep(secs(3600))));
        let says = sink.clone();
        let caught = polled_inside(waiting, move || {
            let Some(older) = stock.borrow_mut().take() else { return };
            if current_task().unwrap().cancelling() == 0 {
                *stock.borrow_mut() = Some(older);
                return;
            }
            let says = says.clone();
            let inner = at_once(async move {
                let young = wait_for(sleep(secs(1)), secs(5));
                let (older, young) = (catch_cancel(older).await.is_ok(), catch_cancel(young).await.is_ok());
                says.push(format!("inner went on: {older} {young}"));
            });
            assert!(!inner.done());
            inner.detach();
        })
        .await;
        sink.push(if caught.is_err() { "outer took it" } else { "lost" });
    });
    yield_now().await;
    outer.cancel();
    yield_now().await;
    assert_eq!(log.take(), ["outer took it"]);
    sleep(secs(10)).await;
    assert_eq!(log.take(), ["inner went on: true true"]);
    assert!(moved.borrow().is_none());
    outer.await.unwrap();
}

#[evloop::test]
async fn an_offer_is_as_it_was_after_a_step_inside() {
    // A deadline offers its own; in that poll an eager task is cancelled at once, times out at once and ends.
    let log = Log::new();
    let started = now_and_then(log.clone());
    let waiting = Box::pin(sleep(secs(3600)));
    let outcome = wait_for(polled_inside(waiting, started), secs(1)).await;
    assert!(outcome.is_err(), "the deadline");
    assert_eq!(log.take(), ["inside: timed out", "inside: timed out"], "at the first poll and at the offer");
    let block = timeout(secs(1), async |_| {
        polled_inside(Box::pin(sleep(secs(3600))), now_and_then(log.clone())).await;
    });
    assert!(block.await.is_err());
}

fn now_and_then(log: Log) -> impl Fn() {
    move || {
        let log = log.clone();
        let inner = at_once(async move {
            let late = wait_for(sleep(secs(1)), std::time::Duration::ZERO).await;
            log.push(if late.is_err() { "inside: timed out" } else { "inside: slept" });
        });
        assert!(inner.done());
    }
}

#[evloop::test(order = "fifo")]
async fn an_eager_step_in_a_callback_has_its_own_place() {
    static PLACE: ContextVar<&str> = ContextVar::new("place");
    let log = Log::new();
    let sink = log.clone();
    call_soon(move || {
        PLACE.set("callback");
        assert!(current_task().is_none());
        let inner = sink.clone();
        let task = at_once(async move {
            inner.push(format!("{:?} {}", PLACE.get(), current_task().is_some()));
            PLACE.set("task");
        });
        assert!(task.done() && current_task().is_none());
        sink.push(format!("{:?}", PLACE.get()));
    });
    yield_now().await;
    assert_eq!(log.take(), ["Some(\"callback\") true", "Some(\"callback\")"]);
}

#[evloop::test]
async fn an_eager_step_inside_of_a_context_that_is_run_has_its_own() {
    static PLACE: ContextVar<&str> = ContextVar::new("place");
    let context = Context::new();
    context.run(|| {
        PLACE.set("run");
        let task = at_once(async {
            let before = PLACE.get();
            PLACE.set("task");
            (before, PLACE.get())
        });
        assert_eq!(task.result().unwrap().unwrap(), &(Some("run"), Some("task")));
        assert_eq!(PLACE.get(), Some("run"));
    });
    // The creator's own context may be shared, too.
    PLACE.set("creator");
    let mine = current_task().unwrap().context().unwrap();
    assert!(Task::builder().eager(true).context(&mine).spawn(async { drop(PLACE.set("child")) }).done());
    assert_eq!(PLACE.get(), Some("child"));
}

#[evloop::test(order = "fifo")]
async fn an_eager_task_that_waits_is_cancelled_as_any_other() {
    let dropped = Rc::new(Cell::new(false));
    let sets = dropped.clone();
    let task = at_once(forever_with(OnDrop::new(move || sets.set(true))));
    task.cancel();
    assert!(!task.done() && !dropped.get(), "asked, not ended");
    yield_now().await;
    assert!(task.cancelled() && dropped.get());
}

#[evloop::test]
async fn where_a_task_was_created_is_the_callers_place() {
    let line = line!() + 1;
    let task = Task::builder().name("far").spawn(std::future::pending::<()>());
    assert_eq!(task.location().unwrap().line(), line);
    let handle = get_running_loop().unwrap();
    let line = line!() + 1;
    let other = handle.create_task_with(Task::builder(), std::future::pending::<()>());
    assert_eq!(other.location().unwrap().line(), line);
    let eager = at_once(async { current_task().unwrap().location().is_some() });
    assert!(eager.await.unwrap(), "also in the first step");
    task.cancel();
    other.cancel();
}

#[test]
fn a_builder_outside_of_a_loop_says_so() {
    let message = crate::support::panic_of(|| Task::builder().spawn(async {}).detach());
    assert!(message.contains("no event loop runs on this thread"), "{message}");
    let builder = Task::builder().name("n").eager(true);
    assert_eq!(format!("{builder:?}"), "TaskBuilder { name: Some(\"n\"), context: None, eager: Some(true) }");
}
