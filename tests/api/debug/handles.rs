//! Tasks of which nobody hears any more.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;

use evloop::debug::DebugReport;
use evloop::time::secs;
use evloop::{
    AllCompleted, Clock, ContextVar, EventLoop, TaskGroup, TaskRef, as_completed, create_task, gather, race,
    shield, sleep, wait, wait_for, yield_now,
};

use super::{texts, told_virtually};

#[test]
fn a_dropped_handle_of_a_running_task_is_told_of() {
    let (mut event_loop, told) = told_virtually();
    let main = async {
        let task = create_task(yield_now());
        task.set_name("forgotten");
        let place = task.location().unwrap();
        drop(task);
        create_task(yield_now()).detach(); // this is meant
        let over = create_task(async {});
        yield_now().await;
        drop(over); // it has ended
        let asked = create_task(pending::<()>());
        asked.cancel();
        drop(asked); // it ends
        let watched = create_task(yield_now());
        watched.add_done_callback(|_| ());
        drop(watched); // somebody hears of it
        place
    };
    let place = event_loop.run_until_complete(main).unwrap();
    let expected = format!(
        "the handle of task forgotten created at {place} was dropped before the task had ended: it runs on and nobody \
         hears of its result; await it, or say so with `detach()`"
    );
    assert_eq!(texts(&told), [expected]);
}

#[test]
fn a_handle_that_its_host_drops_between_turns_is_told_of() {
    let (event_loop, told) = told_virtually();
    drop(event_loop.handle().create_task(yield_now()));
    assert!(matches!(told.try_recv(), Ok(DebugReport::NeverAwaited { .. })));
}

#[test]
fn those_who_wait_for_tasks_or_own_them_are_not_told_of() {
    let (mut event_loop, told) = told_virtually();
    let main = async {
        let _ = gather((yield_now(), async { 5 })).await;
        let waited = wait([create_task(yield_now())], AllCompleted, None).await;
        drop(waited);
        TaskGroup::scope(async |tg| {
            let _ = tg.create_task(sleep(secs(1)));
        })
        .await;
        let late = wait_for(create_task(sleep(secs(9))).join(), secs(1)).await;
        assert!(late.is_err());
        let _ = wait_for(gather((sleep(secs(9)), sleep(secs(9)))), secs(1)).await;
    };
    event_loop.run_until_complete(main).unwrap();
    assert_eq!(texts(&told), [""; 0]);
}

#[test]
fn what_runs_on_by_design_is_not_told_of() {
    let (mut event_loop, told) = told_virtually();
    let main = async {
        let completed = as_completed([sleep(secs(9))]).timeout(secs(1));
        assert!(matches!(completed.next().await, Some(Err(_))));
        drop(completed); // detaches it
        drop(as_completed([sleep(secs(9))]));
        assert!(wait_for(shield(sleep(secs(9))), secs(1)).await.is_err());
        let _ = wait_for(race((sleep(secs(9)), sleep(secs(8)))), secs(1)).await;
    };
    event_loop.run_until_complete(main).unwrap();
    assert_eq!(texts(&told), [""; 0]);
}

#[test]
fn tasks_that_a_loop_leaves_behind_are_told_of() {
    let (event_loop, told) = told_virtually();
    let handle = event_loop.handle();
    let (one, other) = (handle.create_task(pending::<()>()), handle.create_task(pending::<()>()));
    one.set_name("one");
    other.set_name("other");
    let text = |task: &TaskRef| {
        let (name, place) = (task.name(), task.location().unwrap());
        format!("task {name} created at {place} was dropped with its loop while it was still pending")
    };
    let expected = [text(&one), text(&other)];
    drop(event_loop);
    assert!(one.cancelled() && other.cancelled());
    assert_eq!(texts(&told), expected);
}

#[test]
fn without_debug_mode_nothing_of_this_is_told() {
    let builder = EventLoop::builder().debug(false).on_debug_report(|report| unreachable!("{report}"));
    let mut event_loop = builder.build().unwrap();
    let left = event_loop.handle().create_task(pending::<()>());
    event_loop.run_until_complete(async { drop(create_task(pending::<()>())) }).unwrap();
    drop(event_loop);
    assert!(left.cancelled());
}

#[test]
fn a_task_that_ends_while_its_handle_is_told_of_leaves_nothing() {
    thread_local! {
        static LOOP: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
    }
    static VALUE: ContextVar<Rc<()>> = ContextVar::local("value");
    // The host runs its loop wherever it likes, in the report of a handle, too.
    let builder = EventLoop::builder().clock(Clock::Virtual).debug(true).on_debug_report(|report| {
        if matches!(report, DebugReport::NeverAwaited { .. }) {
            let mut event_loop = LOOP.take().unwrap();
            event_loop.run_once(Some(secs(0))).unwrap();
            LOOP.set(Some(event_loop));
        }
    });
    let event_loop = builder.build().unwrap();
    let value = Rc::new(());
    let output = value.clone();
    let task = event_loop.handle().create_task(async move {
        VALUE.set(output.clone());
        output
    });
    LOOP.set(Some(event_loop));
    let task_ref = task.task_ref();
    drop(task);
    assert!(task_ref.done() && task_ref.context().is_none());
    assert_eq!(Rc::strong_count(&value), 1, "neither the output nor the context stays");
    drop(LOOP.take());
}
