//! Tasks that have their first step at once: O37.

use std::cell::Cell;
use std::rc::Rc;

use evloop::time::secs;
use evloop::{
    Clock, EventLoop, Runner, TaskGroup, call_soon, create_task, current_task, gather, sleep, yield_now,
};

use crate::trace::Trace;

/// Runs a scenario on a loop whose tasks are eager, and gives what it wrote down.
fn eagerly(scenario: impl AsyncFnOnce(&Trace)) -> Vec<String> {
    let event_loop = EventLoop::builder().clock(Clock::Virtual).detect_stuck(true);
    let mut runner = Runner::builder().event_loop(event_loop).eager_tasks(true).build().unwrap();
    let trace = Trace::new();
    runner.run(scenario(&trace)).unwrap();
    trace.take()
}

/// O37, eager start. E1 ends in its first step, E2 suspends once; E1 gets a callback, both are awaited.
///
/// CPython: `1:E1 | 1:E1 done True | 1:E2 start | 1:E2 done False | 1:await done task: no tick | 2:E2 end |
/// 2:E1's callback | 3:main`. Ours: the same.
#[test]
fn o37_a_first_step_runs_inside_of_create_task() {
    let trace = eagerly(async |trace| {
        let t = trace.clone();
        let e1 = create_task(async move { t.log("E1") });
        trace.log(format_args!("E1 done {}", e1.done()));
        let t = trace.clone();
        let e2 = create_task(async move {
            t.log("E2 start");
            yield_now().await;
            t.log("E2 end");
        });
        trace.log(format_args!("E2 done {}", e2.done()));
        let t = trace.clone();
        e1.add_done_callback(move |_| t.log("E1's callback"));
        e1.await.unwrap();
        trace.log("await done task: no tick");
        e2.await.unwrap();
        trace.log("main");
    });
    assert_eq!(
        trace,
        [
            "1:E1",
            "1:E1 done true",
            "1:E2 start",
            "1:E2 done false",
            "1:await done task: no tick",
            "2:E2 end",
            "2:E1's callback",
            "3:main"
        ]
    );
}

/// O37, eager start, nested: an eager task creates another one in its first step; both suspend once.
///
/// CPython: `1:outer start | 1:inner start | 1:outer again | 2:soon | 2:inner end | 2:outer end | 3:main`. Ours: the
/// same.
#[test]
fn o37_inside_of_each_other_they_begin_as_calls_do() {
    let trace = eagerly(async |trace| {
        call_soon(trace.logs("soon"));
        let t = trace.clone();
        let outer = create_task(async move {
            t.log("outer start");
            let inner = t.clone();
            let inner = create_task(async move {
                inner.log("inner start");
                yield_now().await;
                inner.log("inner end");
            });
            t.log("outer again");
            yield_now().await;
            t.log("outer end");
            inner.await.unwrap();
        });
        outer.await.unwrap();
        trace.log("main");
    });
    assert_eq!(
        trace,
        ["1:outer start", "1:inner start", "1:outer again", "2:soon", "2:inner end", "2:outer end", "3:main"]
    );
}

/// O37, eager start and gather: of two children that end at once, and of one that does and one that does not.
///
/// CPython: `1:a | 1:b | 1:['a', 'b'] | 1:c | 1:d start | 2:d end | 4:['c', 'd']`. Ours: the same.
#[test]
fn o37_what_has_ended_is_gathered_at_once() {
    let trace = eagerly(async |trace| {
        let at_once = |name: &'static str| {
            let trace = trace.clone();
            async move {
                trace.log(name);
                name
            }
        };
        trace.log(format_args!("{:?}", gather((at_once("a"), at_once("b"))).await.unwrap()));
        let d = trace.clone();
        let d = async move {
            d.log("d start");
            yield_now().await;
            d.log("d end");
            "d"
        };
        trace.log(format_args!("{:?}", gather((at_once("c"), d)).await.unwrap()));
    });
    assert_eq!(trace, ["1:a", "1:b", "1:(\"a\", \"b\")", "1:c", "1:d start", "2:d end", "4:(\"c\", \"d\")"]);
}

/// O37, eager start and groups: one whose children end at once takes no tick; in the other a child fails at once.
///
/// CPython: `1:child | 1:child | 1:group | 1:fails | 1:body goes on | 2:failed | 2:cancelling 0 | 3:main`. Ours: the
/// same.
#[test]
fn o37_a_group_of_children_that_end_at_once() {
    let trace = eagerly(async |trace| {
        let children = Rc::new(Cell::new(0));
        TaskGroup::scope(async |tg| {
            for _ in 0..2 {
                let (trace, children) = (trace.clone(), children.clone());
                let child = tg.create_task(async move {
                    trace.log("child");
                    children.set(children.get() + 1);
                });
                assert!(child.unwrap().done());
            }
        })
        .await;
        assert_eq!(children.get(), 2);
        trace.log("group");
        let failed = TaskGroup::try_scope(async |tg| {
            let t = trace.clone();
            let _ = tg.create_task(async move {
                t.log("fails");
                Err::<(), _>("value")
            });
            trace.log("body goes on");
            sleep(secs(1)).await;
            Ok(())
        });
        assert_eq!(failed.await.unwrap_err().first(), &"value");
        trace.log("failed");
        trace.log(format_args!("cancelling {}", current_task().unwrap().cancelling()));
        yield_now().await;
        trace.log("main");
    });
    assert_eq!(
        trace,
        [
            "1:child",
            "1:child",
            "1:group",
            "1:fails",
            "1:body goes on",
            "2:failed",
            "2:cancelling 0",
            "3:main"
        ]
    );
}
